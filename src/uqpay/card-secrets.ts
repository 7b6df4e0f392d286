/*
 * UQPAY masks card numbers and sends no security codes. Where one comes all the same it is kept nowhere: not in a table,
 * not in the body that is kept of the event.
 */

/** Names of fields that hold a code or a key, in snake case, camel case or kebab case. */
const CODE = [
  "otp",
  "one[_-]?time[_-]?password",
  "activation[_-]?code",
  "secret[_-]?key",
  "cv[vcn]2?",
  "csc",
  "security[_-]?code",
  "verification[_-]?(?:code|value)",
  "pin(?:[_-]?(?:block|code))?",
  "track[_-]?(?:[12]|data)(?:[_-]?data)?",
];
const CODE_NAME = `(?:(?:card|new|old)[_-]?)?(?:${CODE.join("|")})`;

/** How names of fields end that may hold a card's number. */
const NUMBER_NAME =
  "(?:card[_-]?(?:number|num|no|pan|bin)|\\bd?pan|primary[_-]?account[_-]?number)";

/** A field of JSON whose name speaks of a code. */
const CODE_FIELD = new RegExp(`"${CODE_NAME}"\\s*:`, "i");

/** The same in what is no JSON: cut, quoted otherwise, or a form. */
const ODD_CODE_FIELD = new RegExp(`\\b${CODE_NAME}["']?\\s*[:=]`, "i");
const ODD_NUMBER_FIELD = new RegExp(
  `${NUMBER_NAME}["']?\\s*[:=]\\W{0,9}\\d(?:[\\W_]{0,3}\\d){11}`,
  "i",
);

export function hasCodeField(json: string): boolean {
  return CODE_FIELD.test(json);
}

/** Event types whose whole purpose is to carry a code or a key. */
const SENSITIVE_TYPES: ReadonlySet<string> = new Set([
  "card.3ds.otp",
  "card.verification.otp",
  "card.activation.code",
  "issuing.report.created",
  "issuing.report.succeeded",
]);

/**
 * Whether the body must not be kept. That of an event with a handler is always kept, since it is needed to reconcile:
 * without the codes that should not be in it. An event without one may carry a code under any name beside the one that
 * is found.
 *
 * @param eventType undefined when the body could not be read far enough to know
 */
export function isSensitive(
  eventType: string | undefined,
  hasHandler: boolean,
  json: string,
): boolean {
  if (eventType !== undefined && SENSITIVE_TYPES.has(eventType)) return true;
  return !hasHandler && hasCodeField(json);
}

/** Whether text that cannot be read as JSON seems to hold a code, or a card's number in the clear. */
export function mayHoldCardSecret(text: string): boolean {
  return ODD_CODE_FIELD.test(text) || ODD_NUMBER_FIELD.test(text);
}

/**
 * JSON that has a field of a code, or of a number that is not masked as UQPAY masks them, or an escaped letter or digit,
 * which may be part of either. All other is left alone without a closer look.
 */
const SUSPECT = new RegExp(
  `${CODE_FIELD.source}|${NUMBER_NAME}"\\s*:(?!\\s*"\\d{0,8}(?:[*xX]+\\d{0,4})?")|\\\\u00[3-7]`,
  "i",
);

/** A name with its colon, a text, a bracket or a number. */
const TOKEN = /("[^"\\]*(?:\\.[^"\\]*)*")(\s*:)?|[{}[\]]|-?\d[\d.eE+-]*/g;

const IS_CODE = new RegExp(`^${CODE_NAME}$`, "i");
const IS_NUMBER = new RegExp(`${NUMBER_NAME}$`, "i");
const BIN = /"card_bin"\s*:\s*"?(\d+)/g;

/**
 * Masks the card numbers of JSON that are in the clear and puts null for each code, also inside of lists and objects
 * under such a name; the rest stays as it was sent.
 *
 * @param json must be JSON
 * @returns the text itself where there is nothing of it
 */
export function withoutCardSecrets(json: string): string {
  if (!SUSPECT.test(json)) return json;
  const bins = new Set([...json.matchAll(BIN)].map(([, bin]) => String(bin)));
  /** Of the lists and objects that we are in, and of what comes next. */
  const around: Kind[] = [];
  let kind: Kind;
  const safe = (token: string, text?: string, colon?: string): string => {
    if (colon !== undefined)
      kind = kindOf(textOf(String(text))) ?? around.at(-1);
    else if (token === "{" || token === "[") around.push(kind);
    else if (token === "}" || token === "]") {
      around.pop();
      kind = around.at(-1);
    } else if (kind === "code" && token !== '""') return "null";
    else if (kind === "number") return maskToken(token, bins);
    return token;
  };
  return json.replace(TOKEN, safe);
}

type Kind = "code" | "number" | undefined;

function kindOf(name: string): Kind {
  if (IS_CODE.test(name)) return "code";
  return IS_NUMBER.test(name) ? "number" : undefined;
}

/** Of a string what it says, of a number how it is written. */
function textOf(token: string): string {
  return token.startsWith('"') ? (JSON.parse(token) as string) : token;
}

function maskToken(token: string, bins: ReadonlySet<string>): string {
  const text = textOf(token);
  const masked = maskCardNumber(text, bins);
  return masked === text ? token : JSON.stringify(masked);
}

/** Shorter than this no card's number is (ISO/IEC 7812 has 12 to 19 digits today). */
const SHORTEST_NUMBER = 12;
const LAST = 4;
const LONG_BIN = 8;
/** Of a shorter number eight and four digits would leave too few to guess (PCI DSS, FAQ 1091). */
const SHORTEST_WITH_LONG_BIN = 16;

/**
 * Shows the first six digits and the last four; the first eight where UQPAY masked it that way, or where they are the
 * card's BIN. What is masked already, and what is no card's number, stays as it is.
 */
export function maskCardNumber(
  text: string,
  bins: ReadonlySet<string>,
): string {
  const places = text.replace(/[^\d*xX#•]/g, "");
  if (places.length < SHORTEST_NUMBER || !/\d/.test(places)) return text;
  const isMasked = /\D/.test(places);
  if (isMasked && !/\d/.test(places.slice(LONG_BIN, -LAST))) return text;
  const hasLongBin =
    places.length >= SHORTEST_WITH_LONG_BIN &&
    bins.has(places.slice(0, LONG_BIN));
  const first = isMasked || hasLongBin ? LONG_BIN : LONG_BIN - 2;
  return (
    places.slice(0, first) +
    "*".repeat(places.length - first - LAST) +
    places.slice(-LAST)
  );
}
