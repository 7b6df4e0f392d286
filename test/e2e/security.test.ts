import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { join } from "node:path";
import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  test,
} from "@jest/globals";
import pg from "pg";
import {
  createEmptyDatabase,
  createTestDatabase,
} from "../support/database.ts";
import {
  aCardUpdate,
  aStatusUpdate,
  anAuthorization,
  bytesOf,
  deliver,
} from "../support/deliveries.ts";
import { signedHeaders } from "../support/fixtures.ts";
import {
  endProcesses,
  makeFolder,
  removeFolder,
  startProcess,
} from "../support/process.ts";
import { openSocket, readAnswer, sendRaw } from "../support/raw-request.ts";
import type { TestService, TestServiceOptions } from "../support/service.ts";
import { SECRET, startTestService } from "../support/service.ts";
import { waitFor } from "../support/wait-for.ts";

const LONG_MS = 60_000;

const started: TestService[] = [];

afterEach(async () => {
  for (const service of started.splice(0)) await service.stop();
});

async function start(
  env: Readonly<Record<string, string>> = {},
  more: Partial<TestServiceOptions> = {},
): Promise<TestService> {
  const service = await startTestService({ queue: "postgres", env, ...more });
  started.push(service);
  return service;
}

const metricsOf = async ({ baseUrl }: TestService) =>
  (await fetch(`${baseUrl}/metrics`)).text();

const UQPAY = "203.0.113.7";
const FORBIDDEN = { error: { code: "address_not_allowed" } };

