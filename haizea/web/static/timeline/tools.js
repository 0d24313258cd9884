// What stands above and below the timeline.
import { choice, h } from "../dom.js";
import { t } from "../texts.js";
import { DAY, HOUR, forControl } from "../times.js";

const LENGTHS = [["6h", 6 * HOUR], ["1d", DAY], ["3d", 3 * DAY], ["1w", 7 * DAY], ["1m", 30 * DAY]];

export const WHICH_HOSTS = ["all", "used", "free", "trouble"];
export const ORDERS = ["name", "group", "busy", "free"];

/** Controls of a view, which show how it is: `view` is the timeline's, `node` where they are. */
export class Tools {
  constructor(view) {
    this.view = view;
    this.switches = [];
    this.jump = this.makeJump();
    // What a list of leases has no use for.
    this.ofHosts = [this.options("hosts", WHICH_HOSTS), this.options("order", ORDERS)];
    this.node = this.make();
    this.follow();
  }

  /** Show what is seen now, however it came to that. */
  follow() {
    const { wanted, window } = this.view;
    for (const [button, isOn] of this.switches) button.setAttribute("aria-pressed", String(isOn()));
    for (const control of this.ofHosts) control.hidden = wanted.by !== "host";
    if (document.activeElement !== this.jump) this.jump.value = forControl(Math.max(window.start, 0));
  }

  make() {
    const { view } = this;
    const { wanted, window } = view;
    const step = (by) => () => window.pan(by * window.length * 0.5);
    const extra = h("div", { class: "extra", id: "timeline-extra" },
      this.toggle(t("ahead"), () => window.ahead, () => {
        window.ahead = !window.ahead;
        window.set(window.start, window.end);
      }),
      view.mayAsk ? this.toggle(t("askByDrag"), () => view.choosing, () => {
        view.choosing = !view.choosing;
        view.canvas.classList.toggle("choosing", view.choosing);
      }) : null,
      h("span", { class: "spring" }),
      h("input", {
        type: "search", "aria-label": t("search"), placeholder: t("searchTimeline"), value: wanted.search,
        oninput: (event) => view.want({ search: event.target.value }),
      }),
      this.ofHosts,
      this.options("rows", ["normal", "small"]),
      this.toggle(t("asTable"), () => wanted.table, () => view.want({ table: !wanted.table })));
    return h("div", { class: "tools", role: "toolbar", "aria-label": t("navTimeline") },
      h("div", { class: "segments" }, [["host", "byHost"], ["lease", "byLease"]].map(([by, text]) =>
        this.switch("", t(text), () => wanted.by === by, () => view.want({ by })))),
      h("div", { class: "group" },
        h("button", { type: "button", class: "button", onclick: step(-1), "aria-label": t("earlier"), title: t("earlier") }, "‹"),
        h("button", { type: "button", class: "button", onclick: () => view.toNow() }, t("nowButton")),
        h("button", { type: "button", class: "button", onclick: step(1), "aria-label": t("later"), title: t("later") }, "›"),
        this.jump),
      h("div", { class: "group" },
        h("div", { class: "segments" }, LENGTHS.map(([name, length]) => this.switch("", t(`length_${name}`),
          () => Math.abs(window.length / length - 1) < 0.01, () => window.set(window.start, window.start + length)))),
        h("button", { type: "button", class: "button", onclick: () => window.zoom(0.6), "aria-label": t("zoomIn"), title: t("zoomIn") }, "+"),
        h("button", { type: "button", class: "button", onclick: () => window.zoom(1 / 0.6), "aria-label": t("zoomOut"), title: t("zoomOut") }, "−")),
      unfolding(extra), extra);
  }

  makeJump() {
    const { window } = this.view;
    return h("input", {
      type: "datetime-local", "aria-label": t("jump"), title: t("jump"),
      onchange: (event) => {
        const moment = new Date(event.target.value).getTime();
        if (moment) window.set(moment, moment + window.length);
      },
    });
  }

  options(name, keys) {
    const { view } = this;
    return choice({
      "aria-label": t(`tools_${name}`), title: t(`tools_${name}`), onchange: (event) => view.want({ [name]: event.target.value }),
    }, keys.map((key) => [key, t(`${name}_${key}`)]), view.wanted[name]);
  }

  /** A button that is pressed as long as something is so. */
  switch(kind, text, isOn, act) {
    const press = () => {
      act();
      this.follow();
    };
    const button = h("button", { type: "button", class: kind || null, onclick: press }, text);
    this.switches.push([button, isOn]);
    return button;
  }

  toggle(text, isOn, act) {
    return this.switch("button toggle", text, isOn, act);
  }
}

/** On a phone the picture goes first: what this shows is there when it is asked for. */
function unfolding(extra) {
  const unfold = h("button", {
    type: "button", class: "button unfold", "aria-expanded": "false", "aria-controls": extra.id,
    onclick: () => unfold.setAttribute("aria-expanded", String(extra.classList.toggle("unfolded"))),
  }, t("moreTools"));
  return unfold;
}

/** What the looks of bars mean. */
export function legend() {
  const kinds = ["run", "plan", "maybe", "expected", "sleep", "prepare", "work", "past", "down", "maintenance"];
  return h("ul", { class: "legend", "aria-label": t("legend") },
    kinds.map((kind) => h("li", {}, h("span", { class: `key key-${kind}`, "aria-hidden": "true" }), t(`legend_${kind}`))));
}
