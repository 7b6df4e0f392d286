import { randomUUID } from "node:crypto";
import pg from "pg";

export interface TestDatabase {
  readonly url: string;
  /** Also ends connections that are still open. */
  drop(): Promise<void>;
}

/** A database of its own with all migrations applied: a clone of the template that global-setup.js made. */
export function createTestDatabase(): Promise<TestDatabase> {
  return create("template uqpay_template");
}

/** A database of its own without any table. */
export function createEmptyDatabase(): Promise<TestDatabase> {
  return create("template template0");
}

/**
 * The same database for a role to which everything is set otherwise than the service needs it (global-setup.js): so
 * every test that has the service on it shows that a session of ours relies on nothing of that. Another server stays.
 */
export function hostile(databaseUrl: string): string {
  const url = new URL(databaseUrl);
  if (url.password === new URL(superuserUrl()).password)
    url.username = "hostile_login";
  return url.href;
}

async function create(source: string): Promise<TestDatabase> {
  const name = `test_${randomUUID().replaceAll("-", "")}`;
  await run(`create database ${name} ${source}`);
  const url = new URL(superuserUrl());
  url.pathname = name;
  return {
    url: url.href,
    drop: () => run(`drop database if exists ${name} with (force)`),
  };
}

async function run(statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: superuserUrl() });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

function superuserUrl(): string {
  const url = process.env["TEST_POSTGRES_URL"];
  if (url === undefined)
    throw new Error("run by Jest, whose global set-up starts PostgreSQL");
  return url;
}
