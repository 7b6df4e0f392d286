import type { NextFunction, Request, Response, Router } from "express";
import express from "express";
import { z } from "zod";
import { SimulatorError } from "./cards.ts";
import type { Delivery } from "./delivery.ts";
import type { Fault, Faults } from "./faults.ts";
import { FAULT_NAMES, FAULTS } from "./faults.ts";
import { orderAnswer, retrievedCard, transactionAnswer } from "./payloads.ts";
import type { World } from "./world.ts";

const amount = z.union([z.string(), z.number()]);
const mccs = z.array(z.string().regex(/^\d{4}$/));
const newCard = z.strictObject({
  mode: z.enum(["SINGLE", "SHARE"]).optional(),
  form: z.enum(["VIRTUAL", "PHYSICAL"]).optional(),
  balance: amount.optional(),
  perTransaction: amount.optional(),
  allowedMcc: mccs.optional(),
  blockedMcc: mccs.optional(),
  metadata: z.record(z.string(), z.string()).optional(),
  holderId: z.string().min(1).optional(),
});
const purchase = z.strictObject({
  amount: amount.optional(),
  mcc: z
    .string()
    .regex(/^\d{4}$/)
    .optional(),
  merchant: z.string().optional(),
  fee: amount.optional(),
});
const controls = z.strictObject({
  limit: amount.optional(),
  perTransaction: amount.optional(),
  allowedMcc: mccs.optional(),
  blockedMcc: mccs.optional(),
  metadata: z.record(z.string(), z.string()).optional(),
});
const why = z.strictObject({ reason: z.string().max(100).optional() });
const nothing = z.strictObject({});
const money = z.strictObject({ amount });
const someMoney = z.strictObject({ amount: amount.optional() });
const charge = z.strictObject({ amount, remark: z.string().optional() });
const days = z.strictObject({ days: z.number().min(0).default(30) });
const count = z.strictObject({ count: z.number().int().min(1).default(1) });
const rates = z.strictObject(
  Object.fromEntries(
    FAULT_NAMES.map((fault) => [fault, z.number().min(0).max(1).optional()]),
  ) as Record<Fault, z.ZodOptional<z.ZodNumber>>,
);

/** One thing that can be asked for: what its body may hold, and what it does. */
interface Action {
  readonly path: string;
  /** @throws z.ZodError */
  readonly act: (body: unknown, id: string) => unknown;
}

function action<Body>(
  path: string,
  body: z.ZodType<Body>,
  act: (body: Body, id: string) => unknown,
): Action {
  return { path, act: (input, id) => act(body.parse(input ?? {}), id) };
}

const cardActions = (world: World): Action[] => [
  action("/cards", newCard, (body) => retrievedCard(world.issue(body))),
  action("/cards/:id/activate", nothing, (_, id) =>
    retrievedCard(world.activate(id)),
  ),
  action("/cards/:id/spend", purchase, (body, id) =>
    transactionAnswer(world.spend(id, body)),
  ),
  action("/cards/:id/freeze", why, ({ reason }, id) =>
    retrievedCard(world.freeze(id, reason)),
  ),
  action("/cards/:id/unfreeze", why, ({ reason }, id) =>
    retrievedCard(world.unfreeze(id, reason)),
  ),
  action("/cards/:id/block", why, ({ reason }, id) =>
    retrievedCard(world.block(id, reason)),
  ),
  action("/cards/:id/cancel", why, ({ reason }, id) =>
    retrievedCard(world.cancel(id, reason)),
  ),
  action("/cards/:id/controls", controls, (body, id) =>
    retrievedCard(world.updateControls(id, body)),
  ),
  action("/cards/:id/recharge", money, ({ amount }, id) =>
    orderAnswer(world.recharge(id, amount)),
  ),
  action("/cards/:id/withdraw", money, ({ amount }, id) =>
    orderAnswer(world.withdraw(id, amount)),
  ),
  action("/cards/:id/fee", charge, ({ amount, remark }, id) =>
    transactionAnswer(world.fee(id, amount, remark)),
  ),
  action("/transactions/:id/reverse", someMoney, ({ amount }, id) =>
    transactionAnswer(world.reverse(id, amount)),
  ),
  action("/transactions/:id/refund", someMoney, ({ amount }, id) =>
    transactionAnswer(world.refund(id, amount)),
  ),
  action("/transactions/:id/settle", someMoney, ({ amount }, id) =>
    transactionAnswer(world.settle(id, amount)),
  ),
  action("/later", days, (body) => world.later(body.days).map(retrievedCard)),
];

const faultActions = (faults: Faults): Action[] => [
  action("/faults", rates, (body) => {
    const stated = Object.entries(body).filter(
      ([, rate]) => rate !== undefined,
    );
    faults.set(Object.fromEntries(stated));
    return faults.rates();
  }),
  action("/faults/:id/next", count, (body, id) => {
    const fault = FAULT_NAMES.find((name) => name === id);
    if (fault === undefined)
      throw new SimulatorError(`there is no fault ${id}`);
    faults.next(fault, body.count);
    return { [fault]: FAULTS[fault] };
  }),
];

/** What curl can ask of the simulator: the same as a test can by calls. */
export function createControl(
  world: World,
  delivery: Delivery,
  faults: Faults,
): Router {
  const routes = express.Router();
  // Whatever curl says that it sends.
  routes.use(express.json({ type: () => true }));
  for (const { path, act } of [...cardActions(world), ...faultActions(faults)])
    routes.post(path, ({ body, params }, response) => {
      const { id = "" } = params as { id?: string };
      response.json(act(body, id));
    });
  routes.get("/faults", (_, response) => {
    response.json({ rates: faults.rates(), meanings: FAULTS });
  });
  routes.get("/cards", (_, response) => {
    response.json(world.cards().map(retrievedCard));
  });
  routes.get("/orders", (_, response) => {
    response.json(world.orders().map(orderAnswer));
  });
  routes.get("/transactions", (_, response) => {
    response.json(world.transactions().map(transactionAnswer));
  });
  routes.get("/events", (_, response) => {
    response.json(delivery.events());
  });
  routes.use(answerErrors);
  return routes;
}

/** Express knows it by its four parameters. */
function answerErrors(
  error: unknown,
  _request: Request,
  response: Response,
  next: NextFunction,
): void {
  if (error instanceof z.ZodError)
    response.status(400).json({ error: z.prettifyError(error) });
  else if (error instanceof SimulatorError)
    response.status(400).json({ error: error.message });
  else next(error);
}
