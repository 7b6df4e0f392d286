import { Unreadable, isObject } from "../fields.ts";
import { readCount } from "./stated.ts";

/** One page of a list. */
export interface Page<Item> {
  readonly items: readonly Item[];
  /** Of all pages, as UQPAY counts them. */
  readonly totalItems: number;
  readonly totalPages: number;
  /** How many of its items have no id that can be read. */
  readonly unreadableItems: number;
}

/**
 * Reads `{total_pages, total_items, data}`. An item that cannot be read is counted and passed over: all others are as
 * good as before.
 *
 * @throws Unreadable where it is no page
 */
export function readPage<Item>(
  json: unknown,
  readItem: (item: unknown) => Item,
  pageSize: number,
): Page<Item> {
  if (!isObject(json)) throw new Unreadable("must be an object");
  // Null is how some servers write an empty list.
  const data = json["data"] === null ? [] : json["data"];
  if (!Array.isArray(data)) throw new Unreadable("must be a list", ["data"]);
  const items: Item[] = [];
  for (const item of data as unknown[])
    try {
      items.push(readItem(item));
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
    }
  const totalItems = readCount(json["total_items"]);
  const pages = json["total_pages"] ?? Math.ceil(totalItems / pageSize);
  return {
    items,
    totalItems,
    totalPages: readCount(pages),
    unreadableItems: data.length - items.length,
  };
}
