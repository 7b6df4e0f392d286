import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** What a server of the test's own was asked. */
export interface AskedRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export interface ScriptedAnswer {
  readonly status?: number;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The connection breaks in place of an answer. */
  readonly breaks?: boolean;
  /** No answer ever comes. */
  readonly hangs?: boolean;
}

export interface ApiServer {
  readonly baseUrl: string;
  readonly asked: AskedRequest[];
  /** Without those for tokens. */
  readonly calls: () => AskedRequest[];
  readonly stop: () => Promise<void>;
}

export const TOKEN_PATH = "/api/v1/connect/token";

/** A server of UQPAY's API that answers as a test says; tokens are `token-1`, `token-2`, … for half an hour. */
export async function startApiServer(
  answerTo: (
    request: AskedRequest,
    callNumber: number,
  ) => ScriptedAnswer | undefined,
): Promise<ApiServer> {
  const asked: AskedRequest[] = [];
  const calls = () => asked.filter(({ url }) => url !== TOKEN_PATH);
  const tokens = () => asked.length - calls().length;
  const server = createServer((request, response) => {
    const { method = "", url = "", headers } = request;
    asked.push({ method, url, headers });
    const answer =
      answerTo({ method, url, headers }, calls().length) ??
      (url === TOKEN_PATH ? tokenAnswer(`token-${tokens()}`) : {});
    if (answer.hangs === true) return;
    if (answer.breaks === true) {
      request.socket.destroy();
      return;
    }
    response.writeHead(answer.status ?? 200, {
      "content-type": "application/json",
      ...answer.headers,
    });
    response.end(answer.body ?? "{}");
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    baseUrl: `http://127.0.0.1:${port}/api`,
    asked,
    calls,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export function tokenAnswer(
  token: string,
  lifeSeconds = 1_800,
): ScriptedAnswer {
  const expired_at = Math.floor(Date.now() / 1_000) + lifeSeconds;
  return { body: JSON.stringify({ auth_token: token, expired_at }) };
}
