import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { CardEvent } from "../../src/domain/card-event.ts";
import { ownTimeOf } from "../../src/domain/card-event.ts";
import type { Clock } from "../../src/domain/clock.ts";
import { compareClocks, compareCodePoints } from "../../src/domain/clock.ts";
import type { Registers } from "../../src/domain/registers.ts";
import { textOf } from "../../src/domain/json.ts";
import { earlier } from "../../src/domain/instant.ts";
import { mergeRegisters } from "../../src/domain/registers.ts";
import { cardOrders } from "../../src/projections/card-orders.ts";
import { transactions } from "../../src/projections/transactions.ts";
import { cardholders } from "../../src/projections/cardholders.ts";
import { cards, statusFinality } from "../../src/projections/cards.ts";
import type { Projection } from "../../src/projections/projection.ts";
import type { KnownRow, Row } from "../../src/projections/rows.ts";
import { dateBack, merge, readRow, toRow } from "../../src/projections/rows.ts";
import {
  aClock,
  aTransactionEvent,
  anInstant,
  transactionEvents,
  cardEvents,
  eventsOfTransactions,
  cardholderEvents,
  deliveriesOf,
  orderEvents,
} from "../support/arbitraries.ts";
import {
  transactionAfter,
  cardAfter,
  cardholderAfter,
  earliestCopies,
  knownAfter,
  orderAfter,
  rowsAfter,
} from "../support/events.ts";

describe("the order of clocks", () => {
  test("is total: one of two different clocks is the greater", () => {
    fc.assert(
      fc.property(aClock, aClock, (a, b) => {
        const order = compareClocks(a, b);

        expect(Math.sign(order)).toBe(-Math.sign(compareClocks(b, a)) + 0);
        expect(order === 0).toBe(JSON.stringify(a) === JSON.stringify(b));
      }),
    );
  });

  test("is transitive", () => {
    fc.assert(
      fc.property(aClock, aClock, aClock, (...clocks) => {
        const [a, b, c] = clocks.toSorted(compareClocks);
        if (!a || !b || !c) throw new Error("three clocks");

        expect(compareClocks(a, b)).toBeLessThanOrEqual(0);
        expect(compareClocks(b, c)).toBeLessThanOrEqual(0);
        expect(compareClocks(a, c)).toBeLessThanOrEqual(0);
      }),
    );
  });

  test("is that of its parts, one after the other", () => {
    fc.assert(
      fc.property(aClock, aClock, (a, b) => {
        expect(Math.sign(compareClocks(a, b))).toBe(orderOfParts(a, b));
      }),
    );
  });

  test("breaks ties by ids in the order of their UTF-8, as PostgreSQL's collation C does", () => {
    const id = fc
      .array(
        fc.oneof(
          fc.constantFrom("a", "\ud7ff", "\ue000", "\uffff", "\u{10000}"),
          fc
            .integer({ min: 0xe000, max: 0x10ffff })
            .map((code) => String.fromCodePoint(code)),
        ),
        { maxLength: 3 },
      )
      .map((characters) => characters.join(""));
    fc.assert(
      fc.property(id, id, id, (start, a, b) => {
        const order = compareCodePoints(start + a, start + b);

        expect(Math.sign(order)).toBe(
          Buffer.compare(Buffer.from(start + a), Buffer.from(start + b)),
        );
      }),
      { numRuns: 300 },
    );
  });
});

/** Of each field and clock one value: what happens when an event says two things is not a question. */
const someRegisters: fc.Arbitrary<Registers> = fc
  .dictionary(fc.constantFrom("a", "b", "c"), aClock)
  .map((clocks) =>
    Object.fromEntries(
      Object.entries(clocks).map(([field, clock]) => [
        field,
        { value: `${field} ${JSON.stringify(clock)}`, clock },
      ]),
    ),
  );

const someCards = fc
  .tuple(cardEvents, fc.infiniteStream(fc.nat(2)))
  .map(([events, choices]) =>
    inThree(events, choices, (e) => cardAfter(...e).registers),
  );

const someTransactions = fc
  .tuple(transactionEvents, fc.infiniteStream(fc.nat(2)))
  .map(([events, choices]) =>
    inThree(events, choices, (e) => transactionAfter(...e).registers),
  );

const someOrders = fc
  .tuple(orderEvents, fc.infiniteStream(fc.nat(2)))
  .map(([events, choices]) =>
    inThree(events, choices, (e) => orderAfter(...e).registers),
  );

const someCardholders = fc
  .tuple(cardholderEvents, fc.infiniteStream(fc.nat(2)))
  .map(([events, choices]) =>
    inThree(events, choices, (e) => cardholderAfter(...e).registers),
  );

const mergeIn = (projection: Projection) => (a: Registers, b: Registers) =>
  merge(projection, a, b);

