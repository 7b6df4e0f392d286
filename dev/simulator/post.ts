import { setTimeout as sleep } from "node:timers/promises";
import { sign } from "../../src/uqpay/signature.ts";

/** The status of an answer, or that there was none. */
export type Answer = number | "none";

/** How long UQPAY waits for an answer is not known. */
const TIMEOUT_MS = 10_000;
const MOST_AT_ONCE = 32;

/** Posts signed bodies, some at a time, once it is known where to. */
export function createPost(
  secret: string,
  nowMs: () => number,
  signal: AbortSignal,
) {
  const slots = createSlots(MOST_AT_ONCE);
  let url: string | undefined;
  let setKnown: () => void = () => undefined;
  const known = new Promise<void>((resolve) => (setKnown = resolve));
  return {
    sendTo: (target: string) => {
      url = target;
      setKnown();
    },
    /** @param signedAtMs undefined: signed when it is sent */
    send: async (
      body: string,
      signedAtMs: number | undefined,
      slowMs: number,
    ): Promise<Answer> => {
      if (url === undefined) await unlessAborted(known, signal);
      const free = await slots.take();
      try {
        signal.throwIfAborted();
        const timeMs = signedAtMs ?? nowMs();
        return await post(url ?? "", body, secret, timeMs, slowMs, signal);
      } finally {
        free();
      }
    },
  };
}

async function post(
  url: string,
  body: string,
  secret: string,
  signedAtMs: number,
  slowMs: number,
  signal: AbortSignal,
): Promise<Answer> {
  const timestamp = String(signedAtMs);
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        "x-wk-timestamp": timestamp,
        "x-wk-signature": sign(body, timestamp, secret),
      },
      body: slowMs === 0 ? body : ReadableStream.from(inTwoParts(body, slowMs)),
      duplex: "half",
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    await response.arrayBuffer();
    return response.status;
  } catch {
    signal.throwIfAborted();
    return "none";
  }
}

async function* inTwoParts(body: string, pauseMs: number) {
  const bytes = Buffer.from(body);
  yield bytes.subarray(0, bytes.length / 2);
  await sleep(pauseMs);
  yield bytes.subarray(bytes.length / 2);
}

/** So many at a time: a receiver has seen no more connections of UQPAY's. */
function createSlots(count: number) {
  const waiting: (() => void)[] = [];
  let free = count;
  const release = () => {
    const next = waiting.shift();
    if (next === undefined) free += 1;
    else next();
  };
  return {
    take: async (): Promise<() => void> => {
      if (free > 0) free -= 1;
      else await new Promise<void>((resolve) => waiting.push(resolve));
      return release;
    },
  };
}

async function unlessAborted<Result>(
  work: Promise<Result>,
  signal: AbortSignal,
): Promise<Result> {
  signal.throwIfAborted();
  let abort: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    abort = () => {
      reject(signal.reason as Error);
    };
    signal.addEventListener("abort", abort);
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
