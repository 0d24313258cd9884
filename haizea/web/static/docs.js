// The viewer of the interface's description, with the session that there is.
import { currentSession } from "./api.js";
import { mendViewer, betterParts } from "./docs_mend.js";
import { fill, h } from "./dom.js";
import { keepTheme } from "./shell.js";
import { t } from "./texts.js";

const box = document.getElementById("description");
const dark = matchMedia("(prefers-color-scheme: dark)");

/** Have the viewer's own dark colours where the page is dark. */
function keepColours() {
  keepTheme();
  const { theme } = document.documentElement.dataset;
  document.documentElement.classList.toggle("dark-mode", theme ? theme === "dark" : dark.matches);
}

async function show() {
  const session = await currentSession();
  if (session === null) {
    fill(box, h("div", { class: "note" },
      h("h1", {}, t("docsTitle")), h("p", {}, t("docsAbout"), " ", h("a", { href: "./" }, t("docsSignIn")))));
    return;
  }
  mendViewer(box);
  window.SwaggerUIBundle({
    url: "v1/openapi.json",
    domNode: box,
    deepLinking: true,
    docExpansion: "list",
    plugins: [betterParts],
    syntaxHighlight: false,
    validatorUrl: null,
    requestInterceptor: (request) => {
      if (request.method && request.method !== "GET") request.headers["X-CSRF-Token"] = session.csrf;
      return request;
    },
  });
}

keepColours();
dark.addEventListener("change", keepColours);
addEventListener("storage", keepColours);
show();
