import type { Authorization } from "./authorization.ts";
import { applyToAuthorization, mergeAuthorizations } from "./authorization.ts";
import type { CardEvent } from "./card-event.ts";
import type { Card } from "./card.ts";
import { applyToCard, clockOfEvent, mergeCards } from "./card.ts";
import type { Clock } from "./clock.ts";
import { compareClocks } from "./clock.ts";
import type { Registers } from "./registers.ts";

/** What one event says, by itself. */
export interface Statement {
  /** The event's own clock, which orders the story. */
  readonly clock: Clock;
  readonly card: Card;
  readonly authorization: Authorization | undefined;
}

/** One event of a card's story. */
export interface Chapter {
  readonly statement: Statement;
  /** What was known when the events before it had been told, in effective order, and when it had been told, too. */
  readonly before: Known;
  readonly after: Known;
  /** What it says that does not stand at the end of the story. */
  readonly superseded: readonly Superseded[];
}

/** A card, and the transaction that a statement is about. */
export interface Known {
  readonly card: Card | undefined;
  readonly authorization: Authorization | undefined;
}

/** A field that an event states, while another value of another event stands. */
export interface Superseded {
  readonly of: "card" | "authorization";
  /** Such as `cardStatus`. */
  readonly field: string;
  readonly by: string;
  readonly because: Reason;
}

/** `final`: the other cannot be taken back; `announced`: this was only seen in passing; `later`: the other is newer. */
export type Reason = "final" | "announced" | "later";

export function statementOf(event: CardEvent): Statement {
  return {
    clock: clockOfEvent(event),
    card: applyToCard(undefined, event),
    authorization:
      event.kind === "authorization-reported"
        ? applyToAuthorization(undefined, event)
        : undefined,
  };
}

/** Tells what each event about a card said, in effective order, what it changed, and what of it does not stand. */
export function explainCard(
  statements: readonly Statement[],
): readonly Chapter[] {
  let card: Card | undefined;
  const authorizations = new Map<string, Authorization>();
  const told = statements
    .toSorted((a, b) => compareClocks(a.clock, b.clock))
    .map((statement) => {
      const id = statement.authorization?.transactionId ?? "";
      const before = { card, authorization: authorizations.get(id) };
      const after = tell(before, statement);
      card = after.card;
      if (after.authorization !== undefined)
        authorizations.set(id, after.authorization);
      return { statement, before, after };
    });
  return told.map((chapter) => ({
    ...chapter,
    superseded: supersededIn(chapter.statement, card, authorizations),
  }));
}

function tell(known: Known, { card, authorization }: Statement): Known {
  return {
    card: known.card === undefined ? card : mergeCards(known.card, card),
    authorization:
      known.authorization === undefined || authorization === undefined
        ? authorization
        : mergeAuthorizations(known.authorization, authorization),
  };
}

function supersededIn(
  { card, authorization }: Statement,
  standing: Card | undefined,
  authorizations: ReadonlyMap<string, Authorization>,
): Superseded[] {
  const outcome = authorizations.get(authorization?.transactionId ?? "");
  return [
    ...compare("card", card.registers, standing?.registers),
    ...compare("authorization", authorization?.registers, outcome?.registers),
  ];
}

function compare<Fields extends object>(
  of: Superseded["of"],
  said: Registers<Fields> = {},
  standing: Registers<Fields> = {},
): Superseded[] {
  return (Object.keys(said) as (keyof Fields & string)[]).flatMap((field) => {
    const own = said[field];
    const other = standing[field];
    // Which event was the last one is nothing that an event says.
    if (field === "lastEvent" || own === undefined || other === undefined)
      return [];
    if (compareClocks(own.clock, other.clock) === 0) return [];
    if (JSON.stringify(own.value) === JSON.stringify(other.value)) return [];
    const because = reasonOf(own.clock, other.clock);
    return [{ of, field, by: other.clock.eventId, because }];
  });
}

function reasonOf(said: Clock, stands: Clock): Reason {
  if (stands.finality > said.finality) return "final";
  return stands.authority > said.authority ? "announced" : "later";
}
