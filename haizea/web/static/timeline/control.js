// Moving about on the timeline: by pointer, wheel, touch and keys; choosing a time by dragging.
import { DAY, HOUR, MINUTE, now } from "../times.js";
import { AXIS } from "./paint.js";

const SHORTEST = 30 * MINUTE;
const LONGEST = 120 * DAY;
const CLICK_PIXELS = 4;
/** Moments that the service takes. */
const [EARLIEST, LATEST] = [Date.UTC(2001, 0), Date.UTC(2499, 0)];

/** Keeps what part of time is seen: {start, end}; `changed` is called after each change. */
export class Window {
  constructor(start, end, changed) {
    this.start = start;
    this.end = end;
    this.ahead = false;
    this.changed = changed;
  }

  /** What a link says of the time that is seen; a day from a little before now on, where it says nothing that can be. */
  static of(params, changed) {
    const hours = Number(params.get("hours"));
    const length = Math.min(LONGEST, Math.max(SHORTEST, hours > 0 ? hours * HOUR : DAY));
    const from = Date.parse(params.get("from"));
    const start = EARLIEST < from && from < LATEST ? from : now() - length / 8;
    const made = new Window(start, start + length, changed);
    made.ahead = params.get("ahead") === "yes";
    if (made.ahead) made.keepAhead();
    return made;
  }

  get length() {
    return this.end - this.start;
  }

  set(start, end) {
    const length = Math.min(LONGEST, Math.max(SHORTEST, end - start));
    const middle = (start + end) / 2;
    this.start = end - start === length ? start : middle - length / 2;
    this.end = this.start + length;
    if (this.ahead) this.keepAhead();
    this.changed();
  }

  pan(by) {
    this.set(this.start + by, this.end + by);
  }

  /** Whoever does not point at a moment looks at now, if it is seen. */
  get middle() {
    const present = now();
    return this.start <= present && present <= this.end ? present : (this.start + this.end) / 2;
  }

  /** Make what is seen so many times as long, around a moment that stays where it is. */
  zoom(factor, around = this.middle) {
    const length = Math.min(LONGEST, Math.max(SHORTEST, this.length * factor));
    const part = (around - this.start) / this.length;
    this.set(around - part * length, around + (1 - part) * length);
  }

  /** Show the future alone: time begins a little before now. */
  keepAhead() {
    const from = now() - this.length / 40;
    this.end += from - this.start;
    this.start = from;
  }
}

/** Pointer and keys on the canvas. `owner` is the view: see its methods below. */
export class Control {
  constructor(canvas, window, owner) {
    this.canvas = canvas;
    this.window = window;
    this.owner = owner;
    this.fingers = new Map();
    this.drag = null;
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.up(event));
    canvas.addEventListener("pointercancel", (event) => this.cancel(event));
    canvas.addEventListener("pointerleave", () => owner.hover(null));
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  at(event) {
    const box = this.canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  down(event) {
    if (event.button) return;
    const place = this.at(event);
    this.canvas.setPointerCapture(event.pointerId);
    this.fingers.set(event.pointerId, place);
    if (this.fingers.size > 1) {
      this.drag = null;
      this.owner.select(null);
      return;
    }
    const choosing = (event.shiftKey || this.owner.choosing) && this.owner.mayAsk && place.x > this.owner.left;
    this.drag = { from: place, start: this.window.start, end: this.window.end, moved: false, choosing };
  }

  move(event) {
    const place = this.at(event);
    if (this.fingers.has(event.pointerId)) {
      const before = new Map(this.fingers);
      this.fingers.set(event.pointerId, place);
      if (this.fingers.size === 2) return this.pinch(before);
    }
    if (!this.drag) return this.owner.hover(place);
    const { from } = this.drag;
    if (!this.drag.moved && Math.hypot(place.x - from.x, place.y - from.y) < CLICK_PIXELS) return null;
    this.drag.moved = true;
    if (this.drag.choosing) return this.owner.select(from, place);
    const shift = ((from.x - place.x) / this.owner.plotWidth) * (this.drag.end - this.drag.start);
    this.window.set(this.drag.start + shift, this.drag.end + shift);
    return null;
  }

  pinch(before) {
    const spread = (points) => {
      const [one, other] = [...points.values()];
      return Math.max(20, Math.abs(one.x - other.x));
    };
    const [one, other] = [...this.fingers.values()];
    this.window.zoom(spread(before) / spread(this.fingers), this.owner.timeAt((one.x + other.x) / 2));
  }

  up(event) {
    this.fingers.delete(event.pointerId);
    const { drag } = this;
    this.drag = null;
    if (!drag) return;
    if (!drag.moved) this.owner.click(this.at(event));
    else if (drag.choosing) this.owner.chosen();
  }

  cancel(event) {
    this.fingers.delete(event.pointerId);
    this.drag = null;
    this.owner.select(null);
  }

  wheel(event) {
    const place = this.at(event);
    const overAxis = place.y < AXIS;
    if (event.ctrlKey || event.metaKey || overAxis) {
      event.preventDefault();
      this.window.zoom(Math.exp(event.deltaY / 400), this.owner.timeAt(place.x));
    } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      event.preventDefault();
      const by = event.deltaX || event.deltaY;
      this.window.pan((by / this.owner.plotWidth) * this.window.length);
    }
  }

  key(event) {
    const { window } = this;
    const acts = {
      ArrowLeft: () => window.pan(-window.length / 8),
      ArrowRight: () => window.pan(window.length / 8),
      "+": () => window.zoom(0.7),
      "=": () => window.zoom(0.7),
      "-": () => window.zoom(1 / 0.7),
      n: () => this.owner.toNow(),
      Enter: () => this.owner.openNext(0),
      "]": () => this.owner.openNext(1),
      "[": () => this.owner.openNext(-1),
    };
    const act = event.ctrlKey || event.metaKey || event.altKey ? null : acts[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }
}

/** A part of time, its ends on round minutes: [from, to], at least one step long. */
export function rounded(one, other, length) {
  const step = length > 10 * DAY ? HOUR : length > 2 * DAY ? 15 * MINUTE : 5 * MINUTE;
  const [low, high] = one < other ? [one, other] : [other, one];
  const from = Math.round(low / step) * step;
  return [from, Math.max(from + step, Math.round(high / step) * step)];
}
