import type { Data, SentEvent } from "./events.ts";
import { DECLINE_TEXTS } from "./events.ts";

/*
 * What the tables must hold, written from the design's rules alone and in another way than the service: it
 * collects everything that any event claims about any column, sorts the claims by their clocks, and the last
 * one is true. Nothing of src/ is imported here, and that must stay so.
 */

/** A row's columns as PostgreSQL's own text, or JSON; `null` for NULL. */
export type Row = Readonly<Record<string, string | null>>;

export interface ExpectedTables {
  readonly cards: ReadonlyMap<string, Row>;
  readonly authorizations: ReadonlyMap<string, Row>;
}

/** An event that the inbox holds. */
export interface StoredEvent {
  readonly event: SentEvent;
  /** When its earliest copy was signed: `2026-04-12T10:00:00.000000Z` */
  readonly signedAt: string;
}

interface Claim {
  readonly value: unknown;
  readonly finality: number;
  readonly authority: number;
  readonly at: string;
  readonly signedAt: string;
  readonly eventId: string;
}

type Claims = Map<string, Map<string, Claim[]>>;

export function expectTables(stored: readonly StoredEvent[]): ExpectedTables {
  const cards: Claims = new Map();
  const authorizations: Claims = new Map();
  for (const one of stored) {
    if (!one.event.isHandled) continue;
    claimOfCard(cards, one);
    if (isAuthorization(one)) claimOfAuthorization(authorizations, one);
  }
  return {
    cards: mapValues(cards, cardRow),
    authorizations: mapValues(authorizations, authorizationRow),
  };
}

function isAuthorization({ event }: StoredEvent): boolean {
  return event.type === "issuing.transaction.authorization";
}

function claimOfCard(cards: Claims, stored: StoredEvent): void {
  const { data, type } = stored.event;
  const claim = claimer(
    cards,
    text(data["card_id"]),
    stored,
    ownTimeOf(stored),
  );
  claim("last_event", true);
  claim("first_seen", stored.signedAt);
  claim("card_number", data["card_number"]);
  claim("card_scheme", data["card_scheme"]);
  claim(
    "cardholder_id",
    (data["cardholder"] as Data | undefined)?.["cardholder_id"],
  );
  if (!isAuthorization(stored))
    claim(
      "available_balance",
      data["available_balance"] ?? data["card_available_balance"],
    );
  claim("card_limit", data["card_limit"]);
  claim(
    "spending_controls",
    data["spending_controls"] ?? data["spending_limits"],
  );
  claim("risk_control", data["risk_control"]);
  claim("metadata", data["metadata"]);
  claim(
    "no_pin_payment_amount",
    (data["no_pin_payment_amount"] as string | undefined)?.replace("USD", ""),
  );
  if (isAuthorization(stored)) {
    const id = text(data["card_id"]);
    const claimBooked = claimer(cards, id, stored, bookedAtOf(stored));
    claimBooked("available_balance", data["card_available_balance"]);
    return;
  }
  const isAnnounced = type === "card.status.update.succeeded";
  const status =
    data["activation_status"] === "Activated"
      ? "ACTIVE"
      : text(data["card_status"]);
  claim(
    "status",
    { status, reason: data["update_reason"] ?? null },
    finalityOf(status),
    isAnnounced ? 1 : 0,
  );
  if (!isAnnounced) claim("observed_status", status);
  if (status === "PRE_CANCEL") claim("cancel_requested", true);
}

function finalityOf(status: string): number {
  if (status === "CANCELLED" || status === "FAILED") return 2;
  return status === "PRE_CANCEL" ? 1 : 0;
}

function claimOfAuthorization(
  authorizations: Claims,
  stored: StoredEvent,
): void {
  const { data, sourceId } = stored.event;
  const finality = data["transaction_status"] === "PENDING" ? 0 : 1;
  const claim = claimer(
    authorizations,
    text(data["transaction_id"] ?? sourceId),
    stored,
    ownTimeOf(stored),
    finality,
  );
  const [merchant] =
    (data["merchant_data"] as readonly Data[] | undefined) ?? [];
  claim("last_event", true);
  for (const column of PLAIN_AUTHORIZATION_COLUMNS) claim(column, data[column]);
  claim("mcc", merchant?.["category_code"]);
  claim("merchant_name", merchant?.["name"]);
}

const PLAIN_AUTHORIZATION_COLUMNS = [
  "card_id",
  "transaction_status",
  "description",
  "transaction_type",
  "transaction_amount",
  "transaction_currency",
  "billing_amount",
  "billing_currency",
  "transaction_time",
  "posted_time",
];

function ownTimeOf({ event: { data } }: StoredEvent): string | undefined {
  const own =
    data["update_time"] ?? data["transaction_time"] ?? data["posted_time"];
  return own === undefined ? undefined : instant(text(own));
}

/** When the balance of a transaction stood. */
function bookedAtOf({ event: { data } }: StoredEvent): string | undefined {
  const own = data["posted_time"] ?? data["transaction_time"];
  return own === undefined ? undefined : instant(text(own));
}

/** Claims are dated by the event's own time, but nothing happens after it was signed for. */
function claimer(
  claims: Claims,
  id: string,
  { event, signedAt }: StoredEvent,
  ownTime: string | undefined,
  usualFinality = 0,
) {
  const columns = claims.get(id) ?? new Map<string, Claim[]>();
  claims.set(id, columns);
  const at = ownTime !== undefined && ownTime < signedAt ? ownTime : signedAt;
  return (
    column: string,
    value: unknown,
    finality = usualFinality,
    authority = 0,
  ) => {
    if (value === undefined) return;
    const claim = {
      value,
      finality,
      authority,
      at,
      signedAt,
      eventId: event.id,
    };
    const list = columns.get(column);
    if (list) list.push(claim);
    else columns.set(column, [claim]);
  };
}

