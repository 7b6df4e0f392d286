import { describe, expect, test } from "@jest/globals";
import type { CardEvent } from "../../../src/domain/card-event.ts";
import { cards, statusFinality } from "../../../src/projections/cards.ts";
import { dateBack } from "../../../src/projections/rows.ts";
import {
  aCardObserved,
  aPinBlocked,
  aStatusAnnounced,
  aTransactionReported,
  at,
  cardAfter,
  knownAfter,
  rowAfter as rowOfEvents,
} from "../../support/events.ts";

function rowAfter(...events: readonly CardEvent[]) {
  return rowOfEvents(cards, events);
}

const noRules = { allowed_mcc: [], blocked_mcc: [], risk_control: {} };
const blocked = (...mccs: string[]) => ({ ...noRules, blocked_mcc: mccs });

test("an event of which only the envelope is left says when a card was first seen", () => {
  const { eventId, signedAt } = aStatusAnnounced();

  const [statement] =
    cards.statementsOfEnvelope?.({ eventId, signedAt, cardId: "card-1" }) ?? [];

  expect(statement).toMatchObject({
    key: ["card-1"],
    registers: { first_seen_at: { value: signedAt } },
  });
});

describe("how final a status is", () => {
  test.each([
    ["CANCELLED", 2],
    ["FAILED", 2],
    ["PRE_CANCEL", 1],
    ["PENDING", 0],
    ["ACTIVE", 0],
    ["FROZEN", 0],
    ["BLOCKED", 0],
    ["LOST", 0],
    ["SUSPENDED", 0],
    ["SOMETHING_NEW", 0],
  ])("%s: %d", (status, finality) => {
    expect(statusFinality(status)).toBe(finality);
  });
});

describe("an announced status", () => {
  test("of the later change is the card's, in any order", () => {
    const row = rowAfter(
      aStatusAnnounced({
        eventId: "a",
        status: "FROZEN",
        reason: "lost?",
        changedAt: at("10:00:00"),
      }),
      aStatusAnnounced({
        eventId: "b",
        status: "ACTIVE",
        changedAt: at("11:00:00"),
      }),
    );

    expect(row).toMatchObject({
      card_status: "ACTIVE",
      status_reason: null,
      status_changed_at: at("11:00:00"),
      cancelled_at: null,
    });
  });

  test.each(["CANCELLED", "FAILED"])(
    "%s is never left, however late other news is dated",
    (final) => {
      const row = rowAfter(
        aStatusAnnounced({
          eventId: "a",
          status: final,
          reason: "the end",
          changedAt: at("10:00:00"),
        }),
        aStatusAnnounced({
          eventId: "b",
          status: "FROZEN",
          changedAt: at("11:00:00"),
        }),
        aStatusAnnounced({
          eventId: "c",
          status: "PRE_CANCEL",
          changedAt: at("12:00:00"),
        }),
        aCardObserved({
          eventId: "d",
          status: "ACTIVE",
          signedAt: at("13:00:00"),
        }),
      );

      expect(row).toMatchObject({
        card_status: final,
        status_reason: "the end",
        status_changed_at: at("10:00:00"),
      });
    },
  );

  test("PRE_CANCEL gives way to CANCELLED and FAILED only", () => {
    const preCancel = aStatusAnnounced({
      eventId: "a",
      status: "PRE_CANCEL",
      changedAt: at("10:00:00"),
    });
    const later = (status: string) =>
      aStatusAnnounced({ eventId: "b", status, changedAt: at("11:00:00") });

    const statuses = [
      "ACTIVE",
      "FROZEN",
      "SOMETHING_NEW",
      "CANCELLED",
      "FAILED",
    ].map((status) => rowAfter(preCancel, later(status))["card_status"]);

    expect(statuses).toEqual([
      "PRE_CANCEL",
      "PRE_CANCEL",
      "PRE_CANCEL",
      "CANCELLED",
      "FAILED",
    ]);
  });

  test("CANCELLED dated before PRE_CANCEL still wins", () => {
    const row = rowAfter(
      aStatusAnnounced({
        eventId: "a",
        status: "PRE_CANCEL",
        changedAt: at("11:00:00"),
      }),
      aStatusAnnounced({
        eventId: "b",
        status: "CANCELLED",
        changedAt: at("10:00:00"),
      }),
    );

    expect(row).toMatchObject({
      card_status: "CANCELLED",
      cancelled_at: at("10:00:00"),
      cancel_requested_at: at("11:00:00"),
    });
  });

  test("an unknown status is a status like ACTIVE", () => {
    const row = rowAfter(
      aStatusAnnounced({
        eventId: "a",
        status: "SOMETHING_NEW",
        changedAt: at("11:00:00"),
      }),
      aStatusAnnounced({
        eventId: "b",
        status: "ACTIVE",
        changedAt: at("10:00:00"),
      }),
    );

    expect(row["card_status"]).toBe("SOMETHING_NEW");
  });

  test("within one second the later signed one wins", () => {
    const changedAt = at("10:00:00");
    const row = rowAfter(
      aStatusAnnounced({
        eventId: "b",
        status: "FROZEN",
        changedAt,
        signedAt: at("10:00:01.100"),
      }),
      aStatusAnnounced({
        eventId: "a",
        status: "ACTIVE",
        changedAt,
        signedAt: at("10:00:01.200"),
      }),
    );

    expect(row["card_status"]).toBe("ACTIVE");
  });

  test.each([
    ["a", "b"],
    ["\ue000", "\u{1f4b3}"],
  ])("signed at one time the greater id wins (%j < %j)", (lesser, greater) => {
    const row = rowAfter(
      aStatusAnnounced({ eventId: greater, status: "FROZEN" }),
      aStatusAnnounced({ eventId: lesser, status: "ACTIVE" }),
    );

    expect(row["card_status"]).toBe("FROZEN");
    expect(row["last_event_id"]).toBe(greater);
  });

  test("a time in the future counts as the time of signing", () => {
    const row = rowAfter(
      aStatusAnnounced({
        eventId: "a",
        status: "FROZEN",
        changedAt: at("23:00:00"),
        signedAt: at("10:00:00"),
      }),
      aStatusAnnounced({
        eventId: "b",
        status: "ACTIVE",
        changedAt: at("11:00:00"),
        signedAt: at("11:00:00"),
      }),
    );

    expect(row).toMatchObject({
      card_status: "ACTIVE",
      status_changed_at: at("11:00:00"),
    });
  });
});

