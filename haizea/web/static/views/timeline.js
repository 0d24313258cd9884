// The timeline: who has which hosts when. The picture is in timeline/, this puts it together.
import { atMostEvery, fill, h } from "../dom.js";
import { follow } from "../live.js";
import { address, note, oneOf } from "../router.js";
import { t } from "../texts.js";
import { Control, Window, rounded } from "../timeline/control.js";
import { loadTimeline } from "../timeline/data.js";
import { Details, Tip } from "../timeline/details.js";
import { AXIS, Painter } from "../timeline/paint.js";
import { MOST_ABOVE, QueueBar, partOf } from "../timeline/queue.js";
import { dependsOnTime, hostRows, leaseRows, outageRows, waitingRows } from "../timeline/rows.js";
import { drawStrip } from "../timeline/strip.js";
import { tableOf } from "../timeline/table.js";
import { ORDERS, Tools, WHICH_HOSTS, legend } from "../timeline/tools.js";
import { HOUR, iso, now } from "../times.js";

const REFRESH_MILLISECONDS = 4000;
const FETCH_MILLISECONDS = 250;
const HEIGHTS = { normal: 24, small: 10 };
const STRIP = 44;

export async function showTimeline(box, page) {
  page.title(t("navTimeline"));
  const view = new TimelineView(box, page);
  await view.begin();
  return () => view.end();
}

class TimelineView {
  constructor(box, page) {
    const { params } = page;
    this.page = page;
    this.box = box;
    this.wanted = {
      by: params.get("by") === "lease" ? "lease" : "host",
      hosts: oneOf(params.get("hosts"), WHICH_HOSTS, "all"),
      order: oneOf(params.get("order"), ORDERS, "name"),
      rows: oneOf(params.get("rows"), Object.keys(HEIGHTS), "normal"),
      search: params.get("search") || "",
      table: params.get("show") === "table",
      queue: partOf(params.get("queue")),
    };
    this.window = Window.of(params, () => this.moved());
    this.mayAsk = page.mayChange;
    this.choosing = false;
    this.data = null;
    this.rows = [];
    this.selection = null;
    this.hovered = null;
    this.picked = Number(params.get("lease")) || null;
    this.drawing = null;
    this.fetch = atMostEvery(FETCH_MILLISECONDS, () => this.load().catch(() => {}));
    this.relay = atMostEvery(FETCH_MILLISECONDS, () => this.layOut());
    this.refresh = atMostEvery(REFRESH_MILLISECONDS, () => this.load().catch(() => {}));
  }

  async begin() {
    this.make();
    await this.load();
    if (this.picked !== null) this.details.show(this.picked);
    this.unfollow = follow(() => this.refresh());
    this.ticking = setInterval(() => this.tick(), 5000);
    this.resizing = new ResizeObserver(() => this.resize());
    this.resizing.observe(this.scroller);
    this.themes = new MutationObserver(() => this.recolour());
    this.themes.observe(document.documentElement, { attributes: true });
    this.dark = matchMedia("(prefers-color-scheme: dark)");
    this.dark.onchange = () => this.recolour();
    this.resize();
    this.scrollTo(this.page.params.get("top"));
  }

  end() {
    this.unfollow?.();
    this.fetch.stop();
    this.relay.stop();
    this.refresh.stop();
    clearInterval(this.ticking);
    cancelAnimationFrame(this.drawing);
    this.resizing?.disconnect();
    this.themes?.disconnect();
    if (this.dark) this.dark.onchange = null;
  }

  make() {
    this.canvas = h("canvas", { class: "plot", tabindex: "0", role: "img", "aria-describedby": "timeline-help" });
    this.strip = h("canvas", { class: "strip", "aria-hidden": "true" });
    this.spacer = h("div", { class: "plot-spacer", "aria-hidden": "true" });
    this.scroller = h("div", { class: "plot-scroller", tabindex: "-1" }, this.canvas, this.spacer);
    this.scroller.addEventListener("scroll", () => this.scrolled(), { passive: true });
    this.painter = new Painter(this.canvas);
    this.stripPainter = new Painter(this.strip);
    this.control = new Control(this.canvas, this.window, this);
    this.tip = new Tip();
    this.details = new Details(this.page, () => this.pick(null));
    this.tableBox = h("div", { class: "table-box", tabindex: "0", role: "region", "aria-label": t("asTable") });
    this.said = h("p", { class: "hint", role: "status" });
    this.picture = h("div", { class: "picture" },
      h("div", { class: "plot-box" }, this.strip, this.scroller, this.tip.node), this.details.node);
    this.tools = new Tools(this);
    this.queueBar = new QueueBar(this);
    fill(this.box, h("h1", { class: "hidden" }, t("navTimeline")), this.tools.node,
      h("p", { id: "timeline-help", class: "hidden" }, t("timelineHelp")),
      this.queueBar.node, this.picture, this.tableBox,
      h("div", { class: "under" }, legend(), this.said));
  }

  // --- data --------------------------------------------------------------------------------

