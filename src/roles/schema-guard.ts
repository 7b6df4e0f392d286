import type { SchemaDifference } from "../../db/migrate.ts";
import { startPeriodic } from "../process/periodic.ts";

/** Keeps a release from working on a schema that it does not know. */
export interface SchemaGuard {
  /** Whether the schema was this release's when it was last looked at. */
  readonly isOpen: () => boolean;
  /** Looks now. @throws when the database cannot be asked */
  readonly look: () => Promise<boolean>;
  readonly stop: () => Promise<void>;
}

/** During an upgrade both releases run beside each other; what the older one does meanwhile must fit. */
const LOOK_EVERY_MS = 1_000;

/**
 * @param onChange told when the schema ceases to be the one that this release knows, and when it is that again
 */
export function startSchemaGuard(
  compare: () => Promise<SchemaDifference>,
  onChange: (isOpen: boolean, difference: SchemaDifference) => void,
): SchemaGuard {
  let isOpen = true;
  const look = async (): Promise<boolean> => {
    const difference = await compare();
    const { pending, unknown } = difference;
    const fits = pending.length + unknown.length === 0;
    if (fits !== isOpen) {
      isOpen = fits;
      onChange(isOpen, difference);
    }
    return isOpen;
  };
  // A database that cannot be asked tells nothing of its schema.
  const periodic = startPeriodic(LOOK_EVERY_MS, async () => {
    await look().catch(() => undefined);
  });
  return { isOpen: () => isOpen, look, stop: periodic.stop };
}
