// Changing a lease: a form, one-click extension, and what came of it.
import { Refusal, call } from "../api.js";
import { choice, field, fill, h } from "../dom.js";
import { t } from "../texts.js";
import { forControl, full, inViewersZone, iso, short, spelled } from "../times.js";
import { Trial } from "../trial.js";
import { fits, makesRoom } from "../words.js";
import { nodeSet } from "./nodes.js";

const CHANGEABLE = new Set([
  "New", "Pending", "Queued", "Scheduled", "Preparing", "Ready", "Active",
  "Suspended-Pending", "Suspended-Queued", "Suspended-Scheduled", "Resumed-Ready",
]);

// What a lease that has it cannot be without: it would be a lease of another kind.
const NEEDED = ["start", "deadline"];

/** Tell whether a lease in this state can be changed at all. */
export const isChangeable = (lease) => CHANGEABLE.has(lease.state);

export class Changes {
  constructor(page, whenChanged) {
    this.page = page;
    this.whenChanged = whenChanged;
    this.form = h("div");
    this.answer = h("div", { role: "status", "aria-live": "polite" });
    this.trial = new Trial(this.answer, {
      send: (signal) => this.send(this.wanted(), { signal, preview: true }),
      show: (outcome) => this.foreseen(outcome),
      wrong: (text, error) => (error.status === 412 ? this.whenChanged() : this.wrong(text)),
    });
    this.node = h("section", { class: "card changes", hidden: true, "aria-label": t("changeLease") }, this.form, this.answer);
    this.lease = this.tag = this.wanted = null;
  }

  /** Take notice of the lease as it is now; `tag` is of its terms. */
  know(lease, tag) {
    const isAnother = this.tag !== tag;
    this.lease = lease;
    this.tag = tag;
    if (!isChangeable(lease)) this.close();
    else if (isAnother && this.wanted && Object.keys(this.wanted()).length) this.trial.soon();
  }

  close() {
    this.trial.end();
    this.node.hidden = true;
    this.wanted = null;
    fill(this.form);
    fill(this.answer);
  }

  open() {
    const { lease } = this;
    const running = lease.state === "Active";
    const begun = running || lease.started !== null || lease.ran > 0;
    const sets = lease.nodes.map((set) => ({ count: set.count, resources: { ...set.resources } }));
    const typed = () => this.typed();
    const start = lease.kind === "ar" && lease.start && !begun
      ? h("input", { type: "datetime-local", value: forControl(Date.parse(lease.start)), oninput: typed }) : null;
    const moment = (name) => (lease.deadline && !begun
      ? h("input", { type: "datetime-local", value: lease[name] ? forControl(Date.parse(lease[name])) : "", oninput: typed }) : null);
    const window = { deadline: moment("deadline"), after: moment("after") };
    const length = h("input", { value: lease.duration === null ? "unlimited" : spelled(lease.duration), required: true, size: 10, autocomplete: "off", oninput: typed });
    const preemptible = choice({ onchange: typed }, [["yes", t("yes")], ["no", t("no")]], lease.preemptible ? "yes" : "no");
    const before = { start: start?.value, deadline: window.deadline?.value, after: window.after?.value, length: length.value, preemptible: preemptible.value, sets: JSON.stringify(sets) };
    this.wanted = () => {
      const changes = {};
      if (start && start.value !== before.start) changes.start = start.value ? iso(new Date(start.value).getTime()) : "";
      for (const [name, control] of Object.entries(window)) {
        // Whatever may begin at once, now and later, may begin now; without a deadline it would be another kind of lease.
        const empty = name === "after" ? "now" : "";
        if (control && control.value !== before[name]) changes[name] = control.value ? iso(new Date(control.value).getTime()) : empty;
      }
      if (length.value.trim() !== before.length) {
        changes.duration = /^\s*\d+\s*$/.test(length.value) ? Number(length.value) : length.value.trim();
      }
      if (preemptible.value !== before.preemptible) changes.preemptible = preemptible.value === "yes";
      if (JSON.stringify(sets) !== before.sets) changes.nodes = sets;
      return changes;
    };
    const nodes = begun || lease.names.length ? null
      : h("fieldset", {}, h("legend", {}, t("nodes")), sets.map((set, index) => nodeSet(set, index, Object.keys(set.resources), typed)));
    this.say("", h("p", { class: "hint" }, t("changePreview")));
    fill(this.form, h("form", {
      class: "ask", novalidate: true,
      onsubmit: (event) => {
        event.preventDefault();
        this.ask(this.wanted());
      },
    },
    h("h2", {}, t("changeLease")),
    h("div", { class: "row" }, start ? field(t("start"), start) : null,
      window.deadline ? [field(t("deadline"), window.deadline), field(t("notBefore"), window.after, t("startHint"))] : null,
      field(t("lengthInAll"), length, t("lengthHint")), field(t("preemptible"), preemptible)),
    nodes,
    h("p", { class: "hint" }, t("changeAbout")),
    h("div", { class: "actions" }, h("button", { class: "button primary" }, t("change")),
      h("button", { type: "button", class: "button", onclick: () => this.close() }, t("leaveAsItIs")))));
    this.node.hidden = false;
    (start || window.deadline || length).focus();
  }

