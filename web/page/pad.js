// The drawing area: strokes of a pen, and the picture that a network is shown.

import { colour, onTheme } from "./theme.js";

/** Rows and columns of the picture. */
const SIDE = 28;
/** The longer side of a digit in it, ink included, and the width of a stroke, as MNIST has them. */
const BOX = 20;
const INK = 2.4;
/** Pixels of the raster for each pixel of the picture, along either axis. */
const FINE = 4;
/** How far an arrow key moves the pen, of the width of the area. */
const STEP = 1 / 28;

/** A digit to begin with, in the area's own coordinates from 0 to 1. */
const FIRST = [
  [[0.33, 0.3], [0.38, 0.24], [0.46, 0.2], [0.55, 0.2], [0.63, 0.25], [0.65, 0.33], [0.61, 0.41],
    [0.53, 0.46], [0.45, 0.48], [0.54, 0.49], [0.63, 0.53], [0.68, 0.61], [0.66, 0.7], [0.59, 0.77],
    [0.49, 0.8], [0.39, 0.78], [0.32, 0.72]],
];

function trace(context, strokes, place) {
  context.beginPath();
  for (const stroke of strokes) {
    const [x, y] = place(stroke[0]);
    context.moveTo(x, y);
    // A dot is a line too, but none of no length is drawn.
    context.lineTo(x + 0.01, y);
    // Curves through the middles of what was touched.
    for (let at = 1; at < stroke.length; at++) {
      const [fromX, fromY] = place(stroke[at - 1]);
      const [toX, toY] = place(stroke[at]);
      context.quadraticCurveTo(fromX, fromY, (fromX + toX) / 2, (fromY + toY) / 2);
      if (at === stroke.length - 1) context.lineTo(toX, toY);
    }
  }
  context.stroke();
}

export class Pad {
  #canvas;
  #changed;
  #strokes;
  /** Whether what is there was put there by the page. */
  #given = true;
  #drawing = false;
  /** The pen that arrow keys move, once they have. */
  #pen = null;
  /** What was cleared, until something else is drawn. */
  #cleared = null;
  #raster = new OffscreenCanvas(SIDE * FINE, SIDE * FINE);