  /** Load what is seen and as much again on either side, on whole hours, so that pages share it. */
  async load() {
    const round = Math.max(HOUR, this.window.length / 4);
    const since = Math.floor((this.window.start - this.window.length / 2) / round) * round;
    const until = Math.ceil((this.window.end + this.window.length / 2) / round) * round;
    const data = await loadTimeline({ since, until, after: this.wanted.queue ?? 0 }, this.page.signal, this.data);
    if (data === this.data) return;
    this.data = data;
    this.layOut();
  }

  layOut() {
    if (!this.data) return;
    const rows = this.wanted.by === "host"
      ? hostRows(this.data, this.wanted, this.window) : leaseRows(this.data, this.wanted);
    this.laidOut = now();
    this.rows = [...this.above(), ...rows];
    this.scroller.hidden = this.strip.hidden = this.wanted.table;
    this.picture.hidden = this.wanted.table;
    this.tableBox.hidden = !this.wanted.table;
    this.sizeRows();
    this.describe(rows);
    this.redraw();
  }

  /** What stands above the rows proper, each part with a heading. */
  above() {
    const byHost = this.wanted.by === "host";
    const waiting = waitingRows(this.data, this.wanted);
    this.queueBar.follow(this.data, waiting);
    const outages = byHost ? [] : outageRows(this.data, this.wanted);
    const some = [
      ["waitingRows", this.queueBar.shown(waiting), waiting.length],
      ["outageRows", outages.slice(0, MOST_ABOVE), outages.length],
    ].filter(([, rows]) => rows.length);
    if (!some.length) return [];
    const heading = (key, shown, count = shown) => ({
      heading: true, key, name: t(key), count: count > shown ? t("firstRows", { shown, count }) : count, bars: [], lanes: 1,
    });
    return [
      ...some.flatMap(([key, rows, count]) => [heading(key, rows.length, count), ...rows]),
      heading(byHost ? "hosts" : "navLeases", byHost ? this.data.hosts.length : this.data.leases.size),
    ];
  }

  describe(rows) {
    const parts = [t(this.wanted.by === "host" ? "hostsShown" : "leases", { count: rows.length })];
    if (!this.data.complete) parts.push(t("incomplete"));
    this.said.textContent = parts.join(" · ");
    this.canvas.setAttribute("aria-label", t("timelineLabel", {
      rows: rows.length, leases: this.data.leases.size, waiting: this.data.waiting.length,
    }));
    if (this.wanted.table) fill(this.tableBox, tableOf(this.data, this.window, this.wanted.search));
  }

  // --- what is seen --------------------------------------------------------------------------

  get left() {
    return this.width < 560 ? 84 : this.wanted.by === "lease" ? 200 : 150;
  }

  get plotWidth() {
    return this.width - this.left;
  }

  get rowHeight() {
    return HEIGHTS[this.wanted.rows];
  }

  get view() {
    return {
      start: this.window.start, end: this.window.end, left: this.left,
      scroll: this.scroller.scrollTop, rowHeight: this.rowHeight,
    };
  }

  timeAt(x) {
    return this.painter.timeAt(x, this.view);
  }

  resize() {
    const box = this.scroller.getBoundingClientRect();
    if (!box.width) return;
    this.width = this.scroller.clientWidth;
    this.height = this.scroller.clientHeight;
    this.painter.resize(this.width, this.height);
    this.stripPainter.resize(this.width, STRIP);
    this.sizeRows();
    this.redraw();
  }

  sizeRows() {
    const whole = AXIS + this.rows.length * this.rowHeight;
    this.spacer.style.height = `${Math.max(0, whole - (this.height || 0))}px`;
  }

  recolour() {
    this.painter.recolour();
    this.stripPainter.recolour();
    this.redraw();
  }

  moved() {
    const { data, window } = this;
    if (!data || window.start < data.since || window.end > data.until) this.fetch();
    else if (window.length < (data.until - data.since) / 12) this.fetch();
    if (this.wanted.table || (this.wanted.by === "host" && dependsOnTime(this.wanted))) this.relay();
    this.tools.follow();
    this.remember();
    this.redraw();
  }

  redraw() {
    if (this.drawing === null) this.drawing = requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.drawing = null;
    if (!this.data || !this.width || this.wanted.table) return;
    const marks = {
      now: now(), words: this.wanted.search.trim().toLowerCase(), lease: this.picked ?? this.hovered?.id ?? null,
      selection: this.selection, use: { since: this.data.since, step: this.data.step },
    };
    this.painter.draw(this.view, this.rows, marks);
    drawStrip(this.stripPainter, this.data, this.view);
  }

  tick() {
    if (document.hidden) return;
    if (this.outagesChanged()) this.layOut();
    if (this.window.ahead) this.window.pan(0);
    else this.redraw();
  }

  /** Tell whether hosts went out of use, or came back, since the rows were laid out. */
  outagesChanged() {
    const present = now();
    const passed = (moment) => this.laidOut < moment && moment <= present;
    return Boolean(this.data?.outages.some(({ start, end }) => passed(start) || passed(end)));
  }

