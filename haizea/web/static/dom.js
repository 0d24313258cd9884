// Elements without markup: everything that is shown is text, whatever is in it.

/** Make an element. Names that begin with "on" are listeners, "data" and "class" as one writes them. */
export function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "value") node.value = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  add(node, children);
  return node;
}

/** Put children into an element; lists of them too, and nothing for null. */
export function add(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) node.append(child);
  }
  return node;
}

/** Have these children in the place of those that there are. */
export function fill(node, ...children) {
  node.replaceChildren();
  return add(node, children);
}

/** An SVG icon out of one path on a grid of 16. */
export function icon(path) {
  const made = drawing(16, 16, [["line", path]]);
  made.setAttribute("class", "icon");
  made.removeAttribute("preserveAspectRatio");
  return made;
}

/** An SVG of paths, [class, path], that fills whatever room it has. */
export function drawing(width, height, paths) {
  const make = (tag, attributes) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    return node;
  };
  const made = make("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  made.append(...paths.map(([name, path]) => make("path", { class: name, d: path })));
  return made;
}

/** A label over its control, with a hint below where there is one. */
export function field(label, control, hint = "") {
  const id = control.id || `field-${(fieldCount += 1)}`;
  control.id = id;
  const parts = [h("label", { for: id }, label), control];
  if (hint) {
    control.setAttribute("aria-describedby", `${id}-hint`);
    parts.push(h("p", { class: "hint", id: `${id}-hint` }, hint));
  }
  return h("div", { class: "field" }, parts);
}
let fieldCount = 0;

/** A choice of one of several values: [value, label]. */
export function choice(attributes, entries, chosen) {
  const control = h("select", attributes, entries.map(([value, label]) => h("option", { value }, label)));
  control.value = chosen;
  return control;
}

/** Call `act` at most every so many milliseconds, the last time for certain. */
export function atMostEvery(pause, act) {
  let due = null;
  let last = -Infinity;
  const run = () => {
    due = null;
    last = performance.now();
    act();
  };
  const call = () => {
    if (due === null) due = setTimeout(run, Math.max(0, last + pause - performance.now()));
  };
  call.stop = () => {
    clearTimeout(due);
    due = null;
  };
  return call;
}
