import { dirname, join, relative, sep } from "node:path";
import { defineConfig, globalIgnores } from "eslint/config";
import jest from "eslint-plugin-jest";
import tseslint from "typescript-eslint";

/** The files that build the service from its parts: the only ones that may import everything. */
const composition = [
  "src/main.ts",
  "src/cli.ts",
  "src/service.ts",
  "src/roles/",
  "src/commands/",
  "dev/demo/",
  "dev/simulator/main.ts",
];

/** What the service does with a webhook. */
const useCases = [
  "src/receive-webhook.ts",
  "src/apply-events.ts",
  "src/sweep-stalled.ts",
];

/**
 * What each place may import besides itself, and why nothing else. A folder ends in "/"; "node:" stands for
 * everything that Node.js brings; `except` takes a folder inside of one out again.
 */
const places = [
  {
    files: ["src/domain/"],
    mayImport: [],
    why: "domain/ imports only itself: its rules are pure functions, so they can be read, tested and trusted without a database, a wire format or a clock.",
  },
  {
    files: ["src/uqpay/"],
    ignores: ["src/uqpay/api/**"],
    except: ["src/uqpay/api/"],
    mayImport: [
      "src/domain/",
      "zod",
      "lossless-json",
      "node:crypto",
      "node:buffer",
    ],
    why: "uqpay/ translates UQPAY's wire format into our words and does nothing else: it must work on bytes alone, without storage, HTTP or the network.",
  },
  {
    files: ["src/uqpay/api/"],
    mayImport: [
      "src/domain/",
      "src/uqpay/",
      "src/process/retry.ts",
      "node:timers/promises",
      "node:buffer",
    ],
    why: "api/ asks UQPAY over the network and reads its answers as the webhooks are read; the budget of calls, the clock and randomness are given to it, so that it knows no storage and a test can replace them.",
  },
  {
    files: ["src/projections/"],
    mayImport: ["src/domain/"],
    why: "projections/ says which tables we keep and how events become their rows: without connections and the wire format, one file is enough for a table.",
  },
  {
    files: ["src/store/"],
    mayImport: ["src/domain/", "src/projections/", "kysely", "pg", "node:"],
    why: "store/ is all SQL in our words: when UQPAY changes its wire format, no statement may have to change.",
  },
  {
    files: ["src/queue/"],
    mayImport: [
      "src/store/session.ts",
      "src/store/spent-connections.ts",
      "src/process/",
      "bullmq",
      "ioredis",
      "pg",
      "node:events",
      "node:timers",
    ],
    mayImportTypes: ["src/receive-webhook.ts"],
    why: "queue/ moves event ids and knows nothing about what they stand for: so it can never become a second place where the truth is kept. What a session needs, and when it is of no more use, is the same for every pool, and said once.",
  },
  {
    files: ["src/http/"],
    mayImport: ["express", "src/process/within.ts", "node:"],
    mayImportTypes: [
      "src/receive-webhook.ts",
      "src/operate/",
      "src/metrics.ts",
      "src/process/logger.ts",
    ],
    why: "http/ turns requests into calls and results into answers: it is given the use cases as functions and takes only types from them, so SQL, the queue and signatures cannot end up in a route.",
  },
  {
    files: useCases,
    mayImport: [
      "src/domain/",
      "src/uqpay/",
      "src/projections/",
      "src/store/",
      "src/process/",
      "src/operate/",
      ...useCases,
      "node:crypto",
      "node:timers/promises",
    ],
    mayImportTypes: ["kysely", "src/metrics.ts", "src/queue/event-queue.ts"],
    why: "A use case says what happens to a webhook, not how it is transported: without Express and BullMQ in it, a test calls it as a function and the queue can be exchanged.",
  },
  {
    files: ["src/operate/"],
    mayImport: [
      "src/domain/",
      "src/uqpay/",
      "src/projections/",
      "src/store/",
      ...useCases,
      "node:",
    ],
    mayImportTypes: ["kysely"],
    why: "operate/ holds the rules behind the operator's commands and gives data: without a terminal, Express or BullMQ in it, a console can show the same.",
  },
  {
    files: ["src/process/"],
    mayImport: ["node:", "pino", "fastest-levenshtein"],
    mayImportTypes: ["src/config.ts"],
    why: "process/ holds what any long-running program needs and knows no part of this one: so it can be read by itself.",
  },
  {
    files: ["src/config.ts", "src/metrics.ts"],
    mayImport: [
      "src/process/",
      "src/store/database-url.ts",
      "src/http/error-codes.ts",
      "prom-client",
      "zod",
      "node:",
    ],
    why: "The configuration and the metrics are lists of names with their meaning: everybody may read them, so they depend on nobody. The codes of errors, which are labels of the metrics, are such a list, too.",
  },
  {
    files: ["dev/embedded-postgres/"],
    mayImport: ["pg", "node:"],
    why: "dev/embedded-postgres/ runs a PostgreSQL for development and tests and knows nothing of this service: so production never depends on it.",
  },
  {
    files: ["dev/simulator/"],
    ignores: ["dev/simulator/main.ts"],
    mayImport: ["src/uqpay/signature.ts", "express", "zod", "node:"],
    why: "dev/simulator/ stands for UQPAY: it takes only the signature from us, so that what we misread of UQPAY's formats is not misread twice in the same way.",
  },
  {
    files: ["src/**"],
    ignores: [
      ...composition,
      ...useCases,
      "src/config.ts",
      "src/metrics.ts",
      ...[
        "domain",
        "uqpay",
        "projections",
        "store",
        "queue",
        "http",
        "operate",
        "process",
      ].map((folder) => `src/${folder}/`),
    ].map((file) => (file.endsWith("/") ? `${file}**` : file)),
    mayImport: [],
    why: "Each file of src/ belongs to a place that eslint.config.js knows: list this one there, and say why it may import what it imports.",
  },
];

