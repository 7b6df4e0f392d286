import { isIP } from "node:net";
import { z } from "zod";
import { parseDatabaseUrl } from "./store/database-url.ts";
import type { NearMiss } from "./process/near-miss.ts";
import { findNearMisses } from "./process/near-miss.ts";

/** A configuration that cannot work. The message names every variable that is wrong, and no value. */
export class ConfigError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "ConfigError";
  }
}

const DEVELOPMENT_SECRET = "whsec_development";

/** What stands in a header of a request. The value must not end up in an error of the runtime, which repeats it. */
const headerValue = () =>
  z
    .string()
    .refine(hasNoBlankEnds, BLANK_ENDS)
    .regex(/^[\x21-\x7e]+$/, "must have only printable ASCII characters")
    .optional();

/** A whole number within these bounds. */
const whole = (min: number, max: number) =>
  z.coerce.number().int().min(min).max(max);
const port = whole(0, 65_535);
const url = (protocol: RegExp, what: string) =>
  z.url({ protocol, error: `must be a ${what} URL` }).optional();

const QUOTED =
  "is in quotes. A shell takes them away, docker's --env-file does not: write it without them";
const BLANK_ENDS =
  "has a blank or a line end at one of its ends: write it without";

// A payment service generates no code from strings, which zod does otherwise to read objects faster.
z.config({ jitless: true });

const schema = z.object({
  NODE_ENV: z.string().optional(),
  PORT: port.default(3000),
  HOST: z.string().optional(),
  OPS_PORT: port.optional(),
  ADMIN_TOKEN: z
    .string()
    .refine(hasNoBlankEnds, BLANK_ENDS)
    .min(16, "must have at least 16 characters")
    .optional(),
  UQPAY_ALLOWED_ADDRESSES: z
    .string()
    .transform(splitList)
    .refine(
      (ranges) => ranges.every(isAddressRange),
      "must be IP addresses or CIDR ranges",
    )
    .optional(),
  TRUSTED_PROXIES: z
    .string()
    .transform((text) => (/^\d+$/.test(text) ? Number(text) : splitList(text)))
    .refine(
      (proxies) => typeof proxies === "number" || proxies.every(isAddressRange),
      "must be a number of hops, or IP addresses or CIDR ranges",
    )
    .optional(),
  ROLE: z.enum(["all", "api", "worker"]).default("all"),
  DATABASE_URL: z
    .string()
    .superRefine((text, context) => {
      try {
        parseDatabaseUrl(text);
      } catch (error) {
        context.addIssue((error as Error).message);
      }
    })
    .optional(),
  DATABASE_POOL_SIZE: whole(2, 100).default(4),
  REDIS_URL: url(/^rediss?$/, "redis:// or rediss://"),
  QUEUE_PREFIX: z
    .string()
    .regex(/^[\w-]+$/, "must have only letters, digits, _ and -")
    .default("uqpay"),
  UQPAY_WEBHOOK_SECRET: z
    .string()
    .refine(hasNoBlankEnds, BLANK_ENDS)
    .transform(splitList)
    .refine(
      (secrets) => secrets.every((secret) => secret !== ""),
      "has an empty secret in its list",
    )
    .refine((secrets) => !secrets.some(hasQuote), QUOTED)
    .optional(),
  UQPAY_SIGNATURE_TOLERANCE_SECONDS: whole(1, 86_400).default(300),
  WORKER_CONCURRENCY: whole(1, 64).default(16),
  EVENT_MAX_ATTEMPTS: whole(1, 100).default(8),
  EVENT_RETRY_DELAY_MS: whole(1, 60_000).default(1_000),
  REQUEUE_PERIOD_MS: whole(100, 60_000).default(5_000),
  RETENTION_DAYS: whole(1, 36_500).optional(),
  UQPAY_API_BASE_URL: z
    .string()
    .refine(isApiUrl, "must be an https:// URL, or http:// to this machine")
    .transform((text) => text.replace(/\/+$/, ""))
    .optional(),
  UQPAY_CLIENT_ID: headerValue(),
  UQPAY_API_KEY: headerValue(),
  UQPAY_API_CALLS_PER_MINUTE: whole(1, Number.MAX_SAFE_INTEGER).default(120),
  UQPAY_API_LAG_SECONDS: whole(0, 3_600).default(5),
  RECONCILE_EVERY_MINUTES: whole(0, 43_200).default(360),
  LOG_LEVEL: z
    .enum(["fatal", "error", "warn", "info", "debug", "trace", "silent"])
    .default("info"),
  KEEP_ALIVE_SECONDS: whole(1, 86_400).default(65),
  HANG_TIMEOUT_MS: whole(2_000, 600_000).default(30_000),
  SHUTDOWN_DELAY_MS: whole(0, 600_000).optional(),
  SHUTDOWN_TIMEOUT_MS: whole(1_000, 600_000).default(25_000),
});

