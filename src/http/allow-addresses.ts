import type { RequestHandler } from "express";
import type { TrustedProxies } from "./client-address.ts";
import { createAddressList, createClientAddress } from "./client-address.ts";
import { answerError } from "./error-answer.ts";

/**
 * Lets only these addresses in. An aid beside a firewall and no replacement of the signature: UQPAY says so of
 * its own list. Behind a proxy, that one must be trusted, or all come from the proxy.
 *
 * @param ranges IP addresses and CIDR ranges, checked by the configuration
 */
export function allowAddresses(
  ranges: readonly string[],
  trusted: TrustedProxies,
): RequestHandler {
  const isAllowed = createAddressList(ranges);
  const clientAddress = createClientAddress(trusted);
  return (request, response, next) => {
    const address = clientAddress(request);
    if (address !== undefined && isAllowed(address)) {
      next();
      return;
    }
    if (address === undefined) response.locals["cause"] = "unreadable_address";
    answerError(
      response,
      403,
      "address_not_allowed",
      "This address may not deliver here.",
    );
  };
}
