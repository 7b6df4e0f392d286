import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import {
  aCardUpdate,
  aStatusUpdate,
  anMccDecline,
  deliver,
} from "../support/deliveries.ts";
import type { TestService } from "../support/service.ts";
import {
  isAvailable,
  queueKinds,
  startTestService,
} from "../support/service.ts";

describe.each(queueKinds.filter(isAvailable))(
  "what is not wholly readable, the queue on %s",
  (queue) => {
    let service: TestService;

    beforeAll(async () => {
      service = await startTestService({ queue });
    });

    afterAll(async () => {
      await service.stop();
    });

    const eventRow = async (eventId: string) => {
      const [row] = await service.rows(
        "select state, attempts, issues, body, source_id, event_name, version from webhook_events where event_id = $1",
        [eventId],
      );
      return row;
    };

    const cardRow = async (cardId: unknown) => {
      const [row] = await service.rows(
        "select * from cards where card_id = $1",
        [cardId],
      );
      return row;
    };

    const authorizationRow = async (eventId: string) => {
      const [row] = await service.rows(
        "select * from transactions where event_id = $1",
        [eventId],
      );
      return row;
    };

    const unreadableCounts = async () => {
      const response = await fetch(`${service.baseUrl}/metrics`);
      const lines = [
        ...(await response.text()).matchAll(
          /^uqpay_unreadable_fields_total\{field="([^"]+)"\} (\d+)$/gm,
        ),
      ];
      return new Map(lines.map(([, field, count]) => [field, Number(count)]));
    };

    describe("an optional field that cannot be read", () => {
      test("does not keep a card from being cancelled", async () => {
        const event = aStatusUpdate({
          card_status: "CANCELLED",
          available_balance: "1,000.00",
          currency: "SGD",
        });

        const answer = await deliver(service, event);
        await service.untilApplied();

        expect(answer).toMatchObject({
          status: 200,
          body: { status: "accepted" },
        });
        expect(await eventRow(event.event_id)).toMatchObject({
          state: "processed",
          attempts: 1,
          issues: [
            {
              path: "data.available_balance",
              message: "must be a decimal, as text or number",
            },
          ],
        });
        expect(await cardRow(event.data["card_id"])).toMatchObject({
          card_status: "CANCELLED",
          available_balance: null,
          balance_as_of: null,
          card_currency: "SGD",
        });
      });

      test.each([
        [
          "a time without a zone",
          { posted_time: "2026-04-12 15:27:39" },
          "data.posted_time",
          { posted_time: null, mcc: "5999" },
        ],
        [
          "no merchant in the list",
          { merchant_data: [null] },
          "data.merchant_data.0",
          { mcc: null, merchant_name: null },
        ],
        [
          "half a merchant",
          { merchant_data: [{ category_code: "59999", name: "SHOP" }] },
          "data.merchant_data.0.category_code",
          { mcc: null, merchant_name: null },
        ],
        [
          "a second merchant that is none",
          { merchant_data: [{ category_code: "5999" }, 7] },
          "data.merchant_data.1",
          { mcc: null },
        ],
        [
          "a number as an id",
          { original_transaction_id: 17 },
          "data.original_transaction_id",
          { original_transaction_id: null },
        ],
        [
          "a NUL in a name",
          { cardholder_id: "a\u0000b" },
          "data.cardholder_id",
          { cardholder_id: null },
        ],
        [
          "half a surrogate pair",
          { wallet_type: "\ud800" },
          "data.wallet_type",
          { wallet_type: null },
        ],
        [
          "a number of 131,073 digits",
          { billing_amount: "9".repeat(131_073) },
          "data.billing_amount",
          { billing_amount: null },
        ],
      ])(
        "does not hide an MCC decline: %s",
        async (_what, data, path, columns) => {
          const event = anMccDecline(data);

          const answer = await deliver(service, event);
          await service.untilApplied();

          expect(answer.status).toBe(200);
          expect(await eventRow(event.event_id)).toMatchObject({
            state: "processed",
            issues: [{ path, message: expect.any(String) }],
          });
          expect(await authorizationRow(event.event_id)).toMatchObject({
            decline_category: "mcc",
            mcc_declined: true,
            transaction_amount: "10",
            ...columns,
          });
        },
      );

      test("leaves what earlier events said of it, and what others of the same event say", async () => {
        const first = aCardUpdate({
          card_limit: "900",
          risk_control: { blocked_mcc: ["5999"] },
          metadata: { note: "first" },
        });
        const { card_id: cardId } = first.data;
        const second = aCardUpdate({
          card_id: cardId,
          card_limit: "100",
          risk_control: { blocked_mcc: ["5734", "restaurants"] },
          metadata: { note: "\u0000" },
        });

        await deliver(service, first, { atMs: Date.now() - 10_000 });
        await deliver(service, second);
        await service.untilApplied();

        expect(await cardRow(cardId)).toMatchObject({
          card_limit: "100",
          blocked_mcc: ["5999"],
          allowed_mcc: [],
          mcc_mode: "block",
          metadata: { note: "first" },
        });
        const row = await eventRow(second.event_id);
        expect(row?.["issues"]).toEqual([
          {
            path: "data.risk_control.blocked_mcc.1",
            message: "must be a merchant category code of one to four digits",
          },
          {
            path: "data.metadata",
            message: "must not contain NUL or half a surrogate pair",
          },
        ]);
      });

      test("gives way to its other name where that can be read", async () => {
        const event = aCardUpdate({
          available_balance: "1,000.00",
          card_available_balance: "1000.00",
        });

        await deliver(service, event);
        await service.untilApplied();

        expect(await cardRow(event.data["card_id"])).toMatchObject({
          available_balance: "1000.00",
        });
        expect(await eventRow(event.event_id)).toMatchObject({
          issues: [{ path: "data.available_balance" }],
        });
      });

      test.each(["some.other.type", "card.update.succeeded"])(
        "of the envelope of %s is listed, too",
        async (eventType) => {
          const event = aCardUpdate(
            {},
            {
              event_type: eventType,
              event_name: ["ISSUING"] as never,
              version: { major: 1 } as never,
              source_id: 17 as never,
            },
          );

          const answer = await deliver(service, event);

          expect(answer.status).toBe(200);
          expect(await eventRow(event.event_id)).toMatchObject({
            event_name: null,
            version: null,
            source_id: null,
            issues: [
              { path: "event_name", message: "must be text" },
              { path: "version", message: "must be text" },
              { path: "source_id", message: "must be text" },
            ],
          });
        },
      );

      test("is counted by its field, once for each event that is stored, from 0 on", async () => {
        const before = await unreadableCounts();
        const event = aCardUpdate(
          {
            card_limit: {},
            risk_control: { blocked_mcc: ["a", "b", "c"] },
            nobody_knows: {},
          },
          { source_id: 5 as never },
        );

        await deliver(service, event);
        await deliver(service, event);
        await deliver(service, aStatusUpdate({ card_id: 7, card_limit: {} }));
        const after = await unreadableCounts();

        expect([...after.keys()]).toEqual([...before.keys()]);
        const grown = [...after].filter(
          ([field, count]) => count !== before.get(field),
        );
        expect(
          grown.map(([field, count]) => [
            field,
            count - Number(before.get(field)),
          ]),
        ).toEqual([
          ["source_id", 1],
          ["data.card_limit", 1],
          ["data.risk_control", 1],
        ]);
      });

      test("is no fault where it is only absent, by any of UQPAY's marks", async () => {
        const event = anMccDecline({
          posted_time: "0001-01-01T00:00:00Z",
          original_transaction_id: "",
          wallet_type: null,
          merchant_data: [],
        });
        const update = aCardUpdate({
          risk_control: [],
          metadata: { "": "" },
          no_pin_payment_amount: "USD",
          spending_controls: null,
          cardholder: "",
        });

        await deliver(service, event);
        await deliver(service, update);

        for (const { event_id: eventId } of [event, update])
          expect(await eventRow(eventId)).toMatchObject({ issues: null });
      });
    });

    describe("forms that can be read", () => {
      test.each([
        ["742", "0742"],
        [742, "0742"],
        ["5", "0005"],
        [" 42 ", "0042"],
        [0, "0000"],
      ])("the MCC %j is %s", async (code, mcc) => {
        const decline = anMccDecline({
          merchant_data: { category_code: code, name: "SHOP" },
        });
        const update = aCardUpdate({ risk_control: { blocked_mcc: [code] } });

        await deliver(service, decline);
        await deliver(service, update);
        await service.untilApplied();

        expect(await authorizationRow(decline.event_id)).toMatchObject({ mcc });
        expect(await cardRow(update.data["card_id"])).toMatchObject({
          blocked_mcc: [mcc],
        });
      });

      test("one leading byte order mark is ignored, and the body keeps it", async () => {
        const event = aStatusUpdate();
        const body = `\ufeff${JSON.stringify(event)}`;

        const answer = await deliver(service, body);
        const again = await deliver(service, body);
        await service.untilApplied();

        expect(answer.body).toMatchObject({ status: "accepted" });
        expect(again.body).toMatchObject({ status: "duplicate" });
        expect(await eventRow(event.event_id)).toMatchObject({
          state: "processed",
          body,
        });
        expect(await cardRow(event.data["card_id"])).toMatchObject({
          card_status: "FROZEN",
        });
      });
    });

    describe("card numbers in the clear and security codes", () => {
      const NUMBER = "5555341244441115";
      const CODE = "73519";

      /** Everything that is stored and logged. */
      const everything = async (): Promise<string> => {
        const tables = [
          "webhook_events",
          "quarantined_events",
          "cards",
          "transactions",
        ];
        const rows = await Promise.all(
          tables.map((table) => service.rows(`select t::text from ${table} t`)),
        );
        const bodies = await service.rows(
          "select encode(body, 'escape') as body from quarantined_events",
        );
        return JSON.stringify([rows, bodies]) + service.log();
      };

      const secrets = {
        card_number: NUMBER,
        cvv: CODE,
        metadata: { card_number: "5555 3412 4444 1115", pin: CODE, note: "n" },
      };

      test("are masked and taken out, and the event is applied", async () => {
        const event = aCardUpdate({ ...secrets, card_limit: 1.1 });
        const sent = JSON.stringify(event).replace(":1.1", ":1.10");

        const answer = await deliver(service, sent);
        const again = await deliver(service, sent);
        await service.untilApplied();

        expect(answer.body).toMatchObject({ status: "accepted" });
        expect(again.body).toMatchObject({ status: "duplicate" });
        expect(await cardRow(event.data["card_id"])).toMatchObject({
          card_number: "555534******1115",
          card_limit: "1.10",
          metadata: { card_number: "555534******1115", pin: null, note: "n" },
        });
        expect(await eventRow(event.event_id)).toMatchObject({
          state: "processed",
          issues: null,
          body: sent
            .replace(NUMBER, "555534******1115")
            .replace("5555 3412 4444 1115", "555534******1115")
            .replaceAll(`"${CODE}"`, "null"),
        });
      });

      test.each([
        [{ card_bin: "55553412" }, "55553412****1115"],
        [{ card_bin: "555534" }, "555534******1115"],
        [{ card_number: "5555-3412-4444-1115" }, "555534******1115"],
        [{ card_number: Number(NUMBER) }, "555534******1115"],
        [{ card_number: "55553412****1115" }, "55553412****1115"],
        [{ card_number: "************1115" }, "************1115"],
      ])("with %j the number is %s", async (data, masked) => {
        const update = aCardUpdate({ card_number: NUMBER, ...data });
        const authorization = anMccDecline({ card_number: NUMBER, ...data });

        await deliver(service, update);
        await deliver(service, authorization);
        await service.untilApplied();

        for (const event of [update, authorization])
          expect(await cardRow(event.data["card_id"])).toMatchObject({
            card_number: masked,
          });
      });

      test.each<[string, () => Promise<unknown>]>([
        [
          "an event without a handler",
          () =>
            deliver(
              service,
              aCardUpdate(
                { card_number: NUMBER },
                { event_type: "card.activated" },
              ),
            ),
        ],
        [
          "an event without a handler, with a code",
          () =>
            deliver(
              service,
              aCardUpdate(
                { security_code: CODE },
                { event_type: "card.activated" },
              ),
            ),
        ],
        [
          "a malformed event",
          () => deliver(service, aStatusUpdate({ ...secrets, card_status: 1 })),
        ],
        [
          "a malformed envelope",
          () => deliver(service, aStatusUpdate(secrets, { event_id: "" })),
        ],
        [
          "a stale delivery",
          () =>
            deliver(service, aStatusUpdate(secrets), {
              atMs: Date.now() - 3_600_000,
            }),
        ],
        [
          "another content under a known id",
          async () => {
            const event = aStatusUpdate();
            await deliver(service, event);
            await deliver(service, aStatusUpdate(secrets, event));
          },
        ],
        [
          "a body that is cut",
          () =>
            deliver(
              service,
              JSON.stringify(aStatusUpdate({ cvv: CODE })).slice(0, -2),
            ),
        ],
        [
          "a number in a body that is cut",
          () =>
            deliver(
              service,
              JSON.stringify(aStatusUpdate({ card_number: NUMBER })).slice(
                0,
                -2,
              ),
            ),
        ],
        [
          "a number where none belongs",
          () => deliver(service, aStatusUpdate({ card_number: [NUMBER] })),
        ],
      ])("are nowhere to be found: %s", async (_what, send) => {
        await send();
        await service.untilApplied();

        const all = await everything();
        expect(all).not.toContain(NUMBER);
        expect(all).not.toContain("5555 3412");
        expect(all).not.toContain(CODE);
      });
    });

    describe("the quarantine", () => {
      const entry = async (cardId: string) =>
        service.rows(
          `select reason, deliveries, last_received_at > received_at as came_again
           from quarantined_events where card_id = $1 order by id`,
          [cardId],
        );

      test.each([
        ["a malformed event", { card_status: null }, {}, {}],
        ["a malformed envelope", {}, { event_id: "" }, {}],
        ["a stale delivery", {}, {}, { atMs: Date.now() - 3_600_000 }],
      ])(
        "has the card of %s, and when it came last",
        async (_what, data, envelope, signed) => {
          const cardId = randomUUID();
          const event = aStatusUpdate({ card_id: cardId, ...data }, envelope);

          await deliver(service, event, signed);
          const [once] = await entry(cardId);
          await deliver(service, event, signed);
          const twice = await entry(cardId);

          expect(once).toMatchObject({ deliveries: 1, came_again: false });
          expect(twice).toHaveLength(1);
          expect(twice).toMatchObject([{ deliveries: 2, came_again: true }]);
        },
      );

      test("has the card of another content under a known id", async () => {
        const first = aStatusUpdate();
        const second = {
          ...first,
          data: { ...first.data, card_id: randomUUID() },
        };

        await deliver(service, first);
        await deliver(service, second);

        expect(await entry(second.data.card_id)).toMatchObject([
          { reason: "event_id_conflict" },
        ]);
      });

      test.each([
        ["a number", 7],
        ["nothing", ""],
        ["a list", []],
      ])("has no card where %s stands for it", async (_what, cardId) => {
        const event = aStatusUpdate({ card_id: cardId });

        await deliver(service, event);

        expect(
          await service.rows(
            "select card_id from quarantined_events where event_id = $1",
            [event.event_id],
          ),
        ).toEqual([{ card_id: null }]);
      });
    });

    describe("the words of a decline", () => {
      test("are read in codes, too, and card_status only where they speak of the card", async () => {
        const categories: Readonly<Record<string, string>> = {
          "Forbid MCC from account": "mcc",
          MCC_BLOCKED: "mcc",
          scoped_card_mcc_not_allowed: "mcc",
          MCC5999: "mcc",
          "MCCs not permitted": "mcc",
          "merchant-category blocked": "mcc",
          INSUFFICIENT_FUNDS: "balance",
          LIMIT_EXCEEDED: "limit",
          INVALID_CVV2: "cvv",
          CARD_FROZEN: "card_status",
          "store closed": "other",
        };
        const cardId = randomUUID();

        for (const description of Object.keys(categories))
          await deliver(
            service,
            anMccDecline({ card_id: cardId, description }),
          );
        await service.untilApplied();

        const rows = await service.rows(
          "select description, decline_category, mcc_declined from transactions where card_id = $1",
          [cardId],
        );
        expect(
          Object.fromEntries(
            rows.map((row) => [row["description"], row["decline_category"]]),
          ),
        ).toEqual(categories);
        for (const row of rows)
          expect(row["mcc_declined"]).toBe(row["decline_category"] === "mcc");
      });
    });

    describe("whose rule declined", () => {
      test.each([
        ["the card blocks it", { blocked_mcc: ["5999"] }, "5999", "card"],
        ["the card allows others", { allowed_mcc: ["5734"] }, "5999", "card"],
        [
          "the card has other rules",
          { blocked_mcc: ["5734"] },
          "5999",
          "account",
        ],
        ["the card has no rule", {}, "5999", "account"],
        ["the card's rules were never seen", undefined, "5999", "unknown"],
        [
          "the event names no code, the card blocks",
          { blocked_mcc: ["5999"] },
          "",
          "unknown",
        ],
        [
          "the event names no code, the card allows",
          { allowed_mcc: ["5734"] },
          "",
          "unknown",
        ],
        ["the event names no code, the card has no rule", {}, "", "unknown"],
      ])("is told: %s", async (_what, rules, mcc, scope) => {
        const decline = anMccDecline({
          merchant_data: [{ category_code: mcc, name: "SHOP" }],
        });
        const { card_id: cardId } = decline.data;

        await deliver(service, decline);
        if (rules !== undefined)
          await deliver(
            service,
            aCardUpdate({ card_id: cardId, risk_control: rules }),
          );
        await service.untilApplied();

        expect(
          await service.rows(
            "select rule_scope from mcc_declines where card_id = $1",
            [cardId],
          ),
        ).toEqual([{ rule_scope: scope }]);
      });
    });
  },
);
