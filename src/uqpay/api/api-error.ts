/** What stood in the way of an answer. */
export type ApiFault =
  /** No answer: the network, a name, a time-out. */
  | "unreachable"
  /** UQPAY has a fault of its own: 5xx, or a page in place of JSON. */
  | "unavailable"
  /** 429: nobody asks for a while. */
  | "rate-limited"
  /** The keys are not taken, or not from this address. */
  | "unauthorized"
  /** There is no such card or order. */
  | "not-found"
  /** Any other answer that is no success. */
  | "refused"
  /** A success whose JSON is not of the form that is documented. */
  | "unreadable";

export const API_FAULTS = Object.keys({
  unreachable: true,
  unavailable: true,
  "rate-limited": true,
  unauthorized: true,
  "not-found": true,
  refused: true,
  unreadable: true,
} satisfies Record<ApiFault, true>) as readonly ApiFault[];

/** What may be over when it is asked again. */
const TRANSIENT: ReadonlySet<ApiFault> = new Set<ApiFault>([
  "unreachable",
  "unavailable",
  "rate-limited",
]);

export interface ApiErrorDetails {
  /** The request without its ids, such as `GET /v1/issuing/cards/{card_id}`. */
  readonly request: string;
  readonly fault: ApiFault;
  /** Undefined where no answer came. */
  readonly status?: number | undefined;
  /** UQPAY's own word for it, where that is a word. */
  readonly code?: string | undefined;
  /** How long nobody is to ask again. */
  readonly pauseMs?: number | undefined;
  readonly cause?: unknown;
}

/** UQPAY's API gave no answer that can be used. Its message has nothing of the answer's body, which may be personal. */
export class UqpayApiError extends Error {
  override readonly name = "UqpayApiError";
  readonly request: string;
  readonly fault: ApiFault;
  readonly status: number | undefined;
  readonly code: string | undefined;
  readonly pauseMs: number | undefined;

  constructor(details: ApiErrorDetails) {
    const { request, fault, status, code, pauseMs, cause } = details;
    const answer = status === undefined ? "" : ` (status ${String(status)})`;
    super(`UQPAY's API: ${request}: ${fault}${answer}`, { cause });
    this.request = request;
    this.fault = fault;
    this.status = status;
    this.code = code;
    this.pauseMs = pauseMs;
  }

  get isTransient(): boolean {
    return TRANSIENT.has(this.fault);
  }
}