describe("who may deliver", () => {
  test("everybody may by default: the signature decides", async () => {
    const service = await start();

    expect((await deliver(service, aStatusUpdate())).status).toBe(200);
  });

  test("with a list of addresses no other may, however well it signs, and nothing of it is kept", async () => {
    const service = await start({ UQPAY_ALLOWED_ADDRESSES: UQPAY });

    const right = await deliver(service, aStatusUpdate());
    const malformed = await deliver(service, "{");

    expect(right).toMatchObject({ status: 403, body: FORBIDDEN });
    expect(malformed).toMatchObject({ status: 403, body: FORBIDDEN });
    expect(
      await service.rows(
        "select body_sha256 from webhook_events union all select body_sha256 from quarantined_events",
      ),
    ).toEqual([]);
    expect(await metricsOf(service)).toContain(
      'uqpay_webhook_requests_total{outcome="address_not_allowed"} 2',
    );
    expect(service.log()).toContain('"outcome":"address_not_allowed"');
  });

  test("with a list that has the sender's address it may", async () => {
    const service = await start({
      UQPAY_ALLOWED_ADDRESSES: `${UQPAY}, 127.0.0.0/8`,
    });

    expect((await deliver(service, aStatusUpdate())).status).toBe(200);
  });

  test("health and metrics are no deliveries: the list does not shut out a probe", async () => {
    const service = await start({ UQPAY_ALLOWED_ADDRESSES: UQPAY });

    for (const path of ["/healthz", "/readyz", "/metrics"])
      expect((await fetch(`${service.baseUrl}${path}`)).status).toBe(200);
  });

  test.each(["x-forwarded-for", "forwarded", "x-real-ip", "client-ip"])(
    "a forged %s does not change the address when no proxy is trusted",
    async (header) => {
      const service = await start({ UQPAY_ALLOWED_ADDRESSES: UQPAY });
      const value = header === "forwarded" ? `for=${UQPAY}` : UQPAY;

      const answer = await deliver(service, aStatusUpdate(), {
        headers: { [header]: value },
      });

      expect(answer.status).toBe(403);
    },
  );

  test.each(["1", "127.0.0.1", "10.0.0.0/8,127.0.0.0/8"])(
    "behind a trusted proxy (%s) the address that the proxy saw counts, and nothing before it",
    async (TRUSTED_PROXIES) => {
      const service = await start({
        UQPAY_ALLOWED_ADDRESSES: UQPAY,
        TRUSTED_PROXIES,
      });
      const from = async (forwardedFor: string) =>
        (
          await deliver(service, aStatusUpdate(), {
            headers: { "x-forwarded-for": forwardedFor },
          })
        ).status;

      expect(await from(UQPAY)).toBe(200);
      expect(await from(`198.51.100.1, ${UQPAY}`)).toBe(200);
      expect(await from("198.51.100.1")).toBe(403);
      expect(await from(`${UQPAY}, 198.51.100.1`)).toBe(403);
      expect((await deliver(service, aStatusUpdate())).status).toBe(403);
    },
  );

  describe.each(["1", "127.0.0.0/8"])(
    "however the trusted proxy (%s) writes an address",
    (TRUSTED_PROXIES) => {
      let service: TestService;
      const from = async (...forwardedFor: string[]) => {
        const body = bytesOf(aStatusUpdate());
        const headers = signedHeaders(body, {
          secret: SECRET,
          atMs: Date.now(),
        });
        const answer = await sendRaw(
          service.port,
          [
            ...Object.entries(headers).map((pair) => pair.join(": ")),
            ...forwardedFor.map((value) => `X-Forwarded-For: ${value}`),
          ],
          body,
        );
        return answer.status;
      };

      beforeAll(async () => {
        service = await startTestService({
          queue: "postgres",
          env: {
            UQPAY_ALLOWED_ADDRESSES: `${UQPAY},2001:db8::7,fe80::7`,
            TRUSTED_PROXIES,
          },
        });
      });
      afterAll(async () => {
        await service.stop();
      });

      test.each([
        "203.0.113.7",
        "203.0.113.7:17085",
        "  203.0.113.7:17085  ",
        '"203.0.113.7:17085"',
        "[203.0.113.7]:17085",
        "::ffff:203.0.113.7",
        "::FFFF:cb00:7107",
        "0:0:0:0:0:ffff:203.0.113.7",
        "::ffff:203.0.113.7:17085",
        "[::ffff:203.0.113.7]:17085",
        "2001:db8::7",
        "2001:0DB8:0:0:0:0:0:7",
        "[2001:db8::7]",
        "[2001:db8::7]:443",
        '"[2001:db8::7]:443"',
        "2001:db8:0:0:0:0:0:7:443",
        "[2001:db8::7%eth0]:443",
        "fe80::7%eth0",
        "198.51.100.1:4711,203.0.113.7:17085",
        "unknown, 203.0.113.7:17085",
        "203.0.113.7:17085,",
        ", ,203.0.113.7:17085, ,",
      ])("a genuine delivery from it is taken: %s", async (forwardedFor) => {
        expect(await from(forwardedFor)).toBe(200);
      });

      test.each([
        "198.51.100.1:4711",
        "203.0.113.7:17085, 198.51.100.1:4711",
        "203.0.113.7, [2001:db8::8]:443",
        "203.0.113.7, unknown",
        "203.0.113.7, 203.0.113.7:port:1",
        "203.0.113.70:17085",
        "2001:db8::7:443",
        "0203.0.113.7",
        "203.0.113.7 198.51.100.1",
        "203.0.113.7;198.51.100.1",
        "for=203.0.113.7",
        "[203.0.113.7",
      ])("none is taken from another or from none: %s", async (forged) => {
        expect(await from(forged)).toBe(403);
      });

      test("a header that comes twice is one list: what the proxy added stands last", async () => {
        expect(await from("198.51.100.1", "203.0.113.7:17085")).toBe(200);
        expect(await from("203.0.113.7", "198.51.100.1:4711")).toBe(403);
      });
    },
  );

  test("of several trusted proxies each may write its own port, and what stands before them is not looked at", async () => {
    const service = await start({
      UQPAY_ALLOWED_ADDRESSES: UQPAY,
      TRUSTED_PROXIES: "127.0.0.1,10.0.0.0/8",
    });
    const from = async (forwardedFor: string) =>
      (
        await deliver(service, aStatusUpdate(), {
          headers: { "x-forwarded-for": forwardedFor },
        })
      ).status;

    expect(await from(`${UQPAY}:1024, 10.0.0.2:5555, 10.0.0.3`)).toBe(200);
    expect(await from(`${UQPAY}, 198.51.100.1, 10.0.0.2:5555`)).toBe(403);
    expect(await from("10.0.0.2:5555")).toBe(403);
  });

  test("`Forwarded` is not read, also not from a trusted proxy", async () => {
    const service = await start({
      UQPAY_ALLOWED_ADDRESSES: UQPAY,
      TRUSTED_PROXIES: "127.0.0.1",
    });
    const answer = await deliver(service, aStatusUpdate(), {
      headers: {
        "x-forwarded-for": "198.51.100.1",
        forwarded: `for=${UQPAY}`,
      },
    });

    expect(answer.status).toBe(403);
  });

  test("an address that is no trusted proxy cannot speak for another", async () => {
    const service = await start({
      UQPAY_ALLOWED_ADDRESSES: UQPAY,
      TRUSTED_PROXIES: "10.0.0.0/8",
    });

    const answer = await deliver(service, aStatusUpdate(), {
      headers: { "x-forwarded-for": UQPAY },
    });

    expect(answer.status).toBe(403);
  });

  test.each([
    ["127.0.0.1", 200],
    ["127.0.0.2", 403],
  ])(
    "on a socket of both families an IPv4 sender is its IPv4 address: 127.0.0.1 against %s is answered %d",
    async (allowed, status) => {
      const service = await start({
        HOST: "::",
        UQPAY_ALLOWED_ADDRESSES: allowed,
      });

      expect((await deliver(service, aStatusUpdate())).status).toBe(status);
    },
  );
});

