import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { join } from "node:path";
import { TLSSocket } from "node:tls";
import { fileURLToPath } from "node:url";
import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  test,
} from "@jest/globals";
import { ConfigError, loadConfig } from "../../src/config.ts";
import { createLogger } from "../../src/process/logger.ts";
import { startServer } from "../../src/roles/start-server.ts";
import { runCommandLine } from "../support/command-line.ts";
import type { TestDatabase } from "../support/database.ts";
import {
  createEmptyDatabase,
  createTestDatabase,
} from "../support/database.ts";
import { aStatusUpdate, deliver } from "../support/deliveries.ts";
import {
  baseUrlOf,
  endProcesses,
  makeFolder,
  removeFolder,
  startProcess,
} from "../support/process.ts";
import { findFreePort } from "../support/redis-server.ts";
import { QUICK, openReader, untilApplied } from "../support/service.ts";

const LIMIT_MS = 60_000;
const TLS = fileURLToPath(new URL("../support/tls/", import.meta.url));
const AUTHORITY = join(TLS, "authority.pem");

let folder: string;
/** Migrated. */
let database: TestDatabase;
let login: string;

beforeAll(async () => {
  folder = await makeFolder();
  database = await createTestDatabase();
  login = `login_${randomUUID().replaceAll("-", "")}`;
  await asAdmin(
    `create role ${login} login password '${new URL(database.url).password}'`,
  );
});

const opened: (() => unknown)[] = [];

afterEach(async () => {
  await endProcesses();
  for (const close of opened.splice(0).toReversed()) await close();
}, LIMIT_MS);

afterAll(async () => {
  await database.drop();
  await asAdmin(`drop role ${login}`);
  await removeFolder(folder);
});

async function asAdmin(
  text: string,
  url = process.env["TEST_POSTGRES_URL"] ?? "",
) {
  const admin = openReader(url);
  try {
    await admin.rows(text);
  } finally {
    await admin.close();
  }
}

/** An empty database made with these options, which goes with the test. */
async function aDatabase(options: string): Promise<string> {
  const name = `test_${randomUUID().replaceAll("-", "")}`;
  await asAdmin(`create database ${name} template template0 ${options}`);
  opened.push(() => asAdmin(`drop database ${name} with (force)`));
  return changed(database.url, { pathname: name });
}

function changed(
  text: string,
  parts: Partial<
    Record<"username" | "password" | "pathname" | "port" | "hostname", string>
  >,
): string {
  return Object.assign(new URL(text), parts).href;
}

/** What the program says when it does not go on; its standard error must be this one line. */
async function refusalOf(
  url: string,
  { program = "main.js", args = [] as string[], env = {} } = {},
): Promise<string> {
  const running = startProcess(program, {
    cwd: folder,
    args,
    env: { ...QUICK, ...env, DATABASE_URL: url },
  });
  const code = await running.ended;
  const out = program === "cli.js" ? running.stdout() : "";
  const err = withoutProgress(running.stderr());
  expect(running.stdout()).not.toContain(passwordOf(database.url));
  return sentenceOf({ code, out, err });
}

/** The same of a start in this process. */
async function startRefusalOf(url: string): Promise<string> {
  let logged = "";
  const log = createLogger("debug", { write: (line) => (logged += line) });
  const config = loadConfig({ ...QUICK, DATABASE_URL: url });
  const start = startServer(config, log, folder);

  await expect(start).rejects.toBeInstanceOf(ConfigError);

  expect(logged).not.toContain(passwordOf(database.url));
  const { message } = (await start.catch((error: unknown) => error)) as Error;
  return sentenceOf({ code: 1, out: "", err: `${message}\n` });
}

/** The same of the operator's tool in this process. */
const toolRefusalOf = async (url: string, command: string) =>
  sentenceOf(await runCommandLine([command], { ...QUICK, DATABASE_URL: url }));

/** One line on standard error without the password, and nothing else. */
function sentenceOf(ended: {
  readonly code: unknown;
  readonly out: string;
  readonly err: string;
}): string {
  expect(ended).toMatchObject({ code: 1, out: "" });
  expect(ended.err).toMatch(/^[^\n]+\n$/);
  expect(ended.err).not.toContain(passwordOf(database.url));
  return ended.err;
}

const passwordOf = (url: string) => decodeURIComponent(new URL(url).password);

