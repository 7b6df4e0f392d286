import { setTimeout as sleep } from "node:timers/promises";
import type { SentEvent } from "./events.ts";
import { eventAt } from "./events.ts";
import type { Random } from "../../dev/simulator/random.ts";
import { randomFrom } from "../../dev/simulator/random.ts";
import type { Sender } from "./sender.ts";

/** What was sent and what became of it, as the sender sees it. */
export interface Traffic {
  readonly sent: readonly SentEvent[];
  readonly acknowledged: ReadonlySet<string>;
  /** Sends the next events of the story now, all at once. */
  readonly burst: (count: number) => readonly SentEvent[];
  /** Sends at this rate until told to stop. */
  readonly start: (perSecond: number) => () => void;
  /** Events of which a stale copy was sent: that one may be in quarantine. */
  readonly stale: ReadonlySet<string>;
  /** Resolves when every chain of attempts has ended. */
  readonly settled: () => Promise<void>;
  readonly repeated: () => number;
}

const TICK_MS = 50;
const LONGEST_DETOUR_MS = 1_500;
/** Attempts are signed at most so long ago; well within the tolerance, however long one takes. */
const LONGEST_AGE_MS = 240_000;
/** And stale ones at least, well outside of it. */
const STALE_AGE_MS = 360_000;

export function createTraffic(seed: number, sender: Sender): Traffic {
  const sent: SentEvent[] = [];
  const acknowledged = new Set<string>();
  const stale = new Set<string>();
  const chains = new Set<Promise<void>>();
  let repeated = 0;

  const track = (chain: Promise<void>) => {
    chains.add(chain);
    void chain.finally(() => chains.delete(chain));
  };
  const deliver = async (event: SentEvent, random: Random) => {
    // Half of them now: so that events tie, and later copies are signed earlier as well as later.
    const ageMs = () =>
      random.chance(0.5) ? 0 : random.between(1, LONGEST_AGE_MS);
    if (await sender.deliver(event, ageMs)) acknowledged.add(event.id);
  };
  const deliverStale = async (event: SentEvent, random: Random) => {
    stale.add(event.id);
    await sleep(random.between(1, LONGEST_DETOUR_MS));
    await sender.deliver(event, () => STALE_AGE_MS + random.between(0, 60_000));
  };
  /**
   * Some events go a longer way, some are delivered twice at once, some again after their acknowledgement. Of some comes
   * a stale copy, before or after.
   */
  const send = async (event: SentEvent, index: number) => {
    const random = randomFrom(seed, `delivery ${String(index)}`);
    if (random.chance(0.15)) await sleep(random.between(1, LONGEST_DETOUR_MS));
    const isDoubled = random.chance(0.06);
    const isRepeated = random.chance(0.1);
    const isStale = random.chance(0.03);
    await Promise.all([
      deliver(event, random),
      ...(isDoubled ? [deliver(event, random)] : []),
      ...(isStale ? [deliverStale(event, random)] : []),
    ]);
    if (isRepeated) {
      await sleep(random.between(1, LONGEST_DETOUR_MS));
      await deliver(event, random);
    }
    if (isDoubled || isRepeated) repeated += 1;
  };
  const burst = (count: number) => {
    const from = sent.length;
    const events = Array.from({ length: count }, (_, offset) =>
      eventAt(seed, from + offset),
    );
    sent.push(...events);
    events.forEach((event, offset) => track(send(event, from + offset)));
    return events;
  };

  return {
    sent,
    acknowledged,
    stale,
    burst,
    start: (perSecond) => {
      let owed = 0;
      const timer = setInterval(() => {
        owed += (perSecond * TICK_MS) / 1000;
        const due = Math.floor(owed);
        owed -= due;
        burst(due);
      }, TICK_MS);
      return () => clearInterval(timer);
    },
    settled: async () => {
      while (chains.size > 0) await Promise.all(chains);
    },
    repeated: () => repeated,
  };
}
