// The part in which the network is trained.

import { Chart } from "./chart.js";
import { onTheme, strengths, words } from "./theme.js";

const $ = (id) => document.getElementById(id);
const percent = (share) => `${(100 * share).toFixed(1)} %`;

/** Milliseconds between two tests, and between two snapshots. */
const TEST_EVERY = 1500;
const KEEP_EVERY = 2000;
/** Steps that are told one by one: the loss falls fastest there. */
const FIRST = 32;
/** The most steps of a frame. */
const MOST = 256;
/** Pictures that are wrong, as many as are shown. */
const SHOWN = 36;
/** Pictures that are trained on. */
const IMAGES = 4000;

/** A picture that is wrong. What it shows already is not painted again. */
class Cell {
  #context;
  #text = document.createElement("span");
  #shown = [];

  constructor(side) {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = side;
    canvas.setAttribute("role", "img");
    this.#context = canvas.getContext("2d");
    this.box = document.createElement("div");
    this.box.append(canvas, this.#text);
  }

  show(number, label, read, digits, ramp) {
    const [shownNumber, shownRead, shownRamp] = this.#shown;
    const { canvas } = this.#context;
    if (shownNumber !== number || shownRamp !== ramp) {
      const image = this.#context.createImageData(canvas.width, canvas.height);
      words(image).set(Uint32Array.from(digits.picture(number), (pixel) => ramp[pixel]));
      this.#context.putImageData(image, 0, 0);
    }
    if (shownNumber !== number || shownRead !== read) {
      canvas.setAttribute("aria-label", `A ${label} that is read as ${read}`);
      this.#text.innerHTML = `${label} → <b>${read}</b>`;
    }
    this.#shown = [number, read, ramp];
  }
}

export class Train {
  /** Losses as they came: step and mean loss. */
  losses = [];
  /** The last test: step and share that is right. */
  tested = null;
  running = false;
  steps = 0;

