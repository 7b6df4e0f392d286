import { describe, expect, test } from "@jest/globals";
import pg from "pg";
import {
  UndecodableEventError,
  describeError,
  isDataFault,
  isPassingFault,
} from "../../../src/store/errors.ts";

function databaseError(code: string | undefined, message: string, more = {}) {
  const error = new pg.DatabaseError(message, message.length, "error");
  return Object.assign(error, { code, ...more });
}

describe("a fault of the data", () => {
  test.each([
    ["22003", "a number out of range", true],
    ["22P02", "text that is no number", true],
    ["22P05", "a character that the server cannot hold", true],
    ["23505", "a key that is there already", true],
    ["23514", "a check that fails", true],
    ["54000", "an index entry too long", true],
    ["08006", "a lost connection", false],
    ["40001", "a serialization failure", false],
    ["40P01", "a deadlock", false],
    ["53300", "too many connections", false],
    ["55P03", "a lock that was not given", false],
    ["57014", "a query cancelled", false],
    ["57P01", "a server that stops", false],
    ["42P01", "a table that is missing", false],
    ["12223", "22 elsewhere in the code", false],
    [undefined, "no code at all", false],
  ])("%s, %s: %s", (code, what, isFault) => {
    expect(isDataFault(databaseError(code, what))).toBe(isFault);
  });

  test.each([
    ["a plain error", Object.assign(new Error("22"), { code: "22003" })],
    ["text", "22003"],
    ["nothing", undefined],
  ])("is not seen in %s", (_what, error) => {
    expect(isDataFault(error)).toBe(false);
  });

  test("is what our decoder cannot read", () => {
    expect(isDataFault(new UndecodableEventError("no longer valid"))).toBe(
      true,
    );
  });
});

describe("a fault that passes", () => {
  test.each([
    ["08006", "a lost connection", true],
    ["40P01", "a deadlock", true],
    ["53300", "too many connections", true],
    ["53100", "a full disk", true],
    ["55P03", "a lock that was not given", true],
    ["53200", "no memory, perhaps for one event's size", false],
    ["57P01", "a server that stops", true],
    ["25006", "a server that takes no writes", true],
    ["28P01", "a password that is no longer right", true],
    ["3D000", "a database that is away", true],
    ["0A000", "a plan from before a migration", true],
    ["26000", "a session that knows no such statement", true],
    ["42501", "a right that is missing on one table", false],
    ["57P03", "a server that starts", true],
    ["58030", "a disk that fails", true],
    ["57014", "a query cancelled, perhaps for its own slowness", false],
    ["22P02", "text that is no number", false],
    ["42P01", "a table that is missing", false],
    [undefined, "no code at all", false],
  ])("%s, %s: %s", (code, what, passes) => {
    expect(isPassingFault(databaseError(code, what))).toBe(passes);
  });

  test.each([
    [
      "a server that does not answer",
      Object.assign(new Error("connect"), {
        code: "ECONNREFUSED",
        syscall: "connect",
      }),
      true,
    ],
    [
      "a connection that was cut",
      new Error("Connection terminated unexpectedly"),
      true,
    ],
    [
      "a pool without a free connection",
      new Error("timeout exceeded when trying to connect"),
      true,
    ],
    [
      "a host with two addresses, neither of which answers",
      new AggregateError([
        Object.assign(new Error("connect"), { syscall: "connect" }),
        Object.assign(new Error("connect"), { syscall: "connect" }),
      ]),
      true,
    ],
    ["a query that takes too long", new Error("Query read timeout"), false],
    ["an event that is not valid", new Error("no longer valid: data"), false],
    ["text", "Connection terminated", false],
    ["nothing", undefined, false],
  ])("%s", (_what, error, passes) => {
    expect(isPassingFault(error)).toBe(passes);
  });
});

describe("an error in a row or a log line", () => {
  test("tells what PostgreSQL refused and where, and not the value", () => {
    const error = databaseError(
      "22P02",
      'invalid input syntax for type numeric: "4111-canary"',
      { table: "cards", column: "card_limit" },
    );

    expect(describeError(error)).toBe(
      "PostgreSQL 22P02: invalid input syntax for type numeric (cards card_limit)",
    );
  });

  test("names the constraint", () => {
    const error = databaseError(
      "23514",
      'new row for relation "cards" violates check constraint "mcc_is_four_digits"',
      {
        table: "cards",
        constraint: "mcc_is_four_digits",
        detail: "Failing row contains (canary)",
      },
    );

    expect(describeError(error)).toBe(
      "PostgreSQL 23514: new row for relation (cards mcc_is_four_digits)",
    );
  });

  test.each([
    ["28000", 'role "app" does not exist'],
    ["3D000", 'database "cards" does not exist'],
    ["42P01", 'relation "cards" does not exist'],
    ["42501", "permission denied for table cards"],
    ["08P01", "no such database: cards"],
    ["53300", 'too many connections for role "app"'],
    ["55P03", 'could not obtain lock on row in relation "cards"'],
  ])("of class %s names what is configured", (code, message) => {
    expect(describeError(databaseError(code, message))).toBe(
      `PostgreSQL ${code}: ${message}`,
    );
  });

  test.each([
    ["42601", 'syntax error at or near "canary"'],
    ["22023", 'invalid value: "canary"'],
    ["XX000", 'cache lookup failed for "canary"'],
  ])("of class %s quotes nothing", (code, message) => {
    expect(describeError(databaseError(code, message))).not.toContain("canary");
  });

  test("does without what is missing", () => {
    expect(describeError(databaseError(undefined, "gone"))).toBe(
      "PostgreSQL : gone",
    );
  });

  test.each([
    ["an error", new Error("it broke"), "it broke"],
    ["one of two lines", new Error("it broke\n    at a line"), "it broke"],
    ["a long one", new Error("x".repeat(2_000)), "x".repeat(500)],
    [
      "one of JSON",
      new SyntaxError("Unexpected token: 4096-canary"),
      "SyntaxError",
    ],
    ["a text", "text", "unknown error"],
    ["nothing", undefined, "unknown error"],
  ])("of another kind is its message, cut: %s", (_what, error, text) => {
    expect(describeError(error)).toBe(text);
  });
});
