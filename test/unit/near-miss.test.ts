import { describe, expect, test } from "@jest/globals";
import { ConfigError, loadConfig } from "../../src/config.ts";

function nearestOf(name: string): string | undefined {
  return loadConfig({ [name]: "1" }).nearMisses[0]?.nearest;
}

describe("a variable that is not known", () => {
  test.each([
    ["UQPAY_WEBHOOK_SECRETS", "UQPAY_WEBHOOK_SECRET"],
    ["UQPAY_WEBHOOK_SECERT", "UQPAY_WEBHOOK_SECRET"],
    ["UQPAY_SECRET", "UQPAY_WEBHOOK_SECRET"],
    ["UQPAY_WEBHOOK_SECRET_OLD", "UQPAY_WEBHOOK_SECRET"],
    ["UQPAY_WEBHOOK_SECRETS_FILE", "UQPAY_WEBHOOK_SECRET_FILE"],
    ["UPQAY_WEBHOOK_SECRET", "UQPAY_WEBHOOK_SECRET"],
    ["DATABSE_URL", "DATABASE_URL"],
    ["DATABASE_URI", "DATABASE_URL"],
    ["database_url", "DATABASE_URL"],
    ["REDIS_URI", "REDIS_URL"],
    ["LOGLEVEL", "LOG_LEVEL"],
    ["RETENTION_DAY", "RETENTION_DAYS"],
    ["RETENTION_PERIOD_DAYS", "RETENTION_DAYS"],
    ["SHUTDOWN_TIMEOUT", "SHUTDOWN_TIMEOUT_MS"],
    ["SHUTDOWN_TIMEOUT_SECONDS", "SHUTDOWN_TIMEOUT_MS"],
    ["WORKER_CONCURENCY", "WORKER_CONCURRENCY"],
    ["EVENT_MAX_ATTEMPT", "EVENT_MAX_ATTEMPTS"],
    ["KEEP_ALIVE_MS", "KEEP_ALIVE_SECONDS"],
    ["TRUSTED_PROXY", "TRUSTED_PROXIES"],
  ])("%s is told to be near %s", (name, nearest) => {
    expect(nearestOf(name)).toBe(nearest);
  });

  test.each([
    "PATH",
    "HOME",
    "HOSTNAME",
    "POST",
    "DATABASE_HOST",
    "DATABASE_NAME",
    "DATABASE_PASSWORD",
    "REDIS_HOST",
    "REDIS_PORT",
    "REDIS_PASSWORD",
    "REDIS_SERVICE_HOST",
    "POSTGRES_PASSWORD",
    "EVENT_BUS_NAME",
    "WORKER_IMAGE",
    "npm_config_loglevel",
    "npm_lifecycle_event",
    "NODE_OPTIONS",
    "TZ",
  ])("%s is not: it belongs to others", (name) => {
    expect(nearestOf(name)).toBeUndefined();
  });

  test("is also named where the one that was meant is missing, without a value", () => {
    const environment = {
      NODE_ENV: "production",
      DATABSE_URL: "postgres://canary",
      UQPAY_WEBHOOK_SECRETS: "canary",
    };

    const load = () => loadConfig(environment);

    expect(load).toThrow(ConfigError);
    expect(load).toThrow(
      /DATABSE_URL is set and not known: is DATABASE_URL meant\?[^]*UQPAY_WEBHOOK_SECRETS is set and not known: is UQPAY_WEBHOOK_SECRET meant\?/,
    );
    expect(load).not.toThrow(/canary/);
  });
});