describe("a status seen in passing", () => {
  test("is the card's while nothing was announced", () => {
    const row = rowAfter(
      aCardObserved({ status: "ACTIVE", signedAt: at("10:00:00") }),
    );

    expect(row).toMatchObject({
      card_status: "ACTIVE",
      status_reason: null,
      status_changed_at: at("10:00:00"),
      observed_status: "ACTIVE",
      observed_status_at: at("10:00:00"),
    });
  });

  test("never overrides an announced one, but both are kept", () => {
    const row = rowAfter(
      aStatusAnnounced({
        eventId: "a",
        status: "FROZEN",
        reason: "asked",
        changedAt: at("10:00:00"),
      }),
      aCardObserved({
        eventId: "b",
        status: "ACTIVE",
        signedAt: at("11:00:00"),
      }),
    );

    expect(row).toMatchObject({
      card_status: "FROZEN",
      status_reason: "asked",
      status_changed_at: at("10:00:00"),
      observed_status: "ACTIVE",
      observed_status_at: at("11:00:00"),
    });
  });

  test("beats an announced one when it is more final", () => {
    const row = rowAfter(
      aStatusAnnounced({
        eventId: "a",
        status: "ACTIVE",
        changedAt: at("11:00:00"),
      }),
      aCardObserved({
        eventId: "b",
        status: "CANCELLED",
        signedAt: at("10:00:00"),
      }),
    );

    expect(row).toMatchObject({
      card_status: "CANCELLED",
      cancelled_at: at("10:00:00"),
    });
  });

  test("the latest one seen is kept, even when it is less final", () => {
    const row = rowAfter(
      aCardObserved({
        eventId: "a",
        status: "CANCELLED",
        signedAt: at("10:00:00"),
      }),
      aCardObserved({
        eventId: "b",
        status: "ACTIVE",
        signedAt: at("11:00:00"),
      }),
    );

    expect(row).toMatchObject({
      card_status: "CANCELLED",
      observed_status: "ACTIVE",
      observed_status_at: at("11:00:00"),
    });
  });

  test("an announcement leaves it alone", () => {
    const row = rowAfter(
      aStatusAnnounced({ eventId: "a", status: "FROZEN" }),
      aTransactionReported({ eventId: "b", happenedAt: at("12:00:00") }),
    );

    expect(row).toMatchObject({
      card_status: "FROZEN",
      observed_status: null,
      observed_status_at: null,
    });
  });
});

