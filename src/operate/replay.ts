import { computeAnew } from "./earlier-copies.ts";
import type { CardEvent } from "../domain/card-event.ts";
import { project } from "../apply-events.ts";
import { PROJECTIONS } from "../projections/index.ts";
import type { Projection } from "../projections/projection.ts";
import { keysOf, statementsIn } from "../projections/rows.ts";
import type { Database, Transaction } from "../store/database.ts";
import { inTransaction } from "../store/database.ts";
import { lowerSignedTimes } from "../store/earlier-copies.ts";
import { describeError } from "../store/errors.ts";
import { insertLateEvent, lockEvent } from "../store/event-records.ts";
import { findStoredDigest, markReplayed } from "../store/inbox.ts";
import { dropBodies, dropQuarantinedBody } from "../store/retention.ts";
import { lockRows } from "../store/projection-rows.ts";
import { findQuarantinedTimes } from "../store/quarantine.ts";
import type { QuarantineRecord } from "../store/quarantine-records.ts";
import {
  lockQuarantined,
  resolveQuarantined,
} from "../store/quarantine-records.ts";
import type { Issue } from "../uqpay/decode-event.ts";
import { decodeEvent, decodeKeptEvent } from "../uqpay/decode-event.ts";
import { mayBePersonal } from "../uqpay/event-types/index.ts";
import type { ColumnChange } from "./row-changes.ts";
import { compareTables, readTables } from "./row-changes.ts";

/** How replaying one event ended. */
export type Replay =
  | { readonly kind: "applied"; readonly changes: readonly ColumnChange[] }
  /** Its type still has no handler; out of the quarantine it is now stored as ignored. */
  | { readonly kind: "ignored" }
  /** Changes where this copy was signed earlier than all that are known. */
  | {
      readonly kind: "stored-already";
      readonly changes: readonly ColumnChange[];
    }
  | { readonly kind: "still-invalid"; readonly issues: readonly Issue[] }
  /** Another content under this id is stored; which of the two is true, a person must find out. */
  | { readonly kind: "conflict" }
  /** Nothing to apply: a sensitive type, or dropped by retention, or since it told of a person. */
  | { readonly kind: "no-body" }
  | { readonly kind: "not-found" }
  | { readonly kind: "failed"; readonly error: string };

/**
 * Applies an event of the inbox again, whatever its state, through the code of today. Applying is idempotent,
 * so an event that was applied before changes nothing.
 *
 * @param isDryRun true: shows what would change and changes nothing
 */
export async function replayEvent(
  db: Database,
  eventId: string,
  isDryRun: boolean,
  projections = PROJECTIONS,
): Promise<Replay> {
  return replayIn(db, isDryRun, async (trx) => {
    const record = await lockEvent(trx, eventId);
    if (record === undefined) return { kind: "not-found" };
    if (record.body === null) return { kind: "no-body" };
    const decoded = decodeKeptEvent(record.body, record);
    if (decoded.kind === "not-json") return NOT_JSON;
    if (decoded.kind === "malformed")
      return { kind: "still-invalid", issues: decoded.issues };
    if (decoded.kind !== "known") return { kind: "ignored" };
    const changes = await applyAndCompare(trx, decoded.event, projections);
    await markReplayed(trx, eventId, decoded.unreadable);
    if (decoded.isPersonal) await dropBodies(trx, [eventId]);
    return { kind: "applied", changes };
  });
}

const NOT_JSON: Replay = {
  kind: "still-invalid",
  issues: [{ path: "", message: "is not JSON" }],
};

/**
 * Takes a quarantined delivery in through the code of today, as if it had been taken in when it came.
 *
 * @param isDryRun true: shows what would change and changes nothing
 */
export async function replayQuarantined(
  db: Database,
  id: string,
  isDryRun: boolean,
  projections = PROJECTIONS,
): Promise<Replay> {
  return replayIn(db, isDryRun, async (trx) => {
    const kept = await lockQuarantined(trx, id);
    if (kept === undefined) return { kind: "not-found" };
    const replay = await takeIn(trx, kept, projections);
    const resolution = RESOLUTIONS[replay.kind];
    if (resolution !== undefined) {
      await resolveQuarantined(trx, [id], resolution);
      if (mayBePersonal(kept.eventType ?? ""))
        await dropQuarantinedBody(trx, id);
    }
    return replay;
  });
}

const RESOLUTIONS: Partial<Readonly<Record<Replay["kind"], string>>> = {
  applied: "replayed",
  ignored: "replayed: stored, its type has no handler",
  "stored-already": "the same event is stored already",
};

async function takeIn(
  trx: Transaction,
  kept: QuarantineRecord,
  projections: readonly Projection[],
): Promise<Replay> {
  if (kept.body === null) return { kind: "no-body" };
  const times = await findQuarantinedTimes(trx, [kept]);
  const signedAt =
    times.get(kept.bodySha256.toString("hex")) ?? kept.receivedAt;
  const decoded = decodeEvent(kept.body, {
    signedAt,
    receivedAt: kept.receivedAt,
  });
  if (decoded.kind === "not-json") return NOT_JSON;
  if (decoded.kind === "malformed")
    return { kind: "still-invalid", issues: decoded.issues };

  const isHandled = decoded.kind === "known";
  const isPersonal = isHandled && decoded.isPersonal;
  const isNew = await insertLateEvent(trx, {
    ...decoded.envelope,
    cardId: decoded.cardId,
    body: decoded.isSensitive || isPersonal ? undefined : decoded.text,
    bodySha256: kept.bodySha256,
    signedAt,
    receivedAt: kept.receivedAt,
    issues: decoded.unreadable,
    state: isHandled ? "processed" : "ignored",
  });
  if (!isNew) return compareWithStored(trx, kept, decoded.envelope.eventId);
  if (!isHandled) return { kind: "ignored" };
  return {
    kind: "applied",
    changes: await applyAndCompare(trx, decoded.event, projections),
  };
}

async function compareWithStored(
  trx: Transaction,
  { bodySha256, signedAt }: QuarantineRecord,
  eventId: string,
): Promise<Replay> {
  const stored = await findStoredDigest(trx, eventId);
  if (stored?.equals(bodySha256) !== true) return { kind: "conflict" };
  const lowered =
    signedAt === null
      ? []
      : await lowerSignedTimes(trx, new Map([[eventId, signedAt]]));
  return {
    kind: "stored-already",
    changes: await computeAnew(trx, lowered),
  };
}

async function applyAndCompare(
  trx: Transaction,
  event: CardEvent,
  projections: readonly Projection[],
): Promise<ColumnChange[]> {
  const touched = projections.map((projection) => ({
    projection,
    keys: keysOf(statementsIn(projection, [event])),
  }));
  await lockRows(trx, touched);
  const before = await readTables(trx, touched);
  await project(trx, [event], projections);
  const after = await readTables(trx, touched);
  return compareTables(before, after);
}

class DryRun extends Error {
  readonly replay: Replay;
  constructor(replay: Replay) {
    super("a dry run is rolled back");
    this.replay = replay;
  }
}

/** A dry run does everything and then rolls it back: what it shows is what would be. */
async function replayIn(
  db: Database,
  isDryRun: boolean,
  work: (trx: Transaction) => Promise<Replay>,
): Promise<Replay> {
  try {
    return await inTransaction(db, async (trx) => {
      const replay = await work(trx);
      if (isDryRun) throw new DryRun(replay);
      return replay;
    });
  } catch (error) {
    if (error instanceof DryRun) return error.replay;
    return { kind: "failed", error: describeError(error) };
  }
}
