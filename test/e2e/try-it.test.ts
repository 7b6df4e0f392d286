import { readFileSync } from "node:fs";
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  test,
} from "@jest/globals";
import type { TestProcess } from "../support/process.ts";
import {
  endProcesses,
  makeFolder,
  removeFolder,
  startCommand,
  startProcess,
} from "../support/process.ts";
import type { TestService } from "../support/service.ts";
import { SECRET, startTestService } from "../support/service.ts";
import { waitFor } from "../support/wait-for.ts";

/** A process of Node starts in a third of a second, on a busy machine in several. */
const LIMIT_MS = 120_000;

const page = readFileSync(
  new URL("../../docs/try-it.md", import.meta.url),
  "utf8",
);
const [life = "", faults = ""] = [
  ...page.matchAll(/^```sh\n(.*?)^```$/gms),
].map(([, script = ""]) => script);

let folder: string;

beforeAll(async () => {
  folder = await makeFolder();
});

afterAll(async () => {
  await removeFolder(folder);
});

describe("docs/try-it.md", () => {
  let service: TestService;
  let simulator: TestProcess;
  let url: string;

  beforeEach(async () => {
    service = await startTestService({ queue: "postgres" });
    simulator = startProcess("../dev/simulator/main.js", {
      args: [
        ...["--port", "0", "--haste", "1000"],
        ...["--webhook-url", `${service.baseUrl}/webhooks/uqpay`],
      ],
      cwd: folder,
      env: { UQPAY_WEBHOOK_SECRET: SECRET },
    });
    url = await simulator.untilOutput(/(http:\S+\/simulator)\/cards/);
  }, LIMIT_MS);

  afterEach(async () => {
    await endProcesses();
    await service.stop();
  });

  /** The lines as they stand there, but for the port. */
  async function paste(script: string): Promise<string> {
    const lines = script
      .replace("http://127.0.0.1:4010/simulator", url)
      .replace("npm run cli -- explain", "echo the card is");
    const running = startCommand("sh", {
      cwd: folder,
      args: ["-e", "-c", lines],
    });
    const code = await running.ended;
    expect({ code, err: running.stderr() }).toEqual({ code: 0, err: "" });
    return running.stdout();
  }

  test(
    "has lines that give a card its whole life when they are pasted",
    async () => {
      const out = await paste(life);

      const [, cardId = ""] = /the card is (.*)/.exec(out) ?? [];
      const card = await waitFor(
        async () =>
          (
            await service.rows(
              "select allowed_mcc from cards where card_id = $1 and card_status = 'CANCELLED'",
              [cardId],
            )
          )[0],
        { what: "the card to be cancelled" },
      );
      expect(card).toEqual({ allowed_mcc: ["5411"] });
      expect(
        await service.rows("select mcc from mcc_declines where card_id = $1", [
          cardId,
        ]),
      ).toEqual([{ mcc: "5999" }]);
    },
    LIMIT_MS,
  );

  test(
    "has lines that make webhooks go wrong",
    async () => {
      const out = await paste(faults);

      expect(out).toContain('"lost":0.1');
      await waitFor(
        async () =>
          (
            await service.rows(
              "select from quarantined_events where reason = 'stale_timestamp'",
            )
          ).length === 1,
        { what: "the stale webhook in quarantine" },
      );
    },
    LIMIT_MS,
  );

  test.each([
    ["/cards", '{"balanse": 1}', "balanse"],
    ["/cards", '{"blockedMcc": ["59"]}', "blockedMcc"],
    ["/cards/x/freeze", "{}", "there is no card x"],
    ["/faults/x/next", "{}", "there is no fault x"],
    ["/faults", '{"lost": 2}', "lost"],
  ])(
    "is answered with what is wrong: %s %s",
    async (path, body, message) => {
      const response = await fetch(url + path, { method: "POST", body });

      expect(response.status).toBe(400);
      expect(JSON.stringify(await response.json())).toContain(message);
    },
    LIMIT_MS,
  );

  test(
    "ends with the simulator when that is interrupted",
    async () => {
      simulator.kill("SIGINT");

      expect(await simulator.ended).toBe(0);
    },
    LIMIT_MS,
  );
});

test(
  "the simulator refuses what it does not know before anything happens",
  async () => {
    const running = startProcess("../dev/simulator/main.js", {
      cwd: folder,
      args: ["--prot", "1"],
    });

    expect(await running.ended).toBe(2);
    expect(running.stderr()).toContain("--port");
  },
  LIMIT_MS,
);