/** Of these a blank would be part of the key. */
const KEYS: readonly string[] = [
  "UQPAY_WEBHOOK_SECRET",
  "UQPAY_CLIENT_ID",
  "UQPAY_API_KEY",
  "ADMIN_TOKEN",
];

/** What may come from a file instead, as orchestrators mount secrets: `DATABASE_URL_FILE=/run/secrets/…`. */
const FROM_FILE = [
  "UQPAY_WEBHOOK_SECRET",
  "DATABASE_URL",
  "REDIS_URL",
  "ADMIN_TOKEN",
  "UQPAY_CLIENT_ID",
  "UQPAY_API_KEY",
];

/** Without one of them UQPAY's API cannot be asked; without all of them it is not. */
const API_ACCESS = [
  "UQPAY_API_BASE_URL",
  "UQPAY_CLIENT_ID",
  "UQPAY_API_KEY",
] as const;

/** Every variable that is read. */
const KNOWN: readonly string[] = [
  ...Object.keys(schema.shape),
  ...FROM_FILE.map((name) => `${name}_FILE`),
];

type Environment = Readonly<Record<string, string | undefined>>;

/** What is wrong, by the name of the variable. */
type Faults = Map<string, string>;

/** Everything that can be configured, read once. Frozen; see `.env.example` for each variable's reason. */
export type Config = ReturnType<typeof toConfig>;
export type LogLevel = Config["logLevel"];

/**
 * Reads the configuration from the environment. A variable that is set to nothing, or to blanks, counts as not set.
 *
 * @param readFile for the variables that name a file
 * @throws ConfigError naming every variable that is wrong or missing at once
 */
export function loadConfig(
  environment: Environment,
  readFile: (path: string) => string = refuseFiles,
): Config {
  const variables: Record<string, string> = {};
  for (const [name, value = ""] of Object.entries(environment))
    if (value.trim() !== "") variables[name] = withoutBlanks(name, value);
  const nearMisses = findNearMisses(Object.keys(variables), KNOWN);
  const faults: Faults = new Map();
  for (const name of KNOWN)
    if (isQuoted(variables[name] ?? "")) faults.set(name, QUOTED);
  readFiles(variables, readFile, faults);
  if (variables["NODE_ENV"] === "production")
    checkProduction(variables, faults);
  checkApiAccess(variables, faults);
  const unquoted = Object.entries(variables).filter(
    ([name]) => faults.get(name) !== QUOTED,
  );
  const parsed = schema.safeParse(Object.fromEntries(unquoted));
  for (const issue of parsed.error?.issues ?? [])
    faults.set(issue.path.join("."), withoutValue(issue.message));
  const config = parsed.data && toConfig(parsed.data, nearMisses);
  if (
    config &&
    config.http.port !== 0 &&
    config.http.opsPort === config.http.port
  )
    faults.set(
      "OPS_PORT",
      `must be another port than PORT (in production it is ${OPS_PORT} unless it is set)`,
    );
  if (config === undefined || faults.size > 0)
    throw new ConfigError(
      [
        "The configuration is wrong:",
        ...Array.from(faults, ([name, fault]) => `  ${name}: ${fault}`),
        ...nearMisses.map(
          ({ name, nearest }) =>
            `  (${name} is set and not known: is ${nearest} meant?)`,
        ),
      ].join("\n"),
    );
  return deepFreeze(config);
}

