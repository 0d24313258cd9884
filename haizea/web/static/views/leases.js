// The list of leases: sorted, filtered, in pages.
import { allLeases, get } from "../api.js";
import { atMostEvery, choice, field, fill, h } from "../dom.js";
import { follow } from "../live.js";
import { address, note, oneOf } from "../router.js";
import { t } from "../texts.js";
import { duration, full, short } from "../times.js";
import { STATES, endOf, isOver, leftOf, nodeCount, nodesText, startOf, stateMark } from "../words.js";

const MOST = 2000;
const PAGE = 50;
const REFRESH_MILLISECONDS = 2000;
const FIND_MILLISECONDS = 500;
const KINDS = ["ar", "deadline", "best-effort", "immediate"];
const NUMBERS = new Set(["id", "nodes", "length", "left"]);

const VALUES = {
  id: (lease) => lease.id,
  label: (lease) => lease.label.toLowerCase(),
  owner: (lease) => lease.owner.toLowerCase(),
  kind: (lease) => lease.kind,
  state: (lease) => lease.state,
  nodes: (lease) => nodeCount(lease.nodes),
  start: (lease) => Date.parse(startOf(lease).time) || Infinity,
  end: (lease) => Date.parse(endOf(lease)) || Infinity,
  length: (lease) => lease.duration ?? Infinity,
  left: (lease) => leftOf(lease) ?? Infinity,
};

export async function showLeases(box, page) {
  page.title(t(page.seesAll ? "navLeases" : "navMine"));
  const view = new Leases(box, page);
  await view.load();
  const refresh = atMostEvery(REFRESH_MILLISECONDS, () => view.load(true));
  const unfollow = follow((events) => {
    if (!events.length || events.some((event) => event.lease)) refresh();
  });
  return () => {
    unfollow();
    refresh.stop();
    view.find.stop();
  };
}

class Leases {
  constructor(box, page) {
    const { params } = page;
    this.page = page;
    this.wanted = {
      which: oneOf(params.get("which"), ["open", ...Object.keys(STATES), "all"], "open"),
      whose: oneOf(params.get("whose"), ["all", "mine"], "all"),
      kind: oneOf(params.get("kind"), KINDS, ""),
      search: params.get("search") || "",
      sort: oneOf(params.get("sort"), Object.keys(VALUES), "id"),
      down: params.get("order") !== "up",
      number: Math.max(1, Math.floor(Number(params.get("page"))) || 1),
    };
    this.leases = [];
    this.complete = true;
    this.most = MOST;
    this.find = atMostEvery(FIND_MILLISECONDS, () => this.findOlder().catch(() => {}));
    this.count = h("p", { role: "status" });
    this.further = h("button", { type: "button", class: "button small", hidden: true, onclick: () => this.lookFurther() }, t("lookFurther"));
    this.table = h("div", { class: "table-box", tabindex: "0", role: "region", "aria-label": t("navLeases") });
    this.pager = h("nav", { class: "pager", "aria-label": t("page", { page: "", pages: "" }).trim() });
    fill(box, h("h1", { class: "hidden" }, t(page.seesAll ? "navLeases" : "navMine")), this.filters(), this.table, this.pager);
  }

  filters() {
    const set = (name) => (event) => {
      this.wanted[name] = event.target.value;
      this.wanted.number = 1;
      if (name !== "search") this.load(true);
      else {
        this.draw();
        this.find();
      }
    };
    const which = [
      ["open", t("underWay")], ["running", t("running")], ["planned", t("planned")],
      ["waiting", t("waiting")], ["over", t("over")], ["all", t("all")],
    ];
    const kinds = [["", t("all")], ...KINDS.map((kind) => [kind, t(`kind_${kind}`)])];
    return h("form", { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() },
      field(t("search"), h("input", {
        type: "search", placeholder: t("searchHint"), value: this.wanted.search, oninput: set("search"),
      })),
      field(t("filterState"), choice({ onchange: set("which") }, which, this.wanted.which)),
      this.page.seesAll && this.page.mayChange
        ? field(t("whose"), choice({ onchange: set("whose") }, [["all", t("everybody")], ["mine", t("mine")]], this.wanted.whose)) : null,
      field(t("kind"), choice({ onchange: set("kind") }, kinds, this.wanted.kind)),
      h("div", { class: "count" }, this.count, this.further));
  }

  async load(quietly = false) {
    if (!quietly && !this.leases.length) fill(this.table, h("p", { class: "hint" }, t("loading")));
    const asked = this.asked();
    try {
      const found = await allLeases(asked, this.most, this.page.signal);
      // Somebody chose others meanwhile: those are on their way.
      if (JSON.stringify(asked) !== JSON.stringify(this.asked())) return;
      this.leases = found.leases;
      this.complete = found.complete;
      this.draw();
      await this.findOlder();
    } catch (error) {
      // What is shown stays; the frame says that the service is away.
      if (!quietly) throw error;
    }
  }

  /** What the service is asked for; what is searched for is found here. */
  asked() {
    const { which, whose, kind } = this.wanted;
    return {
      order: "newest", all: which === "all", state: [...(STATES[which] || [])], kind,
      owner: whose === "mine" ? this.page.session.owner : "",
    };
  }

