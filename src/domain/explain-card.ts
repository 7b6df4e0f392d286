import type { AuthorizationReported, CardEvent } from "./card-event.ts";
import type { Card, CardRegisterFields } from "./card.ts";
import { applyToCard, clockOfEvent } from "./card.ts";
import type { Clock } from "./clock.ts";
import { compareClocks } from "./clock.ts";

/** One event of a card's story. */
export interface Chapter {
  readonly event: CardEvent;
  /** The event's own clock, which orders the story. */
  readonly clock: Clock;
  readonly fields: readonly FieldNews[];
}

/** What an event says of one field, and what became of it. */
export interface FieldNews {
  readonly field: keyof CardRegisterFields;
  readonly value: unknown;
  readonly fate: Fate;
}

export type Fate =
  /** It is what the card shows now. */
  | { readonly kind: "stands" }
  | {
      readonly kind: "superseded";
      readonly by: string;
      readonly because: Reason;
    };

/** `final`: the other cannot be taken back; `announced`: this was only seen in passing; `later`: the other is newer. */
export type Reason = "final" | "announced" | "later";

/** Tells what each event about a card said, in effective order, and why it stands or not. */
export function explainCard(events: readonly CardEvent[]): readonly Chapter[] {
  const card = events.reduce<Card | undefined>(applyToCard, undefined);
  if (card === undefined) return [];
  return events
    .map((event) => chapterOf(event, card))
    .toSorted((a, b) => compareClocks(a.clock, b.clock));
}

function chapterOf(event: CardEvent, card: Card): Chapter {
  const alone = applyToCard(undefined, event);
  const names = Object.keys(alone.registers) as (keyof CardRegisterFields)[];
  const fields = names.flatMap((field): FieldNews[] => {
    const said = alone.registers[field];
    const stands = card.registers[field];
    if (field === "lastEvent" || said === undefined || stands === undefined)
      return [];
    return [
      { field, value: said.value, fate: fateOf(said.clock, stands.clock) },
    ];
  });
  return { event, clock: clockOfEvent(event), fields };
}

function fateOf(said: Clock, stands: Clock): Fate {
  if (compareClocks(said, stands) === 0) return { kind: "stands" };
  return {
    kind: "superseded",
    by: stands.eventId,
    because: reasonOf(said, stands),
  };
}

function reasonOf(said: Clock, stands: Clock): Reason {
  if (stands.finality > said.finality) return "final";
  return stands.authority > said.authority ? "announced" : "later";
}

/** Whether an event tells of a transaction, too. */
export function isAuthorizationReported(
  event: CardEvent,
): event is AuthorizationReported {
  return event.kind === "authorization-reported";
}