/** Where `/metrics` and `/admin` are in production: not on the port that is made public. */
const OPS_PORT = 9090;

function toConfig(
  env: z.output<typeof schema>,
  nearMisses: readonly NearMiss[],
) {
  const isProduction = env.NODE_ENV === "production";
  return {
    isProduction,
    http: {
      // In development the secret is public, so only this machine may send.
      host: env.HOST ?? (isProduction ? "0.0.0.0" : "127.0.0.1"),
      port: env.PORT,
      /** Where `/metrics` and `/admin` are served; undefined: on `port`. */
      opsPort: env.OPS_PORT ?? (isProduction ? OPS_PORT : undefined),
      adminToken: env.ADMIN_TOKEN,
      /** IP addresses and CIDR ranges that may deliver; undefined: all. */
      allowedAddresses: env.UQPAY_ALLOWED_ADDRESSES,
      /** Proxies whose X-Forwarded-For is believed: a number of hops, or addresses; undefined: none. */
      trustedProxies: env.TRUSTED_PROXIES,
      /** How long a connection without a request is kept. */
      keepAliveMs: env.KEEP_ALIVE_SECONDS * 1_000,
    },
    role: env.ROLE,
    webhook: {
      secrets: env.UQPAY_WEBHOOK_SECRET ?? [DEVELOPMENT_SECRET],
      toleranceSeconds: env.UQPAY_SIGNATURE_TOLERANCE_SECONDS,
      isDevelopmentSecret: env.UQPAY_WEBHOOK_SECRET === undefined,
    },
    postgres: {
      /** Undefined: the embedded PostgreSQL. */
      url: env.DATABASE_URL,
      /** Of each of the two pools: the receiver's and the worker's. */
      maxConnections: env.DATABASE_POOL_SIZE,
    },
    queue: {
      /** Undefined: the queue is in PostgreSQL. */
      redisUrl: env.REDIS_URL,
      prefix: env.QUEUE_PREFIX,
      concurrency: env.WORKER_CONCURRENCY,
      maxAttempts: env.EVENT_MAX_ATTEMPTS,
      firstRetryDelayMs: env.EVENT_RETRY_DELAY_MS,
      requeuePeriodMs: env.REQUEUE_PERIOD_MS,
    },
    /** UQPAY's API; undefined: it is not asked. */
    api: apiOf(env),
    /** Bodies older than this are dropped; undefined: none ever. */
    retentionDays: env.RETENTION_DAYS,
    logLevel: env.LOG_LEVEL,
    /** How long it is not ready, and still answers, before it stops. */
    shutdownDelayMs: env.SHUTDOWN_DELAY_MS ?? (isProduction ? 2_000 : 0),
    shutdownTimeoutMs: env.SHUTDOWN_TIMEOUT_MS,
    /** The process ends itself when its event loop stands still for so long. */
    hangTimeoutMs: env.HANG_TIMEOUT_MS,
    /** Variables that are set, not known, and read like one that is. */
    nearMisses,
  };
}

function apiOf(env: z.output<typeof schema>) {
  const { UQPAY_API_BASE_URL: baseUrl, UQPAY_CLIENT_ID: clientId } = env;
  const { UQPAY_API_KEY: apiKey } = env;
  if (!baseUrl || !clientId || !apiKey) return undefined;
  return {
    /** May have a path; without a slash at its end. */
    baseUrl,
    clientId,
    apiKey,
    /** Of all instances together. */
    callsPerMinute: env.UQPAY_API_CALLS_PER_MINUTE,
    /** An answer may show a card as it was so long ago. */
    lagSeconds: env.UQPAY_API_LAG_SECONDS,
    /** 0: never by itself. */
    reconcileEveryMinutes: env.RECONCILE_EVERY_MINUTES,
  };
}

