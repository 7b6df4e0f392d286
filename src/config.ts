import { isIP } from "node:net";
import { z } from "zod";
import { parseDatabaseUrl } from "./store/database-url.ts";
import type { NearMiss } from "./process/near-miss.ts";
import { findNearMisses } from "./process/near-miss.ts";

/** Everything that can be configured, read once. Frozen; see `.env.example` for each variable's reason. */
export interface Config {
  readonly isProduction: boolean;
  readonly http: {
    readonly host: string;
    readonly port: number;
    /** Where `/metrics` and `/admin` are served; undefined: on `port`. */
    readonly opsPort: number | undefined;
    readonly adminToken: string | undefined;
    /** IP addresses and CIDR ranges that may deliver; undefined: all. */
    readonly allowedAddresses: readonly string[] | undefined;
    /** Proxies whose X-Forwarded-For is believed: a number of hops, or addresses; undefined: none. */
    readonly trustedProxies: number | readonly string[] | undefined;
    /** How long a connection without a request is kept. */
    readonly keepAliveMs: number;
  };
  readonly role: "all" | "api" | "worker";
  readonly webhook: {
    readonly secrets: readonly string[];
    readonly toleranceSeconds: number;
    /** True when no secret was configured and the public development secret is in use. */
    readonly isDevelopmentSecret: boolean;
  };
  readonly postgres: {
    /** Undefined: the embedded PostgreSQL. */
    readonly url: string | undefined;
    /** Of each of the two pools: the receiver's and the worker's. */
    readonly maxConnections: number;
  };
  readonly queue: {
    /** Undefined: the queue is in PostgreSQL. */
    readonly redisUrl: string | undefined;
    readonly prefix: string;
    readonly concurrency: number;
    readonly maxAttempts: number;
    readonly firstRetryDelayMs: number;
    readonly requeuePeriodMs: number;
  };
  /** Bodies older than this are dropped; undefined: none ever. */
  readonly retentionDays: number | undefined;
  readonly logLevel: LogLevel;
  /** How long it is not ready, and still answers, before it stops. */
  readonly shutdownDelayMs: number;
  readonly shutdownTimeoutMs: number;
  /** The process ends itself when its event loop stands still for so long. */
  readonly hangTimeoutMs: number;
  /** Variables that are set, not known, and read like one that is. */
  readonly nearMisses: readonly NearMiss[];
}

const logLevels = [
  "fatal",
  "error",
  "warn",
  "info",
  "debug",
  "trace",
  "silent",
] as const;
export type LogLevel = (typeof logLevels)[number];

/** A configuration that cannot work. The message names every variable that is wrong, and no value. */
export class ConfigError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "ConfigError";
  }
}

const DEVELOPMENT_SECRET = "whsec_development";

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

// As in uqpay/fields.ts: no code is generated from strings.
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
  LOG_LEVEL: z.enum(logLevels).default("info"),
  KEEP_ALIVE_SECONDS: whole(1, 86_400).default(65),
  HANG_TIMEOUT_MS: whole(2_000, 600_000).default(30_000),
  SHUTDOWN_DELAY_MS: whole(0, 600_000).optional(),
  SHUTDOWN_TIMEOUT_MS: whole(1_000, 600_000).default(25_000),
});

/** Taken as they are: a blank would be part of the key. */
const SECRETS: readonly string[] = ["UQPAY_WEBHOOK_SECRET", "ADMIN_TOKEN"];

/** What may come from a file instead, as orchestrators mount secrets: `DATABASE_URL_FILE=/run/secrets/…`. */
const FROM_FILE = [
  "UQPAY_WEBHOOK_SECRET",
  "DATABASE_URL",
  "REDIS_URL",
  "ADMIN_TOKEN",
] as const;

/** Every variable that is read. */
const KNOWN: readonly string[] = [
  ...Object.keys(schema.shape),
  ...FROM_FILE.map((name) => `${name}_FILE`),
];

/** Where `/metrics` and `/admin` are in production: not on the port that is made public. */
const OPS_PORT = 9090;

