import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { connect as connectTcp } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { TLSSocket } from "node:tls";
import { connect } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { TestDatabase } from "../support/database.ts";
import { createTestDatabase } from "../support/database.ts";
import { aStatusUpdate, bytesOf } from "../support/deliveries.ts";
import { signedHeaders } from "../support/fixtures.ts";
import { codeBlockWith } from "../support/markdown.ts";
import { findProgram, haveAll, runProgram } from "../support/programs.ts";
import type { TestProcess } from "../support/process.ts";
import {
  baseUrlOf,
  endProcesses,
  makeFolder,
  removeFolder,
  startCommand,
  startProcess,
} from "../support/process.ts";
import { findFreePort } from "../support/redis-server.ts";
import { SECRET, openReader, statesOf } from "../support/service.ts";
import { waitFor } from "../support/wait-for.ts";

const DOCUMENT = "docs/deploy.md";
const LIMIT_MS = 60_000;

/** Senders of this machine: its loopback network has many addresses. */
const UQPAY = "127.0.0.5";
const STRANGER = "127.0.0.6";

/** Longer than any server of this path waits for headers that have begun. */
const AHEAD_MS = 6_000;

interface Proxy {
  readonly port: number;
  readonly servicePort: number;
  readonly service: TestProcess;
  /** Opened when all of this was started. */
  readonly ahead: Agent;
  readonly openedMs: number;
}

let folder: string;
let database: TestDatabase;
const running = new Map<string, Proxy>();

beforeAll(async () => {
  folder = await makeFolder();
  database = await createTestDatabase();
  runProgram(
    "openssl",
    [
      "req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=cards.example.com",
      "-addext subjectAltName=DNS:cards.example.com",
      `-keyout ${folder}/privkey.pem -out ${folder}/fullchain.pem`,
    ].flatMap((part) => part.split(" ")),
  );
  const parts = ["fullchain.pem", "privkey.pem"];
  writeFileSync(
    join(folder, "haproxy.pem"),
    parts.map((name) => readFileSync(join(folder, name), "utf8")).join(""),
  );
  for (const [name, start] of PROXIES)
    if (haveAll([name, "openssl"])) running.set(name, await start());
}, LIMIT_MS);

afterAll(async () => {
  for (const { ahead } of running.values()) ahead.destroy();
  await endProcesses();
  await database.drop();
  await removeFolder(folder);
});

/** The service with the variables that the document gives it, but for what is this machine's. */
async function startService(port: number): Promise<TestProcess> {
  const block = codeBlockWith(DOCUMENT, "sh", "TRUSTED_PROXIES=");
  const documented = Object.fromEntries(
    [...block.matchAll(/^([A-Z_]+)=(.*)$/gm)].map(([, name, value]) => [
      name ?? "",
      value ?? "",
    ]),
  );
  const running = startProcess("main.js", {
    cwd: folder,
    env: {
      ...documented,
      PORT: String(port),
      OPS_PORT: String(await findFreePort()),
      DATABASE_URL: database.url,
      UQPAY_WEBHOOK_SECRET: SECRET,
      UQPAY_ALLOWED_ADDRESSES: UQPAY,
    },
  });
  await baseUrlOf(running);
  return running;
}

/** What the document says, with this test's ports and certificate. */
function localise(block: string, servicePort: number, port: number): string {
  const changes: readonly [string, string][] = [
    ["127.0.0.1:3000", `127.0.0.1:${String(servicePort)}`],
    ["listen 443 ssl", `listen 127.0.0.1:${String(port)} ssl`],
    ["bind :443 ", `bind 127.0.0.1:${String(port)} `],
    ["/etc/ssl/cards/", `${folder}/`],
  ];
  return changes.reduce((text, [from, to]) => text.replaceAll(from, to), block);
}

async function startNginx(): Promise<Proxy> {
  const [port, servicePort] = [await findFreePort(), await findFreePort()];
  const service = await startService(servicePort);
  const block = codeBlockWith(DOCUMENT, "nginx", "upstream");
  const home = join(folder, "nginx");
  mkdirSync(home, { recursive: true });
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  const config = `
    daemon off;
    ${process.getuid?.() === 0 ? "user root;" : ""}
    pid ${home}/nginx.pid;
    error_log stderr warn;
    events {}
    http {
      access_log off;
      ${temporary.map((name) => `${name}_temp_path ${home}/${name};`).join("\n")}
      ${localise(block, servicePort, port)}
    }`;
  writeFileSync(join(home, "nginx.conf"), config);
  startCommand(findProgram("nginx") ?? "", {
    cwd: home,
    args: ["-p", home, "-c", join(home, "nginx.conf"), "-e", "stderr"],
  });
  return untilListening({ port, servicePort, service });
}

async function startHaproxy(): Promise<Proxy> {
  const [port, servicePort] = [await findFreePort(), await findFreePort()];
  const service = await startService(servicePort);
  const block = codeBlockWith(DOCUMENT, "haproxy", "frontend");
  writeFileSync(
    join(folder, "haproxy.cfg"),
    localise(block, servicePort, port),
  );
  startCommand(findProgram("haproxy") ?? "", {
    cwd: folder,
    args: ["-db", "-f", join(folder, "haproxy.cfg")],
  });
  return untilListening({ port, servicePort, service });
}

const PROXIES = [
  ["nginx", startNginx],
  ["haproxy", startHaproxy],
] as const;

