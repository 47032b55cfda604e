// A network from a safetensors file, run and trained on the visitor's GPU.

import start, { Handle } from "./striate_web_embed.js";

/** Width and height of a picture, whatever it is. */
function sizeOf(picture) {
  return [picture.videoWidth ?? picture.naturalWidth ?? picture.width,
    picture.videoHeight ?? picture.naturalHeight ?? picture.height];
}

export class Network {
  #handle;
  #size;
  #fit;
  /** One call at a time: the next one waits for the one before. */
  #last = Promise.resolve();

  constructor(handle) {
    const [, height, width] = handle.input();
    this.#handle = handle;
    this.#size = [width, height];
    this.#fit = handle.fit();
    this.classes = handle.classes();
  }

  static async load(source, { rate = 0.001 } = {}) {
    await start();
    let bytes = source;
    if (typeof source === "string" || source instanceof URL) {
      const answer = await fetch(source);
      if (!answer.ok) throw new Error(`${source}: ${answer.status} ${answer.statusText}`);
      bytes = await answer.arrayBuffer();
    }
    return new Network(await Handle.load(new Uint8Array(bytes), rate));
  }

  // Pictures are taken at the call: what is drawn on a canvas afterwards is not seen.

  async run(picture) {
    const pixels = this.#pixels([picture]);
    return this.#next(() => this.#handle.run(pixels));
  }

  async train({ pictures, labels }) {
    if (pictures.length !== labels.length || !labels.every((label) => label >= 0 && label % 1 === 0)) {
      throw new RangeError(`${pictures.length} pictures, and labels ${labels}: a class's number for each`);
    }
    const [pixels, numbers] = [this.#pixels(pictures), Uint32Array.from(labels)];
    return this.#next(() => this.#handle.train(pixels, numbers));
  }

  save() {
    return this.#next(() => this.#handle.save());
  }

  free() {
    return this.#next(() => this.#handle.free());
  }

  #next(call) {
    const next = this.#last.then(call);
    this.#last = next.catch(() => {});
    return next;
  }

  /** RGBA bytes of pictures on black, fitted to the size of the network's. */
  #pixels(pictures) {
    const [width, height] = this.#size;
    // A picture of another site makes the canvas unreadable, this one alone.
    const context = new OffscreenCanvas(width, height)
      .getContext("2d", { alpha: false, willReadFrequently: true });
    context.imageSmoothingQuality = "high";
    const bytes = new Uint8Array(4 * width * height * pictures.length);
    pictures.forEach((picture, at) => {
      const [own, tall] = sizeOf(picture);
      const scales = [width / own, height / tall];
      const scale = this.#fit === "crop" ? Math.max(...scales) : Math.min(...scales);
      const [across, down] = this.#fit === "stretch" ? [width, height] : [scale * own, scale * tall];
      context.fillStyle = "#000";
      context.fillRect(0, 0, width, height);
      context.drawImage(picture, (width - across) / 2, (height - down) / 2, across, down);
      bytes.set(context.getImageData(0, 0, width, height).data, 4 * width * height * at);
    });
    return bytes;
  }
}
