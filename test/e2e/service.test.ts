import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import {
  aCardUpdate,
  aStatusUpdate,
  anAuthorization,
  anMccDecline,
  anOtp,
  deliver,
  sha256,
  textOf,
} from "../support/deliveries.ts";
import { compactBytes, payload, payloadNames } from "../support/fixtures.ts";
import type { TestService } from "../support/service.ts";
import {
  isAvailable,
  queueKinds,
  startTestService,
} from "../support/service.ts";

/** How the service answers each published payload; all others are of types without a handler. */
const { version: VERSION } = JSON.parse(
  readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
) as { version: string };

const ANSWERS: Readonly<Record<string, string>> = {
  "card.PIN.retry.exceed.soft.block--docs-v1.5.2-pin-retry-webhook":
    "200 accepted",
  "card.activation.status--docs-v1.6-webhook-activation-status": "200 accepted",
  "card.create.succeeded--docs-v1.6-webhook-card-created": "200 accepted",
  "card.create.succeeded--sdk-go-issuing_test": "200 accepted",
  "card.create.succeeded--sdk-node-2.0.0-webhooks.test": "422 invalid_payload",
  // Under the same placeholder id as the activation code of the SDK, which is delivered first here.
  "card.elevate_limit.succeeded--docs-v1.6-webhook-card-elevate-limit":
    "200 duplicate",
  "card.recharge.succeeded--sdk-go-issuing_test": "200 accepted",
  // The same placeholder again.
  "card.risk_control.network_protection.enrolled--docs-v1.6-webhook-network-protection-status":
    "200 duplicate",
  "card.risk_control.network_protection.enrollment_fee.charged--docs-v1.6-webhook-network-protection-fee":
    "200 duplicate",
  "issuing.fee.card--docs-v1.6-webhook-card-fee": "200 accepted",
  "issuing.fee.card--sdk-go-issuing_test": "200 accepted",
  "card.status.update.succeeded--docs-v1.6-card-lifecycle": "200 accepted",
  "card.status.update.succeeded--docs-v1.6-webhook-card-status-updated":
    "200 accepted",
  "card.status.update.succeeded--sdk-go-issuing_test": "200 accepted",
  "card.update.succeeded--docs-v1.6-webhook-card-updated": "200 accepted",
  "card.update.succeeded--sdk-go-issuing_test": "200 accepted",
  "card.withdraw.succeeded--docs-v1.6-webhook-card-withdraw": "200 accepted",
  "cardholder.kyc.status_changed--docs-v1.6-webhook": "200 accepted",
  "cardholder.updated--docs-v1.6-webhook": "200 accepted",
  "issuing.transaction.authorization--docs-readme-mcc-controls-declined-truncated":
    "422 invalid_payload",
  "issuing.transaction.authorization--docs-v1.6-spending-controls-mcc-declined":
    "200 accepted",
  "issuing.transaction.authorization--docs-v1.6-webhook-transaction":
    "200 accepted",
};