  /** Say while somebody types what would come of it. */
  typed() {
    if (this.says()) this.trial.soon();
    else this.trial.end();
  }

  /** Tell whether the form asks for something; say so where it does not. */
  says(wanted = this.wanted()) {
    const emptied = NEEDED.find((name) => wanted[name] === "");
    if (emptied) this.wrong(t(`needed_${emptied}`));
    else if (Object.keys(wanted).length) return true;
    else this.say("", h("p", { class: "hint" }, t("nothingToChange")));
    return false;
  }

  foreseen(outcome) {
    const { lease } = outcome;
    if (!outcome.granted) {
      this.say("no", h("p", { class: "verdict" }, t("doesNotFit")), h("p", {}, inViewersZone(outcome.reason)), this.offer(outcome, this.wanted()));
    } else {
      this.say("yes", h("p", { class: "verdict" }, lease.planned_start ? fits(lease) : t("changeFits")), makesRoom(lease));
    }
  }

  send(wanted, { signal = null, preview = false } = {}) {
    const options = { json: wanted, headers: this.tag ? { "If-Match": this.tag } : {}, also: [409], signal };
    return call("PATCH", `v1/leases/${this.lease.id}${preview ? "?preview=true" : ""}`, options);
  }

  /** Have the lease changed, if it still is what is shown. */
  async ask(wanted) {
    this.trial.end();
    this.node.hidden = false;
    if (this.asking || !this.says(wanted)) return;
    this.asking = true;
    try {
      const outcome = await this.send(wanted);
      if (outcome.granted) this.granted(outcome.lease);
      else this.refused(outcome, wanted);
    } catch (error) {
      if (error instanceof Refusal && error.status === 412) await this.overtaken(wanted);
      else this.wrong(error instanceof Refusal ? error.message : t("awayShort"));
    } finally {
      this.asking = false;
    }
  }

  say(kind, ...parts) {
    this.answer.className = kind ? `preview answer-${kind}` : "preview";
    fill(this.answer, parts);
  }

  wrong(text, ...more) {
    this.say("no", h("p", { class: "error", role: "alert" }, text), more);
  }

  granted(lease) {
    this.close();
    this.page.say(lease.planned_end ? t("changedUntil", { id: lease.id, end: short(lease.planned_end) }) : t("changedLease", { id: lease.id }));
    this.whenChanged();
  }

  /** Say why not, and have what would do one click away. */
  refused(outcome, wanted) {
    this.wrong(outcome.error?.message || t("changeRefused", { reason: inViewersZone(outcome.reason) }), this.offer(outcome, wanted));
  }

  offer({ offer, lease }, wanted) {
    if (!offer) return null;
    const take = (text, changes) => h("p", {}, text, " ", h("strong", { title: full(offer) }, short(offer)), " ",
      h("button", { type: "button", class: "button small", onclick: () => this.ask(changes) }, t("takeOffer")));
    if (lease.deadline && lease.state !== "Active") return take(t("nearestDeadline"), { ...wanted, deadline: offer });
    if (lease.state !== "Active") return take(t("nearest"), { ...wanted, start: offer });
    const longer = Math.round((Date.parse(offer) - Date.parse(lease.planned_end)) / 1000);
    const { duration, extend, ...others } = wanted;
    return longer > 0 ? take(t("latestEnd"), { ...others, extend: longer }) : null;
  }

  /** Somebody else was quicker: what is there now is shown before it is sent again. */
  async overtaken(wanted) {
    await this.whenChanged();
    if (this.node.hidden) return;
    // What would come of it would take the place of the question.
    this.trial.end();
    this.wrong(t("overtaken"), h("button", { type: "button", class: "button small", onclick: () => this.ask(wanted) }, t("changeAllTheSame")));
  }
}
