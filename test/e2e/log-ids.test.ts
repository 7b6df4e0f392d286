import { afterEach, expect, test } from "@jest/globals";
import { aStatusUpdate, deliver } from "../support/deliveries.ts";
import type { TestService } from "../support/service.ts";
import { startTestService } from "../support/service.ts";
import { waitFor } from "../support/wait-for.ts";

const started: TestService[] = [];

afterEach(async () => {
  for (const service of started.splice(0)) await service.stop();
});

async function start(env: Record<string, string> = {}): Promise<TestService> {
  const service = await startTestService({ queue: "postgres", env });
  started.push(service);
  return service;
}

type Line = Readonly<Record<string, unknown>>;

/** The lines that name this event, or with this message. */
function linesOf(
  { log }: TestService,
  wanted: { readonly eventId?: string; readonly msg?: string },
): Line[] {
  return log()
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line)
    .filter((line) =>
      Object.entries(wanted).every(([name, value]) => line[name] === value),
    );
}

test("an event that is recorded and applied has a line for debugging for each", async () => {
  const service = await start();
  const event = aStatusUpdate();
  const { event_id: eventId } = event;

  await deliver(service, event);
  await service.untilApplied();

  await waitFor(
    () => Promise.resolve(linesOf(service, { eventId }).length >= 2),
    { what: "two lines" },
  );
  expect(linesOf(service, { eventId })).toMatchObject([
    { level: 20, msg: "event recorded", cardId: event.data["card_id"] },
    { level: 20, msg: "event applied", cardId: event.data["card_id"] },
  ]);
});

test("what could be a card number in an id is masked", async () => {
  const service = await start();

  await deliver(service, aStatusUpdate({ card_id: "4096360812348664" }));
  await deliver(
    service,
    aStatusUpdate({ card_id: "x4096360812348664", update_time: "yesterday" }),
  );
  await service.untilApplied();
  await waitFor(
    () => Promise.resolve(linesOf(service, { msg: "event applied" })[0]),
    { what: "the last line" },
  );

  expect(service.log()).not.toContain("4096360812348664");
  expect(linesOf(service, { msg: "event applied" })).toMatchObject([
    { cardId: "409636******8664" },
  ]);
});

test("at the usual level it has none", async () => {
  const service = await start({ LOG_LEVEL: "info" });
  const event = aStatusUpdate();

  await deliver(service, event);
  await service.untilApplied();

  expect(linesOf(service, { eventId: event.event_id })).toEqual([]);
});

test("each way into quarantine is one line with the ids of event, card and entry, and the reason as the answer spells it", async () => {
  const service = await start();
  const invalid = aStatusUpdate({ update_time: "yesterday" });
  const stale = aStatusUpdate();
  const conflict = aStatusUpdate();
  const other = { ...aStatusUpdate(), event_id: conflict.event_id };

  await deliver(service, '{"');
  await deliver(service, invalid);
  await deliver(service, invalid);
  await deliver(service, stale, { atMs: Date.now() - 400_000 });
  await deliver(service, conflict);
  await deliver(service, other);

  const rows = await service.rows(
    "select id::text, reason, event_id, card_id from quarantined_events",
  );
  const quarantineIdOf = (reason: string) =>
    rows.find((row) => row["reason"] === reason)?.["id"];
  const told = linesOf(service, { msg: "delivery quarantined" });
  expect(rows).toHaveLength(4);
  expect(told).toMatchObject([
    { reason: "invalid_json", deliveries: 1 },
    {
      reason: "invalid_payload",
      eventId: invalid.event_id,
      cardId: invalid.data["card_id"],
      deliveries: 1,
    },
    { reason: "invalid_payload", deliveries: 2 },
    {
      reason: "stale_timestamp",
      eventId: stale.event_id,
      cardId: stale.data["card_id"],
    },
    {
      reason: "event_id_conflict",
      eventId: conflict.event_id,
      cardId: other.data["card_id"],
    },
  ]);
  for (const line of told)
    expect(line["quarantineId"]).toBe(quarantineIdOf(String(line["reason"])));
});

test("an authentic event that is refused and not kept has a line, too", async () => {
  const service = await start();
  const stored = aStatusUpdate();
  const lost = aStatusUpdate();

  await deliver(service, stored);
  await deliver(service, stored, { atMs: Date.now() - 400_000 });
  await service.rows("alter table webhook_events rename to hidden");
  const answer = await deliver(service, lost);
  await service.rows("alter table hidden rename to webhook_events");

  expect(answer.status).toBe(503);
  expect(linesOf(service, { msg: "event refused" })).toMatchObject([
    {
      reason: "stale_timestamp",
      eventId: stored.event_id,
      cardId: stored.data["card_id"],
    },
    {
      reason: "unavailable",
      eventId: lost.event_id,
      cardId: lost.data["card_id"],
    },
  ]);
});

test("an event that fails, and one that is given up, are told with the card", async () => {
  const service = await start({ EVENT_MAX_ATTEMPTS: "2" });
  await service.rows(
    "alter table cards add constraint no_frozen check (card_status <> 'FROZEN')",
  );
  const event = aStatusUpdate();
  const { event_id: eventId } = event;

  await deliver(service, event);
  await waitFor(
    () =>
      Promise.resolve(
        linesOf(service, { eventId, msg: "event given up" }).length === 1,
      ),
    { what: "the event to be given up", timeoutMs: 20_000 },
  );

  const cardId = event.data["card_id"];
  expect(linesOf(service, { eventId, msg: "event failed" })).toMatchObject([
    { cardId, error: expect.any(String) },
  ]);
  expect(linesOf(service, { eventId, msg: "event given up" })).toMatchObject([
    { cardId, error: expect.any(String) },
  ]);
});

test("so is one that is given up since its workers died of it", async () => {
  const service = await start();
  const event = aStatusUpdate();
  const { event_id: eventId } = event;
  await deliver(service, event);
  await service.untilApplied();

  // As the last of them left it.
  await service.rows(
    `update webhook_events set state = 'received', processed_at = null, attempts = 3,
       received_at = now() - interval '1 hour', hinted_at = now() - interval '1 hour'`,
  );

  await waitFor(
    () =>
      Promise.resolve(
        linesOf(service, { eventId, msg: "event given up" }).length === 1,
      ),
    { what: "the event to be given up", timeoutMs: 20_000 },
  );
  expect(linesOf(service, { eventId, msg: "event given up" })).toMatchObject([
    { cardId: event.data["card_id"] },
  ]);
});
