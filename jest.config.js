import { availableParallelism } from "node:os";

/**
 * Projects, one folder each: `unit` and `property` need nothing, `integration` and `e2e` share one PostgreSQL (and one
 * Redis) that the global set-up starts, `majors` starts the servers of other versions that POSTGRES_PACKAGES has. Types are checked by `npm run typecheck`.
 */
function project(name, more = {}) {
  return {
    displayName: name,
    testMatch: [`<rootDir>/test/${name}/**/*.test.ts`],
    testEnvironment: "node",
    extensionsToTreatAsEsm: [".ts"],
    // ts-jest takes `isolatedModules` from tsconfig.json; its own option of that name is deprecated.
    transform: {
      "^.+\\.ts$": ["ts-jest", { useESM: true, diagnostics: false }],
    },
    // dist/ has no package of its own, but a second copy of everything.
    modulePathIgnorePatterns: ["<rootDir>/dist/", "<rootDir>/.data/"],
    ...more,
  };
}

const withServers = {
  // Jest runs a file once, however many projects name it.
  globalSetup: "<rootDir>/test/support/global-setup.js",
  globalTeardown: "<rootDir>/test/support/global-teardown.js",
};

const complete = { statements: 100, branches: 100, functions: 100, lines: 100 };

/** @type {import("jest").Config} */
export default {
  projects: [
    project("unit"),
    project("property"),
    project("integration", withServers),
    project("e2e", withServers),
    // Older servers are no dependencies of this project: .ci/run brings them.
    ...(process.env.POSTGRES_PACKAGES ? [project("majors")] : []),
  ],
  reporters: ["default", "<rootDir>/test/support/unique-titles.js"],
  // For a machine that does other things, too. Jest reads it here only: in a project it is ignored.
  testTimeout: 60_000,
  // More than there are cores: most suites wait half of their time, for processes that start, stop or try again.
  maxWorkers: Math.ceil(availableParallelism() * 1.5),
  // Only with `--coverage`. The rules are held to be complete; elsewhere coverage says little.
  collectCoverageFrom: [
    "src/domain/**/*.ts",
    "src/projections/**/*.ts",
    "src/uqpay/**/*.ts",
  ],
  coverageThreshold: {
    "src/domain/**/*.ts": complete,
    "src/projections/**/*.ts": complete,
    "src/uqpay/**/*.ts": complete,
  },
  coverageReporters: [["text", { skipFull: true }]],
};
