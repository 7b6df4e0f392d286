import {
  createServer,
  IncomingMessage,
  STATUS_CODES,
  ServerResponse,
} from "node:http";
import type { Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { promisify } from "node:util";
import type {
  ErrorRequestHandler,
  Express,
  RequestHandler,
  Router,
} from "express";
import express from "express";
import { answerError, answerJson, errorBody } from "./answers.ts";
import type { ErrorCode } from "./error-codes.ts";
import { ERRORS } from "./error-codes.ts";

/**
 * An Express application of these routes, and of nothing that the hot path would pay for.
 *
 * @param report told of errors that are our fault; their own messages never leave the process
 */
export function createApp(
  routers: readonly Router[],
  report: (error: unknown) => void,
): Express {
  const app = express();
  app.disable("x-powered-by");
  app.set("etag", false);
  app.use(...routers);
  app.use(answerNotFound, createErrorHandler(report));
  return app;
}

const answerNotFound: RequestHandler = (_request, response) => {
  answerError(response, "not_found");
};

function createErrorHandler(
  report: (error: unknown) => void,
): ErrorRequestHandler {
  return (error: unknown, _request, response, next) => {
    if (response.headersSent) next(error);
    // Express hangs a status on what is the sender's fault.
    else if (
      error instanceof Error &&
      "status" in error &&
      Number(error.status) < 500
    )
      answerError(response, "bad_request");
    else {
      report(error);
      answerError(response, "unavailable");
    }
  };
}

export interface ListeningServer {
  readonly port: number;
  /** From now on each answer ends its connection: the load balancer opens the next one elsewhere. */
  readonly drain: () => void;
  /** Takes no new connections, lets the requests under way finish, and closes the idle connections. */
  readonly close: () => Promise<void>;
}

/** Longer than the idle time-outs of common load balancers (60 s), so that they close first. */
const DEFAULT_KEEP_ALIVE_MS = 65_000;

/** @throws what kept it from listening, such as EADDRINUSE */
export async function listen(
  app: Express,
  host: string,
  port: number,
  keepAliveMs = DEFAULT_KEEP_ALIVE_MS,
): Promise<ListeningServer> {
  const server = createServer(
    {
      // Generous for a sender far away, short enough that a slow one does not hold a place for long.
      headersTimeout: 5_000,
      requestTimeout: 10_000,
      connectionsCheckingInterval: 1_000,
      // A request without Host is answered like any other, and not by Node's empty 400.
      requireHostHeader: false,
      keepAliveTimeout: keepAliveMs,
      ...classesOf(app),
    },
    app,
  );
  // An idle connection holds about 10 KB: what is beyond is closed at once.
  server.maxConnections = 10_000;
  // Also of a connection on which nothing was ever sent: load balancers open some ahead.
  server.timeout = keepAliveMs;
  let isDraining = false;
  server.prependListener("request", (request, response) => {
    // While a request is under way the other time-outs hold.
    request.socket.setTimeout(0);
    if (isDraining) response.shouldKeepAlive = false;
  });
  server.on("clientError", answerClientError);
  server.on("checkExpectation", answerExpectation);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    drain: () => {
      isDraining = true;
    },
    close: () => close(server),
  };
}

/**
 * Express gives each request and each response another prototype, which makes everything that touches them slow on Node.js
 * 20. Those of these classes have it from the start.
 */
function classesOf(app: Express) {
  class ExpressRequest extends IncomingMessage {}
  class ExpressResponse<
    Request extends IncomingMessage,
  > extends ServerResponse<Request> {}
  Object.setPrototypeOf(ExpressRequest.prototype, app.request);
  Object.setPrototypeOf(ExpressResponse.prototype, app.response);
  app.request = ExpressRequest.prototype as typeof app.request;
  app.response = ExpressResponse.prototype as typeof app.response;
  return { IncomingMessage: ExpressRequest, ServerResponse: ExpressResponse };
}

/** A connection that is busy when the server closes becomes idle later, and would then be kept open. */
const IDLE_SWEEP_MS = 50;

async function close(server: Server): Promise<void> {
  const closed = promisify(server.close.bind(server))();
  const sweep = setInterval(() => {
    server.closeIdleConnections();
  }, IDLE_SWEEP_MS);
  try {
    await closed;
  } finally {
    clearInterval(sweep);
  }
}

/** Node's own answer to an `Expect` that it does not know is empty. */
function answerExpectation(
  _request: IncomingMessage,
  response: ServerResponse,
): void {
  response.setHeader("Connection", "close");
  answerJson(response, 417, errorBody("expectation_failed"));
}

/** A request that Node cannot parse has no response object; the answer is still JSON. */
function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  // Node counts the time for the headers from the connection on. Before the first byte there is no request that could be
  // late; with that byte Node begins to count anew.
  if (error.code === "ERR_HTTP_REQUEST_TIMEOUT" && socket.bytesRead === 0)
    return;
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const code = CLIENT_ERRORS[error.code ?? ""] ?? "bad_request";
  const [status] = ERRORS[code];
  const body = JSON.stringify(errorBody(code));
  socket.end(
    `HTTP/1.1 ${String(status)} ${String(STATUS_CODES[status])}\r\nConnection: close\r\n` +
      "Content-Type: application/json; charset=utf-8\r\n" +
      `Content-Length: ${String(Buffer.byteLength(body))}\r\n\r\n${body}`,
  );
}

const CLIENT_ERRORS: Readonly<Record<string, ErrorCode>> = {
  HPE_HEADER_OVERFLOW: "headers_too_large",
  ERR_HTTP_REQUEST_TIMEOUT: "request_timeout",
};
