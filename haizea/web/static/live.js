// The stream of events, while the page is looked at; pages in the background cost nothing.
import { currentSession } from "./api.js";

const KINDS = [
  "accepted", "state", "hosts", "expected", "planned-hosts",
  "operation-started", "operation-ended", "host", "rates", "image", "maintenance",
  "preparation", "shutdown", "changed", "change-refused",
];
const RETRY_MILLISECONDS = 3000;
const GATHER_MILLISECONDS = 400;

const listeners = new Set();
const watchers = new Set();
let source = null;
let retry = null;
let wanted = false;
let lastId = null;
let gathered = [];
let gathering = null;
let state = "off";

/** Be told of events, in lists of some; answers how to end that. */
export function follow(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Be told whether the stream is "live", "lost" or "off". */
export function watchStream(watcher) {
  watchers.add(watcher);
  watcher(state);
  return () => watchers.delete(watcher);
}

export function start() {
  wanted = true;
  connect();
}

export function stop() {
  wanted = false;
  lastId = null;
  disconnect("off");
}

function set(next) {
  if (next === state) return;
  state = next;
  for (const watcher of watchers) watcher(state);
}

function disconnect(next) {
  clearTimeout(retry);
  if (source) source.close();
  source = null;
  set(next);
}

function connect() {
  if (!wanted || source || document.hidden) return;
  source = new EventSource(lastId === null ? "v1/events" : `v1/events?after=${lastId}`);
  const opened = source;
  opened.onopen = () => {
    const missed = state === "lost";
    set("live");
    // Whatever was missed is in what a view loads anew.
    if (missed) tell([]);
  };
  opened.onerror = () => {
    if (opened === source) again();
  };
  for (const kind of KINDS) opened.addEventListener(kind, take);
}

async function again() {
  disconnect("lost");
  try {
    // Says, too, whether the session is over; the event source does not.
    if ((await currentSession()) === null) {
      document.dispatchEvent(new Event("signed-out"));
      return;
    }
    lastId = null;
  } catch {
    // The service is away: it is looked for again.
  }
  clearTimeout(retry);
  retry = setTimeout(connect, RETRY_MILLISECONDS);
}

function take(message) {
  lastId = message.lastEventId || lastId;
  gathered.push(JSON.parse(message.data));
  if (gathering === null) gathering = setTimeout(hand, GATHER_MILLISECONDS);
}

function hand() {
  gathering = null;
  const events = gathered;
  gathered = [];
  tell(events);
}

function tell(events) {
  for (const listener of [...listeners]) listener(events);
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    if (source) disconnect("lost");
  } else connect();
});