describe("an announced status is contradicted", () => {
  const frozenAtTen = aStatusAnnounced({ eventId: "a", status: "FROZEN" });
  const seen = (eventId: string, status: string, time: string) =>
    aCardObserved({ eventId, status, signedAt: at(time) });

  test.each([
    [true, "another one was seen later", "ACTIVE", "11:00:00"],
    [false, "the same one was seen later", "FROZEN", "11:00:00"],
    [false, "another one was seen before", "ACTIVE", "09:00:00"],
    [false, "another one was seen at that time", "ACTIVE", "10:00:00"],
  ])("%s where %s", (isContradicted, _what, status, time) => {
    const row = rowAfter(frozenAtTen, seen("b", status, time));

    expect(row["status_contradicted"]).toBe(isContradicted);
  });

  test("by the latest that was seen only", () => {
    const row = rowAfter(
      frozenAtTen,
      seen("b", "ACTIVE", "11:00:00"),
      seen("c", "FROZEN", "12:00:00"),
    );

    expect(row["status_contradicted"]).toBe(false);
  });

  test("by nothing where only one of the two is known", () => {
    const cards = [frozenAtTen, aCardObserved({ status: "ACTIVE" })].map(
      (event) => rowAfter(event, aTransactionReported({ eventId: "b" })),
    );

    expect(cards.map((row) => row["status_contradicted"])).toEqual([
      false,
      false,
    ]);
  });
});

describe("the request to cancel", () => {
  test("is dated by the earliest PRE_CANCEL, announced or seen", () => {
    const row = rowAfter(
      aStatusAnnounced({
        eventId: "a",
        status: "PRE_CANCEL",
        changedAt: at("11:00:00"),
      }),
      aStatusAnnounced({
        eventId: "b",
        status: "PRE_CANCEL",
        changedAt: at("12:00:00"),
      }),
      aCardObserved({
        eventId: "c",
        status: "PRE_CANCEL",
        signedAt: at("10:00:00"),
      }),
    );

    expect(row).toMatchObject({
      cancel_requested_at: at("10:00:00"),
      status_changed_at: at("12:00:00"),
    });
  });

  test("is dated by its own time and not by its signing", () => {
    const row = rowAfter(
      aStatusAnnounced({
        status: "PRE_CANCEL",
        changedAt: at("10:00:00"),
        signedAt: at("10:30:00"),
      }),
    );

    expect(row["cancel_requested_at"]).toBe(at("10:00:00"));
  });

  test("is not dated later than it was signed", () => {
    const row = rowAfter(
      aStatusAnnounced({
        status: "PRE_CANCEL",
        changedAt: at("23:00:00"),
        signedAt: at("10:00:00"),
      }),
    );

    expect(row["cancel_requested_at"]).toBe(at("10:00:00"));
  });

  test("stays known after the cancellation", () => {
    const row = rowAfter(
      aStatusAnnounced({
        eventId: "a",
        status: "PRE_CANCEL",
        changedAt: at("10:00:00"),
      }),
      aStatusAnnounced({
        eventId: "b",
        status: "CANCELLED",
        changedAt: at("11:00:00"),
      }),
    );

    expect(row).toMatchObject({
      cancel_requested_at: at("10:00:00"),
      cancelled_at: at("11:00:00"),
    });
  });

  test.each(["CANCELLED", "FAILED", "FROZEN"])(
    "is unknown when %s is all that came",
    (status) => {
      expect(rowAfter(aStatusAnnounced({ status }))).toMatchObject({
        card_status: status,
        cancel_requested_at: null,
        cancelled_at: status === "CANCELLED" ? at("10:00:00") : null,
      });
    },
  );
});

