import type { Instant } from "../domain/instant.ts";
import type { Registers } from "../domain/registers.ts";
import type { Column, ColumnType } from "./write-rows.ts";

interface WithRegisters<Fields> {
  readonly registers: Registers<Fields>;
}

/** The columns of a table that hold what one register holds. */
export function registerColumns<Fields extends object>() {
  return {
    valueOf: <Field extends keyof Fields>(
      type: ColumnType,
      field: Field,
    ): Column<WithRegisters<Fields>, Fields[Field] | undefined> => ({
      type,
      read: ({ registers }) => registers[field]?.value,
      staysWithout: "itself",
    }),
    timeOf: (
      field: keyof Fields,
    ): Column<WithRegisters<Fields>, Instant | undefined> => ({
      type: "timestamptz",
      read: ({ registers }) => registers[field]?.clock.at,
      staysWithout: "itself",
    }),
  };
}
