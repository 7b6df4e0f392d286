import type { CardholderReported } from "../domain/card-event.ts";
import { clockOf } from "../domain/clock.ts";
import type { Registers } from "../domain/registers.ts";
import { statedAt } from "../domain/registers.ts";
import type { Projection } from "./projection.ts";
import {
  bookkeeping,
  key,
  latest,
  latestTime,
  required,
} from "./projection.ts";

/** What all events so far say of each cardholder's status. Nothing else of the person is kept anywhere. */
export const cardholders: Projection = {
  table: "cardholders",
  subject: "cardholder",
  columns: {
    cardholder_id: key("text"),
    cardholder_status: latest("text"),
    idv_status: latest("text"),
    status_changed_at: latestTime(),
    event_id: bookkeeping(required(latest("text"))),
  },
  statementsIn: (event) =>
    event.kind === "cardholder-reported"
      ? [{ key: [event.cardholderId], registers: registersIn(event) }]
      : [],
};

/** An update shows the status as it is: only where none was announced does it say since when. */
function registersIn(event: CardholderReported): Registers {
  const clock = clockOf(event, event.happenedAt);
  const { cardholder_status: status } = event.cardholder;
  return {
    ...statedAt(clock, { event_id: event.eventId, ...event.cardholder }),
    ...statedAt(
      { ...clock, authority: event.isAnnounced ? 1 : 0 },
      { status_changed_at: status === undefined ? undefined : clock.at },
    ),
  };
}
