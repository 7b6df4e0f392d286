/**
 * Gives one promise to all who ask in a turn of the event loop; it resolves when all that had arrived has been read.
 *
 * A refusal needs nothing but the request, and would be written between the reading of two others. Each such write wakes
 * the sender anew, which was two fifths of the time that a refusal took, and whoever is genuine waits behind it.
 */
export function createEndOfTurn(): () => Promise<void> {
  let end: Promise<void> | undefined;
  return () =>
    (end ??= new Promise((resolve) => {
      setImmediate(() => {
        end = undefined;
        resolve();
      });
    }));
}
