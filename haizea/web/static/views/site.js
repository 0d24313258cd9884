// The site: health, tokens, and what happens as it happens.
import { Refusal, call, get } from "../api.js";
import { confirm } from "../dialog.js";
import { atMostEvery, choice, field, fill, h } from "../dom.js";
import { follow } from "../live.js";
import { address } from "../router.js";
import { t } from "../texts.js";
import { exact, full, inViewersZone, iso, relative, short } from "../times.js";
import { amountOf } from "../words.js";
import { Hosts } from "./hosts.js";
import { Maintenance } from "./maintenance.js";

const REFRESH_MILLISECONDS = 3000;
const MOST_EVENTS = 200;
const TABS = ["hosts", "maintenance", "events", "tokens"];

export async function showSite(box, page) {
  page.title(t("navSite"));
  const site = new Site(box, page);
  await site.begin();
  return () => site.end();
}

class Site {
  constructor(box, page) {
    this.box = box;
    this.page = page;
    this.events = [];
    this.health = h("section", { class: "card health", "aria-label": t("health") });
    this.content = h("div");
    this.refresh = atMostEvery(REFRESH_MILLISECONDS, () => this.load().catch(() => {}));
  }

  async begin() {
    const tabs = TABS.filter((name) => name !== "tokens" || this.page.operates);
    this.tab = tabs.includes(this.page.part) ? this.page.part : "hosts";
    fill(this.box, h("h1", { class: "hidden" }, t("navSite")), this.health,
      h("nav", { class: "segments tabs", "aria-label": t("navSite") }, tabs.map((name) =>
        h("a", { href: address("site", name), "aria-current": name === this.tab ? "page" : null }, t(`tab_${name}`)))),
      this.content);
    if (this.tab === "hosts") this.hosts = new Hosts(this.content, this.page);
    if (this.tab === "maintenance") this.maintenance = new Maintenance(this.content, this.page);
    await this.load();
    if (this.tab === "events") await this.loadEvents();
    this.unfollow = follow((events) => this.happened(events));
    this.ticking = setInterval(() => this.refresh(), 5 * REFRESH_MILLISECONDS);
  }

  end() {
    this.unfollow?.();
    this.refresh.stop();
    clearInterval(this.ticking);
    this.maintenance?.end();
  }

  async load() {
    const { signal } = this.page;
    const [status, { hosts }] = await Promise.all([get("v1/status", { signal }), get("v1/hosts", { signal })]);
    this.drawHealth(status, hosts);
    await this.hosts?.show(hosts);
    await this.maintenance?.load();
    if (this.tab === "tokens") this.drawTokens((await get("v1/tokens", { signal })).tokens);
  }

  happened(events) {
    this.refresh();
    this.events = [...events.reverse(), ...this.events].slice(0, MOST_EVENTS);
    if (this.tab === "events") this.drawEvents();
  }

  drawHealth(status, hosts) {
    const types = Object.keys(hosts[0]?.resources || {});
    const up = hosts.filter((host) => host.status === "up").length;
    const use = types.map((name) => {
      const sum = (what) => hosts.reduce((total, host) => total + (host[what][name] || 0), 0);
      return figure(name, t("share", { share: Math.round((100 * sum("used")) / Math.max(1, sum("resources"))) }), `${amountOf(name, sum("used"))} / ${amountOf(name, sum("resources"))}`);
    });
    fill(this.health,
      figure(t("health"), t(status.healthy && !status.problem ? "well" : "unwell"), status.problem || status.backend, status.problem ? "bad" : "good"),
      figure(t("hosts"), String(up), t("ofHosts", { count: hosts.length })),
      use,
      figure(t("running"), String(status.leases.Active || 0), t("leasesInAll", { count: Object.values(status.leases).reduce((sum, count) => sum + count, 0) })),
      figure(t("queue"), String(status.queue_length), t("waiting")),
      figure(t("since"), short(status.started), `${status.version} · ${status.store}`));
  }

  // --- events ----------------------------------------------------------------------------------

  async loadEvents() {
    const last = await lastEvents(this.page.signal);
    this.events = [...last.reverse(), ...this.events].slice(0, MOST_EVENTS);
    this.drawEvents();
  }

