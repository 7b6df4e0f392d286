import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { replayEvent, replayQuarantined } from "../../src/operate/replay.ts";
import { verifyProjections } from "../../src/operate/recompute.ts";
import { aCardholderEvent, deliver, textOf } from "../support/deliveries.ts";
import type { Payload } from "../support/fixtures.ts";
import type { TestService } from "../support/service.ts";
import { startTestService } from "../support/service.ts";
import type { TestStore } from "../support/store.ts";
import { openStore } from "../support/store.ts";

/** What UQPAY tells of a person, in every field that it is known to use, and in one that it may add. */
const PERSON = {
  first_name: "Canaria",
  last_name: "Kanarienvogel",
  email: "canary.mail@example.com",
  phone_number: "5550canary",
  date_of_birth: "1911-11-11",
  nationality: "CanaryLand",
  country_code: "CanaryLand",
  reason: "passport of Canaria Kanarienvogel has expired",
  residential_address: { line1: "12 Canary Wharf" },
};
const CANARY = /canar|kanarien|5550|1911-11-11/i;

let service: TestService;
let store: TestStore;

beforeAll(async () => {
  service = await startTestService({
    queue: "postgres",
    env: { LOG_LEVEL: "trace" },
  });
  store = openStore(service.databaseUrl);
});

afterAll(async () => {
  await store.close();
  await service.stop();
});

const holder = (id: string, data: Record<string, unknown> = {}): Payload =>
  aCardholderEvent("kyc.status_changed", {
    ...PERSON,
    cardholder_id: id,
    ...data,
  });

const rowOf = async (id: string) =>
  (
    await service.rows("select * from cardholders where cardholder_id = $1", [
      id,
    ])
  )[0];

/** Every row of every table, as text. */
async function everything(): Promise<string> {
  const tables = await service.rows(`
    select format('%I.%I', table_schema, table_name) as name
    from information_schema.tables
    where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema')`);
  const texts = [];
  for (const { name } of tables) {
    // Bytes are shown as text.
    const rows = await service.rows(
      `select row::text || coalesce(convert_from(decode(substring(to_jsonb(row) ->> 'body' from '^\\\\x(.*)$'), 'hex'), 'LATIN1'), '') as text
       from ${String(name)} row`,
    );
    texts.push(...rows.map(({ text }) => String(text)));
  }
  return texts.join("\n");
}

test("nothing personal of a cardholder is in any table or in the log, whatever becomes of the delivery", async () => {
  const applied = holder("applied");
  const conflict = { ...applied, data: { ...applied.data, gender: "Canary" } };
  const stale = holder("stale");
  const refused = holder("", { cardholder_id: ["Canary"] });
  const strange = holder("strange", {
    idv_status: { canary: "Canary" },
    update_time: "Canary",
  });
  const statuses = [];
  for (const [body, atMs] of [
    [applied],
    [applied],
    [conflict],
    [stale, Date.now() - 3_600_000],
    [refused],
    [strange],
    [textOf(holder("broken"), "}}", "}")],
  ] as const) {
    const { status } = await deliver(service, body, {
      atMs: atMs ?? Date.now(),
    });
    statuses.push(status);
  }
  await service.untilApplied();

  expect(statuses).toEqual([200, 200, 200, 401, 422, 200, 400]);
  expect(await rowOf("applied")).toMatchObject({
    cardholder_status: "SUCCESS",
    idv_status: "PASSED",
    status_changed_at: "2026-04-08 09:01:47+00",
    event_id: applied.event_id,
  });
  expect(await rowOf("strange")).toMatchObject({
    cardholder_status: "SUCCESS",
    idv_status: null,
  });
  expect(await everything()).not.toMatch(CANARY);
  expect(service.log()).not.toMatch(CANARY);
  // The search does find things.
  expect(await everything()).toContain(applied.event_id);
  expect(service.log()).toContain(applied.event_id);

  // What came too late is taken in without its person, too.
  const [kept] = await service.rows(
    "select id from quarantined_events where event_id = $1",
    [stale.event_id],
  );
  expect(
    await replayQuarantined(store.db, String(kept?.["id"]), false),
  ).toMatchObject({ kind: "applied" });
  expect(await rowOf("stale")).toMatchObject({ cardholder_status: "SUCCESS" });
  expect(
    await service.rows(
      "select event_id from webhook_events where body is not null",
    ),
  ).toEqual([]);
  expect(await everything()).not.toMatch(CANARY);
  for await (const { changes } of verifyProjections(store.db))
    expect(changes).toEqual([]);
});

test("an event that an older version kept whole is applied, and its body is dropped", async () => {
  const old = holder("old");
  await service.rows(
    `insert into webhook_events (event_id, event_type, body, body_sha256, signed_at, state)
     values ($1, $2, $3, '', now(), 'ignored')`,
    [old.event_id, old.event_type, JSON.stringify(old)],
  );
  expect(await everything()).toMatch(CANARY);

  const dry = await replayEvent(store.db, old.event_id, true);
  const replayed = await replayEvent(store.db, old.event_id, false);

  expect(dry).toEqual(replayed);
  expect(replayed).toMatchObject({ kind: "applied" });
  expect(await rowOf("old")).toMatchObject({ cardholder_status: "SUCCESS" });
  expect(await everything()).not.toMatch(CANARY);
});

test("a cardholder's row is verified as it is, and one whose clocks are gone is reported and left", async () => {
  const event = holder("verified");
  await deliver(service, event);
  await service.untilApplied();
  const changes = [];
  for await (const page of verifyProjections(store.db))
    changes.push(...page.changes);
  expect(changes).toEqual([]);

  await service.rows(
    "update cardholders set field_clocks = '{\"a\": 1}' where cardholder_id = 'verified'",
  );

  const found = [];
  for await (const page of verifyProjections(store.db))
    found.push(...page.changes);
  expect(new Set(found.map(({ id }) => id))).toEqual(new Set(["verified"]));
});
