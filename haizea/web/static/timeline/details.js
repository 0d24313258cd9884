// What is told of a bar: a few words beside the pointer, more beside the picture.
import { get } from "../api.js";
import { fill, h } from "../dom.js";
import { address } from "../router.js";
import { t } from "../texts.js";
import { atSite, duration, inViewersZone, now, short } from "../times.js";
import { hostsText, nodesText, stateMark } from "../words.js";
import { hostCount } from "./data.js";

const times = (entry) => {
  const end = entry.end === Infinity ? t("unlimited") : short(entry.end);
  const length = entry.end === Infinity ? "" : ` (${duration((entry.end - entry.start) / 1000)})`;
  return `${short(entry.start)} – ${end}${length}`;
};

const hostsOf = (entry, data) =>
  (hostCount(entry) > 6 ? t("hostsShown", { count: hostCount(entry) }) : hostsText(data.hostNames(entry)));

/** Why hosts are out of use, which, and from when to when. */
function outageWords(outage, data) {
  return [
    h("strong", {}, outage.window ? t("maintenanceNumber", { id: outage.window }) : t(`outage_${outage.status}`)),
    outage.reason ? h("span", {}, outage.reason) : null,
    h("span", {}, times(outage)),
    atSite(outage.start) ? h("span", { class: "soft" }, atSite(outage.start)) : null,
    h("span", {}, hostsOf(outage, data)),
  ];
}

/** What a bar is, in words. */
export function purposeText(entry) {
  if (entry.purpose === "expected") return t("expectedStart");
  if (entry.purpose === "sleep") return t("suspended");
  const words = t(`purpose_${entry.purpose}`);
  if (entry.purpose !== "run") return words;
  if (entry.end <= now()) return t("ranPurpose");
  if (entry.start <= now()) return words;
  return t(entry.firm ? "plannedRun" : "movableRun");
}

/** Words beside the pointer. */
export class Tip {
  constructor() {
    this.node = h("div", { class: "tip", hidden: true });
  }

  show(entry, place, width, data) {
    const { lease } = entry;
    if (lease) this.fillWithLease(entry, data);
    else fill(this.node, outageWords(entry, data));
    this.node.hidden = false;
    const left = Math.min(place.x + 14, width - 270);
    this.node.style.left = `${Math.max(4, left)}px`;
    this.node.style.top = `${place.y + 64}px`;
  }

  fillWithLease(entry, data) {
    const { lease } = entry;
    fill(this.node,
      h("strong", {}, [t("lease", { id: entry.id }), lease.label].filter(Boolean).join(" · ")),
      h("span", {}, `${lease.owner} · ${purposeText(entry)}`),
      h("span", {}, times(entry)),
      atSite(entry.start) ? h("span", { class: "soft" }, atSite(entry.start)) : null,
      entry.runs.length ? h("span", {}, hostsOf(entry, data)) : null,
      entry.waiting ? h("span", {}, inViewersZone(entry.waiting.lease.reason)) : null);
  }

  hide() {
    this.node.hidden = true;
  }
}

/** A lease beside the picture, with its state and reason. */
export class Details {
  constructor(page, whenClosed) {
    this.page = page;
    this.whenClosed = whenClosed;
    this.id = null;
    this.node = h("aside", { class: "details card", hidden: true, "aria-live": "polite", "aria-label": t("facts") });
  }

  /** Show hosts that are out of use. */
  showOutage(outage, data) {
    this.id = null;
    this.node.hidden = false;
    const [title, ...words] = outageWords(outage, data);
    fill(this.node,
      h("div", { class: "title-row" }, h("h2", {}, title.textContent), h("span", { class: "spring" }), this.closing()),
      words.filter(Boolean).map((word) => h("p", {}, word.textContent)),
      outage.window ? h("a", { href: address("site", "maintenance") }, t("tab_maintenance")) : null);
  }

  async show(id) {
    this.id = id;
    this.node.hidden = id === null;
    if (id === null) return;
    let lease;
    try {
      lease = await get(`v1/leases/${id}`, { signal: this.page.signal });
    } catch (error) {
      if (error.name === "AbortError" || id !== this.id) return;
      fill(this.node, h("p", {}, error.message || t("awayShort")), this.closing());
      return;
    }
    if (id !== this.id) return;
    const start = lease.started || lease.planned_start || lease.expected || lease.start;
    const end = lease.ended || lease.planned_end;
    fill(this.node,
      h("div", { class: "title-row" }, h("h2", {}, h("a", { href: address("leases", id) }, t("lease", { id }))),
        stateMark(lease.state), h("span", { class: "spring" }), this.closing()),
      lease.label ? h("p", {}, lease.label) : null,
      lease.reason ? h("p", { class: "hint" }, inViewersZone(lease.reason)) : null,
      h("dl", { class: "facts" },
        h("dt", {}, t("owner")), h("dd", {}, lease.owner),
        h("dt", {}, t("nodes")), h("dd", {}, nodesText(lease.nodes)),
        h("dt", {}, t("start")), h("dd", {}, start ? short(start) : "–"),
        h("dt", {}, t("end")), h("dd", {}, end ? short(end) : "–"),
        lease.hosts.length ? [h("dt", {}, t("hosts")), h("dd", {}, hostsText(lease.hosts))] : null));
    // On a phone it is below the picture.
    this.node.scrollIntoView({ block: "nearest" });
  }

  closing() {
    return h("button", { class: "button small", type: "button", onclick: this.whenClosed }, t("close"));
  }
}
