import { expect, test } from "@jest/globals";
import { cardholders } from "../../../src/projections/cardholders.ts";
import { dateBack, statementsIn } from "../../../src/projections/rows.ts";
import {
  aCardObserved,
  aCardholderReported,
  at,
  cardholderAfter,
  rowAfter,
} from "../../support/events.ts";

const announced = aCardholderReported({
  eventId: "announced",
  happenedAt: at("10:00:00"),
  cardholder: { cardholder_status: "SUCCESS", idv_status: "PASSED" },
});
const seen = aCardholderReported({
  eventId: "seen",
  happenedAt: at("11:00:00"),
  isAnnounced: false,
});

test("has the status, since when it is, and nothing of the person", () => {
  expect(rowAfter(cardholders, [announced])).toEqual({
    cardholder_id: "holder-1",
    cardholder_status: "SUCCESS",
    idv_status: "PASSED",
    status_changed_at: at("10:00:00"),
    event_id: "announced",
    field_clocks: expect.anything() as unknown,
  });
});

test("an update that shows the same status does not change since when it is", () => {
  expect(rowAfter(cardholders, [announced, seen])).toMatchObject({
    status_changed_at: at("10:00:00"),
    event_id: "seen",
  });
});

test("an update says since when while nothing was announced", () => {
  expect(rowAfter(cardholders, [seen])).toMatchObject({
    status_changed_at: at("11:00:00"),
  });
});

test("an event without a status leaves it as it is known", () => {
  const silent = aCardholderReported({
    eventId: "silent",
    happenedAt: at("12:00:00"),
    cardholder: {},
  });

  expect(rowAfter(cardholders, [announced, silent])).toMatchObject({
    cardholder_status: "SUCCESS",
    status_changed_at: at("10:00:00"),
    event_id: "silent",
  });
});

test("moves with its clock when a copy was signed earlier", () => {
  const { registers } = cardholderAfter(announced);

  const dated = dateBack(
    cardholders,
    registers,
    new Map([["announced", at("09:00:00")]]),
  );

  expect(dated["status_changed_at"]?.value).toBe(at("09:00:00"));
});

test("a card's event says nothing of it", () => {
  expect(statementsIn(cardholders, [aCardObserved()])).toEqual([]);
});
