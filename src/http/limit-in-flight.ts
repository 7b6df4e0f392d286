import type { Socket } from "node:net";
import type { Request, RequestHandler, Response } from "express";
import { answerUnavailable } from "./error-answer.ts";

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
  const small = createPlaces(limits.small);
  const large = createPlaces(limits.large);
  const underWay = new WeakMap<Socket, (() => void)[]>();

  /** What ends each request of a connection that is under way. An array: see `createPlaces`. */
  const endsOn = (socket: Socket): (() => void)[] => {
    const known = underWay.get(socket);
    if (known !== undefined) return known;
    const ends: (() => void)[] = [];
    underWay.set(socket, ends);
    // A response that waits behind another one on its connection never hears that this is closed.
    socket.once("close", () => {
      for (const end of ends.slice()) end();
    });
    return ends;
  };

  const guard: RequestHandler = (request, response, next) => {
    const { socket } = request;
    const ends = endsOn(socket);
    if (ends.length >= MOST_PIPELINED) {
      socket.destroy();
      return;
    }
    // Without a declared length it is small until it has passed the limit.
    const declared = Number(request.headers["content-length"] ?? 0);
    let places = declared >= limits.largeFromBytes ? large : small;
    let place = places.take(request);
    const end = () => {
      const index = ends.indexOf(end);
      if (index < 0) return;
      ends.splice(index, 1);
      if (place !== undefined) places.leave(place);
    };
    ends.push(end);
    response.once("close", end);
    if (place !== undefined) {
      response.locals["grow"] = () => {
        if (places === large) return true;
        const larger = ends.includes(end) ? large.take(request) : undefined;
        if (larger === undefined) return false;
        if (place !== undefined) small.leave(place);
        places = large;
        place = larger;
        return true;
      };
      next();
      return;
    }
    response.locals["cause"] = "overloaded";
    response.set("Connection", "close");
    answerUnavailable(response);
  };
  const hold: InFlight["hold"] = ({ locals }, bytes) => {
    if (bytes < limits.largeFromBytes) return true;
    const grow = locals["grow"] as (() => boolean) | undefined;
    return grow?.() ?? true;
  };
  return { guard, hold };
}

/** A request that holds a place, between those that came before and after it. */
interface Place {
  readonly request: Request;
  readonly sinceMs: number;
  earlier: Place | undefined;
  later: Place | undefined;
}

/**
 * The requests that hold a place, in the order of their arrival. Not a `Map`: one that lives long and is written with
 * each request keeps what was deleted from it alive until the next full collection, which took 15 us of a request and
 * 40 MiB.
 */
function createPlaces(limit: number) {
  let count = 0;
  let first: Place | undefined;
  let last: Place | undefined;

  const findSlowest = (nowMs: number): Place | undefined => {
    for (let place = first; place; place = place.later) {
      if (nowMs - place.sinceMs < SLOW_AFTER_MS) return undefined;
      // One that is complete waits for us, and not we for it.
      if (!place.request.complete) return place;
    }
    return undefined;
  };

  const leave = (place: Place): void => {
    const { earlier, later } = place;
    // Who leaves a second time has no neighbours, and is not the only one either.
    if (earlier === undefined && first !== place) return;
    if (earlier) earlier.later = later;
    else first = later;
    if (later) later.earlier = earlier;
    else last = earlier;
    // Else what is over would keep alive whatever came after it.
    place.earlier = undefined;
    place.later = undefined;
    count--;
  };

  const take = (request: Request): Place | undefined => {
    const sinceMs = performance.now();
    if (count >= limit) {
      const slowest = findSlowest(sinceMs);
      if (slowest === undefined) return undefined;
      leave(slowest);
      slowest.request.socket.destroy();
    }
    const place: Place = { request, sinceMs, earlier: last, later: undefined };
    if (last) last.later = place;
    else first = place;
    last = place;
    count++;
    return place;
  };

  return { take, leave };
}
