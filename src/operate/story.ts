import type { CardEvent } from "../domain/card-event.ts";
import { ownTimeOf } from "../domain/card-event.ts";
import type { Clock } from "../domain/clock.ts";
import { clockOf, compareClocks } from "../domain/clock.ts";
import type { Register } from "../domain/registers.ts";
import { PROJECTIONS } from "../projections/index.ts";
import type { Projection, Statement } from "../projections/projection.ts";
import type { Known } from "../projections/rows.ts";
import { columnsOf, fold, idOf } from "../projections/rows.ts";
import type { ColumnChange } from "./row-changes.ts";
import { compareRows } from "./row-changes.ts";

/** What an event says, of each row that it is about. */
export interface EventStatements {
  /** The event's own clock, which orders the story. */
  readonly clock: Clock;
  readonly statements: readonly RowStatement[];
}

export interface RowStatement extends Statement {
  readonly projection: Projection;
}

export interface Story {
  /** In effective order. */
  readonly chapters: readonly Chapter[];
  /** What is known at the end. */
  readonly standing: ReadonlyMap<Projection, Known>;
}

export interface Chapter {
  readonly event: EventStatements;
  /** What it changed, given what those before it had said. */
  readonly changes: readonly ColumnChange[];
  /** What it says that does not stand at the end. */
  readonly superseded: readonly SupersededColumn[];
}

/** A column of which an event says one thing, while another thing that another event says stands. */
export interface SupersededColumn {
  readonly table: string;
  readonly id: string;
  readonly column: string;
  readonly value: unknown;
  /** The event that stands. */
  readonly by: string;
  readonly because: Reason;
}

/** `final`: the other cannot be taken back; `announced`: this was only seen in passing; `later`: the other is newer. */
export type Reason = "final" | "announced" | "later";

export function statementsOf(
  event: CardEvent,
  projections = PROJECTIONS,
): EventStatements {
  return {
    clock: clockOf(event, ownTimeOf(event)),
    statements: projections.flatMap((projection) =>
      projection
        .statementsIn(event)
        .map((statement) => ({ projection, ...statement })),
    ),
  };
}

/** Tells what each event said, in effective order, what it changed, and what of it does not stand. */
export function tellStory(events: readonly EventStatements[]): Story {
  const standing = new Map<Projection, Known>();
  const told = events
    .toSorted((a, b) => compareClocks(a.clock, b.clock))
    .map((event) => ({ event, changes: tell(event, standing) }));
  const chapters = told.map((chapter) => ({
    ...chapter,
    superseded: supersededIn(chapter.event, standing),
  }));
  return { chapters, standing };
}

function tell(
  { statements }: EventStatements,
  standing: Map<Projection, Known>,
): ColumnChange[] {
  return statements.flatMap((statement) => {
    const { projection, key } = statement;
    const before: Known = standing.get(projection) ?? new Map();
    const after = fold(projection, before, [statement]);
    standing.set(projection, after);
    const rowIn = (known: Known) => {
      const one = known.get(idOf(key));
      return new Map(one && [[idOf(key), columnsOf(projection, one)]]);
    };
    const changes = compareRows(projection, rowIn(before), rowIn(after));
    return changes.filter((change) => isTold(projection, change));
  });
}

/** Not what changes with every event, nor a mark that a new row has not. */
function isTold(
  projection: Projection,
  { column, from, to }: ColumnChange,
): boolean {
  const isBookkeeping =
    column === "field_clocks" ||
    projection.columns[column]?.isBookkeeping === true;
  return !isBookkeeping && !(from === null && to === false);
}

function supersededIn(
  { statements }: EventStatements,
  standing: ReadonlyMap<Projection, Known>,
): SupersededColumn[] {
  return statements.flatMap(({ projection, key, registers }) => {
    const id = idOf(key);
    const known = standing.get(projection)?.get(id);
    return Object.entries(registers).flatMap(([column, own]) => {
      const other = known?.registers[column];
      const { from, isBookkeeping } = projection.columns[column] ?? {};
      const isCompared = from === "latest" && isBookkeeping !== true;
      if (!isCompared || other === undefined || !isSuperseded(own, other))
        return [];
      const { value } = own;
      const by = other.clock.eventId;
      const because = reasonOf(own.clock, other.clock);
      return [{ table: projection.table, id, column, value, by, because }];
    });
  });
}

/** That a status has no reason is nothing that an event says. */
function isSuperseded(own: Register, other: Register): boolean {
  return (
    own.value !== null &&
    own.clock.eventId !== other.clock.eventId &&
    JSON.stringify(own.value) !== JSON.stringify(other.value)
  );
}

function reasonOf(said: Clock, stands: Clock): Reason {
  if (stands.finality > said.finality) return "final";
  return stands.authority > said.authority ? "announced" : "later";
}
