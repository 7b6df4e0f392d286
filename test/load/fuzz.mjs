// Fuzz: bad and good input at volume through the public door, and every request accounted for.
//
//   npm run test:fuzz -- [--requests 200000] [--seed N] [--queue redis|postgres] [--concurrency 64]
//
// Structure is fast-check's part, from a seed that is printed: the same seed sends the same deliveries (only the
// clock and what is interleaved differ). Each answer is compared with what the contract says of such a delivery,
// and at the end the tables with all the answers.
import { createHash, createHmac } from "node:crypto";
import http from "node:http";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import zlib from "node:zlib";
import fc from "fast-check";
import { handledEventTypes } from "../../dist/src/uqpay/event-types/index.js";
import { sign } from "../../dist/src/uqpay/signature.js";
import { post, readPayloads } from "./deliveries.mjs";
import {
  SECRET,
  Verdict,
  peakResidentMiB,
  readMetrics,
  readOptions,
  residentMiB,
  startSystem,
  waitUntilApplied,
} from "./system.mjs";

const options = readOptions({
  requests: 200_000,
  seed: Date.now() % 1_000_000_000,
  queue: "postgres",
  concurrency: 64,
  // Sends nothing but this delivery of the seed, and prints it.
  only: -1,
});

const MAX_BODY_BYTES = 256 * 1024;
const BATCH = 1_000;
/** By the issue: so long after the end nothing may wait any more. */
const PATIENCE_MS = 10_000;
/** What the service's memory may grow by from the first quarter to the end. */
const MEMORY_BOUND_MIB = 64;

const payloads = readPayloads();

// ---- What is sent ----------------------------------------------------------------------------------------------

/** Stands in the value for a number that `JSON.stringify` cannot write; see `toText`. */
const RAW = "\u0001raw:";

const oddNumber = fc
  .constantFrom(
    ...["0", "-0", "0.0", "-0.00", "1.10", "1e2", "1E+2", "1e-7", "1e400"],
    ...["-1e400", "1e-400", "1e999999", "1e9999999", "12345678901234567890"],
    ...["0.1000000000000000055511151231257827", "9007199254740993", "5999.0"],
    ...[`1${"0".repeat(300)}`, `0.${"3".repeat(400)}`, "999", "5e3"],
    // Not JSON:
    ...["01", "+1", ".5", "1.", "NaN", "Infinity", "-", "0x10", "1_000"],
  )
  .map((text) => `${RAW}${text}`);

const oddText = fc.oneof(
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.constantFrom(
    ...["", " ", "\u0000", "a\u0000b", "\ud800", "x\udc00", "\ud800\ud800"],
    ...["\ufeff", "\u202etxt", "😀".repeat(255), "😀".repeat(256), "é\u0301"],
    ...["x".repeat(255), "x".repeat(256), "x".repeat(3_000), "123", "null"],
    ...["ACTIVE", "active ", "CANCELLED", "PRE_CANCEL", "DECLINED", "PENDING"],
    ...["Forbid MCC from card", "CVV is wrong", "USD", "2000USD", "1.2.3USD"],
    ...["5999", "599", "05999", "٥٩٩٩", "1.10", "1e2", "1e400", "-0", "1,5"],
    ...["NaN", "Infinity", "infinity", "now", "-infinity", "epoch"],
    ...["2026-04-12T10:00:00+08:00", "2026-02-30T00:00:00Z", "0001-01-01"],
    ...["2026-04-12T10:00:00", "9999-12-31T23:59:59-12:00", "294277-01-01"],
    ...["9999-12-31T23:59:59.999999999Z", "0001-01-01T00:00:00Z"],
    ...["2026-04-12T23:59:60Z", "2026-04-12 10:00Z", "4713-01-01 BC"],
    ...["__proto__", "constructor", "prototype", "toString", "{}", "[]"],
    ...["'; drop table cards; --", "\\", '"', "%s%n", "{{7*7}}", "$1", "\\x00"],
    ...handledEventTypes,
    ...["card.3ds.otp", "card.activation.code", "ISSUING", "card..", "."],
  ),
  fc.constantFrom(17_000, 70_000).map((length) => "x".repeat(length)),
);

const ownKey = fc.constantFrom(
  ...["__proto__", "constructor", "prototype", "toString", "valueOf", "length"],
  ...[
    "hasOwnProperty",
    "",
    "\u0000",
    "\ud800",
    "0",
    "-1",
    "otp",
    "cvv",
    "then",
  ],
);

/** `fromEntries` makes `__proto__` a key like any other, as a sender's JSON does. */
const prototypeObject = fc
  .array(fc.tuple(ownKey, fc.oneof(fc.jsonValue(), oddText)), { maxLength: 4 })
  .map((entries) => Object.fromEntries(entries));

