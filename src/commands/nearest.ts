import { closest, distance } from "fastest-levenshtein";

/** The known name that somebody may have meant, if one is close enough. */
export function findNearest(
  text: string,
  known: readonly string[],
): string | undefined {
  if (known.length === 0) return undefined;
  const nearest = closest(text, known);
  const allowed = Math.max(1, Math.floor(nearest.length * 0.4));
  return distance(text, nearest) <= allowed ? nearest : undefined;
}
