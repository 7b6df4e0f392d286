/**
 * One fault each, as a careless change would bring it in. `edits` are exact replacements in src/; `tests` are the
 * fewest tests that must notice: a file, and where that is long, the titles in it.
 *
 * @typedef {{ readonly file: string, readonly from: string, readonly to: string }} Edit
 * @typedef {{ readonly project: string, readonly file: string, readonly titles?: string }} Target
 * @typedef {{ readonly name: string, readonly edits: readonly Edit[], readonly tests: readonly Target[] }} Mutant
 */

const unit = (file) => ({ project: "unit", file: `test/unit/${file}` });
const integration = (file, titles) => ({
  project: "integration",
  file: `test/integration/${file}`,
  titles,
});
const e2e = (file, titles) => ({
  project: "e2e",
  file: `test/e2e/${file}`,
  titles,
});

/** @type {readonly Mutant[]} */
export const mutants = [
  {
    name: "acknowledge before commit",
    edits: [
      {
        file: "src/receive-webhook.ts",
        from: "const results = await record(entries);",
        to: 'const results = entries.map((): Recorded => "recorded");\n  void record(entries).catch(() => undefined);',
      },
    ],
    tests: [e2e("security.test.ts", "waits for the commit")],
  },
  {
    name: "look up, then insert",
    edits: [
      {
        file: "src/store/inbox.ts",
        from: "const inserted = await insertNew(pool, rows);",
        to: "const known = await findStored(pool, [...firsts.keys()]);\n  const inserted = await insertNew(pool, rows.filter(({ eventId }) => !known.has(eventId)));",
      },
      {
        file: "src/store/inbox.ts",
        from: "      on conflict (event_id) do nothing\n",
        to: "",
      },
    ],
    tests: [e2e("security.test.ts", "accepted once by two instances")],
  },
  {
    name: "no tie-break",
    edits: [
      {
        file: "src/domain/clock.ts",
        from: "return compareCodePoints(a.eventId, b.eventId);",
        to: "return 0;",
      },
    ],
    tests: [unit("domain/clock.test.ts")],
  },
  {
    name: "hint lost, and sweep off",
    edits: [
      {
        file: "src/service.ts",
        from: "hints.place(events);",
        to: "if (events.length === 0) hints.place(events);",
      },
      {
        file: "src/worker.ts",
        from: "startPeriodic(config.queue.requeuePeriodMs,",
        to: "startPeriodic(2 ** 30,",
      },
    ],
    tests: [e2e("service.test.ts", "a late freeze does not revive")],
  },
  {
    name: "sweep off",
    edits: [
      {
        file: "src/worker.ts",
        from: "startPeriodic(config.queue.requeuePeriodMs,",
        to: "startPeriodic(2 ** 30,",
      },
    ],
    tests: [
      integration(
        "reconcile.test.ts",
        "applies an event that nobody hinted at",
      ),
    ],
  },
  {
    name: "mark processed in a transaction of its own",
    edits: [
      {
        file: "src/reconcile-events.ts",
        from: "  const reconciled = await inTransaction(db, async (trx) => {",
        to: "  const taken = await inTransaction(db, (trx) =>\n    takeWaitingEvents(trx, eventIds, countAttempts),\n  );\n  const reconciled = await inTransaction(db, async (trx) => {",
      },
      {
        file: "src/reconcile-events.ts",
        from: "await takeWaitingEvents(trx, eventIds, countAttempts),\n      checkpoint,",
        to: "taken,\n      checkpoint,",
      },
    ],
    tests: [e2e("security.test.ts", "is not marked either")],
  },
  {
    name: "freshness before MAC",
    edits: [
      {
        file: "src/uqpay/signature.ts",
        from: "  const secret = findSigner(rules.secrets, rawBody, timestamp, signature);",
        to: '  const claimedMs = readTimestamp(timestamp);\n  if (claimedMs === undefined || Math.abs(nowMs - claimedMs) > rules.toleranceSeconds * 1000)\n    return { kind: "stale", signedAtMs: claimedMs, secret: 1 };\n  const secret = findSigner(rules.secrets, rawBody, timestamp, signature);',
      },
    ],
    tests: [unit("uqpay/signature.test.ts")],
  },
  {
    name: "no authority in the clock",
    edits: [
      {
        file: "src/domain/clock.ts",
        from: "  if (a.authority !== b.authority) return a.authority - b.authority;\n",
        to: "",
      },
    ],
    tests: [unit("domain/card.test.ts")],
  },
  {
    name: "no finality in the clock",
    edits: [
      {
        file: "src/domain/clock.ts",
        from: "  if (a.finality !== b.finality) return a.finality - b.finality;\n",
        to: "",
      },
    ],
    tests: [unit("domain/card.test.ts")],
  },
  {
    name: "a time in the future wins for ever",
    edits: [
      {
        file: "src/domain/clock.ts",
        from: ": earlier(ownTime, origin.signedAt),",
        to: ": earlier(ownTime, ownTime),",
      },
    ],
    tests: [unit("domain/card.test.ts")],
  },
  {
    name: "absent overwrites known",
    edits: [
      {
        file: "src/domain/registers.ts",
        from: "if (value !== undefined) registers[field] = { value, clock };",
        to: "registers[field] = { value: value as Fields[keyof Fields], clock };",
      },
    ],
    tests: [unit("domain/registers.test.ts")],
  },
  {
    name: "amounts through Number",
    edits: [
      {
        file: "src/uqpay/fields.ts",
        from: "return decimals === 0 ? wholePart : `${wholePart}.${digits.slice(point)}`;",
        to: "return String(Number(decimals === 0 ? wholePart : `${wholePart}.${digits.slice(point)}`));",
      },
    ],
    tests: [unit("uqpay/fields.test.ts")],
  },
  {
    name: "event ids compared by UTF-16 units",
    edits: [
      {
        file: "src/domain/clock.ts",
        from: "return compareCodePoints(a.eventId, b.eventId);",
        to: "return a.eventId < b.eventId ? -1 : a.eventId > b.eventId ? 1 : 0;",
      },
    ],
    tests: [unit("explain-card.test.ts")],
  },
  {
    name: "quarantine without dedupe",
    edits: [
      {
        file: "src/store/quarantine.ts",
        from: 'conflict.columns(["body_sha256", "reason"]).doUpdateSet({',
        to: 'conflict.column("id").doUpdateSet({',
      },
    ],
    tests: [e2e("service.test.ts", "has one row for a malformed event")],
  },
  {
    name: "sensitive body stored",
    edits: [
      {
        file: "src/receive-webhook.ts",
        from: "if (decoded.isSensitive) return undefined;",
        to: "",
      },
    ],
    tests: [
      e2e("service.test.ts", "codes and keys of a type with swapped names"),
    ],
  },
  {
    name: "duplicate answered as accepted",
    edits: [
      {
        file: "src/receive-webhook.ts",
        from: '    case "duplicate":\n    case "earlier":\n      return { kind: "duplicate", eventId };',
        to: '    case "duplicate":\n    case "earlier":\n      return { kind: "accepted", eventId };',
      },
    ],
    tests: [e2e("service.test.ts", "tells a new event from a known one")],
  },
  {
    name: "one failing event fails its batch",
    edits: [
      {
        file: "src/reconcile-events.ts",
        from: "    if (isPassingFault(error)) throw error;\n    const [eventId, ...others] = eventIds;\n",
        to: "    for (const eventId of eventIds)\n      await recordFailedAttempt(run.db, { eventId, error: describeError(error), retryInMs: undefined, counts: true }, false);\n    return { reconciled: [], failed: [] };\n    const [eventId, ...others] = eventIds;\n",
      },
    ],
    tests: [integration("reconcile.test.ts", "does not hold its neighbours")],
  },
  {
    name: "attempts not counted before the work",
    edits: [
      {
        file: "src/store/inbox.ts",
        from: "set attempts = least(attempts + 1, ${maxAttempts}),",
        to: "set attempts = least(attempts, ${maxAttempts}),",
      },
    ],
    tests: [
      integration("reconcile.test.ts", "ends failed with its reason"),
      integration("reconcile.test.ts", "ended the process as often as it may"),
    ],
  },
  {
    name: "JSON re-serialised before the MAC",
    edits: [
      {
        file: "src/http/webhook-route.ts",
        from: "rawBody: Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0),",
        to: "rawBody: Buffer.from(JSON.stringify(JSON.parse(String(request.body)))),",
      },
    ],
    tests: [e2e("security.test.ts", "is over the bytes as they came")],
  },
  {
    name: "readyz always 200",
    edits: [
      {
        file: "src/http/health-routes.ts",
        from: "answerJson(response, isReady ? 200 : 503,",
        to: "answerJson(response, 200,",
      },
    ],
    tests: [
      e2e("security.test.ts", "is refused while the database lacks migrations"),
    ],
  },
  {
    name: "only the first secret counts",
    edits: [
      {
        file: "src/uqpay/signature.ts",
        from: "const index = secrets.findIndex((secret) => {",
        to: "const index = secrets.slice(0, 1).findIndex((secret) => {",
      },
    ],
    tests: [e2e("security.test.ts", "may be two while it is rotated")],
  },
  {
    name: "X-Forwarded-For believed of everybody",
    edits: [
      {
        file: "src/http/client-address.ts",
        from: "if (trusted === undefined) return () => false;",
        to: "if (trusted === undefined) return () => true;",
      },
    ],
    tests: [unit("allow-addresses.test.ts")],
  },
  {
    name: "no lock on the projection",
    edits: [
      {
        file: "src/reconcile-events.ts",
        from: "lockProjection(trx, cardIds, transactionIds),",
        to: "lockProjection(trx, [], []),",
      },
    ],
    tests: [integration("convergence.test.ts")],
  },
  {
    name: "cards are locked in no order",
    edits: [
      {
        file: "src/store/projection-lock.ts",
        from: "as name order by key) keys",
        to: "as name) keys",
      },
    ],
    tests: [integration("lock-order.test.ts")],
  },
  {
    name: "retention drops what failed",
    edits: [
      {
        file: "src/store/retention.ts",
        from: "where body is not null and received_at < ${before} and state in ('processed', 'ignored')\n      order by",
        to: "where body is not null and received_at < ${before} and state in ('processed', 'ignored', 'failed')\n      order by",
      },
    ],
    tests: [
      integration("retention.test.ts", "\\(failed\\) leaves what failed"),
    ],
  },
  {
    name: "a dry run is committed",
    edits: [
      {
        file: "src/replay-events.ts",
        from: "if (isDryRun) throw new DryRun(replay);",
        to: 'if (isDryRun && replay.kind === "failed") throw new DryRun(replay);',
      },
    ],
    tests: [integration("replay.test.ts", "changes nothing at all")],
  },
  {
    name: "a replayed delivery counts from now",
    edits: [
      {
        file: "src/replay-events.ts",
        from: "    receivedAt: kept.receivedAt,\n    issues:",
        to: "    receivedAt: instantFromEpochMs(Date.now()),\n    issues:",
      },
      {
        file: "src/replay-events.ts",
        from: 'import type { CardEvent } from "./domain/card-event.ts";',
        to: 'import type { CardEvent } from "./domain/card-event.ts";\nimport { instantFromEpochMs } from "./domain/instant.ts";',
      },
    ],
    tests: [
      integration("replay.test.ts", "as if it had never been: all of it"),
    ],
  },
  {
    name: "an outage uses up an event's attempts",
    edits: [
      {
        file: "src/reconcile-events.ts",
        from: "isDataFault(thrown) && (await",
        to: "(await",
      },
    ],
    tests: [integration("reconcile.test.ts", "locks for long")],
  },
  {
    name: "an event at fault is looked for one by one",
    edits: [
      {
        file: "src/reconcile-events.ts",
        from: "  if (run.signal.aborted)",
        to: "  if (eventIds.length > 0) return reconcileOneByOne(eventIds, run);\n  if (run.signal.aborted)",
      },
    ],
    tests: [integration("reconcile.test.ts", "costs its 199 neighbours")],
  },
  {
    name: "slow bodies keep their places",
    edits: [
      {
        file: "src/http/limit-in-flight.ts",
        from: "if (!place.request.complete) return place;",
        to: "if (!place.request.complete) continue;",
      },
    ],
    tests: [unit("limit-in-flight.test.ts")],
  },
  {
    name: "who waits for an answer is taken for slow",
    edits: [
      {
        file: "src/http/limit-in-flight.ts",
        from: "if (!place.request.complete) return place;",
        to: "if (nowMs > 0) return place;",
      },
    ],
    tests: [unit("limit-in-flight.test.ts")],
  },
  {
    name: "events are tried side by side",
    edits: [
      {
        file: "src/take-turns.ts",
        from: "const result = Promise.all([lastAlone, ...sharing]).then(work);",
        to: "const result = work();",
      },
    ],
    tests: [unit("take-turns.test.ts")],
  },
  {
    name: "lanes by job instead of by card",
    edits: [
      {
        file: "src/lanes.ts",
        from: "(partitions[index] ?? 0) % count",
        to: "(partitions.length > 0 ? index : 0) % count",
      },
    ],
    tests: [unit("lanes.test.ts")],
  },
  {
    name: "pipelined requests keep their places for ever",
    edits: [
      {
        file: "src/http/limit-in-flight.ts",
        from: "for (const end of ends.slice()) end();",
        to: "for (const end of [] as (() => void)[]) end();",
      },
    ],
    tests: [unit("limit-in-flight.test.ts")],
  },
  {
    name: "a transaction goes on after its rollback",
    edits: [
      {
        file: "src/store/transaction.ts",
        from: "if (!isOpen) throw",
        to: 'if (!isOpen && query.sql === "") throw',
      },
    ],
    tests: [integration("transaction.test.ts", "refuses what still comes")],
  },
  {
    name: "a transaction tells what its rejection says",
    edits: [
      {
        file: "src/store/transaction.ts",
        from: "throw failure ?? error;",
        to: "throw error;",
      },
    ],
    tests: [integration("transaction.test.ts", "tells of that one")],
  },
  {
    name: "cards are read before their locks are taken",
    edits: [
      {
        file: "src/reconcile-events.ts",
        from: "    lockProjection(trx, cardIds, transactionIds),\n    findCardClocks(trx, cardIds),\n    findAuthorizations(trx, transactionIds),\n",
        to: "    Promise.resolve().then(() => lockProjection(trx, cardIds, transactionIds)),\n    findCardClocks(trx, cardIds),\n    findAuthorizations(trx, transactionIds),\n",
      },
    ],
    tests: [integration("convergence.test.ts")],
  },
  {
    name: "what was not read of a card is written",
    edits: [
      {
        file: "src/store/cards.ts",
        from: "    if ((register.value as unknown) === UNREAD)\n",
        to: "    if (register.value === null)\n",
      },
    ],
    tests: [integration("save-cards.test.ts", "refuses to write")],
  },
  {
    name: "a new status keeps the reason of the one before",
    edits: [
      {
        file: "src/store/card-columns.ts",
        from: 'cardStatus?.value.reason,\n    staysWithout: "card_status",',
        to: 'cardStatus?.value.reason,\n    staysWithout: "itself",',
      },
    ],
    tests: [integration("save-cards.test.ts", "without a reason")],
  },
  {
    name: "what has not changed of a card is written as not known",
    edits: [
      {
        file: "src/store/write-rows.ts",
        from: "return sql`coalesce(${sent}, ${stored})`;",
        to: "return sent;",
      },
    ],
    tests: [integration("save-cards.test.ts", "only the clocks were read")],
  },
  {
    name: "of a row that is known only what comes tells whether its status is contradicted",
    edits: [
      {
        file: "src/store/write-rows.ts",
        from: "return derive(next);",
        to: "return derive((column) => sql.ref(`sent.${column}`));",
      },
    ],
    tests: [integration("save-cards.test.ts", "contradicted")],
  },
  {
    name: "the connection that waits for notifications has no listener at first",
    edits: [
      {
        file: "src/queue/postgres-backend.ts",
        from: '    this.on("error", () => undefined);\n',
        to: "",
      },
    ],
    tests: [
      integration("event-queue.test.ts", "lives on when the server ends"),
    ],
  },
  {
    name: "a place that is left twice",
    edits: [
      {
        file: "src/http/limit-in-flight.ts",
        from: "if (earlier === undefined && first !== place) return;",
        to: "",
      },
    ],
    tests: [unit("limit-in-flight.test.ts")],
  },
  {
    name: "nobody listens for silence",
    edits: [
      {
        file: "src/store/database.ts",
        from: "      watch(client);\n      await client.query(",
        to: "      void watch;\n      await client.query(",
      },
    ],
    tests: [integration("query-timeout.test.ts")],
  },
  {
    name: "idle connections are ended",
    edits: [
      {
        file: "src/store/query-timeout.ts",
        from: "if (isIdle.get(client) !== true) ",
        to: "",
      },
    ],
    tests: [integration("query-timeout.test.ts")],
  },
  {
    name: "the connection that waits for notifications loses its listener",
    edits: [
      {
        file: "src/queue/postgres-backend.ts",
        from: 'return this.on("error", () => undefined);',
        to: "return this;",
      },
    ],
    tests: [integration("event-queue.test.ts", "they had closed")],
  },
  {
    name: "a queue that closes tells of its connections' end",
    edits: [
      {
        file: "src/queue/postgres-backend.ts",
        from: "if (!connection.isClosing) onError(error);",
        to: "void connection;\n    onError(error);",
      },
    ],
    tests: [integration("event-queue.test.ts", "they had closed")],
  },
  {
    name: "a pool that Kysely never used stays open",
    edits: [
      {
        file: "src/service.ts",
        from: "    await pool.end();\n",
        to: "    await db.destroy();\n",
      },
    ],
    tests: [e2e("process.test.ts", "no line says that one was lost")],
  },
];
