// Maintenance on the site's page: windows that are planned or under way, and a form for operators.
import { Refusal, call, get } from "../api.js";
import { confirm } from "../dialog.js";
import { choice, field, fill, h } from "../dom.js";
import { address } from "../router.js";
import { t } from "../texts.js";
import { forControl, full, inViewersZone, iso, short } from "../times.js";
import { hostsText } from "../words.js";

const PAUSE_MILLISECONDS = 400;
const FATES = ["refuse", "stay", "end"];

export class Maintenance {
  constructor(box, page) {
    this.page = page;
    this.list = h("div");
    this.form = page.operates ? new WindowForm(page, () => this.load()) : null;
    fill(box, this.form?.box, this.list);
  }

  async load() {
    const { maintenance } = await get("v1/maintenance", { signal: this.page.signal });
    this.draw(maintenance);
  }

  end() {
    this.form?.end();
  }

  draw(windows) {
    if (!windows.length) {
      fill(this.list, h("p", { class: "empty" }, t("noMaintenance")));
      return;
    }
    const time = (moment) => h("time", { datetime: moment, title: full(moment) }, short(moment));
    const actions = (window) => h("td", {}, h("div", { class: "actions" },
      h("button", { type: "button", class: "button small", onclick: () => this.form.change(window) }, t("change")),
      h("button", { type: "button", class: "button small danger", onclick: () => this.endWindow(window) }, endText(window))));
    const row = (window) => h("tr", {},
      h("th", { scope: "row" }, String(window.id)),
      h("td", {}, hostsText(window.hosts)),
      h("td", {}, time(window.start)),
      h("td", {}, window.end ? time(window.end) : t("untilEnded")),
      h("td", {}, h("span", { class: `mark mark-${window.status === "begun" ? "work" : "plan"}` }, t(`window_${window.status}`)),
        window.status === "begun" ? h("span", { class: "hint" }, ` ${t("windowOut", { out: window.out.length, count: window.hosts.length })}`) : null),
      h("td", {}, t(`fate_${window.leases}`)),
      h("td", {}, window.reason),
      this.form ? actions(window) : null);
    const heads = ["windowNumber", "hosts", "start", "end", "state", "itsLeases", "reason", ...(this.form ? ["actions"] : [])];
    fill(this.list, h("div", { class: "table-box", tabindex: "0", role: "region", "aria-label": t("tab_maintenance") },
      h("table", { class: "list" },
        h("thead", {}, h("tr", {}, heads.map((name) => h("th", { scope: "col" }, t(name))))),
        h("tbody", {}, windows.map(row)))));
  }

  async endWindow(window) {
    const about = t(window.status === "begun" ? "endWindowAbout" : "dropWindowAbout", { hosts: hostsText(window.hosts) });
    if (!(await confirm(t(window.status === "begun" ? "endWindowSure" : "dropWindowSure", { id: window.id }), about, endText(window), t("keep")))) return;
    try {
      await call("DELETE", `v1/maintenance/${window.id}`);
      this.page.say(t(window.status === "begun" ? "windowOver" : "windowOff", { id: window.id }));
    } catch (error) {
      this.page.say(error.message || t("awayShort"), "bad");
    }
    await this.load().catch(() => {});
  }
}

/** The word for ending a window, or for calling off one that has not begun. */
function endText(window) {
  return t(window.status === "begun" ? "endNow" : "callOff");
}

/** Plans a window, or changes one; says while one fills it in who runs into it. */
class WindowForm {
  constructor(page, whenDone) {
    this.page = page;
    this.whenDone = whenDone;
    this.box = h("section", { class: "card window-form" });
    this.answer = h("div", { class: "preview", role: "status", "aria-live": "polite" });
    this.said = h("p", { class: "error", role: "alert" });
    this.old = null;
    this.draw({ hosts: page.params.get("hosts") || "", start: "", end: "", reason: "", leases: "refuse" });
  }

  end() {
    clearTimeout(this.waiting);
    this.asking?.abort();
  }

  /** Fill in the form with a window that is there. */
  change(window) {
    this.old = window;
    this.draw({
      hosts: window.hosts.join(" "), start: forControl(Date.parse(window.start)),
      end: window.end ? forControl(Date.parse(window.end)) : "", reason: window.reason, leases: window.leases,
    });
    this.controls.hosts.focus();
  }

