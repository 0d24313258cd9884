// Moments and durations in words. Moments are in milliseconds; the service's are ISO 8601.
import { LOCALE, t } from "./texts.js";

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

let skew = 0;
let siteZone = "UTC";

/** Take the service's word for what time it is, and where. */
export function setClock(now, zone) {
  if (now) skew = Date.parse(now) - Date.now();
  if (zone) siteZone = zone;
}

/** The present by the service's clock. */
export const now = () => Date.now() + skew;
export const viewerZone = () => Intl.DateTimeFormat().resolvedOptions().timeZone;
export const site = () => siteZone;

/** Tell whether the site's clocks show what the viewer's do: some zones have several names. */
export function isSiteZone() {
  try {
    return viewerZone() === new Intl.DateTimeFormat(LOCALE, { timeZone: siteZone }).resolvedOptions().timeZone;
  } catch {
    return false;
  }
}

const formats = new Map();

function format(options, zone) {
  const key = JSON.stringify([options, zone]);
  if (!formats.has(key)) {
    let made;
    try {
      made = new Intl.DateTimeFormat(LOCALE, { ...options, timeZone: zone });
    } catch {
      made = new Intl.DateTimeFormat(LOCALE, { ...options, timeZone: "UTC" });
    }
    formats.set(key, made);
  }
  return formats.get(key);
}

const CLOCK = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const DATE = { weekday: "short", day: "numeric", month: "short" };

export const clock = (moment, zone) => format(CLOCK, zone).format(moment);
export const date = (moment, zone) => format(DATE, zone).format(moment);
export const dateWithYear = (moment) => format({ ...DATE, year: "numeric" }).format(moment);

function sameDay(first, second, zone) {
  return dayKey(first, zone) === dayKey(second, zone);
}

const dayKey = (moment, zone) =>
  format({ year: "numeric", month: "2-digit", day: "2-digit" }, zone).format(moment);

/** A moment as short as it can be understood: "14:00", "Mon 30 Nov, 14:00". */
export function short(moment, zone) {
  if (moment === null || moment === undefined) return "–";
  const at = typeof moment === "string" ? Date.parse(moment) : moment;
  const time = clock(at, zone);
  if (sameDay(at, now(), zone)) return time;
  const far = Math.abs(at - now()) > 300 * DAY;
  return `${far ? format({ ...DATE, year: "numeric" }, zone).format(at) : date(at, zone)}, ${time}`;
}

/** A moment to the second, with its day. */
export function exact(moment) {
  const at = Date.parse(moment);
  return `${date(at)}, ${format({ ...CLOCK, second: "2-digit" }).format(at)}`;
}

/** A sentence of the service with its moments, which are in UTC, in the viewer's zone. */
export function inViewersZone(sentence) {
  return sentence.replace(/\b(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?: UTC|\+00:00)?/g, (all, day, time) => {
    const moment = Date.parse(`${day}T${time}Z`);
    return Number.isNaN(moment) ? all : short(moment);
  });
}

/** From … to …, the date once where it is the same. */
export function span(start, end) {
  const from = Date.parse(start);
  if (end === null) return t("from", { start: short(from) });
  const to = Date.parse(end);
  return `${short(from)} – ${sameDay(from, to) ? clock(to) : short(to)}`;
}

/** All of a moment, in both zones where they differ: for titles. */
export function full(moment) {
  const at = typeof moment === "string" ? Date.parse(moment) : moment;
  const all = { ...DATE, year: "numeric", ...CLOCK, second: "2-digit" };
  const own = format(all).format(at);
  if (isSiteZone()) return own;
  return `${own} (${t("atSite", { time: format(all, siteZone).format(at), zone: siteZone })})`;
}

/** A moment by the site's clocks, in words; empty where they show what the viewer's do. */
export function atSite(moment) {
  if (!Number.isFinite(moment) || isSiteZone()) return "";
  return t("atSite", { time: short(moment, siteZone), zone: siteZone });
}

/** Seconds in words: "2 d 3 h", "45 min", "12 s". */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return t("unlimited");
  const whole = Math.round(seconds);
  const units = [["days", 86400], ["hours", 3600], ["minutes", 60], ["seconds", 1]];
  const first = units.findIndex(([, size]) => whole >= size);
  if (first < 0) return t("seconds", { count: 0 });
  const [name, size] = units[first];
  const many = Math.floor(whole / size);
  const [smaller, least] = units[first + 1] || ["", 0];
  const rest = least ? Math.floor((whole - many * size) / least) : 0;
  return rest ? `${t(name, { count: many })} ${t(smaller, { count: rest })}` : t(name, { count: many });
}

/** Seconds as the service reads them: "1h30m". */
export function spelled(seconds) {
  const parts = [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]];
  let rest = seconds;
  return parts.map(([unit, size]) => {
    const many = Math.floor(rest / size);
    rest -= many * size;
    return many ? `${many}${unit}` : "";
  }).join("") || "1s";
}

/** Seconds as they are counted down: "1:02:03". */
export function countdown(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const rest = `${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
  if (hours < 48) return `${hours}:${rest}`;
  return t("daysClock", { days: Math.floor(hours / 24), clock: `${hours % 24}:${rest}` });
}

/** How far a moment is from now: "in 2 h", "5 min ago". */
export function relative(moment) {
  const seconds = (Date.parse(moment) - now()) / 1000;
  if (Math.abs(seconds) < 5) return t("now");
  return seconds > 0 ? t("in", { time: duration(seconds) }) : t("ago", { time: duration(-seconds) });
}

/** A moment as a datetime-local control has it, in the viewer's zone. */
export function forControl(moment) {
  const local = new Date(moment - new Date(moment).getTimezoneOffset() * MINUTE);
  return local.toISOString().slice(0, 16);
}

/** The first moment of the viewer's day that a moment is in. */
export function startOfDay(moment) {
  const day = new Date(moment);
  day.setHours(0, 0, 0, 0);
  return day.getTime();
}

export const iso = (moment) => `${new Date(moment).toISOString().slice(0, 19)}Z`;
