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
  const clientAddress = createClientAddress(trusted);
  return (request, response, next) => {
    const address = clientAddress(request);
    if (address !== undefined && isAllowed(address)) {
      next();
      return;
    }
    if (address === undefined) response.locals["cause"] = "unreadable_address";
    answerError(response, "address_not_allowed");
  };
}

/** Whether one of some addresses and ranges has an address. */
type AddressList = (address: string) => boolean;

/** @param ranges IP addresses and CIDR ranges, checked by the configuration */
function createAddressList(ranges: readonly string[]): AddressList {
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
 * @returns for a request its address; undefined where what should be one cannot be read
 */
function createClientAddress(
  trusted: TrustedProxies,
): (request: IncomingMessage) => string | undefined {
  const isTrusted = createTrust(trusted);
  return ({ socket, headers }) => {
    const forwarded = headers["x-forwarded-for"] ?? "";
    const chain = [
      socket.remoteAddress ?? "",
      ...String(forwarded)
        .split(",")
        .filter((part) => part.trim() !== "")
        .toReversed(),
    ];
    for (const [hop, text] of chain.entries()) {
      const address = readAddress(text);
      if (hop === chain.length - 1 || !isTrusted(address, hop)) return address;
    }
    return undefined;
  };
}

function createTrust(
  trusted: TrustedProxies,
): (address: string | undefined, hop: number) => boolean {
  if (trusted === undefined) return () => false;
  if (typeof trusted === "number") return (_address, hop) => hop < trusted;
  const isListed = createAddressList(trusted);
  return (address) => address !== undefined && isListed(address);
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
