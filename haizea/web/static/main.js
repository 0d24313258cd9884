// The beginning: who is signed in, and which view the address names.
import { Away, currentSession, get, whenSignedOut } from "./api.js";
import { atMostEvery, fill, h } from "./dom.js";
import * as live from "./live.js";
import { address, here, noteDepth, setFilled } from "./router.js";
import { Shell, keepTheme } from "./shell.js";
import { t } from "./texts.js";
import { setClock } from "./times.js";
import { showAsk } from "./views/ask.js";
import { showLease } from "./views/lease.js";
import { showLeases } from "./views/leases.js";
import { showSignIn } from "./views/sign_in.js";
import { showSite } from "./views/site.js";
import { showTimeline } from "./views/timeline.js";

const VIEWS = {
  timeline: () => showTimeline,
  ask: () => showAsk,
  site: () => showSite,
  leases: (page) => (page.part ? showLease : showLeases),
};
const AWAY_PAUSE = 3000;
// Some browsers let an address be changed 100 times in half a minute.
const DEPTH_PAUSE = 500;

const app = { session: null, shell: null, leave: null, aborting: null };

/** Everything a view is given: where it is, whose it is, and a signal for when it is left. */
function page(place) {
  app.aborting = new AbortController();
  return {
    ...place,
    session: app.session,
    signal: app.aborting.signal,
    mayChange: app.session.role !== "reader",
    seesAll: app.session.role !== "user",
    operates: app.session.role === "operator",
    title: (text) => {
      document.title = `${text} – ${t("appName")}`;
    },
    say: (text, kind) => app.shell.say(text, kind),
  };
}

function leaveView() {
  if (app.aborting) app.aborting.abort();
  if (app.leave) app.leave();
  app.leave = app.aborting = null;
  setFilled(null);
}

async function show() {
  // Whoever signs in goes on where the address leads; the form stays as it is until then.
  if (!app.session) return null;
  const place = here();
  leaveView();
  const choose = VIEWS[place.name];
  app.shell.mark(place);
  const box = h("div", { class: `view view-${place.name}` });
  app.shell.show(box);
  const own = page(place);
  if (!choose) {
    fill(box, h("h1", {}, t("noView")));
    return null;
  }
  try {
    const leave = await choose(place)(box, own);
    if (own.signal.aborted) leave?.();
    else {
      app.leave = leave || null;
      setFilled(place);
      // Whoever began to scroll while it was filled stays there.
      const down = Number(place.params.get("down"));
      if (down && !window.scrollY) window.scrollTo(0, down);
      else if (window.scrollY) noteDepth();
    }
  } catch (error) {
    if (error.name !== "AbortError" && !own.signal.aborted) showTrouble(box, error);
  }
  return null;
}

function showTrouble(box, error) {
  const text = error instanceof Away ? t("awayShort") : error.message;
  if (!(error instanceof Away) && !error.status) console.error(error);
  fill(
    box,
    h("div", { class: "trouble", role: "alert" },
      h("p", {}, t("wrong", { message: text })),
      h("button", { class: "button", onclick: show }, t("tryAgain"))),
  );
}

function signIn(isOver) {
  leaveView();
  live.stop();
  app.session = app.shell = null;
  showSignIn(document.body, isOver, (session) => enter(session));
}

function enter(session) {
  app.session = session;
  app.shell = new Shell(document.body, session, () => signIn(false));
  setClock(null, session.zone);
  live.start();
  lookAround();
  show();
}

/** What the frame of the page shows: how the service is, and its time. */
async function lookAround() {
  if (!app.shell) return;
  try {
    const status = await get("v1/status");
    setClock(status.now, app.session?.zone);
    app.shell?.status(status);
  } catch (error) {
    if (error instanceof Away) app.shell?.status(null);
  }
}

async function begin() {
  keepTheme();
  let session = null;
  try {
    if (document.documentElement.dataset.session === "yes") session = await currentSession();
  } catch {
    fill(document.body, h("p", { class: "lonely", role: "alert" }, t("away")));
    setTimeout(begin, AWAY_PAUSE);
    return;
  }
  if (session) enter(session);
  else signIn(false);
}

const over = () => {
  if (app.session) signIn(true);
};
// Where one is in a view is in its address; the browser knows nothing of how long a view takes to be there.
history.scrollRestoration = "manual";
window.addEventListener("scroll", atMostEvery(DEPTH_PAUSE, noteDepth), { passive: true });
whenSignedOut(over);
document.addEventListener("signed-out", over);
window.addEventListener("hashchange", async () => {
  await show();
  // Whoever went by a link that is gone goes on in the view, not at the top of the page.
  if (document.activeElement === document.body) app.shell?.main.focus({ preventScroll: true });
});
live.watchStream((state) => {
  app.shell?.stream(state);
  if (state === "live") lookAround();
  if (state === "lost" && !document.hidden) lookAround();
});
setInterval(() => {
  if (!document.hidden) lookAround();
}, 20_000);
if (!location.hash) history.replaceState(null, "", address("timeline"));
begin();
