import { dirname, join, relative, sep } from "node:path";
import { defineConfig, globalIgnores } from "eslint/config";
import jest from "eslint-plugin-jest";
import tseslint from "typescript-eslint";

/** The files that build the service from its parts: the only ones that may import everything. */
const compositionFiles = [
  "src/main.ts",
  "src/cli.ts",
  "src/demo.ts",
  "src/serve.ts",
  "src/service.ts",
  "src/worker.ts",
  "src/prepare-database.ts",
  "src/commands/**",
  "src/demo/**",
];

/** What the service does (the first five), and what its operator does with it. */
const useCases = [
  "src/receive-webhook.ts",
  "src/place-hints.ts",
  "src/reconcile-events.ts",
  "src/apply-earlier-copies.ts",
  "src/requeue-stalled.ts",
  "src/prune-bodies.ts",
  "src/recompute-projection.ts",
  "src/replay-events.ts",
];

/**
 * What each place may import besides itself, and why nothing else. A folder ends in "/"; "node:" stands for
 * everything that Node.js brings.
 */
const places = [
  {
    files: ["src/domain/"],
    mayImport: [],
    why: "domain/ imports only itself: its rules are pure functions, so they can be read, tested and trusted without a database, a wire format or a clock.",
  },
  {
    files: ["src/uqpay/"],
    mayImport: ["src/domain/", "zod", "node:crypto", "node:buffer"],
    why: "uqpay/ translates UQPAY's wire format into our words and does nothing else: it must work on bytes alone, without storage, HTTP or the network.",
  },
  {
    files: ["src/store/"],
    mayImport: ["src/domain/", "src/database-url.ts", "kysely", "pg", "node:"],
    why: "store/ is all SQL in our words: when UQPAY changes its wire format, no statement may have to change.",
  },
  {
    files: ["src/queue/"],
    mayImport: [
      "src/store/session.ts",
      "src/store/spent-connections.ts",
      "bullmq",
      "ioredis",
      "pg",
      "node:events",
      "node:timers",
    ],
    why: "queue/ moves event ids and knows nothing about what they stand for: so it can never become a second place where the truth is kept. What a session needs, and when it is of no more use, is the same for every pool, and said once.",
  },
  {
    files: ["src/embedded/"],
    mayImport: ["pg", "zod", "node:"],
    why: "embedded/ runs a PostgreSQL for development and tests and knows nothing of this service: so production never depends on it.",
  },
  {
    files: ["src/http/"],
    mayImport: ["express", "node:"],
    mayImportTypes: [
      "src/receive-webhook.ts",
      "src/metrics.ts",
      "src/logger.ts",
    ],
    why: "http/ turns requests into calls and results into answers: it is given the use cases as functions and takes only types from them, so SQL, the queue and signatures cannot end up in a route.",
  },
  {
    files: useCases,
    mayImport: [
      "src/domain/",
      "src/uqpay/",
      "src/store/",
      "src/batcher.ts",
      "src/checkpoint.ts",
      "src/take-turns.ts",
      ...useCases,
      "node:crypto",
      "node:timers/promises",
    ],
    mayImportTypes: ["kysely"],
    why: "A use case says what happens to a webhook, not how it is transported: without Express and BullMQ in it, a test calls it as a function and the queue can be exchanged.",
  },
  {
    files: ["src/operate/"],
    mayImport: ["src/domain/", "src/uqpay/", "src/store/", ...useCases],
    why: "operate/ holds the rules behind the operator's commands and gives data: without a terminal, Express or BullMQ in it, a console can show the same.",
  },
  {
    files: ["src/send-event.ts"],
    mayImport: ["src/uqpay/", "node:"],
    why: "The sender plays UQPAY's part: if it shared more than the wire format with the service, what it sends would prove little.",
  },
  {
    files: ["src/**"],
    ignores: [
      ...compositionFiles,
      ...useCases,
      "src/send-event.ts",
      ...[
        "domain",
        "uqpay",
        "store",
        "queue",
        "embedded",
        "http",
        "operate",
      ].map((folder) => `src/${folder}/**`),
    ],
    mayImport: [
      "src/batcher.ts",
      "src/config.ts",
      "src/database-url.ts",
      "src/log-output.ts",
      "src/logger.ts",
      "src/near-miss.ts",
      "fastest-levenshtein",
      "src/periodic.ts",
      "node:",
      "pino",
      "prom-client",
      "zod",
    ],
    why: "What eslint.config.js does not list as a place of its own, a use case or a composition file is a tool, which knows no part of the service: if it is none, list it there.",
  },
];

const envIsReadOnce = {
  object: "process",
  property: "env",
  message:
    "The environment is read where a program begins (main.ts, cli.ts, demo.ts) and checked as a whole by loadConfig: take what you need from Config, as an argument.",
};

const timeIsAnArgument =
  "Time is an argument: the same events must give the same card whenever they are applied.";
const randomnessIsAnArgument =
  "Randomness is an argument: the same events must give the same card however often they are applied.";

