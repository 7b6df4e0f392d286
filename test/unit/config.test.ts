import { describe, expect, test } from "@jest/globals";
import { readFileSync } from "node:fs";
import { ConfigError, loadConfig } from "../../src/config.ts";

/** The variables that users rely on; all others are for tuning. */
const contractVariables = [
  "PORT",
  "HOST",
  "OPS_PORT",
  "NODE_ENV",
  "ROLE",
  "DATABASE_URL",
  "REDIS_URL",
  "UQPAY_WEBHOOK_SECRET",
  "UQPAY_SIGNATURE_TOLERANCE_SECONDS",
  "WORKER_CONCURRENCY",
  "RETENTION_DAYS",
  "LOG_LEVEL",
  "ADMIN_TOKEN",
  "KEEP_ALIVE_SECONDS",
  "SHUTDOWN_DELAY_MS",
  "SHUTDOWN_TIMEOUT_MS",
  "HANG_TIMEOUT_MS",
  "UQPAY_ALLOWED_ADDRESSES",
  "TRUSTED_PROXIES",
  "QUEUE_PREFIX",
  "DATABASE_POOL_SIZE",
  "EVENT_MAX_ATTEMPTS",
  "EVENT_RETRY_DELAY_MS",
  "REQUEUE_PERIOD_MS",
  "UQPAY_API_BASE_URL",
  "UQPAY_CLIENT_ID",
  "UQPAY_API_KEY",
  "UQPAY_API_CALLS_PER_MINUTE",
  "UQPAY_API_LAG_SECONDS",
  "RECONCILE_EVERY_MINUTES",
];

const root = new URL("../../", import.meta.url);

const production = {
  NODE_ENV: "production",
  DATABASE_URL: "postgres://user:password@db.example:5432/cards",
  UQPAY_WEBHOOK_SECRET: "whsec_live",
};

