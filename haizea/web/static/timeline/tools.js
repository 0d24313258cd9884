// What stands above and below the timeline.
import { choice, h } from "../dom.js";
import { t } from "../texts.js";
import { DAY, HOUR, forControl } from "../times.js";

const LENGTHS = [["6h", 6 * HOUR], ["1d", DAY], ["3d", 3 * DAY], ["1w", 7 * DAY], ["1m", 30 * DAY]];

function pressed(text, isOn, act, title) {
  return h("button", {
    type: "button", "aria-pressed": String(isOn), title,
    onclick: (event) => {
      for (const other of event.currentTarget.parentElement.children) other.setAttribute("aria-pressed", "false");
      event.currentTarget.setAttribute("aria-pressed", "true");
      act();
    },
  }, text);
}

function toggle(text, isOn, act) {
  const button = h("button", {
    type: "button", class: "button toggle", "aria-pressed": String(isOn),
    onclick: () => {
      const next = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(next));
      act(next);
    },
  }, text);
  return button;
}

/** Controls of a view; `view` is the timeline's. */
export function toolbar(view) {
  const { wanted, window } = view;
  const jump = h("input", {
    type: "datetime-local", "aria-label": t("jump"), title: t("jump"), value: forControl(Math.max(window.start, 0)),
    onchange: (event) => {
      const moment = new Date(event.target.value).getTime();
      if (moment) window.set(moment, moment + window.length);
    },
  });
  const step = (by) => () => window.pan(by * window.length * 0.5);
  const options = (name, keys) => choice({
    "aria-label": t(`tools_${name}`), title: t(`tools_${name}`), onchange: (event) => view.want({ [name]: event.target.value }),
  }, keys.map((key) => [key, t(`${name}_${key}`)]), wanted[name]);
  const extra = h("div", { class: "extra", id: "timeline-extra" },
    toggle(t("ahead"), window.ahead, (isOn) => {
      window.ahead = isOn;
      window.set(window.start, window.end);
    }),
    view.mayAsk ? toggle(t("askByDrag"), false, (isOn) => {
      view.choosing = isOn;
      view.canvas.classList.toggle("choosing", isOn);
    }) : null,
    h("span", { class: "spring" }),
    h("input", {
      type: "search", "aria-label": t("search"), placeholder: t("searchTimeline"), value: wanted.search,
      oninput: (event) => view.want({ search: event.target.value }),
    }),
    options("hosts", ["all", "used", "free", "trouble"]),
    options("order", ["name", "group", "busy", "free"]),
    options("rows", ["normal", "small"]),
    toggle(t("asTable"), wanted.table, (table) => view.want({ table })));
  // On a phone the picture goes first: these are there when they are asked for.
  const unfold = h("button", {
    type: "button", class: "button unfold", "aria-expanded": "false", "aria-controls": extra.id,
    onclick: () => unfold.setAttribute("aria-expanded", String(extra.classList.toggle("unfolded"))),
  }, t("moreTools"));
  return h("div", { class: "tools", role: "toolbar", "aria-label": t("navTimeline") },
    h("div", { class: "segments" }, [["host", "byHost"], ["lease", "byLease"]].map(([by, text]) =>
      pressed(t(text), wanted.by === by, () => view.want({ by })))),
    h("div", { class: "group" },
      h("button", { type: "button", class: "button", onclick: step(-1), "aria-label": t("earlier"), title: t("earlier") }, "‹"),
      h("button", { type: "button", class: "button", onclick: () => view.toNow() }, t("nowButton")),
      h("button", { type: "button", class: "button", onclick: step(1), "aria-label": t("later"), title: t("later") }, "›"),
      jump),
    h("div", { class: "group" },
      h("div", { class: "segments" }, LENGTHS.map(([name, length]) =>
        pressed(t(`length_${name}`), Math.abs(window.length - length) < HOUR, () => window.set(window.start, window.start + length)))),
      h("button", { type: "button", class: "button", onclick: () => window.zoom(0.6), "aria-label": t("zoomIn"), title: t("zoomIn") }, "+"),
      h("button", { type: "button", class: "button", onclick: () => window.zoom(1 / 0.6), "aria-label": t("zoomOut"), title: t("zoomOut") }, "−")),
    unfold, extra);
}

/** What the looks of bars mean. */
export function legend() {
  const kinds = ["run", "plan", "maybe", "expected", "sleep", "prepare", "work", "past", "down", "maintenance"];
  return h("ul", { class: "legend", "aria-label": t("legend") },
    kinds.map((kind) => h("li", {}, h("span", { class: `key key-${kind}`, "aria-hidden": "true" }), t(`legend_${kind}`))));
}

