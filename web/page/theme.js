// The colours of the style sheet, as numbers.

const listeners = new Set();
let ramps = {};

/** Calls back whenever the colours change. */
export function onTheme(listener) {
  listeners.add(listener);
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  ramps = {};
  for (const listener of listeners) listener();
});

/** A custom property such as `--ink`, as text. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** 256 colours from the first of three to the last, as words of an `ImageData`. */
function ramp(...names) {
  const ends = names.map((name) => {
    const text = colour(name).slice(1);
    return [0, 2, 4].map((at) => Number.parseInt(text.slice(at, at + 2), 16));
  });
  const bytes = new Uint8ClampedArray(4 * 256);
  for (let at = 0; at < 256; at++) {
    const place = (2 * at) / 255;
    const half = place < 1 ? 0 : 1;
    const [from, to] = [ends[half], ends[half + 1]];
    for (let part = 0; part < 3; part++) {
      bytes[4 * at + part] = from[part] + (to[part] - from[part]) * (place - half);
    }
    bytes[4 * at + 3] = 255;
  }
  return new Uint32Array(bytes.buffer);
}

/** The colours of activations, from none to the most. */
export function strengths() {
  return (ramps.strengths ??= ramp("--map-0", "--map-1", "--map-2"));
}

/** The colours of weights, from the least to the most; nothing is in the middle. */
export function signs() {
  return (ramps.signs ??= ramp("--below", "--nought", "--above"));
}

/** The words of an image. */
export function words(image) {
  return new Uint32Array(image.data.buffer);
}
