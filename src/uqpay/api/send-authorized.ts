import { setTimeout as sleep } from "node:timers/promises";
import type { AccessToken } from "./access-token.ts";
import { readAccessToken, shareAccessTokens } from "./access-token.ts";
import type { UqpayApiOptions } from "./client.ts";
import { readingOf, refuseFaults } from "./judge-answer.ts";
import type { ApiAnswer } from "./send-request.ts";
import { sendRequest } from "./send-request.ts";

interface Sent {
  readonly answer: ApiAnswer;
  /** UQPAY's clock, as it was known before. */
  readonly knownBeforeMs: number | undefined;
}

const TIMEOUT_MS = 15_000;
const TOKEN_REQUEST = "POST /v1/connect/token";

/** Sends calls within the budget and with a token, which is renewed once where it is refused. */
export function createSender(
  options: UqpayApiOptions,
): (name: string, path: string, signal?: AbortSignal) => Promise<Sent> {
  const { baseUrl, clientId, apiKey, budget, nowMs } = options;
  const { timeoutMs = TIMEOUT_MS } = options;
  const tokens = shareAccessTokens(fetchToken, nowMs);
  let latestDateMs: number | undefined;

  async function fetchToken(): Promise<AccessToken> {
    const sentAtMs = nowMs();
    const request = {
      method: "POST",
      url: `${baseUrl}/v1/connect/token`,
      headers: { "x-client-id": clientId, "x-api-key": apiKey },
      name: TOKEN_REQUEST,
    } as const;
    // Without a signal: others wait for it, too.
    const answer = await sendRequest(request, timeoutMs);
    refuseFaults(TOKEN_REQUEST, answer);
    return readingOf(TOKEN_REQUEST, answer, (json) =>
      readAccessToken(json, answer.dateMs, sentAtMs),
    );
  }

  async function sendWith(
    token: AccessToken,
    name: string,
    path: string,
    signal: AbortSignal | undefined,
  ): Promise<Sent> {
    const url = baseUrl + path;
    const headers = { "x-auth-token": `Bearer ${token.text}` };
    const knownBeforeMs = latestDateMs;
    const request = { method: "GET", url, headers, name } as const;
    const answer = await sendRequest(request, timeoutMs, signal);
    const { dateMs, json, status } = answer;
    // The clock of UQPAY, and not that of a gateway before it.
    if (dateMs !== undefined && status === 200 && json !== undefined)
      latestDateMs = Math.max(dateMs, latestDateMs ?? dateMs);
    return { answer, knownBeforeMs };
  }

  async function untilAllowed(signal: AbortSignal | undefined): Promise<void> {
    for (;;) {
      signal?.throwIfAborted();
      const waitMs = await budget.take();
      if (waitMs <= 0) return;
      await sleep(waitMs, undefined, { signal });
    }
  }

  return async (name, path, signal) => {
    await untilAllowed(signal);
    const token = await tokens.get();
    const sent = await sendWith(token, name, path, signal);
    if (sent.answer.status !== 401) return sent;
    // It may have ended early, or the new one of another instance has ended it.
    tokens.refuse(token);
    await untilAllowed(signal);
    return await sendWith(await tokens.get(), name, path, signal);
  };
}