const nested = fc
  .tuple(fc.constantFrom(2, 15, 16, 17, 100, 1_000), fc.boolean())
  .map(([depth, inLists]) => {
    /** @type {unknown} */
    let value = "deep";
    for (let level = 0; level < depth; level++)
      value = inLists ? [value] : { a: value };
    return value;
  });

const wide = fc
  .tuple(fc.constantFrom(10, 1_000, 5_000), fc.constantFrom(1.5, "5999", null))
  .map(([length, member]) => Array.from({ length }, () => member));

const oddValue = fc.oneof(
  { weight: 4, arbitrary: oddText },
  { weight: 3, arbitrary: oddNumber },
  {
    weight: 2,
    arbitrary: fc.constantFrom(null, true, false, 0, -1, 5999, [], {}),
  },
  { weight: 2, arbitrary: fc.jsonValue({ maxDepth: 3 }) },
  { weight: 1, arbitrary: prototypeObject },
  { weight: 1, arbitrary: fc.oneof(nested, wide) },
);

const structureChange = fc.record({
  /** Which of all the fields, taken modulo their number. */
  field: fc.nat(10_000),
  how: fc.constantFrom("replace", "replace", "remove", "wrap", "add", "twice"),
  key: ownKey,
  value: oddValue,
});

const byteChange = fc.record({
  how: fc.constantFrom("flip", "cut", "insert", "duplicate", "replace"),
  /** Where, in a millionth of the length. */
  at: fc.nat(1_000_000),
  length: fc.integer({ min: 1, max: 64 }),
  bytes: fc.uint8Array({ minLength: 1, maxLength: 8 }),
});

/** @template T @param {readonly (readonly [number, T])[]} choices */
const oneOf = (...choices) =>
  fc.oneof(
    ...choices.map(([weight, value]) => ({
      weight,
      arbitrary: fc.constant(value),
    })),
  );

const delivery = fc.record({
  payload: fc.nat(payloads.length - 1),
  isCompact: fc.boolean(),
  structure: fc.oneof(
    { weight: 3, arbitrary: fc.constant([]) },
    {
      weight: 6,
      arbitrary: fc.array(structureChange, { minLength: 1, maxLength: 3 }),
    },
  ),
  bytes: fc.oneof(
    { weight: 7, arbitrary: fc.constant([]) },
    {
      weight: 2,
      arbitrary: fc.array(byteChange, { minLength: 1, maxLength: 3 }),
    },
  ),
  padding: oneOf([400, 0], [1, 20_000], [1, 250_000], [1, 300_000]),
  identity: oneOf([20, "own"], [1, "same delivery"], [1, "same id"]),
  which: fc.nat(1_000),
  signature: oneOf(
    ...[
      [60, "right"],
      [3, "upper case"],
      [3, "second secret"],
      [4, "wrong secret"],
    ],
    ...[
      [3, "altered body"],
      [3, "altered time"],
      [2, "none"],
      [1, "empty"],
    ],
    ...[
      [2, "garbage"],
      [1, "short"],
      [1, "twice"],
      [1, "time twice"],
    ],
  ),
  time: oneOf(
    ...[
      [60, "now"],
      [10, "now in seconds"],
      [3, "hour ago"],
      [3, "in an hour"],
    ],
    ...[
      [1, "0"],
      [1, "abc"],
      [1, "-1"],
      [1, "1e12"],
      [1, "999999999999999"],
    ],
    ...[
      [1, "9999999999999999"],
      [1, "1765432100.5"],
      [1, "253402300800000"],
    ],
  ),
  type: oneOf(
    ...[
      [60, "application/json"],
      [3, "application/json; charset=utf-8"],
    ],
    ...[
      [2, "APPLICATION/JSON ;x=y"],
      [1, "application/vnd.uqpay.v1+json"],
    ],
    ...[
      [1, "text/plain"],
      [1, "application/x-www-form-urlencoded"],
    ],
    ...[
      [1, "application/jsonp"],
      [1, "application/json,text/plain"],
      [1, ""],
    ],
    ...[
      [1, "multipart/form-data; boundary=x"],
      [1, "none"],
      [1, "json"],
    ],
  ),
  encoding: oneOf(
    ...[
      [80, "none"],
      [2, "gzip"],
      [1, "deflate"],
      [1, "br"],
      [1, "identity"],
    ],
    ...[
      [1, "gzip, but it is not"],
      [1, "gzip, cut"],
      [1, "gzip, large"],
    ],
    ...[
      [1, "br, but it is not"],
      [1, "zstd"],
      [1, "gzip, gzip"],
    ],
  ),
  transfer: oneOf([12, "length"], [1, "chunks"], [1, "small chunks"]),
  odd: oneOf(
    ...[
      [150, "nothing"],
      [1, "raw"],
      [1, "raw"],
      [1, "expect 100"],
    ],
    ...[
      [1, "expect other"],
      [1, "upgrade"],
      [1, "many headers"],
    ],
    ...[
      [1, "large header"],
      [1, "method"],
      [1, "path"],
    ],
  ),
  odder: fc.nat(1_000),
});

