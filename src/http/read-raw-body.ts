import type { Socket } from "node:net";
import { brotliDecompressSync, gunzipSync, inflateSync } from "node:zlib";
import type { Request, RequestHandler, Response } from "express";
import { answerError } from "./answers.ts";
import { MAX_BODY_BYTES } from "./error-codes.ts";

/** A media type that is JSON: `application/json` or `application/…+json`, with any parameters. */
const JSON_TYPE = /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i;

/** Told how many bytes are held for a request. False: it may not hold so many now. */
export type Hold = (response: Response, bytes: number) => boolean;

/**
 * Reads the body as bytes, since the signature is over bytes, and refuses what is too large or not JSON. The
 * body is read whatever its type, so that one that is too large is told so first.
 */
export function readRawBody(hold: Hold): readonly RequestHandler[] {
  return [
    refuseDeclaredSize,
    collectBody(hold),
    decompressBody(hold),
    refuseOtherTypes,
  ];
}

/** Nothing is read of a body that says itself that it is too large, also not to learn how it is encoded. */
const refuseDeclaredSize: RequestHandler = (request, response, next) => {
  if (Number(request.headers["content-length"] ?? 0) > MAX_BODY_BYTES)
    answerTooLarge(response);
  else next();
};

const refuseOtherTypes: RequestHandler = (request, response, next) => {
  if (JSON_TYPE.test(request.headers["content-type"] ?? "")) next();
  else answerError(response, "unsupported_media_type");
};

/**
 * More parts than this, and more than one for each so many bytes, come from no honest sender. An event of UQPAY's size
 * may come byte by byte.
 */
const FREE_PARTS = 2_048;
const BYTES_PER_PART = 64;

/** What comes in many small parts is joined now and then: each part by itself takes hundreds of bytes more. */
const MOST_PIECES = 16;

/**
 * A body in chunks says no length: what counts is what is held, and it is refused as soon as it has passed a limit. A
 * sender that goes on after that is cut off: what follows an answer is still parsed.
 */
function collectBody(hold: Hold): RequestHandler {
  return (request, response, next) => {
    if (!DECODERS.has(encodingOf(request))) {
      closeAfter(response);
      answerError(response, "unsupported_media_type");
    }
    const isChunked = request.headers["transfer-encoding"] !== undefined;
    let pieces: Buffer[] = [];
    let parts = 0;
    let bytes = 0;
    request.on("data", (part: Buffer) => {
      parts++;
      bytes += part.length;
      if (isChunked && parts > FREE_PARTS + bytes / BYTES_PER_PART)
        request.socket.destroy();
      // One that was refused already gets the time to read it.
      else if (response.headersSent) pieces = [];
      else if (bytes > MAX_BODY_BYTES) answerTooLarge(response);
      else if (!hold(response, bytes)) answerNoPlace(response);
      else if (pieces.push(part) > MOST_PIECES)
        pieces = [Buffer.concat(pieces)];
    });
    request.on("end", () => {
      if (response.headersSent) return;
      request.body = Buffer.concat(pieces);
      next();
    });
  };
}

/**
 * Only what has come whole is decompressed, and one body at a time: what waited for a slow sender, or for its turn, would
 * hold more than the body.
 */
function decompressBody(hold: Hold): RequestHandler {
  return (request, response, next) => {
    const read = request.body as Buffer;
    const decode = DECODERS.get(encodingOf(request)) ?? asItIs;
    try {
      request.body = decode(read, { maxOutputLength: MAX_BODY_BYTES });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ERR_BUFFER_TOO_LARGE") answerTooLarge(response);
      else answerError(response, "unsupported_media_type");
      return;
    }
    const body = request.body as Buffer;
    if (decode === asItIs || hold(response, read.length + body.length)) next();
    else answerNoPlace(response);
  };
}

type Decoder = (body: Buffer, limits: { maxOutputLength: number }) => Buffer;

const asItIs: Decoder = (body) => body;

/** What can be undone, and by what. */
const DECODERS: ReadonlyMap<string, Decoder> = new Map([
  ["", asItIs],
  ["identity", asItIs],
  ["gzip", gunzipSync],
  ["deflate", inflateSync],
  ["br", brotliDecompressSync],
]);

function encodingOf({ headers }: Request): string {
  return headers["content-encoding"]?.toLowerCase() ?? "";
}

function answerTooLarge(response: Response): void {
  closeAfter(response);
  answerError(response, "payload_too_large");
}

function answerNoPlace(response: Response): void {
  closeAfter(response);
  response.locals["cause"] = "overloaded";
  answerError(response, "unavailable");
}

/** The connection ends with the answer, and what is still sent is thrown away. */
function closeAfter(response: Response): void {
  response.set("Connection", "close");
  if (response.socket) lingerBeforeClose(response.socket);
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
