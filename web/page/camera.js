// A camera, and pictures of it.

const SIDE = 28;

export class Camera {
  #video;
  #ended;
  #stream = null;
  /** The last asking, until it is answered or called off. */
  #asked = null;
  /** Whether it is let go until the page is seen again. */
  #paused = false;

  /** `ended` is called when the camera ends by itself. */
  constructor(video, ended) {
    this.#video = video;
    this.#ended = ended;
  }

  /** Whether pictures come of it, or will once the page is seen again. */
  get isOpen() {
    return this.#stream !== null || this.#paused;
  }

  /** Asks the visitor for it; whether it is open then: it is not if it was closed meanwhile. */
  async open() {
    if (!navigator.mediaDevices) throw new Error("this browser has none for the page");
    const asked = {};
    this.#asked = asked;
    const stream = await navigator.mediaDevices.getUserMedia({
      video: { width: { ideal: 320 }, height: { ideal: 240 } },
    });
    if (asked !== this.#asked) {
      for (const track of stream.getTracks()) track.stop();
      return false;
    }
    this.#stream = stream;
    for (const track of stream.getTracks()) {
      track.onended = () => {
        if (stream !== this.#stream) return;
        this.close();
        this.#ended();
      };
    }
    this.#video.srcObject = stream;
    try {
      await this.#video.play();
    } catch (error) {
      if (asked !== this.#asked) return false;
      this.close();
      throw error;
    }
    return asked === this.#asked;
  }

  close() {
    this.#asked = null;
    this.#paused = false;
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = null;
    this.#video.srcObject = null;
  }

  /** Lets it go until `resume`. */
  pause() {
    if (!this.#stream && !this.#asked) return;
    this.close();
    this.#paused = true;
  }

  /** Asks for it again if it was let go; whether it is open then. */
  async resume() {
    if (!this.#paused) return this.isOpen;
    this.#paused = false;
    return this.open();
  }

  /** Why it did not open, in words. */
  explain(error) {
    const why = {
      NotAllowedError: "the browser does not allow it",
      NotFoundError: "there is none",
      NotReadableError: "another program uses it",
    };
    const reason = why[error.name] ?? error.message;
    return `The camera did not open: ${reason}. Drawings work without it.`;
  }

  /** Red, green and blue planes of the square in the middle; null before the first picture. */
  pixels() {
    const { videoWidth: width, videoHeight: height } = this.#video;
    if (!this.#stream || width === 0) return null;
    const side = Math.min(width, height);
    const context = this.#raster.getContext("2d", { willReadFrequently: true });
    context.imageSmoothingQuality = "high";
    context.drawImage(
      this.#video, (width - side) / 2, (height - side) / 2, side, side, 0, 0, SIDE, SIDE);
    const { data } = context.getImageData(0, 0, SIDE, SIDE);
    const plane = SIDE * SIDE;
    const planes = new Uint8Array(3 * plane);
    for (let at = 0; at < plane; at++) {
      for (let colour = 0; colour < 3; colour++) {
        planes[colour * plane + at] = data[4 * at + colour];
      }
    }
    return planes;
  }

  #raster = new OffscreenCanvas(SIDE, SIDE);
}
