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
