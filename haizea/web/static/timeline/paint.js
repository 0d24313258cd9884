// The drawing of the timeline, on a canvas: rows, bars, the axis of time, the line of now.
import { t } from "../texts.js";
import { DAY, HOUR, MINUTE, clock, date, now, startOfDay } from "../times.js";
import { leaseFits } from "./rows.js";

export const AXIS = 40;
const STEPS = [5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 28 * DAY];
const LABEL_PIXELS = 74;

/** Colours of the page, as they are now. */
export function colours() {
  const names = [
    "ground", "surface", "sunken", "line", "line-strong", "text", "soft", "accent", "run", "run-ground", "plan",
    "plan-ground", "sleep", "sleep-ground", "work", "work-ground", "wait", "wait-ground", "bad", "bad-ground",
  ];
  // A canvas takes no "light-dark(…)": an element has it as what it comes to.
  const probe = document.body.appendChild(document.createElement("span"));
  const colour = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const found = Object.fromEntries(names.map((name) => [name, colour(name)]));
  probe.remove();
  return found;
}

/** How a bar looks: by purpose, and by whether it is over, now or planned. */
export function look(entry, present) {
  if (entry.purpose === "expected") return "expected";
  if (entry.purpose === "sleep") return "sleep";
  if (entry.purpose === "transfer" || entry.purpose === "prepare") return "prepare";
  if (entry.purpose !== "run") return "work";
  if (entry.end <= present) return "past";
  if (entry.start <= present) return "run";
  return entry.firm ? "plan" : "maybe";
}

export class Painter {
  constructor(canvas) {
    this.canvas = canvas;
    this.pen = canvas.getContext("2d", { alpha: false });
    this.scale = 1;
    this.hatches = new Map();
  }

  resize(width, height) {
    this.scale = window.devicePixelRatio || 1;
    this.width = width;
    this.height = height;
    this.canvas.width = Math.round(width * this.scale);
    this.canvas.height = Math.round(height * this.scale);
    this.canvas.style.width = `${width}px`;
    this.canvas.style.height = `${height}px`;
    this.recolour();
  }

  recolour() {
    this.colours = colours();
    this.hatches.clear();
  }

  x(time, view) {
    return view.left + ((time - view.start) / (view.end - view.start)) * (this.width - view.left);
  }

  timeAt(x, view) {
    return view.start + ((x - view.left) / (this.width - view.left)) * (view.end - view.start);
  }

  /** Draw rows from a first one on; `view` is {start, end, left, scroll, rowHeight}. */
  draw(view, rows, marks) {
    const { pen } = this;
    pen.setTransform(this.scale, 0, 0, this.scale, 0, 0);
    pen.fillStyle = this.colours.surface;
    pen.fillRect(0, 0, this.width, this.height);
    pen.font = "12px system-ui, sans-serif";
    pen.textBaseline = "middle";
    const first = Math.max(0, Math.floor(view.scroll / view.rowHeight));
    const last = Math.min(rows.length, Math.ceil((view.scroll + this.height - AXIS) / view.rowHeight));
    const ticks = this.ticks(view);
    this.drawGrid(ticks, view);
    this.drawAxis(ticks, view);
    pen.save();
    pen.beginPath();
    pen.rect(0, AXIS, this.width, this.height - AXIS);
    pen.clip();
    for (let index = first; index < last; index += 1) {
      this.drawRow(rows[index], AXIS + index * view.rowHeight - view.scroll, view, marks);
    }
    this.drawNow(view);
    // What a heading says is not struck through.
    for (let index = first; index < last; index += 1) {
      if (rows[index].heading) this.drawRow(rows[index], AXIS + index * view.rowHeight - view.scroll, view, marks);
    }
    pen.restore();
    this.drawNowMark(view);
    if (marks.selection) this.drawSelection(marks.selection, view);
  }

