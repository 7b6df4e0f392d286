import { describe, expect, test } from "@jest/globals";
import { createTurns } from "../../src/process/take-turns.ts";
import { settle } from "../support/settle.ts";

/** Pieces of work that last until the test ends them, and what is under way. */
function somePieces() {
  const turns = createTurns();
  const underWay: string[] = [];
  const ends = new Map<string, (error?: Error) => void>();
  const work = (name: string) => () =>
    new Promise<string>((resolve, reject) => {
      underWay.push(name);
      ends.set(name, (error) => {
        underWay.splice(underWay.indexOf(name), 1);
        if (error) reject(error);
        else resolve(`${name} done`);
      });
    });
  return {
    underWay,
    share: (name: string) => turns.share(work(name)),
    takeAlone: (name: string) => turns.takeAlone(work(name)),
    end: async (name: string, error?: Error) => {
      ends.get(name)?.(error);
      await settle();
    },
  };
}

describe("turns", () => {
  test("that are shared run side by side", async () => {
    const { share, underWay, end } = somePieces();

    const results = [share("a"), share("b")];
    await settle();

    expect(underWay).toEqual(["a", "b"]);
    await end("a");
    await end("b");
    expect(await Promise.all(results)).toEqual(["a done", "b done"]);
  });

  test("alone wait for those that share, and those that come later wait for them", async () => {
    const { share, takeAlone, underWay, end } = somePieces();

    const results = [share("a"), share("b"), takeAlone("alone"), share("c")];
    await settle();
    await end("b");
    expect(underWay).toEqual(["a"]);

    await end("a");
    expect(underWay).toEqual(["alone"]);

    await end("alone");
    expect(underWay).toEqual(["c"]);
    await end("c");
    await Promise.all(results);
  });

  test("alone follow each other", async () => {
    const { takeAlone, underWay, end } = somePieces();

    const results = [takeAlone("first"), takeAlone("second")];
    await settle();
    expect(underWay).toEqual(["first"]);

    await end("first");
    expect(underWay).toEqual(["second"]);
    await end("second");
    await Promise.all(results);
  });

  test("go on after work that failed, which is told to whom it belongs", async () => {
    const { share, takeAlone, underWay, end } = somePieces();

    const shared = share("a");
    const alone = takeAlone("b");
    const later = share("c");
    await settle();
    const failures = Promise.allSettled([shared, alone]);
    await end("a", new Error("a failed"));
    await end("b", new Error("b failed"));

    expect(await failures).toEqual([
      { status: "rejected", reason: new Error("a failed") },
      { status: "rejected", reason: new Error("b failed") },
    ]);
    expect(underWay).toEqual(["c"]);
    await end("c");
    await later;
  });
});
