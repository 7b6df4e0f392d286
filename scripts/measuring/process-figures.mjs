// What Linux tells of a process, from /proc; NaN where there is none.
import { readFileSync, readdirSync } from "node:fs";

/** What a process holds in memory, in MiB; NaN where there is no /proc. @param {number} pid */
export function residentMiB(pid) {
  return readStatus(pid, "VmRSS");
}

/** The most it ever held. @param {number} pid */
export function peakResidentMiB(pid) {
  return readStatus(pid, "VmHWM");
}

/** @param {number} pid @param {string} name */
function readStatus(pid, name) {
  try {
    const status = readFileSync(`/proc/${String(pid)}/status`, "utf8");
    return Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) / 1024;
  } catch {
    return NaN;
  }
}

/** @param {number} pid */
export function openFiles(pid) {
  try {
    return readdirSync(`/proc/${String(pid)}/fd`).length;
  } catch {
    return NaN;
  }
}

/** The process and those that it has started and that still run. @param {number} pid @returns {number[]} */
export function withChildren(pid) {
  try {
    const path = `/proc/${String(pid)}/task/${String(pid)}/children`;
    const children = readFileSync(path, "utf8").split(" ").map(Number);
    return [pid, ...children.filter((child) => child > 0)];
  } catch {
    return [pid];
  }
}

/** The processor time that a process has used, in seconds. @param {number} pid */
export function cpuSeconds(pid) {
  try {
    const stat = readFileSync(`/proc/${String(pid)}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / 100;
  } catch {
    return NaN;
  }
}

/**
 * The same in microseconds, of one thread: exact, where the above counts hundredths of a second. PostgreSQL's processes have
 * one.
 *
 * @param {number} pid
 */
export function cpuUsOfThread(pid) {
  try {
    const stat = readFileSync(`/proc/${String(pid)}/schedstat`, "utf8");
    return Number(stat.split(" ")[0]) / 1_000;
  } catch {
    return NaN;
  }
}
