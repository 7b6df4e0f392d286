import type { Socket } from "node:net";
import type { RequestHandler } from "express";
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

/** Requests that one connection may send ahead of their answers. UQPAY waits for each answer. */
const MOST_PIPELINED = 8;

/** Refuses at once what cannot be held, before anything of its body is read: UQPAY tries again. */
export function limitInFlight(limits: InFlightLimits): RequestHandler {
  const inFlight = { small: 0, large: 0 };
  const ahead = new WeakMap<Socket, number>();
  return (request, response, next) => {
    const { socket } = request;
    const pipelined = (ahead.get(socket) ?? 0) + 1;
    if (pipelined > MOST_PIPELINED) {
      socket.destroy();
      return;
    }
    ahead.set(socket, pipelined);
    response.once("close", () => {
      ahead.set(socket, (ahead.get(socket) ?? 1) - 1);
    });
    // Without a declared length it may become large.
    const declared = Number(
      request.headers["content-length"] ?? limits.largeFromBytes,
    );
    const size = declared >= limits.largeFromBytes ? "large" : "small";
    if (inFlight[size] >= limits[size]) {
      response.locals["outcome"] = "overloaded";
      response.set("Connection", "close");
      answerUnavailable(response);
      return;
    }
    inFlight[size]++;
    response.once("close", () => {
      inFlight[size]--;
    });
    next();
  };
}
