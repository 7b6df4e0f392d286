import { describe, expect, test } from "@jest/globals";
import { createLanes } from "../../src/lanes.ts";
import { settle } from "../support/settle.ts";

interface Work {
  readonly ids: readonly string[];
  readonly end: (error?: Error) => Promise<void>;
}

/** Two lanes whose work lasts until the test ends it. An id is its key and a number: `a1`. */
function someLanes(fewIds = 0) {
  const works: Work[] = [];
  const lookups: (readonly string[])[] = [];
  const addJob = createLanes({
    lanes: 2,
    maxJobsTogether: 10,
    fewIds,
    findKeys: (ids) => {
      lookups.push(ids);
      const known = ids.filter((id) => !id.startsWith("unknown"));
      return Promise.resolve(new Map(known.map((id) => [id, id.slice(0, 1)])));
    },
    work: (ids) =>
      new Promise((resolve, reject) => {
        works.push({
          ids,
          end: async (error) => {
            if (error) reject(error);
            else resolve();
            await settle();
          },
        });
      }),
  });
  return { addJob, works, lookups, worked: () => works.map(({ ids }) => ids) };
}

describe("lanes", () => {
  test("work side by side, each on its own keys", async () => {
    const { addJob, works, worked } = someLanes();

    const job = addJob(["a1", "b1", "a2", "b2"]);
    await settle();

    expect(worked()).toEqual([
      ["a1", "a2"],
      ["b1", "b2"],
    ]);
    for (const work of works) await work.end();
    await job;
  });

  test("never have one key in two works at once", async () => {
    const { addJob, works, worked } = someLanes();

    const jobs = [addJob(["a1", "b1"])];
    await settle();
    jobs.push(addJob(["a2"]), addJob(["a3"]));
    await settle();
    expect(worked()).toEqual([["a1"], ["b1"]]);

    await works[0]?.end();
    expect(worked()).toEqual([["a1"], ["b1"], ["a2", "a3"]]);
    for (const work of works) await work.end();
    await Promise.all(jobs);
  });

  test("look up the keys of jobs that come together at once", async () => {
    const { addJob, works, lookups } = someLanes();

    const jobs = [addJob(["a1"]), addJob(["b1", "a2"])];
    await settle();

    expect(lookups).toEqual([["a1", "b1", "a2"]]);
    for (const work of works) await work.end();
    await Promise.all(jobs);
  });

  test("keep a few ids together, without looking anything up", async () => {
    const { addJob, works, worked, lookups } = someLanes(3);

    const few = [addJob(["a1", "b1"]), addJob(["b2"])];
    await settle();
    expect(worked()).toEqual([["a1", "b1", "b2"]]);
    expect(lookups).toEqual([]);
    await works[0]?.end();
    await Promise.all(few);

    const more = addJob(["a2", "b3", "a3", "b4"]);
    await settle();
    expect(worked().slice(1)).toEqual([
      ["a2", "a3"],
      ["b3", "b4"],
    ]);
    for (const work of works) await work.end();
    await more;
  });

  test("leave out what has no key, and have nothing to do for a job of such", async () => {
    const { addJob, works, worked } = someLanes();

    await addJob(["unknown1", "unknown2"]);
    expect(worked()).toEqual([]);

    const job = addJob(["unknown1", "b1"]);
    await settle();
    expect(worked()).toEqual([["b1"]]);
    await works[0]?.end();
    await job;
  });

  test("tell a job that failed, when all of its work has ended", async () => {
    const { addJob, works } = someLanes();

    let outcome = "under way";
    const job = addJob(["a1", "b1"]).catch((error: unknown) => {
      outcome = String(error);
    });
    await settle();
    await works[0]?.end(new Error("lane a failed"));
    expect(outcome).toBe("under way");

    await works[1]?.end();
    await job;
    expect(outcome).toBe("Error: lane a failed");
  });

  test("keep together what could not be looked up, and tell what its work met", async () => {
    const worked: (readonly string[])[] = [];
    const addJob = createLanes({
      lanes: 2,
      maxJobsTogether: 10,
      fewIds: 0,
      findKeys: () => Promise.reject(new Error("lookup failed")),
      work: (ids) => {
        worked.push(ids);
        return Promise.reject(new Error("work failed"));
      },
    });

    await expect(addJob(["a1", "b1"])).rejects.toThrow("work failed");
    expect(worked).toEqual([["a1", "b1"]]);
  });
});
