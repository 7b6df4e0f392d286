import type { Socket } from "node:net";
import type { Request, RequestHandler } from "express";
import { answerUnavailable } from "./error-answer.ts";

export interface InFlightLimits {
  /** Requests with a small body, or with none, at the same time. */
  readonly small: number;
  /** Requests with a body that is, or may become, large. */
  readonly large: number;
  /** From this declared length on a body is large. */
  readonly largeFromBytes: number;
}

/**
 * A webhook of UQPAY has about a kilobyte. 4,000 of 16 KiB and 32 of 256 KiB are 70 MiB together, which bounds
 * what bodies can hold in memory; and whoever holds the large places open cannot shut out the small ones.
 */
export const IN_FLIGHT_LIMITS: InFlightLimits = {
  small: 4_000,
  large: 32,
  largeFromBytes: 16 * 1024,
};

/**
 * Requests that one connection may send ahead of their answers. UQPAY waits for each answer. An answer that nobody
 * reads is not over either: so this also bounds what a connection leaves unread.
 */
const MOST_PIPELINED = 8;

/** A body of a kilobyte that is not here by then comes from a slow sender, or from one that is slow on purpose. */
const SLOW_AFTER_MS = 1_000;

/**
 * Refuses at once what cannot be held, before anything of its body is read: UQPAY tries again. Where slow senders
 * hold all places, the slowest of them gives way: otherwise 4,000 bodies that drip would shut everybody out.
 */
export function limitInFlight(limits: InFlightLimits): RequestHandler {
  const small = createPlaces(limits.small);
  const large = createPlaces(limits.large);
  const underWay = new WeakMap<Socket, Set<Request>>();

  const requestsOn = (socket: Socket): Set<Request> => {
    const known = underWay.get(socket);
    if (known !== undefined) return known;
    const requests = new Set<Request>();
    underWay.set(socket, requests);
    // A response that waits behind another one on its connection never hears that this is closed.
    socket.once("close", () => {
      for (const request of requests) {
        small.leave(request);
        large.leave(request);
      }
    });
    return requests;
  };

  return (request, response, next) => {
    const { socket } = request;
    const requests = requestsOn(socket);
    if (requests.size >= MOST_PIPELINED) {
      socket.destroy();
      return;
    }
    // Without a declared length it may become large.
    const declared = Number(
      request.headers["content-length"] ?? limits.largeFromBytes,
    );
    const places = declared >= limits.largeFromBytes ? large : small;
    requests.add(request);
    response.once("close", () => {
      requests.delete(request);
      places.leave(request);
    });
    if (places.take(request)) {
      next();
      return;
    }
    response.locals["outcome"] = "overloaded";
    response.set("Connection", "close");
    answerUnavailable(response);
  };
}

function createPlaces(limit: number) {
  /** Since when, in order of arrival. */
  const taken = new Map<Request, number>();
  const findSlowest = (nowMs: number): Request | undefined => {
    for (const [request, sinceMs] of taken) {
      if (nowMs - sinceMs < SLOW_AFTER_MS) return undefined;
      // One that is complete waits for us, and not we for it.
      if (!request.complete) return request;
    }
    return undefined;
  };
  return {
    take: (request: Request): boolean => {
      const nowMs = performance.now();
      if (taken.size >= limit) {
        const slowest = findSlowest(nowMs);
        if (slowest === undefined) return false;
        taken.delete(slowest);
        slowest.socket.destroy();
      }
      taken.set(request, nowMs);
      return true;
    },
    leave: (request: Request): void => {
      taken.delete(request);
    },
  };
}