  draw(values) {
    this.first = values;
    const typed = () => this.changed();
    const time = (name) => h("input", { type: "datetime-local", value: values[name], oninput: typed });
    this.controls = {
      hosts: h("input", { value: values.hosts, required: true, autocomplete: "off", size: 28, oninput: typed }),
      start: time("start"),
      end: time("end"),
      reason: h("input", { value: values.reason, maxlength: 200, size: 24, oninput: typed }),
      leases: choice({ onchange: typed }, FATES.map((fate) => [fate, t(`fate_${fate}`)]), values.leases),
    };
    const { hosts, start, end, reason, leases } = this.controls;
    const changing = this.old !== null;
    fill(this.box, h("form", {
      novalidate: true,
      onsubmit: (event) => {
        event.preventDefault();
        this.submit();
      },
    },
    h("h2", {}, changing ? t("changeWindow", { id: this.old.id }) : t("planWindow")),
    h("div", { class: "row" },
      field(t("hosts"), hosts, t("hostsHint")),
      field(t("start"), start, t("startHint")),
      field(t("end"), end, t("endHint")),
      field(t("reason"), reason, t("reasonHint")),
      field(t("itsLeases"), leases, t("fateHint"))),
    this.answer, this.said,
    h("div", { class: "actions" },
      h("button", { class: "button primary" }, t(changing ? "change" : "planIt")),
      changing
        ? h("button", { type: "button", class: "button", onclick: () => this.empty() }, t("leaveAsItIs"))
        : h("button", { type: "button", class: "button", onclick: () => this.drain() }, t("drain")))));
    fill(this.answer);
    this.changed();
  }

  empty() {
    this.old = null;
    this.draw({ hosts: "", start: "", end: "", reason: "", leases: "refuse" });
  }

  /** Hosts take nothing new from now on, and what is there stays until it is over. */
  drain() {
    this.controls.start.value = this.controls.end.value = "";
    this.controls.leases.value = "stay";
    this.submit();
  }

  body() {
    const { hosts, start, end, reason, leases } = this.controls;
    const moment = (control) => (control.value ? iso(new Date(control.value).getTime()) : null);
    const body = { hosts: hosts.value.split(/[\s,]+/).filter(Boolean), end: moment(end), reason: reason.value.trim(), leases: leases.value };
    // A window that is under way began at a second, which the control cannot tell.
    if (start.value && start.value !== (this.old && this.first.start)) body.start = moment(start);
    return body;
  }

  get path() {
    return this.old ? `v1/maintenance/${this.old.id}` : "v1/maintenance";
  }

  get method() {
    return this.old ? "PATCH" : "POST";
  }

  // --- the preview ---------------------------------------------------------------------------

  changed() {
    this.said.textContent = "";
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.preview(), PAUSE_MILLISECONDS);
  }

  async preview() {
    this.asking?.abort();
    this.asking = new AbortController();
    const { signal } = this.asking;
    if (!this.controls.hosts.value.trim()) {
      fill(this.answer, h("p", { class: "hint" }, t("previewAbout")));
      return null;
    }
    try {
      const impact = await call(this.method, `${this.path}?preview=true`, { json: this.body(), signal });
      if (!signal.aborted) this.show(impact);
      return impact;
    } catch (error) {
      if (error.name !== "AbortError" && !signal.aborted) {
        fill(this.answer, h("p", { class: "verdict bad" }, error instanceof Refusal ? error.message : t("awayShort")));
      }
      return null;
    }
  }

  show(impact) {
    const leaver = (entry) => h("li", {},
      h("a", { href: address("leases", entry.lease) }, t("lease", { id: entry.lease })), " ",
      h("span", { class: `mark mark-${entry.stuck ? "bad" : "plan"}` }, t(entry.stuck ? "cannotLeave" : "leaves")), " ", inViewersZone(entry.reason));
    const verdict = impact.possible
      ? t(impact.leases.length ? "runsInto" : "runsIntoNobody", { count: impact.leases.length, hosts: hostsText(impact.hosts) })
      : t("windowImpossible", { reason: inViewersZone(impact.reason) });
    fill(this.answer,
      h("p", { class: impact.possible ? "verdict" : "verdict bad" }, verdict),
      impact.leases.length ? h("ul", { class: "leavers" }, impact.leases.map(leaver)) : null);
  }

  async submit() {
    clearTimeout(this.waiting);
    this.said.textContent = "";
    if (!this.controls.hosts.value.trim()) {
      this.said.textContent = t("hostsMissing");
      this.controls.hosts.focus();
      return;
    }
    const impact = await this.preview();
    if (!impact?.possible) return;
    const stuck = impact.leases.filter((entry) => entry.stuck);
    if (impact.leases.length && !(await confirm(t("planSure"),
      t("planSureAbout", { count: impact.leases.length, leases: impact.leases.map((entry) => entry.lease).join(", "), stuck: stuck.length }),
      t("planIt"), t("leaveAsItIs")))) return;
    try {
      const window = await call(this.method, this.path, { json: this.body() });
      this.page.say(t(this.old ? "windowChanged" : "windowPlanned", { id: window.id }));
      this.empty();
      this.whenDone();
    } catch (error) {
      this.said.textContent = error instanceof Refusal ? error.message : t("awayShort");
    }
  }
}
