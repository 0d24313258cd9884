// The viewer of the interface's description, with the session that there is.
import { currentSession } from "./api.js";
import { fill, h } from "./dom.js";
import { t } from "./texts.js";

const box = document.getElementById("description");

async function show() {
  const session = await currentSession();
  if (session === null) {
    fill(box, h("p", { class: "note" },
      t("docsAbout"), " ", h("a", { href: "./" }, t("docsSignIn"))));
    return;
  }
  window.SwaggerUIBundle({
    url: "v1/openapi.json",
    domNode: box,
    deepLinking: true,
    docExpansion: "list",
    validatorUrl: null,
    requestInterceptor: (request) => {
      if (request.method && request.method !== "GET") request.headers["X-CSRF-Token"] = session.csrf;
      return request;
    },
  });
}

show();
