// Asking for machines: a form that says, while one fills it in, what would come of it.
import { Refusal, call, get } from "../api.js";
import { atMostEvery, choice, field, fill, h } from "../dom.js";
import { go, note } from "../router.js";
import { asCommand, asCurl, asYaml } from "../spellings.js";
import { t } from "../texts.js";
import { DAY, HOUR, atSite, duration, forControl, full, inViewersZone, iso, now, short, spelled } from "../times.js";
import { Trial } from "../trial.js";
import { fits, hostsText, makesRoom, timeMark } from "../words.js";
import { nodeSet } from "./nodes.js";

const REFRESH_MILLISECONDS = 15_000;
const KINDS = [["ar", "askAt"], ["deadline", "askBy"], ["best-effort", "askSoon"], ["immediate", "askNow"]];
const LENGTHS = ["1h", "4h", "1d", "1w"];

export async function showAsk(box, page) {
  page.title(t("navAsk"));
  if (!page.mayChange) {
    fill(box, h("p", { class: "empty" }, t("readerAsks")));
    return null;
  }
  const { hosts } = await get("v1/hosts", { signal: page.signal });
  const types = Object.keys(hosts[0]?.resources || { CPU: 0, Memory: 0 });
  const like = page.params.get("like");
  const lease = like ? await get(`v1/leases/${Number(like)}`, { signal: page.signal }).catch(() => null) : null;
  const form = new AskForm(box, page, types, hosts, lease);
  form.draw();
  const refreshing = setInterval(() => form.trial.now(), REFRESH_MILLISECONDS);
  return () => {
    clearInterval(refreshing);
    form.remember.stop();
    form.trial.end();
  };
}

/** What is asked for at first: what the address says, or a lease like another one. */
function beginning(params, types, hosts, lease) {
  const whole = hosts[0]?.resources || {};
  const dragged = params.get("start");
  const some = (name) => (dragged ? whole[name] : { CPU: Math.min(100, whole.CPU ?? 100), Memory: Math.min(1024, whole.Memory ?? 1024) }[name] ?? 0);
  const asked = {
    kind: dragged ? "ar" : "best-effort",
    after: NaN,
    deadline: Math.ceil((now() + DAY) / HOUR) * HOUR,
    start: dragged ? Date.parse(dragged) : Math.ceil((now() + HOUR / 2) / HOUR) * HOUR,
    duration: params.get("seconds") ? spelled(Number(params.get("seconds"))) : "1h",
    sets: [{ count: Number(params.get("count")) || 1, resources: Object.fromEntries(types.map((name) => [name, some(name) || 0])) }],
    label: "", preemptible: "usual", fixed: false, image: "", imageSize: "",
  };
  const request = read(params.get("request"));
  if (request) return asBefore(request, asked, types);
  if (!lease) return asked;
  return {
    ...asked,
    kind: lease.kind,
    after: Date.parse(lease.after) > now() ? Date.parse(lease.after) : NaN,
    deadline: Date.parse(lease.deadline) > now() ? Date.parse(lease.deadline) : asked.deadline,
    duration: lease.duration === null ? "unlimited" : spelled(lease.duration),
    sets: lease.nodes.map((set) => ({
      count: set.count, resources: Object.fromEntries(types.map((name) => [name, set.resources[name] ?? 0])),
    })),
    label: lease.label,
    preemptible: lease.preemptible === (lease.kind === "best-effort") ? "usual" : lease.preemptible ? "yes" : "no",
    fixed: lease.fixed_hosts,
    image: lease.image?.name || "",
    imageSize: lease.image ? String(lease.image.size_mb) : "",
  };
}

/** A request that the address holds, null for none that can be read. */
function read(text) {
  try {
    const request = JSON.parse(text);
    return Array.isArray(request?.nodes) && request.nodes.length ? request : null;
  } catch {
    return null;
  }
}

/** The form as it was when it came to this request. */
function asBefore(request, asked, types) {
  const moment = (name) => (name in request ? Date.parse(request[name]) : asked[name]);
  return {
    ...asked,
    kind: KINDS.some(([kind]) => kind === request.kind) ? request.kind : asked.kind,
    start: moment("start"), deadline: moment("deadline"), after: moment("after"),
    duration: String(request.duration ?? ""),
    sets: request.nodes.map((set) => ({
      count: Number(set.count) || 0, resources: Object.fromEntries(types.map((name) => [name, Number(set.resources?.[name]) || 0])),
    })),
    label: String(request.label ?? ""),
    preemptible: "preemptible" in request ? (request.preemptible ? "yes" : "no") : "usual",
    fixed: request.hosts === "fixed",
    image: String(request.image?.name ?? ""),
    imageSize: request.image ? String(request.image.size_mb) : "",
  };
}