async function untilListening(
  proxy: Omit<Proxy, "ahead" | "openedMs">,
): Promise<Proxy> {
  const connection = await waitFor(() => open(proxy.port), {
    what: "the proxy to listen",
  });
  const ahead = agentOf(connection, { keepAlive: true });
  return { ...proxy, ahead, openedMs: Date.now() };
}

async function open(port: number, localAddress = UQPAY): Promise<TLSSocket> {
  const socket = connect({
    socket: connectTcp({ host: "127.0.0.1", port, localAddress }),
    servername: "cards.example.com",
    ca: readFileSync(join(folder, "fullchain.pem")),
  });
  await once(socket, "secureConnect");
  return socket;
}

interface Sending {
  readonly localAddress?: string;
  readonly kept?: Agent;
  readonly isChunked?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
  readonly path?: string;
}

/** Sends by this connection. */
function agentOf(
  connection: TLSSocket,
  { keepAlive }: { readonly keepAlive: boolean },
): Agent {
  const agent = new Agent({ keepAlive, maxSockets: 1 });
  agent.createConnection = () => connection;
  return agent;
}

/** Posts a signed body to the proxy; over the given connection, or one of its own. */
async function post(
  { port }: Proxy,
  body: Buffer,
  {
    localAddress = UQPAY,
    kept,
    isChunked = false,
    headers = {},
    path = "/webhooks/uqpay",
  }: Sending = {},
): Promise<{ readonly status: number; readonly text: string }> {
  const agent =
    kept ?? agentOf(await open(port, localAddress), { keepAlive: false });
  const sent = request({
    agent,
    path,
    method: "POST",
    headers: {
      host: "cards.example.com",
      ...signedHeaders(body, { secret: SECRET, atMs: Date.now() }),
      ...(!isChunked && { "content-length": String(body.length) }),
      ...headers,
    },
  });
  if (isChunked)
    for (let at = 0; at < body.length; at += 100)
      sent.write(body.subarray(at, at + 100));
  sent.end(isChunked ? undefined : body);
  const [response] = (await once(sent, "response")) as [
    NodeJS.ReadableStream & { readonly statusCode: number },
  ];
  let text = "";
  for await (const chunk of response) text += String(chunk);
  if (kept === undefined) agent.destroy();
  return { status: response.statusCode, text };
}

/** As large as the service takes: 256 KiB. */
function aLargeEvent() {
  const event = aStatusUpdate({ remark: "" });
  const missing = 256 * 1_024 - bytesOf(event).length;
  event.data["remark"] = randomBytes(missing).toString("hex").slice(0, missing);
  return event;
}

for (const [name] of PROXIES) {
  const describeHere = haveAll([name, "openssl"]) ? describe : describe.skip;

  describeHere(`behind ${name} as docs/deploy.md has it`, () => {
    test(
      "the sender's own address decides, whatever it claims",
      async () => {
        const proxy = running.get(name)!;
        const body = bytesOf(aStatusUpdate());
        const claim = { "x-forwarded-for": UQPAY };

        const stranger = await post(proxy, body, { localAddress: STRANGER });
        const claiming = await post(proxy, body, {
          localAddress: STRANGER,
          headers: claim,
        });
        const genuine = await post(proxy, body, {
          headers: { "x-forwarded-for": STRANGER },
        });

        expect(stranger.status).toBe(403);
        expect(claiming.status).toBe(403);
        expect(genuine.status).toBe(200);
      },
      LIMIT_MS,
    );

    test(
      "nothing but the webhook can be reached, and no larger body",
      async () => {
        const proxy = running.get(name)!;
        const body = bytesOf(aStatusUpdate());
        const tooLarge = Buffer.concat([
          bytesOf(aLargeEvent()),
          Buffer.from(" "),
        ]);

        const elsewhere = await Promise.all(
          ["/metrics", "/readyz", "/admin/events", "/"].map((path) =>
            post(proxy, body, { path }),
          ),
        );

        expect(elsewhere.map(({ status }) => status)).toEqual([
          404, 404, 404, 404,
        ]);
        expect((await post(proxy, tooLarge)).status).toBe(413);
      },
      LIMIT_MS,
    );

    test(
      "a delivery is accepted: plain, in chunks, as large as may be, and over a connection opened long before",
      async () => {
        const proxy = running.get(name)!;
        const { ahead, openedMs } = proxy;
        const [plain, chunked, large, late, again] = [
          aStatusUpdate(),
          aStatusUpdate(),
          aLargeEvent(),
          aStatusUpdate(),
          aStatusUpdate(),
        ];

        const answers = [
          await post(proxy, bytesOf(plain)),
          await post(proxy, bytesOf(chunked), { isChunked: true }),
          await post(proxy, bytesOf(large)),
        ];
        await sleep(AHEAD_MS - (Date.now() - openedMs));
        // Twice: the second goes by a connection that the proxy has kept.
        answers.push(await post(proxy, bytesOf(late), { kept: ahead }));
        answers.push(await post(proxy, bytesOf(again), { kept: ahead }));

        const events = [plain, chunked, large, late, again];
        expect(answers).toEqual(
          events.map(({ event_id }) => ({
            status: 200,
            text: JSON.stringify({ status: "accepted", event_id }),
          })),
        );
        const reader = openReader(database.url);
        const ids = events.map(({ event_id }) => event_id);
        const states = await statesOf(reader, ids);
        await reader.close();
        expect(states).not.toHaveProperty("lost");
      },
      LIMIT_MS,
    );
  });
}