describe.each(queueKinds.filter(isAvailable))(
  "the service, its queue on %s",
  (queue) => {
    let service: TestService;

    beforeAll(async () => {
      service = await startTestService({ queue });
    });

    afterAll(async () => {
      await service.stop();
    });

    const cardRow = async (cardId: unknown) => {
      const [row] = await service.rows(
        "select * from cards where card_id = $1",
        [cardId],
      );
      return row;
    };
    const inboxRow = async (eventId: string) => {
      const [row] = await service.rows(
        "select * from webhook_events where event_id = $1",
        [eventId],
      );
      return row;
    };
    const quarantineRows = (bodySha256: Buffer) =>
      service.rows(
        "select * from quarantined_events where body_sha256 = $1 order by id",
        [bodySha256],
      );
    const declineRow = async (transactionId: unknown) => {
      const [row] = await service.rows(
        "select * from mcc_declines where transaction_id = $1",
        [transactionId],
      );
      return row;
    };

    describe("UQPAY's published payloads", () => {
      const startMs = Date.now() - 60_000;

      beforeAll(async () => {
        for (const [index, name] of payloadNames().toSorted().entries()) {
          const answer = await deliver(service, compactBytes(name), {
            atMs: startMs + index * 1000,
          });
          const { status, error } = answer.body as {
            status?: string;
            error?: { code: string };
          };
          answers.set(
            name,
            `${answer.status} ${status ?? error?.code ?? "nothing"}`,
          );
        }
        await service.untilApplied();
      });
      const answers = new Map<string, string>();

      test.each(payloadNames())("%s is answered as it must be", (name) => {
        expect(answers.get(name)).toBe(ANSWERS[name] ?? "200 ignored");
      });

      test("every one is in the inbox or in the quarantine", async () => {
        const inbox = await service.rows("select event_id from webhook_events");
        const quarantined = await service.rows(
          "select reason, event_id, event_type from quarantined_events order by id",
        );

        const published = new Set(
          payloadNames().map((n) => payload(n).event_id),
        );
        published.delete("e1");
        expect(new Set(inbox.map((row) => row["event_id"]))).toEqual(published);
        expect(quarantined).toEqual([
          {
            reason: "invalid_payload",
            event_id: "e1",
            event_type: "card.create.succeeded",
          },
          {
            reason: "event_id_conflict",
            event_id: "8a78af1e-de83-43a5-b177-ecbc6a8a9fc6",
            event_type: "card.elevate_limit.succeeded",
          },
          {
            reason: "event_id_conflict",
            event_id: "8a78af1e-de83-43a5-b177-ecbc6a8a9fc6",
            event_type: "card.risk_control.network_protection.enrolled",
          },
          {
            reason: "event_id_conflict",
            event_id: "8a78af1e-de83-43a5-b177-ecbc6a8a9fc6",
            event_type:
              "card.risk_control.network_protection.enrollment_fee.charged",
          },
          {
            reason: "invalid_payload",
            event_id: "9f0b529f-ad56-42f3-bef7-31393d543f40",
            event_type: "issuing.transaction.authorization",
          },
        ]);
      });

      test("the inbox keeps the exact text, and none of the codes and keys", async () => {
        const rows = await service.rows(
          "select event_id, event_type, body from webhook_events",
        );

        const bodies = new Map(
          payloadNames()
            // The truncated copy of a decline is quarantined; its whole form has the same id.
            .filter((name) => !name.endsWith("-truncated"))
            .map((name) => [
              payload(name).event_id,
              compactBytes(name).toString(),
            ]),
        );
        const kept = rows.map((row) => [row["event_id"], row["body"]]);
        const expected = rows.map((row) => {
          const isSensitive =
            /otp$|activation\.code$|^issuing\.report|^cardholder/.test(
              String(row["event_type"]),
            );
          return [
            row["event_id"],
            isSensitive ? null : bodies.get(String(row["event_id"])),
          ];
        });
        expect(kept).toEqual(expected);
      });

      test("the card that was created and updated has what both said, the later one winning", async () => {
        const row = await cardRow("f5d1e60a-6852-4fea-bb09-1d5bdab657a0");

        expect(row).toMatchObject({
          card_number: "40963608****8664",
          card_bin: "40963608",
          card_scheme: "VISA",
          card_product_id: "467e993f-317a-49fc-9ea0-bf49de7d1f76",
          cardholder_id: "25ea804d-7fd5-43d5-8792-0fc0214cdb2f",
          card_currency: "USD",
          mode_type: "SHARE",
          form_factor: "VIRTUAL",
          card_status: "ACTIVE",
          observed_status: "ACTIVE",
          card_limit: "1000",
          available_balance: "1000",
          per_transaction_limit: "500",
          spending_controls: [{ amount: "500", interval: "PER_TRANSACTION" }],
          mcc_mode: "block",
          allowed_mcc: [],
          blocked_mcc: ["6551", "5533"],
          no_pin_payment_amount: null,
          metadata: {},
          cancelled_at: null,
          last_event_id: "caa8656f-05b3-4331-812f-fc3d57f8bd96",
        });
      });

      test("the cancelled card carries the time and the reason of its cancellation", async () => {
        const row = await cardRow("6f33bffb-63b3-412e-9fc8-3e4c33f265bf");

        expect(row).toMatchObject({
          card_status: "CANCELLED",
          status_reason: " card test",
          status_changed_at: "2026-04-08 03:46:09+00",
          cancelled_at: "2026-04-08 03:46:09+00",
          available_balance: "500",
          card_currency: "USD",
          mcc_mode: null,
        });
      });

      test("a physical card is active once it is activated", async () => {
        const row = await cardRow("ba4bdf3e-c2b7-4197-9487-dc269e77b2c0");

        expect(row).toMatchObject({ card_status: "ACTIVE" });
      });

      test("an announced status outweighs the one in a snapshot, which is kept beside it", async () => {
        const row = await cardRow("a738d29b-3dd7-4fe4-9119-3a3024100f30");

        expect(row).toMatchObject({
          card_status: "BLOCKED",
          status_reason: "test",
          observed_status: "ACTIVE",
          mcc_mode: "none",
          per_transaction_limit: "3500",
        });
      });

      test("the approved authorization has its row, field for field", async () => {
        const [row] = await service.rows(
          "select * from authorizations where transaction_id = $1",
          ["1a53aebf-900c-4e25-9852-b98f4338d94c"],
        );

        expect(row).toMatchObject({
          event_id: "234fca01-1ace-4d34-baf5-29b10e9d11c0",
          card_id: "50418faa-57a8-4ce2-9157-621b00b13a3b",
          cardholder_id: "25ea804d-7fd5-43d5-8792-0fc0214cdb2f",
          transaction_type: "AUTHORIZATION",
          transaction_status: "APPROVED",
          description: null,
          transaction_amount: "10",
          transaction_currency: "USD",
          billing_amount: "11.5",
          billing_currency: "USD",
          transaction_fee: "1.5",
          transaction_fee_currency: "USD",
          authorization_code: "W6MJU9",
          original_transaction_id: null,
          wallet_type: null,
          mcc: "5734",
          merchant_name: "Test Merchant",
          merchant_city: null,
          merchant_country: null,
          transaction_time: "2026-04-12 07:27:39.48+00",
          posted_time: "2026-04-12 07:27:39.563+00",
          decline_category: null,
          mcc_declined: false,
        });
      });

      test("the MCC decline is flagged, under the source_id since it names no transaction", async () => {
        const row = await declineRow("07560ca4-5905-416f-a969-157094667d66");

        expect(row).toMatchObject({
          card_id: "4e8f8c99-47e2-40a2-990d-c6f3e821a510",
          transaction_status: "DECLINED",
          description: "Forbid MCC from account",
          mcc: "5999",
          merchant_name: "ACQUIRER NAME",
          decline_category: "mcc",
          mcc_declined: true,
          rule_scope: "unknown",
        });
      });

      test("no code, key or personal field is logged", () => {
        for (const canary of [
          ...["12344444", "57609685", "12341234", "111111", "****8664"],
          ...["Chen", "example.com", "87654321", "W6MJU9", "whsec_"],
        ])
          expect(service.log()).not.toContain(canary);
      });
    });

    describe("an answer", () => {
      test("tells a new event from a known one and from one of no use", async () => {
        const event = aStatusUpdate();
        const other = {
          ...event,
          event_id: randomUUID(),
          event_type: "card.new",
        };

        const first = await deliver(service, event);
        const second = await deliver(service, event);
        const ignored = await deliver(service, other);
        const ignoredAgain = await deliver(service, other);

        const of = (status: string, event_id: string) => ({
          status: 200,
          body: { status, event_id },
        });
        expect(first).toMatchObject(of("accepted", event.event_id));
        expect(second).toMatchObject(of("duplicate", event.event_id));
        expect(ignored).toMatchObject(of("ignored", other.event_id));
        expect(ignoredAgain).toMatchObject(of("duplicate", other.event_id));
        expect(await inboxRow(other.event_id)).toMatchObject({
          state: "ignored",
          processed_at: null,
        });
      });

      test("is JSON, without a trace of the framework", async () => {
        const { headers } = await deliver(service, aStatusUpdate());

        expect(headers.get("content-type")).toMatch(/^application\/json/);
        expect(headers.get("x-powered-by")).toBeNull();
        expect(headers.get("etag")).toBeNull();
      });

      test("is whole where an id has characters of several bytes", async () => {
        const event = {
          ...aStatusUpdate(),
          event_id: `${randomUUID()} é 卡 🂡`,
        };

        const { status, body } = await deliver(service, event);

        expect(status).toBe(200);
        expect(body).toEqual({ status: "accepted", event_id: event.event_id });
      });

      test("names every field that is wrong by its path, and no value", async () => {
        const event = aStatusUpdate({
          card_id: 5,
          card_status: null,
          update_time: "canary-yesterday",
        });

        const { status, body } = await deliver(service, event);

        expect(status).toBe(422);
        expect(body).toEqual({
          error: {
            code: "invalid_payload",
            message: expect.any(String),
            issues: [
              { path: "data.card_id", message: expect.any(String) },
              { path: "data.card_status", message: "is required" },
              { path: "data.update_time", message: expect.any(String) },
            ],
          },
        });
        expect(JSON.stringify(body)).not.toContain("canary");
      });

      test.each([
        ["x-wk-signature", ""],
        ["x-wk-timestamp", ""],
      ])("says that %s is missing", async (name, value) => {
        const { status, body } = await deliver(service, aStatusUpdate(), {
          headers: { [name]: value },
        });

        expect(status).toBe(401);
        expect(body).toMatchObject({ error: { code: "missing_signature" } });
      });

      test("says that the signature is wrong, and nothing is kept", async () => {
        const event = aStatusUpdate();

        const { status, body } = await deliver(service, event, {
          secret: "whsec_other",
        });

        expect(status).toBe(401);
        expect(body).toEqual({
          error: { code: "invalid_signature", message: expect.any(String) },
        });
        expect(await inboxRow(event.event_id)).toBeUndefined();
        expect(await quarantineRows(sha256(event))).toEqual([]);
      });

      test("says that a media type is not JSON before it looks at the signature", async () => {
        const { status, body } = await deliver(service, aStatusUpdate(), {
          secret: "whsec_other",
          headers: { "content-type": "text/plain" },
        });

        expect(status).toBe(415);
        expect(body).toMatchObject({
          error: { code: "unsupported_media_type" },
        });
      });

      test.each([
        "application/json; charset=utf-8",
        "application/cloudevents+json",
      ])("is the usual one to %s", async (type) => {
        const { status } = await deliver(service, aStatusUpdate(), {
          headers: { "content-type": type },
        });

        expect(status).toBe(200);
      });

      test.each(["GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])(
        "to %s says that only POST is allowed",
        async (method) => {
          const response = await fetch(`${service.baseUrl}/webhooks/uqpay`, {
            method,
          });
          const text = await response.text();

          expect(response.status).toBe(405);
          expect(response.headers.get("allow")).toBe("POST");
          // An answer to HEAD has no body.
          expect(text).toContain(
            method === "HEAD" ? "" : '"code":"method_not_allowed"',
          );
        },
      );

      test.each([
        "/",
        "/webhooks",
        "/webhooks/other",
        "/admin",
        "/admin/events",
      ])("at %s says that there is nothing", async (path) => {
        const response = await fetch(service.baseUrl + path);

        expect(response.status).toBe(404);
        expect(await response.json()).toEqual({
          error: { code: "not_found", message: expect.any(String) },
        });
      });
    });

    describe("health and metrics", () => {
      test("it says that it lives", async () => {
        const response = await fetch(`${service.baseUrl}/healthz`);

        expect(response.status).toBe(200);
        expect(await response.json()).toEqual({
          status: "ok",
          version: VERSION,
        });
      });

      test("it says that it is ready, one entry for each dependency", async () => {
        const response = await fetch(`${service.baseUrl}/readyz`);

        expect(response.status).toBe(200);
        expect(await response.json()).toEqual({
          status: "ready",
          version: VERSION,
          postgres: { status: "up" },
          queue: { status: "up" },
          migrations: { status: "up" },
        });
      });

      test("it counts what it answered and what it applied", async () => {
        await deliver(service, aStatusUpdate());
        await deliver(service, aStatusUpdate(), { secret: "whsec_other" });
        await service.untilApplied();

        const response = await fetch(`${service.baseUrl}/metrics`);
        const text = await response.text();

        expect(response.headers.get("content-type")).toMatch(/^text\/plain/);
        for (const line of [
          /^uqpay_webhook_requests_total\{outcome="accepted"\} [1-9]/m,
          /^uqpay_webhook_requests_total\{outcome="invalid_signature"\} [1-9]/m,
          /^uqpay_events_reconciled_total\{kind="status_announced"\} [1-9]/m,
          /^uqpay_oldest_unprocessed_seconds 0$/m,
        ])
          expect(text).toMatch(line);
      });
    });

    describe("order and repetition", () => {
      test("a story that is delivered backwards ends the same", async () => {
        const card_id = randomUUID();
        const story = [
          ["ACTIVE", "10:00"],
          ["FROZEN", "10:01"],
          ["ACTIVE", "10:02"],
          ["PRE_CANCEL", "10:03"],
        ].map(([card_status, time]) =>
          aStatusUpdate({
            card_id,
            card_status,
            update_time: `2026-04-12T${time}:00+08:00`,
          }),
        );

        for (const event of story.toReversed()) {
          await deliver(service, event);
          await service.untilApplied();
        }

        expect(await cardRow(card_id)).toMatchObject({
          card_status: "PRE_CANCEL",
          status_changed_at: "2026-04-12 02:03:00+00",
          cancel_requested_at: "2026-04-12 02:03:00+00",
          last_event_id: story[3]?.event_id,
        });
      });

      test("a late freeze does not revive a cancelled card", async () => {
        const card_id = randomUUID();
        const cancelled = aStatusUpdate({ card_id, card_status: "CANCELLED" });
        const later = aStatusUpdate({
          card_id,
          update_time: "2026-04-13T10:00:00+08:00",
        });

        await deliver(service, cancelled);
        await deliver(service, later);
        await service.untilApplied();

        expect(await cardRow(card_id)).toMatchObject({
          card_status: "CANCELLED",
          last_event_id: later.event_id,
        });
      });

      test("of two updates the one that was signed later wins, whichever comes first", async () => {
        const card_id = randomUUID();
        const now = Date.now();

        await deliver(service, aCardUpdate({ card_id, card_limit: "2" }), {
          atMs: now,
        });
        await service.untilApplied();
        await deliver(service, aCardUpdate({ card_id, card_limit: "1" }), {
          atMs: now - 5_000,
        });
        await service.untilApplied();

        expect(await cardRow(card_id)).toMatchObject({ card_limit: "2" });
      });

      test("fifty copies at once are accepted once and applied once", async () => {
        const event = aStatusUpdate();

        const answers = await Promise.all(
          Array.from({ length: 50 }, () => deliver(service, event)),
        );
        await service.untilApplied();

        const statuses = answers.map(
          ({ body }) => (body as { status: string }).status,
        );
        expect(statuses.filter((status) => status === "accepted")).toHaveLength(
          1,
        );
        expect(
          statuses.filter((status) => status === "duplicate"),
        ).toHaveLength(49);
        expect(await inboxRow(event.event_id)).toMatchObject({
          state: "processed",
          attempts: 1,
          body: JSON.stringify(event),
        });
        expect(await cardRow(event.data["card_id"])).toMatchObject({
          field_clocks: {
            card_status: expect.objectContaining({ event_id: event.event_id }),
          },
        });
        expect(await quarantineRows(sha256(event))).toEqual([]);
      });

      test("another content under a known id leaves the first as it is and is kept apart", async () => {
        const event = aStatusUpdate({ card_status: "FROZEN" });
        const other = {
          ...event,
          data: { ...event.data, card_status: "CANCELLED" },
        };

        const first = await deliver(service, event);
        const second = await deliver(service, other);
        await deliver(service, other);
        await service.untilApplied();

        expect(first.body).toMatchObject({ status: "accepted" });
        expect(second).toMatchObject({
          status: 200,
          body: { status: "duplicate", event_id: event.event_id },
        });
        expect(await cardRow(event.data["card_id"])).toMatchObject({
          card_status: "FROZEN",
        });
        expect(await quarantineRows(sha256(other))).toMatchObject([
          {
            reason: "event_id_conflict",
            event_id: event.event_id,
            deliveries: 2,
            body: Buffer.from(JSON.stringify(other)),
            resolved_at: null,
          },
        ]);
      });

      test("two contents under one id at once: one is accepted, the other kept apart", async () => {
        const event = aStatusUpdate({ card_status: "FROZEN" });
        const other = {
          ...event,
          data: { ...event.data, card_status: "ACTIVE" },
        };

        await Promise.all(
          Array.from({ length: 20 }, (_, index) =>
            deliver(service, index % 2 === 0 ? event : other),
          ),
        );

        const stored = await inboxRow(event.event_id);
        const [kept, ...more] = await service.rows(
          "select * from quarantined_events where event_id = $1",
          [event.event_id],
        );
        expect(more).toEqual([]);
        expect(kept).toMatchObject({
          reason: "event_id_conflict",
          deliveries: 10,
        });
        expect(stored?.["body_sha256"]).not.toEqual(kept?.["body_sha256"]);
      });

      test("a forged delivery does not stand in the way of the genuine one", async () => {
        const event = aStatusUpdate();

        const forged = await deliver(service, event, { secret: "whsec_other" });
        const genuine = await deliver(service, event);

        expect(forged.status).toBe(401);
        expect(genuine.body).toMatchObject({ status: "accepted" });
      });
    });

    describe("the quarantine", () => {
      test("has one row for a malformed event that comes three times", async () => {
        const event = aStatusUpdate({ card_status: null });

        for (let time = 0; time < 3; time++) await deliver(service, event);

        expect(await quarantineRows(sha256(event))).toMatchObject([
          {
            reason: "invalid_payload",
            event_id: event.event_id,
            event_type: "card.status.update.succeeded",
            issues: [{ path: "data.card_status", message: "is required" }],
            body: Buffer.from(JSON.stringify(event)),
            deliveries: 3,
          },
        ]);
        expect(await inboxRow(event.event_id)).toBeUndefined();
      });

      test("counts copies of a malformed event that come at once", async () => {
        const event = aStatusUpdate({ card_status: null });

        await Promise.all(
          Array.from({ length: 20 }, () => deliver(service, event)),
        );

        expect(await quarantineRows(sha256(event))).toMatchObject([
          { deliveries: 20 },
        ]);
      });

      test("takes what is signed and no JSON, byte for byte", async () => {
        const body = Buffer.from([
          0x7b,
          0xff,
          0x00,
          0x7d,
          ...Buffer.from(randomUUID()),
        ]);

        const answer = await deliver(service, body);

        expect(answer).toMatchObject({
          status: 400,
          body: { error: { code: "invalid_json" } },
        });
        expect(await quarantineRows(sha256(body))).toMatchObject([
          { reason: "invalid_json", event_id: null, body },
        ]);
      });

      test("has one row for a stale event however often it comes, with the time it was signed", async () => {
        const event = aStatusUpdate();
        const atMs = Date.now() - 301_000;

        const first = await deliver(service, event, { atMs });
        await deliver(service, event, { atMs });

        expect(first).toMatchObject({
          status: 401,
          body: { error: { code: "stale_timestamp" } },
        });
        const rows = await quarantineRows(sha256(event));
        expect(rows).toMatchObject([
          {
            reason: "stale_timestamp",
            event_id: event.event_id,
            deliveries: 2,
          },
        ]);
        expect(Date.parse(String(rows[0]?.["signed_at"]))).toBe(atMs);
        expect(await inboxRow(event.event_id)).toBeUndefined();
      });

      test("takes no stale copy of an event that is stored already", async () => {
        const event = aStatusUpdate();
        await deliver(service, event);

        const answer = await deliver(service, event, {
          atMs: Date.now() - 301_000,
        });

        expect(answer.status).toBe(401);
        expect(await quarantineRows(sha256(event))).toEqual([]);
      });

      test("takes a stale delivery of another content under a stored id", async () => {
        const event = aStatusUpdate();
        const other = {
          ...event,
          data: { ...event.data, card_status: "ACTIVE" },
        };
        await deliver(service, event);

        await deliver(service, other, { atMs: Date.now() - 301_000 });

        expect(await quarantineRows(sha256(other))).toMatchObject([
          { reason: "stale_timestamp" },
        ]);
      });
    });

    describe("codes and keys", () => {
      const CODE = "90125736";

      const everythingStored = async () => {
        const rows = await service.rows(
          `select to_jsonb(e)::text as row from webhook_events e
           union all
           select to_jsonb(q)::text || coalesce(encode(q.body, 'escape'), '') from quarantined_events q`,
        );
        return rows.map(({ row }) => String(row)).join("\n");
      };

      test.each([
        ["card.3ds.otp", { otp: CODE }],
        ["card.verification.otp", { otp: CODE }],
        ["card.activation.code", { activation_code: CODE }],
        ["issuing.report.succeeded", { secret_key: CODE }],
        ["card.something.new", { otp: CODE }],
      ])(
        "of %s are not stored, however it arrives",
        async (event_type, data) => {
          const event = { ...anOtp(), event_type, data };
          const conflicting = { ...event, data: { ...data, other: 1 } };
          const malformed = { ...event, event_id: null as unknown as string };
          const stale = { ...event, event_id: randomUUID() };

          const statuses = [
            (await deliver(service, event)).status,
            (await deliver(service, event)).status,
            (await deliver(service, conflicting)).status,
            (await deliver(service, malformed)).status,
            (await deliver(service, stale, { atMs: Date.now() - 400_000 }))
              .status,
            (await deliver(service, JSON.stringify(event).slice(0, -1))).status,
          ];

          expect(statuses).toEqual([200, 200, 200, 422, 401, 400]);
          expect(await everythingStored()).not.toContain(CODE);
          expect(await inboxRow(event.event_id)).toMatchObject({
            state: "ignored",
            body: null,
          });
          const kept = await service.rows(
            `select reason, body, deliveries from quarantined_events
           where event_id in ($1, $2) order by id`,
            [event.event_id, stale.event_id],
          );
          expect(kept).toEqual([
            { reason: "event_id_conflict", body: null, deliveries: 1 },
            { reason: "stale_timestamp", body: null, deliveries: 1 },
          ]);
          expect(service.log()).not.toContain(CODE);
        },
      );

      test("of a type with swapped names are not stored either", async () => {
        const event = {
          ...anOtp({ otp: CODE }),
          event_type: "ISSUING",
          event_name: "card.3ds.otp",
        };

        await deliver(service, event);

        expect(await inboxRow(event.event_id)).toMatchObject({
          event_type: "card.3ds.otp",
          body: null,
        });
      });
    });

    describe("MCC declines", () => {
      test("the card's own blocked list explains a decline", async () => {
        const card_id = randomUUID();
        const decline = anMccDecline({ card_id });

        await deliver(
          service,
          aCardUpdate({ card_id, risk_control: { blocked_mcc: ["5999"] } }),
        );
        await deliver(service, decline);
        await service.untilApplied();

        expect(await declineRow(decline.data["transaction_id"])).toMatchObject({
          rule_scope: "card",
          blocked_mcc: ["5999"],
          card_status: "ACTIVE",
        });
      });

      test("the card's own allowed list explains a decline outside it, and none inside it", async () => {
        const card_id = randomUUID();
        const outside = anMccDecline({ card_id });
        const inside = anMccDecline({
          card_id,
          merchant_data: { category_code: 742 },
        });

        await deliver(
          service,
          aCardUpdate({ card_id, risk_control: { allowed_mcc: ["0742"] } }),
        );
        await deliver(service, outside);
        await deliver(service, inside);
        await service.untilApplied();

        expect(await declineRow(outside.data["transaction_id"])).toMatchObject({
          rule_scope: "card",
        });
        expect(await declineRow(inside.data["transaction_id"])).toMatchObject({
          mcc: "0742",
          rule_scope: "account",
        });
      });

      test("rules that arrive after the decline explain it all the same", async () => {
        const card_id = randomUUID();
        const decline = anMccDecline({ card_id });

        await deliver(service, decline);
        await service.untilApplied();
        const before = await declineRow(decline.data["transaction_id"]);
        await deliver(service, aCardUpdate({ card_id, risk_control: {} }));
        await service.untilApplied();
        const withoutRule = await declineRow(decline.data["transaction_id"]);
        await deliver(
          service,
          aCardUpdate({ card_id, risk_control: { blocked_mcc: ["5999"] } }),
        );
        await service.untilApplied();
        const after = await declineRow(decline.data["transaction_id"]);

        expect(before).toMatchObject({ rule_scope: "unknown" });
        expect(withoutRule).toMatchObject({ rule_scope: "account" });
        expect(after).toMatchObject({ rule_scope: "card" });
      });

      test("an approval whose remark speaks of the MCC is none", async () => {
        const approval = anMccDecline({ transaction_status: "APPROVED" });

        await deliver(service, approval);
        await service.untilApplied();

        expect(
          await declineRow(approval.data["transaction_id"]),
        ).toBeUndefined();
      });

      test("a decline for another reason is none", async () => {
        const decline = anMccDecline({ description: "1107 - Invalid CVV2" });

        await deliver(service, decline);
        await service.untilApplied();

        const [row] = await service.rows(
          "select decline_category, mcc_declined from authorizations where transaction_id = $1",
          [decline.data["transaction_id"]],
        );
        expect(row).toEqual({ decline_category: "cvv", mcc_declined: false });
      });

      test("an outcome replaces PENDING, also when the PENDING comes last", async () => {
        const transaction_id = randomUUID();
        const card_id = randomUUID();
        const decline = anMccDecline({ transaction_id, card_id });
        const pending = anAuthorization({
          transaction_id,
          card_id,
          transaction_status: "PENDING",
          transaction_amount: "99",
        });

        await deliver(service, decline);
        await service.untilApplied();
        await deliver(service, pending);
        await service.untilApplied();

        expect(await declineRow(transaction_id)).toMatchObject({
          transaction_status: "DECLINED",
          transaction_amount: "10",
          event_id: decline.event_id,
        });
      });
    });

    describe("amounts", () => {
      const digits40 = "1234567890123456789012345678901234567890";

      test.each([
        ["1.10", "1.10"],
        ["1e2", "100"],
        ["0.30000000000000004", "0.30000000000000004"],
        [digits40, digits40],
        [`0.${digits40}`, `0.${digits40}`],
        ["-12.50", "-12.50"],
        ["12345678901234567890.12", "12345678901234567890.12"],
      ])(
        "the number %s is kept as %s, and as text the same",
        async (sent, kept) => {
          const asNumber = anAuthorization({ transaction_amount: "@" });
          const asText = anAuthorization({ transaction_amount: sent });

          await deliver(service, textOf(asNumber, '"@"', sent));
          await deliver(service, asText);
          await service.untilApplied();

          const rows = await service.rows(
            "select transaction_amount from authorizations where transaction_id in ($1, $2)",
            [asNumber.data["transaction_id"], asText.data["transaction_id"]],
          );
          expect(rows).toEqual([
            { transaction_amount: kept },
            { transaction_amount: kept },
          ]);
        },
      );

      test("a limit and a balance of the card are as exact", async () => {
        const update = aCardUpdate({
          card_limit: "@",
          available_balance: digits40,
          spending_controls: [{ amount: "0.10", interval: "PER_TRANSACTION" }],
          no_pin_payment_amount: "2000.50USD",
        });

        await deliver(service, textOf(update, '"@"', "1000.00"));
        await service.untilApplied();

        expect(await cardRow(update.data["card_id"])).toMatchObject({
          card_limit: "1000.00",
          available_balance: digits40,
          per_transaction_limit: "0.10",
          no_pin_payment_amount: "2000.50",
        });
      });
    });
  },
);
