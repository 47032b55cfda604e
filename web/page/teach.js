// The part in which classes of one's own are taught: drawings, or pictures of a camera.

import { Camera } from "./camera.js";
import { Pad } from "./pad.js";
import { strengths, onTheme, words } from "./theme.js";

const $ = (id) => document.getElementById(id);

const CLASSES = 3;
const SIDE = 28;
const PLANE = SIDE * SIDE;
/** Steps of a frame. */
const STEPS = 4;
/** Milliseconds between two looks at the camera, and two pictures while a button is held. */
const LOOK_EVERY = 80;
const ADD_EVERY = 150;

/** A grey picture as red, green and blue. */
function coloured(grey) {
  const planes = new Uint8Array(3 * PLANE);
  for (let plane = 0; plane < 3; plane++) planes.set(grey, plane * PLANE);
  return planes;
}

/** Sets a text where it differs: what is read aloud is to be said once. */
function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Paints three planes; those of a drawing in the page's colours. */
function paint(canvas, planes, drawn) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(SIDE, SIDE);
  const [ramp, painted] = [strengths(), words(image)];
  for (let at = 0; at < PLANE; at++) {
    const [red, green, blue] = [0, 1, 2].map((plane) => planes[plane * PLANE + at]);
    painted[at] = drawn ? ramp[red] : ((0xff << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  }
  context.putImageData(image, 0, 0);
}

export class Teach {
  /** How the pictures were read when they were last looked through: `[class][read as]`. */
  kept = null;
  learnt = null;
  /** The probability of each class for what is shown. */
  shares = null;
  /** The planes that were looked at last. */
  pixels = null;

  #say;
  #teacher = null;
  #most = 0;
  #every = 0;
  /** Of each class its pictures: planes, what the trunk makes of them, and whether drawn. */
  #pictures = Array.from({ length: CLASSES }, () => []);
  #cards = [];
  #pad;
  #camera = new Camera($("teach-video"), () => this.#withoutCamera("The camera ended."));
  #dirty = true;
  #looking = false;
  #lookedAt = 0;
  #judging = false;
  /** Counts the times that pictures were taken away: what was judged before is out of date. */
  #round = 0;
  /** Whether learning failed; it is tried again once pictures change. */
  #stuck = false;
  /** The class whose button is held and since when, that which is to have one picture, and when the
   *  last was taken. */
  #held = null;
  #heldAt = null;
  #once = null;
  #addedAt = 0;
  /** Whether a drawing is being added. */
  #adding = false;

  constructor(say) {
    this.#say = say;
    this.#pad = new Pad($("teach-pad"), () => { this.#dirty = true; }, []);
    $("teach-clear").addEventListener("click", () => this.#pad.clear());
    for (const choice of document.querySelectorAll("input[name=teach-from]")) {
      choice.addEventListener("change", () => this.#choose(choice.value));
    }
    for (let at = 0; at < CLASSES; at++) this.#cards.push(this.#card(at));
    $("classes").append(...this.#cards.map((card) => card.box));
    document.addEventListener("visibilitychange", () => this.#hide());
    onTheme(() => this.#paintAll());
    this.#tell();
  }

  /** Pictures of each class. */
  get counts() {
    return this.#pictures.map((pictures) => pictures.length);
  }

  /** Whether all that was added is learnt. */
  get isSettled() {
    return this.#teacher !== null && this.#teacher.due() === 0 && !this.#judging &&
      !this.#looking && !(this.#dirty && !this.fromCamera);
  }

  get fromCamera() {
    return this.#camera.isOpen;
  }

  /** Has a device to run on; what was taught before is taught again. */
  async open(wasm, device, file, progress) {
    this.close();
    const teacher = await wasm.Teacher.open(device, file, progress);
    this.#most = wasm.Teacher.most();
    this.#every = wasm.Teacher.kept_every();
    this.#pictures.forEach((pictures, at) => {
      for (const picture of pictures) teacher.add(at, picture.features);
    });
    this.#teacher = teacher;
    this.#dirty = true;
    this.#tell();
  }

  /** Gives up a device that is lost. */
  close() {
    this.#teacher?.free();
    this.#teacher = null;
    this.#looking = this.#judging = this.#adding = this.#stuck = false;
    this.#held = this.#once = null;
    this.#tell();
  }

  /** What a class is called. */
  #nameOf(at) {
    return this.#cards[at].name.value.trim() || `Class ${at + 1}`;
  }

  #card(at) {
    const box = document.createElement("div");
    box.className = "class";
    const name = document.createElement("input");
    name.value = ["One", "Two", "Three"][at];
    name.maxLength = 16;
    name.setAttribute("aria-label", `Name of class ${at + 1}`);
    name.addEventListener("input", () => this.#tell());
    const add = document.createElement("button");
    add.type = "button";
    add.className = "add";
    const clear = document.createElement("button");
    clear.type = "button";
    clear.textContent = "Empty";
    const count = document.createElement("span");
    count.className = "hint";
    const pictures = document.createElement("div");
    pictures.className = "pictures";
    const bar = document.createElement("p");
    bar.className = "bar";
    bar.innerHTML = "<i></i><span></span>";
    const buttons = document.createElement("div");
    buttons.className = "row";
    buttons.append(add, clear, count);
    box.append(name, bar, buttons, pictures);

    clear.addEventListener("click", () => this.#empty(at));
    // A drawing is added by a click, a camera's pictures while it is held: a short one adds one.
    add.addEventListener("click", () => {
      if (!this.fromCamera) this.#addDrawing(at);
      else if (this.#heldAt === null || this.#addedAt < this.#heldAt) this.#once = at;
      this.#heldAt = null;
    });
    const hold = (event) => {
      if (!this.fromCamera || event.button > 0 || event.repeat) return;
      this.#held = at;
      this.#heldAt = performance.now();
    };
    // Another button may be held by now.
    const release = () => { if (this.#held === at) this.#held = null; };
    add.addEventListener("pointerdown", hold);
    for (const end of ["pointerup", "pointercancel", "pointerleave", "blur"]) {
      add.addEventListener(end, release);
    }
    add.addEventListener("keydown", (event) => {
      if (event.key === " " || event.key === "Enter") hold(event);
    });
    add.addEventListener("keyup", release);
    return { box, name, add, clear, count, pictures, bar };
  }

  async #choose(from) {
    this.#held = this.#once = null;
    this.shares = null;
    $("teach-hint").textContent = from === "camera" ? "" : "Draw something, and add it to a class.";
    if (from === "camera") {
      try {
        await this.#camera.open();
      } catch (error) {
        this.#withoutCamera(this.#camera.explain(error));
      }
    } else {
      this.#camera.close();
    }
    this.#dirty = true;
    this.#tell();
  }

  /** Goes back to drawings, and says why. */
  #withoutCamera(why) {
    const drawing = document.querySelector("input[name=teach-from][value=drawing]");
    if (!drawing.checked) {
      drawing.checked = true;
      this.#choose("drawing");
    }
    $("teach-hint").textContent = why;
  }

  /** A page that is hidden does not watch. */
  async #hide() {
    if (document.hidden) {
      this.#camera.pause();
      this.#held = this.#once = null;
      return;
    }
    try {
      await this.#camera.resume();
    } catch (error) {
      this.#withoutCamera(this.#camera.explain(error));
    }
    this.#tell();
  }

  async #addDrawing(at) {
    const grey = this.#pad.pixels();
    if (!this.#teacher || this.#adding || !grey.some((pixel) => pixel > 0)) return;
    const [teacher, planes] = [this.#teacher, coloured(grey)];
    this.#adding = true;
    try {
      const [features] = await teacher.look(planes);
      if (teacher !== this.#teacher) return;
      this.#add(at, planes, features, true);
      // What was drawn meanwhile stays.
      if (this.#pad.pixels().every((pixel, k) => pixel === grey[k])) this.#pad.clear();
    } catch (error) {
      this.#failed(teacher, error);
    } finally {
      if (teacher === this.#teacher) this.#adding = false;
    }
  }

  #add(at, planes, features, drawn) {
    if (!this.#teacher.add(at, features)) return;
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = SIDE;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `Picture ${this.#pictures[at].length + 1}`);
    paint(canvas, planes, drawn);
    const isKept = (this.#pictures[at].length + 1) % this.#every === 0;
    canvas.classList.toggle("kept", isKept);
    if (isKept) canvas.title = "kept back";
    if (this.#stuck) this.#say(null);
    this.#pictures[at].push({ planes, features, drawn, canvas });
    this.#cards[at].pictures.append(canvas);
    this.#stuck = false;
    this.#dirty = true;
    this.#tell();
  }

  #empty(at) {
    this.#pictures[at] = [];
    this.#cards[at].pictures.replaceChildren();
    this.kept = this.learnt = null;
    this.#round += 1;
    if (this.#stuck) this.#say(null);
    this.#stuck = false;
    this.#dirty = true;
    try {
      this.#teacher?.clear(at);
    } catch (error) {
      this.#failed(this.#teacher, error);
    }
    this.#tell();
  }

  /** Of a lost device, and of one that was given up, the page tells elsewhere. */
  #failed(teacher, error) {
    if (error.name === "DeviceLost" || teacher !== this.#teacher) return;
    this.#say(`${error.message ?? error}`);
  }

  /** A frame: learns some steps, and looks at what is shown. */
  frame(now) {
    const teacher = this.#teacher;
    if (!teacher) return;
    if (!this.#judging && !this.#stuck && teacher.due() > 0) this.#learn(teacher);
    const due = this.fromCamera ? now - this.#lookedAt > LOOK_EVERY : this.#dirty;
    if (due && !this.#looking) this.#look(teacher, now);
  }

  async #learn(teacher) {
    const round = this.#round;
    this.#judging = true;
    try {
      const counts = await teacher.frame(STEPS);
      if (teacher !== this.#teacher || round !== this.#round || !counts) return;
      const rows = Array.from({ length: 2 * CLASSES }, (_, row) =>
        [...counts.subarray(row * CLASSES, (row + 1) * CLASSES)]);
      this.learnt = rows.slice(0, CLASSES);
      this.kept = rows.slice(CLASSES);
      // What is shown is read anew.
      this.#dirty = true;
      this.#tell();
    } catch (error) {
      if (teacher === this.#teacher) this.#stuck = true;
      this.#failed(teacher, error);
    } finally {
      if (teacher === this.#teacher) this.#judging = false;
    }
  }

  async #look(teacher, now) {
    const live = this.fromCamera;
    const planes = live ? this.#camera.pixels() : coloured(this.#pad.pixels());
    this.#dirty = false;
    if (!planes) return;
    this.#lookedAt = now;
    this.#looking = true;
    try {
      const [features, shares] = await teacher.look(planes);
      if (teacher !== this.#teacher || live !== this.fromCamera) return;
      const empty = !live && !planes.some((pixel) => pixel > 0);
      this.pixels = planes;
      this.shares = empty ? null : [...shares];
      const to = this.#once ?? this.#held;
      if (live && to !== null && (this.#once !== null || now - this.#addedAt > ADD_EVERY)) {
        this.#addedAt = now;
        this.#once = null;
        this.#add(to, planes, features, false);
      }
      this.#tell();
    } catch (error) {
      this.#failed(teacher, error);
    } finally {
      if (teacher === this.#teacher) this.#looking = false;
    }
  }

  #paintAll() {
    for (const { canvas, planes, drawn } of this.#pictures.flat()) paint(canvas, planes, drawn);
  }

  #tell() {
    const live = this.fromCamera;
    $("teach-pad").hidden = $("teach-clear").hidden = live;
    $("teach-video").hidden = !live;
    const counts = this.counts;
    const taught = counts.filter((count) => count > 0).length;
    const most = taught >= 2 && this.shares ? this.shares.indexOf(Math.max(...this.shares)) : -1;
    this.#cards.forEach((card, at) => {
      card.add.disabled = !this.#teacher || counts[at] >= this.#most;
      // A button that is disabled may not tell that it is let go.
      if (card.add.disabled && this.#held === at) this.#held = null;
      set(card.add, live ? "Hold to add" : "Add drawing");
      const adds = live ? "Add pictures" : "Add the drawing";
      card.add.setAttribute("aria-label", `${adds} to ${this.#nameOf(at)}`);
      card.clear.setAttribute("aria-label", `Empty ${this.#nameOf(at)}`);
      card.clear.disabled = counts[at] === 0;
      set(card.count, counts[at] === 0 ? "" : `${counts[at]} of ${this.#most}`);
      card.box.classList.toggle("most", at === most);
      const share = most < 0 ? 0 : this.shares[at];
      card.bar.style.setProperty("--share", share.toFixed(4));
      set(card.bar.querySelector("span"), most < 0 ? "" : `${(100 * share).toFixed(0)} %`);
    });
    const waits = taught === 0 ? "Nothing is taught yet."
      : taught === 1 ? "It needs pictures of two classes at least."
        : live ? "The camera opens." : "Draw something: it is read.";
    set($("teach-answer"), most < 0 ? waits : this.#nameOf(most));
    $("teach-answer").classList.toggle("hint", most < 0);
    this.#tellConfusion();
  }

  #tellConfusion() {
    const kept = this.kept;
    const all = kept ? kept.flat().reduce((sum, count) => sum + count, 0) : 0;
    $("confusion").hidden = all === 0;
    if (all === 0) {
      set($("kept-text"), "Every fourth picture of a class is kept back and never learnt " +
        "from: it shows whether the others taught anything.");
      return;
    }
    const right = kept.reduce((sum, row, at) => sum + row[at], 0);
    set($("kept-text"), `Of ${all} pictures that were kept back ${right} are read rightly ` +
      `(${(100 * right / all).toFixed(0)} %).`);
    // A class without pictures is not asked for, nor answered.
    const classes = this.#cards.map((_, at) => at).filter((at) => this.counts[at] > 0);
    const names = classes.map((at) => this.#nameOf(at));
    const cells = (tag, texts) => texts.map((text, at) => {
      const cell = document.createElement(at === 0 ? "th" : tag);
      if (cell.tagName === "TH") cell.scope = at === 0 ? "row" : "col";
      cell.textContent = text;
      return cell;
    });
    const rows = [cells("th", ["read as", ...names]),
      ...classes.map((at, row) => cells("td", [names[row], ...classes.map((as) => kept[at][as])]))];
    $("confusion").replaceChildren(...rows.map((row, at) => {
      const line = document.createElement("tr");
      if (at > 0) row[at].classList.add("right");
      line.append(...row);
      return line;
    }));
  }
}