function inOrder(a: Claim, b: Claim): number {
  return (
    a.finality - b.finality ||
    a.authority - b.authority ||
    compare(a.at, b.at) ||
    compare(a.signedAt, b.signedAt) ||
    Buffer.compare(Buffer.from(a.eventId), Buffer.from(b.eventId))
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function truth(columns: ReadonlyMap<string, readonly Claim[]>) {
  return (column: string): Claim | undefined =>
    columns.get(column)?.toSorted(inOrder).at(-1);
}

function cardRow(columns: ReadonlyMap<string, readonly Claim[]>): Row {
  const winner = truth(columns);
  const plain = (column: string) => textOrNull(winner(column)?.value);
  const status = winner("status");
  const stated = status?.value as
    { status: string; reason: string | null } | undefined;
  const controls = winner("spending_controls");
  const risk = winner("risk_control");
  const allowed = mccList(risk, "allowed_mcc");
  const blocked = mccList(risk, "blocked_mcc");
  return {
    card_number: plain("card_number"),
    card_scheme: plain("card_scheme"),
    cardholder_id: plain("cardholder_id"),
    card_status: stated?.status ?? null,
    status_reason: stated?.reason ?? null,
    status_changed_at: status?.at ?? null,
    observed_status: plain("observed_status"),
    observed_status_at: winner("observed_status")?.at ?? null,
    status_contradicted: String(
      isContradicted(status, winner("observed_status")),
    ),
    available_balance: plain("available_balance"),
    balance_as_of: winner("available_balance")?.at ?? null,
    card_limit: plain("card_limit"),
    per_transaction_limit: perTransactionLimit(controls),
    spending_controls: json(controls?.value),
    risk_control: json(risk?.value),
    allowed_mcc: json(allowed),
    blocked_mcc: json(blocked),
    mcc_mode: mccMode(allowed, blocked),
    metadata: json(winner("metadata")?.value),
    no_pin_payment_amount: plain("no_pin_payment_amount"),
    controls_updated_at:
      [controls?.at, risk?.at]
        .filter((at) => at !== undefined)
        .sort()
        .at(-1) ?? null,
    cancel_requested_at:
      columns
        .get("cancel_requested")
        ?.map(({ at }) => at)
        .sort()[0] ?? null,
    cancelled_at: stated?.status === "CANCELLED" ? (status?.at ?? null) : null,
    first_seen_at:
      columns
        .get("first_seen")
        ?.map(({ signedAt }) => signedAt)
        .sort()[0] ?? null,
    last_event_id: winner("last_event")?.eventId ?? null,
    last_event_at: winner("last_event")?.at ?? null,
  };
}

function mccList(
  risk: Claim | undefined,
  name: string,
): readonly string[] | undefined {
  if (risk === undefined) return undefined;
  return ((risk.value as Data)[name] as string[] | undefined) ?? [];
}

function isContradicted(
  status: Claim | undefined,
  observed: Claim | undefined,
): boolean {
  if (status === undefined || observed === undefined) return false;
  const stated = status.value as { readonly status: string };
  return observed.value !== stated.status && observed.at > status.at;
}

function mccMode(
  allowed: readonly string[] | undefined,
  blocked: readonly string[] | undefined,
): string | null {
  if (allowed === undefined || blocked === undefined) return null;
  if (allowed.length > 0) return "allow";
  return blocked.length > 0 ? "block" : "none";
}

function perTransactionLimit(controls: Claim | undefined): string | null {
  const list = controls?.value as readonly Data[] | undefined;
  const control = list?.find(({ interval }) => interval === "PER_TRANSACTION");
  return textOrNull(control?.["amount"]);
}

function authorizationRow(columns: ReadonlyMap<string, readonly Claim[]>): Row {
  const winner = truth(columns);
  const value = (column: string) => textOrNull(winner(column)?.value);
  const time = (column: string) => {
    const stated = value(column);
    return stated === null ? null : instant(stated);
  };
  const category =
    value("transaction_status") === "DECLINED"
      ? categoryOf(value("description"))
      : null;
  return {
    event_id: winner("last_event")?.eventId ?? null,
    ...Object.fromEntries(
      PLAIN_AUTHORIZATION_COLUMNS.map((column) => [column, value(column)]),
    ),
    transaction_time: time("transaction_time"),
    posted_time: time("posted_time"),
    mcc: value("mcc"),
    merchant_name: value("merchant_name"),
    decline_category: category,
    mcc_declined: String(category === "mcc"),
  };
}

function categoryOf(description: string | null): string {
  const known = Object.entries(DECLINE_TEXTS).find(([, texts]) =>
    texts.includes(description ?? ""),
  );
  return known?.[0] ?? "other";
}

/** Sorted by key at every depth: `jsonb` has an order of its own. */
export function json(value: unknown): string | null {
  return value === undefined || value === null
    ? null
    : JSON.stringify(value, (_key, member: unknown) =>
        typeof member === "object" && member !== null && !Array.isArray(member)
          ? Object.fromEntries(
              Object.entries(member).sort(([a], [b]) => compare(a, b)),
            )
          : member,
      );
}

function instant(isoTime: string): string {
  return `${new Date(isoTime).toISOString().slice(0, -1)}000Z`;
}

function text(value: unknown): string {
  if (typeof value !== "string") throw new Error("the model expects text");
  return value;
}

function textOrNull(value: unknown): string | null {
  return value === undefined || value === null ? null : text(value);
}

function mapValues<In, Out>(
  map: ReadonlyMap<string, In>,
  change: (value: In) => Out,
): ReadonlyMap<string, Out> {
  return new Map([...map].map(([key, value]) => [key, change(value)]));
}