/** @typedef {typeof delivery extends fc.Arbitrary<infer D> ? D : never} Delivery */

/** Every place in a value where something can be changed, not too deep. @param {any} value @returns {[any, string][]} */
function placesIn(value, depth = 6) {
  if (typeof value !== "object" || value === null || depth === 0) return [];
  return Object.keys(value).flatMap((key) => [
    [value, key],
    ...placesIn(value[key], depth - 1),
  ]);
}

/** @param {any} event @param {any} change */
function changeStructure(event, { field, how, key, value }) {
  const places = placesIn(event);
  const [holder, name] = places[field % places.length] ?? [event, "data"];
  // A value may be used in two places: what was sampled must not be changed.
  const fresh = structuredClone(value);
  if (how === "remove")
    Array.isArray(holder)
      ? holder.splice(Number(name), 1)
      : delete holder[name];
  else if (how === "wrap") holder[name] = [holder[name]];
  else if (how === "add" && !Array.isArray(holder))
    Object.defineProperty(holder, key, {
      value: fresh,
      enumerable: true,
      configurable: true,
      writable: true,
    });
  else if (how === "twice") holder[`${TWICE}${name}`] = fresh;
  else holder[name] = fresh;
}

/** A field that comes twice: its name without the mark. */
const TWICE = "\u0001twice:";

/** @param {unknown} event */
function toText(event, isCompact = true) {
  return JSON.stringify(event, undefined, isCompact ? undefined : 2)
    .replaceAll(/"\\u0001raw:([^"]*)"/g, (_, number) => number)
    .replaceAll("\\u0001twice:", "");
}

/** @param {Buffer} body @param {any} change */
function changeBytes(body, { how, at, length, bytes }) {
  const index = Math.floor((at / 1_000_001) * body.length);
  const before = body.subarray(0, index);
  const after = body.subarray(index);
  switch (how) {
    case "flip": {
      const flipped = Buffer.from(body);
      if (flipped.length > 0)
        flipped[index] = (flipped[index] ?? 0) ^ (1 << (length % 8));
      return flipped;
    }
    case "cut":
      return Buffer.concat([before, after.subarray(length)]);
    case "insert":
      return Buffer.concat([before, bytes, after]);
    case "duplicate":
      return Buffer.concat([before, after.subarray(0, length), after]);
    default:
      return Buffer.concat([before, bytes, after.subarray(bytes.length)]);
  }
}

/** Deliveries that were stored, to be repeated. @type {{ id: string, body: Buffer }[]} */
const stored = [];

/** @param {any} plan @param {number} index @returns {Buffer} */
function makeBody(plan, index) {
  const earlier = stored[plan.which % Math.max(1, stored.length)];
  if (plan.identity === "same delivery" && earlier) return earlier.body;
  const event = structuredClone(payloads[plan.payload]?.value ?? {});
  event.event_id =
    plan.identity === "same id" && earlier
      ? earlier.id
      : `fuzz-${String(options.seed)}-${String(index)}`;
  if (plan.padding > 0) event.data.padding = "x".repeat(plan.padding);
  for (const change of plan.structure) changeStructure(event, change);
  let body = Buffer.from(toText(event, plan.isCompact));
  for (const change of plan.bytes) body = changeBytes(body, change);
  return body;
}

/** @param {any} plan */
function makeTimestamp({ time }) {
  const now = Date.now();
  switch (time) {
    case "now":
      return String(now);
    case "now in seconds":
      return String(Math.floor(now / 1000));
    case "hour ago":
      return String(now - 3_600_000);
    case "in an hour":
      return String(now + 3_600_000);
    default:
      return time;
  }
}

