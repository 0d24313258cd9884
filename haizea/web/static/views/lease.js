// One lease: how it is, where it runs, what became of it, and what can be done about it.
import { call, get, Refusal } from "../api.js";
import { confirm } from "../dialog.js";
import { atMostEvery, fill, h } from "../dom.js";
import { follow } from "../live.js";
import { address } from "../router.js";
import { t } from "../texts.js";
import { look } from "../timeline/paint.js";
import { countdown, duration, exact, full, inViewersZone, now, relative, short, span } from "../times.js";
import { amounts, endOf, hostsText, isOver, leftOf, nodesText, startOf, stateMark } from "../words.js";
import { Changes, isChangeable } from "./change.js";

const REFRESH_MILLISECONDS = 500;
const LONGER = "2h";

export async function showLease(box, page) {
  const id = Number(page.part);
  page.title(t("lease", { id: page.part }));
  const view = new Lease(box, page, id);
  if (!(await view.load())) return null;
  const refresh = atMostEvery(REFRESH_MILLISECONDS, () => view.load().catch(() => {}));
  const unfollow = follow((events) => {
    if (!events.length || events.some((event) => event.lease === id)) refresh();
  });
  const ticking = setInterval(() => view.tick(), 1000);
  return () => {
    unfollow();
    refresh.stop();
    clearInterval(ticking);
  };
}

class Lease {
  constructor(box, page, id) {
    this.box = box;
    this.page = page;
    this.id = id;
    this.clock = h("span", { class: "clock" });
    this.left = h("span");
    this.lease = null;
    this.head = h("div", { class: "title-row" });
    this.body = h("div", { class: "lease-body" });
    this.changes = new Changes(page, () => this.load());
    this.drawn = "";
  }

  async load() {
    try {
      const tagged = (tag) => {
        this.tag = tag;
      };
      this.lease = await get(`v1/leases/${this.id}`, { signal: this.page.signal, tagged });
    } catch (error) {
      if (!(error instanceof Refusal) || ![404, 422].includes(error.status)) throw error;
      fill(this.box, h("div", { class: "empty" }, h("h1", {}, t("noLease", { id: this.page.part })),
        h("a", { class: "button", href: address("leases") }, t("navLeases"))));
      return false;
    }
    this.changes.know(this.lease, this.tag);
    // What is the same stays as it is, and whoever is at one of its buttons stays there.
    const text = JSON.stringify(this.lease);
    if (text !== this.drawn) this.draw();
    this.drawn = text;
    return true;
  }

  draw() {
    const { lease } = this;
    if (!this.head.isConnected) fill(this.box, this.head, this.changes.node, this.body);
    fill(this.head,
      h("h1", {}, t("lease", { id: lease.id }), lease.label ? h("span", { class: "soft" }, ` ${lease.label}`) : null),
      stateMark(lease.state), this.clock, h("span", { class: "spring" }), this.actions());
    fill(this.body,
      lease.reason ? h("p", { class: "reason" }, inViewersZone(lease.reason)) : null,
      h("div", { class: "columns" },
        h("section", { class: "card" }, h("h2", {}, t("facts")), this.facts()),
        h("section", { class: "card" }, h("h2", {}, t("reservations")), this.reservations())),
      h("section", { class: "card" }, h("h2", {}, t("story")), this.story()));
    this.tick();
  }

  /** The clock that runs down: until it starts, or until it ends. */
  tick() {
    const { lease } = this;
    let text = "";
    const until = (moment) => (Date.parse(moment) - now()) / 1000;
    if (lease.state === "Active" && lease.planned_end) text = t(lease.makes_room ? "makesRoomIn" : "endsIn", { time: countdown(until(lease.planned_end)) });
    else if (!isOver(lease.state) && lease.planned_start && until(lease.planned_start) > 0) {
      text = t("startsIn", { time: countdown(until(lease.planned_start)) });
    }
    this.clock.textContent = text;
    this.left.textContent = duration(leftOf(lease));
  }

