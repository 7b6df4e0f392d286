import { isIP } from "node:net";
import { z } from "zod";

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
  readonly shutdownTimeoutMs: number;
  /** The process ends itself when its event loop stands still for so long. */
  readonly hangTimeoutMs: number;
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

const port = z.coerce.number().int().min(0).max(65_535);
const url = (protocol: RegExp, what: string) =>
  z.url({ protocol, error: `must be a ${what} URL` }).optional();

const schema = z.object({
  NODE_ENV: z.string().optional(),
  PORT: port.default(3000),
  HOST: z.string().optional(),
  OPS_PORT: port.optional(),
  ADMIN_TOKEN: z
    .string()
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
  DATABASE_URL: url(/^postgres(ql)?$/, "postgres://"),
  DATABASE_POOL_SIZE: z.coerce.number().int().min(2).max(100).default(4),
  REDIS_URL: url(/^rediss?$/, "redis:// or rediss://"),
  QUEUE_PREFIX: z
    .string()
    .regex(/^[\w-]+$/, "must have only letters, digits, _ and -")
    .default("uqpay"),
  UQPAY_WEBHOOK_SECRET: z
    .string()
    .transform(splitList)
    .refine(
      (secrets) => secrets.every((secret) => secret !== ""),
      "has an empty secret in its list",
    )
    .optional(),
  UQPAY_SIGNATURE_TOLERANCE_SECONDS: z.coerce
    .number()
    .int()
    .min(1)
    .max(86_400)
    .default(300),
  WORKER_CONCURRENCY: z.coerce.number().int().min(1).max(64).default(16),
  EVENT_MAX_ATTEMPTS: z.coerce.number().int().min(1).max(100).default(8),
  EVENT_RETRY_DELAY_MS: z.coerce
    .number()
    .int()
    .min(1)
    .max(60_000)
    .default(1_000),
  REQUEUE_PERIOD_MS: z.coerce
    .number()
    .int()
    .min(100)
    .max(60_000)
    .default(5_000),
  RETENTION_DAYS: z.coerce.number().int().min(1).max(36_500).optional(),
  LOG_LEVEL: z.enum(logLevels).default("info"),
  HANG_TIMEOUT_MS: z.coerce
    .number()
    .int()
    .min(2_000)
    .max(600_000)
    .default(30_000),
  SHUTDOWN_TIMEOUT_MS: z.coerce
    .number()
    .int()
    .min(1_000)
    .max(600_000)
    .default(25_000),
});

/** What may come from a file instead, as orchestrators mount secrets: `DATABASE_URL_FILE=/run/secrets/…`. */
const FROM_FILE = [
  "UQPAY_WEBHOOK_SECRET",
  "DATABASE_URL",
  "REDIS_URL",
  "ADMIN_TOKEN",
] as const;

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
  const parsed = schema.safeParse(variables);
  if (variables["NODE_ENV"] === "production")
    faults.push(...faultsInProduction(variables));
  if (!parsed.success) faults.push(...parsed.error.issues.map(describeIssue));
  if (!parsed.success || faults.length > 0) {
    throw new ConfigError(`The configuration is wrong:\n${faults.join("\n")}`);
  }
  const env = parsed.data;
  const isProduction = env.NODE_ENV === "production";
  return deepFreeze({
    isProduction,
    http: {
      // In development the secret is public, so only this machine may send.
      host: env.HOST ?? (isProduction ? "0.0.0.0" : "127.0.0.1"),
      port: env.PORT,
      opsPort: env.OPS_PORT,
      adminToken: env.ADMIN_TOKEN,
      allowedAddresses: env.UQPAY_ALLOWED_ADDRESSES,
      trustedProxies: env.TRUSTED_PROXIES,
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
    shutdownTimeoutMs: env.SHUTDOWN_TIMEOUT_MS,
    hangTimeoutMs: env.HANG_TIMEOUT_MS,
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
  const variables: Record<string, string | undefined> = { ...environment };
  const faults: string[] = [];
  for (const name of FROM_FILE) {
    const path = environment[`${name}_FILE`];
    if (path === undefined) continue;
    if (environment[name] !== undefined)
      faults.push(`  ${name}_FILE: ${name} is set, too`);
    try {
      variables[name] = readFile(path).trim();
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
