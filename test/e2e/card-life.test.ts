import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import type { Simulator } from "../../dev/simulator/simulator.ts";
import { createSimulator } from "../../dev/simulator/simulator.ts";
import type { TestService } from "../support/service.ts";
import {
  isAvailable,
  queueKinds,
  SECRET,
  startTestService,
} from "../support/service.ts";

describe.each(queueKinds.filter(isAvailable))(
  "a card at the simulated UQPAY, the queue on %s",
  (queue) => {
    let service: TestService;
    let simulator: Simulator;

    beforeEach(async () => {
      service = await startTestService({ queue });
      simulator = await createSimulator({
        secret: SECRET,
        webhookUrl: `${service.baseUrl}/webhooks/uqpay`,
        haste: 500,
      });
    });

    afterEach(async () => {
      await simulator.stop();
      await service.stop();
    });

    const untilApplied = async () => {
      await simulator.untilDelivered();
      await service.untilApplied();
    };

    const row = async (cardId: string) => {
      await untilApplied();
      const [card] = await service.rows(
        "select * from cards where card_id = $1",
        [cardId],
      );
      return card;
    };

    test("is known from its creation to its end", async () => {
      const { world } = simulator;
      const { id } = world.issue({ form: "PHYSICAL", balance: 500 });
      expect(await row(id)).toMatchObject({
        card_status: "PENDING",
        available_balance: "500",
        per_transaction_limit: "20000",
        mcc_mode: "none",
      });

      world.activate(id);
      expect(await row(id)).toMatchObject({ card_status: "ACTIVE" });

      world.updateControls(id, { blockedMcc: ["5999"], perTransaction: 100 });
      expect(await row(id)).toMatchObject({
        blocked_mcc: ["5999"],
        mcc_mode: "block",
        per_transaction_limit: "100",
      });

      world.spend(id, { amount: "12.50", mcc: "5411" });
      expect(await row(id)).toMatchObject({ available_balance: "487.5" });

      const declined = world.spend(id, { amount: 1, mcc: "5999" });
      await untilApplied();
      expect(
        await service.rows(
          "select transaction_id, mcc, rule_scope from mcc_declines",
        ),
      ).toEqual([
        { transaction_id: declined.id, mcc: "5999", rule_scope: "card" },
      ]);

      world.freeze(id, "left in a taxi");
      expect(await row(id)).toMatchObject({
        card_status: "FROZEN",
        status_reason: "left in a taxi",
      });
      // UQPAY's times of a status have whole seconds.
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      world.unfreeze(id);
      expect(await row(id)).toMatchObject({ card_status: "ACTIVE" });

      const paid = world.spend(id, { amount: 20 });
      world.settle(paid.id);
      world.refund(paid.id, 5);
      world.recharge(id, 100);
      world.withdraw(id, 50);
      world.fee(id, 1);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      world.cancel(id);
      expect(await row(id)).toMatchObject({ card_status: "PRE_CANCEL" });

      world.later(30);
      expect(await row(id)).toMatchObject({
        card_status: "CANCELLED",
        available_balance: String((world.card(id)?.balance ?? 0) / 100),
      });
      expect(simulator.events().map(({ outcome }) => outcome)).toEqual(
        simulator.events().map(() => "delivered"),
      );
      expect(
        await service.rows(
          "select event_id from webhook_events where state not in ('processed', 'ignored')",
        ),
      ).toEqual([]);
    });

    test("is as true where webhooks come twice, late, in another order, signed anew, cut or slowly", async () => {
      const { world, faults } = simulator;
      faults.set({
        duplicated: 0.3,
        reordered: 0.3,
        "signed-anew": 0.3,
        malformed: 0.2,
        delayed: 0.1,
        slow: 0.1,
      });

      const cards = Array.from({ length: 20 }, () => {
        const { id } = world.issue({ balance: 100 });
        world.spend(id, { amount: 10 });
        world.spend(id, { amount: 1_000 });
        world.cancel(id);
        return id;
      });
      await untilApplied();

      expect(
        await service.rows(
          "select card_id, card_status from cards order by card_id",
        ),
      ).toEqual(
        cards
          .toSorted()
          .map((card_id) => ({ card_id, card_status: "PRE_CANCEL" })),
      );
      expect(
        await service.rows(
          "select transaction_status, count(*)::int from authorizations group by 1 order by 1",
        ),
      ).toEqual([
        { transaction_status: "APPROVED", count: 20 },
        { transaction_status: "DECLINED", count: 20 },
      ]);
      expect(
        await service.rows(
          "select distinct reason from quarantined_events order by 1",
        ),
      ).toEqual([{ reason: "invalid_json" }]);
    });

    test("is kept in quarantine where a webhook is stale, and where two contents come under one id", async () => {
      const { world, faults } = simulator;
      faults.next("stale");
      world.issue();
      await simulator.untilDelivered();
      faults.next("conflicting");
      world.issue();
      await untilApplied();

      expect(
        await service.rows(
          "select reason, count(*)::int from quarantined_events group by 1 order by 1",
        ),
      ).toEqual([
        { reason: "event_id_conflict", count: 1 },
        { reason: "stale_timestamp", count: 1 },
      ]);
    });
  },
);
