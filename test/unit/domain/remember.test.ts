import { describe, expect, test } from "@jest/globals";
import { remember } from "../../../src/domain/remember.ts";

function aMemory(most: number) {
  const asked: string[] = [];
  const find = remember(most, (key: string) => {
    asked.push(key);
    return key === "nothing" ? null : key.toUpperCase();
  });
  return { asked, find };
}

describe("what is remembered", () => {
  test("is found once, however often it is asked for", () => {
    const { asked, find } = aMemory(2);

    expect(["a", "b", "a", "b"].map(find)).toEqual(["A", "B", "A", "B"]);
    expect(asked).toEqual(["a", "b"]);
  });

  test("is also that there is nothing", () => {
    const { asked, find } = aMemory(2);

    expect(["nothing", "nothing"].map(find)).toEqual([null, null]);
    expect(asked).toEqual(["nothing"]);
  });

  test("is forgotten when there would be more than the most, and found again", () => {
    const { asked, find } = aMemory(2);

    expect(["a", "b", "c", "c", "a"].map(find)).toEqual([
      "A",
      "B",
      "C",
      "C",
      "A",
    ]);
    expect(asked).toEqual(["a", "b", "c", "a"]);
  });
});