  remember = atMostEvery(300, () => {
    if (this.page.signal.aborted) return;
    const { by, hosts, order, rows, search, table, queue } = this.wanted;
    const other = (value, usual) => (value === usual ? "" : value);
    note("timeline", "", {
      from: iso(Math.round(this.window.start / 1000) * 1000), hours: Number((this.window.length / HOUR).toFixed(2)),
      by: other(by, "host"), hosts: other(hosts, "all"), order: other(order, "name"), rows: other(rows, "normal"),
      lease: this.picked, search, ahead: this.window.ahead ? "yes" : "", show: table ? "table" : "", queue, top: this.top(),
    });
  });

  /** Change what is wanted, and show it. */
  want(changes) {
    Object.assign(this.wanted, changes);
    this.scroller.scrollTop = 0;
    this.layOut();
    if (!this.wanted.table) this.resize();
    this.remember();
  }

  /** Show the part of the queue after a place, or its head in short for null. */
  async wantQueue(after) {
    this.want({ queue: after });
    await this.load().catch(() => {});
  }

  scrolled() {
    this.redraw();
    this.remember();
  }

  /** The row that is uppermost, by a name that it keeps; empty at the top. */
  top() {
    const row = this.rows[Math.round(this.scroller.scrollTop / this.rowHeight)];
    return this.scroller.scrollTop && row ? nameOf(row) : "";
  }

  /** Scroll to a row by that name, if there still is one. */
  scrollTo(name) {
    const index = name ? this.rows.findIndex((row) => nameOf(row) === name) : -1;
    if (index > 0) this.scroller.scrollTop = index * this.rowHeight;
  }

  toNow() {
    this.window.set(now() - this.window.length / 8, now() + (this.window.length * 7) / 8);
  }

  // --- pointing and choosing --------------------------------------------------------------------

  rowAt(y) {
    if (y < AXIS) return null;
    return this.rows[Math.floor((y - AXIS + this.scroller.scrollTop) / this.rowHeight)] || null;
  }

  entryAt({ x, y }) {
    const row = this.rowAt(y);
    if (!row) return null;
    const index = this.rows.indexOf(row);
    const inside = (y - AXIS + this.scroller.scrollTop - index * this.rowHeight) / this.rowHeight;
    const lane = Math.min(row.lanes - 1, Math.max(0, Math.floor(inside * row.lanes)));
    const near = ((this.window.length / this.plotWidth) * 3);
    const time = this.timeAt(x);
    const found = row.bars.filter(({ entry, lane: at }) =>
      (at === lane || at < 0) && entry.start - near <= time && time < entry.end + near);
    if (found.length) return found.at(-1).entry;
    return row.outages?.find((outage) => outage.start - near <= time && time < outage.end + near) || null;
  }

  hover(place) {
    const entry = place && place.x > this.left ? this.entryAt(place) : null;
    if (entry !== this.hovered) this.redraw();
    this.hovered = entry;
    this.canvas.classList.toggle("over-bar", Boolean(entry));
    if (entry) this.tip.show(entry, place, this.width, this.data);
    else this.tip.hide();
  }

  click(place) {
    const row = this.rowAt(place.y);
    if (place.x <= this.left && row?.lease) return this.pick(row.lease.id);
    const entry = place.x > this.left ? this.entryAt(place) : null;
    this.pick(entry?.id ?? null);
    if (entry && !entry.lease) this.details.showOutage(entry, this.data);
    return null;
  }

  pick(id) {
    this.picked = id;
    this.details.show(id);
    this.remember();
    this.redraw();
  }

  /** With keys: the next lease that is seen, or the page of the one that is picked. */
  openNext(by) {
    if (!by) {
      if (this.picked !== null) location.hash = address("leases", this.picked);
      return;
    }
    const seen = [...this.data.leases.values()].filter((lease) => lease.entries.some(
      (entry) => entry.start < this.window.end && entry.end > this.window.start));
    if (!seen.length) return;
    const at = seen.findIndex((lease) => lease.id === this.picked);
    this.pick(seen[(at + by + seen.length) % seen.length].id);
  }

  select(from, to) {
    if (!from) this.selection = null;
    else {
      const [start, end] = rounded(this.timeAt(from.x), this.timeAt(to.x), this.window.length);
      this.selection = { from: start, to: end, top: Math.min(from.y, to.y), bottom: Math.max(from.y, to.y) };
    }
    this.redraw();
  }

  chosen() {
    const { from, to, top, bottom } = this.selection;
    const first = Math.max(0, Math.floor((top - AXIS + this.scroller.scrollTop) / this.rowHeight));
    const last = Math.floor((bottom - AXIS + this.scroller.scrollTop) / this.rowHeight);
    const hosts = this.rows.slice(first, last + 1).filter((row) => row.host !== undefined).length;
    location.hash = address("ask", "", { start: iso(from), seconds: (to - from) / 1000, count: Math.max(1, hosts) });
  }
}

/** A name of a row for links: a host's own, or what else the row is about. */
const nameOf = (row) => (row.host === undefined ? row.key : row.name);
