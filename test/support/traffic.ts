import { aStatusUpdate, deliver } from "./deliveries.ts";
import { waitFor } from "./wait-for.ts";

/** Deliveries of new events without a pause, until it is stopped. */
export interface Traffic {
  /** The events that were answered with 200: counted here, and not in a table where other events are too. */
  readonly acknowledged: readonly string[];
  /** The status of all other answers; 0 where there was none. */
  readonly refused: readonly number[];
  readonly until: (acknowledged: number) => Promise<unknown>;
  readonly stop: () => Promise<void>;
}

const running = new Set<Traffic>();
const SENDERS = 8;

/** @param headers of each delivery, on top of the right ones */
export function startTraffic(
  target: { readonly baseUrl: string },
  headers: Readonly<Record<string, string>> = {},
): Traffic {
  const acknowledged: string[] = [];
  const refused: number[] = [];
  let isOver = false;
  const send = async () => {
    while (!isOver) {
      const event = aStatusUpdate();
      const answer = await deliver(target, event, { headers }).catch(
        () => undefined,
      );
      if (answer?.status === 200) acknowledged.push(event.event_id);
      else refused.push(answer?.status ?? 0);
    }
  };
  const ended = Promise.all(Array.from({ length: SENDERS }, send));
  const traffic: Traffic = {
    acknowledged,
    refused,
    until: (count) =>
      waitFor(() => Promise.resolve(acknowledged.length >= count), {
        what: `${String(count)} acknowledged deliveries`,
        timeoutMs: 30_000,
      }),
    stop: async () => {
      isOver = true;
      running.delete(traffic);
      await ended;
    },
  };
  running.add(traffic);
  return traffic;
}

/** Stops what a failing test has left: it would go on for ever. */
export async function endTraffic(): Promise<void> {
  await Promise.all([...running].map((traffic) => traffic.stop()));
}
