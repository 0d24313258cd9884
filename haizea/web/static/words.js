// States, purposes and amounts as people read them.
import { h } from "./dom.js";
import { t } from "./texts.js";
import { full, now, short } from "./times.js";

const TONES = {
  Active: "run",
  Scheduled: "plan", Ready: "plan", "Resumed-Ready": "plan", "Suspended-Scheduled": "sleep",
  New: "wait", Pending: "wait", Queued: "wait",
  "Suspended-Queued": "sleep", "Suspended-Pending": "sleep",
  Preparing: "work", Suspending: "work", Migrating: "work", Resuming: "work",
  Done: "done", Cancelled: "done", Rejected: "bad", Failed: "bad",
};
const WAITING = new Set(["New", "Pending", "Queued", "Suspended-Pending", "Suspended-Queued"]);
const PLANNED = new Set(["Scheduled", "Ready", "Suspended-Scheduled", "Resumed-Ready"]);
const OVER = new Set(["Done", "Cancelled", "Rejected", "Failed"]);
const RUNNING = new Set(["Active", "Preparing", "Suspending", "Migrating", "Resuming"]);

/** States by the groups that lists are filtered by. */
export const STATES = { running: RUNNING, planned: PLANNED, waiting: WAITING, over: OVER };

export const tone = (state) => TONES[state] || "wait";
export const isOver = (state) => OVER.has(state);
export const isWaiting = (state) => WAITING.has(state);

/** A state as a mark with a word: never a colour alone. */
export function stateMark(state) {
  return h("span", { class: `mark mark-${tone(state)}` }, t(`state_${state}`));
}

/** Amounts by resource type, short: "2 cores, 4 GB". */
export function amounts(resources) {
  return Object.entries(resources).map(([name, amount]) => amountOf(name, amount)).join(", ");
}

/** An amount of one type of resource. */
export function amountOf(name, amount) {
  if (name === "CPU") return t("cores", { count: Number((amount / 100).toFixed(2)) });
  if (name === "Memory") return memory(amount);
  return `${amount} ${name}`;
}

/** Megabytes, in gigabytes where that is shorter. */
export function memory(megabytes) {
  return megabytes >= 1024 ? t("gigabytes", { amount: Number((megabytes / 1024).toFixed(1)) }) : t("megabytes", { amount: megabytes });
}

/** The nodes of a lease: "4 × 2 cores, 4 GB". */
export function nodesText(nodes) {
  return nodes.map((set) => t("nodesOf", { count: set.count, resources: amounts(set.resources) })).join("; ");
}

export const nodeCount = (nodes) => nodes.reduce((sum, set) => sum + set.count, 0);

/** Names of hosts, runs of numbers as one: "host-1 to host-8, host-12". */
export function hostsText(names) {
  const runs = [];
  for (const name of new Set(names)) {
    const [, stem, number] = /^(.*?)(\d*)$/.exec(name);
    const last = runs.at(-1);
    if (last && number && last.stem === stem && Number(number) === last.number + 1) {
      last.to = name;
      last.number += 1;
    } else runs.push({ from: name, to: name, stem, number: number ? Number(number) : NaN });
  }
  return runs.map(({ from, to }) => (from === to ? from : t("range", { from, to }))).join(", ");
}

/** When a lease begins, or began: {time, about}. */
export function startOf(lease) {
  if (lease.started) return { time: lease.started, about: false };
  if (lease.planned_start) return { time: lease.planned_start, about: false };
  if (lease.expected) return { time: lease.expected, about: true };
  return { time: lease.start, about: false };
}

/** A moment, all of it where one points at it. */
export const timeMark = (moment) => h("time", { datetime: moment, title: full(moment) }, short(moment));

/** From when to when a lease would run: "Fits: runs from 14:00 until 15:00". */
export function fits(lease) {
  const end = lease.planned_end ? [` ${t("until")} `, timeMark(lease.planned_end)] : null;
  return [t("fits"), " ", timeMark(lease.planned_start || lease.start), end];
}

/** A hint about a lease that runs in a gap, or is to make room, and is not done by then. */
export const makesRoom = (lease) => (lease.makes_room ? h("p", { class: "hint" }, t("makesRoom", { end: short(lease.makes_room) })) : null);

/** When a lease is over, or was: an ISO time or null. */
export function endOf(lease) {
  return lease.ended || (lease.makes_room ? null : lease.planned_end) || null;
}

/** Seconds that a lease will still run, as of now; null without end. */
export function leftOf(lease) {
  if (isOver(lease.state)) return 0;
  if (lease.remaining === null) return null;
  if (lease.state === "Active" && lease.makes_room) return Math.max(0, lease.remaining - (now() - Date.parse(lease.planned_start)) / 1000);
  if (lease.state === "Active" && lease.planned_end) return Math.max(0, (Date.parse(lease.planned_end) - now()) / 1000);
  return lease.remaining;
}
