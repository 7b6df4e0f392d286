import { readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "@jest/globals";
import pg from "pg";
import {
  createEmptyDatabase,
  createTestDatabase,
} from "../support/database.ts";
import { describeSchema } from "../support/describe-schema.ts";

const FILE = new URL("../../db/schema.sql", import.meta.url);

test("db/schema.sql is what the migrations give: `npm run schema` writes it", async () => {
  const database = await createTestDatabase();
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();

  const described = await describeSchema(client);
  await client.end();
  await database.drop();

  if (process.env["WRITE_SCHEMA"] === "1") writeFileSync(FILE, described);
  expect(readFileSync(FILE, "utf8")).toBe(described);
});

test("db/schema.sql can be run, and gives the same tables", async () => {
  const database = await createEmptyDatabase();
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();

  const schema = readFileSync(FILE, "utf8");
  await client.query(schema);
  const described = await describeSchema(client);
  await client.end();
  await database.drop();

  expect(withoutComments(described)).toBe(withoutComments(schema));
});

/** Those are for readers: PostgreSQL does not keep them. */
function withoutComments(text: string): string {
  return text.replace(/^ *--.*\n/gm, "");
}
