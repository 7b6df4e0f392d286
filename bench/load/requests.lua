-- Sends each request of a file once, in order. For wrk with one thread.
--
--   wrk -t1 -c128 -d10s -s requests.lua http://127.0.0.1:3000 -- requests.bin

local threads = {}
local last = ""

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  exhausted = 0
  file = assert(io.open(args[1], "rb"))
end

function request()
  local length = file:read(8)
  if length == nil then
    exhausted = 1
    wrk.thread:stop()
    return last
  end
  last = file:read(tonumber(length))
  return last
end

-- os.clock is the processor time of all of wrk.
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"seconds":%.6f,"cpuSeconds":%.6f,"requests":%d,"refused":%d,"failed":%d,"exhausted":%d,"p50Ms":%.3f,"p90Ms":%.3f,"p99Ms":%.3f,"maxMs":%.3f}\n',
    summary.duration / 1e6, os.clock(), summary.requests, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    threads[1]:get("exhausted"),
    latency:percentile(50) / 1e3, latency:percentile(90) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3))
end
