// The product's own pool, for the baselines that write as it does.
import { createPool } from "../../dist/src/store/database.js";

/**
 * @param {string} applicationName
 * @param {Partial<import("../../src/store/database.ts").PoolOptions>} [more]
 */
export function openPool(applicationName, more) {
  return createPool({
    url: process.env.DATABASE_URL ?? "",
    maxConnections: 5,
    queryTimeoutMs: 5_000,
    applicationName,
    onError: () => undefined,
    ...more,
  });
}
