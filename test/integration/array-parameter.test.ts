import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import pg from "pg";
import {
  arrayLiteral,
  byteaArray,
  textArray,
  timestamptzArray,
} from "../../src/store/array-parameter.ts";
import type { Instant } from "../../src/domain/instant.ts";
import type { TestDatabase } from "../support/database.ts";
import { createTestDatabase } from "../support/database.ts";

let database: TestDatabase;
let client: pg.Client;

beforeAll(async () => {
  database = await createTestDatabase();
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
});

afterAll(async () => {
  await client.end();
  await database.drop();
});

describe("an array as a parameter", () => {
  test.each<[string, (string | undefined)[]]>([
    ["no element", []],
    ["one", ["a"]],
    ["an empty text and a NULL", ["", undefined, "NULL"]],
    ["what the text form would have to escape", ['{"a": "\\b"}', "{,}", "\n"]],
    ["characters of one to four bytes", ["aé€😀", "ß"]],
  ])("of texts brings %s as it is", async (_, elements) => {
    const { rows } = await client.query<{ element: string | null }>(
      "select element from unnest($1::text[]) as element",
      [textArray(elements)],
    );

    expect(rows.map(({ element }) => element ?? undefined)).toEqual(elements);
  });

  test("of texts takes bytes for their text", async () => {
    const { rows } = await client.query<{ element: string }>(
      "select element from unnest($1::text[]) as element",
      [textArray([Buffer.from('{"name": "Zoë"}'), "plain"])],
    );

    expect(rows).toEqual([
      { element: '{"name": "Zoë"}' },
      { element: "plain" },
    ]);
  });

  test.each<[string, (string | undefined)[]]>([
    ["none", []],
    ["a NULL", ["2026-04-12T10:00:00.000000Z", undefined]],
    [
      "the microseconds of one second",
      ["2026-04-12T10:00:00.000001Z", "2026-04-12T10:00:00.999999Z"],
    ],
    [
      "times around the one from which PostgreSQL counts",
      [
        "1999-12-31T23:59:59.999999Z",
        "2000-01-01T00:00:00.000000Z",
        "2000-01-01T01:11:34.967295Z",
        "2000-01-01T01:11:34.967296Z",
      ],
    ],
    [
      "times so far that their microseconds are no safe integer",
      [
        "0001-01-01T00:00:00.000001Z",
        "1714-08-01T00:00:00.654321Z",
        "2285-07-01T00:00:00.654321Z",
        "9999-12-31T23:59:59.999999Z",
      ],
    ],
  ])("of times brings %s", async (_, instants) => {
    const { rows } = await client.query<{ text: string | null }>(
      `select to_char(element at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as text
       from unnest($1::timestamptz[]) as element`,
      [timestamptzArray(instants as (Instant | undefined)[])],
    );

    expect(rows.map(({ text }) => text ?? undefined)).toEqual(instants);
  });

  test("of bytes brings each byte", async () => {
    const bytes = [Buffer.from([0, 1, 92, 255]), Buffer.alloc(0)];

    const { rows } = await client.query<{ element: Buffer }>(
      "select element from unnest($1::bytea[]) as element",
      [byteaArray(bytes)],
    );

    expect(rows.map(({ element }) => element)).toEqual(bytes);
  });

  test.each([
    [[]],
    [["5999", "0742"]],
    [["", "NULL", 'a"b\\c', "{,}", " ", "ß😀"]],
  ])("in another array brings %j", async (elements) => {
    const { rows } = await client.query<{ element: string[] }>(
      "select element::text[] as element from unnest($1::text[]) as element",
      [textArray([arrayLiteral(elements)])],
    );

    expect(rows).toEqual([{ element: elements }]);
  });
});