  drawRow(row, top, view, marks) {
    const { pen } = this;
    const { rowHeight, left } = view;
    if (row.heading) {
      pen.fillStyle = this.colours.sunken;
      pen.fillRect(0, top, this.width, rowHeight);
      this.text(`${row.name} (${row.count})`, 10, top + rowHeight / 2, this.width, this.colours.text, "600 12px system-ui, sans-serif");
      return;
    }
    if (rowHeight > 8) {
      pen.fillStyle = this.colours.line;
      pen.fillRect(0, top + rowHeight - 1, this.width, 1);
    }
    pen.save();
    pen.beginPath();
    pen.rect(left, top, this.width - left, rowHeight);
    pen.clip();
    if (row.use) this.drawUse(row.use, top, view, marks);
    for (const outage of row.outages || []) this.drawOutage(outage, top, view, marks.now);
    const inset = rowHeight > 12 ? 3 : 1;
    const lane = (rowHeight - 2 * inset + 1) / row.lanes;
    // On a host that was searched for by its name, everything was.
    const found = row.host === undefined || row.name.toLowerCase().includes(marks.words);
    for (const bar of row.bars) {
      const { entry } = bar;
      if (entry.start >= view.end || entry.end <= view.start) continue;
      pen.globalAlpha = found || leaseFits(entry.lease, marks.words) ? 1 : 0.2;
      if (bar.lane < 0) this.drawBar(entry, top, rowHeight - 1, view, marks);
      else this.drawBar(entry, Math.round(top + inset + bar.lane * lane), Math.max(1, Math.round(lane - 1)), view, marks);
    }
    pen.restore();
    this.drawName(row, top, view);
  }

  drawName(row, top, view) {
    if (view.rowHeight < 11) return;
    const middle = top + view.rowHeight / 2;
    const colour = row.status ? this.colours.bad : this.colours.text;
    const width = this.text(row.name, 10, middle, view.left - 16, colour);
    if (row.detail) this.text(row.detail, 18 + width, middle, view.left - 26 - width, this.colours.soft);
    else if (row.status) this.text(t(`outage_${row.status}`), 18 + width, middle, view.left - 26 - width, this.colours.bad);
  }

  text(text, x, y, most, colour, font = "12px system-ui, sans-serif") {
    const { pen } = this;
    if (most < 10) return 0;
    pen.font = font;
    pen.fillStyle = colour;
    let shown = text;
    let width = pen.measureText(shown).width;
    if (width > most) {
      let keep = Math.max(1, Math.floor((text.length * most) / width) - 1);
      const cut = () => {
        shown = `${text.slice(0, keep)}…`;
        width = pen.measureText(shown).width;
      };
      for (cut(); width > most && keep > 1; cut()) keep -= 1;
      if (width > most) return 0;
    }
    pen.fillText(shown, x, y);
    return width;
  }

  drawBar(entry, top, height, view, marks) {
    const { pen } = this;
    // On whole pixels: that is several times as quick to draw.
    const from = Math.round(Math.max(view.left - 4, this.x(entry.start, view)));
    const to = Math.round(Math.min(this.width + 4, this.x(entry.end, view)));
    const width = Math.max(1, to - from);
    const kind = look(entry, marks.now);
    const { fill, line, dash, hatch } = this.style(kind);
    // Whoever sleeps holds nothing: a thin line at the foot of the row.
    const thin = kind === "sleep";
    const [y, tall] = thin ? [top + height - 3, 3] : [top, height];
    const framed = line && width > 3 && tall > 4;
    if (framed && !dash) {
      pen.fillStyle = line;
      pen.fillRect(from, y, width, tall);
    }
    if (fill) {
      const frame = framed && !dash ? 1 : 0;
      pen.fillStyle = hatch && tall > 4 ? this.hatch(fill, line) : fill;
      pen.fillRect(from + frame, y + frame, width - 2 * frame, tall - 2 * frame);
    }
    if (framed && dash) {
      pen.strokeStyle = line;
      pen.lineWidth = 1;
      pen.setLineDash(dash);
      pen.strokeRect(from + 0.5, y + 0.5, width - 1, tall - 1);
      pen.setLineDash([]);
    }
    if (entry.id === marks.lease && tall > 2) {
      pen.strokeStyle = this.colours.text;
      pen.lineWidth = 2;
      pen.strokeRect(from + 1, y + 1, Math.max(1, width - 2), tall - 2);
    }
    if (!thin && tall >= 12 && width > 26) {
      const start = Math.max(from, view.left) + 5;
      const label = entry.lease.label ? `${entry.id} ${entry.lease.label}` : `${entry.id} ${entry.lease.owner}`;
      this.text(label, start, y + tall / 2 + 0.5, Math.min(to, this.width) - start - 3, this.inkOf(kind), "11px system-ui, sans-serif");
    }
    pen.globalAlpha = 1;
  }

