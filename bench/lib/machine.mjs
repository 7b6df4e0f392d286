// What the machine did meanwhile: the time it was given to others, and what PostgreSQL used.
import { existsSync, readFileSync } from "node:fs";
import { cpus } from "node:os";
import { sum } from "../../scripts/measuring/numbers.mjs";
import {
  cpuSeconds,
  withChildren,
} from "../../scripts/measuring/process-figures.mjs";

/** Beyond this share of stolen time a run is marked: its figures say more about the neighbours. */
export const MOST_STEAL = 0.1;

/** Fields of the first line of /proc/stat, see proc(5). */
const STEAL_FIELD = 7;
const LAST_FIELD = 8;

/** @returns {{ steal: number, total: number }} in clock ticks since boot; NaN where there is no /proc */
export function readMachine() {
  try {
    const [line = ""] = readFileSync("/proc/stat", "utf8").split("\n");
    const ticks = line.trim().split(/\s+/).slice(1).map(Number);
    const total = ticks.slice(0, LAST_FIELD).reduce((sum, n) => sum + n, 0);
    return { steal: ticks[STEAL_FIELD] ?? 0, total };
  } catch {
    return { steal: NaN, total: NaN };
  }
}

/** @param {ReturnType<typeof readMachine>} before @returns {number} the share that was stolen since then */
export function stealSince(before) {
  const now = readMachine();
  return (now.steal - before.steal) / Math.max(1, now.total - before.total);
}

/** Of a server and all its processes, ended ones too, in seconds; NaN where there is no /proc. @param {number} postmaster */
export function postgresCpuSeconds(postmaster) {
  if (!existsSync("/proc")) return NaN;
  const [cutime = 0, cstime = 0] = readStat(postmaster).slice(13, 15);
  return (
    (Number(cutime) + Number(cstime)) / 100 +
    // One that has ended meanwhile is none any more.
    sum(withChildren(postmaster).map((pid) => cpuSeconds(pid) || 0))
  );
}

/** @param {number} pid */
export function parentOf(pid) {
  return Number(readStat(pid)[1]);
}

/** The fields from the third on, see proc_pid_stat(5). @param {number} pid */
function readStat(pid) {
  try {
    const stat = readFileSync(`/proc/${String(pid)}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return [];
  }
}

export function describeMachine() {
  const [first] = cpus();
  return `${String(cpus().length)} x ${first?.model ?? "?"}, Node.js ${process.version}`;
}
