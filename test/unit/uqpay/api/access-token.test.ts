import { describe, expect, test } from "@jest/globals";
import type { AccessToken } from "../../../../src/uqpay/api/access-token.ts";
import {
  readAccessToken,
  shareAccessTokens,
} from "../../../../src/uqpay/api/access-token.ts";
import { Unreadable } from "../../../../src/uqpay/fields.ts";
import { parseJsonText } from "../../../../src/uqpay/parse-json.ts";

const MINUTE_MS = 60_000;
const DATE_MS = Date.parse("2025-09-09T20:00:00Z");

describe("a token's life", () => {
  const lifeOf = (expired_at: unknown, dateMs?: number) => {
    const sentAtMs = 5 * MINUTE_MS;
    const json = parseJsonText(
      JSON.stringify({ auth_token: "token", expired_at }),
    );
    return readAccessToken(json, dateMs, sentAtMs).renewAtMs - sentAtMs;
  };
  const inSeconds = (ms: number) => (DATE_MS + ms) / 1_000;

  test("is told by UQPAY's clock, and it is renewed two minutes before its end", () => {
    expect(lifeOf(inSeconds(30 * MINUTE_MS), DATE_MS)).toBe(28 * MINUTE_MS);
    expect(lifeOf(String(inSeconds(30 * MINUTE_MS)), DATE_MS)).toBe(
      28 * MINUTE_MS,
    );
  });

  test("that is short is used for its half", () => {
    expect(lifeOf(inSeconds(MINUTE_MS), DATE_MS)).toBe(MINUTE_MS / 2);
  });

  test.each([
    [undefined],
    ["soon"],
    [inSeconds(-MINUTE_MS)],
    [inSeconds(30 * MINUTE_MS) * 1_000],
  ])("is half an hour where the answer says %j", (expiredAt) => {
    expect(lifeOf(expiredAt, DATE_MS)).toBe(28 * MINUTE_MS);
  });

  test("is told by our clock where UQPAY's is not known", () => {
    expect(lifeOf((5 + 10) * 60)).toBe(8 * MINUTE_MS);
  });
});

test.each([
  [[]],
  [{}],
  [{ auth_token: "" }],
  [{ auth_token: 7 }],
  [{ auth_token: "two\nlines" }],
])("an answer without a token is refused: %j", (answer) => {
  expect(() => readAccessToken(answer, undefined, 0)).toThrow(Unreadable);
});

describe("the token of all who ask", () => {
  function aServer() {
    let nowMs = 0;
    let count = 0;
    const waiting: (() => void)[] = [];
    const tokens = shareAccessTokens(
      async () => {
        count += 1;
        const token = { text: `token-${count}`, renewAtMs: nowMs + 100 };
        await new Promise<void>((resolve) => waiting.push(resolve));
        return token;
      },
      () => nowMs,
    );
    const answer = () => waiting.splice(0).forEach((resolve) => resolve());
    return {
      tokens,
      answer,
      count: () => count,
      pass: (ms: number) => (nowMs += ms),
      next: async () => {
        const token = tokens.get();
        answer();
        return (await token).text;
      },
    };
  }

  test("is asked for once by all who need it at the same time", async () => {
    const server = aServer();

    const asked = Array.from({ length: 10 }, () => server.tokens.get());
    server.answer();
    const tokens = await Promise.all(asked);

    expect(new Set(tokens.map(({ text }) => text))).toEqual(
      new Set(["token-1"]),
    );
    expect(server.count()).toBe(1);
  });

  test("is used until it is to be renewed", async () => {
    const server = aServer();
    await server.next();

    server.pass(99);
    expect(await server.next()).toBe("token-1");
    server.pass(1);
    expect(await server.next()).toBe("token-2");
  });

  test("is renewed once, however many were refused with it", async () => {
    const server = aServer();
    await server.next();
    const token = await server.tokens.get();

    server.tokens.refuse(token);
    expect(await server.next()).toBe("token-2");
    server.tokens.refuse(token);

    expect(await server.next()).toBe("token-2");
  });

  test("is asked for again after a failure, which all who waited were told of", async () => {
    let count = 0;
    const tokens = shareAccessTokens(
      async (): Promise<AccessToken> => {
        count += 1;
        if (count === 1) throw new Error("away");
        return { text: "token", renewAtMs: 1 };
      },
      () => 0,
    );

    const first = await Promise.allSettled([tokens.get(), tokens.get()]);
    const second = await tokens.get();

    expect(first.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(second.text).toBe("token");
    expect(count).toBe(2);
  });
});