/** @param {any} plan @param {Buffer} body @param {string} timestamp @returns {[string, string][]} */
function signatureHeaders({ signature }, body, timestamp) {
  const right = sign(body, timestamp, SECRET);
  const time = /** @type {[string, string]} */ (["x-wk-timestamp", timestamp]);
  const signed = (/** @type {string} */ value) =>
    /** @type {[string, string][]} */ ([time, ["x-wk-signature", value]]);
  switch (signature) {
    case "right":
      return signed(right);
    case "upper case":
      return signed(right.toUpperCase());
    case "second secret":
      return signed(sign(body, timestamp, SECOND_SECRET));
    case "wrong secret":
      return signed(sign(body, timestamp, "whsec_wrong"));
    case "altered body":
      return signed(
        sign(Buffer.concat([body, Buffer.from(" ")]), timestamp, SECRET),
      );
    case "altered time":
      return signed(sign(body, `${timestamp}0`, SECRET));
    case "none":
      return [time];
    case "empty":
      return signed("");
    case "garbage":
      return signed("zz".repeat(64));
    case "short":
      return signed(right.slice(0, 126));
    case "twice":
      return [...signed(right), ["x-wk-signature", right]];
    default:
      return [...signed(right), time];
  }
}

const SECOND_SECRET = "whsec_load_test_second";
const MISSING = new Set(["none", "empty", "twice", "time twice"]);
const AUTHENTIC = new Set(["right", "upper case", "second secret"]);

/** @param {any} plan @param {Buffer} body @returns {Buffer} as it goes over the wire */
function encode({ encoding }, body) {
  switch (encoding) {
    case "gzip":
      return zlib.gzipSync(body, { level: 1 });
    case "gzip, cut": {
      const whole = zlib.gzipSync(body, { level: 1 });
      return whole.subarray(0, Math.floor(whole.length / 2));
    }
    case "gzip, large":
      return LARGE_GZIP;
    case "deflate":
      return zlib.deflateSync(body, { level: 1 });
    case "br":
      return zlib.brotliCompressSync(body, {
        params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 1 },
      });
    default:
      return body;
  }
}

/** 16 KB on the wire, 16 MB when undone. */
const LARGE_GZIP = zlib.gzipSync(Buffer.alloc(16 * 1024 * 1024));
const ENCODED = new Set([
  "gzip",
  "gzip, cut",
  "gzip, large",
  "gzip, but it is not",
]);

/** @param {any} plan @returns {[string, string][]} */
function encodingHeader({ encoding }) {
  if (encoding === "none") return [];
  if (ENCODED.has(encoding)) return [["content-encoding", "gzip"]];
  return [["content-encoding", encoding.replace(", but it is not", "")]];
}

// ---- What the contract says of it --------------------------------------------------------------------------------

const JSON_TYPES = /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i;

/**
 * The answers that the contract allows.
 *
 * @param {any} plan @param {Buffer} body @param {Buffer} wire @param {string} timestamp
 * @returns {readonly string[]}
 */
function allowedAnswers(plan, body, wire, timestamp) {
  const { encoding, signature } = plan;
  if (plan.odd === "method")
    return ["405", "405 method_not_allowed", "404 not_found"];
  if (plan.odd === "path") return ["404 not_found", "400 bad_request"];
  if (plan.odd === "large header")
    return ["431 headers_too_large", "408 request_timeout"];
  if (plan.odd === "expect other")
    return ["417 expectation_failed", ...usual()];
  return usual();

  function usual() {
    if (encoding === "gzip, large") return ["413 payload_too_large"];
    if (wire.length > MAX_BODY_BYTES || body.length > MAX_BODY_BYTES) {
      // What is sent may be damaged before it is too large.
      return encoding === "none" || encoding === "identity"
        ? ["413 payload_too_large"]
        : ["413 payload_too_large", "415 unsupported_media_type"];
    }
    const isBrotli = encoding.startsWith("br, but") && isBrotliByChance(wire);
    const cannotBeUndone =
      /cut|not|zstd|, gzip/.test(encoding) && wire.length > 0 && !isBrotli;
    if (cannotBeUndone) return ["415 unsupported_media_type"];
    if (plan.type === "none" || !JSON_TYPES.test(plan.type))
      return ["415 unsupported_media_type"];
    if (MISSING.has(signature)) return ["401 missing_signature"];
    if (!AUTHENTIC.has(signature) || isBrotli) return ["401 invalid_signature"];
    if (!isFresh(timestamp)) return ["401 stale_timestamp"];
    return [
      "200 accepted",
      "200 ignored",
      "200 duplicate",
      "400 invalid_json",
      "422 invalid_payload",
    ];
  }
}

/** Brotli has no mark at its beginning: a damaged body may be some. What comes of it was not signed. @param {Buffer} wire */
function isBrotliByChance(wire) {
  try {
    zlib.brotliDecompressSync(wire);
    return true;
  } catch {
    return false;
  }
}

/** @param {string} timestamp */
function isFresh(timestamp) {
  if (!/^\d{1,15}$/.test(timestamp)) return false;
  const number = Number(timestamp);
  const ms = number >= 1e12 ? number : number * 1000;
  return Math.abs(Date.now() - ms) < 300_000;
}