export default defineConfig(
  globalIgnores(["dist/", "coverage/", ".data/"]),
  {
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      // What the service says goes through its logger, where it is redacted; the operator's commands write to process.stdout.
      "no-console": "error",
      eqeqeq: "error",
    },
  },
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/no-import-type-side-effects": "error",
      // A default case would hide the very omission that this rule is here to find.
      "@typescript-eslint/switch-exhaustiveness-check": [
        "error",
        {
          requireDefaultForNonUnion: true,
          considerDefaultExhaustiveForUnions: false,
        },
      ],
      // `() => sleep(5)` is how a callback is written; a void value that is really used stays an error.
      "@typescript-eslint/no-confusing-void-expression": [
        "error",
        { ignoreArrowShorthand: true },
      ],
      // Spreading a text gives its code points, which is how PostgreSQL counts and orders too.
      "@typescript-eslint/no-misused-spread": ["error", { allow: ["string"] }],
      // A number in a text reads as everybody expects; objects, null and undefined stay errors.
      "@typescript-eslint/restrict-template-expressions": [
        "error",
        { allowNumber: true },
      ],
    },
  },
  {
    files: ["src/**/*.ts", "db/**/*.ts"],
    ignores: ["src/main.ts", "src/cli.ts", "src/demo.ts"],
    rules: {
      "no-restricted-properties": ["error", envIsReadOnce],
      "no-restricted-imports": [
        "error",
        { name: "node:process", message: envIsReadOnce.message },
      ],
    },
  },
  {
    files: ["src/domain/**/*.ts"],
    rules: {
      "no-restricted-properties": [
        "error",
        envIsReadOnce,
        { object: "Date", property: "now", message: timeIsAnArgument },
        { object: "Math", property: "random", message: randomnessIsAnArgument },
      ],
      "no-restricted-globals": [
        "error",
        { name: "performance", message: timeIsAnArgument },
        { name: "crypto", message: randomnessIsAnArgument },
      ],
      "no-restricted-syntax": [
        "error",
        {
          selector: "NewExpression[callee.name='Date'][arguments.length=0]",
          message: timeIsAnArgument,
        },
        {
          selector: "CallExpression[callee.name='Date']",
          message: timeIsAnArgument,
        },
      ],
    },
  },
  { plugins: { places: { rules: { "may-import": mayImportRule() } } } },
  ...places.map(({ files, ignores = [], ...options }) => ({
    files: files.map((file) => (file.endsWith("/") ? `${file}**` : file)),
    ignores,
    rules: {
      "places/may-import": [
        "error",
        {
          ...options,
          mayImport: [
            ...files.filter((file) => file.endsWith("/")),
            ...options.mayImport,
          ],
        },
      ],
    },
  })),
  {
    files: ["test/**"],
    extends: [jest.configs["flat/recommended"]],
    rules: {
      // Titles are rules of the service, in the present tense.
      "jest/valid-title": ["error", { disallowedWords: ["should"] }],
      "jest/prefer-importing-jest-globals": "error",
      // Properties assert by failing; a helper that asserts says so in its name.
      "jest/expect-expect": [
        "error",
        { assertFunctionNames: ["expect*", "fc.assert", "**.expect"] },
      ],
      // `asRoot` and `onQueue` are `test`, or `test.skip` where they cannot run.
      "jest/no-standalone-expect": [
        "error",
        { additionalTestBlockFunctions: ["asRoot", "onQueue"] },
      ],
    },
  },
  {
    files: ["test/**/*.ts"],
    rules: {
      // What is missing fails the test at that very place.
      "@typescript-eslint/no-non-null-assertion": "off",
      // A stand-in is as asynchronous as what it stands for.
      "@typescript-eslint/require-await": "off",
    },
  },
  {
    files: ["**/*.js", "**/*.mjs"],
    extends: [tseslint.configs.base],
  },
);

/**
 * A list of what may be imported, after resolving the path: `no-restricted-imports` compares the text, in which
 * "../fields.ts" means another folder at each depth, and does not see `import()`.
 */
function mayImportRule() {
  const strings = { type: "array", items: { type: "string" } };
  return {
    meta: {
      type: "problem",
      schema: [
        {
          type: "object",
          properties: {
            mayImport: strings,
            mayImportTypes: strings,
            why: { type: "string" },
          },
          required: ["mayImport", "why"],
          additionalProperties: false,
        },
      ],
    },
    create(context) {
      const [{ mayImport, mayImportTypes = [], why }] = context.options;
      const folder = dirname(relative(context.cwd, context.filename));

      function check({ source, importKind, exportKind }) {
        if (source === null) return;
        const isTypeOnly = importKind === "type" || exportKind === "type";
        const allowed = isTypeOnly
          ? [...mayImport, ...mayImportTypes]
          : mayImport;
        if (allowed.some((entry) => covers(entry, nameOf(source)))) return;
        context.report({ node: source, message: why });
      }

      function nameOf({ value }) {
        const isPath = typeof value === "string" && value.startsWith(".");
        return isPath ? join(folder, value).split(sep).join("/") : value;
      }

      return {
        ImportDeclaration: check,
        ImportExpression: check,
        ExportNamedDeclaration: check,
        ExportAllDeclaration: check,
      };
    },
  };
}

/** A folder and "node:" cover what begins with them; a package covers its subpaths. */
function covers(entry, name) {
  if (typeof name !== "string") return false;
  if (/[/:]$/.test(entry)) return name.startsWith(entry);
  return name === entry || name.startsWith(`${entry}/`);
}
