/**
 * What UQPAY or a forger named may hold control characters, and a terminal obeys them: they are shown as `\x1b`, only a
 * line's end is left.
 */
export function escapeControl(text: string): string {
  return text.replace(CONTROL_CHARACTER, escape);
}

/** The same for one cell or name, in which a line's end is no more welcome. */
export function printable(text: string): string {
  return text.replace(/\n/g, escape).replace(CONTROL_CHARACTER, escape);
}

const CONTROL_CHARACTER = /[\x00-\x09\x0b-\x1f\x7f-\x9f]/g;

function escape(character: string): string {
  return `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
}