const CODES = new Set([
  ...["payload_too_large", "unsupported_media_type", "missing_signature"],
  ...[
    "invalid_signature",
    "stale_timestamp",
    "invalid_json",
    "invalid_payload",
  ],
  ...["unavailable", "method_not_allowed", "not_found", "bad_request"],
  ...["headers_too_large", "request_timeout", "expectation_failed"],
]);

/** Nothing else refuses an event; the empty path is that of an envelope that is no object. */
const REQUIRED =
  /^(?:|event_id|event_type|data(?:\.(?:card_id|card_status|update_time|transaction_status))?)$/;

/** What is wrong with the form of an answer, if anything. @param {import("./deliveries.mjs").Answer} answer */
function faultOfForm({ status, headers, text }) {
  if (!/^application\/json; charset=utf-8$/.test(headers["content-type"] ?? ""))
    return `content-type is ${String(headers["content-type"])}`;
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    return "is not JSON";
  }
  if (status === 200) {
    const isRight =
      ["accepted", "duplicate", "ignored"].includes(body.status) &&
      typeof body.event_id === "string" &&
      Object.keys(body).join() === "status,event_id";
    return isRight ? undefined : "has not the form of a receipt";
  }
  const { code, message, issues } = body.error ?? {};
  if (!CODES.has(code) || typeof message !== "string")
    return "has not the form of an error";
  if ((issues !== undefined) !== (code === "invalid_payload"))
    return "has issues where it must not, or none";
  const areRight = (issues ?? []).every(
    (/** @type {any} */ issue) =>
      typeof issue.path === "string" && typeof issue.message === "string",
  );
  if (!areRight) return "has issues of another form";
  const isOfRequired = (issues ?? []).every((/** @type {any} */ issue) =>
    REQUIRED.test(issue.path),
  );
  return isOfRequired ? undefined : "refuses for a field that is optional";
}

// ---- Sending and accounting --------------------------------------------------------------------------------------

/** @typedef {{ sha: string, isAuthentic: boolean, answer: string, eventId: string | undefined }} Sent */
/** @type {Sent[]} */
const sent = [];
/** Digests of bodies to which no answer came. @type {Set<string>} */
const unanswered = new Set();
/** The keyed digest, under which sensitive bodies are stored, to the plain one. @type {Map<string, string>} */
const plainByKeyed = new Map();
/** @type {Record<string, number>} */
const answers = {};
/** By what is wrong, with the first delivery that showed it. @type {Map<string, { count: number, first: unknown }>} */
const faults = new Map();
const agent = new http.Agent({
  keepAlive: true,
  maxSockets: options.concurrency,
});

/** @param {string} what @param {number} index @param {any} plan @param {Buffer} body */
function reportFault(what, index, plan, body) {
  const known = faults.get(what);
  if (known) {
    known.count++;
    return;
  }
  process.stdout.write(`  FAULT ${what} (delivery ${String(index)})\n`);
  const first = { index, plan, body: body.toString("base64").slice(0, 4_000) };
  faults.set(what, { count: 1, first });
}

/** @param {number} port @param {any} plan @param {number} index */
async function deliverOne(port, plan, index) {
  const body = makeBody(plan, index);
  const wire = encode(plan, body);
  const timestamp = makeTimestamp(plan);
  if (plan.odd === "raw") {
    await deliverRaw(port, plan, index, body, timestamp);
    return;
  }
  const headers = [
    ["host", `127.0.0.1:${String(port)}`],
    ...(plan.type === "none" ? [] : [["content-type", plan.type]]),
    ...encodingHeader(plan),
    ...signatureHeaders(plan, body, timestamp),
    ...oddHeaders(plan),
    ...(plan.transfer === "length"
      ? [["content-length", String(wire.length)]]
      : [["transfer-encoding", "chunked"]]),
  ].flat();
  /** @type {import("./deliveries.mjs").Answer} */
  let answer;
  try {
    answer = await post({
      port,
      agent,
      headers,
      body: plan.transfer === "length" ? wire : inParts(wire, plan),
      ...(plan.odd === "method" && {
        method: METHODS[plan.odder % METHODS.length],
      }),
      ...(plan.odd === "path" && { path: PATHS[plan.odder % PATHS.length] }),
    });
  } catch (error) {
    // Node ends a connection on headers that are too large as soon as it sees that, whatever is still sent.
    if (plan.odd === "large header") return;
    reportFault(`no answer: ${String(error)}`, index, plan, body);
    // Whether it was taken in is not known.
    unanswered.add(createHash("sha256").update(body).digest("hex"));
    plainByKeyed.set(
      createHmac("sha256", SECRET).update(body).digest("hex"),
      createHash("sha256").update(body).digest("hex"),
    );
    return;
  }
  account(answer, plan, index, body, wire, timestamp);
}