  drawEvents() {
    const entry = (event) => h("li", {},
      h("time", { datetime: event.time, title: full(event.time) }, exact(event.time)),
      h("span", { class: "mark" }, t(`event_${event.kind}`)),
      h("span", {}, event.lease ? h("a", { href: address("leases", event.lease) }, inViewersZone(event.text)) : inViewersZone(event.text)));
    fill(this.content, h("section", { class: "card" },
      this.events.length ? h("ol", { class: "story", "aria-label": t("tab_events") }, this.events.map(entry)) : h("p", { class: "hint" }, t("noEvents"))));
  }

  // --- tokens ----------------------------------------------------------------------------------

  drawTokens(tokens) {
    if (this.content.querySelector(".secret, form :focus")) return;
    const row = (token) => h("tr", { class: token.revoked ? "when-past" : "" },
      h("th", { scope: "row" }, token.name), h("td", {}, t(`role_${token.role}`)), h("td", {}, token.owner),
      h("td", {}, short(token.created)), h("td", {}, token.last_used ? relative(token.last_used) : "–"),
      h("td", {}, token.expires ? short(token.expires) : "–"),
      h("td", {}, token.revoked ? t("revoked") : h("button", { type: "button", class: "button small danger", onclick: () => this.revoke(token) }, t("revoke"))));
    const heads = ["name", "role", "owner", "made", "lastUsed", "expires", "revoke"];
    fill(this.content, this.tokenForm(), h("div", { class: "table-box", tabindex: "0", role: "region", "aria-label": t("tab_tokens") },
      h("table", { class: "list" }, h("thead", {}, h("tr", {}, heads.map((name) => h("th", { scope: "col" }, t(name))))),
        h("tbody", {}, tokens.map(row)))));
  }

  tokenForm() {
    const name = h("input", { required: true, maxlength: 64, autocomplete: "off", pattern: "[A-Za-z_@][A-Za-z0-9_.@+\\-]*" });
    const owner = h("input", { maxlength: 64, autocomplete: "off" });
    const role = choice({}, ["user", "operator", "reader"].map((one) => [one, t(`role_${one}`)]), "user");
    const expires = h("input", { type: "datetime-local" });
    const said = h("div", { role: "status" });
    const make = async (event) => {
      event.preventDefault();
      try {
        const made = await call("POST", "v1/tokens", { json: { name: name.value.trim(), role: role.value, owner: owner.value.trim() || null, expires: expires.value ? iso(new Date(expires.value).getTime()) : null } });
        fill(said, h("p", { class: "secret" }, t("secretOnce"), " ", h("code", {}, made.secret)));
      } catch (error) {
        fill(said, h("p", { class: "error" }, error instanceof Refusal ? error.message : t("awayShort")));
      }
    };
    return h("form", { class: "card token-form", onsubmit: make },
      h("div", { class: "filters" }, field(t("name"), name), field(t("role"), role), field(t("owner"), owner), field(t("expires"), expires),
        h("button", { class: "button primary" }, t("makeToken"))), said);
  }

  async revoke(token) {
    if (!(await confirm(t("revokeSure", { name: token.name }), t("revokeAbout"), t("revoke"), t("keep")))) return;
    try {
      await call("DELETE", `v1/tokens/${encodeURIComponent(token.name)}`);
      await this.load();
    } catch (error) {
      this.page.say(error.message || t("awayShort"), "bad");
    }
  }
}

function figure(name, value, more, kind = "") {
  return h("div", { class: `figure ${kind}` }, h("span", { class: "name" }, name), h("strong", {}, value), h("span", { class: "hint" }, more));
}

/** The last events that are kept, out of a stream that ends. */
async function lastEvents(signal) {
  const open = await fetch("v1/events?follow=false", { signal });
  const id = Number(/^id: (\d+)$/m.exec(await open.text())?.[1] || 0);
  const answer = await fetch(`v1/events?follow=false&after=${Math.max(0, id - 60)}`, { signal });
  return [...(await answer.text()).matchAll(/^data: (.*)$/gm)].map((match) => JSON.parse(match[1]));
}