describe.each([
  [
    "registers",
    fc.tuple(someRegisters, someRegisters, someRegisters),
    (a: Registers, b: Registers) => mergeRegisters(a, b, () => "latest"),
  ],
  [
    "registers of which the earliest count",
    fc.tuple(someRegisters, someRegisters, someRegisters),
    (a: Registers, b: Registers) => mergeRegisters(a, b, () => "earliest"),
  ],
  ["cards", someCards, mergeIn(cards)],
  ["transactions", someTransactions, mergeIn(transactions)],
  ["orders", someOrders, mergeIn(cardOrders)],
  ["cardholders", someCardholders, mergeIn(cardholders)],
] as [
  string,
  fc.Arbitrary<[Registers, Registers, Registers]>,
  (known: Registers, news: Registers) => Registers,
][])("merging %s", (_what, three, merge) => {
  test("does not depend on which comes first", () => {
    fc.assert(
      fc.property(three, ([a, b]) => {
        expect(merge(a, b)).toEqual(merge(b, a));
      }),
    );
  });

  test("does not depend on which are merged first", () => {
    fc.assert(
      fc.property(three, ([a, b, c]) => {
        expect(merge(merge(a, b), c)).toEqual(merge(a, merge(b, c)));
      }),
    );
  });

  test("changes nothing the second time, and gives back the very same", () => {
    fc.assert(
      fc.property(three, ([a, b]) => {
        const merged = merge(a, b);

        expect(merge(a, a)).toBe(a);
        expect(merge(merged, b)).toBe(merged);
        expect(merge(merged, a)).toBe(merged);
      }),
    );
  });
});

describe("the same events", () => {
  test("give the same card in any order and any number", () => {
    fc.assert(
      fc.property(deliveriesOf(cardEvents), ({ events, deliveries }) => {
        const received = earliestCopies(deliveries);
        expect(toRow(cards, cardAfter(...received))).toEqual(
          toRow(cards, cardAfter(...events)),
        );
        expect(cardAfter(...received, ...received)).toEqual(
          cardAfter(...received),
        );
      }),
      { numRuns: 300 },
    );
  });

  test("give the same authorization in any order and any number", () => {
    fc.assert(
      fc.property(deliveriesOf(transactionEvents), ({ events, deliveries }) => {
        const received = earliestCopies(deliveries);
        expect(toRow(transactions, transactionAfter(...received))).toEqual(
          toRow(transactions, transactionAfter(...events)),
        );
      }),
      { numRuns: 300 },
    );
  });

  test("give the same transactions, each kind its own, in any order and any number", () => {
    fc.assert(
      fc.property(
        deliveriesOf(eventsOfTransactions),
        ({ events, deliveries }) => {
          const received = earliestCopies(deliveries);
          const rows = rowsAfter(transactions, events);

          expect(rowsAfter(transactions, received)).toEqual(rows);
          expect(
            rowsAfter(transactions, [...received, ...received.toReversed()]),
          ).toEqual(rows);
          for (const row of rows.values())
            expect(
              row?.["kind"] === "authorization" ||
                row?.["decline_category"] === null,
            ).toBe(true);
        },
      ),
      { numRuns: 300 },
    );
  });

  test("give the same order in any order and any number", () => {
    fc.assert(
      fc.property(deliveriesOf(orderEvents), ({ events, deliveries }) => {
        const received = earliestCopies(deliveries);
        expect(toRow(cardOrders, orderAfter(...received))).toEqual(
          toRow(cardOrders, orderAfter(...events)),
        );
      }),
      { numRuns: 300 },
    );
  });

  test("give the same cardholder in any order and any number", () => {
    fc.assert(
      fc.property(deliveriesOf(cardholderEvents), ({ events, deliveries }) => {
        const received = earliestCopies(deliveries);
        expect(toRow(cardholders, cardholderAfter(...received))).toEqual(
          toRow(cardholders, cardholderAfter(...events)),
        );
      }),
      { numRuns: 300 },
    );
  });

  test("give the same card when they are applied in parts and merged", () => {
    fc.assert(
      fc.property(
        deliveriesOf(cardEvents),
        fc.nat(),
        ({ events, deliveries }, cut) => {
          const received = earliestCopies(deliveries);
          const at = 1 + (cut % Math.max(1, received.length - 1));
          // The first of one part is in the other one, too.
          const parts = [
            received.slice(0, at),
            [...received.slice(at), ...received.slice(0, 1)],
          ];

          const [first, second] = parts
            .filter((part) => part.length > 0)
            .map((part) => cardAfter(...part));

          if (first === undefined) throw new Error("no part");
          const { key } = first;
          const registers = second
            ? merge(cards, second.registers, first.registers)
            : first.registers;
          expect(toRow(cards, { key, registers })).toEqual(
            toRow(cards, cardAfter(...events)),
          );
        },
      ),
    );
  });
});