describe("the webhook secret", () => {
  test("may be two while it is rotated, and a withdrawn one signs nothing any more", async () => {
    const both = await start({ UQPAY_WEBHOOK_SECRET: "whsec_new,whsec_old" });
    const after = await start({ UQPAY_WEBHOOK_SECRET: "whsec_new" });
    const status = async (service: TestService, secret: string) =>
      (await deliver(service, aStatusUpdate(), { secret })).status;

    expect(await status(both, "whsec_new")).toBe(200);
    expect(await status(both, "whsec_old")).toBe(200);
    expect(await status(after, "whsec_new")).toBe(200);
    expect(await status(after, "whsec_old")).toBe(401);
    expect(await status(after, "whsec_new,whsec_old")).toBe(401);
  });
});

describe("secrets in files", () => {
  afterAll(async () => {
    await endProcesses();
  });

  test(
    "are used by the running service, and appear nowhere in its output",
    async () => {
      const folder = await makeFolder();
      const database = await createTestDatabase();
      const file = async (name: string, text: string) => {
        await writeFile(join(folder, name), `${text}\n`, { mode: 0o600 });
        return join(folder, name);
      };
      const process = startProcess("main.js", {
        cwd: folder,
        env: {
          NODE_ENV: "production",
          HOST: "127.0.0.1",
          PORT: "0",
          OPS_PORT: "0",
          LOG_LEVEL: "trace",
          UQPAY_WEBHOOK_SECRET_FILE: await file("webhook", "whsec_in_a_file"),
          DATABASE_URL_FILE: await file("database", database.url),
        },
      });
      const port = await process.untilOutput(
        /"port":(\d+),"role":"all","msg":"listening"/,
      );
      const baseUrl = `http://127.0.0.1:${port}`;

      const right = await deliver({ baseUrl }, aStatusUpdate(), {
        secret: "whsec_in_a_file",
      });
      const wrong = await deliver({ baseUrl }, aStatusUpdate());
      process.kill("SIGTERM");
      const code = await process.ended;

      expect([right.status, wrong.status, code]).toEqual([200, 401, 0]);
      const output = process.stdout() + process.stderr();
      expect(output).not.toContain("whsec_in_a_file");
      expect(output).not.toContain(new URL(database.url).password);
      await database.drop();
      await removeFolder(folder);
    },
    LONG_MS,
  );

  test(
    "that cannot be read stop the start, by name and without a path",
    async () => {
      const folder = await makeFolder();
      const process = startProcess("main.js", {
        cwd: folder,
        env: {
          NODE_ENV: "production",
          UQPAY_WEBHOOK_SECRET_FILE: "/nowhere/webhook",
          DATABASE_URL_FILE: "/nowhere/database",
        },
      });

      expect(await process.ended).toBe(1);
      expect(process.stderr()).toBe(
        "The configuration is wrong:\n" +
          "  UQPAY_WEBHOOK_SECRET_FILE: cannot be read\n" +
          "  DATABASE_URL_FILE: cannot be read\n",
      );
      await removeFolder(folder);
    },
    LONG_MS,
  );
});

