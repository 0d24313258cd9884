// Sets of equal nodes, as forms have them.
import { field, h } from "../dom.js";
import { t } from "../texts.js";

/** Controls for one set, {count, resources}, which they change; `changed` is called after each. */
export function nodeSet(set, index, types, changed, ...more) {
  const number = (label, value, change, attributes) => field(label, h("input", {
    type: "number", min: 0, value, oninput: (event) => {
      change(event.target.value);
      changed();
    }, ...attributes,
  }));
  const amount = (name) => {
    const scale = name === "CPU" ? 100 : name === "Memory" ? 1024 : 1;
    const words = name === "CPU" ? t("coresEach") : name === "Memory" ? t("memoryEach") : name;
    return number(words, Number((set.resources[name] / scale).toFixed(3)), (value) => {
      set.resources[name] = Math.round(Number(value) * scale);
    }, { step: "any", name: `${name}-${index}` });
  };
  return h("div", { class: "row" },
    number(t("count"), set.count, (value) => {
      set.count = Math.round(Number(value));
    }, { min: 1, name: `count-${index}` }),
    types.map(amount), more);
}
