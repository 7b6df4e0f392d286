import type {
  CardExplanation,
  Difference,
  EventStory,
  Quarantined,
} from "../operate/explain.ts";
import { PROJECTIONS } from "../projections/index.ts";
import {
  count,
  describeChange,
  describeKey,
  describeIssue,
  printable,
  toText,
} from "./text.ts";

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
  if (row === "missing")
    return [
      `There is no row, its events imply one: rebuild --card ${card_id}`,
      "",
    ];
  if (row === "unexplained")
    return [
      "There is a row, and no applied event explains it: neither verify nor rebuild can say what is true of it.",
      ...differences
        .filter(isStatus)
        .map(({ row_says }) => `The row says card_status ${toText(row_says)}.`),
      "",
    ];
  const [first, ...others] = differences
    .toSorted((a, b) => Number(isStatus(b)) - Number(isStatus(a)))
    .map(describeDifference);
  if (first === undefined) return [];
  return [`${first}: rebuild --card ${card_id}`, ...others, ""];
}

function isStatus({ table, column }: Difference): boolean {
  return table === "cards" && column === "card_status";
}

function describeDifference(difference: Difference): string {
  const { column, row_says, events_imply } = difference;
  const name = nameOfRow(difference);
  const row = name === "" ? "The row" : `The row of ${name}`;
  return column === "field_clocks"
    ? `${row} has other field_clocks than the events imply`
    : `${row} says ${column} ${toText(row_says)}, the events imply ${toText(events_imply)}`;
}

/** The card's own row needs no name. */
function nameOfRow(row: { table: string; id: string }): string {
  const { table } = row;
  if (table === "cards") return "";
  const projection = PROJECTIONS.find((one) => one.table === table);
  return `${projection?.subject ?? table} ${describeKey(row)}`;
}

const ROW_VERDICTS = {
  agrees: "agrees with the applied events",
  differs: "DIFFERS from what the applied events imply, see above",
  missing: "MISSING, see above",
  unexplained: "not explained by any event, see above",
  absent: "there is none, and no event about the card was applied",
};

function describeAnswer({ card_id, status, row, open }: CardExplanation) {
  const waits = [
    open.waiting > 0 && `${String(open.waiting)} not applied yet`,
    open.failed > 0 && `${String(open.failed)} FAILED`,
    open.quarantined > 0 && `${String(open.quarantined)} in quarantine`,
  ].filter((text) => text !== false);
  const facts = {
    card_status:
      status?.card_status ?? "not known: no applied event states one",
    reason: status?.status_reason,
    since: status?.status_changed_at,
    "by event":
      status &&
      [status.event_id, status.event_type]
        .filter((text) => text !== null)
        .join("  "),
    received:
      status &&
      (status.received_at ?? "not known: the event is not in the inbox"),
    CONTRADICTED: status?.status_contradicted
      ? `seen as ${status.observed_status ?? ""} in passing at ${status.observed_status_at ?? ""}: an announcement is late or was lost`
      : null,
    row: ROW_VERDICTS[row],
    open: waits.join(", ") || "nothing waits, has failed or is in quarantine",
  };
  return [
    `Card ${card_id}`,
    ...Object.entries(facts)
      .filter(([, value]) => value !== null && value !== undefined)
      .map(([name, value]) => `  ${name.padEnd(12)} ${value ?? ""}`),
  ];
}

function describeEvent(event: EventStory): string[] {
  const { at, event_type, event_id, signed_at, received_at } = event;
  return [
    "",
    `${at}  ${event_type}  ${event_id}`,
    `    signed ${signed_at}, received ${received_at}`,
    ...describeState(event),
    ...(event.issues ?? []).map((one) => `    not read: ${describeIssue(one)}`),
    ...describeRows(event),
  ];
}

function describeState(event: EventStory): string[] {
  const { state, last_error, note, changes } = event;
  const because = last_error === null ? "" : `: ${last_error}`;
  const tries = `${count(event.attempts, "attempt")}${because}`;
  const unreadable =
    note === "unreadable" ? ["    this release cannot read its body"] : [];
  switch (state) {
    case "received":
      return [`    WAITS, not applied yet, ${tries}`, ...unreadable];
    case "failed":
      return [`    FAILED after ${tries}`, ...unreadable];
    case "ignored":
      return ["    ignored: its type has no handler"];
    case "processed":
      if (note !== null) return [`    ${APPLIED_NOTES[note]}`];
      return changes.length > 0 ? [] : ["    changes nothing"];
  }
}

const APPLIED_NOTES = {
  body_dropped:
    "applied; its body was dropped by retention, what of it still stands:",
  unreadable:
    "applied; this release cannot read its body, what of it still stands:",
};

const REASONS = {
  final: "that cannot be taken back",
  announced: "that was announced, this only seen in passing",
  later: "that is later",
};

/** Row by row, what an event changed and what of it does not stand. */
function describeRows({ changes, superseded }: EventStory): string[] {
  const lines = [
    ...changes.map((one) => [nameOfRow(one), describeChange(one)] as const),
    ...superseded.map((one) => {
      const line = `${one.column} ${toText(one.value)} is superseded by ${one.by}: ${REASONS[one.because]}`;
      return [nameOfRow(one), line] as const;
    }),
  ];
  const rows = [...new Set(lines.map(([row]) => row))];
  return rows.flatMap((row) => {
    const own = lines.filter(([of]) => of === row).map(([, line]) => line);
    return row === ""
      ? own.map((line) => `    ${line}`)
      : [`    ${row}`, ...own.map((line) => `      ${line}`)];
  });
}

function describeQuarantined(entry: Quarantined): string[] {
  const { id, reason, event_id, event_type, issues, deliveries } = entry;
  const times = deliveries === 1 ? "once" : `${String(deliveries)} times`;
  return [
    "",
    `Quarantine ${id}  ${reason}  ${event_type ?? "unknown type"}  ${event_id ?? "unknown event_id"}`,
    `    delivered ${times}, first received ${entry.received_at}, last ${entry.last_received_at}`,
    ...(issues ?? []).map((one) => `    ${describeIssue(one)}`),
    ...(entry.resolution === null ? [] : [`    closed: ${entry.resolution}`]),
  ];
}