  #wasm;
  #say;
  #kept;
  #device = null;
  #digits = null;
  #trainer = null;
  #rate = null;
  #snapshot = null;
  /** Steps when the weights were last saved, or loaded. */
  #savedAt = 0;
  #keeping = false;
  #keptAt = 0;
  #testedAt = 0;
  #askedAt = null;
  #patience = TEST_EVERY;
  #mean = null;
  #share = null;
  #counted = [];
  #wrong = [];
  #cells = [];
  #busy = false;
  #loss = new Chart($("loss"), {
    series: [["--faint", 1], ["--accent", 2]],
    top: null,
    show: (value) => String(Number(value.toPrecision(3))),
  });
  #accuracy = new Chart($("accuracy"), {
    series: [["--accent", 2], ["--second", 2]],
    top: 1,
    show: (value) => `${Math.round(100 * value)} %`,
  });

  /** `say` shows a message, `kept` is called when there is another snapshot, or none any more. */
  constructor(say, kept) {
    this.#say = say;
    this.#kept = kept;
    $("run").addEventListener("click", () => (this.running ? this.pause() : this.start()));
    $("reset").addEventListener("click", () => this.#begin(null));
    $("save").addEventListener("click", () => this.#save());
    $("load").addEventListener("change", () => this.#load());
    $("rate").addEventListener("input", () => this.#setRate(10 ** Number($("rate").value)));
    $("budget").addEventListener("input", () => this.#setBudget());
    onTheme(() => {
      if (this.tested) this.#paintWrong();
    });
    this.#setBudget();
  }

  /** Has a device to run on, from a snapshot if there is one. */
  async open(wasm, device, digits, progress) {
    this.#wasm = wasm;
    this.#device = device;
    this.#digits = digits;
    if (this.#rate === null) {
      // The slider shows about this; what it is set to counts once it is moved.
      $("rate").value = Math.log10(wasm.rate());
      this.#setRate(wasm.rate());
    }
    const { Trainer } = wasm;
    const trainer = this.#snapshot
      ? await Trainer.resume(device, digits, this.#snapshot, progress)
      : await Trainer.open(device, digits, undefined, progress);
    this.#take(trainer);
  }

  /** Whether nothing is under way any more after a pause, and what was made is kept. */
  get isIdle() {
    const kept = this.steps === 0 || (this.#keptAt !== 0 && !this.#keeping);
    return !this.running && kept && (this.#trainer?.is_idle() ?? false);
  }

  /** What training goes on from when a device is lost; null before it trained or was loaded. */
  get snapshot() {
    return this.#snapshot;
  }

  /** Whether something was trained that no file has. */
  get isUnsaved() {
    return this.steps > 0 && this.steps !== this.#savedAt;
  }

  /** Gives up a device that is lost. */
  close() {
    this.running = this.#keeping = this.#busy = false;
    this.#trainer?.free();
    this.#trainer = null;
    this.#enable(false);
  }

  #take(trainer) {
    this.#trainer?.free();
    this.#trainer = trainer;
    this.steps = trainer.steps();
    // What was made after a snapshot is made again.
    const last = this.steps > 0 ? this.steps : -1;
    this.losses = this.losses.filter(([step]) => step <= last);
    this.#loss.cut(last);
    this.#accuracy.cut(last);
    this.#counted = [];
    $("fact-speed").textContent = "–";
    this.#askedAt = null;
    this.#keeping = false;
    trainer.set_rate(this.#rate);
    trainer.request_test();
    this.#enable(true);
    this.#tell();
  }

  #enable(on) {
    const usable = on && !this.#busy;
    for (const id of ["run", "reset", "save", "load"]) $(id).disabled = !usable;
    $("load-label").classList.toggle("disabled", !usable);
    $("run").textContent = this.running ? "Pause" : this.steps > 0 ? "Go on" : "Start";
  }

  start() {
    if (!this.#trainer) return;
    this.#say(null);
    this.running = true;
    this.#counted = [];
    this.#enable(true);
  }

  pause() {
    if (!this.running) return;
    this.running = false;
    this.#trainer?.request_test();
    this.#keptAt = 0;
    this.#enable(true);
  }

  #setRate(rate) {
    this.#rate = rate;
    $("rate-text").value = rate.toPrecision(2);
    this.#trainer?.set_rate(rate);
  }

  /** Milliseconds of each frame that the network may take of the device. */
  set budget(milliseconds) {
    $("budget").value = milliseconds;
    this.#setBudget();
  }

  #setBudget() {
    $("budget-text").value = `${$("budget").value} ms`;
  }

  /**
   * Begins anew: with the network of a file, or with one as it is drawn. What is under way goes on
   * until then, and where it fails.
   */
  async #begin(file) {
    const before = this.#trainer;
    if (this.#busy || !before) return;
    this.#busy = true;
    this.#say(null);
    this.#enable(false);
    let trainer = null;
    try {
      trainer = await this.#wasm.Trainer.open(
        this.#device, this.#digits, file ?? undefined, () => {});
      const snapshot = file ? await trainer.snapshot() : null;
      if (before !== this.#trainer) {
        // The device was lost meanwhile.
        trainer.free();
        snapshot?.free();
        return;
      }
      this.running = this.#busy = false;
      this.#setSnapshot(snapshot);
      this.#keptAt = this.#savedAt = 0;
      this.tested = null;
      this.#mean = this.#share = null;
      this.#wrong = [];
      this.#paintWrong();
      this.#take(trainer);
    } catch (error) {
      if (trainer !== this.#trainer) trainer?.free();
      // Of a device that is lost the page tells elsewhere.
      if (before !== this.#trainer) return;
      this.#busy = false;
      this.#say(file ? `The file was not loaded: ${error.message}` : error.message);
      this.#enable(true);
    }
  }

  async #save() {
    try {
      const [trainer, steps] = [this.#trainer, this.steps];
      const bytes = await trainer.file();
      if (trainer === this.#trainer) this.#savedAt = steps;
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([bytes]));
      link.download = "lenet5.safetensors";
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    } catch (error) {
      this.#say(`Nothing was saved: ${error.message}`);
    }
  }

  async #load() {
    const [file] = $("load").files;
    if (!file) return;
    const bytes = new Uint8Array(await file.arrayBuffer());
    // The same file may be chosen again.
    $("load").value = "";
    await this.#begin(bytes);
  }

  /** A frame: submits some milliseconds of work, and shows what has arrived. */
  frame(now) {
    const trainer = this.#trainer;
    if (!trainer) return;
    if (this.running && this.#askedAt === null && now - this.#testedAt > this.#patience) {
      trainer.request_test();
      this.#askedAt = now;
    }
    if (this.running || !trainer.is_idle()) {
      const most = this.steps < FIRST ? 1 : MOST;
      trainer.frame(Number($("budget").value), this.running ? most : 0);
      this.steps = trainer.steps();
    }
    this.#news(trainer, now);
    // After a pause once more, when the step at hand is whole.
    const due = this.running ? now - this.#keptAt > KEEP_EVERY
      : this.#keptAt === 0 && trainer.is_idle();
    if (this.steps > 0 && due) this.#keep(now);
    this.#loss.paint();
    this.#accuracy.paint();
  }

  #news(trainer, now) {
    const points = trainer.points();
    for (let at = 0; at < points.length; at += 4) {
      const [step, loss, correct, images] = points.subarray(at, at + 4);
      this.losses.push([step, loss]);
      const share = correct / images;
      // Means over about 20 points.
      this.#mean = this.#mean === null ? loss : this.#mean + 0.1 * (loss - this.#mean);
      this.#share = this.#share === null ? share : this.#share + 0.1 * (share - this.#share);
      this.#loss.add(0, step, loss);
      this.#loss.add(1, step, this.#mean);
      this.#accuracy.add(0, step, this.#share);
      this.#counted.push([now, images]);
      if (!Number.isFinite(loss) && this.running) {
        this.pause();
        this.#say("The loss is no number any more: reset, and take a lower learning rate.");
      }
    }
    const test = trainer.answers();
    if (test) {
      this.tested = { step: test.step(), accuracy: test.accuracy() };
      this.#accuracy.add(1, this.tested.step, this.tested.accuracy);
      const wrong = test.wrong();
      this.#wrong = [];
      for (let at = 0; at < wrong.length; at += 3) this.#wrong.push(wrong.subarray(at, at + 3));
      test.free();
      this.#paintWrong();
      // Tests take at most a tenth of the time.
      if (this.#askedAt !== null) {
        this.#patience = Math.max(TEST_EVERY, 9 * (now - this.#askedAt));
      }
      this.#askedAt = null;
      this.#testedAt = now;
    }
    if (points.length > 0 || test) this.#tell();
  }

  #tell() {
    $("fact-steps").textContent = this.steps.toLocaleString("en");
    $("fact-epochs").textContent = ((this.steps * this.#wasm.batch()) / IMAGES).toFixed(1);
    $("fact-accuracy").textContent = this.tested ? percent(this.tested.accuracy) : "–";
    const [first, last] = [this.#counted[0], this.#counted.at(-1)];
    if (first && last[0] > first[0]) {
      const images = this.#counted.slice(1).reduce((sum, [, images]) => sum + images, 0);
      const speed = (1000 * images) / (last[0] - first[0]);
      $("fact-speed").textContent = Math.round(speed).toLocaleString("en");
      while (last[0] - this.#counted[0][0] > 3000) this.#counted.shift();
    }
  }

  #setSnapshot(snapshot) {
    this.#snapshot?.free();
    this.#snapshot = snapshot;
    this.#kept();
  }

  async #keep(now) {
    if (this.#keeping) return;
    this.#keeping = true;
    this.#keptAt = now;
    const trainer = this.#trainer;
    try {
      const snapshot = await trainer.snapshot();
      if (trainer === this.#trainer) {
        this.#setSnapshot(snapshot);
      } else {
        snapshot.free();
      }
    } catch {
      // The device is lost, which is told elsewhere; the one before is kept.
    } finally {
      if (trainer === this.#trainer) this.#keeping = false;
    }
  }

  #paintWrong() {
    const box = $("wrong");
    $("wrong-count").textContent = this.tested
      ? `${this.#wrong.length} of 500 after ${this.tested.step} steps` : "";
    const shown = this.tested ? this.#wrong.slice(0, SHOWN) : [];
    while (this.#cells.length > shown.length) this.#cells.pop();
    const [side, ramp] = [this.#wasm.side(), strengths()];
    shown.forEach(([number, label, read], at) => {
      this.#cells[at] ??= new Cell(side);
      this.#cells[at].show(number, label, read, this.#digits, ramp);
    });
    box.replaceChildren(...this.#cells.map((cell) => cell.box));
  }
}
