import type { Socket } from "node:net";
import type { ErrorRequestHandler, RequestHandler, Response } from "express";
import express from "express";
import { answerError } from "./error-answer.ts";

/** UQPAY's largest known event has about 1.4 KB; a metadata of the largest size still fits many times. */
const MAX_BODY_BYTES = 256 * 1024;

/** A media type that is JSON: `application/json` or `application/…+json`, with any parameters. */
const JSON_TYPE = /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i;

/**
 * Reads the body as bytes, since the signature is over bytes, and refuses what is too large or not JSON. The
 * body is read whatever its type, so that one that is too large is told so first.
 */
export const readRawBody: readonly (RequestHandler | ErrorRequestHandler)[] = [
  refuseDeclaredSize(),
  watchChunks(),
  express.raw({ type: () => true, limit: MAX_BODY_BYTES }),
  answerBodyError(),
  refuseOtherTypes(),
];

/** Nothing is read of a body that says itself that it is too large, also not to learn how it is encoded. */
function refuseDeclaredSize(): RequestHandler {
  return (request, response, next) => {
    if (Number(request.headers["content-length"] ?? 0) > MAX_BODY_BYTES)
      answerTooLarge(response);
    else next();
  };
}

/**
 * More parts than this, and more than one for each so many bytes, come from no honest sender. An event of UQPAY's size
 * may come byte by byte.
 */
const FREE_PARTS = 2_048;
const BYTES_PER_PART = 64;

/**
 * Express' reader would read a body in chunks to its end before it refuses it, and each chunk of one byte costs a
 * buffer and a callback: 1.5 MB of such chunks took 90 MB of memory. The first is answered at once, the second is cut
 * off, since also what follows an answer would still be parsed.
 */
function watchChunks(): RequestHandler {
  return (request, response, next) => {
    if (request.headers["transfer-encoding"] !== undefined) {
      let parts = 0;
      let bytes = 0;
      const count = (chunk: Buffer) => {
        parts++;
        bytes += chunk.length;
        if (parts > FREE_PARTS + bytes / BYTES_PER_PART)
          request.socket.destroy();
        if (bytes <= MAX_BODY_BYTES) return;
        request.off("data", count);
        // It may have been refused for something else meanwhile, such as its encoding.
        if (response.headersSent) request.socket.destroy();
        else answerTooLarge(response);
      };
      request.on("data", count);
    }
    next();
  };
}

function refuseOtherTypes(): RequestHandler {
  return (request, response, next) => {
    if (JSON_TYPE.test(request.headers["content-type"] ?? "")) next();
    else
      answerError(
        response,
        415,
        "unsupported_media_type",
        "Send application/json.",
      );
  };
}

function answerBodyError(): ErrorRequestHandler {
  return (error: unknown, request, response, next) => {
    if (response.headersSent || request.readableAborted) return;
    const type =
      typeof error === "object" && error !== null && "type" in error
        ? error.type
        : undefined;
    if (type === "entity.too.large") answerTooLarge(response);
    else if (
      type === "encoding.unsupported" ||
      request.headers["content-encoding"] !== undefined
    ) {
      answerError(
        response,
        415,
        "unsupported_media_type",
        "This content-encoding cannot be undone.",
      );
    } else next(error);
  };
}

/** The connection ends with the answer: the rest of the body is not taken in. */
function answerTooLarge(response: Response): void {
  response.set("Connection", "close");
  if (response.socket) lingerBeforeClose(response.socket);
  answerError(
    response,
    413,
    "payload_too_large",
    `The body must have at most ${String(MAX_BODY_BYTES)} bytes.`,
  );
}

/** Time for a sender far away to stop sending. */
const LINGER_MS = 1_000;

/**
 * Closing a socket on unread data resets it, and a sender that is still sending then sees the reset instead of
 * the answer (3 of 20 did). So only the answer's direction is closed at first; what still comes is thrown away.
 */
function lingerBeforeClose(socket: Socket): void {
  socket.destroySoon = () => {
    socket.end();
    const timer = setTimeout(() => socket.destroy(), LINGER_MS);
    socket.once("close", () => {
      clearTimeout(timer);
    });
  };
}