/** @param {import("./deliveries.mjs").Answer} answer @param {any} plan @param {number} index @param {Buffer} body @param {Buffer} wire @param {string} timestamp */
function account(answer, plan, index, body, wire, timestamp) {
  const isHead =
    plan.odd === "method" && METHODS[plan.odder % METHODS.length] === "HEAD";
  const form = isHead ? undefined : faultOfForm(answer);
  const parsed = form === undefined && !isHead ? JSON.parse(answer.text) : {};
  const word = parsed.status ?? parsed.error?.code;
  const short =
    word === undefined
      ? String(answer.status)
      : `${String(answer.status)} ${word}`;
  answers[short] = (answers[short] ?? 0) + 1;
  if (answer.status >= 500) reportFault(`answered ${short}`, index, plan, body);
  if (form !== undefined)
    reportFault(`the answer ${short} ${form}`, index, plan, body);
  const allowed = allowedAnswers(plan, body, wire, timestamp);
  if (form === undefined && !allowed.includes(short))
    reportFault(
      `answered ${short}, where only ${allowed.join(" or ")} is right`,
      index,
      plan,
      body,
    );

  const sha = createHash("sha256").update(body).digest("hex");
  plainByKeyed.set(
    createHmac("sha256", SECRET).update(body).digest("hex"),
    sha,
  );
  const isAuthentic = AUTHENTIC.has(plan.signature);
  sent.push({ sha, isAuthentic, answer: short, eventId: parsed.event_id });
  if (short === "200 accepted" || short === "200 ignored") {
    const entry = { id: parsed.event_id, body };
    if (stored.length < 1_000) stored.push(entry);
    else stored[index % 1_000] = entry;
  }
}

const METHODS = [
  "GET",
  "PUT",
  "DELETE",
  "PATCH",
  "OPTIONS",
  "HEAD",
  "PROPFIND",
  "TRACE",
];
const PATHS = [
  ...[
    "/",
    "/webhooks",
    "/webhooks/uqpay2",
    "/webhooks/%ff",
    "/%",
    "//",
    "/admin",
  ],
  ...["/admin/events", "/webhooks/uqpay/x", "/webhooks/../cards", "/?a=%00"],
  ...["/healthz", "/readyz", "/metrics"],
];

/** @param {any} plan @returns {[string, string][]} */
function oddHeaders({ odd, odder }) {
  switch (odd) {
    case "expect 100":
      return [["expect", "100-continue"]];
    case "expect other":
      return [["expect", "a-miracle"]];
    case "upgrade":
      return [
        ["connection", "upgrade"],
        ["upgrade", "websocket"],
      ];
    case "many headers":
      return Array.from({ length: 50 }, (_, i) => [
        `x-odd-${String(i)}`,
        "y".repeat(odder % 100),
      ]);
    case "large header":
      return [["x-large", "y".repeat(20_000)]];
    default:
      return [];
  }
}

/** @param {Buffer} wire @param {any} plan */
function inParts(wire, { transfer, odder }) {
  const size = transfer === "chunks" ? 1_000 : 1 + (odder % 20);
  // At most 500 parts, or a large body takes for ever.
  const step = Math.max(size, Math.ceil(wire.length / 500));
  return Array.from({ length: Math.ceil(wire.length / step) }, (_, i) =>
    wire.subarray(i * step, (i + 1) * step),
  );
}

/**
 * A request as bytes, damaged as such: what no HTTP client would send. Any answer will do but a 5xx, and none.
 *
 * @param {number} port @param {any} plan @param {number} index @param {Buffer} body @param {string} timestamp
 */
async function deliverRaw(port, plan, index, body, timestamp) {
  const head = [
    "POST /webhooks/uqpay HTTP/1.1",
    "host: x",
    "content-type: application/json",
    ...signatureHeaders({ signature: "wrong secret" }, body, timestamp).map(
      (h) => h.join(": "),
    ),
    plan.transfer === "length"
      ? `content-length: ${String(body.length)}`
      : "transfer-encoding: chunked",
  ].join("\r\n");
  const seedBytes = Buffer.from(String(plan.odder));
  let bytes = Buffer.concat([Buffer.from(`${head}\r\n\r\n`), body]);
  const changes =
    plan.bytes.length > 0
      ? plan.bytes
      : [{ how: "replace", at: plan.odder * 300, length: 5, bytes: seedBytes }];
  for (const change of changes)
    bytes = changeBytes(bytes, { ...change, at: change.at % 300_000 });
  const text = await exchange(port, bytes);
  const status = /^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? "closed";
  const short = `raw: ${status}`;
  answers[short] = (answers[short] ?? 0) + 1;
  if (status.startsWith("5"))
    reportFault(`answered ${short}`, index, plan, bytes);
  if (status.startsWith("2"))
    reportFault(`took in what was not signed: ${short}`, index, plan, bytes);
  if (
    status !== "closed" &&
    !/\r\ncontent-type: application\/json; charset=utf-8\r\n/i.test(text)
  )
    reportFault(`the answer ${short} is not JSON`, index, plan, bytes);
}

