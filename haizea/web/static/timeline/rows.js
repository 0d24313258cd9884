// Rows of the timeline, by host or by lease: {name, detail, key, bars, lanes, use, status}.
import { t } from "../texts.js";
import { now } from "../times.js";
import { hostsText } from "../words.js";
import { Timeline } from "./data.js";

/** A row for each host that the filter leaves, by the time that is seen, with what is on it side by side. */
export function hostRows(data, wanted, seen) {
  const onHost = data.hosts.map(() => []);
  for (const entry of data.entries) {
    for (const host of Timeline.hostsOf(entry)) onHost[host]?.push(entry);
  }
  const asleep = data.hosts.map(() => []);
  for (const entry of data.sleeps) {
    for (const host of Timeline.hostsOf(entry)) asleep[host]?.push({ entry, lane: -1 });
  }
  const outages = data.hosts.map(() => []);
  for (const outage of data.outages) {
    for (const host of Timeline.hostsOf(outage)) outages[host]?.push(outage);
  }
  const present = now();
  const words = wanted.search.trim().toLowerCase();
  const isAsked = dependsOnTime(wanted);
  const rows = [];
  data.hosts.forEach((name, index) => {
    const out = outages[index].find((outage) => outage.start <= present && present < outage.end);
    const isOut = outages[index].some((outage) => outage.start < seen.end && seen.start < outage.end);
    const taken = isAsked ? data.taken(index, onHost[index], seen.start, seen.end) : 0;
    if (!hostFits(wanted.hosts, taken > 0, isOut)) return;
    if (words && !name.toLowerCase().includes(words) && !onHost[index].some(({ lease }) => leaseFits(lease, words))) return;
    const bars = inLanes(onHost[index]);
    rows.push({
      name, key: index, host: index, bars: [...asleep[index], ...bars.bars], lanes: bars.lanes, group: groupOf(name),
      use: data.use ? data.use[index] : null,
      outages: outages[index],
      status: out ? out.status : null, taken,
    });
  });
  if (wanted.order === "busy") rows.sort((one, other) => other.taken - one.taken);
  if (wanted.order === "free") rows.sort((one, other) => one.taken - other.taken);
  return wanted.order === "group" ? inGroups(rows) : rows;
}

function hostFits(which, isUsed, isOut) {
  if (which === "used") return isUsed;
  if (which === "free") return !isUsed && !isOut;
  if (which === "trouble") return isOut;
  return true;
}

/** Tell whether moving in time may change which rows there are, or their order. */
export const dependsOnTime = (wanted) => wanted.hosts !== "all" || ["busy", "free"].includes(wanted.order);

/** Hosts whose names begin alike belong together: "gpu-3" and "gpu-4". */
const groupOf = (name) => name.replace(/[-_.]?\d+.*$/, "") || name;

function inGroups(rows) {
  const groups = new Map();
  for (const row of rows) groups.set(row.group, [...(groups.get(row.group) || []), row]);
  return [...groups].flatMap(([name, members]) => [
    { heading: true, name, key: `group ${name}`, count: members.length, bars: [], lanes: 1 }, ...members,
  ]);
}

/** A row for each lease, in order of its first moment here. */
export function leaseRows(data, wanted) {
  const fits = finder(data, wanted.search);
  const rows = [];
  for (const lease of data.leases.values()) {
    if (!lease.entries.some(fits)) continue;
    rows.push({
      name: `${lease.id}`, detail: [lease.label, lease.owner].filter(Boolean).join(" · "), key: `lease ${lease.id}`,
      lease, bars: lease.entries.map((entry) => ({ entry, lane: 0 })), lanes: 1, use: null, status: null,
      start: Math.min(...lease.entries.map((entry) => entry.start)),
    });
  }
  return rows.sort((one, other) => one.start - other.start || one.lease.id - other.lease.id);
}

/** A row for each time in which hosts are out of use, for a picture that has no rows of hosts. */
export function outageRows(data, wanted) {
  return data.outages.filter(finder(data, wanted.search))
    .map((outage, index) => ({
      name: outage.window ? t("maintenanceNumber", { id: outage.window }) : t(`outage_${outage.status}`),
      detail: hostsText(data.hostNames(outage)), key: `outage ${index}`,
      outages: [outage], bars: [], lanes: 1, use: null, status: null,
    }));
}

/** Rows for leases that wait: a bar where each is expected to start. */
export function waitingRows(data, wanted) {
  const words = wanted.search.trim().toLowerCase();
  return data.waiting
    .filter(({ lease }) => !data.leases.has(lease.id))
    .filter(({ lease }) => leaseFits(lease, words))
    .map((waiting) => {
      const { lease, expected } = waiting;
      const seconds = lease.remaining ?? Infinity;
      const entry = {
        id: lease.id, lease: { id: lease.id, owner: lease.owner, label: lease.label, entries: [] },
        purpose: "expected", start: expected, end: expected === null ? null : expected + seconds * 1000, firm: false,
        runs: [], waiting,
      };
      return {
        name: `${lease.id}`, detail: [lease.label, lease.owner].filter(Boolean).join(" · "), key: `waits ${lease.id}`,
        waits: true, bars: expected === null ? [] : [{ entry, lane: 0 }], lanes: 1, use: null, status: null,
      };
    });
}

/** Tell whether a lease has the words that were searched for, in its label or owner, or that number. */
export function leaseFits(lease, words) {
  return !words || String(lease.id) === words || `${lease.label} ${lease.owner}`.toLowerCase().includes(words);
}

/** What tells of entries and of outages whether they are searched for: by lease, or by a host that they are on. */
export function finder(data, search) {
  const words = search.trim().toLowerCase();
  const named = data.hosts.map((name) => Boolean(words) && name.toLowerCase().includes(words));
  const isThere = ({ runs }) => {
    for (let at = 0; at < runs.length; at += 2) {
      for (let host = runs[at]; host < runs[at] + runs[at + 1]; host += 1) if (named[host]) return true;
    }
    return false;
  };
  return (entry) => !words || (entry.lease && leaseFits(entry.lease, words)) || isThere(entry);
}

/** Put what overlaps beside each other: each bar gets the first lane that is free. */
function inLanes(entries) {
  const ends = [];
  const laneOf = new Map();
  const sorted = [...entries].sort((one, other) => one.start - other.start || one.id - other.id);
  const bars = sorted.map((entry) => {
    // A lease stays in its lane from one operation to the next.
    let lane = laneOf.get(entry.id);
    if (lane === undefined || ends[lane] > entry.start) lane = ends.findIndex((end) => end <= entry.start);
    if (lane < 0) lane = ends.length;
    ends[lane] = entry.end;
    laneOf.set(entry.id, lane);
    return { entry, lane };
  });
  return { bars, lanes: Math.max(1, ends.length) };
}
