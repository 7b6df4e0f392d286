import { setTimeout as sleep } from "node:timers/promises";
import type { Request, Response, Router } from "express";
import express from "express";
import type { Faults } from "./faults.ts";
import {
  listedCard,
  orderAnswer,
  retrievedCard,
  transactionAnswer,
} from "./payloads.ts";
import type { Random } from "./random.ts";
import type { World } from "./world.ts";

export interface RestOptions {
  readonly world: World;
  readonly faults: Faults;
  readonly random: Random;
  readonly nowMs: () => number;
  readonly clientId: string;
  readonly apiKey: string;
  readonly tokenLifeMs: number;
  /** In a calendar minute, of all but tokens. */
  readonly callsPerMinute: number;
  /** The most that a lagging answer is behind. */
  readonly lagMs: number;
  readonly slowMs: number;
  /** Told of each call but those for tokens, with its answer's status. */
  readonly onCall: (path: string, status: number) => void;
}

const MINUTE_MS = 60_000;
const SHUFFLED_AT_ONCE = 3;

/** UQPAY's own example, which is no JSON: a comma too many. */
const TOO_MANY =
  '{\n  "code": "too_many_requests",\n  "message": "Too many requests have been made to the api.",\n}';
const ERROR_PAGE =
  "<html><head><title>502 Bad Gateway</title></head><body>Bad Gateway</body></html>";

/** The parts of UQPAY's REST API that read: a token, cards, orders, transactions. */
export function createRest(options: RestOptions): Router {
  const { world, nowMs } = options;
  const routes = express.Router();
  const access = createAccess(options);
  routes.use((_, response, next) => {
    // UQPAY's clock, which may be another than this machine's.
    response.setHeader("date", new Date(nowMs()).toUTCString());
    next();
  });
  routes.post("/v1/connect/token", access.giveToken);
  routes.use("/v1/issuing", (request, response, next) => {
    response.on("finish", () => {
      options.onCall(request.path, response.statusCode);
    });
    next();
  });
  routes.use("/v1/issuing", access.check);

  const inOrder = createListOrder(options);
  routes.get("/v1/issuing/cards", (request, response) => {
    const cards = inOrder(world.cards(shownAtMs(options)));
    answerPage(request, response, cards, listedCard);
  });
  routes.get("/v1/issuing/cards/:id", ({ params }, response) => {
    const card = world.card(params.id, shownAtMs(options));
    answerOne(response, card && retrievedCard(card), "card");
  });
  routes.get("/v1/issuing/cards/:id/order", ({ params }, response) => {
    const order = world.order(params.id);
    answerOne(response, order && orderAnswer(order), "order");
  });
  routes.get("/v1/issuing/transactions", (request, response) => {
    const { card_id: cardId, start_time: from, end_time: to } = request.query;
    const until = Math.min(shownAtMs(options), timeOf(to, Infinity));
    const since = timeOf(from, -Infinity);
    const found = world
      .transactions()
      .filter(({ atMs }) => atMs >= since && atMs <= until)
      .filter((one) => cardId === undefined || one.cardId === cardId)
      .toReversed();
    answerPage(request, response, found, transactionAnswer);
  });
  routes.get("/v1/issuing/transactions/:id", ({ params }, response) => {
    const found = world.transaction(params.id);
    const status = found && { settlement_status: "UNKNOWN" };
    const answer = found && { ...transactionAnswer(found), ...status };
    answerOne(response, answer, "transaction");
  });
  return routes;
}

/** Tokens, the limit of calls, and what goes wrong with either. */
function createAccess(options: RestOptions) {
  const { faults, random, nowMs, clientId, apiKey } = options;
  const tokens = new Map<string, number>();
  let minute = 0;
  let calls = 0;

  function giveToken(request: Request, response: Response): void {
    const isKnown =
      request.header("x-client-id") === clientId &&
      request.header("x-api-key") === apiKey;
    if (!isKnown) {
      refuse(response, 401, "authentication_error", "invalid_credentials");
      return;
    }
    const token = random.uuid().replaceAll("-", "");
    const expiresAtMs = nowMs() + options.tokenLifeMs;
    tokens.set(token, expiresAtMs);
    response.json({
      auth_token: token,
      expired_at: Math.floor(expiresAtMs / 1_000),
    });
  }

  function isOverLimit(): boolean {
    const thisMinute = Math.floor(nowMs() / MINUTE_MS);
    calls = thisMinute === minute ? calls + 1 : 1;
    minute = thisMinute;
    return calls > options.callsPerMinute;
  }

  async function check(
    request: Request,
    response: Response,
    next: () => void,
  ): Promise<void> {
    if (faults.strikes("slow")) await sleep(options.slowMs);
    if (faults.strikes("html-error")) {
      response.status(502).type("html").send(ERROR_PAGE);
      return;
    }
    if (isOverLimit() || faults.strikes("rate-limited")) {
      response.status(429).type("json").send(TOO_MANY);
      return;
    }
    const [, token = ""] =
      /^Bearer (.*)$/.exec(request.header("x-auth-token") ?? "") ?? [];
    if (faults.strikes("expired-token")) tokens.delete(token);
    if (nowMs() < (tokens.get(token) ?? 0)) next();
    else refuse(response, 401, "authentication_error", "invalid_token");
  }

  return { giveToken, check };
}

/** When it is that an answer shows: now, or with the fault some time ago. */
function shownAtMs({ faults, random, nowMs, lagMs }: RestOptions): number {
  return nowMs() - (faults.strikes("lagging") ? random.between(0, lagMs) : 0);
}

/** The order of the list, of which UQPAY says nothing: the newest first, until some cards move to its beginning. */
function createListOrder({ faults, random }: RestOptions) {
  const places = new Map<string, number>();
  let first = 0;
  return <Card extends { id: string }>(cards: readonly Card[]): Card[] => {
    if (faults.strikes("moving-pages"))
      for (const { id } of random.shuffle(cards).slice(0, SHUFFLED_AT_ONCE))
        places.set(id, --first);
    const placeOf = ({ id }: Card) => places.get(id) ?? 0;
    return cards.toReversed().sort((a, b) => placeOf(a) - placeOf(b));
  };
}

function timeOf(value: unknown, otherwise: number): number {
  const ms = typeof value === "string" ? Date.parse(value) : NaN;
  return Number.isNaN(ms) ? otherwise : ms;
}

function answerPage<Item>(
  { query }: Request,
  response: Response,
  all: readonly Item[],
  show: (item: Item) => object,
): void {
  const size = Number(query["page_size"]);
  const page = Number(query["page_number"]);
  const isValid =
    Number.isInteger(size) &&
    Number.isInteger(page) &&
    size >= 1 &&
    size <= 100 &&
    page >= 1;
  if (!isValid) {
    // The older form of errors: without a type.
    response.status(400).json({
      code: 100_400,
      message: "page_size must be 1 to 100, page_number at least 1",
    });
    return;
  }
  response.json({
    total_pages: Math.ceil(all.length / size),
    total_items: all.length,
    data: all.slice((page - 1) * size, page * size).map(show),
  });
}

function answerOne(
  response: Response,
  found: object | undefined,
  what: string,
): void {
  if (found === undefined)
    refuse(response, 404, `${what}_error`, `${what}_not_found`);
  else response.json(found);
}

function refuse(
  response: Response,
  status: number,
  type: string,
  code: string,
): void {
  response.status(status).json({ type, code, message: code });
}
