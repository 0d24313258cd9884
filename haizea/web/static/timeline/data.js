// What the timeline shows: the service's rows of numbers, put in order to be drawn.
import { get, query } from "../api.js";
import { t } from "../texts.js";
import { HOUR, iso, now } from "../times.js";
import { PART } from "./queue.js";

const FIELDS = 6;

/**
 * Load what is reserved from one moment to another, and the queue after a place; answers `before` itself where
 * that still holds.
 */
export async function loadTimeline({ since, until, after }, signal, before = null) {
  const known = before?.since === since && before?.until === until ? before : null;
  let tag = null;
  const tagged = (given) => {
    tag = given;
  };
  const [answer, queue] = await Promise.all([
    get(query("v1/timeline", { since: iso(since), until: iso(until) }), { signal, tag: known?.tag, tagged }),
    get(query("v1/queue", { limit: PART, after }), { signal }),
  ]);
  const waiting = JSON.stringify(queue);
  if (!answer && waiting === known.waitingText && after === known.queue.after) return known;
  return Object.assign(new Timeline(answer ?? known.answer, { ...queue, after }), { tag, waitingText: waiting });
}

/** Everything between two moments: entries are {id, purpose, start, end, firm, share, runs, lease}. */
export class Timeline {
  constructor(answer, queue) {
    this.answer = answer;
    this.since = Date.parse(answer.since);
    this.until = Date.parse(answer.until);
    this.complete = answer.complete;
    this.hosts = answer.hosts;
    this.leases = new Map(answer.leases.map((lease) => [lease.id, { ...lease, entries: [] }]));
    this.entries = answer.reservations.map((row) => this.entry(row, answer.purposes));
    this.outages = answer.outages.map((outage) => ({
      ...outage,
      runs: outage.hosts,
      start: this.since + outage.start * 1000,
      end: outage.end < 0 ? Infinity : this.since + outage.end * 1000,
    }));
    this.use = answer.use;
    this.step = answer.step * 1000;
    this.queue = { after: queue.after, length: queue.length, next: queue.next };
    this.waiting = queue.queue.map((entry) => ({
      place: entry.place,
      exact: entry.exact,
      lease: entry.lease,
      expected: entry.expected ? Date.parse(entry.expected) : null,
    }));
    this.addSleeps();
    this.load = this.use ? this.loadOfUse() : this.loadOfEntries();
  }

  entry(row, purposes) {
    const [id, purpose, start, end, firm, share] = row;
    const lease = this.leases.get(id);
    const entry = {
      id,
      lease,
      purpose: purposes[purpose],
      start: this.since + start * 1000,
      end: end < 0 ? Infinity : this.since + end * 1000,
      firm: firm === 1,
      share,
      runs: row.slice(FIELDS),
    };
    lease.entries.push(entry);
    return entry;
  }

  /** Between suspending and resuming a lease sleeps: it holds no host, but is not gone. */
  addSleeps() {
    const waits = new Map(this.waiting.map((entry) => [entry.lease.id, entry]));
    this.sleeps = [];
    for (const lease of this.leases.values()) {
      lease.entries.sort((one, other) => one.start - other.start);
      lease.entries.forEach((entry, index) => {
        if (entry.purpose !== "suspend") return;
        const next = lease.entries[index + 1];
        const waiting = waits.get(lease.id);
        const end = next ? next.start : waiting ? waiting.expected || now() + HOUR : null;
        if (end === null || end <= entry.end) return;
        const sleep = { ...entry, purpose: "sleep", start: entry.end, end };
        this.sleeps.push(sleep);
      });
    }
    for (const sleep of this.sleeps) sleep.lease.entries.push(sleep);
  }

  /** How full the site is over time, as steps: {times, parts} with parts from 0 to 1. */
  loadOfEntries() {
    const changes = new Map();
    const change = (time, by) => changes.set(time, (changes.get(time) || 0) + by);
    for (const entry of this.entries) {
      if (!entry.share) continue;
      const part = (entry.share * hostCount(entry)) / 100;
      change(Math.max(entry.start, this.since), part);
      if (entry.end < this.until) change(entry.end, -part);
    }
    const times = [...changes.keys()].sort((one, other) => one - other);
    let total = 0;
    const parts = times.map((time) => (total += changes.get(time)) / Math.max(1, this.hosts.length));
    return { times, parts };
  }

  loadOfUse() {
    const count = this.use[0]?.length || 0;
    const times = [];
    const parts = [];
    for (let step = 0; step < count; step += 1) {
      let sum = 0;
      for (const host of this.use) sum += host.charCodeAt(step) - 48;
      times.push(this.since + step * this.step);
      parts.push(Math.min(1, sum / 9 / this.use.length));
    }
    return { times, parts };
  }

  /** How much of a host is taken between two moments, from 0 to 1, as far as that is shown. */
  taken(host, entries, from, to) {
    const [start, end] = [Math.max(from, this.since), Math.min(to, this.until)];
    if (end <= start) return 0;
    if (this.use) {
      const digits = this.use[host].slice(Math.floor((start - this.since) / this.step), Math.ceil((end - this.since) / this.step));
      return [...digits].reduce((sum, digit) => sum + Number(digit), 0) / 9 / Math.max(1, digits.length);
    }
    const overlap = (entry) => Math.max(0, Math.min(entry.end, end) - Math.max(entry.start, start));
    return entries.reduce((sum, entry) => sum + (entry.share / 100) * overlap(entry), 0) / (end - start);
  }

  /** The hosts of an entry, by number. */
  static hostsOf(entry) {
    const hosts = [];
    for (let at = 0; at < entry.runs.length; at += 2) {
      for (let host = 0; host < entry.runs[at + 1]; host += 1) hosts.push(entry.runs[at] + host);
    }
    return hosts;
  }

  hostNames(entry) {
    return Timeline.hostsOf(entry).map((host) => this.hosts[host] ?? t("hostNumber", { number: host }));
  }
}

/** How many hosts an entry is on. */
export function hostCount(entry) {
  let count = 0;
  for (let at = 1; at < entry.runs.length; at += 2) count += entry.runs[at];
  return count;
}
