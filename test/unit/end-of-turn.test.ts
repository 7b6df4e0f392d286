import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, test } from "@jest/globals";
import { createEndOfTurn } from "../../src/http/end-of-turn.ts";

describe("the end of a turn", () => {
  test("comes for all who ask in it together, and after what they do at once", async () => {
    const endOfTurn = createEndOfTurn();
    const told: string[] = [];

    const first = endOfTurn().then(() => told.push("first"));
    await Promise.resolve();
    const second = endOfTurn().then(() => told.push("second"));
    process.nextTick(() => told.push("what had arrived"));
    await Promise.all([first, second]);

    expect(told).toEqual(["what had arrived", "first", "second"]);
  });

  test("comes in the next turn again for who asks then", async () => {
    const endOfTurn = createEndOfTurn();
    const first = endOfTurn();
    await first;

    const second = endOfTurn();
    let hasCome = false;
    void second.then(() => (hasCome = true));
    await Promise.resolve();
    expect(hasCome).toBe(false);
    await nextTurn();

    expect(second).not.toBe(first);
    expect(hasCome).toBe(true);
  });
});
