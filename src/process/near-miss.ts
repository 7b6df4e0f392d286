import { closest, distance } from "fastest-levenshtein";

/** A variable that is set, is not known, and reads like one that is. */
export interface NearMiss {
  readonly name: string;
  readonly nearest: string;
}

/** Share of a name's letters that may be wrong. */
const WRONG_LETTERS = 0.4;

/** The known word that may have been meant, if one is close enough. */
export function findNearest(
  text: string,
  known: readonly string[],
): string | undefined {
  if (known.length === 0) return undefined;
  const nearest = closest(text, known);
  const allowed = Math.max(1, Math.floor(nearest.length * WRONG_LETTERS));
  return distance(text, nearest) <= allowed ? nearest : undefined;
}

/** A name that begins so was meant for this service, or for a newer version of it. */
const OUR_PREFIXES =
  /^(UQPAY|EVENT|REQUEUE|RETENTION|WORKER|SHUTDOWN|TRUSTED|KEEP_ALIVE|HANG|OPS|QUEUE|ADMIN)_/;

/** Names as short as PORT are one letter away from other words. */
const SHORTEST = 6;

/** Letters that may differ in a name that may belong to any other program: DATABASE_HOST is set in many places. */
const OF_ANY = 2;

/** Misspelt variables, for a warning: a variable that is not read looks as if it worked. */
export function findNearMisses(
  names: readonly string[],
  known: readonly string[],
): NearMiss[] {
  return names
    .filter((name) => !known.includes(name))
    .flatMap((name) => {
      const nearest = findNearestVariable(name.toUpperCase(), known);
      return nearest === undefined ? [] : [{ name, nearest }];
    });
}

function findNearestVariable(
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
      const most = Math.max(name.length, other.length) * WRONG_LETTERS;
      return away <= (isOurs ? most : OF_ANY);
    })
    .toSorted((a, b) => a.away - b.away);
  return best?.other;
}
