import { afterEach, describe, expect, test } from "@jest/globals";
import { API_FAULTS } from "../../../../src/uqpay/api/api-error.ts";
import type {
  UqpayApi,
  UqpayApiOptions,
} from "../../../../src/uqpay/api/client.ts";
import {
  createUqpayApi,
  UqpayApiError,
} from "../../../../src/uqpay/api/client.ts";
import { readingOf } from "../../../../src/uqpay/api/judge-answer.ts";
import type { Instant } from "../../../../src/domain/instant.ts";
import type {
  ApiServer,
  AskedRequest,
  ScriptedAnswer,
} from "../../../support/api-server.ts";
import {
  startApiServer,
  TOKEN_PATH,
  tokenAnswer,
} from "../../../support/api-server.ts";

const CARD: ScriptedAnswer = { body: '{"card_id":"card-1"}' };
const ORDER: ScriptedAnswer = { body: '{"card_order_id":"order-1"}' };
const PAGE: ScriptedAnswer = { body: '{"total_items":0,"data":[]}' };
const DATE = "Wed, 09 Sep 2026 20:00:50 GMT";

let server: ApiServer | undefined;

afterEach(async () => {
  await server?.stop();
  server = undefined;
});

interface Asked {
  readonly api: UqpayApi;
  readonly server: ApiServer;
  /** What the budget was told. */
  readonly budget: string[];
  readonly faults: (string | undefined)[];
}

/** @param answers to the calls, one after the other; the last one to all further ones */
async function ask(
  answers: readonly ScriptedAnswer[],
  more: Partial<UqpayApiOptions> = {},
  answerTo: (request: AskedRequest) => ScriptedAnswer | undefined = () =>
    undefined,
): Promise<Asked> {
  const started = await startApiServer((request, call) => {
    const answer = answerTo(request);
    if (answer !== undefined || request.url === TOKEN_PATH) return answer;
    return answers[Math.min(call, answers.length) - 1];
  });
  server = started;
  const budget: string[] = [];
  const faults: (string | undefined)[] = [];
  const api = createUqpayApi({
    baseUrl: started.baseUrl,
    clientId: "client-id",
    apiKey: "canary-key",
    budget: {
      take: async () => {
        budget.push("take");
        return 0;
      },
      closeFor: async (pauseMs) => {
        budget.push(`close for ${pauseMs}`);
      },
    },
    nowMs: () => 0,
    random: () => 0.5,
    retry: { maxAttempts: 3, firstDelayMs: 1, maxDelayMs: 2 },
    onCall: (fault) => faults.push(fault),
    ...more,
  });
  return { api, server: started, budget, faults };
}

async function failureOf(work: Promise<unknown>): Promise<UqpayApiError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof UqpayApiError) return error;
  throw new Error("it did not fail by UQPAY's API", { cause: error });
}