/** @param {number} port @param {Buffer} bytes @returns {Promise<string>} all that came back */
function exchange(port, bytes) {
  return new Promise((resolve) => {
    let text = "";
    const socket = connect(port, "127.0.0.1");
    const timer = setTimeout(() => socket.destroy(), 5_000);
    socket.on("data", (data) => (text += data.toString("latin1")));
    socket.on("error", () => undefined);
    socket.on("close", () => {
      clearTimeout(timer);
      resolve(text);
    });
    socket.end(bytes);
  });
}

/** @param {number} port @param {(done: number) => Promise<void>} onQuarter */
async function deliverAll(port, onQuarter) {
  let index = 0;
  let plans = /** @type {any[]} */ ([]);
  const quarter = Math.max(1, Math.floor(options.requests / 4));
  const next = () => {
    const at = index++;
    if (at >= options.requests) return undefined;
    if (at % BATCH === 0)
      plans = fc.sample(delivery, {
        numRuns: BATCH,
        seed: (options.seed + at) | 0,
      });
    return { at, plan: plans[at % BATCH] };
  };
  const lane = async () => {
    for (let item = next(); item !== undefined; item = next()) {
      await deliverOne(port, item.plan, item.at);
      if ((item.at + 1) % quarter === 0) await onQuarter(item.at + 1);
      if (system.ended() !== undefined) return;
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, lane));
}

/** Compares the tables with all the answers. @param {Verdict} verdict */
async function audit(verdict) {
  const plain = (/** @type {Buffer} */ digest) => {
    const hex = digest.toString("hex");
    return plainByKeyed.get(hex) ?? hex;
  };
  const inbox = new Map(
    (
      await system.rows(
        "select event_id, body_sha256, state from webhook_events",
      )
    ).map((row) => [
      row.event_id,
      { sha: plain(row.body_sha256), state: row.state },
    ]),
  );
  const quarantine = new Map(
    (
      await system.rows(
        "select reason, body_sha256, deliveries from quarantined_events",
      )
    ).map((row) => [`${row.reason} ${plain(row.body_sha256)}`, row.deliveries]),
  );
  const inboxShas = new Set([...inbox.values()].map(({ sha }) => sha));

  /** @type {Map<string, number>} */
  const expected = new Map();
  const expect = (/** @type {string} */ key) =>
    expected.set(key, (expected.get(key) ?? 0) + 1);
  const firsts = new Set();
  let lost = 0;
  let twice = 0;
  for (const { sha, isAuthentic, answer, eventId } of sent) {
    if (!isAuthentic) continue;
    const row = inbox.get(eventId ?? "");
    if (answer === "200 accepted" || answer === "200 ignored") {
      if (row?.sha !== sha) lost++;
      if (firsts.has(eventId)) twice++;
      firsts.add(eventId);
    } else if (answer === "200 duplicate") {
      if (row === undefined) lost++;
      else if (row.sha !== sha) expect(`event_id_conflict ${sha}`);
    } else {
      const reason = answer.split(" ")[1] ?? "";
      if (REASONS.has(reason)) expect(`${reason} ${sha}`);
    }
  }
  let unaccounted = 0;
  for (const [key, count] of expected) {
    const kept = quarantine.get(key) ?? 0;
    const [reason, sha = ""] = key.split(" ");
    // A stale delivery of what is stored already is not kept.
    const isRight =
      reason === "stale_timestamp" && inboxShas.has(sha)
        ? kept <= count
        : kept === count || (unanswered.has(sha) && kept > count);
    if (isRight) continue;
    if (unaccounted++ < 5)
      process.stdout.write(
        `       ${key}: ${String(count)} answered, ${String(kept)} kept\n`,
      );
  }
  const surplus = [...quarantine.keys()].filter(
    (key) => !expected.has(key) && !unanswered.has(key.split(" ")[1] ?? ""),
  ).length;
  const authentic = new Set(
    sent.filter((s) => s.isAuthentic).map((s) => s.sha),
  );
  const quarantined = new Set(
    [...quarantine.keys()].map((key) => key.split(" ")[1]),
  );
  const forgedKept = sent.filter(
    (s) =>
      !authentic.has(s.sha) && (inboxShas.has(s.sha) || quarantined.has(s.sha)),
  ).length;

  const signedCount = sent.filter((s) => s.isAuthentic).length;
  verdict.check(
    lost === 0,
    `every 200 is in the inbox (${String(firsts.size)} first, ${String(lost)} missing; ${String(signedCount)} signed in all)`,
  );
  verdict.check(twice === 0, `no event was accepted twice (${String(twice)})`);
  const strangers = [...inbox].filter(
    ([id, { sha }]) => !firsts.has(id) && !unanswered.has(sha),
  ).length;
  verdict.check(
    strangers === 0,
    `the inbox holds nothing else (${String(inbox.size)} rows; ${String(strangers)} unexplained, ${String(unanswered.size)} deliveries without an answer)`,
  );
  verdict.check(
    unaccounted === 0,
    `every signed refusal is in quarantine with its count (${String(expected.size)} rows, ${String(unaccounted)} wrong)`,
  );
  verdict.check(
    surplus === 0,
    `the quarantine holds nothing else (${String(surplus)})`,
  );
  verdict.check(
    forgedKept === 0,
    `nothing unsigned was kept (${String(forgedKept)})`,
  );
}

