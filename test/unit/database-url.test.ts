import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "@jest/globals";
import { parseDatabaseUrl } from "../../src/store/database-url.ts";
import { connectionOf } from "../../src/store/session.ts";

describe("DATABASE_URL is read as psql reads it", () => {
  test.each([
    [
      "postgres://u:p@db.example:6543/cards",
      {
        user: "u",
        password: "p",
        host: "db.example",
        port: 6543,
        database: "cards",
      },
    ],
    [
      "postgresql://db.example/cards",
      { host: "db.example", database: "cards" },
    ],
    [
      "postgres://u:p@/cards?host=/run/postgresql",
      { user: "u", password: "p", host: "/run/postgresql", database: "cards" },
    ],
    [
      "postgres:///cards?host=/run/postgresql&port=5433&user=u",
      { user: "u", host: "/run/postgresql", port: 5433, database: "cards" },
    ],
    [
      "postgres://u@%2Frun%2Fpostgresql:5433/cards",
      { user: "u", host: "/run/postgresql", port: 5433, database: "cards" },
    ],
    ["postgresql:///cards", { database: "cards" }],
    ["postgresql://", {}],
    ["postgres://:5433/", { port: 5433 }],
    [
      "postgres://u:p%40%3A%2F%25%23@h/c%20d",
      { user: "u", password: "p@:/%#", host: "h", database: "c d" },
    ],
    [
      "postgres://u:a#b?c:d@h/db",
      { user: "u", password: "a#b?c:d", host: "h", database: "db" },
    ],
    [
      "postgres://[2001:db8::7]:6543/db",
      { host: "2001:db8::7", port: 6543, database: "db" },
    ],
    [
      "postgres://h?dbname=db&password=p%2B+q",
      { host: "h", database: "db", password: "p++q" },
    ],
    ["postgres://h/db?hostaddr=10.0.0.1", { host: "10.0.0.1", database: "db" }],
  ])("%s", (text, expected) => {
    const { user, password, host, port, database } = parseDatabaseUrl(text);

    expect({ user, password, host, port, database }).toEqual({
      user: undefined,
      password: undefined,
      host: undefined,
      port: undefined,
      database: undefined,
      ...expected,
    });
  });

  test.each([
    ["mysql://u:canary@h/db", "must be a postgres:// URL"],
    ["host=h password=canary", "the form host=… dbname=… is not read"],
    ["postgres://u:canary@h1,h2:5432/db", "several hosts"],
    ["postgres://u:canary@/db?host=h1,h2", "several hosts"],
    ["postgres://u:canary@/db?service=canary", "names a service"],
    ["postgres://u:can@canary@h/db", "@ is %40"],
    ["postgres://u:12/canary@h/db", "@ is %40"],
    ["postgres://u:canary/x@h/db", "an @ too many"],
    ["postgres://u:canary%@h/db", "written %25"],
    ["postgres://u:canary@h:99999/db", "/ is %2F"],
    ["postgres://u:canary/x", "/ is %2F"],
    ["postgres://u:p@h/db?sslmode=canary", "verify-full"],
  ])("%s is refused, and says why without its parts", (text, says) => {
    expect(() => parseDatabaseUrl(text)).toThrow(says);
    expect(() => parseDatabaseUrl(text)).not.toThrow("canary");
  });
});

describe("TLS as DATABASE_URL asks for it", () => {
  const folder = mkdtempSync(join(tmpdir(), "uqpay-test-url-"));
  const ca = join(folder, "ca.pem");
  writeFileSync(ca, "the authority");
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });
  const sslOf = (query: string) => connectionOf(`postgres://h/db${query}`).ssl;

  test.each([
    ["", undefined],
    ["?sslmode=disable", false],
    ["?ssl=false", false],
    ["?sslmode=require", {}],
    ["?ssl=true", {}],
    ["?sslmode=verify-full&sslrootcert=system", {}],
    ["?sslmode=verify-ca", {}],
    [`?sslmode=require&sslrootcert=${ca}`, { ca: "the authority" }],
    [`?sslrootcert=${ca}`, { ca: "the authority" }],
    ["?sslmode=no-verify", { rejectUnauthorized: false }],
    ["?sslmode=prefer", { rejectUnauthorized: false }],
    ["?sslmode=require&uselibpqcompat=true", { rejectUnauthorized: false }],
  ])("%s", (query, expected) => {
    expect(sslOf(query)).toEqual(expected);
  });

  test("verify-ca with an authority of its own does not look at the name", () => {
    expect(sslOf(`?sslmode=verify-ca&sslrootcert=${ca}`)).toEqual({
      ca: "the authority",
      checkServerIdentity: expect.any(Function),
    });
  });

  test.each(["sslrootcert", "sslcert", "sslkey"])(
    "names %s when its file cannot be read",
    (name) => {
      expect(() =>
        sslOf(`?sslmode=require&${name}=/nowhere/canary.pem`),
      ).toThrow(
        `the file that ${name} in DATABASE_URL names cannot be read (ENOENT).`,
      );
    },
  );
});
