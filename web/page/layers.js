// What the layers make of a drawing: maps, vectors and filters, painted on canvases.

import { colour, onTheme, signs, strengths, words } from "./theme.js";

/** Of each layer with maps: the pixels that one place looks at, from one to the next, and where the
 *  first begins. */
const FIELDS = {
  conv1: { size: 5, step: 1, first: -2 },
  pool1: { size: 6, step: 2, first: -2 },
  conv2: { size: 14, step: 2, first: -2 },
  pool2: { size: 16, step: 4, first: -2 },
};

const TITLES = {
  conv1: "convolution 1, relu",
  pool1: "pooling 1",
  conv2: "convolution 2, relu",
  pool2: "pooling 2",
  fc1: "linear 1, relu",
  fc2: "linear 2, relu",
};

/** How maps lie: columns of maps, and pixels of the screen for each number. */
const LAID = {
  conv1: [6, 3], pool1: [6, 4], conv2: [8, 4], pool2: [8, 8], fc1: [40, 10], fc2: [42, 10],
};
const GAP = 4;

/** Paints numbers as squares: from `first` on, `rows` of `columns`, each as `shade` has it. */
function squares(image, left, top, first, rows, columns, pixels, shade) {
  const painted = words(image);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const word = shade(first + row * columns + column);
      const corner = (top + row * pixels) * image.width + left + column * pixels;
      for (let line = 0; line < pixels; line++) {
        const from = corner + line * image.width;
        painted.fill(word, from, from + pixels);
      }
    }
  }
}

/** A layer's canvas. */
class Panel {
  constructor(parent, name, [maps, rows, columns]) {
    Object.assign(this, { name, maps, rows, columns, chosen: null, values: null });
    const flat = rows * columns === 1;
    [this.across, this.pixels] = LAID[name];
    this.gap = flat ? 1 : GAP;
    const box = document.createElement("div");
    box.className = "layer";
    const size = flat ? `${maps} numbers` : `${maps} maps of ${rows} × ${columns}`;
    box.innerHTML = `<h3>${TITLES[name]} <span>${size}</span></h3>`;
    this.canvas = document.createElement("canvas");
    this.width = this.across * (columns * this.pixels + this.gap) - this.gap;
    const down = Math.ceil(maps / this.across);
    this.height = down * (rows * this.pixels + this.gap) - this.gap;
    this.canvas.width = this.width;
    this.canvas.height = this.height;
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", `${TITLES[name]}: ${size}`);
    if (FIELDS[name]) {
      this.canvas.tabIndex = 0;
    } else {
      this.canvas.className = "still";
    }
    box.append(this.canvas);
    parent.append(box);
  }

  corner(map) {
    const column = map % this.across;
    const row = Math.floor(map / this.across);
    return [
      column * (this.columns * this.pixels + this.gap),
      row * (this.rows * this.pixels + this.gap),
    ];
  }

  paint() {
    const { values, rows, columns, pixels } = this;
    if (!values) return;
    const context = this.canvas.getContext("2d");
    const image = context.createImageData(this.width, this.height);
    let most = 0;
    for (const value of values) most = Math.max(most, value);
    const [ramp, scale] = [strengths(), most > 0 ? 255 / most : 0];
    for (let map = 0; map < this.maps; map++) {
      const [left, top] = this.corner(map);
      squares(image, left, top, map * rows * columns, rows, columns, pixels, (at) =>
        ramp[Math.max(0, Math.round(values[at] * scale))]);
    }
    context.putImageData(image, 0, 0);
    if (this.chosen !== null) {
      const [left, top] = this.corner(this.chosen);
      context.strokeStyle = colour("--second");
      context.lineWidth = 2;
      context.strokeRect(left + 1, top + 1, columns * pixels - 2, rows * pixels - 2);
    }
  }

  /** The map at a place of the canvas. */
  at(x, y) {
    const column = Math.floor(x / (this.columns * this.pixels + this.gap));
    const row = Math.floor(y / (this.rows * this.pixels + this.gap));
    const map = row * this.across + column;
    return column < this.across && map < this.maps ? map : null;
  }

  /** Where the chosen map is strongest, as the pixels of the drawing that it looks at there. */
  field() {
    const { chosen, values, rows, columns } = this;
    if (chosen === null || !values) return null;
    const plane = values.subarray(chosen * rows * columns, (chosen + 1) * rows * columns);
    let best = 0;
    plane.forEach((value, at) => { if (value > plane[best]) best = at; });
    const { size, step, first } = FIELDS[this.name];
    const left = first + step * (best % columns);
    const top = first + step * Math.floor(best / columns);
    return { left, top, size, strength: plane[best] };
  }
}