type Environment = Readonly<Record<string, string | undefined>>;

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
  const set = Object.entries(environment).filter(
    ([, value]) => value !== undefined && value.trim() !== "",
  );
  const { variables, faults } = resolveFiles(Object.fromEntries(set), readFile);
  const quoted = KNOWN.filter((name) => isQuoted(variables[name] ?? ""));
  faults.push(...quoted.map((name) => `  ${name}: ${QUOTED}`));
  const parsed = schema.safeParse(without(variables, quoted));
  if (variables["NODE_ENV"] === "production")
    faults.push(...faultsInProduction(variables));
  if (!parsed.success) faults.push(...parsed.error.issues.map(describeIssue));
  const nearMisses = findNearMisses(
    set.map(([name]) => name),
    KNOWN,
  );
  if (!parsed.success || faults.length > 0) {
    const hints = nearMisses.map(
      ({ name, nearest }) =>
        `  (${name} is set and not known: is ${nearest} meant?)`,
    );
    throw new ConfigError(
      `The configuration is wrong:\n${[...faults, ...hints].join("\n")}`,
    );
  }
  const env = parsed.data;
  const isProduction = env.NODE_ENV === "production";
  const opsPort = env.OPS_PORT ?? (isProduction ? OPS_PORT : undefined);
  if (opsPort === env.PORT && opsPort !== 0)
    throw new ConfigError(
      `The configuration is wrong:\n  OPS_PORT: must be another port than PORT (in production it is ${String(OPS_PORT)} unless it is set)`,
    );
  return deepFreeze({
    isProduction,
    http: {
      // In development the secret is public, so only this machine may send.
      host: env.HOST ?? (isProduction ? "0.0.0.0" : "127.0.0.1"),
      port: env.PORT,
      opsPort,
      adminToken: env.ADMIN_TOKEN,
      allowedAddresses: env.UQPAY_ALLOWED_ADDRESSES,
      trustedProxies: env.TRUSTED_PROXIES,
      keepAliveMs: env.KEEP_ALIVE_SECONDS * 1_000,
    },
    role: env.ROLE,
    webhook: {
      secrets: env.UQPAY_WEBHOOK_SECRET ?? [DEVELOPMENT_SECRET],
      toleranceSeconds: env.UQPAY_SIGNATURE_TOLERANCE_SECONDS,
      isDevelopmentSecret: env.UQPAY_WEBHOOK_SECRET === undefined,
    },
    postgres: { url: env.DATABASE_URL, maxConnections: env.DATABASE_POOL_SIZE },
    queue: {
      redisUrl: env.REDIS_URL,
      prefix: env.QUEUE_PREFIX,
      concurrency: env.WORKER_CONCURRENCY,
      maxAttempts: env.EVENT_MAX_ATTEMPTS,
      firstRetryDelayMs: env.EVENT_RETRY_DELAY_MS,
      requeuePeriodMs: env.REQUEUE_PERIOD_MS,
    },
    retentionDays: env.RETENTION_DAYS,
    logLevel: env.LOG_LEVEL,
    shutdownDelayMs: env.SHUTDOWN_DELAY_MS ?? (isProduction ? 2_000 : 0),
    shutdownTimeoutMs: env.SHUTDOWN_TIMEOUT_MS,
    hangTimeoutMs: env.HANG_TIMEOUT_MS,
    nearMisses,
  });
}

/** Apart from the schema: a rule over several variables is not looked at while one of them is wrong. */
function faultsInProduction(variables: Environment): string[] {
  const missing = ["DATABASE_URL", "UQPAY_WEBHOOK_SECRET"].filter(
    (name) => !variables[name],
  );
  const faults = missing.map(
    (name) => `  ${name}: is required with NODE_ENV=production`,
  );
  if (
    splitList(variables["UQPAY_WEBHOOK_SECRET"] ?? "").includes(
      DEVELOPMENT_SECRET,
    )
  ) {
    faults.push(
      "  UQPAY_WEBHOOK_SECRET: must not be the development secret, which is public",
    );
  }
  return faults;
}

function refuseFiles(): never {
  throw new Error("files are not read here");
}

function resolveFiles(
  environment: Environment,
  readFile: (path: string) => string,
) {
  const variables: Record<string, string | undefined> = Object.fromEntries(
    Object.entries(environment).map(([name, value]) => [
      name,
      SECRETS.includes(name) ? value : value?.trim(),
    ]),
  );
  const faults: string[] = [];
  for (const name of FROM_FILE) {
    const path = environment[`${name}_FILE`];
    if (path === undefined || isQuoted(path)) continue;
    if (environment[name] !== undefined)
      faults.push(`  ${name}_FILE: ${name} is set, too`);
    try {
      // An editor ends a file with a line end. Everything else is part of the value.
      const text = readFile(path).replace(/[\r\n]+$/, "");
      variables[name] = SECRETS.includes(name) ? text : text.trim();
    } catch {
      faults.push(`  ${name}_FILE: cannot be read`);
      // Said once is enough: not also as missing.
      variables[name] = PLACEHOLDERS[name];
    }
  }
  return { variables, faults };
}

const PLACEHOLDERS: Readonly<Record<(typeof FROM_FILE)[number], string>> = {
  UQPAY_WEBHOOK_SECRET: "unreadable",
  DATABASE_URL: "postgres://unreadable",
  REDIS_URL: "redis://unreadable",
  ADMIN_TOKEN: "unreadable-unreadable",
};

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

function without(variables: Environment, names: readonly string[]) {
  return Object.fromEntries(
    Object.entries(variables).filter(([name]) => !names.includes(name)),
  );
}

function splitList(text: string): string[] {
  return text.split(",").map((part) => part.trim());
}

function isAddressRange(text: string): boolean {
  const [address = "", prefix, ...rest] = text.split("/");
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return false;
  return (
    prefix === undefined ||
    (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 6 ? 128 : 32))
  );
}

function describeIssue(issue: z.core.$ZodIssue): string {
  return `  ${issue.path.join(".")}: ${withoutValue(issue)}`;
}

/** zod's own messages name what was expected; what was received may be a secret. */
function withoutValue(issue: z.core.$ZodIssue): string {
  return issue.message
    .replace(/^Invalid (input|option): /, "")
    .replace(/, received .*$/, "");
}

function deepFreeze<Value extends object>(value: Value): Value {
  for (const member of Object.values(value)) {
    if (typeof member === "object" && member !== null)
      deepFreeze(member as object);
  }
  return Object.freeze(value);
}