/** All three or none: with one of them alone somebody means to use the API, and it would stay off silently. */
function checkApiAccess(variables: Environment, faults: Faults): void {
  const missing = API_ACCESS.filter((name) => !variables[name]);
  if (missing.length === API_ACCESS.length) return;
  const set = API_ACCESS.filter((name) => variables[name]);
  for (const name of missing)
    if (!faults.has(`${name}_FILE`))
      faults.set(
        name,
        `is missing: ${set.join(" and ")} ${set.length > 1 ? "are" : "is"} set`,
      );
}

/** Apart from the schema: a rule over several variables is not looked at while one of them is wrong. */
function checkProduction(variables: Environment, faults: Faults): void {
  for (const name of ["DATABASE_URL", "UQPAY_WEBHOOK_SECRET"])
    if (!variables[name] && !faults.has(`${name}_FILE`))
      faults.set(name, "is required with NODE_ENV=production");
  const secrets = splitList(variables["UQPAY_WEBHOOK_SECRET"] ?? "");
  if (secrets.includes(DEVELOPMENT_SECRET))
    faults.set(
      "UQPAY_WEBHOOK_SECRET",
      "must not be the development secret, which is public",
    );
}

function refuseFiles(): never {
  throw new Error("files are not read here");
}

/** Sets the variables whose values are in files. */
function readFiles(
  variables: Record<string, string>,
  readFile: (path: string) => string,
  faults: Faults,
): void {
  for (const name of FROM_FILE) {
    const from = `${name}_FILE`;
    const path = variables[from];
    if (path === undefined || faults.has(from)) continue;
    if (variables[name] !== undefined) faults.set(from, `${name} is set, too`);
    try {
      // An editor ends a file with a line end. Everything else is part of the value.
      const text = readFile(path).replace(/[\r\n]+$/, "");
      variables[name] = withoutBlanks(name, text);
    } catch {
      faults.set(from, "cannot be read");
    }
  }
}

function withoutBlanks(name: string, value: string): string {
  return KEYS.includes(name) ? value : value.trim();
}

function hasNoBlankEnds(text: string): boolean {
  return text === text.trim();
}

function isQuoted(text: string): boolean {
  return /^\s*(?:"[^]*"|'[^]*'|“[^]*”|‘[^]*’)\s*$/.test(text);
}

/** Of a list that is in quotes as a whole, only the first part and the last have one. */
function hasQuote(secret: string): boolean {
  return /^["'“‘]|["'”’]$/.test(secret);
}

function splitList(text: string): string[] {
  return text.split(",").map((part) => part.trim());
}

/** Keys go there: over plain http only to this machine, where the simulator is. */
function isApiUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  if (url.username || url.password || url.search || url.hash) return false;
  if (url.protocol === "https:") return true;
  return url.protocol === "http:" && isLoopback(url.hostname);
}

function isLoopback(host: string): boolean {
  return (
    host === "localhost" || host === "[::1]" || /^127(\.\d+){3}$/.test(host)
  );
}

function isAddressRange(text: string): boolean {
  const [address = "", prefix, ...rest] = text.split("/");
  const bits = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
  if (bits < 0 || rest.length > 0) return false;
  return (
    prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits)
  );
}

/** zod's own messages name what was expected; what was received may be a secret. */
function withoutValue(message: string): string {
  return message
    .replace(/^Invalid (input|option): /, "")
    .replace(/, received .*$/, "");
}

function deepFreeze<Value extends object>(value: Value): Value {
  for (const member of Object.values(value) as unknown[])
    if (typeof member === "object" && member !== null) deepFreeze(member);
  return Object.freeze(value);
}
