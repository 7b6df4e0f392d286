import type { Output } from "./frame.ts";

/** Says how far a command is. */
export interface Progress {
  /** Takes the place of what was told before. */
  readonly tell: (text: string) => void;
}

interface RunningProgress extends Progress {
  /** Makes room for other output. */
  readonly clear: () => void;
  readonly stop: () => void;
}

const FIRST_MS = 1_000;
/** A terminal shows one line that changes; a file gets a line each time. */
const NEXT_MS = { terminal: 250, file: 5_000 };

/** Tells nothing in the first second, then on standard error. */
export function startProgress(
  stderr: Output,
  isWanted: boolean,
): RunningProgress {
  let text = "working";
  let isShown = false;
  let timer: NodeJS.Timeout | undefined;
  const clear = () => {
    if (isShown && stderr.isTTY) stderr.write("\r\x1b[K");
    isShown = false;
  };
  const show = () => {
    clear();
    stderr.write(stderr.isTTY ? `${text} …` : `${text} …\n`);
    isShown = true;
    timer = setTimeout(show, stderr.isTTY ? NEXT_MS.terminal : NEXT_MS.file);
    timer.unref();
  };
  if (isWanted) {
    timer = setTimeout(show, FIRST_MS);
    timer.unref();
  }
  return {
    tell: (next) => (text = next),
    clear,
    stop: () => {
      clearTimeout(timer);
      clear();
    },
  };
}
