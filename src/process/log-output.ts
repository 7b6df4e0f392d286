import { fstatSync, writeSync } from "node:fs";

/** What a reader that stands still leaves in memory, at most; lines beyond it are dropped and counted. */
const MOST_HELD_BYTES = 1024 * 1024;

/** Where the lines of the log go. */
export interface LogOutput {
  readonly write: (line: string) => void;
}

/**
 * Standard output, such that no reader of it can hold or end the service: one that reads no more, one that is gone, a
 * disk that is full. What cannot be written is dropped, and a line says how many were as soon as one can be written.
 */
export function createLogOutput(): LogOutput {
  const writeNow = isFile(process.stdout.fd) ? writeToFile : writeToStream;
  let dropped = 0;
  // Without a listener a broken pipe ends the process, again after each restart.
  process.stdout.on("error", () => undefined);
  return {
    write: (line) => {
      if (dropped > 0 && writeNow(tellDropped(dropped))) dropped = 0;
      if (dropped > 0 || !writeNow(line)) dropped++;
    },
  };
}

function tellDropped(count: number): string {
  const time = new Date().toISOString();
  return `${JSON.stringify({ level: 40, time, count, msg: "log lines dropped" })}\n`;
}

function isFile(fd: number): boolean {
  try {
    return fstatSync(fd).isFile();
  } catch {
    return false;
  }
}

/** Not by the stream, which never writes again once a write has failed. */
function writeToFile(text: string): boolean {
  try {
    writeSync(process.stdout.fd, text);
    return true;
  } catch {
    return false;
  }
}

/** Of a pipe the stream keeps what its reader has not taken, and does not wait for it. */
function writeToStream(text: string): boolean {
  const { stdout } = process;
  if (!stdout.writable || stdout.writableLength > MOST_HELD_BYTES) return false;
  stdout.write(text);
  return true;
}