const REASONS = new Set(["invalid_json", "invalid_payload", "stale_timestamp"]);

const { queue } = options;
if (queue !== "redis" && queue !== "postgres")
  throw new Error("--queue is redis or postgres");
process.stdout.write(`fuzz: ${JSON.stringify(options)}\n`);
const system = await startSystem({
  queue,
  durable: false,
  env: { UQPAY_WEBHOOK_SECRET: `${SECRET},${SECOND_SECRET}` },
});
const verdict = new Verdict();
try {
  if (options.only >= 0) {
    const batch = options.only - (options.only % BATCH);
    const plan = fc.sample(delivery, {
      numRuns: BATCH,
      seed: (options.seed + batch) | 0,
    })[options.only % BATCH];
    process.stdout.write(`${JSON.stringify(plan)}\n`);
    await deliverOne(system.port, plan, options.only);
  } else {
    const startedAt = performance.now();
    /** @type {number[]} */
    const memory = [];
    await deliverAll(system.port, async (done) => {
      memory.push(residentMiB(system.pid));
      const rate = done / ((performance.now() - startedAt) / 1000);
      const metrics = await readMetrics(system.port);
      process.stdout.write(
        `  ${String(done)} sent, ${rate.toFixed(0)}/s, resident ${(memory.at(-1) ?? NaN).toFixed(0)} MiB, heap ${((metrics.get("nodejs_heap_size_used_bytes") ?? 0) / 1_048_576).toFixed(0)} MiB\n`,
      );
    });
    const waiting = await waitUntilApplied(system, PATIENCE_MS);
    await sleep(500);
    const end = residentMiB(system.pid);
    const growth = end - (memory[0] ?? NaN);

    for (const [answer, count] of Object.entries(answers).toSorted())
      process.stdout.write(`${String(count).padStart(9)}  ${answer}\n`);
    process.stdout.write("\n");
    verdict.check(
      !(growth > MEMORY_BOUND_MIB),
      `memory does not grow: ${String(memory[0]?.toFixed(0))} MiB after a quarter, ${end.toFixed(0)} MiB at the end, ${peakResidentMiB(system.pid).toFixed(0)} MiB at most`,
    );
    verdict.check(
      waiting === 0,
      `nothing waits in the inbox ${String(PATIENCE_MS / 1000)} s after the end (${String(waiting)})`,
    );
    await audit(verdict);
  }
  const failed = await system.rows(
    "select event_id, event_type, last_error, body from webhook_events where state = 'failed' limit 5",
  );
  verdict.check(
    failed.length === 0,
    `nothing failed (${JSON.stringify(failed)})`,
  );
  verdict.check(
    system.ended() === undefined,
    `the service lives (${system.ended() ?? "yes"})`,
  );
  verdict.check(
    system.errors.length === 0,
    `nothing was logged as an error (${JSON.stringify(system.errors.slice(0, 5))})`,
  );
  verdict.check(
    faults.size === 0,
    `every answer is what the contract says (${String(faults.size)} kinds of fault)`,
  );
  for (const [what, { count, first }] of faults)
    process.stdout.write(
      `${String(count)} x ${what}: ${JSON.stringify(first).slice(0, 5_000)}\n`,
    );
  process.stdout.write(
    `again: npm run test:fuzz -- --seed ${String(options.seed)} --requests ${String(options.requests)}\n`,
  );
} finally {
  agent.destroy();
  await system.stop();
}
verdict.finish();