describe("a start on a database that cannot be used ends with one sentence that says what to do", () => {
  test.each(["LATIN1", "SQL_ASCII"])(
    "when its encoding is %s",
    async (encoding) => {
      const url = await aDatabase(
        `encoding '${encoding}' locale_provider libc locale 'C'`,
      );

      for (const said of [
        await startRefusalOf(url),
        await toolRefusalOf(url, "migrate"),
      ])
        expect(said).toBe(
          `The database cannot be used: its encoding is ${encoding}, and names of merchants need UTF8. Create one with: create database … encoding 'UTF8' template template0.\n`,
        );
    },
    LIMIT_MS,
  );

  test(
    "when the login may not create",
    async () => {
      const url = await aDatabase("");

      const said = await startRefusalOf(changed(url, { username: login }));

      expect(said).toMatch(
        /^The database cannot be used: PostgreSQL 42501: permission denied for [^\n]* db\/roles\.sql/,
      );
    },
    LIMIT_MS,
  );

  test(
    "when the login may not create the queue's schema",
    async () => {
      const url = await aDatabase("");
      await asAdmin(
        `create schema uqpay_card_sync_migrations authorization ${login}; grant create on schema public to ${login}`,
        url,
      );

      const said = await startRefusalOf(changed(url, { username: login }));

      expect(said).toMatch(
        / 42501: permission denied for database [^\n]* db\/roles\.sql/,
      );
    },
    LIMIT_MS,
  );

  test(
    "when a newer release has migrated it",
    async () => {
      const newer = await createTestDatabase();
      opened.push(() => newer.drop());
      await asAdmin(
        "insert into uqpay_card_sync_migrations.kysely_migration values ('9999_of_tomorrow', now()::text)",
        newer.url,
      );

      for (const said of [
        await startRefusalOf(newer.url),
        await toolRefusalOf(newer.url, "migrate"),
      ])
        expect(said).toMatch(
          /a newer release has migrated it \(9999_of_tomorrow\)\. Use that release/,
        );
    },
    LIMIT_MS,
  );

  test(
    "when an earlier version put the tables into the login's schema",
    async () => {
      const old = await createTestDatabase();
      opened.push(() => old.drop());
      await asAdmin(
        "create schema old_login; alter table webhook_events set schema old_login",
        old.url,
      );

      expect(await startRefusalOf(old.url)).toMatch(
        /into schema old_login, and they belong into public\. Move them: alter table "old_login"\.webhook_events set schema public/,
      );
    },
    LIMIT_MS,
  );

  test(
    "when another program has a table of that name",
    async () => {
      const taken = await createEmptyDatabase();
      opened.push(() => taken.drop());
      await asAdmin("create table public.cards (id int)", taken.url);

      expect(await startRefusalOf(taken.url)).toMatch(
        /PostgreSQL 42P07: relation "cards" already exists\. .* a database of its own/,
      );
    },
    LIMIT_MS,
  );

  test.each([
    [
      "the password is wrong",
      () => changed(database.url, { password: "canary" }),
      /28P01: password authentication failed for user "postgres"\. .*%40/,
    ],
    [
      "the role is missing",
      () => changed(database.url, { username: "nobody_here" }),
      /28P01|role "nobody_here" does not exist/,
    ],
    [
      "the database is missing",
      () => changed(database.url, { pathname: "no_such" }),
      /3D000: database "no_such" does not exist\. Create the database/,
    ],
  ])(
    "when %s",
    async (_when, url, says) => {
      for (const said of [
        await refusalOf(url()),
        await toolRefusalOf(url(), "migrate"),
        await toolRefusalOf(url(), "verify"),
      ]) {
        expect(said).toMatch(/^The database cannot be used: /);
        expect(said).toMatch(says);
        expect(said).not.toContain("canary");
      }
    },
    LIMIT_MS,
  );

  test(
    "when it has no connection left",
    async () => {
      await asAdmin(`alter role ${login} connection limit 0`);

      const said = await startRefusalOf(
        changed(database.url, { username: login }),
      );

      expect(said).toMatch(
        /^The database cannot be used now: PostgreSQL 53300: too many connections for role "login_\w+"\. .*DATABASE_POOL_SIZE/,
      );
    },
    LIMIT_MS,
  );

  test(
    "for the operator's tool, when nobody is there",
    async () => {
      const nowhere = { port: String(await findFreePort()) };
      const tool = { program: "cli.js", args: ["events"] };

      expect(await refusalOf(changed(database.url, nowhere), tool)).toMatch(
        /^The database cannot be used now: connect ECONNREFUSED .*\. Start PostgreSQL/,
      );
      expect(
        await refusalOf("postgres://u:p@no-such-host.invalid/db", tool),
      ).toMatch(
        /^The database cannot be used now: getaddrinfo .*percent-encoded/,
      );
      expect(await refusalOf(`postgres:///db?host=${folder}`, tool)).toMatch(
        /^The database cannot be used now: connect ENOENT .*the folder of the socket/,
      );
    },
    LIMIT_MS,
  );

  test.each([
    [
      "a raw @ in the password",
      "postgres://u:can@ary@h/db",
      /has an @ too many.*@ is %40/,
    ],
    [
      "a raw % in the password",
      "postgres://u:100%canary@h/db",
      /a % itself is written %25/,
    ],
    ["several hosts", "postgres://u:canary@h1,h2/db", /several hosts/],
    [
      "the form of keywords",
      "host=h dbname=canary",
      /host=… dbname=… is not read/,
    ],
  ])(
    "for %s in DATABASE_URL",
    async (_what, url, says) => {
      const { code, err } = await runCommandLine(["serve"], {
        DATABASE_URL: url,
      });

      expect(code).toBe(1);
      expect(err).toMatch(says);
      expect(err).not.toMatch(/canary|^\s+at /m);
    },
    LIMIT_MS,
  );
});

