// The strip above the timeline: how full the site is, in the same scale of time.
import { t } from "../texts.js";
import { now } from "../times.js";

/** Draw how full the site is, and how full it is now where that is among what `data` tells. */
export function drawStrip(painter, data, view) {
  const { pen, colours: c } = painter;
  pen.setTransform(painter.scale, 0, 0, painter.scale, 0, 0);
  pen.fillStyle = c.surface;
  pen.fillRect(0, 0, painter.width, painter.height);
  const bottom = painter.height - 1;
  const tall = painter.height - 6;
  pen.fillStyle = c.line;
  pen.fillRect(view.left, bottom, painter.width, 1);
  pen.fillRect(view.left, bottom - tall, painter.width, 1);
  pen.fillStyle = c.accent;
  pen.globalAlpha = 0.55;
  const { times, parts } = data.load;
  const heights = columns(data.load, view, painter, data.since);
  for (let x = 0; x < heights.length; ) {
    let until = x + 1;
    while (until < heights.length && heights[until] === heights[x]) until += 1;
    const height = Math.round(heights[x] * tall);
    if (height) pen.fillRect(view.left + x, bottom - height, until - x, height);
    x = until;
  }
  pen.globalAlpha = 1;
  const moment = now();
  if (moment < data.since || moment >= data.until) return;
  const present = firstAfter(times, moment) - 1;
  const share = Math.round(100 * (parts[present] ?? 0));
  painter.text(t(view.left < 100 ? "inUseShort" : "inUse", { share }), 10, painter.height / 2, view.left - 16, c.soft);
}

/** The most that is in use in each column of pixels: there may be many steps in one. */
function columns({ times, parts }, view, painter, from) {
  const heights = new Float32Array(Math.max(0, Math.floor(painter.width - view.left)));
  const scale = heights.length / (view.end - view.start);
  const column = (time) => Math.floor((time - view.start) * scale);
  for (let at = Math.max(0, firstAfter(times, view.start) - 1); at < times.length && times[at] < view.end; at += 1) {
    const first = Math.max(0, column(Math.max(times[at], from)));
    const last = Math.min(heights.length - 1, at + 1 < times.length ? column(times[at + 1]) : heights.length);
    for (let x = first; x <= last; x += 1) heights[x] = Math.max(heights[x], parts[at]);
  }
  return heights;
}

function firstAfter(times, moment) {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] <= moment) low = middle + 1;
    else high = middle;
  }
  return low;
}
