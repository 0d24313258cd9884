// Hosts on the site's page: their use now and, where somebody asks for it, over time.
import { get } from "../api.js";
import { drawing, fill, h } from "../dom.js";
import { address, note } from "../router.js";
import { t } from "../texts.js";
import { DAY, HOUR, MINUTE, inViewersZone, iso, now, short } from "../times.js";
import { amountOf } from "../words.js";

const MOST_HOSTS = 500;
/** Of how many hosts at once the use over time is shown. */
const MOST_UNFOLDED = 20;
const STEP = 5 * MINUTE;
const [WIDE, TALL] = [480, 32];

export class Hosts {
  constructor(box, page) {
    this.page = page;
    this.search = page.params.get("search") || "";
    this.unfolded = new Set((page.params.get("over") || "").split(" ").filter(Boolean).slice(0, MOST_UNFOLDED));
    this.uses = new Map();
    this.hosts = [];
    this.drawn = null;
    const search = h("input", {
      type: "search", "aria-label": t("search"), placeholder: t("searchHosts"), value: this.search,
      oninput: (event) => {
        this.search = event.target.value;
        this.draw();
      },
    });
    this.count = h("p", { class: "count" });
    this.box = h("div", { class: "table-box", tabindex: "0", role: "region", "aria-label": t("hosts") });
    fill(box, h("div", { class: "filters" }, search, this.count), this.box);
  }

  /** Show how hosts are now, and will be where that is shown. */
  async show(hosts) {
    this.hosts = hosts;
    const known = new Set(hosts.map(({ name }) => name));
    await Promise.all([...this.unfolded].filter((name) => known.has(name)).map((name) => this.loadUse(name)));
    this.draw();
  }

  async loadUse(name) {
    // On whole steps: what is the same is not drawn anew.
    const since = Math.floor((now() - 2 * HOUR) / STEP) * STEP;
    const path = `v1/hosts/${encodeURIComponent(name)}/use?since=${iso(since)}&until=${iso(since + DAY)}`;
    // What cannot be had now stays as it was, and comes with what happens next.
    const answer = await get(path, { signal: this.page.signal }).catch(() => null);
    if (answer) this.uses.set(name, answer);
  }

  /** Show under a host how much of it is in use over a day, or no more. */
  async turn(name) {
    if (!this.unfolded.delete(name)) {
      this.unfolded.add(name);
      await this.loadUse(name);
    }
    this.draw();
  }

  draw() {
    const words = this.search.trim().toLowerCase();
    const shown = this.hosts.filter((host) => `${host.name} ${host.status}`.toLowerCase().includes(words));
    const first = shown.slice(0, MOST_HOSTS);
    this.count.textContent = shown.length > first.length
      ? t("firstShown", { shown: first.length, count: shown.length }) : t("hostsShown", { count: shown.length });
    note("site", this.page.part, { search: this.search, over: [...this.unfolded].slice(-MOST_UNFOLDED).join(" ") });
    // What is the same stays as it is, and whoever is at one of its buttons stays there.
    const text = JSON.stringify([first, [...this.unfolded], [...this.uses]]);
    if (text === this.drawn) return;
    this.drawn = text;
    const focused = document.activeElement?.dataset?.over;
    const types = Object.keys(this.hosts[0]?.resources || {});
    const heads = [t("host"), t("state"), ...types, t("navLeases"), t("actions")];
    fill(this.box, h("table", { class: "list cards" },
      h("thead", {}, h("tr", {}, heads.map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, first.map((host) => this.rows(host, types, heads)))));
    if (focused) this.box.querySelector(`[data-over="${CSS.escape(focused)}"]`)?.focus();
  }

  /** A host's row, and one below it with its use over time, if somebody asked for that. */
  rows(host, types, heads) {
    const isUnfolded = this.unfolded.has(host.name);
    const meter = (name) => h("div", { class: "use" },
      h("progress", { max: Math.max(1, host.resources[name]), value: host.used[name], "aria-label": `${host.name} ${name}` }),
      h("span", {}, `${amountOf(name, host.used[name])} / ${amountOf(name, host.resources[name])}`));
    const cells = [
      [h("span", { class: `mark mark-${host.status === "up" ? "run" : "bad"}` }, t(`status_${host.status}`)), host.reason ? h("span", { class: "hint" }, ` ${inViewersZone(host.reason)}`) : null],
      ...types.map(meter),
      host.leases.map((id, at) => [at ? ", " : "", h("a", { href: address("leases", id) }, String(id))]),
      h("div", { class: "actions" },
        h("button", { type: "button", class: "button small", "data-over": host.name, "aria-expanded": String(isUnfolded), onclick: () => this.turn(host.name) }, t("overTime")),
        this.page.operates ? h("a", { class: "button small", href: address("site", "maintenance", { hosts: host.name }) }, t("takeOut")) : null),
    ];
    const row = h("tr", {}, h("th", { scope: "row" }, host.name),
      cells.map((cell, at) => h("td", { "data-label": heads[at + 1] }, cell)));
    const use = isUnfolded && this.uses.get(host.name);
    return use ? [row, h("tr", {}, h("td", { colspan: heads.length }, overTime(use, types)))] : row;
  }
}

/** How much of a host is in use over time: a picture for each type of resource, and the same in words. */
function overTime({ use, resources, since, until }, types) {
  const [start, end] = [Date.parse(since), Date.parse(until)];
  const x = (moment) => Math.round((WIDE * Math.min(1, Math.max(0, (moment - start) / (end - start)))) * 10) / 10;
  const line = (name) => {
    const y = (amount) => Math.round((TALL - (TALL * amount) / Math.max(1, resources[name])) * 10) / 10;
    const steps = use.map((entry, at) => `V${y(entry.used[name] ?? 0)}H${x(at + 1 < use.length ? Date.parse(use[at + 1].time) : end)}`);
    return `M0,${TALL}${steps.join("")}V${TALL}Z`;
  };
  const present = x(now());
  const picture = (name) => h("div", { class: "over-time" }, h("span", {}, name),
    drawing(WIDE, TALL, [["used", line(name)], ["present", `M${present},0V${TALL}`]]));
  const moments = [start, (start + end) / 2, end];
  const words = use.map((entry) => h("li", {}, `${short(entry.time)}: ${Object.entries(entry.used).map(([name, amount]) => amountOf(name, amount)).join(", ")}`));
  return [
    h("div", { class: "over-times", "aria-hidden": "true" }, types.map(picture),
      h("div", { class: "over-time" }, h("span"), h("div", { class: "moments" }, moments.map((moment) => h("span", {}, short(moment)))))),
    h("ol", { class: "steps" }, words),
  ];
}