describe("a call", () => {
  test("brings the keys for a token, and the token for an answer", async () => {
    const { api, server, budget } = await ask([CARD]);

    await api.retrieveCard("card-1");
    await api.retrieveCard("card-1");

    expect(server.asked.map(({ method, url }) => `${method} ${url}`)).toEqual([
      "POST /api/v1/connect/token",
      "GET /api/v1/issuing/cards/card-1",
      "GET /api/v1/issuing/cards/card-1",
    ]);
    expect(server.asked[0]?.headers).toMatchObject({
      "x-client-id": "client-id",
      "x-api-key": "canary-key",
    });
    expect(server.asked[1]?.headers).toMatchObject({
      "x-auth-token": "Bearer token-1",
    });
    expect(server.asked[1]?.headers["x-api-key"]).toBeUndefined();
    expect(budget).toEqual(["take", "take"]);
  });

  const from = "2026-09-01T00:00:00.000000Z" as Instant;
  const to = "2026-09-02T00:00:00.000000Z" as Instant;

  test.each<[string, ScriptedAnswer, (api: UqpayApi) => Promise<unknown>]>([
    ["/cards?page_size=100&page_number=2", PAGE, (api) => api.listCards(2)],
    ["/cards/a%2Fb%20%3F", CARD, (api) => api.retrieveCard("a/b ?")],
    ["/cards/order-1/order", ORDER, (api) => api.retrieveCardOrder("order-1")],
    [
      "/transactions?page_size=100&page_number=1&card_id=card%2B1",
      PAGE,
      (api) => api.listTransactions({ cardId: "card+1" }, 1),
    ],
    [
      "/transactions?page_size=100&page_number=3&start_time=2026-09-01T00%3A00%3A00.000000Z&end_time=2026-09-02T00%3A00%3A00.000000Z",
      PAGE,
      (api) => api.listTransactions({ from, to }, 3),
    ],
  ])("asks for %s", async (path, answer, call) => {
    const { api, server } = await ask([answer]);

    await call(api);

    expect(server.calls().map(({ url }) => url)).toEqual([
      `/api/v1/issuing${path}`,
    ]);
  });

  test.each([".", "..", ""])(
    "for the id %j, which is another path, is not sent",
    async (id) => {
      const { api, server } = await ask([CARD]);

      const error = await failureOf(api.retrieveCard(id));

      expect(error.fault).toBe("not-found");
      expect(server.asked).toEqual([]);
    },
  );

  test("waits until the budget allows it", async () => {
    const waits = [3, 1, 0];
    const { api, server } = await ask([CARD], {
      budget: {
        take: async () => waits.shift() ?? 0,
        closeFor: async () => undefined,
      },
    });

    await api.retrieveCard("card-1");

    expect(waits).toEqual([]);
    expect(server.calls()).toHaveLength(1);
  });

  test("that is given up waits no longer, for the budget or for the answer", async () => {
    const stopping = new AbortController();
    const never = { take: async () => 60_000, closeFor: async () => undefined };
    const { api: waiting } = await ask([CARD], { budget: never });
    const first = waiting.retrieveCard("card-1", stopping.signal);
    setTimeout(() => stopping.abort(), 10);
    await expect(first).rejects.toMatchObject({ name: "AbortError" });
    await server?.stop();

    const { api, server: hanging } = await ask([{ hangs: true }]);
    const again = new AbortController();
    const second = api.retrieveCard("card-1", again.signal);
    setTimeout(() => again.abort(), 50);
    await expect(second).rejects.toMatchObject({ name: "AbortError" });
    expect(hanging.calls().length).toBeLessThanOrEqual(1);
  });

  test("does not follow to another address with its token", async () => {
    const { api, server } = await ask([
      { status: 302, headers: { location: "/api/elsewhere" } },
    ]);

    const error = await failureOf(api.retrieveCard("card-1"));

    expect(error).toMatchObject({ fault: "refused", status: 302 });
    expect(server.calls()).toHaveLength(1);
  });
});

describe("an answer", () => {
  const at = (date: string) => ({ ...CARD, headers: { date } });

  test("says what UQPAY's clock was known to be before it was asked for", async () => {
    const { api } = await ask([
      at("Wed, 09 Sep 2026 20:00:10 GMT"),
      at("Wed, 09 Sep 2026 20:00:50 GMT"),
      at("Wed, 09 Sep 2026 20:00:20 GMT"),
      CARD,
    ]);

    const answers = [];
    for (let call = 0; call < 4; call += 1)
      answers.push(await api.retrieveCard("card-1"));

    expect(
      answers.map(({ knownBefore, date }) => [
        knownBefore?.slice(11, 19),
        date?.slice(11, 19),
      ]),
    ).toMatchObject([
      [undefined, "20:00:10"],
      ["20:00:10", "20:00:50"],
      ["20:00:50", "20:00:20"],
      ["20:00:50", expect.any(String)],
    ]);
  });

  test("that failed says nothing of UQPAY's clock: it may be a gateway's", async () => {
    const { api } = await ask([
      { status: 502, headers: { date: "Wed, 09 Sep 2099 20:00:00 GMT" } },
      at(DATE),
      { ...CARD, headers: { date: "" } },
    ]);

    const [first, second] = [
      await api.retrieveCard("card-1"),
      await api.retrieveCard("card-1"),
    ];

    expect(first.knownBefore).toBeUndefined();
    expect(second).toMatchObject({
      knownBefore: "2026-09-09T20:00:50.000000Z",
      date: undefined,
    });
  });

  test("has its card numbers masked and its codes taken out before anything is read", async () => {
    const { api } = await ask([
      {
        body: '{"card_id":"card-1","card_number":"4096360812345678","cvv":"123"}',
      },
    ]);

    const { value } = await api.retrieveCard("card-1");

    expect(value.facts["card_number"]).toBe("409636******5678");
  });
});

