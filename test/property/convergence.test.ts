import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { Authorization } from "../../src/domain/authorization.ts";
import { mergeAuthorizations } from "../../src/domain/authorization.ts";
import type { CardEvent } from "../../src/domain/card-event.ts";
import type { Card } from "../../src/domain/card.ts";
import {
  applyToCard,
  dateCardBack,
  mergeCards,
  statusFinality,
} from "../../src/domain/card.ts";
import type { Clock } from "../../src/domain/clock.ts";
import { compareClocks, compareCodePoints } from "../../src/domain/clock.ts";
import type { Registers } from "../../src/domain/registers.ts";
import { earlier } from "../../src/domain/instant.ts";
import { dateBack, mergeRegisters } from "../../src/domain/registers.ts";
import { toRow as toAuthorizationRow } from "../../src/store/authorizations.ts";
import { toRow as toCardRow } from "../../src/store/cards.ts";
import { CARD_CLOCKS } from "../../src/store/card-columns.ts";
import { fieldClocks } from "../../src/store/field-clocks.ts";
import {
  aClock,
  anAuthorizationEvent,
  anInstant,
  authorizationEvents,
  cardEvents,
  deliveriesOf,
} from "../support/arbitraries.ts";
import {
  authorizationAfter,
  cardAfter,
  earliestCopies,
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
const someRegisters: fc.Arbitrary<Registers<Record<string, string>>> = fc
  .dictionary(fc.constantFrom("a", "b", "c"), aClock)
  .map((clocks) =>
    Object.fromEntries(
      Object.entries(clocks).map(([field, clock]) => [
        field,
        { value: `${field} ${JSON.stringify(clock)}`, clock },
      ]),
    ),
  );

/** As most rows have them: one event set several fields. */
const registersOfFewClocks = fc
  .array(aClock, { minLength: 1, maxLength: 2 })
  .chain((clocks) =>
    fc.dictionary(
      fc.constantFrom("a", "b", "c"),
      fc.constantFrom(...clocks).map((clock) => ({
        value: "",
        clock: { ...clock },
      })),
    ),
  );

const someCards = fc
  .tuple(cardEvents, fc.infiniteStream(fc.nat(2)))
  .map(([events, choices]) => inThree(events, choices, (e) => cardAfter(...e)));

const someAuthorizations = fc
  .tuple(authorizationEvents, fc.infiniteStream(fc.nat(2)))
  .map(([events, choices]) =>
    inThree(events, choices, (e) => authorizationAfter(...e)),
  );

describe.each([
  [
    "registers",
    fc.tuple(someRegisters, someRegisters, someRegisters),
    mergeRegisters,
  ],
  ["cards", someCards, mergeCards],
  ["authorizations", someAuthorizations, mergeAuthorizations],
] as unknown as [
  string,
  fc.Arbitrary<[object, object, object]>,
  (known: object, news: object) => object,
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
        expect(toCardRow(cardAfter(...received))).toEqual(
          toCardRow(cardAfter(...events)),
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
      fc.property(
        deliveriesOf(authorizationEvents),
        ({ events, deliveries }) => {
          const received = earliestCopies(deliveries);
          expect(toAuthorizationRow(authorizationAfter(...received))).toEqual(
            toAuthorizationRow(authorizationAfter(...events)),
          );
        },
      ),
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
          const merged = second ? mergeCards(second, first) : first;
          expect(toCardRow(merged)).toEqual(toCardRow(cardAfter(...events)));
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

        const datedBack = dateCardBack(
          cardAfter(first),
          new Map([[eventId, signedAt]]),
        );

        expect(toCardRow(others.reduce(applyToCard, datedBack))).toEqual(
          toCardRow(cardAfter({ ...first, signedAt }, ...others)),
        );
      }),
      { numRuns: 300 },
    );
  });

  test("dated back to an earlier copy, gives the transaction that the earlier copy gives", () => {
    fc.assert(
      fc.property(anAuthorizationEvent, anInstant, (event, time) => {
        const signedAt = earlier(time, event.signedAt);
        const { registers } = authorizationAfter(event);

        expect(
          dateBack(registers, new Map([[event.eventId, signedAt]])),
        ).toEqual(authorizationAfter({ ...event, signedAt }).registers);
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

        const row = toCardRow(cardAfter(...events));

        expect(row.card_status).toBe(greatest?.status ?? null);
        expect(row.status_changed_at).toBe(greatest?.clock.at ?? null);
      }),
      { numRuns: 300 },
    );
  });

  test("that is final is never left, whatever comes after", () => {
    fc.assert(
      fc.property(cardEvents, (events) => {
        const finalities = events.map((_, index) => {
          const row = toCardRow(cardAfter(...events.slice(0, index + 1)));
          return statusFinality(row.card_status ?? "");
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

        const row = toCardRow(cardAfter(...events));

        expect(row.cancel_requested_at).toBe(times[0] ?? null);
      }),
    );
  });
});

describe("the clocks of a row", () => {
  test("come back as they were written", () => {
    fc.assert(
      fc.property(cardEvents, (events) => {
        const { registers } = cardAfter(...events);
        const values = Object.fromEntries(
          Object.entries(registers).map(([field, { value }]) => [field, value]),
        );

        const column: unknown = JSON.parse(
          JSON.stringify(CARD_CLOCKS.write(registers)),
        );

        expect(CARD_CLOCKS.read(column as never, values as never)).toEqual(
          registers,
        );
      }),
    );
  });

  test("hold each clock once, in their order, with all that it set", () => {
    const { write } = fieldClocks<Record<"a" | "b" | "c", string>>({
      a: true,
      b: true,
      c: true,
    });
    fc.assert(
      fc.property(registersOfFewClocks, (registers) => {
        const entries = write(registers) as string[];

        const fieldsOf = (entry: string) =>
          entry.split(" ")[4]?.split(",") ?? [];
        const clocks = entries.map(
          (entry) => registers[String(fieldsOf(entry)[0])]?.clock as Clock,
        );
        for (const [index, clock] of clocks.slice(1).entries())
          expect(orderOfParts(clocks[index] as Clock, clock)).toBe(-1);
        for (const [index, entry] of entries.entries())
          for (const field of fieldsOf(entry))
            expect(registers[field]?.clock).toEqual(clocks[index]);
        expect(entries.flatMap(fieldsOf).toSorted()).toEqual(
          Object.keys(registers).toSorted(),
        );
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
  if (event.kind === "authorization-reported" || event.status === undefined)
    return [];
  const isAnnounced = event.kind === "status-announced";
  const at =
    isAnnounced && event.changedAt < event.signedAt
      ? event.changedAt
      : event.signedAt;
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
function inThree<Event, State extends Card | Authorization>(
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