export class Layers {
  #panels = [];
  #filters = null;
  #weights = null;
  #seen;
  #text;
  #plain;
  #pixels = null;

  /** `layers` as the reader tells them: name, maps, rows, columns. */
  constructor(parent, seen, text, layers) {
    this.#seen = seen;
    this.#text = text;
    this.#plain = text.textContent;
    parent.replaceChildren();
    const box = document.createElement("div");
    box.className = "layer";
    box.innerHTML = "<h3>filters of convolution 1 <span>6 of 5 × 5 weights</span></h3>";
    this.#filters = document.createElement("canvas");
    this.#filters.className = "still";
    this.#filters.setAttribute("role", "img");
    this.#filters.setAttribute("aria-label", "The six filters of the first convolution");
    box.append(this.#filters);
    parent.append(box);
    for (const [name, ...size] of layers) {
      if (!TITLES[name]) continue;
      const panel = new Panel(parent, name, size);
      this.#panels.push(panel);
      if (FIELDS[name]) this.#listen(panel);
    }
    onTheme(() => this.#paint());
  }

  #listen(panel) {
    const choose = (map) => {
      for (const other of this.#panels) if (other !== panel) other.chosen = null;
      panel.chosen = map;
      this.#paint();
    };
    panel.canvas.addEventListener("click", (event) => {
      const box = panel.canvas.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * panel.width;
      const y = ((event.clientY - box.top) / box.height) * panel.height;
      const map = panel.at(x, y);
      choose(map === panel.chosen ? null : map);
    });
    panel.canvas.addEventListener("keydown", (event) => {
      const steps = {
        ArrowLeft: -1, ArrowRight: 1, ArrowUp: -panel.across, ArrowDown: panel.across,
      };
      const step = steps[event.key];
      if (step !== undefined) {
        const next = (panel.chosen ?? (step > 0 ? -1 : panel.maps)) + step;
        choose(Math.min(panel.maps - 1, Math.max(0, next)));
      } else if (event.key === "Escape") {
        choose(null);
      } else {
        return;
      }
      event.preventDefault();
    });
  }

  /** The weights of the first convolution, six of 5 by 5. */
  showFilters(weights) {
    this.#weights = weights;
    this.#paintFilters();
  }

  /** The picture, and what the layers made of it, in their order. */
  show(pixels, values) {
    this.#pixels = pixels;
    this.#panels.forEach((panel, at) => { panel.values = values[at]; });
    this.#paint();
  }

  #paint() {
    for (const panel of this.#panels) panel.paint();
    this.#paintFilters();
    this.#paintSeen();
  }

  #paintFilters() {
    if (!this.#weights) return;
    const [pixels, size, across] = [14, 5, 6];
    const step = size * pixels + 2 * GAP;
    this.#filters.width = across * step - 2 * GAP;
    this.#filters.height = size * pixels;
    const context = this.#filters.getContext("2d");
    const image = context.createImageData(this.#filters.width, this.#filters.height);
    let most = 1e-9;
    for (const weight of this.#weights) most = Math.max(most, Math.abs(weight));
    const ramp = signs();
    for (let map = 0; map < across; map++) {
      squares(image, map * step, 0, map * size * size, size, size, pixels, (at) =>
        ramp[Math.round(127.5 * (1 + this.#weights[at] / most))]);
    }
    context.putImageData(image, 0, 0);
  }

  #paintSeen() {
    if (!this.#pixels) return;
    const [pixels, side] = [8, 28];
    this.#seen.width = this.#seen.height = side * pixels;
    const context = this.#seen.getContext("2d");
    const image = context.createImageData(side * pixels, side * pixels);
    const ramp = strengths();
    squares(image, 0, 0, 0, side, side, pixels, (at) => ramp[this.#pixels[at]]);
    context.putImageData(image, 0, 0);
    const panel = this.#panels.find((panel) => panel.chosen !== null);
    const field = panel?.field();
    if (!field) {
      this.#text.textContent = this.#plain;
      return;
    }
    const [layer] = TITLES[panel.name].split(",");
    const title = `Map ${panel.chosen + 1} of ${layer}`;
    if (field.strength <= 0) {
      this.#text.textContent = `${title} finds nothing here.`;
      return;
    }
    this.#text.textContent =
      `${title} is strongest where it looks at these ${field.size} × ${field.size} pixels.`;
    context.strokeStyle = colour("--second");
    context.lineWidth = 4;
    context.strokeRect(
      field.left * pixels, field.top * pixels, field.size * pixels, field.size * pixels);
  }
}
