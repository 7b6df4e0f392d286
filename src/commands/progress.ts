import type { Output } from "./frame.ts";

/** Says on standard error how far a command is. */
export interface Progress {
  /** Takes the place of what was told before. */
  readonly tell: (text: string) => void;
  /** Makes room for other output. */
  readonly clear: () => void;
  readonly stop: () => void;
}

const FIRST_MS = 1_000;
/** A terminal shows one line that changes; a file gets a line each time. */
const NEXT_MS = { terminal: 250, file: 5_000 };

/** Tells nothing in the first second. */
export function startProgress(stderr: Output, isWanted: boolean): Progress {
  const isTerminal = stderr.isTTY === true;
  let text = "working";
  let isShown = false;
  const clear = () => {
    if (isShown && isTerminal) stderr.write("\r\x1b[K");
    isShown = false;
  };
  const show = () => {
    clear();
    stderr.write(isTerminal ? `${text} …` : `${text} …\n`);
    isShown = true;
    timer = setTimeout(show, isTerminal ? NEXT_MS.terminal : NEXT_MS.file);
  };
  let timer = isWanted ? setTimeout(show, FIRST_MS) : undefined;
  return {
    tell: (next) => (text = next),
    clear,
    stop: () => {
      clearTimeout(timer);
      clear();
    },
  };
}
