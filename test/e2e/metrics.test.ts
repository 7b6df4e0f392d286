import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { COUNTED_KINDS } from "../../src/domain/counted-kinds.ts";
import { WEBHOOK_OUTCOMES } from "../../src/metrics.ts";
import { QUARANTINE_REASONS } from "../../src/store/database.ts";
import { aStatusUpdate, deliver } from "../support/deliveries.ts";
import type { TestService } from "../support/service.ts";
import { startTestService } from "../support/service.ts";

const root = new URL("../../", import.meta.url);

let service: TestService;

beforeAll(async () => {
  service = await startTestService({
    queue: "postgres",
    env: { UQPAY_WEBHOOK_SECRET: "whsec_new,whsec_old" },
  });
});

afterAll(async () => {
  await service.stop();
});

async function scrape(): Promise<string> {
  return (await fetch(`${service.baseUrl}/metrics`)).text();
}

/** The values of a label, by name of the metric. */
function valuesOf(text: string, metric: string, label: string): string[] {
  const pattern = new RegExp(`^${metric}\\{${label}="([^"]*)"\\} 0$`, "gm");
  return [...text.matchAll(pattern)].map(([, value = ""]) => value);
}

describe("the metrics of a process that has done nothing yet", () => {
  let text: string;

  beforeAll(async () => {
    text = await scrape();
  });

  test.each([
    ["uqpay_webhook_requests_total", "outcome", WEBHOOK_OUTCOMES],
    ["uqpay_webhook_verified_total", "secret", ["1", "2"]],
    [
      "uqpay_events_reconciled_total",
      "kind",
      COUNTED_KINDS.map((kind) => kind.replaceAll("-", "_")),
    ],
    ["uqpay_event_failures_total", "final", ["true", "false"]],
    ["uqpay_stalled_events_total", "how", ["requeued", "reconciled"]],
    ["uqpay_quarantined_events", "reason", QUARANTINE_REASONS],
  ])(
    "have each series of %s at 0: the first rise of one that is not there is not seen",
    (metric, label, values) => {
      expect(valuesOf(text, metric, label).toSorted()).toEqual(
        [...values].toSorted(),
      );
    },
  );

  test("have at least one series for each metric of ours", () => {
    const metrics = [...text.matchAll(/^# TYPE (uqpay_\w+) /gm)].map(
      ([, name = ""]) => name,
    );

    expect(metrics.length).toBeGreaterThan(10);
    for (const metric of metrics)
      expect(text).toMatch(
        new RegExp(`^${metric}(_bucket|_count)?(\\{[^}]*\\})? `, "m"),
      );
  });

  test("spell each word of a label in one way", () => {
    const labels = [...text.matchAll(/^uqpay_\w+\{(.*)\} /gm)]
      .map(([, label = ""]) => label)
      .filter((label) => !label.startsWith("version="));

    expect(labels.filter((label) => label.includes("-"))).toEqual([]);
  });

  test("say which version runs", () => {
    const { version } = JSON.parse(
      readFileSync(new URL("package.json", root), "utf8"),
    ) as { version: string };

    expect(text).toContain(`uqpay_build_info{version="${version}"} 1`);
  });

  test.each(["README.md", "docs/alerts.yaml"])(
    "have every series that %s speaks of",
    (file) => {
      const told = readFileSync(new URL(file, root), "utf8");
      const names = told.match(/\buqpay_\w+_(?:total|seconds|events|info)\b/g);

      expect(names?.length).toBeGreaterThan(3);
      for (const name of names ?? []) expect(text).toContain(`\n${name}`);
      const outcomes = [...told.matchAll(/outcome=~?"([^"]+)"/g)].flatMap(
        ([, list = ""]) => list.replaceAll("\\", "").split("|"),
      );
      for (const outcome of outcomes.filter((one) => /^\w+$/.test(one)))
        expect(text).toContain(`outcome="${outcome}"`);
    },
  );
});

describe("a rotation of the secret", () => {
  test("is over when the place of the old one counts no more", async () => {
    await deliver(service, aStatusUpdate(), { secret: "whsec_new" });
    await deliver(service, aStatusUpdate(), { secret: "whsec_new" });
    await deliver(service, aStatusUpdate(), { secret: "whsec_old" });
    await deliver(service, aStatusUpdate(), { secret: "whsec_other" });
    // Authentic, though too old: it counts for its secret.
    await deliver(service, aStatusUpdate(), {
      secret: "whsec_old",
      atMs: Date.now() - 400_000,
    });

    const text = await scrape();

    expect(text).toContain('uqpay_webhook_verified_total{secret="1"} 2');
    expect(text).toContain('uqpay_webhook_verified_total{secret="2"} 2');
    expect(text).not.toContain("whsec");
  });
});
