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

/** A request that holds a place. */
interface Place {
  /** Undefined once it has ended: a `Set` that grows keeps what it had until the next full collection. */
  request: Request | undefined;
  sinceMs: number;
}

/**
 * Refuses at once what cannot be held, before anything of its body is read: UQPAY tries again. Where slow senders
 * hold all places, the slowest of them gives way: otherwise 4,000 bodies that drip would shut everybody out.
 */
export function limitInFlight(limits: InFlightLimits): InFlight {
  const small = new Set<Place>();
  const large = new Set<Place>();
  const end = (place: Place) => {
    small.delete(place);
    large.delete(place);
  };
  const underWayOn = createUnderWay(end);
  const guard: RequestHandler = (request, response, next) => {
    const underWay = underWayOn(request.socket);
    if (underWay.size >= MOST_PIPELINED) {
      request.socket.destroy();
      return;
    }
    const place: Place = { request, sinceMs: 0 };
    underWay.add(place);
    response.once("close", () => {
      underWay.delete(place);
      end(place);
      place.request = undefined;
    });
    response.locals["place"] = place;
    // Without a declared length it is small until it has passed the limit.
    const declared = Number(request.headers["content-length"] ?? 0);
    const hasPlace =
      declared >= limits.largeFromBytes
        ? take(place, large, limits.large)
        : take(place, small, limits.small);
    if (hasPlace) next();
    else answerNoPlace(response);
  };
  const hold: InFlight["hold"] = ({ locals }, bytes) => {
    const place = locals["place"] as Place;
    if (bytes < limits.largeFromBytes || large.has(place)) return true;
    // One that is in neither has ended.
    if (!small.has(place) || !take(place, large, limits.large)) return false;
    small.delete(place);
    return true;
  };
  return { guard, hold };
}

export function answerNoPlace(response: Response): void {
  response.locals["cause"] = "overloaded";
  response.set("Connection", "close");
  answerError(response, "unavailable");
}

/** The requests of a connection that are under way. */
function createUnderWay(
  end: (place: Place) => void,
): (socket: Socket) => Set<Place> {
  const places = new WeakMap<Socket, Set<Place>>();
  return (socket) => {
    const known = places.get(socket);
    if (known !== undefined) return known;
    const underWay = new Set<Place>();
    places.set(socket, underWay);
    // A response that waits behind another one on its connection never hears that this is closed.
    socket.once("close", () => {
      underWay.forEach(end);
    });
    return underWay;
  };
}

/** @param places in the order of arrival */
function take(place: Place, places: Set<Place>, limit: number): boolean {
  place.sinceMs = performance.now();
  if (places.size >= limit) {
    const slowest = findSlowest(places, place.sinceMs);
    if (slowest === undefined) return false;
    places.delete(slowest);
    slowest.request?.socket.destroy();
  }
  places.add(place);
  return true;
}

function findSlowest(
  places: Iterable<Place>,
  nowMs: number,
): Place | undefined {
  for (const place of places) {
    if (nowMs - place.sinceMs < SLOW_AFTER_MS) return undefined;
    // One that is complete waits for us, and not we for it.
    if (place.request?.complete === false) return place;
  }
  return undefined;
}
