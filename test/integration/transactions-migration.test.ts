import { readFile } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import {
  rebuildProjections,
  verifyProjections,
} from "../../src/operate/recompute.ts";
import type { ColumnChange } from "../../src/operate/row-changes.ts";
import type { TestDatabase } from "../support/database.ts";
import { createEmptyDatabase } from "../support/database.ts";
import { migrateUntil } from "../support/migrations.ts";
import type { Reader } from "../support/service.ts";
import { openReader } from "../support/service.ts";
import type { TestStore } from "../support/store.ts";
import { openStore } from "../support/store.ts";

/** All that version 0.2 has of an authorization. */
const COLUMNS = `transaction_id, event_id, card_id, cardholder_id, transaction_type, transaction_status, description,
  transaction_amount, transaction_currency, billing_amount, billing_currency, transaction_fee, transaction_fee_currency,
  authorization_code, original_transaction_id, wallet_type, mcc, merchant_name, merchant_city, merchant_country,
  transaction_time, posted_time, decline_category, mcc_declined, received_at, updated_at, field_clocks`;

/** What version 0.2 did not keep, and what it dated by the time of the card's use. */
const NEWS = [
  "account_id",
  "available_balance",
  "balance_as_of",
  "card_available_balance",
  "fee_pass_through",
  "field_clocks",
  "short_transaction_id",
];

