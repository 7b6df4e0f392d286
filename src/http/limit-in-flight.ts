import type { Socket } from "node:net";
import type { Request, RequestHandler, Response } from "express";
import { answerError } from "./answers.ts";

export interface InFlightLimits {
  /** Requests with a small body, or with none, at the same time. */
  readonly small: number;
  /** Requests with a body that says that it is large, or has become so. */
  readonly large: number;
  /** From this length on a body is large: of what is declared, and of what is held. */
  readonly largeFromBytes: number;
}

/**
 * A webhook of UQPAY has about a kilobyte. 4,000 of 16 KiB and 32 of 256 KiB are 70 MiB together, which bounds
 * what bodies can hold in memory; and senders that hold the large places open cannot shut out the small ones.
 */
export const IN_FLIGHT_LIMITS: InFlightLimits = {
  small: 4_000,
  large: 32,
  largeFromBytes: 16 * 1024,
};

/**
 * Requests that one connection may send ahead of their answers. UQPAY waits for each answer. An answer that is not
 * read is not over either: so this also bounds what a connection leaves unread.
 */
const MOST_PIPELINED = 8;

/** A body of a kilobyte that is not here by then comes from a slow sender, or from one that is slow on purpose. */
const SLOW_AFTER_MS = 1_000;

export interface InFlight {
  /** Gives a request its place, or refuses it. */
  readonly guard: RequestHandler;
  /** So much is held for a request. False: it has become large, and there is no place for another large one. */
  readonly hold: (response: Response, bytes: number) => boolean;
}

/**
 * Refuses at once what cannot be held, before anything of its body is read: UQPAY tries again. Where slow senders
 * hold all places, the slowest of them gives way: otherwise 4,000 bodies that drip would shut everybody out.
 */
export function limitInFlight(limits: InFlightLimits): InFlight {
  const takeSmall = createPlaces(limits.small);
  const takeLarge = createPlaces(limits.large);
  const endsOf = createUnderWay();

  const guard: RequestHandler = (request, response, next) => {
    const ends = endsOf(request.socket);
    if (ends.size >= MOST_PIPELINED) {
      request.socket.destroy();
      return;
    }
    // Without a declared length it is small until it has passed the limit.
    const declared = Number(request.headers["content-length"] ?? 0);
    let isLarge = declared >= limits.largeFromBytes;
    let leave = (isLarge ? takeLarge : takeSmall)(request);
    const end = () => {
      if (ends.delete(end)) leave?.();
    };
    ends.add(end);
    response.once("close", end);
    if (leave === undefined) {
      response.locals["cause"] = "overloaded";
      response.set("Connection", "close");
      answerError(response, "unavailable");
      return;
    }
    response.locals["grow"] = (): boolean => {
      if (isLarge) return true;
      const leaveLarge = ends.has(end) ? takeLarge(request) : undefined;
      if (leaveLarge === undefined) return false;
      leave?.();
      leave = leaveLarge;
      isLarge = true;
      return true;
    };
    next();
  };
  const hold: InFlight["hold"] = ({ locals }, bytes) => {
    if (bytes < limits.largeFromBytes) return true;
    const grow = locals["grow"] as (() => boolean) | undefined;
    return grow?.() ?? true;
  };
  return { guard, hold };
}

/** What ends each request of a connection that is under way. */
function createUnderWay(): (socket: Socket) => Set<() => void> {
  const underWay = new WeakMap<Socket, Set<() => void>>();
  return (socket) => {
    const known = underWay.get(socket);
    if (known !== undefined) return known;
    const ends = new Set<() => void>();
    underWay.set(socket, ends);
    // A response that waits behind another one on its connection never hears that this is closed.
    socket.once("close", () => {
      for (const end of ends) end();
    });
    return ends;
  };
}

/** A request that holds a place. */
interface Place {
  readonly request: Request;
  readonly sinceMs: number;
}

/** @returns what takes a place, and returns what leaves it; undefined: there is none */
function createPlaces(
  limit: number,
): (request: Request) => (() => void) | undefined {
  // A set keeps the order of arrival.
  const places = new Set<Place>();
  return (request) => {
    const sinceMs = performance.now();
    if (places.size >= limit) {
      const slowest = findSlowest(places, sinceMs);
      if (slowest === undefined) return undefined;
      places.delete(slowest);
      slowest.request.socket.destroy();
    }
    const place = { request, sinceMs };
    places.add(place);
    return () => places.delete(place);
  };
}

function findSlowest(
  places: Iterable<Place>,
  nowMs: number,
): Place | undefined {
  for (const place of places) {
    if (nowMs - place.sinceMs < SLOW_AFTER_MS) return undefined;
    // One that is complete waits for us, and not we for it.
    if (!place.request.complete) return place;
  }
  return undefined;
}
