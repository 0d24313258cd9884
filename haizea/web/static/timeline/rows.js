// Rows of the timeline, by host or by lease: {name, detail, key, bars, lanes, use, status}.
import { t } from "../texts.js";
import { now } from "../times.js";
import { hostsText } from "../words.js";
import { Timeline } from "./data.js";

/** A row for each host that the filter leaves, with what is on it side by side. */
export function hostRows(data, wanted) {
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
  const rows = [];
  data.hosts.forEach((name, index) => {
    const out = outages[index].find((outage) => outage.start <= present && present < outage.end);
    if (!hostFits(data.isBusy(index, onHost[index], present), onHost[index], wanted.hosts, out)) return;
    if (words && !name.toLowerCase().includes(words) && !onHost[index].some((entry) => entryFits(entry, words))) return;
    const bars = inLanes(onHost[index]);
    rows.push({
      name, key: index, host: index, bars: [...asleep[index], ...bars.bars], lanes: bars.lanes, group: groupOf(name),
      use: data.use ? data.use[index] : null,
      outages: outages[index],
      status: out ? out.status : null,
    });
  });
  if (wanted.order === "busy") rows.sort((one, other) => busy(other) - busy(one));
  if (wanted.order === "free") rows.sort((one, other) => busy(one) - busy(other));
  return wanted.order === "group" ? inGroups(rows) : rows;
}

function hostFits(isBusy, entries, which, out) {
  if (which === "used") return entries.length > 0;
  if (which === "free") return !out && !isBusy;
  if (which === "trouble") return Boolean(out);
  return true;
}

const busy = (row) => row.bars.reduce((sum, bar) => sum + Math.min(bar.entry.end, 8.64e15) - bar.entry.start, 0);

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
  const words = wanted.search.trim().toLowerCase();
  const rows = [];
  for (const lease of data.leases.values()) {
    if (words && !entryFits(lease.entries[0], words)) continue;
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
  const words = wanted.search.trim().toLowerCase();
  return data.outages.filter((outage) => !words || data.hostNames(outage).some((name) => name.toLowerCase().includes(words)))
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
    .filter(({ lease }) => !words || `${lease.id} ${lease.label} ${lease.owner}`.toLowerCase().includes(words))
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

/** Tell whether a lease has one of the words that were searched for. */
export function entryFits(entry, words) {
  if (!words) return true;
  const { lease } = entry;
  return String(lease.id) === words || `${lease.label} ${lease.owner}`.toLowerCase().includes(words);
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
