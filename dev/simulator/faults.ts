import { SimulatorError } from "./cards.ts";
import type { Random } from "./random.ts";
import { randomFrom } from "./random.ts";

/** What can go wrong, and what it does. */
export const FAULTS = {
  lost: "the webhook is never sent",
  duplicated: "the webhook is sent twice, byte for byte",
  reordered: "the webhook waits until some that come after it were sent",
  delayed: "the webhook comes later, by up to a minute",
  "signed-anew":
    "the webhook is sent twice, and the copy that was signed first comes second",
  stale: "the webhook is signed ten minutes ago, at every try",
  conflicting:
    "a second webhook follows under the same id, with another content",
  malformed: "the first try is cut in the middle of its JSON, but signed",
  slow: "the webhook's body, or the API's answer, takes three seconds",
  lagging: "the API answers as things were up to five seconds ago",
  "moving-pages": "cards change their places in the list from page to page",
  "rate-limited": "the API answers 429, with UQPAY's invalid JSON",
  "expired-token": "the API refuses a token before its time",
  "html-error": "the API answers 502 with a page",
} as const;

export type Fault = keyof typeof FAULTS;

export const FAULT_NAMES = Object.keys(FAULTS) as Fault[];

export interface Faults {
  /** How often each comes, 0 to 1; those that are left out stay as they are. */
  readonly set: (rates: Partial<Record<Fault, number>>) => void;
  /** The next so many times it comes for sure. */
  readonly next: (fault: Fault, count?: number) => void;
  readonly rates: () => Readonly<Record<Fault, number>>;
  /** Whether it comes now. */
  readonly strikes: (fault: Fault) => boolean;
}

/** Each fault has a random stream of its own: one that is switched on does not change when the others come. */
export function createFaults(seed: number): Faults {
  const rates = Object.fromEntries(
    FAULT_NAMES.map((fault) => [fault, 0]),
  ) as Record<Fault, number>;
  const randoms = new Map<Fault, Random>(
    FAULT_NAMES.map((fault) => [fault, randomFrom(seed, fault)]),
  );
  const due = new Map<Fault, number>();
  return {
    set: (wanted) => {
      for (const [fault, rate] of Object.entries(wanted))
        if (!(rate >= 0 && rate <= 1))
          throw new SimulatorError(`how often ${fault} comes is 0 to 1`);
      Object.assign(rates, wanted);
    },
    next: (fault, count = 1) => {
      due.set(fault, (due.get(fault) ?? 0) + count);
    },
    rates: () => ({ ...rates }),
    strikes: (fault) => {
      const count = due.get(fault) ?? 0;
      if (count > 0) due.set(fault, count - 1);
      const isDrawn = randoms.get(fault)?.chance(rates[fault]) === true;
      return count > 0 || isDrawn;
    },
  };
}
