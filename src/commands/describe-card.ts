import type {
  CardExplanation,
  Difference,
  EventStory,
  Quarantined,
  Status,
} from "../operate/explain.ts";
import type { SupersededColumn } from "../operate/story.ts";
import type { ColumnChange } from "../operate/row-changes.ts";
import { PROJECTIONS } from "../projections/index.ts";
import { printable } from "./print.ts";

/** A card's story for people: what contradicts it, the answer, then every event. */
export function describeCard(card: CardExplanation): string {
  return [
    ...describeDifferences(card),
    ...describeAnswer(card),
    ...card.events.flatMap(describeEvent),
    ...card.quarantined.flatMap(describeQuarantined),
    "",
  ]
    .map(printable)
    .join("\n");
}

function describeDifferences(card: CardExplanation): string[] {
  const { card_id, row, differences } = card;
  switch (row) {
    case "agrees":
    case "absent":
      return [];
    case "missing":
      return [
        `There is no row, its events imply one: rebuild --card ${card_id}`,
        "",
      ];
    case "unexplained":
      return [
        "There is a row, and no applied event explains it: neither verify nor rebuild can say what is true of it.",
        ...differences
          .filter(isStatus)
          .map(
            ({ row_says }) => `The row says card_status ${toText(row_says)}.`,
          ),
        "",
      ];
    case "differs": {
      const [first = "", ...others] = differences
        .toSorted(statusFirst)
        .map(describeDifference);
      return [`${first}: rebuild --card ${card_id}`, ...others, ""];
    }
  }
}

function statusFirst(a: Difference, b: Difference): number {
  return Number(isStatus(b)) - Number(isStatus(a));
}

function isStatus({ table, column }: Difference): boolean {
  return table === "cards" && column === "card_status";
}

function describeDifference(difference: Difference): string {
  const { table, id, column, row_says, events_imply } = difference;
  const row =
    table === "cards" ? "The row" : `The row of ${subjectOf(table)} ${id}`;
  return column === "field_clocks"
    ? `${row} has other field_clocks than the events imply`
    : `${row} says ${column} ${toText(row_says)}, the events imply ${toText(events_imply)}`;
}

const ROW_VERDICTS = {
  agrees: "agrees with the applied events",
  differs: "DIFFERS from what the applied events imply, see above",
  missing: "MISSING, see above",
  unexplained: "not explained by any event, see above",
  absent: "there is none, and no event about the card was applied",
};

function describeAnswer(card: CardExplanation): string[] {
  const { card_id, status, row, open } = card;
  const waits = [
    ...(open.waiting > 0 ? [`${String(open.waiting)} not applied yet`] : []),
    ...(open.failed > 0 ? [`${String(open.failed)} FAILED`] : []),
    ...(open.quarantined > 0
      ? [`${String(open.quarantined)} in quarantine`]
      : []),
  ];
  return [
    `Card ${card_id}`,
    ...(status === null
      ? ["  card_status  not known: no applied event states one"]
      : describeStatus(status)),
    `  row          ${ROW_VERDICTS[row]}`,
    `  open         ${waits.join(", ") || "nothing waits, has failed or is in quarantine"}`,
  ];
}

function describeStatus(status: Status): string[] {
  return [
    `  card_status  ${status.card_status}`,
    ...(status.status_reason === null
      ? []
      : [`  reason       ${status.status_reason}`]),
    `  since        ${status.status_changed_at}`,
    `  by event     ${status.event_id}${status.event_type === null ? "" : `  ${status.event_type}`}`,
    `  received     ${status.received_at ?? "not known: the event is not in the inbox"}`,
    ...(status.status_contradicted
      ? [
          `  CONTRADICTED seen as ${status.observed_status ?? ""} in passing at ${status.observed_status_at ?? ""}: an announcement is late or was lost`,
        ]
      : []),
  ];
}

