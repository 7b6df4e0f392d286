import type { Clock } from "../domain/clock.ts";
import { compareClocks } from "../domain/clock.ts";
import type { Instant } from "../domain/instant.ts";
import type { Json } from "../domain/json.ts";
import type { Registers } from "../domain/registers.ts";

/** The column is read by people, so it speaks of columns: `cardNumber` is `card_number`. */
const toColumn = remember((field) =>
  field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
);
const toField = remember((column) =>
  column.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
);

/** There are some forty names, and each event has ten of them. */
function remember(rename: (name: string) => string): (name: string) => string {
  const known = new Map<string, string>();
  return (name) => {
    let renamed = known.get(name);
    if (renamed === undefined) known.set(name, (renamed = rename(name)));
    return renamed;
  };
}

/** One entry of the column `field_clocks`: a clock and the fields that it set. */
interface FieldClock {
  at: Instant;
  signed_at: Instant;
  event_id: string;
  finality?: number;
  authority?: number;
  fields: string[];
}

/** One entry for each distinct clock, so that a row stays small: most of a card comes from one or two events. */
export function writeFieldClocks<Fields extends object>(
  registers: Registers<Fields>,
): Json {
  const entries: { readonly clock: Clock; readonly fields: string[] }[] = [];
  for (const field of Object.keys(registers) as (keyof Fields & string)[]) {
    const clock = registers[field]?.clock;
    if (clock === undefined) continue;
    const entry = entries.find(
      (known) =>
        known.clock === clock || compareClocks(known.clock, clock) === 0,
    );
    if (entry) entry.fields.push(field);
    else entries.push({ clock, fields: [field] });
  }
  return entries
    .sort((a, b) => compareClocks(a.clock, b.clock))
    .map(({ clock, fields }) => entryOf(clock, fields.sort().map(toColumn)));
}

function entryOf(clock: Clock, fields: string[]): Json {
  const { at, signedAt, eventId, finality, authority } = clock;
  const entry: FieldClock = {
    at,
    signed_at: signedAt,
    event_id: eventId,
    fields,
  };
  if (finality !== 0) entry.finality = finality;
  if (authority !== 0) entry.authority = authority;
  return entry as unknown as Json;
}

/**
 * Puts the clocks of a row back to its values.
 *
 * @param values by field; a field without a clock is not known, whatever its column says
 */
export function readRegisters<Fields extends object>(
  entries: Json,
  values: { readonly [Field in keyof Fields]: Fields[Field] | null },
): Registers<Fields> {
  const registers: {
    [Field in keyof Fields]?: { value: Fields[Field]; clock: Clock };
  } = {};
  for (const entry of entries as unknown as readonly FieldClock[]) {
    const clock: Clock = {
      finality: entry.finality ?? 0,
      authority: entry.authority ?? 0,
      at: entry.at,
      signedAt: entry.signed_at,
      eventId: entry.event_id,
    };
    for (const column of entry.fields) {
      const field = toField(column) as keyof Fields & string;
      const value = values[field];
      // A field that a later release renamed or dropped has no value here.
      if (value !== undefined && value !== null)
        registers[field] = { value, clock };
    }
  }
  return registers;
}
