// What the image's HEALTHCHECK runs: exits 0 when /healthz answers 200 where the service listens, else 1.
// It reads HOST and PORT as the service does (src/config.ts), so that it follows both.
import { get } from "node:http";

const TIMEOUT_MS = 2_500;

/** An address to listen on that stands for all of them is none to ask; in a container either family may be missing. */
const EVERYWHERE = ["0.0.0.0", "::"];
const HERE = ["127.0.0.1", "::1"];

const port = Number(process.env.PORT?.trim() || 3000);
const host = process.env.HOST?.trim() || EVERYWHERE[0];
const addresses = EVERYWHERE.includes(host) ? HERE : [host];

const answers = await Promise.all(addresses.map(answersOk));
process.exit(answers.includes(true) ? 0 : 1);

function answersOk(address) {
  return new Promise((resolve) => {
    const request = get(
      { host: address, port, path: "/healthz", timeout: TIMEOUT_MS },
      (response) => {
        resolve(response.statusCode === 200);
        response.resume();
      },
    );
    request.once("error", () => resolve(false));
    request.once("timeout", () => request.destroy(new Error("no answer")));
  });
}