describe("a card's fields", () => {
  test("that an event does not mention stay as they are known", () => {
    const row = rowAfter(
      aCardObserved({
        eventId: "a",
        signedAt: at("10:00:00"),
        facts: {
          card_number: "4611****1244",
          cardholder_id: "holder-1",
          card_limit: "1000",
          metadata: { a: "1" },
        },
      }),
      aCardObserved({
        eventId: "b",
        signedAt: at("11:00:00"),
        facts: { card_limit: "2000", cardholder_id: undefined },
      }),
    );

    expect(row).toMatchObject({
      card_number: "4611****1244",
      cardholder_id: "holder-1",
      card_limit: "2000",
      metadata: { a: "1" },
    });
  });

  test("come from each event that knows them best", () => {
    const row = rowAfter(
      aCardObserved({
        eventId: "a",
        signedAt: at("12:00:00"),
        facts: { card_limit: "1000" },
      }),
      aStatusAnnounced({
        eventId: "b",
        status: "FROZEN",
        changedAt: at("11:00:00"),
        facts: { card_limit: "900", available_balance: "50" },
      }),
    );

    expect(row).toMatchObject({
      card_limit: "1000",
      available_balance: "50",
      balance_as_of: at("11:00:00"),
      card_status: "FROZEN",
      last_event_id: "a",
      last_event_at: at("12:00:00"),
      first_seen_at: at("11:00:00"),
    });
  });

  test("a later snapshot without a blocked list empties the list", () => {
    const row = rowAfter(
      aCardObserved({
        eventId: "a",
        signedAt: at("10:00:00"),
        facts: blocked("6551", "5533"),
      }),
      aCardObserved({
        eventId: "b",
        signedAt: at("11:00:00"),
        facts: noRules,
      }),
    );

    expect(row).toMatchObject({
      allowed_mcc: [],
      blocked_mcc: [],
      risk_control: {},
      controls_updated_at: at("11:00:00"),
    });
  });

  test("a later snapshot without risk rules leaves the list alone", () => {
    const row = rowAfter(
      aCardObserved({
        eventId: "a",
        signedAt: at("10:00:00"),
        facts: blocked("6551"),
      }),
      aCardObserved({ eventId: "b", signedAt: at("11:00:00"), facts: {} }),
    );

    expect(row).toMatchObject({
      blocked_mcc: ["6551"],
      controls_updated_at: at("10:00:00"),
    });
  });

  test("a balance is as of the transaction and not of its delivery", () => {
    const row = rowAfter(
      aTransactionReported({
        eventId: "a",
        happenedAt: at("10:00:00"),
        signedAt: at("12:00:00"),
        facts: { available_balance: "90" },
      }),
      aTransactionReported({
        eventId: "b",
        happenedAt: at("11:00:00"),
        signedAt: at("11:00:00"),
        facts: { available_balance: "80" },
      }),
    );

    expect(row).toMatchObject({
      available_balance: "80",
      balance_as_of: at("11:00:00"),
    });
  });

  test("an authorization without a time is dated by its signing", () => {
    const row = rowAfter(
      aTransactionReported({
        happenedAt: undefined,
        signedAt: at("12:00:00"),
        facts: { available_balance: "90" },
      }),
    );

    expect(row).toMatchObject({
      card_status: null,
      balance_as_of: at("12:00:00"),
      last_event_at: at("12:00:00"),
      controls_updated_at: null,
    });
  });

  test("a balance is as of the money's moving, though its news comes after a later one", () => {
    const row = rowAfter(
      aCardObserved({
        eventId: "recharge",
        observedAt: at("10:00:00"),
        signedAt: at("10:08:00"),
        facts: { available_balance: "200" },
      }),
      aTransactionReported({
        eventId: "spent",
        happenedAt: at("10:01:00"),
        facts: { available_balance: "-0.01" },
      }),
    );

    expect(row).toMatchObject({
      available_balance: "-0.01",
      balance_as_of: at("10:01:00"),
    });
  });

  test("PENDING says nothing of the card's finality: its balance counts by time", () => {
    const row = rowAfter(
      aTransactionReported({
        eventId: "a",
        happenedAt: at("10:00:00"),
        facts: { available_balance: "90" },
      }),
      aTransactionReported({
        eventId: "b",
        happenedAt: at("11:00:00"),
        transaction: { transaction_status: "PENDING" },
        facts: { available_balance: "80" },
      }),
    );

    expect(row["available_balance"]).toBe("80");
  });

  test.each([
    [[{ amount: "500", interval: "PER_TRANSACTION" }], "500"],
    [[{ amount: "500", interval: "per_transaction" }], "500"],
    [
      [
        { amount: "9", interval: "DAILY" },
        { amount: "500.10", interval: "PER_TRANSACTION" },
      ],
      "500.10",
    ],
    [[{ amount: "9", interval: "DAILY" }], null],
    [[{ interval: "PER_TRANSACTION" }], null],
    [[{ amount: "9" }], null],
    [[], null],
  ])("%j limit one transaction to %s", (spendingControls, limit) => {
    const row = rowAfter(
      aCardObserved({ facts: { spending_controls: spendingControls } }),
    );

    expect(row).toMatchObject({
      per_transaction_limit: limit,
      spending_controls: spendingControls,
    });
  });

  test.each([
    ["allow", ["5999"], []],
    ["allow", ["5999"], ["5998"]],
    ["block", [], ["5998"]],
    ["none", [], []],
  ])("%s is the mode of allowed %j and blocked %j", (mode, ...lists) => {
    const [allowed_mcc, blocked_mcc] = lists;
    const row = rowAfter(
      aCardObserved({ facts: { allowed_mcc, blocked_mcc, risk_control: {} } }),
    );

    expect(row["mcc_mode"]).toBe(mode);
  });

  test("a card whose lists were never seen has no mode", () => {
    expect(rowAfter(aCardObserved())["mcc_mode"]).toBeNull();
  });

  test("the rules were last set when the later of their two kinds was", () => {
    const limits = aCardObserved({
      eventId: "a",
      signedAt: at("10:00:00"),
      facts: { spending_controls: [] },
    });
    const risk = aCardObserved({
      eventId: "b",
      signedAt: at("11:00:00"),
      facts: noRules,
    });

    const times = [
      rowAfter(limits),
      rowAfter(risk),
      rowAfter(limits, risk),
      rowAfter(aCardObserved()),
    ].map((row) => row["controls_updated_at"]);

    expect(times).toEqual([
      at("10:00:00"),
      at("11:00:00"),
      at("11:00:00"),
      null,
    ]);
  });

  test("a card is first seen when its earliest event was signed", () => {
    const row = rowAfter(
      aCardObserved({ eventId: "a", signedAt: at("11:00:00") }),
      aStatusAnnounced({
        eventId: "b",
        changedAt: at("09:00:00"),
        signedAt: at("10:00:00"),
      }),
    );

    expect(row["first_seen_at"]).toBe(at("10:00:00"));
  });

  test("every field that an event knows has a column", () => {
    const row = rowAfter(
      aCardObserved({
        facts: {
          card_number: "4611****1244",
          card_bin: "461199",
          card_scheme: "VISA",
          card_product_id: "product-1",
          cardholder_id: "holder-1",
          card_currency: "USD",
          mode_type: "SINGLE",
          form_factor: "VIRTUAL",
          card_limit: "1000.00",
          available_balance: "1.10",
          no_pin_payment_amount: "20",
          elevated_limit: "80000",
          elevated_limit_until: at("12:00:00"),
          network_protection: { status: "ENROLLED" },
          spending_controls: [],
          allowed_mcc: ["5734"],
          blocked_mcc: [],
          risk_control: { a: 1 },
          metadata: { a: "b" },
        },
      }),
    );

    expect(row).toEqual({
      card_id: "card-1",
      card_number: "4611****1244",
      card_bin: "461199",
      card_scheme: "VISA",
      card_product_id: "product-1",
      cardholder_id: "holder-1",
      card_currency: "USD",
      mode_type: "SINGLE",
      form_factor: "VIRTUAL",
      card_status: null,
      status_reason: null,
      status_changed_at: null,
      observed_status: null,
      observed_status_at: null,
      status_contradicted: false,
      card_limit: "1000.00",
      elevated_limit: "80000",
      elevated_limit_until: at("12:00:00"),
      available_balance: "1.10",
      balance_as_of: at("10:00:00"),
      per_transaction_limit: null,
      spending_controls: [],
      allowed_mcc: ["5734"],
      blocked_mcc: [],
      mcc_mode: "allow",
      risk_control: { a: 1 },
      no_pin_payment_amount: "20",
      pin_blocked_at: null,
      network_protection: { status: "ENROLLED" },
      metadata: { a: "b" },
      controls_updated_at: at("10:00:00"),
      cancel_requested_at: null,
      cancelled_at: null,
      first_seen_at: at("10:00:00"),
      last_event_id: "event-1",
      last_event_at: at("10:00:00"),
      field_clocks: expect.objectContaining({
        available_balance: {
          event_id: "event-1",
          at: at("10:00:00"),
          signed_at: at("10:00:00"),
        },
      }) as unknown,
    });
  });
});

