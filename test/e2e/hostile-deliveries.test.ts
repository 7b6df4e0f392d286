import { once } from "node:events";
import { gzipSync, brotliCompressSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { Answer, DeliveryOptions } from "../support/deliveries.ts";
import {
  aCardUpdate,
  aStatusUpdate,
  anAuthorization,
  bytesOf,
  deliver,
  sha256,
  textOf,
} from "../support/deliveries.ts";
import type { Payload } from "../support/fixtures.ts";
import { signedHeaders } from "../support/fixtures.ts";
import {
  openSocket,
  rawRequest,
  readAnswer,
  sendRaw,
} from "../support/raw-request.ts";
import type { TestService } from "../support/service.ts";
import {
  SECRET,
  isAvailable,
  queueKinds,
  startTestService,
} from "../support/service.ts";
import { waitFor } from "../support/wait-for.ts";
import { sign } from "../../src/uqpay/signature.ts";

const LIMIT = 256 * 1024;

describe.each(queueKinds.filter(isAvailable))(
  "hostile deliveries, the queue on %s",
  (queue) => {
    let service: TestService;

    beforeAll(async () => {
      service = await startTestService({ queue });
    });

    afterAll(async () => {
      await service.stop();
    });

    /** Where a delivery ended; every one that is signed must end somewhere. */
    async function fateOf(body: Buffer): Promise<string> {
      await service.untilApplied();
      const fates = await service.rows(
        `select state as fate from webhook_events where body_sha256 = $1
         union all
         select reason from quarantined_events where body_sha256 = $1`,
        [sha256(body)],
      );
      return fates.map(({ fate }) => String(fate)).join(" and ");
    }

    /** The fields of a stored event that count as not stated. */
    async function issuesOf({ event_id: eventId }: Payload): Promise<string[]> {
      const rows = await service.rows(
        "select jsonb_array_elements(issues) ->> 'path' as path from webhook_events where event_id = $1",
        [eventId],
      );
      return rows.map(({ path }) => String(path));
    }

    async function outcomeOf(
      event: Payload | string | Buffer,
      options?: DeliveryOptions,
    ): Promise<string> {
      const answer = await deliver(service, event, options);
      return `${answer.status}, ${await fateOf(bytesOf(event))}`;
    }

    describe("ids", () => {
      const strange: readonly (readonly [string, string])[] = [
        ["quotes", `it's "quoted" \\ and \`so\``],
        ["SQL", "'; drop table cards; --"],
        ["a colon", "bull:uqpay-events:1"],
        ["digits only", "12345"],
        ["__proto__", "__proto__"],
        ["constructor", "constructor"],
        ["an array literal", '{a,"b",NULL}'],
        ["NULL", "NULL"],
        ["emoji", "🃏💳"],
        ["a right-to-left mark", "\u202Eabc"],
        ["a byte-order mark", "\uFEFFabc"],
        ["line breaks", "a\r\nb\tc"],
        ["a space", " "],
        ["255 letters", "x".repeat(255)],
        ["255 emoji", "💳".repeat(255)],
        ["the highest code point", "\u{10FFFF}"],
      ];

      test.each(strange)("of %s are ids as any other", async (_, id) => {
        const event = aStatusUpdate({ card_id: id }, { event_id: id });
        const authorization = anAuthorization(
          { card_id: id, transaction_id: id },
          { source_id: id },
        );

        const answer = await deliver(service, event);
        const repeated = await deliver(service, event);
        await deliver(service, authorization);
        await service.untilApplied();

        expect(answer.body).toEqual({ status: "accepted", event_id: id });
        expect(repeated.body).toEqual({ status: "duplicate", event_id: id });
        const rows = await service.rows(
          `select e.state, c.card_status, a.transaction_status
           from webhook_events e
           join cards c on c.card_id = e.card_id
           join authorizations a on a.card_id = c.card_id and a.transaction_id = $1
           where e.event_id = $1`,
          [id],
        );
        expect(rows).toEqual([
          {
            state: "processed",
            card_status: "FROZEN",
            transaction_status: "APPROVED",
          },
        ]);
      });

      test("that only a database would take for equal stay apart", async () => {
        const ids = ["é-1", "e\u0301-1", "É-1", "É-1 "];

        for (const id of ids)
          await deliver(
            service,
            aStatusUpdate({ card_id: id }, { event_id: id }),
          );
        await service.untilApplied();

        const rows = await service.rows(
          "select card_id from cards where card_id = any($1)",
          [ids],
        );
        expect(rows.map((row) => row["card_id"]).toSorted()).toEqual(
          ids.toSorted(),
        );
      });

      test.each([
        ["NUL", "a\u0000b"],
        ["half a surrogate pair", "a\ud800b"],
        ["256 letters", "x".repeat(256)],
        ["256 emoji", "💳".repeat(256)],
        ["nothing", ""],
        ["a number", 5],
        ["a list", ["a"]],
        ["an object", { a: 1 }],
      ])("of %s are refused and quarantined", async (_, id) => {
        const badEvent = aStatusUpdate({}, { event_id: id as string });
        const badCard = aStatusUpdate({ card_id: id });

        expect(await outcomeOf(badEvent)).toBe("422, invalid_payload");
        expect(await outcomeOf(badCard)).toBe("422, invalid_payload");
      });

      test("that merely belong to others may be anything", async () => {
        const event = aStatusUpdate(
          { card_order_id: { no: "id" } },
          {
            source_id: { $ne: 1 } as unknown as string,
            version: ["V1"] as unknown as string,
            event_name: { a: "\u0000" } as unknown as string,
          },
        );

        expect(await outcomeOf(event)).toBe("200, processed");
      });

      test("of unknown event types may be as strange as they like", async () => {
        const event = aStatusUpdate(
          { card_id: "a\u0000b" },
          { event_type: ":::'\u202E💳", event_name: "\u0000" },
        );

        expect(await outcomeOf(event)).toBe("200, ignored");
      });
    });

    describe("headers", () => {
      const signedLines = (body: Buffer) =>
        Object.entries(
          signedHeaders(body, { secret: SECRET, atMs: Date.now() }),
        ).map(([name, value]) => `${name}: ${value}`);

      test.each(["x-wk-signature", "x-wk-timestamp"])(
        "a repeated %s counts as missing",
        async (name) => {
          const body = bytesOf(aStatusUpdate());
          const lines = signedLines(body);
          const repeated = lines.find((line) => line.startsWith(name)) ?? "";

          const answer = await sendRaw(
            service.port,
            [...lines, repeated],
            body,
          );

          expect(answer.status).toBe(401);
          expect(JSON.parse(answer.body)).toMatchObject({
            error: { code: "missing_signature" },
          });
          expect(await fateOf(body)).toBe("");
        },
      );

      test("a second, empty signature counts as repeated", async () => {
        const body = bytesOf(aStatusUpdate());

        const answer = await sendRaw(
          service.port,
          ["x-wk-signature:", ...signedLines(body)],
          body,
        );

        expect(JSON.parse(answer.body)).toMatchObject({
          error: { code: "missing_signature" },
        });
      });

      test("the signature may be in upper case and padded with spaces", async () => {
        const body = bytesOf(aStatusUpdate());
        const timestamp = String(Date.now());
        const signature = sign(body, timestamp, SECRET).toUpperCase();

        const answer = await sendRaw(
          service.port,
          [
            "Content-Type: application/json",
            `X-WK-Signature: \t ${signature}  `,
            `X-WK-Timestamp:   ${timestamp} `,
          ],
          body,
        );

        expect(answer.status).toBe(200);
      });

      test.each([
        ["too short", (hex: string) => hex.slice(2)],
        ["too long", (hex: string) => `${hex}00`],
        ["with a prefix", (hex: string) => `sha512=${hex}`],
        ["no hex", (hex: string) => `g${hex.slice(1)}`],
        ["with a comma", (hex: string) => `${hex},${hex}`],
        ["in quotes", (hex: string) => `"${hex}"`],
      ])("a signature that is %s is wrong", async (_, spoil) => {
        const body = bytesOf(aStatusUpdate());
        const timestamp = String(Date.now());

        const answer = await deliver(service, body, {
          headers: {
            "x-wk-timestamp": timestamp,
            "x-wk-signature": spoil(sign(body, timestamp, SECRET)),
          },
        });

        expect(answer).toMatchObject({
          status: 401,
          body: { error: { code: "invalid_signature" } },
        });
      });

      /** Signed as it stands, so authentic, whatever it says. */
      async function deliverSignedAt(
        body: Buffer,
        timestamp: string,
      ): Promise<Answer> {
        return deliver(service, body, {
          headers: {
            "x-wk-timestamp": timestamp,
            "x-wk-signature": sign(body, timestamp, SECRET),
          },
        });
      }

      test.each([
        ["seconds", () => String(Math.floor(Date.now() / 1000))],
        ["milliseconds", () => String(Date.now())],
        ["four minutes ago", () => String(Date.now() - 240_000)],
        ["four minutes ahead", () => String(Date.now() + 240_000)],
      ])("a timestamp in %s is fresh", async (_, timestamp) => {
        const body = bytesOf(aStatusUpdate());

        const { status } = await deliverSignedAt(body, timestamp());

        expect(`${status}, ${await fateOf(body)}`).toBe("200, processed");
      });

      test.each([
        ["six minutes ago", String(Date.now() - 360_000)],
        ["six minutes ahead", String(Date.now() + 360_000)],
        ["zero", "0"],
        ["20 digits", "1".repeat(20)],
        ["15 digits", "9".repeat(15)],
        ["a minus sign", `-${Date.now()}`],
        ["a decimal point", `${Date.now()}.5`],
        ["a space within", "1776 000000000"],
        ["hex digits", "0x19d8b2f4c00"],
        ["an ISO time", new Date().toISOString()],
        ["8,000 characters", "7".repeat(8_000)],
      ])(
        "a signed timestamp of %s is stale, and the event is kept",
        async (_, timestamp) => {
          const body = bytesOf(aStatusUpdate());

          const answer = await deliverSignedAt(body, timestamp);

          expect(answer).toMatchObject({
            status: 401,
            body: { error: { code: "stale_timestamp" } },
          });
          expect(await fateOf(body)).toBe("stale_timestamp");
        },
      );

      test("headers that are too large are refused in JSON", async () => {
        const answer = await sendRaw(
          service.port,
          [`X-Large: ${"x".repeat(20_000)}`],
          Buffer.alloc(0),
        );

        expect(answer.status).toBe(431);
        expect(JSON.parse(answer.body)).toMatchObject({
          error: { code: "headers_too_large" },
        });
      });

      test("what is no HTTP is refused in JSON", async () => {
        const socket = await openSocket(service.port);
        socket.write("\u0016\u0003\u0001 this is TLS, or nearly\r\n\r\n");

        const answer = await readAnswer(socket);

        expect(answer.status).toBe(400);
        expect(JSON.parse(answer.body)).toMatchObject({
          error: { code: "bad_request" },
        });
      });

      test("a body that ends early is no delivery, and the next one is answered", async () => {
        const body = bytesOf(aStatusUpdate());
        const socket = await openSocket(service.port);
        socket.write(
          [
            "POST /webhooks/uqpay HTTP/1.1",
            "Host: localhost",
            `Content-Length: ${body.length}`,
            ...signedLines(body),
            "",
            "{",
          ].join("\r\n"),
        );
        socket.destroy();

        expect(await outcomeOf(body)).toBe("200, processed");
      });
    });

    describe("bodies", () => {
      /** Signed JSON of exactly so many bytes, of a type without a handler. */
      const bodyOf = (bytes: number): Buffer => {
        const event = aStatusUpdate(
          { filling: "" },
          { event_type: "card.big" },
        );
        const empty = JSON.stringify(event).length;
        return bytesOf({
          ...event,
          data: { ...event.data, filling: "x".repeat(bytes - empty) },
        });
      };

      test("of exactly 256 KiB are taken", async () => {
        const body = bodyOf(LIMIT);

        expect(body).toHaveLength(LIMIT);
        expect(await outcomeOf(body)).toBe("200, ignored");
      });

      test("of one byte more are too large", async () => {
        const answer = await deliver(service, bodyOf(LIMIT + 1));

        expect(answer).toMatchObject({
          status: 413,
          body: { error: { code: "payload_too_large" } },
        });
      });

      test("of one byte more in chunks, without a length, are too large", async () => {
        const body = bodyOf(LIMIT + 1);
        const stream = new ReadableStream({
          start: (controller) => {
            for (let at = 0; at < body.length; at += 8_192)
              controller.enqueue(body.subarray(at, at + 8_192));
            controller.close();
          },
        });

        const response = await fetch(`${service.baseUrl}/webhooks/uqpay`, {
          method: "POST",
          headers: signedHeaders(body, { secret: SECRET, atMs: Date.now() }),
          body: stream,
          duplex: "half",
        });

        expect(response.status).toBe(413);
        expect(await response.json()).toMatchObject({
          error: { code: "payload_too_large" },
        });
      });

      /** Sends the head of a signed delivery without a length, and gives what sends a part of its body. */
      async function startChunks(body: Buffer, more = "Connection: close\r\n") {
        const headers = Object.entries(
          signedHeaders(body, { secret: SECRET, atMs: Date.now() }),
        ).map(([name, value]) => `${name}: ${value}`);
        const socket = await openSocket(service.port);
        socket.on("error", () => undefined);
        socket.write(
          `POST /webhooks/uqpay HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n${more}${headers.join("\r\n")}\r\n\r\n`,
        );
        const sendPart = (part: Buffer) =>
          socket.write(
            Buffer.concat([
              Buffer.from(`${part.length.toString(16)}\r\n`),
              part,
              Buffer.from("\r\n"),
            ]),
          );
        return { socket, sendPart };
      }

      test.each([
        ["256 KiB in large chunks", bodyOf(LIMIT), 8_192],
        ["an event of usual size byte by byte", bodyOf(2_000), 1],
      ])("of %s are taken", async (_, body, partBytes) => {
        const { socket, sendPart } = await startChunks(body);
        for (let at = 0; at < body.length; at += partBytes)
          sendPart(body.subarray(at, at + partBytes));
        socket.write("0\r\n\r\n");

        expect((await readAnswer(socket)).status).toBe(200);
      });

      test("in more parts than any honest sender makes are not read to their end", async () => {
        const body = bodyOf(LIMIT);
        const { socket, sendPart } = await startChunks(body);
        const closed = new Promise((resolve) => socket.once("close", resolve));
        let answer = "";
        socket.on("data", (data) => (answer += String(data)));

        for (let at = 0; at < 10_000; at++) sendPart(body.subarray(at, at + 1));

        await closed;
        // Who is only late is told so before the end.
        expect(answer).toBe("");
        expect((await deliver(service, aStatusUpdate())).status).toBe(200);
      });

      test("that go on after they were refused for their encoding do not end the service", async () => {
        const { socket, sendPart } = await startChunks(
          bodyOf(2_000),
          "Content-Encoding: rot13\r\n",
        );
        const closed = new Promise((resolve) => socket.once("close", resolve));
        sendPart(Buffer.from("{"));
        const [answer] = (await once(socket, "data")) as [Buffer];

        for (let sent = 0; sent <= LIMIT && socket.writable; sent += 8_192)
          sendPart(Buffer.alloc(8_192));
        await closed;

        expect(String(answer)).toMatch(/^HTTP\/1.1 415 /);
        expect((await deliver(service, aStatusUpdate())).status).toBe(200);
      });

      test("that are too large are refused also with a wrong type and no signature", async () => {
        const answer = await fetch(`${service.baseUrl}/webhooks/uqpay`, {
          method: "POST",
          headers: { "content-type": "text/plain", "content-encoding": "xyz" },
          body: "x".repeat(LIMIT + 1),
        });

        expect(answer.status).toBe(413);
      });

      test.each([1, 2, 3])(
        "of 16 MB get an answer that fetch can read, time %s",
        async () => {
          const response = await fetch(`${service.baseUrl}/webhooks/uqpay`, {
            method: "POST",
            headers: { "content-type": "application/json" },
            body: Buffer.alloc(16 * 1024 * 1024, "x"),
          });

          expect(response.status).toBe(413);
          expect(await response.json()).toMatchObject({
            error: { code: "payload_too_large" },
          });
        },
      );

      const PIECE = Buffer.alloc(64 * 1024, "x");

      test.each<readonly [string, string, Buffer]>([
        ["with a length", "Content-Length: 1000000000", PIECE],
        [
          "in chunks",
          "Transfer-Encoding: chunked",
          Buffer.concat([
            Buffer.from(`${PIECE.length.toString(16)}\r\n`),
            PIECE,
            Buffer.from("\r\n"),
          ]),
        ],
      ])(
        "that a sender %s never stops sending get an answer that it can read",
        async (_, header, piece) => {
          const socket = await openSocket(service.port);
          const answer = readAnswer(socket);
          socket.write(
            `POST /webhooks/uqpay HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${header}\r\n\r\n`,
          );
          const sendOn = () => {
            while (socket.writable && socket.write(piece));
          };
          socket.on("drain", sendOn);
          socket.on("error", () => undefined);
          sendOn();

          const late = setTimeout(() => socket.destroy(), 4_000);
          try {
            expect(await answer).toMatchObject({ status: 413 });
          } finally {
            clearTimeout(late);
            socket.destroy();
          }
        },
      );

      test("that are sent as a whole before the sender looks for an answer get one that it can read", async () => {
        const body = Buffer.alloc(2 * LIMIT, "x");
        const refusals = async () => {
          const response = await fetch(`${service.baseUrl}/metrics`);
          const counted = /outcome="payload_too_large"\} (\d+)/.exec(
            await response.text(),
          );
          return Number(counted?.[1] ?? 0);
        };
        const before = await refusals();
        const socket = await openSocket(service.port);

        socket.pause();
        await new Promise((sent) => {
          socket.write(
            rawRequest(["Content-Type: application/json"], body),
            sent,
          );
        });
        await waitFor(async () => (await refusals()) > before, {
          what: "the refusal",
        });

        expect(await readAnswer(socket)).toMatchObject({ status: 413 });
      });

      test("may be compressed: what was signed is the text", async () => {
        const event = bytesOf(aStatusUpdate());
        const timestamp = String(Date.now());
        const headers = [
          "Content-Type: application/json",
          `x-wk-timestamp: ${timestamp}`,
          `x-wk-signature: ${sign(event, timestamp, SECRET)}`,
        ];

        const gzip = await sendRaw(
          service.port,
          [...headers, "Content-Encoding: gzip"],
          gzipSync(event),
        );
        const brotli = await sendRaw(
          service.port,
          [...headers, "Content-Encoding: br"],
          brotliCompressSync(event),
        );

        expect(gzip.status).toBe(200);
        expect(brotli.status).toBe(200);
        expect(await fateOf(event)).toBe("processed");
      });

      test("that are small only while they are compressed are too large", async () => {
        const bomb = gzipSync(Buffer.alloc(100 * LIMIT, " "));

        const answer = await deliver(service, bomb, {
          headers: { "content-encoding": "gzip" },
        });

        expect(answer.status).toBe(413);
      });

      test.each([
        ["an unknown", "zstd", bytesOf(aStatusUpdate())],
        ["an impossible", "gzip, br", bytesOf(aStatusUpdate())],
        ["a false", "gzip", bytesOf(aStatusUpdate())],
        [
          "a broken",
          "gzip",
          gzipSync(bytesOf(aStatusUpdate())).subarray(0, 40),
        ],
        ["a false brotli", "br", bytesOf(aStatusUpdate())],
      ])("in %s encoding cannot be read", async (_, encoding, body) => {
        const answer = await deliver(service, body, {
          headers: { "content-encoding": encoding },
        });

        expect(answer).toMatchObject({
          status: 415,
          body: { error: { code: "unsupported_media_type" } },
        });
      });

      test.each([
        "text/json",
        "application/jsonp",
        "multipart/form-data",
        "json",
      ])("of the type %s are not read as JSON", async (type) => {
        const answer = await deliver(service, aStatusUpdate(), {
          headers: { "content-type": type },
        });

        expect(answer.status).toBe(415);
      });

      test("without a type are not read as JSON", async () => {
        const body = bytesOf(aStatusUpdate());

        const answer = await sendRaw(service.port, [], body);

        expect(answer.status).toBe(415);
      });

      test.each<readonly [string, Buffer]>([
        ["nothing", Buffer.alloc(0)],
        ["a space", Buffer.from(" ")],
        ["half an object", Buffer.from('{"event_id":')],
        ["a trailing comma", Buffer.from('{"event_id":"a",}')],
        ["two objects", Buffer.from("{}{}")],
        ["NaN", Buffer.from('{"event_id":NaN}')],
        ["a comment", Buffer.from("{}//")],
        ["a NUL byte", Buffer.from('{"event_id":"a\u0000"}')],
        ["a raw line break in a text", Buffer.from('{"event_id":"a\n"}')],
        [
          "two byte-order marks",
          Buffer.from(`\uFEFF\uFEFF${textOf(aStatusUpdate())}`),
        ],
        ["UTF-16", Buffer.from(textOf(aStatusUpdate()), "utf16le")],
        ["broken UTF-8", Buffer.from([0x22, 0xc3, 0x28, 0x22])],
        ["a surrogate in UTF-8", Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])],
        ["Latin-1", Buffer.from('{"event_id":"\u00e9"}', "latin1")],
      ])("of %s are no JSON, and are kept", async (_, body) => {
        const outcome = await outcomeOf(body);

        expect(outcome).toBe("400, invalid_json");
      });

      test.each([
        ["a list", "[]"],
        ["null", "null"],
        ["a text", '"event"'],
        ["a number", "1e400000"],
        ["an empty object", "{}"],
        ["lists 100,000 deep", "[".repeat(100_000) + "]".repeat(100_000)],
        [
          "objects 40,000 deep",
          `${'{"a":'.repeat(40_000)}1${"}".repeat(40_000)}`,
        ],
        [
          "an event whose data is a list",
          '{"event_id":"list","event_type":"card.update.succeeded","data":[]}',
        ],
      ])("of %s are no event, and are kept", async (_, body) => {
        const outcome = await outcomeOf(body);

        expect(outcome).toMatch(/^(400, invalid_json|422, invalid_payload)$/);
      });

      const deep = (depth: number) => "[".repeat(depth) + "]".repeat(depth);

      test.each<readonly [string, string, string]>([
        ["data 100,000 deep", deep(100_000), "200, processed"],
        ["numbers beyond all bounds", "1e400000", "200, processed"],
        ["a NUL", '"\\u0000"', "200, processed"],
        ["half a surrogate pair", '"\\ud800"', "200, processed"],
        [
          "backslashes by the thousand",
          `"${"\\\\".repeat(100_000)}"`,
          "200, processed",
        ],
        [
          "quotes by the thousand",
          `"${'\\"'.repeat(100_000)}"`,
          "200, processed",
        ],
        ["digits by the thousand", "7".repeat(200_000), "200, processed"],
        ["__proto__", '{"__proto__":{"card_id":"other"}}', "200, processed"],
      ])(
        "with %s in a field that nobody reads are events as any other",
        async (_, json, expected) => {
          const event = aStatusUpdate({ unknown: "@" });

          expect(await outcomeOf(textOf(event, '"@"', json))).toBe(expected);
        },
      );

      test.each<readonly [string, unknown]>([
        ["50,000 characters", "x".repeat(50_000)],
        ["a number", 1e21],
        ["true", true],
      ])("with %s in free text are applied", async (_, text) => {
        const authorization = anAuthorization({
          description: text,
          merchant_data: [{ name: text, city: text, country: text }],
        });
        const status = aStatusUpdate({ update_reason: text });

        expect(await outcomeOf(authorization)).toBe("200, processed");
        expect(await outcomeOf(status)).toBe("200, processed");
      });

      test.each<readonly [string, string]>([
        ["a number beyond all bounds", '{"a":1e400000,"b":-1e400000}'],
        ["100,000 digits", `{"a":${"9".repeat(100_000)}}`],
        ["__proto__", '{"__proto__":{"a":1},"constructor":{"prototype":1}}'],
        ["a key twice", '{"a":1,"a":2}'],
        [
          "10,000 keys",
          JSON.stringify(
            Object.fromEntries(
              Array.from({ length: 10_000 }, (__, i) => [`k${i}`, i]),
            ),
          ),
        ],
        ["a key of 100,000 characters", `{"${"k".repeat(100_000)}":1}`],
      ])(
        "with %s in metadata and risk controls are applied",
        async (_, json) => {
          const event = aCardUpdate({
            metadata: "@",
            risk_control: { more: "#" },
          });

          const body = textOf(event, '"@"', json).replace('"#"', () => json);

          expect(await outcomeOf(body)).toBe("200, processed");
        },
      );

      test.each<readonly [string, string]>([
        ["metadata", '"@"'],
        ["risk_control", '"@"'],
        ["spending_controls", '"@"'],
      ])(
        "with %s that no column can hold are applied without it",
        async (name) => {
          for (const value of [
            `{"a":${deep(50_000)}}`,
            '{"a\\u0000":"b"}',
            '{"a":"\\ud800"}',
          ]) {
            const event = aCardUpdate({ [name]: "@" });

            const outcome = await outcomeOf(textOf(event, '"@"', value));

            expect(outcome).toBe("200, processed");
            expect(await issuesOf(event)).toEqual([`data.${name}`]);
          }
        },
      );

      test.each([
        "1e400000",
        "-1e400000",
        "1e-400000",
        "1e999999999",
        '"1e400000"',
        "9".repeat(100_000),
        '"NaN"',
        '"Infinity"',
        '"0x10"',
        '"1,000.00"',
        '"1_000"',
        "true",
        "[]",
        "{}",
      ])(
        "with an amount that is none are applied without it (case %#)",
        async (amount) => {
          const event = anAuthorization({ transaction_amount: "@" });

          const outcome = await outcomeOf(textOf(event, '"@"', amount));

          expect(outcome).toBe("200, processed");
          expect(await issuesOf(event)).toEqual(["data.transaction_amount"]);
        },
      );

      test.each([
        ["0001-01-01T00:00:00Z", undefined],
        ["0001-01-02T00:00:00Z", "0001-01-02 00:00:00+00"],
        ["1800-01-01T00:00:00+08:00", "1799-12-31 16:00:00+00"],
        ["9999-12-31T23:59:59.999999999Z", "9999-12-31 23:59:59.999999+00"],
        ["9999-12-31T23:59:59-12:00", "unreadable"],
        ["2026-02-30T00:00:00Z", "unreadable"],
        ["2026-04-12T24:00:00Z", "unreadable"],
        ["2026-04-12T10:00:00", "unreadable"],
        ["2026-04-12T10:00:00+99:00", "unreadable"],
        ["+275760-09-13T00:00:00Z", "unreadable"],
        ["infinity", "unreadable"],
        ["now", "unreadable"],
      ])("with the time %s have it as %s", async (time, expected) => {
        const event = anAuthorization({ transaction_time: time });
        const announced = aStatusUpdate({ update_time: time });

        expect(await outcomeOf(event)).toBe("200, processed");
        const [row] = await service.rows(
          "select transaction_time from authorizations where event_id = $1",
          [event.event_id],
        );
        const isUnreadable = expected === "unreadable";
        expect(row?.["transaction_time"]).toBe(
          isUnreadable ? null : (expected ?? null),
        );
        expect(await issuesOf(event)).toEqual(
          isUnreadable ? ["data.transaction_time"] : [],
        );
        // The time of a status is required: without it nobody knows which one stands.
        expect(await outcomeOf(announced)).toBe(
          isUnreadable || expected === undefined
            ? "422, invalid_payload"
            : "200, processed",
        );
      });

      test("that name a field twice mean its last value, as jsonb does", async () => {
        const event = aStatusUpdate({ first: "@" });
        const body = textOf(
          event,
          '"first":"@"',
          '"card_status":"ACTIVE","card_status":"BLOCKED"',
        );

        expect(await outcomeOf(body)).toBe("200, processed");
        const [row] = await service.rows(
          `select c.card_status, e.body::jsonb #>> '{data,card_status}' as in_body
           from cards c join webhook_events e on e.card_id = c.card_id
           where c.card_id = $1`,
          [event.data["card_id"]],
        );
        expect(row).toEqual({ card_status: "BLOCKED", in_body: "BLOCKED" });
      });

      test("with thousands of faults are stored with a bounded number of them", async () => {
        const event = aCardUpdate({
          risk_control: {
            blocked_mcc: Array.from({ length: 60_000 }, () => 1.5),
          },
        });

        const answer = await deliver(service, event);

        expect(answer.status).toBe(200);
        const [row] = await service.rows(
          "select jsonb_array_length(issues) as count, length(issues::text) as length from webhook_events where event_id = $1",
          [event.event_id],
        );
        expect(Number(row?.["count"])).toBeGreaterThan(0);
        expect(Number(row?.["length"])).toBeLessThan(16 * 1024);
      });

      test("none of all these has made the service fail", async () => {
        await service.untilApplied();
        const [stuck] = await service.rows(
          "select count(*)::int as count from webhook_events where state in ('received', 'failed')",
        );

        expect(stuck).toEqual({ count: 0 });
        expect(service.log()).not.toMatch(/"level":(50|60)/);
        const response = await fetch(`${service.baseUrl}/readyz`);
        expect(response.status).toBe(200);
      });
    });
  },
);