describe("a token that UQPAY refuses", () => {
  const isOld = ({ headers }: AskedRequest) =>
    headers["x-auth-token"] === "Bearer token-1";

  test("is renewed once, and the call is sent again within the budget", async () => {
    const { api, server, budget, faults } = await ask([CARD], {}, (request) =>
      isOld(request) ? { status: 401 } : undefined,
    );

    await api.retrieveCard("card-1");

    expect(
      server.calls().map(({ headers }) => headers["x-auth-token"]),
    ).toEqual(["Bearer token-1", "Bearer token-2"]);
    expect(budget).toEqual(["take", "take"]);
    expect(faults).toEqual([undefined]);
  });

  test("is renewed no second time", async () => {
    const { api, server } = await ask([{ status: 401 }]);

    const error = await failureOf(api.retrieveCard("card-1"));

    expect(error).toMatchObject({ fault: "unauthorized", status: 401 });
    expect(server.calls()).toHaveLength(2);
  });

  test("is renewed once for all who were refused with it", async () => {
    const { api, server } = await ask([CARD], {}, (request) =>
      isOld(request) ? { status: 401 } : undefined,
    );

    await Promise.all(
      Array.from({ length: 8 }, () => api.retrieveCard("card-1")),
    );

    expect(server.asked.length - server.calls().length).toBe(2);
  });
});

describe("keys that UQPAY refuses", () => {
  test("are told once, without the keys", async () => {
    const { api, server } = await ask([CARD], {}, ({ url }) =>
      url === TOKEN_PATH
        ? { status: 401, body: '{"code":"invalid_key","message":"canary-key"}' }
        : undefined,
    );

    const error = await failureOf(api.retrieveCard("card-1"));

    expect(error).toMatchObject({
      fault: "unauthorized",
      code: "invalid_key",
      request: "POST /v1/connect/token",
    });
    expect(String(error)).not.toContain("canary");
    expect(server.asked).toHaveLength(1);
  });

  test("an answer that has no token is not asked for again", async () => {
    const { api, server } = await ask([CARD], {}, ({ url }) =>
      url === TOKEN_PATH ? tokenAnswer("") : undefined,
    );

    const error = await failureOf(api.retrieveCard("card-1"));

    expect(error.fault).toBe("unreadable");
    expect(server.asked).toHaveLength(1);
  });
});

describe("what may be over soon", () => {
  test.each<[string, ScriptedAnswer]>([
    ["a connection that breaks", { breaks: true }],
    ["500", { status: 500, body: '{"type":"api_error"}' }],
    ["503 without a body", { status: 503, body: "" }],
    ["408", { status: 408 }],
    ["a success without a body", { status: 204, body: "" }],
    ["a page in place of JSON", { body: "<html>maintenance</html>" }],
  ])("%s is asked for again", async (_, answer) => {
    const { api, server, faults } = await ask([answer, answer, CARD]);

    const { value } = await api.retrieveCard("card-1");

    expect(value.cardId).toBe("card-1");
    expect(server.calls().length).toBeGreaterThanOrEqual(3);
    expect(faults).toHaveLength(3);
    expect(faults.at(-1)).toBeUndefined();
  });

  test("is given up after so many attempts", async () => {
    const { api, server, faults } = await ask([
      { status: 502, body: "<html>" },
    ]);

    const error = await failureOf(api.listCards(1));

    expect(error).toMatchObject({ fault: "unavailable", status: 502 });
    expect(server.calls()).toHaveLength(3);
    expect(faults).toEqual(["unavailable", "unavailable", "unavailable"]);
  });

  test("an answer that does not come in time is one", async () => {
    const { api, faults } = await ask([{ hangs: true }, CARD], {
      timeoutMs: 200,
    });

    await api.retrieveCard("card-1");

    expect(faults).toEqual(["unreachable", undefined]);
  });

  test("an answer that is too large to be one is not read to its end", async () => {
    const { api, faults } = await ask([
      { body: `"${"x".repeat(17 * 1024 * 1024)}"` },
      CARD,
    ]);

    await api.retrieveCard("card-1");

    expect(faults).toEqual(["unreachable", undefined]);
  });
});

