import {
  Counter,
  Gauge,
  Histogram,
  Registry,
  collectDefaultMetrics,
} from "prom-client";
import type { WebhookErrorCode } from "./http/error-codes.ts";
import { WEBHOOK_ERRORS } from "./http/error-codes.ts";

export interface MetricsSources {
  /** How long the oldest event that is not applied yet has waited, in seconds. */
  readonly oldestWaitingSeconds: () => Promise<number>;
  /** Open quarantine entries by reason. */
  readonly openQuarantine: () => Promise<ReadonlyMap<string, number>>;
}

/** How a webhook request can end: the status of a 200, or the code of an error, as the answer spells it. */
export const WEBHOOK_OUTCOMES = [
  "accepted",
  "duplicate",
  "ignored",
  ...(Object.keys(WEBHOOK_ERRORS) as WebhookErrorCode[]),
] as const;
export type WebhookOutcome = (typeof WEBHOOK_OUTCOMES)[number];

/** Labels whose values other files know. Every series is there from the start: a first rise from nothing is not seen. */
export interface MetricsLabels {
  readonly version: string;
  /** Kinds of events that can be applied. */
  readonly kinds: readonly string[];
  /** Reasons of a quarantine. */
  readonly reasons: readonly string[];
  /** How many webhook secrets are configured. */
  readonly secrets: number;
  /** Fields of an event that may be there and unreadable. */
  readonly unreadableFields: readonly string[];
}

export type Metrics = ReturnType<typeof createMetrics>;

/** Answers take about a millisecond, and UQPAY gives up after seconds. */
const ACK_BUCKETS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
];
const LAG_BUCKETS = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300,
];

export function createMetrics(sources: MetricsSources, labels: MetricsLabels) {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  addGauges(registers, sources, labels);
  const series = addSeries(registers, labels);
  return {
    /** A webhook request was answered. */
    answered: (outcome: WebhookOutcome, seconds: number) => {
      series.answers(outcome);
      series.acknowledgement.observe(seconds);
    },
    /** A delivery's signature was right, by the secret at this place in the configuration, from 1. */
    verified: (place: number) => series.verified(String(place)),
    /** Optional fields of an event could not be read, by names of a fixed set. */
    unreadable: (fields: readonly string[]) => {
      for (const field of fields) series.unreadable(field);
    },
    hintFailed: () => series.hintFailures.inc(),
    /** An event was applied, so long after it was stored. */
    reconciled: (kind: string, lagSeconds: number) => {
      series.events(spell(kind));
      series.lag.observe(lagSeconds);
    },
    failedAttempt: (isFinal: boolean) =>
      series.failures(isFinal ? "true" : "false"),
    /** A decline whose text is in none of the known categories. */
    unknownDecline: () => series.unknownDeclines.inc(),
    requeued: series.requeued,
    /** Prometheus' text format. */
    expose: async () => ({
      contentType: registry.contentType,
      text: await registry.metrics(),
    }),
  };
}

/** Every series, at 0 from the start. */
function addSeries(registers: Registry[], labels: MetricsLabels) {
  const places = Array.from({ length: labels.secrets }, (_, n) => `${n + 1}`);
  const answers = counterBy("outcome", WEBHOOK_OUTCOMES, {
    name: "uqpay_webhook_requests_total",
    help: "Webhook requests by how they were answered.",
    registers,
  });
  const acknowledgement = new Histogram({
    name: "uqpay_webhook_ack_seconds",
    help: "From the request's headers to the answer.",
    buckets: ACK_BUCKETS,
    registers,
  });
  const verified = counterBy("secret", places, {
    name: "uqpay_webhook_verified_total",
    help: "Deliveries whose signature was right, by the secret's place in UQPAY_WEBHOOK_SECRET. None by the old one any more: it may go.",
    registers,
  });
  const unreadable = counterBy("field", labels.unreadableFields, {
    name: "uqpay_unreadable_fields_total",
    help: "Optional fields of recorded events that could not be read and count as not stated: see webhook_events.issues.",
    registers,
  });
  const hintFailures = new Counter({
    name: "uqpay_hint_failures_total",
    help: "Hints that the queue did not take; the events are found by the sweep.",
    registers,
  });
  const events = counterBy("kind", labels.kinds.map(spell), {
    name: "uqpay_events_reconciled_total",
    help: "Events that were applied to the projection, by kind.",
    registers,
  });
  const lag = new Histogram({
    name: "uqpay_event_lag_seconds",
    help: "From an event's commit in the inbox to the commit of its effect.",
    buckets: LAG_BUCKETS,
    registers,
  });
  const failures = counterBy("final", ["true", "false"], {
    name: "uqpay_event_failures_total",
    help: "Attempts to apply an event that failed; final: the event is given up.",
    registers,
  });
  const unknownDeclines = new Counter({
    name: "uqpay_unknown_declines_total",
    help: "Declines whose text is in none of the known categories.",
    registers,
  });
  const requeued = counterBy("how", ["requeued", "reconciled"], {
    name: "uqpay_stalled_events_total",
    help: "Events that nobody had finished: hinted again, or applied on the spot.",
    registers,
  });
  return {
    answers,
    acknowledgement,
    verified,
    unreadable,
    hintFailures,
    events,
    lag,
    failures,
    unknownDeclines,
    requeued,
  };
}

/** A counter with a label whose values are known. @returns counts one more of a value, or so many */
function counterBy<Value extends string>(
  label: string,
  values: readonly Value[],
  options: { name: string; help: string; registers: Registry[] },
): (value: Value, by?: number) => void {
  const counter = new Counter({ ...options, labelNames: [label] });
  const count = (value: Value, by = 1) => {
    counter.inc({ [label]: value }, by);
  };
  for (const value of values) count(value, 0);
  return count;
}

/** The database is asked when the metrics are read; what cannot be asked is not a number. */
function addGauges(
  registers: Registry[],
  sources: MetricsSources,
  { version, reasons }: MetricsLabels,
): void {
  new Gauge({
    name: "uqpay_build_info",
    help: "1; the label says which version runs.",
    labelNames: ["version"],
    registers,
  }).set({ version }, 1);
  new Gauge({
    name: "uqpay_oldest_unprocessed_seconds",
    help: "How long the oldest event that is not applied yet has waited. Alert on this one.",
    registers,
    async collect() {
      this.set(await sources.oldestWaitingSeconds().catch(() => NaN));
    },
  });
  new Gauge({
    name: "uqpay_quarantined_events",
    help: "Quarantined deliveries that nobody has dealt with, by reason.",
    labelNames: ["reason"],
    registers,
    async collect() {
      const counts = await sources.openQuarantine().catch(() => undefined);
      for (const reason of reasons)
        this.set({ reason }, counts ? (counts.get(reason) ?? 0) : NaN);
    },
  });
}

/** A label has one spelling for its words, as the codes of answers do. */
function spell(kind: string): string {
  return kind.replaceAll("-", "_");
}
