// What the least worker keeps of an event: the fields that it is the newest to state, and its clock for them.

/** @typedef {Record<string, any>} Fields */
/** @typedef {{ signed_at: string, event_id: string, fields: string[] }} Clock */
/**
 * @typedef {object} Row
 * @property {Fields} fields what is newer than the row in the table, by column
 * @property {readonly Clock[]} clocks
 * @property {boolean} isKnown there is a row in the table
 * @property {boolean} isUsed only authorizations spoke of it
 */
/** @typedef {{ event_id: string, signed_at: string, received_at: string, data: Fields }} Event */

/** @returns {Row} */
const unknown = () => ({
  fields: {},
  clocks: [],
  isKnown: false,
  isUsed: true,
});

const FIELDS_OF_A_CARD = [
  "card_number",
  "card_bin",
  "card_scheme",
  "card_product_id",
  "card_currency",
  "mode_type",
  "form_factor",
  "card_limit",
  "metadata",
];

/** @param {Map<string, Row>} cards @param {Event} event */
export function cardIn(cards, event) {
  const { data, signed_at, event_id } = event;
  let card = cards.get(data.card_id);
  if (card === undefined) cards.set(data.card_id, (card = unknown()));
  const { fields } = card;
  fields.card_id = data.card_id;
  fields.first_seen_at ??= signed_at;
  fields.last_event_id = event_id;
  fields.last_event_at = signed_at;
  if (!("transaction_status" in data)) card.isUsed = false;
  const won = winner(card, event);
  for (const name of FIELDS_OF_A_CARD)
    if (data[name] !== undefined && won(name)) fields[name] = data[name];
  const cardholder = data.cardholder?.cardholder_id ?? data.cardholder_id;
  if (cardholder !== undefined && won("cardholder_id"))
    fields.cardholder_id = cardholder;
  const balance = data.available_balance ?? data.card_available_balance;
  if (balance !== undefined && won("available_balance")) {
    fields.available_balance = balance;
    fields.balance_as_of = signed_at;
  }
  if (data.card_status !== undefined && won("card_status"))
    Object.assign(fields, statusIn(data, signed_at));
  if (data.spending_controls !== undefined && won("spending_controls")) {
    fields.spending_controls = data.spending_controls;
    fields.per_transaction_limit = data.spending_controls[0]?.amount;
    fields.controls_updated_at = signed_at;
  }
  if (data.risk_control !== undefined && won("risk_control")) {
    fields.risk_control = data.risk_control;
    fields.allowed_mcc = listIn(data.risk_control.allowed_mcc);
    fields.blocked_mcc = listIn(data.risk_control.blocked_mcc);
    fields.mcc_mode = modeOf(data.risk_control);
    fields.controls_updated_at = signed_at;
  }
  won.keep();
}

/** @param {Fields} data @param {string} at @returns {Fields} */
function statusIn(data, at) {
  if (data.update_time === undefined)
    return { observed_status: data.card_status, observed_status_at: at };
  return {
    card_status: data.card_status,
    status_reason: data.update_reason,
    status_changed_at: data.update_time,
    cancelled_at:
      data.card_status === "CANCELLED" ? data.update_time : undefined,
  };
}

/** @param {readonly string[]} [codes] */
function listIn(codes = []) {
  return `{${codes.join()}}`;
}

/** @param {{ allowed_mcc?: readonly string[], blocked_mcc?: readonly string[] }} lists */
function modeOf({ allowed_mcc: allowed = [], blocked_mcc: blocked = [] }) {
  if (allowed.length > 0) return "allow";
  return blocked.length > 0 ? "block" : "none";
}

const FIELDS_OF_AN_AUTHORIZATION = [
  "card_id",
  "cardholder_id",
  "transaction_type",
  "transaction_status",
  "description",
  "transaction_amount",
  "transaction_currency",
  "billing_amount",
  "billing_currency",
  "transaction_fee",
  "transaction_fee_currency",
  "authorization_code",
  "transaction_time",
  "posted_time",
];

/** One of the payloads has none of its own. @param {Event} event @returns {string} */
export function idOf({ data, event_id }) {
  return data.transaction_id ?? event_id;
}

/** @param {Map<string, Row>} authorizations @param {Event} event */
export function authorizationIn(authorizations, event) {
  const { data } = event;
  const id = idOf(event);
  let authorization = authorizations.get(id);
  if (authorization === undefined)
    authorizations.set(id, (authorization = unknown()));
  const { fields } = authorization;
  fields.transaction_id = id;
  fields.event_id = event.event_id;
  fields.received_at ??= event.received_at;
  const won = winner(authorization, event);
  for (const name of FIELDS_OF_AN_AUTHORIZATION)
    if (data[name] && won(name)) fields[name] = data[name];
  const merchant = data.merchant_data?.[0];
  if (merchant && won("mcc")) fields.mcc = merchant.category_code;
  if (merchant && won("merchant_name")) fields.merchant_name = merchant.name;
  const isDeclined = data.transaction_status === "DECLINED";
  fields.mcc_declined = isDeclined && /MCC/.test(data.description);
  if (isDeclined)
    fields.decline_category = fields.mcc_declined ? "mcc" : "other";
  won.keep();
}

/**
 * @param {Row} row @param {Event} event
 * @returns asks whether the event is the newest to state a field; then `keep` writes its clock for those
 */
function winner(row, { signed_at, event_id }) {
  /** @type {Set<string>} */
  const fields = new Set();
  const newer = row.clocks.filter(
    (clock) =>
      clock.signed_at > signed_at ||
      (clock.signed_at === signed_at && clock.event_id > event_id),
  );
  const won = (/** @type {string} */ field) => {
    if (newer.some((clock) => clock.fields.includes(field))) return false;
    fields.add(field);
    return true;
  };
  won.keep = () => {
    if (fields.size === 0) return;
    const older = row.clocks.flatMap((clock) => {
      if (newer.includes(clock)) return [clock];
      const left = clock.fields.filter((field) => !fields.has(field));
      return left.length === 0 ? [] : [{ ...clock, fields: left }];
    });
    row.clocks = [...older, { signed_at, event_id, fields: [...fields] }];
  };
  return won;
}
