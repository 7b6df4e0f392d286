import { describe, expect, test } from "@jest/globals";
import pg from "pg";
import {
  DatabaseRefusal,
  explainDatabaseFault,
} from "../../../src/store/explain-fault.ts";

function databaseError(code: string, message: string) {
  return Object.assign(new pg.DatabaseError(message, message.length, "error"), {
    code,
  });
}

function systemError(code: string, message: string, syscall?: string) {
  return Object.assign(new Error(message), { code, syscall });
}

describe("a database that cannot be used", () => {
  test.each([
    [
      "a wrong password",
      databaseError("28P01", 'password authentication failed for user "app"'),
      'PostgreSQL 28P01: password authentication failed for user "app".',
      "%40",
    ],
    [
      "a role that is missing",
      databaseError("28000", 'role "app" does not exist'),
      'role "app" does not exist.',
      "Create the role",
    ],
    [
      "a server that asks for TLS",
      databaseError(
        "28000",
        'no pg_hba.conf entry for host "10.0.0.1", user "app", database "cards", no encryption',
      ),
      'user "app", database "cards"',
      "sslmode=require",
    ],
    [
      "no password",
      new Error(
        "SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string",
      ),
      "password must be",
      "DATABASE_URL",
    ],
    [
      "a database that is missing",
      databaseError("3D000", 'database "cards" does not exist'),
      'The database cannot be used: PostgreSQL 3D000: database "cards" does not exist.',
      "Create the database",
    ],
    [
      "no right",
      databaseError("42501", "permission denied for schema public"),
      "permission denied for schema public.",
      "db/roles.sql",
    ],
    [
      "a table that is missing",
      databaseError("42P01", 'relation "cards" does not exist'),
      'relation "cards" does not exist.',
      "migrate",
    ],
    [
      "somebody else's table",
      databaseError("42P07", 'relation "cards" already exists'),
      'relation "cards" already exists.',
      "a database of its own",
    ],
    [
      "a server that is read-only",
      databaseError(
        "25006",
        "cannot execute CREATE TABLE in a read-only transaction",
      ),
      "read-only",
      "primary",
    ],
    [
      "a pooler that takes no options",
      databaseError("08P01", "unsupported startup parameter: options"),
      "unsupported startup parameter: options.",
      "ignore_startup_parameters",
    ],
    [
      "a pooler that does not know the database",
      databaseError("08P01", "no such database: cards"),
      "no such database: cards.",
      "pooler",
    ],
    [
      "a private authority",
      systemError(
        "SELF_SIGNED_CERT_IN_CHAIN",
        "self-signed certificate in certificate chain",
      ),
      "self-signed certificate in certificate chain.",
      "sslrootcert=/path/ca.pem in DATABASE_URL, or NODE_EXTRA_CA_CERTS",
    ],
    [
      "a certificate of another name",
      systemError(
        "ERR_TLS_CERT_ALTNAME_INVALID",
        "Hostname/IP does not match certificate's altnames: Host: db. is not in the cert's altnames: DNS:pg",
      ),
      "does not match certificate",
      "sslmode=verify-ca",
    ],
    [
      "a server without TLS",
      new Error("The server does not support SSL connections"),
      "does not support SSL",
      "sslmode=disable",
    ],
    [
      "a server of the wrong kind",
      new DatabaseRefusal("it is of stone. Take one of wood."),
      "The database cannot be used: it is of stone. Take one of wood.",
      "wood",
    ],
  ])(
    "for %s is said in one line, with what to do",
    (_what, error, says, advice) => {
      const sentence = explainDatabaseFault(error);

      expect(sentence).toMatch(/^The database cannot be used: [^\n]+\.$/);
      expect(sentence).toContain(says);
      expect(sentence).toContain(advice);
    },
  );

  test.each([
    [
      "too many connections",
      databaseError("53300", "sorry, too many clients already"),
      "max_connections",
    ],
    [
      "a server that starts",
      databaseError("57P03", "the database system is starting up"),
      "has started",
    ],
    [
      "nobody at the port",
      systemError(
        "ECONNREFUSED",
        "connect ECONNREFUSED 127.0.0.1:1",
        "connect",
      ),
      "Start PostgreSQL",
    ],
    [
      "no socket",
      systemError("ENOENT", "connect ENOENT /run/x/.s.PGSQL.5432", "connect"),
      "the folder of the socket",
    ],
    [
      "an unknown host",
      systemError("ENOTFOUND", "getaddrinfo ENOTFOUND db.invalid"),
      "percent-encoded",
    ],
    [
      "a host with two addresses, neither of which answers",
      Object.assign(
        new AggregateError([
          systemError("ECONNREFUSED", "connect ECONNREFUSED ::1:1", "connect"),
          systemError("ECONNREFUSED", "connect ECONNREFUSED 127.0.0.1:1"),
        ]),
        { code: "ECONNREFUSED" },
      ),
      "::1:1; connect ECONNREFUSED 127.0.0.1:1.",
    ],
    [
      "a host that swallows packets",
      new Error("Connection terminated due to connection timeout"),
      "Correct the host",
    ],
  ])("now, for %s, says that it may be later", (_what, error, advice) => {
    const sentence = explainDatabaseFault(error);

    expect(sentence).toMatch(/^The database cannot be used now: [^\n]+\.$/);
    expect(sentence).toContain(advice);
  });

  test.each([
    ["a value", databaseError("22P02", 'invalid input syntax: "canary"')],
    ["a constraint", databaseError("23514", "violates check constraint")],
    ["a statement of ours", databaseError("42601", 'syntax error at "canary"')],
    ["a file", systemError("ENOENT", "no such file", "open")],
    ["ours", new TypeError("undefined is not a function")],
    ["a text", "no"],
  ])("is no explanation for a fault of %s", (_what, error) => {
    expect(explainDatabaseFault(error)).toBeUndefined();
  });
});
