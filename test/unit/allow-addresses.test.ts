import { afterAll, describe, expect, test } from "@jest/globals";
import { Router } from "express";
import { allowAddresses } from "../../src/http/allow-addresses.ts";
import type { ListeningServer } from "../../src/http/server.ts";
import { createApp, listen } from "../../src/http/server.ts";

const servers: ListeningServer[] = [];

afterAll(async () => {
  await Promise.all(servers.map((server) => server.close()));
});

interface Given {
  readonly allowed: readonly string[];
  readonly trusted?: number | readonly string[];
  /** The socket's own address is 127.0.0.1 in all of these tests. */
  readonly forwardedFor?: string;
}

async function statusOf({ allowed, trusted, forwardedFor }: Given) {
  const router = Router();
  router.get("/", allowAddresses(allowed, trusted), (_request, response) => {
    response.json({});
  });
  const server = await listen(
    createApp([router], () => undefined),
    "127.0.0.1",
    0,
  );
  servers.push(server);
  const response = await fetch(`http://127.0.0.1:${server.port}/`, {
    headers: {
      connection: "close",
      ...(forwardedFor !== undefined && { "x-forwarded-for": forwardedFor }),
    },
  });
  return response.status;
}

const UQPAY = "203.0.113.7";

describe("the address of a connection", () => {
  test.each([
    ["127.0.0.1", 200],
    ["127.0.0.0/8", 200],
    ["0.0.0.0/0", 200],
    ["::ffff:127.0.0.1", 200],
    ["127.0.0.2", 403],
    ["127.0.0.0/32", 403],
    ["::1", 403],
    // Node counts IPv4 as a part of IPv6 there.
    ["::/0", 200],
  ])("127.0.0.1 against %s is answered %d", async (range, status) => {
    expect(await statusOf({ allowed: [range] })).toBe(status);
  });

  test("is enough when one of several ranges has it", async () => {
    expect(await statusOf({ allowed: [UQPAY, "::1", "127.0.0.0/31"] })).toBe(
      200,
    );
  });
});

describe("X-Forwarded-For", () => {
  test("is not believed when no proxy is trusted", async () => {
    expect(await statusOf({ allowed: [UQPAY], forwardedFor: UQPAY })).toBe(403);
    expect(
      await statusOf({ allowed: ["127.0.0.1"], forwardedFor: UQPAY }),
    ).toBe(200);
  });

  test("is not believed from an address that is no trusted proxy", async () => {
    expect(
      await statusOf({
        allowed: [UQPAY],
        trusted: ["10.0.0.0/8"],
        forwardedFor: UQPAY,
      }),
    ).toBe(403);
  });

  test.each<[string, number | readonly string[]]>([
    ["by its number of hops", 1],
    ["by its address", ["127.0.0.1"]],
    ["by its range", ["127.0.0.0/8", "10.0.0.0/8"]],
  ])("is believed of a proxy that is trusted %s", async (_, trusted) => {
    expect(
      await statusOf({ allowed: [UQPAY], trusted, forwardedFor: UQPAY }),
    ).toBe(200);
    expect(
      await statusOf({
        allowed: [UQPAY],
        trusted,
        forwardedFor: "198.51.100.1",
      }),
    ).toBe(403);
  });

  test.each<[string, number | readonly string[]]>([
    ["hops", 1],
    ["addresses", ["127.0.0.1"]],
  ])(
    "counts only in what the trusted proxy itself added, by %s: a forged first entry is none",
    async (_, trusted) => {
      const forwardedFor = `${UQPAY}, 198.51.100.1`;

      expect(await statusOf({ allowed: [UQPAY], trusted, forwardedFor })).toBe(
        403,
      );
    },
  );

  test("of an IPv4 client on an IPv6 socket is that IPv4 address", async () => {
    expect(
      await statusOf({
        allowed: [UQPAY],
        trusted: 1,
        forwardedFor: `::ffff:${UQPAY}`,
      }),
    ).toBe(200);
    expect(
      await statusOf({
        allowed: [UQPAY],
        trusted: 1,
        forwardedFor: "::FFFF:198.51.100.1",
      }),
    ).toBe(403);
  });

  test.each([
    "",
    "unknown",
    "<script>",
    "203.0.113.7/24",
    "[203.0.113.7",
    ":80",
  ])("of %j lets nobody in", async (forwardedFor) => {
    const given = { allowed: [UQPAY], trusted: 1, forwardedFor };

    expect(await statusOf(given)).toBe(403);
  });
});

describe("an IPv6 range", () => {
  test("has its addresses, however they are written, and no others", async () => {
    const given = { allowed: ["2001:db8::/32"], trusted: 1 };

    expect(await statusOf({ ...given, forwardedFor: "2001:db8::1" })).toBe(200);
    expect(
      await statusOf({ ...given, forwardedFor: "2001:0DB8:0:0:0:0:0:2" }),
    ).toBe(200);
    expect(await statusOf({ ...given, forwardedFor: "2001:db9::1" })).toBe(403);
  });
});
