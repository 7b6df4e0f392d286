import { expect, jest, test } from "@jest/globals";

test("no code is made from strings to check the configuration", async () => {
  const made = jest.spyOn(globalThis, "Function");

  const { loadConfig } = await import("../../src/config.ts");
  loadConfig({});

  expect(made).not.toHaveBeenCalled();
});