  /** `changed` is called after each change; the strokes to begin with are a 3 unless others are
   *  given. */
  constructor(canvas, changed, strokes = FIRST) {
    this.#canvas = canvas;
    this.#changed = changed;
    this.#strokes = strokes.map((stroke) => [...stroke]);
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(name, () => { this.#drawing = false; });
    }
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("blur", () => {
      this.#pen = null;
      this.#paint();
    });
    onTheme(() => this.#paint());
    this.#paint();
  }

  clear() {
    if (this.#strokes.length > 0) this.#cleared = this.#strokes;
    this.#strokes = [];
    this.#given = false;
    if (this.#pen) this.#pen.down = false;
    this.#update();
  }

  /** Takes the last stroke away, or brings back what was cleared. */
  undo() {
    if (this.#strokes.length > 0) {
      this.#strokes.pop();
    } else if (this.#cleared) {
      [this.#strokes, this.#cleared] = [this.#cleared, null];
    }
    if (this.#pen) this.#pen.down = false;
    this.#update();
  }

  #place(event) {
    const box = this.#canvas.getBoundingClientRect();
    const share = (value, from, size) => Math.min(1, Math.max(0, (value - from) / size));
    return [share(event.clientX, box.left, box.width), share(event.clientY, box.top, box.height)];
  }

  #begin(point) {
    if (this.#given) this.#strokes = [];
    this.#given = false;
    this.#cleared = null;
    this.#strokes.push([point]);
  }

  #down(event) {
    if (event.button !== 0) return;
    // A mouse that leaves the area draws on; a made-up pointer cannot be held.
    try { this.#canvas.setPointerCapture(event.pointerId); } catch { /* It is not held. */ }
    this.#pen = null;
    this.#drawing = true;
    this.#begin(this.#place(event));
    this.#update();
  }

  #move(event) {
    if (!this.#drawing) return;
    const stroke = this.#strokes.at(-1);
    const all = event.getCoalescedEvents?.() ?? [];
    for (const one of all.length ? all : [event]) stroke?.push(this.#place(one));
    this.#update();
  }

  #key(event) {
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const way = ways[event.key];
    if (event.key === "Delete" || event.key === "Backspace" || event.key === "Escape") {
      this.clear();
    } else if (event.key === " ") {
      this.#pen ??= { at: [0.5, 0.25], down: false };
      this.#pen.down = !this.#pen.down;
      if (this.#pen.down) this.#begin([...this.#pen.at]);
      this.#update();
    } else if (way) {
      this.#pen ??= { at: [0.5, 0.25], down: false };
      const step = event.shiftKey ? 3 * STEP : STEP;
      const inside = (x) => Math.min(0.97, Math.max(0.03, x));
      this.#pen.at = this.#pen.at.map((x, axis) => inside(x + step * way[axis]));
      if (this.#pen.down) this.#strokes.at(-1)?.push([...this.#pen.at]);
      this.#update();
    } else {
      return;
    }
    event.preventDefault();
  }

  #update() {
    this.#paint();
    this.#changed();
  }

  #paint() {
    const { width, height } = this.#canvas;
    const context = this.#canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    context.lineCap = context.lineJoin = "round";
    context.lineWidth = width / 15;
    context.strokeStyle = colour("--ink");
    trace(context, this.#strokes, ([x, y]) => [x * width, y * height]);
    if (this.#pen) {
      const [x, y] = this.#pen.at;
      context.lineWidth = 4;
      context.strokeStyle = colour("--accent");
      context.fillStyle = context.strokeStyle;
      context.beginPath();
      context.arc(x * width, y * height, width / 30, 0, 2 * Math.PI);
      if (this.#pen.down) context.fill();
      else context.stroke();
    }
  }

  /** Grey bytes of the strokes, put where `place` says. */
  #inked(place) {
    const fine = SIDE * FINE;
    const context = this.#raster.getContext("2d", { willReadFrequently: true });
    context.fillStyle = "#000";
    context.fillRect(0, 0, fine, fine);
    context.strokeStyle = "#fff";
    context.lineCap = context.lineJoin = "round";
    context.lineWidth = INK * FINE;
    trace(context, this.#strokes, place);
    const { data } = context.getImageData(0, 0, fine, fine);
    const pixels = new Uint8Array(SIDE * SIDE);
    for (let row = 0; row < SIDE; row++) {
      for (let column = 0; column < SIDE; column++) {
        let sum = 0;
        for (let y = row * FINE; y < (row + 1) * FINE; y++) {
          for (let x = column * FINE; x < (column + 1) * FINE; x++) sum += data[4 * (y * fine + x)];
        }
        pixels[row * SIDE + column] = Math.round(sum / (FINE * FINE));
      }
    }
    return pixels;
  }

  /**
   * The picture for a network, white on black: the digit fitted into a box and put so that its
   * centre of mass is the middle, as MNIST's are.
   */
  pixels() {
    const points = this.#strokes.flat();
    if (points.length === 0) return new Uint8Array(SIDE * SIDE);
    const low = [0, 1].map((axis) => Math.min(...points.map((point) => point[axis])));
    const high = [0, 1].map((axis) => Math.max(...points.map((point) => point[axis])));
    const longer = Math.max(high[0] - low[0], high[1] - low[1], 1e-6);
    // A dot stays one.
    const scale = Math.min((BOX - INK) / longer, 4 * SIDE) * FINE;
    const middle = [0, 1].map((axis) => (low[axis] + high[axis]) / 2);
    const put = (shift) => (point) =>
      point.map((x, axis) => (x - middle[axis]) * scale + (SIDE / 2 + shift[axis]) * FINE);
    const centred = this.#inked(put([0, 0]));
    const mass = [0, 0, 0];
    centred.forEach((ink, at) => {
      mass[0] += ink * ((at % SIDE) + 0.5);
      mass[1] += ink * (Math.floor(at / SIDE) + 0.5);
      mass[2] += ink;
    });
    if (mass[2] === 0) return centred;
    const room = (SIDE - BOX) / 2;
    const shift = [0, 1].map((axis) =>
      Math.min(room, Math.max(-room, SIDE / 2 - mass[axis] / mass[2])));
    return this.#inked(put(shift));
  }
}
