import { Unreadable, readObject } from "../fields.ts";
import { numeralOf } from "../parse-json.ts";

/** What asks with a token, so that it can be told which one was refused. */
export interface AccessToken {
  readonly text: string;
  /** By the clock of `nowMs`. */
  readonly renewAtMs: number;
}

export interface AccessTokens {
  /** The token of all who ask at the moment; a new one where it ends soon. */
  readonly get: () => Promise<AccessToken>;
  /** Takes a token that was refused out of use, where it is still in use. */
  readonly refuse: (token: AccessToken) => void;
}

/**
 * Keeps one token for all: UQPAY's pages disagree on whether a new token ends the older ones. Who asks while one is on
 * its way waits for the same one.
 */
export function shareAccessTokens(
  fetchToken: () => Promise<AccessToken>,
  nowMs: () => number,
): AccessTokens {
  let held: AccessToken | undefined;
  let fetching: Promise<AccessToken> | undefined;
  return {
    get: async () => {
      if (held !== undefined && nowMs() < held.renewAtMs) return held;
      fetching ??= fetchToken().finally(() => {
        fetching = undefined;
      });
      held = await fetching;
      return held;
    },
    refuse: (token) => {
      if (held === token) held = undefined;
    },
  };
}

/** Half an hour, as UQPAY's page says; where an answer says nothing, or what cannot be. */
const USUAL_LIFE_MS = 30 * 60_000;
/** Longer than any request with it takes. */
const MARGIN_MS = 120_000;

/**
 * Reads `{auth_token, expired_at}`. How long it lives is told by UQPAY's clock alone, so that a wrong clock of ours does
 * not matter.
 *
 * @param dateMs UQPAY's clock when it answered
 * @param sentAtMs our clock when it was asked
 * @throws Unreadable where there is no token in it
 */
export function readAccessToken(
  json: unknown,
  dateMs: number | undefined,
  sentAtMs: number,
): AccessToken {
  const { auth_token: text, expired_at: expiry } = readObject(json);
  // It becomes a header: what cannot be one would be repeated in an error.
  if (typeof text !== "string" || !/^[\x21-\x7e]+$/.test(text))
    throw new Unreadable("must be a token", ["auth_token"]);
  const seconds = Number(numeralOf(expiry) ?? expiry);
  const lifeMs = seconds * 1_000 - (dateMs ?? sentAtMs);
  const isLife = lifeMs > 0 && lifeMs < 24 * 3_600_000;
  const life = isLife ? lifeMs : USUAL_LIFE_MS;
  return {
    text,
    renewAtMs: sentAtMs + Math.max(life - MARGIN_MS, life / 2),
  };
}
