import type { Socket } from "node:net";
import type { Transform } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";
import type { RequestHandler, Response } from "express";
import { answerError, answerUnavailable } from "./error-answer.ts";

/** UQPAY's largest known event has about 1.4 KB; a metadata of the largest size still fits many times. */
const MAX_BODY_BYTES = 256 * 1024;

/** A media type that is JSON: `application/json` or `application/…+json`, with any parameters. */
const JSON_TYPE = /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i;

/** Told how many bytes are held for a request. False: it may not hold so many now. */
export type Hold = (response: Response, bytes: number) => boolean;

/**
 * Reads the body as bytes, since the signature is over bytes, and refuses what is too large or not JSON. The
 * body is read whatever its type, so that one that is too large is told so first.
 */
export function readRawBody(hold: Hold): readonly RequestHandler[] {
  return [refuseDeclaredSize, collectBody(hold), refuseOtherTypes];
}

/** Nothing is read of a body that says itself that it is too large, also not to learn how it is encoded. */
const refuseDeclaredSize: RequestHandler = (request, response, next) => {
  if (Number(request.headers["content-length"] ?? 0) > MAX_BODY_BYTES)
    answerTooLarge(response);
  else next();
};

/**
 * More parts than this, and more than one for each so many bytes, come from no honest sender. An event of UQPAY's size
 * may come byte by byte.
 */
const FREE_PARTS = 2_048;
const BYTES_PER_PART = 64;

/** What can be undone, and by what. */
const DECODERS: ReadonlyMap<string, () => Transform> = new Map<
  string,
  () => Transform
>([
  ["gzip", createGunzip],
  ["deflate", createInflate],
  ["br", createBrotliDecompress],
]);

/**
 * A body in chunks says no length, and a compressed one says another: what counts is what is held. Each is refused as
 * soon as it has passed a limit. Who sends on after that is cut off: what follows an answer is still parsed.
 */
function collectBody(hold: Hold): RequestHandler {
  return (request, response, next) => {
    const encoding = request.headers["content-encoding"]?.toLowerCase() ?? "";
    const makeDecoder = DECODERS.get(encoding);
    const isChunked = request.headers["transfer-encoding"] !== undefined;
    const body = createCollector();
    let parts = 0;
    let bytes = 0;
    let isRefused = false;

    const refuse = (answer: (response: Response) => void) => {
      isRefused = true;
      request.off("end", finish);
      body.drop();
      answer(response);
    };
    const take = (chunk: Buffer) => {
      parts++;
      bytes += chunk.length;
      const isTooLarge = bytes > MAX_BODY_BYTES;
      if (isChunked && parts > FREE_PARTS + bytes / BYTES_PER_PART)
        request.socket.destroy();
      else if (isRefused) {
        // One that was told so gets the time to read it.
        if (isTooLarge && isChunked && !isClosing(response))
          request.socket.destroy();
      } else if (isTooLarge) refuse(answerTooLarge);
      else if (!hold(response, bytes)) refuse(answerNoPlace);
      else body.add(chunk);
    };
    const finish = () => {
      const whole = body.whole();
      const pass = (read: Buffer) => {
        request.body = read;
        next();
      };
      if (makeDecoder === undefined) pass(whole);
      else
        decode(makeDecoder(), whole, {
          mayHold: (more) => hold(response, whole.length + more),
          onEnd: pass,
          onRefused: (answer) => {
            answer(response);
          },
        });
    };

    request.on("data", take).on("end", finish);
    if (makeDecoder === undefined && !["", "identity"].includes(encoding))
      refuse(answerEncoding);
  };
}

/** What comes in many small parts is held as one piece: each part by itself would take hundreds of bytes more. */
function createCollector() {
  let held: Buffer = Buffer.alloc(0);
  let size = 0;
  return {
    add: (chunk: Buffer): void => {
      if (size === 0) held = chunk;
      else {
        const needed = size + chunk.length;
        if (needed > held.length) {
          const larger = Buffer.allocUnsafeSlow(
            Math.max(needed, 2 * held.length),
          );
          held.copy(larger, 0, 0, size);
          held = larger;
        }
        chunk.copy(held, size);
      }
      size += chunk.length;
    },
    whole: () => held.subarray(0, size),
    drop: () => {
      held = Buffer.alloc(0);
      size = 0;
    },
  };
}

interface Decoding {
  readonly mayHold: (bytes: number) => boolean;
  readonly onEnd: (body: Buffer) => void;
  readonly onRefused: (answer: (response: Response) => void) => void;
}

/** Only what has come whole is decompressed: a decoder that waited for a slow sender would hold more than the body. */
function decode(
  decoder: Transform,
  compressed: Buffer,
  { mayHold, onEnd, onRefused }: Decoding,
): void {
  const body = createCollector();
  let bytes = 0;
  const refuse = (answer: (response: Response) => void) => {
    decoder.removeAllListeners();
    // What it was given may still turn out to be broken.
    decoder.on("error", () => undefined).destroy();
    onRefused(answer);
  };
  decoder.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) refuse(answerTooLarge);
    else if (!mayHold(bytes)) refuse(answerNoPlace);
    else body.add(chunk);
  });
  decoder.on("error", () => {
    refuse(answerEncoding);
  });
  decoder.on("end", () => {
    onEnd(body.whole());
  });
  decoder.end(compressed);
}

const refuseOtherTypes: RequestHandler = (request, response, next) => {
  if (JSON_TYPE.test(request.headers["content-type"] ?? "")) next();
  else
    answerError(
      response,
      415,
      "unsupported_media_type",
      "Send application/json.",
    );
};

function answerEncoding(response: Response): void {
  answerError(
    response,
    415,
    "unsupported_media_type",
    "This content-encoding cannot be undone.",
  );
}

function answerTooLarge(response: Response): void {
  closeAfter(response);
  answerError(
    response,
    413,
    "payload_too_large",
    `The body must have at most ${String(MAX_BODY_BYTES)} bytes.`,
  );
}

function answerNoPlace(response: Response): void {
  closeAfter(response);
  response.locals["cause"] = "overloaded";
  answerUnavailable(response);
}

function isClosing(response: Response): boolean {
  return response.get("Connection") === "close";
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
