/** Of jest.config.js what a mutant needs: the unit tests of what is changed, without servers. */
export default {
  rootDir: "../..",
  roots: ["<rootDir>/src", "<rootDir>/test/unit", "<rootDir>/test/support"],
  watchman: false,
  testEnvironment: "node",
  testMatch: ["<rootDir>/test/unit/{domain,projections,uqpay}/**/*.test.ts"],
  extensionsToTreatAsEsm: [".ts"],
  transform: {
    "^.+\\.ts$": ["ts-jest", { useESM: true, diagnostics: false }],
  },
};
