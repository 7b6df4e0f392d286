import { cardOrders } from "./card-orders.ts";
import { cardholders } from "./cardholders.ts";
import { cards } from "./cards.ts";
import type { Projection } from "./projection.ts";
import { transactions } from "./transactions.ts";

/** Every table that is kept from events. */
export const PROJECTIONS: readonly Projection[] = [
  cards,
  transactions,
  cardOrders,
  cardholders,
];
