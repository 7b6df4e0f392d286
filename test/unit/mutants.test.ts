import { readFileSync } from "node:fs";
import { describe, expect, test } from "@jest/globals";

interface Mutant {
  readonly name: string;
  readonly edits: readonly {
    readonly file: string;
    readonly from: string;
    readonly to: string;
  }[];
}

const root = new URL("../../", import.meta.url);
// By a variable, since it is JavaScript without types.
const file = new URL("test/mutants/mutants.mjs", root).href;
const { mutants } = (await import(file)) as { mutants: readonly Mutant[] };

// They run for half an hour and not in every build; until then nobody would see that the code has moved on.
describe("each mutant still fits the code", () => {
  test.each(mutants.map((mutant) => [mutant.name, mutant] as const))(
    "%s",
    (_, { edits }) => {
      for (const { file, from, to } of edits) {
        const code = readFileSync(new URL(file, root), "utf8");
        expect(code.split(from)).toHaveLength(2);
        expect(to).not.toBe(from);
      }
    },
  );
});