  /** Where not all leases are here: ask for those with just this number, label or owner. */
  async findOlder() {
    const words = this.wanted.search.trim();
    if (this.complete || !words) return;
    const asked = this.asked();
    const found = /^\d+$/.test(words)
      ? [await get(`v1/leases/${words}`, { signal: this.page.signal })]
      : (await Promise.all(["label", "owner"].filter((name) => !asked[name]).map(
        (name) => allLeases({ ...asked, [name]: words }, MOST, this.page.signal)))).flatMap(({ leases }) => leases);
    const known = new Set(this.leases.map(({ id }) => id));
    const others = found.filter(({ id }) => !known.has(id) && known.add(id));
    if (!others.length) return;
    this.leases.push(...others);
    this.draw();
  }

  lookFurther() {
    this.most += MOST;
    return this.load(true);
  }

  chosen() {
    const { which, kind, search, sort, down } = this.wanted;
    const words = search.trim().toLowerCase();
    const fits = (lease) =>
      (which === "all" || (which === "open" ? !isOver(lease.state) : STATES[which]?.has(lease.state))) &&
      (!kind || lease.kind === kind) &&
      (!words || String(lease.id) === words || `${lease.label} ${lease.owner}`.toLowerCase().includes(words));
    const value = VALUES[sort];
    const sign = down ? -1 : 1;
    return this.leases.filter(fits).sort((one, other) => {
      const [a, b] = [value(one), value(other)];
      return a === b ? other.id - one.id : sign * (a < b ? -1 : 1);
    });
  }

  draw() {
    const chosen = this.chosen();
    const pages = Math.max(1, Math.ceil(chosen.length / PAGE));
    this.wanted.number = Math.min(this.wanted.number, pages);
    const first = (this.wanted.number - 1) * PAGE;
    const count = t("leases", { count: chosen.length });
    this.count.textContent = this.complete ? count : t("leasesIncomplete", { leases: count, count: this.leases.length });
    this.further.hidden = this.complete;
    if (chosen.length) this.drawTable(chosen.slice(first, first + PAGE));
    else this.drawNothing();
    this.drawPager(pages);
    const { which, whose, kind, search, sort, down, number } = this.wanted;
    note("leases", "", {
      which: which === "open" ? "" : which, whose: whose === "all" ? "" : whose, kind, search,
      sort: sort === "id" ? "" : sort, order: down ? "" : "up", page: number === 1 ? "" : number,
    });
  }

  drawNothing() {
    const ask = this.page.mayChange && !this.leases.length;
    fill(this.table, h("div", { class: "empty" },
      h("p", {}, t(this.leases.length ? "noLeases" : "noLeasesYet")),
      ask ? h("a", { class: "button primary", href: address("ask") }, t("askFirst")) : null));
  }

  drawTable(leases) {
    const columns = Object.keys(VALUES).filter((name) => name !== "owner" || this.page.seesAll);
    const focused = document.activeElement?.dataset?.sort;
    fill(this.table, h("table", { class: "list leases cards" },
      h("thead", {}, h("tr", {}, columns.map((name) => this.head(name)))),
      h("tbody", {}, leases.map((lease) => this.row(lease, columns)))));
    if (focused) this.table.querySelector(`[data-sort="${focused}"]`)?.focus();
  }

  head(name) {
    const { sort, down } = this.wanted;
    const sorted = sort === name ? (down ? "descending" : "ascending") : null;
    const turn = () => {
      this.wanted.down = sort === name ? !down : NUMBERS.has(name);
      this.wanted.sort = name;
      this.draw();
    };
    return h("th", { scope: "col", class: NUMBERS.has(name) ? "number" : "", "aria-sort": sorted },
      h("button", { type: "button", "data-sort": name, onclick: turn }, t(name)));
  }

  row(lease, columns) {
    const { time, about } = startOf(lease);
    const end = endOf(lease);
    const left = leftOf(lease);
    const cells = {
      id: h("a", { href: address("leases", lease.id) }, String(lease.id)),
      label: lease.label,
      owner: lease.owner,
      kind: t(`kind_${lease.kind}`),
      state: stateMark(lease.state),
      nodes: h("span", { title: nodesText(lease.nodes) }, String(nodeCount(lease.nodes))),
      start: time ? h("time", { datetime: time, title: full(time) }, about ? t("expectedAbout", { time: short(time) }) : short(time)) : "–",
      end: end ? h("time", { datetime: end, title: full(end) }, short(end)) : "–",
      length: duration(lease.duration),
      left: isOver(lease.state) ? "–" : duration(left),
    };
    const open = (event) => {
      if (!event.target.closest("a, button") && !getSelection().toString()) location.hash = address("leases", lease.id);
    };
    return h("tr", { onclick: open, class: "open" }, columns.map((name) =>
      h("td", { class: NUMBERS.has(name) ? "number" : "", "data-label": t(name) }, cells[name])));
  }

  drawPager(pages) {
    const { number } = this.wanted;
    const to = (next) => () => {
      this.wanted.number = next;
      this.draw();
    };
    if (pages === 1) fill(this.pager);
    else fill(this.pager,
      h("button", { class: "button", disabled: number === 1, onclick: to(number - 1) }, t("previous")),
      h("span", {}, t("page", { page: number, pages })),
      h("button", { class: "button", disabled: number === pages, onclick: to(number + 1) }, t("next")));
  }
}