describe("a server whose certificate is of a private authority", () => {
  test.each(["require", "verify-full", "verify-ca"])(
    "is refused with sslmode=%s, with what to do",
    async (mode) => {
      const url = `${await startTlsServer()}?sslmode=${mode}`;

      expect(await refusalOf(url)).toMatch(
        /^The database cannot be used: .*sslrootcert=\/path\/ca\.pem in DATABASE_URL, or NODE_EXTRA_CA_CERTS/,
      );
    },
    LIMIT_MS,
  );

  test(
    "is used when DATABASE_URL names the authority, or the environment does",
    async () => {
      const url = await startTlsServer();

      for (const [query, env] of [
        [`?sslmode=verify-full&sslrootcert=${AUTHORITY}`, {}],
        [`?sslmode=require`, { NODE_EXTRA_CA_CERTS: AUTHORITY }],
      ] as const) {
        await expectToWork(`${url}${query}`, env);
      }
    },
    LIMIT_MS,
  );

  test(
    "is refused when the authority's file is missing",
    async () => {
      const url = `${await startTlsServer()}?sslmode=require&sslrootcert=${folder}/none.pem`;

      expect(await refusalOf(url)).toMatch(
        /sslrootcert in DATABASE_URL names cannot be read \(ENOENT\)/,
      );
    },
    LIMIT_MS,
  );

  test(
    "and a server without TLS is refused when TLS is asked for",
    async () => {
      expect(
        await refusalOf(
          `${database.url}?sslmode=require`.replace("?sslmode=disable", ""),
        ),
      ).toMatch(/does not support SSL connections\. Write sslmode=disable/);
    },
    LIMIT_MS,
  );
});

describe("a server behind a socket", () => {
  test(
    "is used by service, queue and tool, named as psql names it",
    async () => {
      const { port, pathname, username, password } = new URL(database.url);
      await listen(`${folder}/.s.PGSQL.5432`, (client) => {
        joinSockets(client, connect(Number(port), "127.0.0.1"));
      });

      for (const url of [
        `postgres://${username}:${password}@${pathname}?host=${folder}`,
        `postgresql://${username}:${password}@${encodeURIComponent(folder)}${pathname}`,
      ])
        await expectToWork(url);
    },
    LIMIT_MS,
  );
});

/** On a slow machine the tool also tells how far it is. */
function withoutProgress(text: string): string {
  return text.replace(/^.* …\n/gm, "");
}

/** Service, queue and tool. */
async function expectToWork(url: string, env: Record<string, string> = {}) {
  const all = { ...QUICK, ...env, DATABASE_URL: url };
  const running = startProcess("main.js", { cwd: folder, env: all });
  const service = await baseUrlOf(running);
  expect(await deliver(service, aStatusUpdate())).toMatchObject({
    status: 200,
  });
  const reader = openReader(database.url);
  await untilApplied(reader.rows);
  await reader.close();
  const tool = startProcess("cli.js", {
    cwd: folder,
    args: ["verify"],
    env: all,
  });
  const code = await tool.ended;
  const complaints = withoutProgress(tool.stderr());
  expect({ code, complaints }).toEqual({ code: 0, complaints: "" });
  running.kill("SIGTERM");
  expect(await running.ended).toBe(0);
  expect(running.stderr()).toBe("");
}

/** Speaks TLS to the client as PostgreSQL does, and hands on what it says. */
async function startTlsServer(): Promise<string> {
  const { port } = new URL(database.url);
  const server = await listen(0, (client) => {
    // The request for TLS: eight bytes, answered with one.
    client.once("data", () => {
      client.write("S");
      const secure = new TLSSocket(client, {
        isServer: true,
        cert: readFileSync(join(TLS, "server.pem")),
        key: readFileSync(join(TLS, "server-key.pem")),
      });
      joinSockets(secure, connect(Number(port), "127.0.0.1"));
    });
  });
  const address = server.address() as AddressInfo;
  const url = new URL(database.url);
  url.port = String(address.port);
  url.search = "";
  return url.href;
}

function joinSockets(client: Socket, upstream: Socket): void {
  for (const socket of [client, upstream]) {
    socket.on("error", () => undefined);
    socket.on("close", () => {
      client.destroy();
      upstream.destroy();
    });
  }
  client.pipe(upstream).pipe(client);
}

async function listen(
  where: number | string,
  onClient: (client: Socket) => void,
): Promise<Server> {
  const clients = new Set<Socket>();
  const server = createServer((client) => {
    clients.add(client);
    client.on("error", () => undefined);
    onClient(client);
  });
  await new Promise<void>((resolve) => {
    if (typeof where === "string") server.listen(where, resolve);
    else server.listen(where, "127.0.0.1", resolve);
  });
  opened.push(async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    for (const client of clients) client.destroy();
    await closed;
  });
  return server;
}
