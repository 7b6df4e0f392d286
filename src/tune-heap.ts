import { setFlagsFromString } from "node:v8";

/**
 * Has V8 put every new object where it looks for garbage often. It would learn from the first collections, which find the
 * requests under way still alive, that these objects live long, and in every second process it then put them where only
 * a full collection finds them: 130 us for an answer instead of 100, and 60 MiB.
 */
export function tuneHeap(): void {
  setFlagsFromString("--no-allocation-site-pretenuring");
}
