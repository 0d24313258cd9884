// Questions that have to be answered first.
import { h } from "./dom.js";

/** Ask whether to do something that cannot be undone; answers true or false. */
export function confirm(title, text, yes, no) {
  return new Promise((resolve) => {
    const dialog = h("dialog", { "aria-labelledby": "dialog-title", class: "dialog" },
      h("form", { method: "dialog" },
        h("h2", { id: "dialog-title" }, title),
        h("p", {}, text),
        h("div", { class: "actions" },
          h("button", { class: "button", value: "no", autofocus: true }, no),
          h("button", { class: "button danger solid", value: "yes" }, yes))));
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Show something over the page; answers how to close it. */
export function show(title, ...content) {
  const dialog = h("dialog", { "aria-labelledby": "dialog-title", class: "dialog wide" },
    h("h2", { id: "dialog-title" }, title), content);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return () => dialog.close();
}
