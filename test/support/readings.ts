import { Unreadable } from "../../src/uqpay/fields.ts";

/** What a reader makes of a value: ours, or what is wrong with it. */
export function outcomeOf<Value>(
  read: (input: unknown) => Value,
): (input: unknown) => { value: Value } | { fault: string } {
  return (input) => {
    try {
      return { value: read(input) };
    } catch (error) {
      if (error instanceof Unreadable) return { fault: error.message };
      throw error;
    }
  };
}
