import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import pg from "pg";
import {
  arrayLiteral,
  byteaArray,
  textArray,
} from "../../src/store/array-parameter.ts";
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