const envIsReadOnce = {
  object: "process",
  property: "env",
  message:
    "The environment is read where a program begins (main.ts, cli.ts, dev/demo/main.ts, dev/simulator/main.ts) and checked as a whole by loadConfig: take what you need from Config, as an argument.",
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
      // What a spread leaves out has to be named.
      "@typescript-eslint/no-unused-vars": [
        "error",
        { ignoreRestSiblings: true },
      ],
      // A number in a text reads as everybody expects; objects, null and undefined stay errors.
      "@typescript-eslint/restrict-template-expressions": [
        "error",
        { allowNumber: true },
      ],
    },
  },
  {
    files: ["src/**/*.ts", "db/**/*.ts", "dev/**/*.ts"],
    ignores: [
      "src/main.ts",
      "src/cli.ts",
      "dev/demo/main.ts",
      "dev/simulator/main.ts",
    ],
    rules: {
      "no-restricted-properties": ["error", envIsReadOnce],
      "no-restricted-imports": [
        "error",
        { name: "node:process", message: envIsReadOnce.message },
      ],
    },
  },
  {
    files: ["src/**/*.ts"],
    rules: {
      "@typescript-eslint/no-restricted-imports": [
        "error",
        {
          patterns: [
            {
              regex: "/dev/",
              allowTypeImports: true,
              message:
                "dev/ is not in the image: load it with import() where no database is configured, and nowhere else.",
            },
          ],
        },
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
            except: strings,
            why: { type: "string" },
          },
          required: ["mayImport", "why"],
          additionalProperties: false,
        },
      ],
    },
    create(context) {
      const [options] = context.options;
      const { mayImport, mayImportTypes = [], except = [], why } = options;
      const folder = dirname(relative(context.cwd, context.filename));

      function check({ source, importKind, exportKind }) {
        if (source === null) return;
        const isTypeOnly = importKind === "type" || exportKind === "type";
        const allowed = isTypeOnly
          ? [...mayImport, ...mayImportTypes]
          : mayImport;
        const isCovered = (entry) => covers(entry, nameOf(source));
        if (allowed.some(isCovered) && !except.some(isCovered)) return;
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