class AskForm {
  constructor(box, page, types, hosts, lease) {
    this.box = box;
    this.page = page;
    this.types = types;
    this.hosts = hosts;
    this.asked = beginning(page.params, types, hosts, lease);
    this.answer = h("div", { class: "answer card", role: "status", "aria-live": "polite" });
    this.said = h("p", { class: "error", role: "alert" });
    this.ways = h("section", { class: "card" });
    this.way = "command";
    this.trial = new Trial(this.answer, {
      send: (signal) => call("POST", "v1/leases/trial", { json: this.body(), signal }),
      show: (decision) => this.show(decision),
      wrong: (text) => this.say("unclear", text),
    });
    this.key = newKey();
    this.remember = atMostEvery(300, () => note("ask", "", { request: JSON.stringify(this.body()) }));
  }

  draw() {
    const { asked } = this;
    const kinds = h("div", { class: "segments", role: "group", "aria-label": t("kind") }, KINDS.map(([kind, text]) =>
      h("button", { type: "button", "aria-pressed": String(asked.kind === kind), onclick: () => this.set({ kind }, true) }, t(text))));
    const moment = (name, label, hint, required) => {
      const there = h("p", { class: "hint" }, atSite(asked[name]));
      return h("div", {}, field(label, h("input", {
        type: "datetime-local", name, required, value: Number.isNaN(asked[name]) ? "" : forControl(asked[name]),
        oninput: (event) => {
          this.set({ [name]: new Date(event.target.value).getTime() });
          there.textContent = atSite(asked[name]);
        },
      }), hint), there);
    };
    const times = {
      ar: () => moment("start", t("start"), "", true),
      deadline: () => [moment("deadline", t("deadline"), t("deadlineHint"), true), moment("after", t("notBefore"), t("startHint"), false)],
    };
    const length = h("input", {
      name: "duration", value: asked.duration, required: true, size: 10, autocomplete: "off",
      oninput: (event) => this.set({ duration: event.target.value }),
    });
    const lengths = h("div", { class: "chips" }, [...LENGTHS, "unlimited"].map((text) => h("button", {
      type: "button", class: "button small", onclick: () => {
        length.value = text;
        this.set({ duration: text });
      },
    }, text === "unlimited" ? t("unlimited") : text)));
    const form = h("form", {
      class: "ask card", novalidate: true,
      onsubmit: (event) => {
        event.preventDefault();
        this.submit();
      },
    },
    kinds,
    h("div", { class: "row" }, times[asked.kind]?.(), h("div", {}, field(t("length"), length, t("lengthHint")), lengths)),
    h("fieldset", {}, h("legend", {}, t("nodes")), asked.sets.map((set, index) => this.nodeSet(set, index)),
      h("button", { type: "button", class: "button small", onclick: () => this.set({ sets: [...asked.sets, structuredClone(asked.sets.at(-1))] }, true) }, t("anotherSet"))),
    field(t("label"), h("input", {
      name: "label", maxlength: 200, value: asked.label, oninput: (event) => this.set({ label: event.target.value }),
    }), t("labelHint")),
    this.more(),
    this.said,
    h("div", { class: "actions" }, h("button", { class: "button primary" }, t("askFor"))));
    fill(this.box, h("h1", {}, t("askTitle")), h("div", { class: "columns ask-columns" }, form, h("div", { class: "beside" }, this.answer, this.ways)));
    this.changed();
  }

  nodeSet(set, index) {
    const { sets } = this.asked;
    const remove = () => this.set({ sets: sets.filter((one) => one !== set) }, true);
    return nodeSet(set, index, this.types, () => this.set({}),
      sets.length > 1 ? h("button", { type: "button", class: "button small", onclick: remove }, t("remove")) : null);
  }

  more() {
    const { asked } = this;
    return h("details", { class: "more", open: Boolean(asked.image) || asked.preemptible !== "usual" || asked.fixed },
      h("summary", {}, t("moreTerms")),
      h("div", { class: "row" },
        field(t("preemptible"), choice({ onchange: (event) => this.set({ preemptible: event.target.value }) },
          [["usual", t("asUsual")], ["yes", t("yes")], ["no", t("no")]], asked.preemptible)),
        field(t("hosts"), choice({ onchange: (event) => this.set({ fixed: event.target.value === "fixed" }) },
          [["any", t("hostsAny")], ["fixed", t("hostsFixed")]], asked.fixed ? "fixed" : "any"))),
      h("div", { class: "row" },
        field(t("image"), h("input", { value: asked.image, maxlength: 200, oninput: (event) => this.set({ image: event.target.value }) })),
        field(t("imageSize"), h("input", { type: "number", min: 0, value: asked.imageSize, oninput: (event) => this.set({ imageSize: event.target.value }) }))));
  }