describe("429", () => {
  // UQPAY's own example ends with a comma too many.
  const BODY = '{"code":"too_many_requests","message":"Too many",}';

  test.each<[string, Record<string, string>, number]>([
    ["the rest of the minute by UQPAY's clock", { date: DATE }, 10_000],
    ["as long as it says", { date: DATE, "retry-after": "7" }, 7_000],
    ["a minute where it has no clock", { date: "" }, 60_000],
    ["never longer than some minutes", { "retry-after": "86400" }, 300_000],
  ])("closes the budget for %s, whatever its body", async (_, headers, ms) => {
    const { api, budget } = await ask([{ status: 429, body: BODY, headers }], {
      retry: { maxAttempts: 1, firstDelayMs: 1, maxDelayMs: 1 },
    });

    const error = await failureOf(api.retrieveCard("card-1"));

    expect(error).toMatchObject({ fault: "rate-limited", pauseMs: ms });
    expect(budget).toEqual(["take", `close for ${ms}`]);
  });

  test("is asked for again after that pause", async () => {
    const startedAt = performance.now();
    const { api } = await ask([
      { status: 429, body: BODY, headers: { "retry-after": "1" } },
      CARD,
    ]);

    await api.retrieveCard("card-1");

    expect(performance.now() - startedAt).toBeGreaterThan(990);
  });
});

test("a client that nobody watches asks as often, with a pause in between", async () => {
  const started = await startApiServer(({ url }, call) =>
    url === TOKEN_PATH ? undefined : call === 1 ? { status: 500 } : CARD,
  );
  server = started;
  const api = createUqpayApi({
    baseUrl: started.baseUrl,
    clientId: "client-id",
    apiKey: "api-key",
    budget: { take: async () => 0, closeFor: async () => undefined },
    nowMs: () => 0,
    random: () => 0,
  });

  const answer = await api.retrieveCard("card-1");

  expect(answer.value.cardId).toBe("card-1");
  expect(started.calls()).toHaveLength(2);
});

test("a mistake of ours in reading an answer is not told as UQPAY's", () => {
  const answer = {
    status: 200,
    json: {},
    dateMs: undefined,
    retryAfterMs: undefined,
  };

  expect(() =>
    readingOf("GET", answer, () => {
      throw new TypeError("ours");
    }),
  ).toThrow(TypeError);
});

describe("an error", () => {
  test.each<[string, number, string, string, string | undefined]>([
    [
      "a card that is not there",
      404,
      '{"type":"card_error","code":"card_not_found","message":"canary"}',
      "not-found",
      "card_not_found",
    ],
    [
      "a card that is not there, as 400",
      400,
      '{"type":"not_found","code":"4004","message":"canary"}',
      "not-found",
      "4004",
    ],
    [
      "a 404 of a wrong base URL",
      404,
      "<html>canary</html>",
      "refused",
      undefined,
    ],
    [
      "the flat form with a number",
      400,
      '{"code":100400,"message":"canary"}',
      "refused",
      "100400",
    ],
    [
      "a code that is a text",
      422,
      '{"code":"canary text"}',
      "refused",
      undefined,
    ],
    ["no code", 400, '{"message":"canary"}', "refused", undefined],
    ["an address that is not listed", 403, "{}", "unauthorized", undefined],
  ])(
    "tells %s by its status, and nothing of its body",
    async (_, status, body, fault, code) => {
      const { api, server } = await ask([{ status, body }]);

      const error = await failureOf(api.retrieveCard("card-1"));

      expect(error).toMatchObject({ name: "UqpayApiError", fault, status });
      expect(error.code).toBe(code);
      expect(API_FAULTS).toContain(error.fault);
      expect(String(error)).toBe(
        `UqpayApiError: UQPAY's API: GET /v1/issuing/cards/{card_id}: ${fault} (status ${status})`,
      );
      expect(server.calls()).toHaveLength(1);
    },
  );

  test("tells a success of another form, and nothing of what it holds", async () => {
    const { api } = await ask([{ body: '{"card_id":7,"name":"canary"}' }]);

    const error = await failureOf(api.retrieveCard("card-1"));

    expect(error.fault).toBe("unreadable");
    expect(String(error) + String(error.cause)).not.toContain("canary");
  });

  test("is no other than UQPAY's where the fault is ours", async () => {
    const { api } = await ask([CARD], {
      budget: {
        take: () => Promise.reject(new Error("no database")),
        closeFor: async () => undefined,
      },
    });

    await expect(api.retrieveCard("card-1")).rejects.toThrow("no database");
  });
});