function describeEvent(event: EventStory): string[] {
  const { at, event_type, event_id, signed_at, received_at } = event;
  return [
    "",
    `${at}  ${event_type}  ${event_id}`,
    `    signed ${signed_at}, received ${received_at}`,
    ...describeState(event),
    ...(event.issues ?? []).map(
      ({ path, message }) => `    not read: ${path} ${message}`,
    ),
    ...tablesIn(event).flatMap((table) => describeRows(event, table)),
  ];
}

function tablesIn({ changes, superseded }: EventStory): string[] {
  const tables = [...changes, ...superseded].map(({ table }) => table);
  return [...new Set(tables)].toSorted(cardsFirst);
}

function cardsFirst(a: string, b: string): number {
  return Number(b === "cards") - Number(a === "cards");
}

function subjectOf(table: string): string {
  return PROJECTIONS.find((one) => one.table === table)?.subject ?? table;
}

/** What an event changed in the rows of one table, and what of it does not stand. The card's own row needs no name. */
function describeRows(event: EventStory, table: string): string[] {
  const changes = event.changes.filter((one) => one.table === table);
  const superseded = event.superseded.filter((one) => one.table === table);
  const ids = new Set([...changes, ...superseded].map(({ id }) => id));
  return [...ids].flatMap((of) => {
    const lines = [
      ...changes.filter(({ id }) => id === of).map(describeChange),
      ...superseded.filter(({ id }) => id === of).map(describeSuperseded),
    ];
    return table === "cards"
      ? lines.map((line) => `    ${line}`)
      : [
          `    ${subjectOf(table)} ${of}`,
          ...lines.map((line) => `      ${line}`),
        ];
  });
}

function describeState(event: EventStory): string[] {
  const { state, attempts, last_error, note } = event;
  const because = last_error === null ? "" : `: ${last_error}`;
  const tries = `${String(attempts)} ${attempts === 1 ? "attempt" : "attempts"}`;
  const unreadable =
    note === "unreadable" ? ["    this release cannot read its body"] : [];
  switch (state) {
    case "received":
      return [`    WAITS, not applied yet, ${tries}${because}`, ...unreadable];
    case "failed":
      return [`    FAILED after ${tries}${because}`, ...unreadable];
    case "ignored":
      return ["    ignored: its type has no handler"];
    case "processed":
      return note === null ? nothingOf(event) : [`    ${APPLIED_NOTES[note]}`];
  }
}

const APPLIED_NOTES = {
  body_dropped:
    "applied; its body was dropped by retention, what of it still stands:",
  unreadable:
    "applied; this release cannot read its body, what of it still stands:",
};

function nothingOf({ changes }: EventStory): string[] {
  return changes.length > 0 ? [] : ["    changes nothing"];
}

function describeChange({ column, from, to }: ColumnChange): string {
  return `${column}: ${toText(from)} -> ${toText(to)}`;
}

const REASONS = {
  final: "that cannot be taken back",
  announced: "that was announced, this only seen in passing",
  later: "that is later",
};

function describeSuperseded(one: SupersededColumn): string {
  const { column, value, by, because } = one;
  return `${column} ${toText(value)} is superseded by ${by}: ${REASONS[because]}`;
}

function describeQuarantined(entry: Quarantined): string[] {
  const { id, reason, event_id, event_type, issues, deliveries } = entry;
  const times = deliveries === 1 ? "once" : `${String(deliveries)} times`;
  return [
    "",
    `Quarantine ${id}  ${reason}  ${event_type ?? "unknown type"}  ${event_id ?? "unknown event_id"}`,
    `    delivered ${times}, first received ${entry.received_at}, last ${entry.last_received_at}`,
    ...(issues ?? []).map(({ path, message }) => `    ${path} ${message}`),
    ...(entry.resolution === null ? [] : [`    closed: ${entry.resolution}`]),
  ];
}

function toText(value: unknown): string {
  if (value === null || value === undefined) return "NULL";
  return typeof value === "string" ? value : JSON.stringify(value);
}
