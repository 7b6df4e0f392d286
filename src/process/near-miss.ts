import { distance } from "fastest-levenshtein";

/** A variable that is set, is not known, and reads like one that is. */
export interface NearMiss {
  readonly name: string;
  readonly nearest: string;
}

/** Nobody else's: what begins like this and is not known was meant for this service, or for a newer version of it. */
const OUR_PREFIXES =
  /^(UQPAY|EVENT|REQUEUE|RETENTION|WORKER|SHUTDOWN|TRUSTED|KEEP_ALIVE|HANG|OPS|QUEUE|ADMIN)_/;

/** Names as short as PORT are one letter away from other words. */
const SHORTEST = 6;

/** Letters that may differ: of a name that begins like ours a share of them, as for UQPAY_SECRET. */
const OF_OURS = 0.4;
const OF_ANY = 2;

/**
 * Misspelt names, for a warning: a variable that is not read looks as if it worked. A name that begins like ours may
 * differ by more than one that could be of any other program: DATABASE_HOST and REDIS_PORT are set in many places.
 */
export function findNearMisses(
  names: readonly string[],
  known: readonly string[],
): NearMiss[] {
  return names
    .filter((name) => !known.includes(name))
    .flatMap((name) => {
      const nearest = findNearest(name.toUpperCase(), known);
      return nearest === undefined ? [] : [{ name, nearest }];
    });
}

function findNearest(
  name: string,
  known: readonly string[],
): string | undefined {
  const prefix = OUR_PREFIXES.exec(name)?.[0];
  const [best] = known
    .filter((other) => other.length >= SHORTEST)
    .filter((other) => name.includes("_FILE") || !other.endsWith("_FILE"))
    .map((other) => ({ other, away: distance(name, other) }))
    .filter(({ other, away }) => {
      const isOurs = prefix !== undefined && other.startsWith(prefix);
      const most = Math.max(name.length, other.length) * OF_OURS;
      return away <= (isOurs ? most : OF_ANY);
    })
    .toSorted((a, b) => a.away - b.away);
  return best?.other;
}