/** The message of the refusal; fails when there is none. */
function refusal(environment: Record<string, string>): string {
  try {
    loadConfig(environment);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error("it was not refused");
}

/** The variables that a refusal names, in its order. */
function named(environment: Record<string, string>): string[] {
  return [...refusal(environment).matchAll(/^ {2}(\w+): /gm)].map(
    ([, name = ""]) => name,
  );
}

describe("the configuration", () => {
  test("works with nothing set", () => {
    expect(loadConfig({})).toMatchObject({
      isProduction: false,
      http: {
        host: "127.0.0.1",
        port: 3000,
        opsPort: undefined,
        adminToken: undefined,
      },
      role: "all",
      webhook: {
        secrets: ["whsec_development"],
        toleranceSeconds: 300,
        isDevelopmentSecret: true,
      },
      postgres: { url: undefined },
      queue: { redisUrl: undefined },
      retentionDays: undefined,
      logLevel: "info",
      shutdownTimeoutMs: 25_000,
    });
  });

  test("is set by the environment", () => {
    const config = loadConfig({
      ...production,
      PORT: "8080",
      HOST: "10.0.0.1",
      OPS_PORT: "9090",
      ROLE: "worker",
      REDIS_URL: "rediss://:password@redis.example:6380/1",
      UQPAY_SIGNATURE_TOLERANCE_SECONDS: "900",
      WORKER_CONCURRENCY: "5",
      RETENTION_DAYS: "30",
      LOG_LEVEL: "debug",
      ADMIN_TOKEN: "0123456789abcdef",
    });

    expect(config).toMatchObject({
      isProduction: true,
      http: {
        host: "10.0.0.1",
        port: 8080,
        opsPort: 9090,
        adminToken: "0123456789abcdef",
      },
      role: "worker",
      webhook: {
        secrets: ["whsec_live"],
        toleranceSeconds: 900,
        isDevelopmentSecret: false,
      },
      postgres: { url: production.DATABASE_URL },
      queue: {
        redisUrl: "rediss://:password@redis.example:6380/1",
        concurrency: 5,
      },
      retentionDays: 30,
      logLevel: "debug",
    });
  });

  test("listens on this machine only in development, and everywhere in production", () => {
    expect(loadConfig({}).http.host).toBe("127.0.0.1");
    expect(loadConfig({ NODE_ENV: "test" }).http.host).toBe("127.0.0.1");
    expect(loadConfig(production).http.host).toBe("0.0.0.0");
  });

  test.each([
    "postgres://localhost/cards",
    "postgresql://u:p%40ss@h:5432/cards?sslmode=require",
    "postgres:///cards?host=/var/run/postgresql",
  ])("takes %s for the database", (url) => {
    expect(loadConfig({ DATABASE_URL: url }).postgres.url).toBe(url);
  });

  test("does not mind variables that it does not know", () => {
    expect(() => loadConfig({ PATH: "/bin", POSTGRES: "x" })).not.toThrow();
  });

  test("cannot be changed", () => {
    const config = loadConfig({});

    expect(() => {
      Object.assign(config.http, { port: 1 });
    }).toThrow(TypeError);
    expect(() => {
      config.webhook.secrets.push("another");
    }).toThrow(TypeError);
    expect(Object.isFrozen(config)).toBe(true);
  });
});

describe("several secrets", () => {
  test.each([
    ["one", ["one"]],
    ["one,two", ["one", "two"]],
    ["one , two", ["one", "two"]],
  ])("%j are %j", (text, secrets) => {
    expect(loadConfig({ UQPAY_WEBHOOK_SECRET: text }).webhook).toMatchObject({
      secrets,
      isDevelopmentSecret: false,
    });
  });

  test.each(["one,", ",one", "one,,two", ",", "one, "])(
    "%j are refused: an empty one would let anyone sign",
    (text) => {
      expect(named({ UQPAY_WEBHOOK_SECRET: text })).toEqual([
        "UQPAY_WEBHOOK_SECRET",
      ]);
    },
  );
});

describe("a value as docker's --env-file passes it on", () => {
  test.each([
    '"whsec_live"',
    "'whsec_live'",
    "“whsec_live”",
    '"whsec_new,whsec_old"',
    '"whsec_new","whsec_old"',
    'whsec_new,"whsec_old"',
    '"whsec_live',
  ])("a secret in quotes is refused with that reason: %s", (secret) => {
    const environment = { ...production, UQPAY_WEBHOOK_SECRET: secret };

    expect(named(environment)).toEqual(["UQPAY_WEBHOOK_SECRET"]);
    expect(refusal(environment)).toContain("is in quotes");
    expect(refusal(environment)).not.toContain("whsec");
  });

  test.each([" whsec_live", "whsec_live ", "whsec_live\r", "\twhsec_live"])(
    "a secret with a blank at one of its ends is refused with that reason: %j",
    (secret) => {
      const environment = { ...production, UQPAY_WEBHOOK_SECRET: secret };

      expect(named(environment)).toEqual(["UQPAY_WEBHOOK_SECRET"]);
      expect(refusal(environment)).toContain("has a blank");
    },
  );

  test("the admin token is held to the same", () => {
    const quoted = { ADMIN_TOKEN: '"0123456789abcdef"' };
    const blank = { ADMIN_TOKEN: "0123456789abcdef " };

    expect(refusal(quoted)).toContain("ADMIN_TOKEN: is in quotes");
    expect(refusal(blank)).toContain("ADMIN_TOKEN: has a blank");
  });

  test("every other variable in quotes is named, once and with that reason", () => {
    const quoted = {
      PORT: '"3000"',
      DATABASE_URL: '"postgres://canary/db"',
      REDIS_URL: "'redis://canary'",
      LOG_LEVEL: '"info"',
      UQPAY_WEBHOOK_SECRET_FILE: '"/run/canary"',
    };

    expect(named(quoted).toSorted()).toEqual(Object.keys(quoted).toSorted());
    expect(refusal(quoted)).not.toContain("canary");
    expect(refusal(quoted).match(/is in quotes/g)).toHaveLength(5);
  });

  test("a line end behind anything but a secret does not matter", () => {
    expect(
      loadConfig({
        ROLE: "api\r",
        HOST: " ::1",
        DATABASE_URL: "postgres://h/d ",
      }),
    ).toMatchObject({
      role: "api",
      http: { host: "::1" },
      postgres: { url: "postgres://h/d" },
    });
  });
});

describe("in production", () => {
  test("/metrics and /admin have a port of their own, and a stop is announced", () => {
    expect(loadConfig(production)).toMatchObject({
      http: { opsPort: 9090 },
      shutdownDelayMs: 2_000,
    });
    expect(loadConfig({})).toMatchObject({
      http: { opsPort: undefined },
      shutdownDelayMs: 0,
    });
  });

  test.each([{ PORT: "9090" }, { PORT: "8080", OPS_PORT: "8080" }])(
    "that port is not the public one: %j",
    (ports) => {
      expect(named({ ...production, ...ports })).toEqual(["OPS_PORT"]);
    },
  );
});

describe("UQPAY's API", () => {
  const access = {
    UQPAY_API_BASE_URL: "https://api-sandbox.uqpaytech.com/api/",
    UQPAY_CLIENT_ID: "client-id",
    UQPAY_API_KEY: "api-key",
  };

  test("is not asked where nothing is said of it", () => {
    expect(loadConfig({}).api).toBeUndefined();
    expect(loadConfig(production).api).toBeUndefined();
  });

  test("is asked where its address and its keys are known", () => {
    expect(loadConfig(access).api).toEqual({
      baseUrl: "https://api-sandbox.uqpaytech.com/api",
      clientId: "client-id",
      apiKey: "api-key",
      callsPerMinute: 120,
      lagSeconds: 5,
      reconcileEveryMinutes: 360,
    });
    expect(
      loadConfig({
        ...access,
        UQPAY_API_CALLS_PER_MINUTE: "1000000",
        UQPAY_API_LAG_SECONDS: "0",
        RECONCILE_EVERY_MINUTES: "0",
      }).api,
    ).toMatchObject({
      callsPerMinute: 1_000_000,
      lagSeconds: 0,
      reconcileEveryMinutes: 0,
    });
  });

  test.each(Object.keys(access))(
    "a half of what it needs is refused, and %s is named as what is missing",
    (name) => {
      const environment = { ...access, [name]: "" };

      expect(named(environment)).toEqual([name]);
      expect(refusal(environment)).toMatch(/is missing: UQPAY_\w+ and UQPAY_/);
    },
  );

  test("one alone names the two others", () => {
    expect(named({ UQPAY_API_KEY: "api-key" })).toEqual([
      "UQPAY_API_BASE_URL",
      "UQPAY_CLIENT_ID",
    ]);
  });

  test.each([
    "http://127.0.0.1:4010",
    "http://localhost:4010/api",
    "http://[::1]:4010",
  ])("may be on this machine without TLS: %s", (UQPAY_API_BASE_URL) => {
    expect(loadConfig({ ...access, UQPAY_API_BASE_URL }).api?.baseUrl).toBe(
      UQPAY_API_BASE_URL,
    );
  });

  test.each([
    "http://api.uqpay.com/api",
    "http://127.0.0.1.example.com",
    "ftp://127.0.0.1",
    "api.uqpay.com",
    "https://user:password@api.uqpay.com",
    "https://api.uqpay.com/api?key=1",
    "https://api.uqpay.com/api#x",
  ])("is refused at %s", (UQPAY_API_BASE_URL) => {
    expect(named({ ...access, UQPAY_API_BASE_URL })).toEqual([
      "UQPAY_API_BASE_URL",
    ]);
  });

  test.each([
    ["UQPAY_API_KEY", '"api-key"'],
    ["UQPAY_API_KEY", "api-key "],
    ["UQPAY_CLIENT_ID", "client\nid"],
    ["UQPAY_CLIENT_ID", "clïent"],
    ["UQPAY_API_CALLS_PER_MINUTE", "0"],
    ["UQPAY_API_LAG_SECONDS", "-1"],
    ["RECONCILE_EVERY_MINUTES", "-1"],
  ])("is refused with %s=%j", (name, value) => {
    expect(named({ ...access, [name]: value })).toEqual([name]);
  });
});

describe("addresses", () => {
  test.each([
    ["52.76.137.90", ["52.76.137.90"]],
    ["52.76.137.90, 10.0.0.0/8", ["52.76.137.90", "10.0.0.0/8"]],
    ["::1,2001:db8::/32", ["::1", "2001:db8::/32"]],
  ])("that may deliver: %s", (text, allowedAddresses) => {
    const { http } = loadConfig({ UQPAY_ALLOWED_ADDRESSES: text });

    expect(http.allowedAddresses).toEqual(allowedAddresses);
  });

  test.each([
    ["2", 2],
    ["0", 0],
    ["10.0.0.1, 10.1.0.0/16", ["10.0.0.1", "10.1.0.0/16"]],
  ])("of proxies that are believed: %s", (text, trustedProxies) => {
    const { http } = loadConfig({ TRUSTED_PROXIES: text });

    expect(http.trustedProxies).toEqual(trustedProxies);
  });

  test.each([
    "uqpay.com",
    "52.76.137",
    "52.76.137.256",
    "10.0.0.0/33",
    "10.0.0.0/",
    "10.0.0.0/8/8",
    "10.0.0.0/-1",
    "2001:db8::/129",
    "10.0.0.1,",
    "*",
    "true",
    "-1",
  ])("%s is none", (text) => {
    expect(named({ UQPAY_ALLOWED_ADDRESSES: text })).toEqual([
      "UQPAY_ALLOWED_ADDRESSES",
    ]);
    expect(named({ TRUSTED_PROXIES: text })).toEqual(["TRUSTED_PROXIES"]);
  });
});

describe("a variable that is set to nothing", () => {
  test.each(contractVariables)("%s counts as not set", (name) => {
    expect(loadConfig({ [name]: "" })).toEqual(loadConfig({}));
  });

  test.each(contractVariables)(
    "%s of white space alone is never a value",
    (name) => {
      const environment = { [name]: "  " };

      expect(["unset", "refused"]).toContain(outcomeOf(name, environment));
    },
  );

  function outcomeOf(name: string, environment: Record<string, string>) {
    try {
      const config = JSON.stringify(loadConfig(environment));
      return config === JSON.stringify(loadConfig({})) ? "unset" : config;
    } catch {
      return named(environment).join() === name ? "refused" : "wrongly refused";
    }
  }

  test("does not count as a production's secret or database", () => {
    expect(
      named({
        NODE_ENV: "production",
        DATABASE_URL: "",
        UQPAY_WEBHOOK_SECRET: "",
      }),
    ).toEqual(["DATABASE_URL", "UQPAY_WEBHOOK_SECRET"]);
  });
});

describe("a wrong configuration", () => {
  test.each([
    ["PORT", "abc"],
    ["PORT", "65536"],
    ["PORT", "-1"],
    ["PORT", "3000.5"],
    ["OPS_PORT", "http"],
    ["ROLE", "worker,api"],
    ["ROLE", "API"],
    ["DATABASE_URL", "mysql://localhost/cards"],
    ["DATABASE_URL", "localhost:5432"],
    ["REDIS_URL", "http://localhost:6379"],
    ["REDIS_URL", "localhost"],
    ["UQPAY_SIGNATURE_TOLERANCE_SECONDS", "0"],
    ["UQPAY_SIGNATURE_TOLERANCE_SECONDS", "-300"],
    ["UQPAY_SIGNATURE_TOLERANCE_SECONDS", "5m"],
    ["WORKER_CONCURRENCY", "0"],
    ["WORKER_CONCURRENCY", "many"],
    ["RETENTION_DAYS", "0"],
    ["RETENTION_DAYS", "for ever"],
    ["LOG_LEVEL", "verbose"],
    ["ADMIN_TOKEN", "short"],
    ["KEEP_ALIVE_SECONDS", "0"],
    ["SHUTDOWN_DELAY_MS", "-1"],
    ["QUEUE_PREFIX", "a:b"],
  ])("%s=%s is refused by name and not by value", (name, value) => {
    const message = refusal({ [name]: value });

    expect(named({ [name]: value })).toEqual([name]);
    // Such as "0" could stand in a message by chance.
    expect(value.length > 2 && message.includes(value)).toBe(false);
  });

  test("names all that production lacks at once", () => {
    expect(named({ NODE_ENV: "production" })).toEqual([
      "DATABASE_URL",
      "UQPAY_WEBHOOK_SECRET",
    ]);
  });

  test("names what production lacks together with what is wrong", () => {
    const environment = {
      NODE_ENV: "production",
      PORT: "abc",
      ROLE: "boss",
      REDIS_URL: "nowhere",
    };

    expect(named(environment).toSorted()).toEqual([
      "DATABASE_URL",
      "PORT",
      "REDIS_URL",
      "ROLE",
      "UQPAY_WEBHOOK_SECRET",
    ]);
  });

  test.each(["whsec_development", "whsec_live,whsec_development"])(
    "with the public development secret is refused in production (%s)",
    (secret) => {
      expect(named({ ...production, UQPAY_WEBHOOK_SECRET: secret })).toEqual([
        "UQPAY_WEBHOOK_SECRET",
      ]);
    },
  );

  test("is told without any value", () => {
    const canaries: Record<string, string> = {
      PORT: "canary-port",
      OPS_PORT: "99999",
      DATABASE_URL: "canary://user:canary-password@host/db",
      REDIS_URL: "canary-redis",
      UQPAY_WEBHOOK_SECRET: "canary-secret,",
      ADMIN_TOKEN: "canary-token",
      ROLE: "canary-role",
      LOG_LEVEL: "canary-level",
      WORKER_CONCURRENCY: "canary-concurrency",
      QUEUE_PREFIX: "canary:prefix",
    };

    const message = refusal(canaries);

    expect(message).not.toMatch(/canary|99999/);
    expect(named(canaries).toSorted()).toEqual(
      Object.keys(canaries).toSorted(),
    );
  });
});

describe(".env.example", () => {
  test("lists each variable of the contract", () => {
    const names = examples().map(({ name }) => name);

    expect(names).toEqual(expect.arrayContaining(contractVariables));
  });

  test("lists each variable that is known once, and no other", () => {
    const names = examples().map(({ name }) => name);

    expect(names.toSorted()).toEqual(knownVariables().toSorted());
  });

  test("can be used as it is", () => {
    const lines = examples().filter(({ isSet }) => isSet);

    expect(() => loadConfig(environmentOf(lines))).not.toThrow();
  });

  test("can be used with every line that is commented out", () => {
    const lines = examples().filter(({ name }) => !name.endsWith("_FILE"));

    expect(() => loadConfig(environmentOf(lines))).not.toThrow();
  });

  test("can be used with the files in place of the secrets themselves", () => {
    const fromFile = examples().filter(({ name }) => name.endsWith("_FILE"));
    const replaced = fromFile.map(({ name }) => name.replace("_FILE", ""));
    const lines = examples().filter(({ name }) => !replaced.includes(name));
    const aSecret = (path: string) =>
      path.includes("url") ? `${urlScheme(path)}://host` : "0123456789abcdef";

    expect(fromFile).not.toEqual([]);
    expect(() => loadConfig(environmentOf(lines), aSecret)).not.toThrow();
  });

  function urlScheme(path: string) {
    return path.includes("redis") ? "redis" : "postgres";
  }

  interface Example {
    name: string;
    value: string;
    isSet: boolean;
  }

  function examples(): Example[] {
    const text = readFileSync(new URL(".env.example", root), "utf8");
    return [...text.matchAll(/^(#?) ?([A-Z][A-Z0-9_]*)=(.*)$/gm)].map(
      ([, comment, name = "", value = ""]) => ({
        name,
        value: value.replace(/\s+#.*$/, "").replace(/^"(.*)"$/, "$1"),
        isSet: comment === "",
      }),
    );
  }

  function environmentOf(lines: readonly Example[]): Record<string, string> {
    return Object.fromEntries(lines.map(({ name, value }) => [name, value]));
  }

  /** From the source: the schema is nobody else's business. */
  function knownVariables(): string[] {
    const source = readFileSync(new URL("src/config.ts", root), "utf8");
    const [, list = ""] = /FROM_FILE = \[([^\]]*)\]/.exec(source) ?? [];
    return [
      ...source.matchAll(
        /^ +([A-Z][A-Z0-9_]+): (?:z\b|port|url|whole|headerValue)/gm,
      ),
      ...list.replaceAll('",', '_FILE",').matchAll(/"(\w+)"/g),
    ].map(([, name = ""]) => name);
  }
});
