// Closed loop where wrk is not installed: autocannon in a process of its own, each request of a file once.
//
//   node autocannon.mjs '{"port":3000,"file":"requests.bin","connections":128,"seconds":10}'
import autocannon from "autocannon";
import { readRequests } from "./requests-file.mjs";

const { port, file, connections, seconds } = JSON.parse(process.argv[2] ?? "");
const requests = readRequests(file);
let exhausted = 0;
const cpuBefore = process.cpuUsage();

const instance = autocannon({
  url: `http://127.0.0.1:${String(port)}`,
  connections,
  duration: seconds,
  requests: [{ setupRequest: nextRequest }],
});
const result = await instance;
const { user, system } = process.cpuUsage(cpuBefore);
process.stdout.write(
  `RESULT ${JSON.stringify({
    seconds: (result.finish - result.start) / 1000,
    cpuSeconds: (user + system) / 1e6,
    requests: result["2xx"] + result.non2xx,
    refused: result.non2xx,
    failed: result.errors,
    exhausted,
    p50Ms: result.latency.p50,
    p90Ms: result.latency.p90,
    p99Ms: result.latency.p99,
    maxMs: result.latency.max,
  })}\n`,
);

/** @param {Record<string, unknown>} template @param {{ last?: object }} context of one connection */
function nextRequest(template, context) {
  const { value } = requests.next();
  if (value === undefined) {
    exhausted = 1;
    instance.stop();
    return { ...template, ...context.last };
  }
  const [head = "", body = ""] = value.toString("utf8").split("\r\n\r\n");
  const [first = "", ...lines] = head.split("\r\n");
  const [method, path] = first.split(" ");
  const headers = Object.fromEntries(lines.map((line) => line.split(": ")));
  context.last = { method, path, headers, body };
  return { ...template, ...context.last };
}
