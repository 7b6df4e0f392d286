// The signature of UQPAY, as every baseline that has none of the product's code checks it.
import { createHmac, timingSafeEqual } from "node:crypto";

const { UQPAY_WEBHOOK_SECRET: SECRET = "" } = process.env;

/** @param {Buffer} body @param {string} timestamp @param {string} signature */
export function isGenuine(body, timestamp, signature) {
  const right = createHmac("sha512", SECRET)
    .update(body)
    .update(timestamp)
    .digest();
  const claimed = Buffer.from(signature, "hex");
  return claimed.length === right.length && timingSafeEqual(claimed, right);
}