  style(kind) {
    const c = this.colours;
    switch (kind) {
      case "run": return { fill: c.run, line: c.run };
      case "past": return { fill: c["wait-ground"], line: c.line };
      case "plan": return { fill: c["plan-ground"], line: c.plan };
      case "maybe": return { fill: c.surface, line: c.plan, dash: [4, 3] };
      case "expected": return { fill: null, line: c.wait, dash: [2, 3] };
      case "sleep": return { fill: c.sleep };
      case "prepare": return { fill: c["work-ground"], line: c.work, hatch: true };
      default: return { fill: c["sleep-ground"], line: c.sleep, hatch: true };
    }
  }

  inkOf(kind) {
    if (kind === "run") return this.colours.surface;
    if (kind === "past") return this.colours.soft;
    return this.colours.text;
  }

  hatch(ground, line) {
    const key = ground + line;
    if (!this.hatches.has(key)) {
      const tile = new OffscreenCanvas(6, 6);
      const pen = tile.getContext("2d");
      pen.fillStyle = ground;
      pen.fillRect(0, 0, 6, 6);
      pen.strokeStyle = line;
      pen.lineWidth = 1.2;
      pen.beginPath();
      for (const shift of [-6, 0, 6]) {
        pen.moveTo(shift, 6);
        pen.lineTo(shift + 6, 0);
      }
      pen.stroke();
      this.hatches.set(key, this.pen.createPattern(tile, "repeat"));
    }
    return this.hatches.get(key);
  }

  /** What others use of a host, as far as it may be told: how much, not who. */
  drawUse(use, top, view, marks) {
    const { pen } = this;
    const { since, step } = marks.use;
    const first = Math.max(0, Math.floor((view.start - since) / step));
    const last = Math.min(use.length, Math.ceil((view.end - since) / step));
    pen.fillStyle = this.colours["line"];
    for (let at = first; at < last; ) {
      const level = use[at];
      let until = at + 1;
      while (until < last && use[until] === level) until += 1;
      if (level !== "0") {
        const from = this.x(since + at * step, view);
        const to = this.x(since + until * step, view);
        const height = ((view.rowHeight - 2) * Number(level)) / 9;
        pen.fillRect(from, top + view.rowHeight - 1 - height, to - from, height);
      }
      at = until;
    }
  }

  /** A time in which a host is out of use: leases that stay there are drawn over it. */
  drawOutage(outage, top, view, present) {
    if (outage.start >= view.end || outage.end <= view.start) return;
    const from = Math.round(Math.max(view.left, this.x(outage.start, view)));
    const to = Math.round(Math.min(this.width, this.x(outage.end, view)));
    const [ground, line] = outage.status === "maintenance" ? ["wait-ground", "wait"] : ["bad-ground", "bad"];
    this.pen.globalAlpha = outage.end <= present ? 0.45 : 0.85;
    this.pen.fillStyle = this.hatch(this.colours[ground], this.colours[line]);
    this.pen.fillRect(from, top, Math.max(1, to - from), view.rowHeight - 1);
    this.pen.globalAlpha = 1;
    const text = outage.reason || t(`outage_${outage.status}`);
    if (view.rowHeight < 14 || to - from < 40) return;
    const width = Math.min(to - from - 8, this.widthOf(text) + 8);
    this.pen.fillStyle = this.colours[ground];
    this.pen.fillRect(from + 4, top + 4, width, view.rowHeight - 9);
    this.text(text, from + 8, top + view.rowHeight / 2, width - 6, this.colours.text, "11px system-ui, sans-serif");
  }

