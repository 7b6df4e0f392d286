import { describe, expect, test } from "@jest/globals";
import { ConfigError, loadConfig } from "../../src/config.ts";

const FILES: Readonly<Record<string, string>> = {
  "/run/secrets/webhook": "whsec_from_file\n",
  "/run/secrets/rotation": "whsec_new, whsec_old\n",
  "/run/secrets/database": "postgres://service:pw@db.example:5432/cards\n",
  "/run/secrets/redis": "redis://:pw@redis.example:6379\r\n",
  "/run/secrets/token": "0123456789abcdef\n",
  "/run/secrets/empty": "\n",
};

function readFile(path: string): string {
  const text = FILES[path];
  if (text === undefined) throw new Error(`ENOENT: ${path} whsec_leak`);
  return text;
}

function refusal(environment: Record<string, string>): string {
  try {
    loadConfig(environment, readFile);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error("it was not refused");
}

describe("a secret from a file", () => {
  test("is read for each variable that is a secret, without the newline at its end", () => {
    const config = loadConfig(
      {
        NODE_ENV: "production",
        UQPAY_WEBHOOK_SECRET_FILE: "/run/secrets/webhook",
        DATABASE_URL_FILE: "/run/secrets/database",
        REDIS_URL_FILE: "/run/secrets/redis",
        ADMIN_TOKEN_FILE: "/run/secrets/token",
      },
      readFile,
    );

    expect(config).toMatchObject({
      webhook: { secrets: ["whsec_from_file"], isDevelopmentSecret: false },
      postgres: { url: "postgres://service:pw@db.example:5432/cards" },
      queue: { redisUrl: "redis://:pw@redis.example:6379" },
      http: { adminToken: "0123456789abcdef" },
    });
  });

  test("may be several, for rotation", () => {
    const config = loadConfig(
      { UQPAY_WEBHOOK_SECRET_FILE: "/run/secrets/rotation" },
      readFile,
    );

    expect(config.webhook.secrets).toEqual(["whsec_new", "whsec_old"]);
  });

  test("that cannot be read is named once, without path and cause", () => {
    expect(
      refusal({
        NODE_ENV: "production",
        UQPAY_WEBHOOK_SECRET_FILE: "/run/secrets/absent",
        DATABASE_URL_FILE: "/run/secrets/absent",
        REDIS_URL_FILE: "/run/secrets/absent",
        ADMIN_TOKEN_FILE: "/run/secrets/absent",
      }),
    ).toBe(
      [
        "The configuration is wrong:",
        "  UQPAY_WEBHOOK_SECRET_FILE: cannot be read",
        "  DATABASE_URL_FILE: cannot be read",
        "  REDIS_URL_FILE: cannot be read",
        "  ADMIN_TOKEN_FILE: cannot be read",
      ].join("\n"),
    );
  });

  test("is not taken together with the variable itself", () => {
    expect(
      refusal({
        UQPAY_WEBHOOK_SECRET: "whsec_here",
        UQPAY_WEBHOOK_SECRET_FILE: "/run/secrets/webhook",
      }),
    ).toContain("UQPAY_WEBHOOK_SECRET_FILE: UQPAY_WEBHOOK_SECRET is set, too");
  });

  test("is held to the rules of its variable", () => {
    expect(refusal({ DATABASE_URL_FILE: "/run/secrets/redis" })).toContain(
      "DATABASE_URL: must be a postgres:// URL",
    );
    expect(refusal({ ADMIN_TOKEN_FILE: "/run/secrets/empty" })).toContain(
      "ADMIN_TOKEN: must have at least 16 characters",
    );
  });

  test.each(["UQPAY_WEBHOOK_SECRET", "DATABASE_URL", "REDIS_URL"])(
    "that is empty is no value of %s",
    (name) => {
      const production = {
        NODE_ENV: "production",
        DATABASE_URL: "postgres://h/d",
        UQPAY_WEBHOOK_SECRET: "whsec_live",
      };

      expect(
        refusal({
          ...production,
          [name]: "",
          [`${name}_FILE`]: "/run/secrets/empty",
        }),
      ).toContain(name);
    },
  );

  test("shows none of its text in a refusal", () => {
    const message = refusal({
      REDIS_URL_FILE: "/run/secrets/webhook",
      DATABASE_URL_FILE: "/run/secrets/token",
      ADMIN_TOKEN_FILE: "/run/secrets/empty",
    });

    expect(message).not.toMatch(/whsec|0123456789/);
  });

  test("is not read when the variable for its path is set to nothing", () => {
    expect(
      loadConfig({ DATABASE_URL_FILE: "" }, readFile).postgres.url,
    ).toBeUndefined();
  });

  test("needs a reader: without one it is refused and not ignored", () => {
    expect(() =>
      loadConfig({ DATABASE_URL_FILE: "/run/secrets/database" }),
    ).toThrow(/DATABASE_URL_FILE: cannot be read/);
  });
});
