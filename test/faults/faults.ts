import { setTimeout as sleep } from "node:timers/promises";
import type { Moment } from "../../src/process/checkpoint.ts";
import type { Instance } from "./instances.ts";
import type { PostgresServer } from "./postgres-server.ts";
import type { Random } from "../../dev/simulator/random.ts";
import type { RedisUnderTest } from "./redis-under-test.ts";

export const INSTANCE_FAULTS = [
  "die-recorded",
  "die-answered",
  "die-applying",
  "die-applied",
  "die-committed",
  "instance-sigkill",
  "instance-sigterm",
  "instance-freeze",
] as const;
export const POSTGRES_FAULTS = [
  "postgres-crash",
  "postgres-kill",
  "postgres-cut-connections",
  "postgres-freeze",
  "postgres-slow",
  "postgres-lock",
  "postgres-exhaust-connections",
] as const;
export const REDIS_FAULTS = [
  "redis-kill-empty",
  "redis-kill-kept",
  "redis-freeze",
  "redis-flush",
  "redis-fill",
] as const;

export type FaultKind =
  | (typeof INSTANCE_FAULTS)[number]
  | (typeof POSTGRES_FAULTS)[number]
  | (typeof REDIS_FAULTS)[number];

/** Everything about a fault, decided before it happens. */
export interface PlannedFault {
  readonly kind: FaultKind;
  /** 0 or 1: which instance, where it is one. */
  readonly instance: number;
  readonly durationMs: number;
  /** Of a named moment: how many of its kind pass first. */
  readonly after: number;
  readonly table: "webhook_events" | "cards";
  readonly pauseMs: number;
  /** The next fault begins while this one lasts. */
  readonly overlaps: boolean;
}

export interface World {
  readonly instances: readonly Instance[];
  readonly postgres: PostgresServer;
  readonly database: string;
  /** Undefined: the queue is in PostgreSQL. */
  readonly redis: RedisUnderTest | undefined;
  /** Sends so many events at once. */
  readonly burst: (count: number) => unknown;
}

/** How long a named moment may keep an armed instance waiting. */
const MOMENT_TIMEOUT_MS = 4_000;
/** Who dies shall have many events in hand. */
const EVENTS_IN_HAND = 40;
/** Longer than the lock of a job (10 s): the queue gives its job to the other instance meanwhile. */
const LONG_FREEZE_MS = 12_000;

/** An endless plan: every kind comes once before any comes again. */
export function* planFaults(
  random: Random,
  kinds: readonly FaultKind[],
): Generator<PlannedFault> {
  for (;;) {
    for (const kind of random.shuffle(kinds)) {
      const isLong = random.chance(0.25);
      yield {
        kind,
        instance: random.between(0, 1),
        durationMs:
          isLong && kind === "instance-freeze"
            ? LONG_FREEZE_MS
            : random.between(200, isLong ? 4_000 : 1_500),
        after: random.between(0, 3),
        table: random.pick(["webhook_events", "webhook_events", "cards"]),
        pauseMs: random.between(100, 2_000),
        overlaps: (isLong && kind === "instance-freeze") || random.chance(0.25),
      };
    }
  }
}

/** Two faults of one thing never overlap. */
export function thingOf(fault: PlannedFault): string {
  const [thing = ""] = fault.kind.split("-");
  return thing === "die" || thing === "instance"
    ? `instance ${String(fault.instance)}`
    : thing;
}

/** @returns false when the moment for it did not come */
export async function inject(
  fault: PlannedFault,
  { instances, postgres, database, redis, burst }: World,
): Promise<boolean> {
  const instance = instances[fault.instance]!;
  const { durationMs } = fault;
  switch (fault.kind) {
    case "die-recorded":
    case "die-answered":
    case "die-applying":
    case "die-applied":
    case "die-committed": {
      const died = instance.killAt(
        fault.kind.slice("die-".length) as Moment,
        fault.after,
        MOMENT_TIMEOUT_MS,
      );
      burst(EVENTS_IN_HAND);
      return died;
    }
    case "instance-sigkill":
      return instance.kill();
    case "instance-sigterm":
      return instance.terminate();
    case "instance-freeze":
      return instance.freeze(durationMs);
    case "postgres-crash":
      await postgres.crash(durationMs);
      return true;
    case "postgres-kill":
      await postgres.kill(durationMs);
      return true;
    case "postgres-cut-connections":
      await postgres.cutConnections(database);
      return true;
    case "postgres-freeze":
      await postgres.freeze(durationMs);
      return true;
    case "postgres-slow":
      await postgres.slowDown(durationMs);
      return true;
    case "postgres-lock":
      await postgres.lockTable(database, fault.table, durationMs);
      return true;
    case "postgres-exhaust-connections":
      await postgres.exhaustConnections(database, durationMs);
      return true;
    case "redis-kill-empty":
    case "redis-kill-kept":
      await redis?.kill(durationMs, fault.kind === "redis-kill-kept");
      return true;
    case "redis-freeze":
      await redis?.freeze(durationMs);
      return true;
    case "redis-flush":
      await redis?.flush();
      return true;
    case "redis-fill":
      await redis?.fill(durationMs);
      return true;
  }
}

export interface Injected {
  readonly counts: ReadonlyMap<FaultKind, number>;
  readonly missed: number;
}

/** Injects faults of the plan, until so many have really happened. */
export async function injectFaults(
  plan: Iterator<PlannedFault, undefined>,
  total: number,
  world: World,
  tell: (line: string) => void,
): Promise<Injected> {
  const counts = new Map<FaultKind, number>();
  const busy = new Map<string, Promise<void>>();
  let happened = 0;
  let missed = 0;
  while (happened + busy.size < total || busy.size > 0) {
    if (happened + busy.size >= total) {
      await Promise.race(busy.values());
      continue;
    }
    const fault = plan.next().value;
    if (fault === undefined) break;
    const thing = thingOf(fault);
    await busy.get(thing);
    const startedAt = performance.now();
    const running = inject(fault, world).then((hasHappened) => {
      busy.delete(thing);
      if (hasHappened) {
        happened += 1;
        counts.set(fault.kind, (counts.get(fault.kind) ?? 0) + 1);
      } else missed += 1;
      const tookMs = Math.round(performance.now() - startedAt);
      tell(
        `${String(happened)}/${String(total)} ${fault.kind} (${thing}, ${String(tookMs)} ms)${hasHappened ? "" : " missed"}`,
      );
    });
    busy.set(thing, running);
    if (!fault.overlaps) await running;
    await sleep(fault.pauseMs);
  }
  return { counts, missed };
}