  actions() {
    const { lease, page } = this;
    const buttons = [];
    if (page.mayChange) {
      if (isChangeable(lease)) {
        if (lease.duration !== null) {
          buttons.push(h("button", { class: "button primary", onclick: () => this.changes.ask({ extend: LONGER }) }, t("longer")));
        }
        buttons.push(h("button", { class: "button", onclick: () => this.changes.open() }, t("change")));
      }
      buttons.push(h("a", { class: "button", href: address("ask", "", { like: lease.id }) }, t("askLike")));
      if (!isOver(lease.state)) {
        buttons.push(h("button", { class: "button danger", onclick: () => this.cancel() }, t("cancel")));
      }
    }
    return h("div", { class: "actions" }, buttons);
  }

  async cancel() {
    const sure = await confirm(t("cancelSure", { id: this.id }), t("cancelAbout"), t("cancelYes"), t("cancelNo"));
    if (!sure) return;
    try {
      await call("DELETE", `v1/leases/${this.id}`);
      this.page.say(t("cancelled", { id: this.id }));
      await this.load();
    } catch (error) {
      if (error.name !== "AbortError") this.page.say(error.message || t("awayShort"), "bad");
    }
  }

  facts() {
    const { lease } = this;
    const time = (moment) => h("time", { datetime: moment, title: full(moment) }, `${short(moment)} (${relative(moment)})`);
    const { time: start, about } = startOf(lease);
    const rows = [
      [t("owner"), lease.owner],
      [t("kind"), t(`kind_${lease.kind}`)],
      [t("nodes"), nodesText(lease.nodes)],
      [t("length"), duration(lease.duration)],
      [t("asked"), time(lease.submitted)],
      lease.start ? [t("wantedStart"), time(lease.start)] : null,
      lease.after ? [t("notBefore"), time(lease.after)] : null,
      lease.deadline ? [t("deadline"), time(lease.deadline)] : null,
      start && start !== lease.start ? [about ? t("expected") : t("start"), time(start)] : null,
      endOf(lease) ? [t("end"), time(endOf(lease))] : null,
      lease.makes_room ? [t("leavesAt"), time(lease.makes_room)] : null,
      lease.ran ? [t("ran"), duration(lease.ran)] : null,
      isOver(lease.state) ? null : [t("remaining"), this.left],
      [t("preemptible"), t(lease.preemptible ? "yes" : "no")],
      lease.image ? [t("image"), `${lease.image.name}, ${amounts({ Memory: lease.image.size_mb })}`] : null,
      lease.hosts.length ? [t("hosts"), hostsText(lease.hosts)] : null,
      lease.fixed_hosts ? [t("hostsAsked"), t("hostsFixed")] : null,
      lease.names.length ? [t("machines"), lease.names.join(", ")] : null,
    ];
    return h("dl", { class: "facts" }, rows.filter(Boolean).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
  }

  reservations() {
    const { reservations } = this.lease;
    if (!reservations.length) return h("p", { class: "hint" }, t("nothing"));
    const rows = reservations.map((entry) => h("tr", { class: `when-${entry.when}` },
      h("td", {}, h("span", { class: `key key-${lookOf(entry)}`, "aria-hidden": "true" }), " ", t(`purpose_${entry.purpose}`)),
      h("td", {}, span(entry.start, entry.end)),
      h("td", {}, hostsText(entry.hosts)),
      h("td", {}, t(`when_${entry.when}`), entry.firm ? null : `, ${t("provisional")}`)));
    return h("div", { class: "table-box", tabindex: "0", role: "region", "aria-label": t("reservations") },
      h("table", { class: "list" },
        h("thead", {}, h("tr", {}, ["purpose", "time", "hosts", "when"].map((name) => h("th", { scope: "col" }, t(name))))),
        h("tbody", {}, rows)));
  }

  story() {
    return h("ol", { class: "story" }, this.lease.story.map((entry) => h("li", {},
      h("time", { datetime: entry.time, title: full(entry.time) }, exact(entry.time)),
      stateMark(entry.state), h("span", {}, inViewersZone(entry.reason)))));
  }
}

/** How the timeline shows a reservation. */
const lookOf = ({ purpose, start, end, firm }) =>
  look({ purpose, start: Date.parse(start), end: end === null ? Infinity : Date.parse(end), firm }, now());
