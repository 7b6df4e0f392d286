import { brotliDecompressSync, gunzipSync, inflateSync } from "node:zlib";
import type { RequestHandler, Response } from "express";
import { answerError } from "./answers.ts";
import { MAX_BODY_BYTES } from "./error-codes.ts";
import { answerNoPlace } from "./limit-in-flight.ts";

/** A media type that is JSON: `application/json` or `application/…+json`, with any parameters. */
const JSON_TYPE = /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i;

/** Told how many bytes are held for a request. False: it may not hold so many now. */
export type Hold = (response: Response, bytes: number) => boolean;

/**
 * More parts than this, and more than one for each so many bytes, come from no honest sender. An event of UQPAY's size
 * may come byte by byte.
 */
const FREE_PARTS = 2_048;
const BYTES_PER_PART = 64;

/** What comes in many small parts is joined now and then: each part by itself takes hundreds of bytes more. */
const MOST_PIECES = 16;

/**
 * Reads the body as bytes, since the signature is over bytes, and refuses what is too large or not JSON. The
 * body is read whatever its type, so that one that is too large is told so first.
 *
 * A body in chunks says no length: what counts is what is held, and it is refused as soon as it has passed a limit. A
 * sender that goes on after that is cut off: what follows an answer is still parsed.
 */
export function readRawBody(hold: Hold): RequestHandler {
  return (request, response, next) => {
    const { headers, socket } = request;
    // Nothing is read of it, also not to learn how it is encoded.
    if (Number(headers["content-length"] ?? 0) > MAX_BODY_BYTES) {
      answerTooLarge(response);
      return;
    }
    const encoding = headers["content-encoding"]?.toLowerCase() ?? "";
    const decode = DECODERS.get(encoding);
    if (decode === undefined) {
      lingerBeforeClose(response);
      answerError(response, "unsupported_media_type");
    }
    const isChunked = headers["transfer-encoding"] !== undefined;
    let pieces: Buffer[] = [];
    let parts = 0;
    let bytes = 0;
    request.on("data", (part: Buffer) => {
      parts++;
      bytes += part.length;
      if (isChunked && parts > FREE_PARTS + bytes / BYTES_PER_PART)
        socket.destroy();
      // One that was refused already gets the time to read it.
      else if (response.headersSent) pieces = [];
      else if (bytes > MAX_BODY_BYTES) answerTooLarge(response);
      else if (!hold(response, bytes)) refuseToHold(response);
      else if (pieces.push(part) > MOST_PIECES)
        pieces = [Buffer.concat(pieces)];
    });
    request.on("end", () => {
      if (response.headersSent || decode === undefined) return;
      const body = decodeWhole(Buffer.concat(pieces), decode);
      if (body === "too large") answerTooLarge(response);
      else if (
        body === undefined ||
        !JSON_TYPE.test(headers["content-type"] ?? "")
      )
        answerError(response, "unsupported_media_type");
      else if (decode !== asItIs && !hold(response, bytes + body.length))
        refuseToHold(response);
      else {
        request.body = body;
        next();
      }
    });
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

/**
 * Only what has come whole is decompressed, and one body at a time: what waited for a slow sender, or for its turn, would
 * hold more than the body.
 *
 * @returns undefined where it cannot be
 */
function decodeWhole(
  body: Buffer,
  decode: Decoder,
): Buffer | "too large" | undefined {
  try {
    return decode(body, { maxOutputLength: MAX_BODY_BYTES });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === "ERR_BUFFER_TOO_LARGE" ? "too large" : undefined;
  }
}

function answerTooLarge(response: Response): void {
  lingerBeforeClose(response);
  answerError(response, "payload_too_large");
}

function refuseToHold(response: Response): void {
  lingerBeforeClose(response);
  answerNoPlace(response);
}

/** Time for a sender far away to stop sending. */
const LINGER_MS = 1_000;

/**
 * Ends the connection with the answer. Closing a socket on unread data resets it, and a sender that is still sending then
 * sees the reset instead of the answer. So only the answer's direction is closed at first; what still comes is thrown away.
 */
function lingerBeforeClose(response: Response): void {
  response.set("Connection", "close");
  const { socket } = response;
  if (socket === null) return;
  socket.destroySoon = () => {
    socket.end();
    const timer = setTimeout(() => socket.destroy(), LINGER_MS);
    socket.once("close", () => {
      clearTimeout(timer);
    });
  };
}