describe("what leaves the service", () => {
  const CANARY = "canary4096360812348664";

  test("no error body, no metric and no log line repeats anything that was sent", async () => {
    const service = await start();
    const { baseUrl } = service;
    const everywhere = {
      card_id: { [CANARY]: CANARY },
      card_status: [CANARY],
      update_time: CANARY,
      card_number: CANARY,
      cardholder: { first_name: CANARY, email: `${CANARY}@x.example` },
      [CANARY]: CANARY,
    };
    const answers = [
      await deliver(service, aStatusUpdate(everywhere)),
      await deliver(service, aCardUpdate(everywhere, { event_id: "" })),
      await deliver(
        service,
        anAuthorization({ card_id: [CANARY], mcc: CANARY }),
      ),
      await deliver(service, `{"${CANARY}": ${CANARY}`),
      await deliver(service, `"${CANARY}"`),
      await deliver(service, aStatusUpdate({ card_status: CANARY }), {
        secret: CANARY,
      }),
      await deliver(service, aStatusUpdate({ card_id: CANARY }), { atMs: 1 }),
      await deliver(service, CANARY, {
        headers: { "x-wk-signature": CANARY, "x-wk-timestamp": CANARY },
      }),
      await deliver(service, CANARY, {
        headers: { "content-type": `text/${CANARY}` },
      }),
      await deliver(service, CANARY, {
        headers: { "content-encoding": CANARY },
      }),
    ].map(({ body }) => JSON.stringify(body));
    const others = await Promise.all(
      [
        `/${CANARY}`,
        `/webhooks/uqpay/${CANARY}`,
        `/%E0%A4%A/${CANARY}`,
        `/admin/${CANARY}`,
        `/?${CANARY}`,
      ].map(async (path) => (await fetch(`${baseUrl}${path}`)).text()),
    );

    for (const text of [
      ...answers,
      ...others,
      await metricsOf(service),
      service.log(),
    ])
      expect(text).not.toContain(CANARY);
  });

  test("no error tells of the inside: no stack, no path, no SQL", async () => {
    const service = await start();
    await service.rows("alter table webhook_events rename to gone");

    const answer = await deliver(service, aStatusUpdate());

    expect(answer.status).toBe(503);
    expect(answer.headers.get("retry-after")).toMatch(/^\d+$/);
    expect(answer.body).toEqual({
      error: {
        code: "unavailable",
        message: "The event could not be stored. Please deliver it again.",
      },
    });
    await service.rows("alter table gone rename to webhook_events");
  });
});

describe("metrics under hostile deliveries", () => {
  test(
    "have as many series as before, whatever types, ids, methods and paths come",
    async () => {
      const service = await start();
      const { baseUrl } = service;
      const deliverSome = async (from: number, to: number) => {
        for (let index = from; index < to; index++) {
          const name = `hostile.${String(index)}"} 1\n`;
          await deliver(service, aStatusUpdate({}, { event_type: name }));
          await deliver(service, aStatusUpdate({ card_status: name }));
          await deliver(
            service,
            anAuthorization({
              transaction_status: "DECLINED",
              description: name,
              transaction_type: name,
            }),
          );
          await deliver(
            service,
            aStatusUpdate(
              { card_id: null },
              { event_type: "card.update.succeeded" },
            ),
          );
          await deliver(service, "{", { secret: name });
          await deliver(service, name);
          await fetch(`${baseUrl}/hostile.${String(index)}`);
          await fetch(`${baseUrl}/webhooks/uqpay`, { method: "PROPFIND" });
        }
        await service.untilApplied();
      };
      const series = async () =>
        (await metricsOf(service))
          .split("\n")
          .filter((line) => line.startsWith("uqpay_"))
          .map((line) => line.replace(/ \S+$/, ""));
      await deliverSome(0, 2);
      const before = await series();

      await deliverSome(2, 40);

      const after = await series();
      expect(after).toEqual(before);
      expect(after.join("\n")).not.toContain("hostile");
    },
    LONG_MS,
  );
});

