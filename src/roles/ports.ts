import type { Router } from "express";
import type { Config } from "../config.ts";
import type { HealthChecks } from "../http/ops-routes.ts";
import { adminRoutes, healthRoutes, metricsRoute } from "../http/ops-routes.ts";
import type { ListeningServer } from "../http/server.ts";
import { createApp, listen } from "../http/server.ts";
import { webhookRoute } from "../http/webhook-route.ts";
import type { Metrics } from "../metrics.ts";
import type { Logger } from "../process/logger.ts";
import { createRateLimitedLog } from "../process/rate-limited-log.ts";
import type { WebhookReceiver } from "../receive-webhook.ts";
import type { Database } from "../store/database.ts";
import { EVENT_STATES } from "../store/database.ts";
import { listEvents } from "../store/event-records.ts";
import { listQuarantine } from "../store/quarantine-records.ts";
import { createErrorReporter } from "./error-reporter.ts";

export interface PortsOptions {
  readonly config: Config;
  readonly db: Database;
  readonly receiver: WebhookReceiver;
  readonly checks: HealthChecks;
  readonly metrics: Metrics;
  readonly version: string;
  readonly log: Logger;
}

/** The ports that the service listens on. */
export interface Ports {
  readonly port: number;
  /** The port of `/metrics`, which is `port` unless OPS_PORT is set. */
  readonly opsPort: number;
  /** From now on it is not ready, and still serves. */
  readonly announceStop: () => void;
  /** Takes no new requests and finishes those under way. */
  readonly close: () => Promise<void>;
}

/** @throws what kept it from listening, such as EADDRINUSE */
export async function openPorts(options: PortsOptions): Promise<Ports> {
  const { config, checks, metrics, version, log } = options;
  const { host, port, opsPort, keepAliveMs } = config.http;
  const onUnavailable = createErrorReporter(log, "delivery not stored");
  const servers: ListeningServer[] = [];
  let isStopping = false;
  const health = healthRoutes(checks, version, () => isStopping);
  const ops = [metricsRoute(metrics), ...operatorRoutes(options)];
  const open = async (at: number, routes: readonly Router[]) => {
    const app = createApp(routes, onUnavailable);
    const server = await listen(app, host, at, keepAliveMs);
    servers.push(server);
    return server.port;
  };
  const announceStop = () => {
    isStopping = true;
    for (const server of servers) server.drain();
  };
  const close = async () => {
    await Promise.all(servers.map((server) => server.close()));
  };
  try {
    const webhook =
      config.role === "worker" ? [] : [deliveryRoute(options, onUnavailable)];
    if (opsPort === undefined) {
      const only = await open(port, [...webhook, health, ...ops]);
      return { port: only, opsPort: only, announceStop, close };
    }
    return {
      port: await open(port, [...webhook, health]),
      opsPort: await open(opsPort, [...ops, health]),
      announceStop,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function deliveryRoute(
  { config, receiver, metrics, log }: PortsOptions,
  onUnavailable: (error: unknown) => void,
): Router {
  const limited = createRateLimitedLog(Date.now);
  return webhookRoute({
    receive: receiver.receive,
    allowedAddresses: config.http.allowedAddresses,
    trustedProxies: config.http.trustedProxies,
    metrics,
    onRefused: (outcome, cause) => {
      limited((suppressed) => {
        log.warn({ outcome, cause, suppressed }, "delivery refused");
      });
    },
    onUnavailable,
  });
}

const ADMIN_ROWS = 100;

function operatorRoutes({ config, db }: PortsOptions): Router[] {
  const { adminToken } = config.http;
  if (adminToken === undefined) return [];
  const routes = adminRoutes(adminToken, {
    events: ({ state: text, cardId }) => {
      const state = EVENT_STATES.find((known) => known === text);
      return listEvents(db, { state, cardId }, ADMIN_ROWS, "newest");
    },
    quarantine: async () => {
      const kept = await listQuarantine(db, {}, ADMIN_ROWS, "newest");
      return kept.map((entry) => {
        const { id, reason, eventId, eventType, issues } = entry;
        const { deliveries, receivedAt } = entry;
        return {
          id,
          reason,
          eventId,
          eventType,
          issues,
          deliveries,
          receivedAt,
        };
      });
    },
  });
  return [routes];
}