describe("where authorizations were a table", () => {
  let database: TestDatabase;
  let reader: Reader;
  let finish: () => Promise<void>;

  beforeEach(async () => {
    database = await createEmptyDatabase();
    reader = openReader(database.url);
    ({ finish } = await migrateUntil(reader, "transactions"));
    await restoreVersion02(reader);
  });

  afterEach(async () => {
    await reader.close();
    await database.drop();
  });

  const readAuthorizations = () =>
    reader.rows(
      `select ${COLUMNS} from authorizations order by transaction_id`,
    );
  const inStore = async <Result>(
    work: (store: TestStore) => Promise<Result>,
  ) => {
    const store = openStore(database.url);
    try {
      return await work(store);
    } finally {
      await store.close();
    }
  };

  test("each row stands in the view as it stood in the table, and in transactions as what it is", async () => {
    const before = await readAuthorizations();

    await finish();

    expect(before).toHaveLength(8);
    expect(await readAuthorizations()).toEqual(before);
    expect(
      await reader.rows("select distinct kind, account_id from transactions"),
    ).toEqual([{ kind: "authorization", account_id: null }]);
    expect(
      await reader.rows("select transaction_id, rule_scope from mcc_declines"),
    ).toEqual([{ transaction_id: "auth-3", rule_scope: "account" }]);
  });

  test("rebuild adds what was not kept, changes nothing else, and verify then finds nothing", async () => {
    await finish();

    const { rebuilt, found } = await inStore(async ({ db }) => ({
      rebuilt: await all(rebuildProjections(db)),
      found: await all(verifyProjections(db)),
    }));

    const old = rebuilt.filter(({ table }) => table !== "card_orders");
    const columns = [...new Set(old.map(({ column }) => column))];
    expect(columns.length).toBeGreaterThan(0);
    expect(NEWS).toEqual(expect.arrayContaining(columns));
    expect(found).toEqual([]);
    // Booked last, though the card was used again before; its body is gone, so it is dated as it was.
    expect(
      await reader.rows(
        "select card_available_balance::text as balance from transactions where transaction_id = 'auth-1'",
      ),
    ).toEqual([{ balance: "988.5" }]);
  });

  test("whoever might read the table may read the view, no more columns than before", async () => {
    const suffix = database.url.slice(-8).replaceAll(/\W/g, "_");
    const [whole, part] = [`whole ${suffix}`, `part_${suffix}`];
    await reader.rows(`create role "${whole}"; create role ${part}`);
    await reader.rows(
      `grant select on authorizations to "${whole}" with grant option;
       grant select (card_id, mcc) on authorizations to ${part}`,
    );

    await finish();

    const may = async (role: string, columns: string) => {
      await reader.rows(`set role "${role}"`);
      try {
        return await reader
          .rows(`select ${columns} from authorizations`)
          .then(() => true)
          .catch(() => false);
      } finally {
        await reader.rows("reset role");
      }
    };
    const answers = {
      whole: await may(whole, "*"),
      part: await may(part, "card_id, mcc"),
      more: await may(part, "description"),
    };
    const [option] = await reader.rows(
      "select has_table_privilege($1, 'authorizations', 'select with grant option') as given",
      [whole],
    );
    await reader.rows(
      `drop owned by "${whole}", ${part}; drop role "${whole}", ${part}`,
    );
    expect(answers).toEqual({ whole: true, part: true, more: false });
    expect(option).toEqual({ given: true });
  });

  test("a view of somebody's own goes on answering of authorizations alone, with its options, grants and comments", async () => {
    await reader.rows(`
      create schema reports;
      create view reports.daily with (security_barrier = true) as
        select transaction_time::date as day, count(*)::int as number, a.card_id
        from authorizations a group by 1, 3;
      create view reports.grouped_by_key as
        select transaction_id, max(received_at) as at from authorizations group by transaction_id;
      create view reports.over_a_view as select sum(number)::int as number from reports.daily;
      comment on view reports.daily is 'ours';
      grant select on reports.daily to public`);
    const ask = async () => [
      await reader.rows("select * from reports.daily order by card_id, day"),
      await reader.rows("select * from reports.grouped_by_key order by 1"),
      await reader.rows("select * from reports.over_a_view"),
      await reader.rows(
        `select reloptions, relacl::text, obj_description(oid) from pg_class
         where relnamespace = 'reports'::regnamespace order by relname`,
      ),
    ];
    const before = await ask();

    await finish();

    await reader.rows(
      `insert into transactions (transaction_id, kind, event_id, card_id, transaction_status, mcc_declined, received_at, field_clocks)
       values ('other', 'refund', 'none', 'card-1', 'APPROVED', false, now(), '{}')`,
    );
    expect(await ask()).toEqual(before);
  });

  test.each([
    [
      "a materialized view",
      "create materialized view kept as select card_id from authorizations",
      "materialized view kept",
    ],
    [
      "a foreign key",
      'create table notes (transaction_id text collate "C" references authorizations)',
      "constraint notes_transaction_id_fkey on table notes",
    ],
    [
      "a trigger",
      `create function tell() returns trigger language plpgsql as 'begin return null; end';
       create trigger told after insert on authorizations execute function tell()`,
      "trigger told on table authorizations",
    ],
    [
      "a function of its rows",
      `create function latest() returns setof authorizations language sql as 'select * from authorizations'`,
      "function latest()",
    ],
    [
      "a policy",
      "create policy own on authorizations using (card_id = 'x')",
      "policy own on table authorizations",
    ],
    [
      "row level security",
      "alter table authorizations enable row level security",
      "row level security",
    ],
    [
      "a publication",
      "create publication moves for table authorizations",
      "publication of table authorizations in publication moves",
    ],
    [
      "a rule",
      "create rule silent as on delete to authorizations do instead nothing",
      "rule silent on table authorizations",
    ],
    [
      "a table of its kind",
      "create table more () inherits (authorizations)",
      "table more",
    ],
    [
      "a view of whole rows",
      "create view rows as select a from authorizations a",
      "view rows",
    ],
    [
      "a view of what only a table has",
      "create view places as select ctid, card_id from authorizations",
      'your view places cannot follow it: column "ctid" does not exist',
    ],
  ])(
    "%s that cannot follow stops the migration, which names it and has changed nothing",
    async (_what, create, name) => {
      await reader.rows(create);
      const before = await readAuthorizations();

      const failure = await finish().then(
        () => "none",
        (error: unknown) => String(error),
      );

      expect(failure).toContain("cannot follow it");
      expect(failure).toContain(name);
      expect(await readAuthorizations()).toEqual(before);
      expect(
        await reader.rows("select to_regclass('transactions') as new"),
      ).toEqual([{ new: null }]);
    },
  );

  test("an index of somebody's own stays", async () => {
    await reader.rows("create index own on authorizations (merchant_name)");

    await finish();

    expect(
      await reader.rows(
        "select tablename from pg_indexes where indexname = 'own'",
      ),
    ).toEqual([{ tablename: "transactions" }]);
  });
});

async function all(
  parts: ReturnType<typeof verifyProjections>,
): Promise<ColumnChange[]> {
  const changes: ColumnChange[] = [];
  for await (const part of parts) changes.push(...part.changes);
  return changes;
}

/**
 * Fills the tables as version 0.2 left them: authorizations that are pending and then approved, declined, without a time
 * or an id, told of under two cards and of which a body is dropped, and what it ignored: refunds, settlements, fees.
 */
async function restoreVersion02(reader: Reader): Promise<void> {
  const file = new URL("../fixtures/databases/0.2.0.json", import.meta.url);
  const tables = JSON.parse(await readFile(file, "utf8")) as Readonly<
    Record<string, readonly object[]>
  >;
  for (const [table, rows] of Object.entries(tables))
    await reader.rows(
      `insert into ${table} overriding system value
       select * from jsonb_populate_recordset(null::${table}, $1)`,
      [JSON.stringify(rows)],
    );
}