describe("what an event said whose body is gone", () => {
  test("dated back to an earlier copy, gives with all others the card that the earlier copy gives", () => {
    fc.assert(
      fc.property(cardEvents, anInstant, ([first, ...others], time) => {
        if (first === undefined) throw new Error("no event");
        const { eventId } = first;
        const signedAt = earlier(time, first.signedAt);

        const { key, registers } = cardAfter(first);
        const datedBack = {
          key,
          registers: dateBack(cards, registers, new Map([[eventId, signedAt]])),
        };

        expect(toRow(cards, knownAfter(cards, others, datedBack))).toEqual(
          toRow(cards, cardAfter({ ...first, signedAt }, ...others)),
        );
      }),
      { numRuns: 300 },
    );
  });

  test("dated back to an earlier copy, gives the transaction that the earlier copy gives", () => {
    fc.assert(
      fc.property(aTransactionEvent, anInstant, (event, time) => {
        const signedAt = earlier(time, event.signedAt);
        const { registers } = transactionAfter(event);

        expect(
          dateBack(
            transactions,
            registers,
            new Map([[event.eventId, signedAt]]),
          ),
        ).toEqual(transactionAfter({ ...event, signedAt }).registers);
      }),
      { numRuns: 300 },
    );
  });
});

describe("a card's status", () => {
  test("is the greatest of all that were stated, judged part by part", () => {
    fc.assert(
      fc.property(cardEvents, (events) => {
        const greatest = events
          .flatMap(statementOf)
          .toSorted((a, b) => orderOfParts(a.clock, b.clock))
          .at(-1);

        const row = toRow(cards, cardAfter(...events));

        expect(row?.["card_status"]).toBe(greatest?.status ?? null);
        expect(row?.["status_changed_at"]).toBe(greatest?.clock.at ?? null);
      }),
      { numRuns: 300 },
    );
  });

  test("that is final is never left, whatever comes after", () => {
    fc.assert(
      fc.property(cardEvents, (events) => {
        const finalities = events.map((_, index) => {
          const row = toRow(cards, cardAfter(...events.slice(0, index + 1)));
          return statusFinality(textOf(row?.["card_status"]));
        });

        expect(finalities).toEqual(finalities.toSorted((a, b) => a - b));
      }),
      { numRuns: 300 },
    );
  });

  test("was asked to end at the earliest PRE_CANCEL", () => {
    fc.assert(
      fc.property(cardEvents, (events) => {
        const times = events
          .flatMap(statementOf)
          .filter(({ status }) => status === "PRE_CANCEL")
          .map(({ clock }) => clock.at)
          .toSorted();

        const row = toRow(cards, cardAfter(...events));

        expect(row?.["cancel_requested_at"]).toBe(times[0] ?? null);
      }),
    );
  });
});

describe("the latest block of a card's PIN", () => {
  test("was when the last of them was signed first, whichever copies came", () => {
    fc.assert(
      fc.property(deliveriesOf(cardEvents), ({ events, deliveries }) => {
        const times = events
          .filter(({ kind }) => kind === "pin-blocked")
          .map(({ signedAt }) => signedAt)
          .toSorted();

        const row = toRow(cards, cardAfter(...earliestCopies(deliveries)));

        expect(row?.["pin_blocked_at"]).toBe(times.at(-1) ?? null);
      }),
      { numRuns: 300 },
    );
  });
});

describe("the clocks of a row", () => {
  test("come back as they were written", () => {
    fc.assert(
      fc.property(cardEvents, (events) => {
        const known: KnownRow = cardAfter(...events);
        const row = JSON.parse(JSON.stringify(toRow(cards, known))) as Row;

        expect(readRow(cards, row)).toEqual(known);
      }),
    );
  });
});

/** Written again, from design.md and not from the code. */
function orderOfParts(a: Clock, b: Clock): number {
  const order =
    a.finality - b.finality ||
    a.authority - b.authority ||
    Buffer.compare(Buffer.from(a.at), Buffer.from(b.at)) ||
    Buffer.compare(Buffer.from(a.signedAt), Buffer.from(b.signedAt)) ||
    Buffer.compare(Buffer.from(a.eventId), Buffer.from(b.eventId));
  return Math.sign(order);
}

function statementOf(event: CardEvent): { status: string; clock: Clock }[] {
  if (!("status" in event) || event.status === undefined) return [];
  const isAnnounced = event.kind === "status-announced";
  const at = earlier(ownTimeOf(event) ?? event.signedAt, event.signedAt);
  const finality = { CANCELLED: 2, FAILED: 2, PRE_CANCEL: 1 }[event.status];
  const clock = {
    finality: finality ?? 0,
    authority: isAnnounced ? 1 : 0,
    at,
    signedAt: event.signedAt,
    eventId: event.eventId,
  };
  return [{ status: event.status, clock }];
}

/** Three states that may overlap: each event goes to one of them, the first to all. */
function inThree<Event, State>(
  events: readonly Event[],
  choices: Iterator<number>,
  after: (events: Event[]) => State,
): [State, State, State] {
  const [first, ...rest] = events;
  if (first === undefined) throw new Error("no event");
  const parts: [Event[], Event[], Event[]] = [[first], [], []];
  parts[1].push(rest[0] ?? first);
  parts[2].push(rest[1] ?? first);
  for (const event of rest)
    parts[choices.next().value as 0 | 1 | 2].push(event);
  return [after(parts[0]), after(parts[1]), after(parts[2])];
}
