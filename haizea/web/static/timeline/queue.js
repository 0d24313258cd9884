// How much of the queue is shown, and the way to the rest.
import { add, fill, h } from "../dom.js";
import { t } from "../texts.js";

/** So many leases of the queue are asked for at once. */
export const PART = 200;
/** So many rows stand above hosts or leases until somebody wants to see them all. */
export const MOST_ABOVE = 12;

/** The part of the queue that a link names: the place it begins after, null for its head in short. */
export function partOf(text) {
  return /^\d{1,9}$/.test(text ?? "") ? Number(text) : null;
}

/** A line about the queue: `view` is the timeline's, whose `wanted.queue` it changes. */
export class QueueBar {
  constructor(view) {
    this.view = view;
    this.node = h("div", { class: "queue-bar", role: "group", "aria-label": t("waiting"), hidden: true });
    this.said = h("span", { role: "status" });
  }

  /** What of these rows is drawn. */
  shown(rows) {
    return this.view.wanted.queue === null ? rows.slice(0, MOST_ABOVE) : rows;
  }

  /** Say what is not shown of the queue, of which these are the rows that there could be. */
  follow(data, rows) {
    const { page, wanted } = this.view;
    const { after, length, next } = data.queue;
    const cut = wanted.table ? 0 : rows.length - this.shown(rows).length;
    // A user is not told how many of the others are others'.
    const left = page.seesAll ? length - data.waiting.length + cut : null;
    this.node.hidden = wanted.queue === null && !cut && next === null;
    if (this.node.hidden) return;
    const places = data.waiting.length
      ? t("queuePlaces", { first: data.waiting[0].place, last: data.waiting.at(-1).place, length })
      : t("queueEmpty", { length });
    const rest = left === null ? (next === null && !cut ? "" : t("queueMore")) : t("queueLeft", { count: left });
    this.said.textContent = [wanted.queue === null && !wanted.table ? "" : places, rest].filter(Boolean).join(" · ");
    const focused = this.node.contains(document.activeElement) ? document.activeElement.textContent : null;
    fill(this.node, this.said);
    if (wanted.queue === null && cut) add(this.node, [this.button(t("queueAll"), 0)]);
    else add(this.node, [
      this.button(t("queueBefore", { count: PART }), Math.max(0, after - PART), after === 0),
      this.button(t("queueNext", { count: PART }), next, next === null),
      wanted.table ? null : this.button(t("queueShort"), null),
    ]);
    if (focused) [...this.node.querySelectorAll("button")].find((one) => one.textContent === focused)?.focus();
  }

  button(words, after, disabled = false) {
    return h("button", { type: "button", class: "button small", disabled, onclick: () => this.view.wantQueue(after) }, words);
  }
}
