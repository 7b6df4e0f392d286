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
