import { BlockList, isIP } from "node:net";
import type { RequestHandler } from "express";
import { answerError } from "./error-answer.ts";

/**
 * Lets only these addresses in. An aid beside a firewall and no replacement of the signature: UQPAY says so of
 * its own list. Behind a proxy, Express must know whom to trust (`trust proxy`), or all come from the proxy.
 *
 * @param ranges IP addresses and CIDR ranges, checked by the configuration
 */
export function allowAddresses(ranges: readonly string[]): RequestHandler {
  const allowed = new BlockList();
  for (const range of ranges) addRange(allowed, range);
  return (request, response, next) => {
    if (isAllowed(allowed, request.ip ?? "")) {
      next();
      return;
    }
    answerError(
      response,
      403,
      "address_not_allowed",
      "This address may not deliver here.",
    );
  };
}

function addRange(list: BlockList, range: string): void {
  const [address = "", prefix] = range.split("/");
  const family = isIP(address) === 6 ? "ipv6" : "ipv4";
  if (prefix === undefined) list.addAddress(address, family);
  else list.addSubnet(address, Number(prefix), family);
}

function isAllowed(list: BlockList, address: string): boolean {
  // A socket that listens on both families shows IPv4 clients as ::ffff:a.b.c.d.
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, "");
  const family = isIP(plain);
  return family !== 0 && list.check(plain, family === 6 ? "ipv6" : "ipv4");
}
