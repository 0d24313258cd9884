// Addresses of views: #/name/part?key=value. Every view has its own, which can be shared.

/** The view that the address names: {name, part, params}. */
export function here() {
  const [path, search = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, part = ""] = path.split("/").map(decoded);
  return { name: name || "timeline", part, params: new URLSearchParams(search) };
}

/** What a part of an address stands for; itself where somebody spoilt it. */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** What a link says of a choice, if there is such a one; else what is usual. */
export const oneOf = (said, choices, usual) => (choices.includes(said) ? said : usual);

/** The address of a view; params that are null or empty are left out. */
export function address(name, part = "", params = {}) {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(params)) {
    if (value !== null && value !== undefined && value !== "" && value !== false) search.set(key, value);
  }
  const path = part === "" ? name : `${name}/${encodeURIComponent(part)}`;
  const text = search.toString();
  return `#/${path}${text ? `?${text}` : ""}`;
}

export function go(name, part, params) {
  location.hash = address(name, part, params);
}

/** The view that is filled, if one is: only then is the depth of the page the one in its address. */
let filled = null;

/** Say which view is filled from now on; null: none is, until the next one is there. */
export function setFilled(place) {
  filled = place;
}

/**
 * Change the address without showing another view: a filter, a zoom. Nothing happens once the address is
 * another view's, which is shown only when the browser has told of it. How far down one is goes with it; of a
 * view that is not filled yet, how far down one is to be.
 */
export function note(name, part, params) {
  const at = here();
  if (at.name !== name || at.part !== part) return;
  const down = filled ? Math.round(window.scrollY) || "" : at.params.get("down");
  history.replaceState(null, "", address(name, part, { ...params, down }));
}

/** Keep in the address how far down one is in the view that is filled, and all else that it says. */
export function noteDepth() {
  if (filled) note(filled.name, filled.part, Object.fromEntries(here().params));
}
