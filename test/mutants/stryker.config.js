/**
 * Changes the rules one at a time and counts which changes a unit test notices. run.mjs starts it.
 *
 * @type {import("@stryker-mutator/api/core").PartialStrykerOptions}
 */
export default {
  mutate: ["src/domain/**/*.ts", "src/uqpay/**/*.ts"],
  thresholds: { high: 95, low: 90, break: 90 },
  testRunner: "jest",
  plugins: [process.env.JEST_RUNNER],
  testRunnerNodeArgs: ["--experimental-vm-modules"],
  coverageAnalysis: "perTest",
  // What runs at import, such as a constant: each change of it would need every test again, and half of the time.
  ignoreStatic: true,
  jest: {
    projectType: "custom",
    enableFindRelatedTests: true,
    configFile: "test/mutants/jest.config.js",
  },
  concurrency: 2,
  timeoutMS: 10_000,
  tempDirName: ".data/mutants",
  ignorePatterns: ["dist", ".data", "bench", "docs", "deploy"],
  allowEmpty: false,
  reporters: ["progress-append-only", "clear-text"],
  clearTextReporter: { logTests: false, reportTests: false, allowColor: false },
};
