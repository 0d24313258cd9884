// The frame around all views: where one is, who one is, and how the service is.
import { signOut } from "./api.js";
import { choice, fill, h, icon } from "./dom.js";
import { address } from "./router.js";
import { t } from "./texts.js";
import { clock, isSiteZone, now, site, viewerZone } from "./times.js";

const THEME = "haizea-theme";
const PERSON = "M8 8a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM2.5 14a5.5 4.5 0 0 1 11 0";
const MESSAGE_MILLISECONDS = 6000;

/** Have the colours that were chosen in this browser. */
export function keepTheme() {
  const theme = localStorage.getItem(THEME);
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}

export class Shell {
  constructor(body, session, whenSignedOut) {
    this.session = session;
    this.links = this.makeLinks();
    this.streamMark = h("span", { class: "stream", role: "status" });
    this.siteClock = h("span", { class: "stream-off soft" });
    this.banner = h("div", { class: "banner", role: "alert", hidden: true });
    this.messages = h("div", { class: "messages", role: "status", "aria-live": "polite" });
    this.main = h("main", { id: "main", tabindex: "-1" });
    fill(
      body,
      h("a", { class: "skip", href: "#main", onclick: (event) => this.skip(event) }, t("skip")),
      h("header", { class: "top" },
        h("a", { class: "brand", href: address("timeline") }, h("span", { class: "logo" }), t("appName")),
        h("nav", { "aria-label": t("appName") }, Object.values(this.links)),
        h("span", { class: "spring" }),
        this.siteClock,
        this.streamMark,
        this.menu(whenSignedOut)),
      this.banner,
      this.main,
      this.messages,
    );
    this.stream("off");
  }

  makeLinks() {
    const links = {};
    const link = (name, text, params) => {
      links[name] = h("a", { href: address(name, "", params) }, text);
    };
    link("timeline", t("navTimeline"));
    link("leases", t(this.session.role === "user" ? "navMine" : "navLeases"));
    if (this.session.role !== "reader") link("ask", t("navAsk"));
    link("site", t("navSite"));
    return links;
  }

  menu(whenSignedOut) {
    const theme = choice({
      id: "theme",
      onchange: (event) => {
        localStorage.setItem(THEME, event.target.value);
        keepTheme();
      },
    }, [["auto", t("themeAuto")], ["light", t("themeLight")], ["dark", t("themeDark")]],
    localStorage.getItem(THEME) || "auto");
    const zones = h("p", { class: "hint" });
    const leave = async () => {
      try {
        await signOut();
      } finally {
        whenSignedOut();
      }
    };
    const panel = h("div", { class: "panel" },
      h("p", { class: "who" }, t("signedInAs", {
        owner: this.session.owner, role: t(`role_${this.session.role}`),
      })),
      zones,
      h("div", { class: "field" }, h("label", { for: "theme" }, t("theme")), theme),
      h("a", { href: "docs" }, t("navDocs")),
      h("button", { class: "button", onclick: leave }, t("signOut")));
    const details = this.details = h("details", { class: "menu" },
      h("summary", { "aria-label": t("menu") }, icon(PERSON), h("span", {}, this.session.owner)), panel);
    details.addEventListener("toggle", () => {
      const yours = t("zoneYours", { zone: viewerZone() });
      zones.textContent = isSiteZone()
        ? yours : `${yours} ${t("zoneSite", { zone: site(), time: clock(now(), site()) })}`;
    });
    document.addEventListener("click", (event) => {
      if (!details.contains(event.target)) details.open = false;
    });
    details.addEventListener("keydown", (event) => {
      if (event.key === "Escape") details.open = false;
    });
    return details;
  }

  skip(event) {
    event.preventDefault();
    this.main.focus();
  }

  mark(place) {
    this.details.open = false;
    for (const [name, link] of Object.entries(this.links)) {
      if (name === place.name) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  }

  show(view) {
    fill(this.main, view);
    window.scrollTo(0, 0);
  }

  stream(state) {
    const isLive = state === "live";
    this.streamMark.className = `stream stream-${state}`;
    this.streamMark.title = t(isLive ? "streamLiveTitle" : "streamLostTitle");
    this.streamMark.textContent = state === "off" ? "" : t(isLive ? "streamLive" : "streamLost");
  }

  /** Show what the site's clocks do, where they differ from the viewer's. */
  tick() {
    if (isSiteZone()) return;
    const time = clock(now(), site());
    this.siteClock.textContent = t("siteClock", { time });
    this.siteClock.title = t("zoneSite", { zone: site(), time });
  }

  /** Show how the service is; null if it does not answer. */
  status(status) {
    this.tick();
    const problem = status ? status.problem : "";
    this.banner.hidden = Boolean(status && status.healthy && !problem);
    if (!this.banner.hidden) {
      this.banner.textContent = status ? t("unhealthy", { problem }) : t("away");
    }
  }

  /** Say something that goes away by itself. */
  say(text, kind = "good") {
    const message = h("div", { class: `message message-${kind}` }, text);
    this.messages.append(message);
    setTimeout(() => message.remove(), MESSAGE_MILLISECONDS);
  }
}
