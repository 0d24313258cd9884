// What the viewer of descriptions leaves out for keyboards and screen readers.
import { t } from "./texts.js";

/** Parts of the viewer made otherwise, as a plugin of it. */
export const betterParts = (system) => {
  const make = system.React.createElement;
  return {
    components: {
      // Otherwise a link inside the button that unfolds a call; the button changes the address, too.
      DeepLink: ({ text }) => make("span", { className: "nostyle" }, text),
    },
    wrapComponents: {
      operations: (Operations) => (props) =>
        make("div", {}, make("h2", { className: "unseen" }, t("docsCalls")), make(Operations, props)),
    },
  };
};

/** What is mended, by the selector of the elements that it is about. */
const MENDS = [
  // A table that says it is a region is not read as a table.
  ["table[role=region]", (table) => table.removeAttribute("role")],
  // What scrolls is scrolled with keys.
  [".microlight", (text) => text.setAttribute("tabindex", "0")],
  [".modal-ux-header h3", (heading) => heading.setAttribute("aria-level", "2")],
  [".modal-ux-content h4", (heading) => heading.setAttribute("aria-level", "3")],
  [".close-modal", (button) => name(button, t("close"))],
  [".copy-to-clipboard button", (button) => name(button, t("copy"))],
  ["[data-param-name] :is(select, textarea, input)", (control) => name(control, control.closest("[data-param-name]").dataset.paramName)],
  [".opblock-section-request-body :is(select, textarea)", (control) => name(control, t("docsBody"))],
];

function name(element, words) {
  if (!element.labels?.length && !element.ariaLabel) element.ariaLabel = words;
}

function mend(part) {
  for (const [selector, act] of MENDS) {
    if (part.matches(selector)) act(part);
    part.querySelectorAll(selector).forEach(act);
  }
}

/** Mend whatever the viewer puts into a box, at once. */
export function mendViewer(box) {
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes) {
      for (const node of addedNodes) if (node instanceof Element) mend(node);
    }
  }).observe(box, { childList: true, subtree: true });
}