describe("a block of the card's PIN", () => {
  test("is dated by the latest one's signing, and nothing clears it", () => {
    const row = rowAfter(
      aPinBlocked({ eventId: "a", signedAt: at("10:00:00") }),
      aPinBlocked({ eventId: "b", signedAt: at("11:00:00") }),
      aStatusAnnounced({ eventId: "c", changedAt: at("12:00:00") }),
    );

    expect(row["pin_blocked_at"]).toBe(at("11:00:00"));
  });

  test("moves with its clock when a copy was signed earlier", () => {
    const { registers } = cardAfter(aPinBlocked({ signedAt: at("10:00:00") }));

    const dated = dateBack(
      cards,
      registers,
      new Map([["event-1", at("09:59:00")]]),
    );

    expect(dated["pin_blocked_at"]?.value).toBe(at("09:59:00"));
  });
});

describe("an event that came before", () => {
  test.each([
    ["an announcement", aStatusAnnounced({ status: "PRE_CANCEL" })],
    [
      "a snapshot",
      aCardObserved({ status: "ACTIVE", facts: { card_limit: "1" } }),
    ],
    ["an authorization", aTransactionReported({ facts: { card_number: "4" } })],
  ])("changes nothing: %s", (_what, event) => {
    const card = cardAfter(event, aCardObserved({ eventId: "z" }));

    expect(cardAfter(event, aCardObserved({ eventId: "z" }), event)).toEqual(
      card,
    );
  });

  test("leaves the very same card, so that nothing is written", () => {
    const event = aStatusAnnounced({ status: "FROZEN" });
    const card = cardAfter(event);

    expect(knownAfter(cards, [event], card)).toBe(card);
  });

  test("and knows nothing better leaves the very same card, too", () => {
    const newer = aStatusAnnounced({
      eventId: "b",
      changedAt: at("10:00:00"),
      signedAt: at("11:00:00"),
    });
    const older = aStatusAnnounced({
      eventId: "a",
      changedAt: at("09:00:00"),
      signedAt: at("11:00:01"),
    });
    const card = cardAfter(newer);

    expect(knownAfter(cards, [older], card)).toBe(card);
  });
});

describe("a card, dated back to a copy that was signed earlier", () => {
  const nine = at("09:00:00");

  test.each([
    ["an announced status", aStatusAnnounced({ status: "PRE_CANCEL" })],
    ["a status seen in passing", aCardObserved({ status: "PRE_CANCEL" })],
    ["facts", aCardObserved({ facts: { card_limit: "1" } })],
  ])("is as if that copy alone had come: %s", (_, event) => {
    const { key, registers } = cardAfter(event);
    const signedAtOf = new Map([[event.eventId, nine]]);

    expect({
      key,
      registers: dateBack(cards, registers, signedAtOf),
    }).toEqual(cardAfter({ ...event, signedAt: nine }));
  });

  test("stays as it is where the copy is no earlier", () => {
    const event = aStatusAnnounced({ status: "PRE_CANCEL" });
    const { registers } = cardAfter(event);
    const signedAtOf = new Map([[event.eventId, event.signedAt]]);

    expect(dateBack(cards, registers, signedAtOf)).toEqual(registers);
  });
});