describe("an acknowledgement", () => {
  test(
    "waits for the commit, however long that takes",
    async () => {
      const service = await start();
      const blocker = new pg.Client({ connectionString: service.databaseUrl });
      await blocker.connect();
      await blocker.query("begin; lock table webhook_events in share mode");
      const event = aStatusUpdate();
      let isAnswered = false;

      const answering = deliver(service, event).finally(() => {
        isAnswered = true;
      });
      // The insert has come to the lock: from here on only the commit is missing.
      await waitFor(
        async () =>
          (
            await service.rows(
              "select pid from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database() and query like '%insert into webhook_events%'",
            )
          ).length > 0,
        { what: "the insert to wait for the lock" },
      );
      await new Promise((resolve) => setTimeout(resolve, 200));
      const wasAnsweredBefore = isAnswered;
      await blocker.query("commit");
      await blocker.end();

      expect((await answering).body).toMatchObject({ status: "accepted" });
      expect(wasAnsweredBefore).toBe(false);
      expect(await service.rows("select event_id from webhook_events")).toEqual(
        [{ event_id: event.event_id }],
      );
    },
    LONG_MS,
  );

  test("is never given for what the database refuses", async () => {
    const service = await start();
    await service.rows(
      "alter table webhook_events add constraint refuses check (card_id <> 'refused')",
    );

    const answer = await deliver(
      service,
      aStatusUpdate({ card_id: "refused" }),
    );

    expect(answer.status).toBe(503);
  });
});

describe("a replayed delivery", () => {
  test(
    "is accepted once by two instances that get it many times at once",
    async () => {
      const database = await createTestDatabase();
      const first = await start({}, { database });
      const second = await start({}, { database });
      const events = Array.from({ length: 15 }, () => aStatusUpdate());

      for (const event of events) {
        const answers = await Promise.all(
          Array.from({ length: 10 }, (_, index) =>
            deliver(index % 2 === 0 ? first : second, event),
          ),
        );
        const kinds = answers
          .map(({ body }) => (body as { status?: string }).status)
          .toSorted();
        expect(kinds).toEqual([
          "accepted",
          ...Array.from({ length: 9 }, () => "duplicate"),
        ]);
      }
      await first.untilApplied();

      expect(
        await first.rows(
          "select count(*), sum(attempts) as attempts from webhook_events where state = 'processed'",
        ),
      ).toEqual([{ count: "15", attempts: "15" }]);
      await first.stop();
      await second.stop();
      started.splice(0);
      await database.drop();
    },
    LONG_MS,
  );
});

describe("applying an event and marking it as applied", () => {
  /** Before what the trigger names, such as `update on webhook_events`. */
  const startRefusing = async (moment: string) => {
    const service = await start();
    await service.rows(
      `create function refuse() returns trigger language plpgsql as $$ begin raise exception 'refused' using errcode = 'check_violation'; end $$`,
    );
    await service.rows(
      `create trigger refuse before ${moment} execute function refuse()`,
    );
    await deliver(service, aStatusUpdate());
    await service.untilApplied(30_000);
    return service;
  };

  test(
    "what cannot be marked is not applied: both are one transaction",
    async () => {
      const service = await startRefusing(
        "update on webhook_events for each row when (new.state = 'processed')",
      );

      expect(await service.rows("select state from webhook_events")).toEqual([
        { state: "failed" },
      ]);
      expect(await service.rows("select card_id from cards")).toEqual([]);
    },
    LONG_MS,
  );

  test(
    "what cannot be applied is not marked either",
    async () => {
      const service = await startRefusing("insert on cards for each row");

      expect(
        await service.rows("select state, processed_at from webhook_events"),
      ).toEqual([{ state: "failed", processed_at: null }]);
    },
    LONG_MS,
  );
});

describe("names that mean something to JavaScript", () => {
  test("are data like any other, in ids, keys and paths", async () => {
    const service = await start();
    const names = [
      "__proto__",
      "constructor",
      "prototype",
      "toString",
      "hasOwnProperty",
    ];

    for (const name of names) {
      const metadata = JSON.parse(`{"${name}": {"polluted": "yes"}}`) as object;
      const answer = await deliver(
        service,
        aCardUpdate({ card_id: name, metadata }, { event_id: name }),
      );
      expect(answer.body).toEqual({ status: "accepted", event_id: name });
      await fetch(`${service.baseUrl}/${name}`);
    }
    await service.untilApplied();

    expect(({} as { polluted?: string }).polluted).toBeUndefined();
    expect(
      (
        await service.rows(
          `select card_id from cards order by card_id collate "C"`,
        )
      ).map((row) => row["card_id"]),
    ).toEqual(names.toSorted());
  });
});

