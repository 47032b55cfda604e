// Curves over training steps, on a canvas.

import { colour, onTheme } from "./theme.js";

/** More points than this are not kept: then each takes the place of two. */
const MOST = 1200;

/** The next number that is round. */
function round(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  const steps = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10];
  return power * steps.find((step) => step * power >= value * (1 - 1e-9));
}

export class Chart {
  #canvas;
  #series;
  #top;
  #show;
  #due = true;

  /**
   * `series` are lists of a colour's name and a width; `top` is the upper end of the scale, or null
   * if it is to fit what is shown; `show` writes a value.
   */
  constructor(canvas, { series, top, show }) {
    this.#canvas = canvas;
    this.#series = series.map(([name, width]) => ({ name, width, points: [] }));
    this.#top = top;
    this.#show = show;
    onTheme(() => { this.#due = true; });
    new ResizeObserver(() => { this.#due = true; }).observe(canvas);
  }

  /** Leaves out what comes after a step. */
  cut(last) {
    for (const series of this.#series) {
      series.points = series.points.filter(([step]) => step <= last);
    }
    this.#due = true;
  }

  /** Adds a point to a series; steps only grow. */
  add(at, step, value) {
    const series = this.#series[at];
    series.points.push([step, value]);
    if (series.points.length > MOST) {
      const halved = [];
      for (let k = 0; k + 1 < series.points.length; k += 2) {
        const [a, b] = [series.points[k], series.points[k + 1]];
        halved.push([b[0], (a[1] + b[1]) / 2]);
      }
      series.points = halved;
    }
    this.#due = true;
  }

  /** Paints what has changed since it was last called. */
  paint() {
    if (!this.#due) return;
    this.#due = false;
    const ratio = devicePixelRatio;
    const [width, height] = [this.#canvas.clientWidth, this.#canvas.clientHeight];
    this.#canvas.width = Math.round(width * ratio);
    this.#canvas.height = Math.round(height * ratio);
    const context = this.#canvas.getContext("2d");
    context.scale(ratio, ratio);
    const edge = { left: 44, right: 8, top: 8, bottom: 20 };
    let [last, most] = [1, 0];
    for (const { points } of this.#series) {
      for (const [step, value] of points) {
        last = Math.max(last, step);
        if (Number.isFinite(value)) most = Math.max(most, value);
      }
    }
    const top = this.#top ?? (most > 0 ? round(most) : 1);
    const x = (step) => edge.left + (step / last) * (width - edge.left - edge.right);
    const y = (value) =>
      height - edge.bottom - (Math.min(value, top) / top) * (height - edge.top - edge.bottom);

    context.font = "12px system-ui, sans-serif";
    context.fillStyle = colour("--soft");
    context.strokeStyle = colour("--line");
    context.lineWidth = 1;
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (let line = 0; line <= 4; line++) {
      const value = (top * line) / 4;
      const at = Math.round(y(value)) + 0.5;
      context.beginPath();
      context.moveTo(edge.left, at);
      context.lineTo(width - edge.right, at);
      context.stroke();
      if (line % 2 === 0) context.fillText(this.#show(value), edge.left - 6, at);
    }
    context.textBaseline = "alphabetic";
    context.textAlign = "left";
    context.fillText("0", edge.left, height - 5);
    context.textAlign = "right";
    context.fillText(`step ${last}`, width - edge.right, height - 5);

    context.lineJoin = "round";
    for (const { name, width: line, points } of this.#series) {
      context.strokeStyle = colour(name);
      context.lineWidth = line;
      context.beginPath();
      let open = false;
      for (const [step, value] of points) {
        if (!Number.isFinite(value)) { open = false; continue; }
        if (open) context.lineTo(x(step), y(value));
        else context.moveTo(x(step), y(value));
        open = true;
      }
      context.stroke();
    }
  }
}
