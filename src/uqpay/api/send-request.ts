import { parseJsonText } from "../parse-json.ts";
import { withoutCardSecrets } from "../card-secrets.ts";
import { UqpayApiError } from "./api-error.ts";

export interface ApiRequest {
  readonly method: "GET" | "POST";
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** What it is called in errors: without ids. */
  readonly name: string;
}

export interface ApiAnswer {
  readonly status: number;
  /** The JSON, with exact numerals, without card secrets; undefined where the body is none. */
  readonly json: unknown;
  /** The header `Date`: UQPAY's own clock, to the second. */
  readonly dateMs: number | undefined;
  /** The header `Retry-After`, where it is a number of seconds. */
  readonly retryAfterMs: number | undefined;
}

/** A page of a hundred cards has some hundred kilobytes. */
const LARGEST_BODY = 16 * 1024 * 1024;

/**
 * Sends one request and reads its answer, whatever its status.
 *
 * @param signal given up with its reason
 * @throws UqpayApiError "unreachable" when no whole answer came in time
 */
export async function sendRequest(
  { method, url, headers, name }: ApiRequest,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<ApiAnswer> {
  const timeout = AbortSignal.timeout(timeoutMs);
  try {
    const response = await fetch(url, {
      method,
      headers: { accept: "application/json", ...headers },
      // The token must not follow to another host.
      redirect: "manual",
      signal:
        signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
    });
    const text = await readBody(response);
    const retryAfter = response.headers.get("retry-after") ?? "";
    const dateMs = Date.parse(String(response.headers.get("date")));
    return {
      status: response.status,
      json: readJson(text),
      dateMs: Number.isNaN(dateMs) ? undefined : dateMs,
      retryAfterMs: /^\d{1,5}$/.test(retryAfter)
        ? Number(retryAfter) * 1_000
        : undefined,
    };
  } catch (error) {
    signal?.throwIfAborted();
    throw new UqpayApiError({
      request: name,
      fault: "unreachable",
      cause: error,
    });
  }
}

async function readBody(response: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    size += part.length;
    if (size > LARGEST_BODY) throw new Error("the answer is too large");
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

function readJson(text: string): unknown {
  try {
    const json = parseJsonText(text);
    const safe = withoutCardSecrets(text);
    return safe === text ? json : parseJsonText(safe);
  } catch {
    return undefined;
  }
}