  set(changes, again = false) {
    Object.assign(this.asked, changes);
    this.remember();
    if (again) this.draw();
    else this.changed();
  }

  changed() {
    this.key = newKey();
    this.said.textContent = "";
    this.drawWays();
    this.trial.soon();
  }

  /** The request as the interface takes it. */
  body() {
    const { asked } = this;
    const plain = /^\s*\d+\s*$/.test(asked.duration);
    const body = {
      kind: asked.kind,
      duration: plain ? Number(asked.duration) : asked.duration.trim(),
      nodes: asked.sets.map((set) => ({
        count: set.count, resources: Object.fromEntries(Object.entries(set.resources).filter(([, amount]) => amount)),
      })),
    };
    if (asked.kind === "ar") body.start = Number.isNaN(asked.start) ? "" : iso(asked.start);
    if (asked.kind === "deadline") {
      body.deadline = Number.isNaN(asked.deadline) ? "" : iso(asked.deadline);
      if (!Number.isNaN(asked.after)) body.after = iso(asked.after);
    }
    if (asked.preemptible !== "usual") body.preemptible = asked.preemptible === "yes";
    if (asked.fixed) body.hosts = "fixed";
    if (asked.image.trim()) body.image = { name: asked.image.trim(), size_mb: Math.round(Number(asked.imageSize)) || 0 };
    if (asked.label.trim()) body.label = asked.label.trim();
    return body;
  }

  // --- the live answer -----------------------------------------------------------------------

  say(kind, title, ...more) {
    this.answer.className = `answer card answer-${kind}`;
    fill(this.answer, h("p", { class: "verdict" }, title), more);
  }

  show(decision) {
    const { lease, hosts } = decision;
    if (decision.outcome === "rejected") {
      this.say("no", t("doesNotFit"), h("p", {}, inViewersZone(lease.reason)), decision.offer ? this.offer(decision.offer) : null);
    } else if (decision.outcome === "accepted" || lease.planned_start) {
      this.say("yes", fits(lease), makesRoom(lease),
        hosts.length ? h("p", { class: "hint" }, t("onHosts", { hosts: hostsText(hosts) })) : null);
    } else {
      this.say("waits", decision.expected ? [t("waits"), " ", timeMark(decision.expected)] : t("waitsUnknown"),
        h("p", { class: "hint" }, [t("waitsPlace", { place: decision.place }), inViewersZone(lease.reason)].filter(Boolean).join(": ")));
    }
  }

  /** The nearest that would do: another deadline of what has one, a start of all else. */
  offer(moment) {
    const by = this.asked.kind === "deadline";
    const changes = by ? { deadline: Date.parse(moment) } : { kind: "ar", start: Date.parse(moment) };
    return h("p", {}, t(by ? "nearestDeadline" : "nearest"), " ", h("strong", { title: full(moment) }, short(moment)), " ",
      h("button", { type: "button", class: "button small", onclick: () => this.set(changes, true) }, t("takeOffer")));
  }

  async submit() {
    if (this.sending) return;
    this.sending = true;
    this.said.textContent = "";
    try {
      const decision = await call("POST", "v1/leases", {
        json: this.body(), headers: { "Idempotency-Key": this.key }, also: [409],
      });
      if (decision.outcome === "rejected") {
        this.show(decision);
        this.said.textContent = t("rejected", { reason: inViewersZone(decision.lease.reason) });
        this.key = newKey();
      } else {
        this.remember.stop();
        this.page.say(t(decision.outcome === "accepted" ? "accepted" : "queued", { id: decision.lease.id, length: duration(decision.lease.duration) }));
        go("leases", decision.lease.id);
      }
    } catch (error) {
      this.said.textContent = error instanceof Refusal ? error.message : t("sendAgain");
    } finally {
      this.sending = false;
    }
  }

  // --- the same in other words -----------------------------------------------------------------

  drawWays() {
    const ways = { command: asCommand, yaml: asYaml, curl: asCurl };
    const text = ways[this.way](this.body());
    const copy = async (event) => {
      const button = event.currentTarget;
      await navigator.clipboard?.writeText(text);
      button.textContent = t("copied");
    };
    fill(this.ways, h("div", { class: "title-row" }, h("h2", {}, t("sameAs")), h("span", { class: "spring" }),
      h("div", { class: "segments" }, Object.keys(ways).map((way) => h("button", {
        type: "button", "aria-pressed": String(way === this.way), onclick: () => {
          this.way = way;
          this.drawWays();
        },
      }, t(`way_${way}`))))),
    h("pre", { class: "code", tabindex: "0", "aria-label": t(`way_${this.way}`) }, text),
    navigator.clipboard ? h("button", { type: "button", class: "button small", onclick: copy }, t("copy")) : null);
  }
}

/** A key of one's own for each request, so that sending it twice asks once. */
function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