  widthOf(text) {
    this.pen.font = "11px system-ui, sans-serif";
    return this.pen.measureText(text).width;
  }

  // --- time ------------------------------------------------------------------------------

  ticks(view) {
    const perPixel = (view.end - view.start) / (this.width - view.left);
    const step = STEPS.find((one) => one / perPixel >= LABEL_PIXELS) || STEPS.at(-1);
    const ticks = [];
    let at = startOfDay(view.start);
    if (step >= DAY) {
      for (; at < view.end; at = startOfDay(at + step + 2 * HOUR)) ticks.push(at);
    } else {
      for (let day = at; day < view.end; day = startOfDay(day + DAY + 2 * HOUR)) {
        const next = startOfDay(day + DAY + 2 * HOUR);
        for (at = day; at < next - step / 2 && at < view.end; at += step) ticks.push(at);
      }
    }
    return { step, times: ticks.filter((time) => time > view.start - step) };
  }

  drawGrid({ step, times }, view) {
    for (const time of times) {
      const x = Math.round(this.x(time, view));
      if (x < view.left) continue;
      const isDay = step < DAY && startOfDay(time) === time;
      this.pen.fillStyle = isDay ? this.colours["line-strong"] : this.colours.line;
      this.pen.globalAlpha = isDay ? 0.6 : 0.7;
      this.pen.fillRect(x, AXIS, 1, this.height);
    }
    this.pen.globalAlpha = 1;
  }

  drawAxis({ step, times }, view) {
    const { pen } = this;
    pen.fillStyle = this.colours.surface;
    pen.fillRect(0, 0, this.width, AXIS);
    pen.fillStyle = this.colours["line-strong"];
    pen.fillRect(0, AXIS - 1, this.width, 1);
    let shownTo = view.left;
    for (const time of times) {
      const x = this.x(time, view);
      if (x < view.left) continue;
      this.text(step < DAY ? clock(time) : date(time), x + 4, 28, LABEL_PIXELS, this.colours.soft);
    }
    if (step >= DAY) return;
    for (let day = startOfDay(view.start); day < view.end; day = startOfDay(day + DAY + 2 * HOUR)) {
      const x = Math.max(view.left, this.x(day, view)) + 4;
      const next = this.x(startOfDay(day + DAY + 2 * HOUR), view);
      if (next - x < 70 || x < shownTo) continue;
      shownTo = x + this.text(date(day), x, 11, next - x - 8, this.colours.text, "600 12px system-ui, sans-serif");
    }
  }

  drawNow(view) {
    const x = this.x(now(), view);
    if (x < view.left || x > this.width) return;
    this.pen.fillStyle = this.colours.bad;
    this.pen.fillRect(Math.round(x) - 1, AXIS, 2, this.height);
  }

  /** The head of the line of now, at the foot of the axis. */
  drawNowMark(view) {
    const x = Math.round(this.x(now(), view));
    if (x < view.left || x > this.width) return;
    const { pen } = this;
    pen.fillStyle = this.colours.bad;
    pen.beginPath();
    pen.moveTo(x - 5, AXIS - 6);
    pen.lineTo(x + 5, AXIS - 6);
    pen.lineTo(x, AXIS + 1);
    pen.fill();
  }

  drawSelection({ from, to, top, bottom }, view) {
    const { pen } = this;
    const [left, right] = [this.x(from, view), this.x(to, view)];
    pen.globalAlpha = 0.25;
    pen.fillStyle = this.colours.accent;
    pen.fillRect(left, top, right - left, bottom - top);
    pen.globalAlpha = 1;
    pen.strokeStyle = this.colours.accent;
    pen.lineWidth = 2;
    pen.strokeRect(left, top, right - left, bottom - top);
    this.text(`${clock(from)} – ${clock(to)}`, left + 6, top - 8 < AXIS ? bottom + 10 : top - 8, 200, this.colours.text, "600 12px system-ui, sans-serif");
  }
}