describe("SQL in a delivery", () => {
  test.each([
    "'; drop table cards; --",
    "\\'; select pg_sleep(10); --",
    '"; delete from webhook_events; --',
    "$1",
    "{a,b}",
    "%s",
    "card-1' or '1'='1",
  ])("is text: %j", async (text) => {
    const service = await start();

    await deliver(
      service,
      aStatusUpdate(
        { card_id: text, update_reason: text },
        { event_id: text, event_name: text, source_id: text },
      ),
    );
    await service.untilApplied();

    expect(
      await service.rows("select card_id, status_reason from cards"),
    ).toEqual([{ card_id: text, status_reason: text }]);
  });
});

describe("large bodies that are held open", () => {
  test(
    "are bounded in number, and do not shut out the small ones",
    async () => {
      const service = await start();
      const sockets: Socket[] = [];
      const open = async () => {
        const socket = await openSocket(service.port);
        // What this server ends is not this test's failure.
        socket.on("error", () => undefined);
        socket.write(
          "POST /webhooks/uqpay HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 200000\r\n\r\n{",
        );
        sockets.push(socket);
        return socket;
      };
      for (let index = 0; index < 128; index++) await open();

      const refused = await readAnswer(await open());
      const small = await deliver(service, aStatusUpdate());
      for (const socket of sockets) socket.destroy();
      const large = await waitFor(
        async () => {
          const answer = await deliver(
            service,
            aCardUpdate({ metadata: { a: "x".repeat(20_000) } }),
          );
          return answer.status === 200 && answer;
        },
        { what: "a large body to be taken again" },
      );

      expect(refused.status).toBe(503);
      expect(refused.headers).toMatch(/retry-after: \d+/i);
      expect(small.status).toBe(200);
      expect(large.body).toMatchObject({ status: "accepted" });
    },
    LONG_MS,
  );
});

describe("readiness", () => {
  test("is refused while the database lacks migrations, and life is not", async () => {
    const database = await createEmptyDatabase();
    const service = await start({ ROLE: "api" }, { database });

    const ready = await fetch(`${service.baseUrl}/readyz`);
    const healthy = await fetch(`${service.baseUrl}/healthz`);

    expect(ready.status).toBe(503);
    expect(await ready.json()).toMatchObject({
      status: "unavailable",
      postgres: { status: "up" },
      migrations: { status: "down" },
    });
    expect(healthy.status).toBe(200);
    await service.stop();
    started.splice(0);
    await database.drop();
  });
});

describe("the signature of a delivery", () => {
  test("is over the bytes as they came: white space and the order of keys are part of them", async () => {
    const service = await start();
    const event = aStatusUpdate();
    const pretty = JSON.stringify(event, null, 4);

    const answer = await deliver(service, pretty);
    const altered = await fetch(`${service.baseUrl}/webhooks/uqpay`, {
      method: "POST",
      headers: signedHeaders(pretty, { secret: SECRET, atMs: Date.now() }),
      body: JSON.stringify(event),
    });

    expect(answer.body).toEqual({
      status: "accepted",
      event_id: event.event_id,
    });
    expect(altered.status).toBe(401);
  });

  test("of a forged delivery under a genuine id does not take that id", async () => {
    const service = await start();
    const event_id = randomUUID();
    await deliver(service, aStatusUpdate({}, { event_id }), {
      secret: "whsec_forged",
    });

    const genuine = await deliver(service, aStatusUpdate({}, { event_id }));

    expect(genuine.body).toEqual({ status: "accepted", event_id });
  });
});

describe("SECURITY.md", () => {
  const read = (path: string) =>
    readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
  const named = [
    ...read("SECURITY.md").matchAll(
      /`((?:unit|property|integration|e2e)\/[\w./-]+\.test\.ts)` "([^"]+)"/g,
    ),
  ].map(([, file = "", title = ""]) => [file, title] as const);

  test("names tests", () => {
    expect(named.length).toBeGreaterThan(30);
  });

  test.each(named)("%s has the test that it names: %s", (file, title) => {
    expect(read(`test/${file}`).replace(/\s+/g, " ")).toContain(title);
  });
});
