import type { IncomingMessage } from "node:http";
import { BlockList, isIP } from "node:net";
import type { RequestHandler } from "express";
import { answerError } from "./answers.ts";

/** Proxies whose X-Forwarded-For is believed: the number of those in front, or their addresses and ranges. */
export type TrustedProxies = number | readonly string[] | undefined;

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
  const isProxy =
    typeof trusted === "number" ? undefined : createAddressList(trusted ?? []);
  const isTrusted = (address: string | undefined, hop: number) =>
    isProxy === undefined
      ? hop < Number(trusted)
      : address !== undefined && isProxy(address);
  return (request, response, next) => {
    const address = clientAddress(request, isTrusted);
    if (address !== undefined && isAllowed(address)) {
      next();
      return;
    }
    if (address === undefined) response.locals["cause"] = "unreadable_address";
    answerError(response, "address_not_allowed");
  };
}

function createAddressList(
  ranges: readonly string[],
): (address: string) => boolean {
  const list = new BlockList();
  for (const range of ranges) {
    const [address = "", prefix] = range.split("/");
    if (prefix === undefined) list.addAddress(address, familyOf(address));
    else list.addSubnet(address, Number(prefix), familyOf(address));
  }
  // It takes an IPv4 address and the same one mapped to IPv6 for one.
  return (address) => list.check(address, familyOf(address));
}

/**
 * From where a request comes: the nearest address that is no trusted proxy. Each proxy adds the address that it saw at
 * the end of X-Forwarded-For, so what stands before the first one that is not trusted may be forged and is not looked
 * at. `Forwarded` is not read: a proxy that writes one of the two passes the other on as the sender wrote it.
 *
 * @returns undefined where what should be an address cannot be read
 */
function clientAddress(
  { socket, headers }: IncomingMessage,
  isTrusted: (address: string | undefined, hop: number) => boolean,
): string | undefined {
  const forwarded = String(headers["x-forwarded-for"] ?? "").split(",");
  const chain = [
    socket.remoteAddress ?? "",
    ...forwarded.filter((part) => part.trim() !== "").toReversed(),
  ].map(readAddress);
  const last = chain.length - 1;
  return chain.find((address, hop) => hop === last || !isTrusted(address, hop));
}

/**
 * An address as sockets and proxies write it: `192.0.2.1`, `192.0.2.1:17085`, `2001:db8::7`, `[2001:db8::7]`,
 * `[2001:db8::7]:443`, `::ffff:192.0.2.1`, each also in quotes or with a zone (`fe80::1%eth0`).
 */
function readAddress(text: string): string | undefined {
  const plain = text.trim().replace(/^"(.*)"$/, "$1");
  const [, inBrackets] = /^\[([^\]]*)\](?::\w+)?$/.exec(plain) ?? [];
  const address = (inBrackets ?? withoutPort(plain)).replace(/%.*$/, "");
  return isIP(address) === 0 ? undefined : address;
}

/** Behind an IPv6 address a colon is a port only where there is a group too many, or IPv4 before it. */
function withoutPort(text: string): string {
  return isIP(text) === 0 ? text.replace(/:\d{1,5}$/, "") : text;
}

function familyOf(address: string): "ipv4" | "ipv6" {
  return isIP(address) === 6 ? "ipv6" : "ipv4";
}
