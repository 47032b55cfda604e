// Puts the page together: the device, what runs on it, and each frame.

import { Layers } from "./layers.js";
import { Measure } from "./measure.js";
import { Pad } from "./pad.js";
import { Teach } from "./teach.js";
import { Train } from "./train.js";

const $ = (id) => document.getElementById(id);

/** Milliseconds of a frame that digits are drawn for. */
const DRAWING = 8;

let wasm = null;
let exported = null;
let device = null;
let digits = null;
let reader = null;
let layers = null;
let shipped = null;
let dirty = true;
let reading = false;
let answer = null;

/** Shows a message, with a button if there is something to be done; null takes it away. */
function say(text, button, action) {
  $("notice").hidden = text === null;
  // What is to be done is not put away.
  $("notice-close").hidden = Boolean(button);
  $("notice-text").textContent = text ?? "";
  $("notice-button").hidden = !button;
  $("notice-button").textContent = button ?? "";
  $("notice-button").onclick = action ?? null;
}

function loading(text, share) {
  $("loading").hidden = text === null;
  $("loading-text").textContent = text ?? "";
  if (share === undefined) $("loading-bar").removeAttribute("value");
  else $("loading-bar").value = share;
}

const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));

const pad = new Pad($("pad"), () => { dirty = true; });
/** What parts of the page say, and take back: not over what is to be done. */
const tell = (text) => {
  if ($("notice-button").hidden) say(text);
};
const train = new Train(tell, () => {
  const choice = document.querySelector("input[value=own]");
  choice.disabled = !train.snapshot;
  if (choice.checked && reader) {
    if (train.snapshot) takeOwn();
    else document.querySelector("input[value=shipped]").click();
  }
});
const teach = new Teach(tell);
// A GPU that is measured has nothing else to do: the other parts cannot be used meanwhile.
const others = ["draw", "train", "teach"].map($);
let trained = false;
const measure = new Measure(() => {
  trained = train.running;
  train.pause();
  for (const part of others) part.inert = true;
}, () => {
  for (const part of others) part.inert = false;
  // Unless it was reset meanwhile.
  if (trained && train.steps > 0) train.start();
});
$("notice-close").addEventListener("click", () => say(null));
// The browser asks before it leaves what only this page has.
addEventListener("beforeunload", (event) => {
  if (!train.isUnsaved && !measure.isUnsaved && teach.counts.every((count) => count === 0)) return;
  event.preventDefault();
  // What older browsers ask by.
  event.returnValue = true;
});
$("clear").addEventListener("click", () => pad.clear());
$("undo").addEventListener("click", () => pad.undo());

const bars = Array.from({ length: 10 }, (_, digit) => {
  const row = document.createElement("li");
  row.innerHTML = `${digit}<i></i><span></span>`;
  $("bars").append(row);
  return row;
});

function showAnswer(shares) {
  const most = shares.indexOf(Math.max(...shares));
  answer = { digit: most, share: shares[most] };
  shares.forEach((share, digit) => {
    bars[digit].style.setProperty("--share", share.toFixed(4));
    bars[digit].classList.toggle("most", digit === most);
    bars[digit].querySelector("span").textContent = `${(100 * share).toFixed(1)} %`;
  });
  $("answer-digit").textContent = most;
  $("answer-share").textContent = `with ${(100 * shares[most]).toFixed(1)} %`;
}

function showNothing() {
  answer = null;
  for (const bar of bars) {
    bar.style.setProperty("--share", 0);
    bar.classList.remove("most");
    bar.querySelector("span").textContent = "";
  }
  $("answer-digit").textContent = "\u00a0";
  $("answer-share").textContent = "nothing is drawn";
}

async function read() {
  dirty = false;
  reading = true;
  const asked = reader;
  try {
    const pixels = pad.pixels();
    const values = await asked.read(pixels);
    if (asked !== reader) return;
    layers.show(pixels, values);
    if (pixels.some((pixel) => pixel > 0)) showAnswer([...values.at(-1)]);
    else showNothing();
  } catch (error) {
    failed(error);
  } finally {
    if (asked === reader) reading = false;
  }
}

function takeOwn() {
  try {
    reader.take(train.snapshot);
    showFilters();
  } catch (error) {
    failed(error);
  }
}

function takeShipped() {
  try {
    reader.load(shipped);
    showFilters();
  } catch (error) {
    failed(error);
  }
}

async function showFilters() {
  dirty = true;
  try {
    layers.showFilters(await reader.filters());
  } catch (error) {
    failed(error);
  }
}

for (const choice of document.querySelectorAll("input[name=network]")) {
  choice.addEventListener("change", () => {
    if (!reader) return;
    if (choice.value === "own") takeOwn();
    else takeShipped();
  });
}

/** What went wrong is told; of a lost device the loop tells. */
function failed(error) {
  if (error.name === "DeviceLost" || !device || device.lost() !== undefined) return;
  train.running = false;
  say(`${error.message ?? error}`);
}

function each(now) {
  requestAnimationFrame(each);
  if (!device) return;
  const reason = device.lost();
  if (reason !== undefined) {
    lose(reason);
    return;
  }
  try {
    // The step at hand is made whole, and kept, before the GPU is left alone.
    if (!measure.isMeasuring || !train.isIdle) train.frame(now);
    if (measure.isMeasuring) return;
    teach.frame(now);
  } catch (error) {
    train.pause();
    failed(error);
  }
  if (reader && dirty && !reading) read();
}

function lose(reason) {
  const { steps } = train;
  train.close();
  teach.close();
  reader?.free();
  device.free();
  device = reader = null;
  // What was asked of a lost device may never be answered.
  reading = false;
  dirty = true;
  const kept = train.snapshot
    ? `Training stood at step ${steps}; it goes on from the last copy, which lacks at most ` +
      "the steps of a few seconds."
    : "Nothing was trained yet.";
  say(`The browser lost the GPU (${reason}). ${kept}`, "Go on", () => {
    say(null);
    open();
  });
}

/** Opens the device and all that runs on it. */
async function open() {
  try {
    loading("Asking the browser for its GPU");
    const opened = await wasm.Device.open();
    const told = (what) => (done, total) => loading(`${what}: ${done} of ${total}`, done / total);
    reader = await wasm.Reader.open(opened, shipped, told("Compute pipelines that read"));
    layers ??= new Layers($("maps"), $("seen"), $("seen-text"), reader.layers());
    device = opened;
    await showFilters();
    if (train.snapshot && document.querySelector("input[value=own]").checked) takeOwn();
    for (;;) {
      const share = digits.draw(DRAWING);
      if (share === 1) break;
      loading("Drawing digits to train on", share);
      await frame();
    }
    await train.open(wasm, opened, digits, told("Compute pipelines that train"));
    await teach.open(wasm, opened, shipped, told("Compute pipelines that are taught"));
    loading(null);
  } catch (error) {
    loading(null);
    if (device?.lost() !== undefined) return;
    say(explain(error), "Try again", () => {
      say(null);
      open();
    });
  }
}

function explain(error) {
  if (error.name === "NoAdapter") {
    return "This browser has WebGPU, but gives no GPU. In Chrome, chrome://gpu says why; often " +
      "the driver is old or on the browser's list of those that are left out.";
  }
  return `${error.message ?? error}`;
}

async function describe() {
  const info = (await navigator.gpu.requestAdapter())?.info;
  if (!info) return;
  // A processor that computes as a GPU does nothing else in a frame.
  if (info.isFallbackAdapter) train.budget = 16;
  const words = [info.description, info.vendor, info.architecture].filter(Boolean);
  const name = words.join(", ") || "a GPU that the browser does not name";
  $("device").textContent = `Runs on ${name}.`;
}

async function begin() {
  if (!isSecureContext) {
    say("Browsers give WebGPU to pages over https or from this machine alone; this one came over " +
      "plain http.");
    return;
  }
  if (!navigator.gpu) {
    say("This browser has no WebGPU, which the network runs on. Chrome and Edge have it from 113 " +
      "on, Safari from 26 on, Firefox from 141 on Windows and 145 on macOS; on Linux Chrome may " +
      "need chrome://flags/#enable-unsafe-webgpu.");
    return;
  }
  try {
    loading("Loading the program");
    const fetched = fetch("lenet5.safetensors");
    wasm = await import("./striate_web.js");
    exported = await wasm.default();
    const answered = await fetched;
    if (!answered.ok) throw new Error(`lenet5.safetensors: ${answered.status}`);
    shipped = new Uint8Array(await answered.arrayBuffer());
    digits = new wasm.Digits();
  } catch (error) {
    loading(null);
    say(`The page did not load whole: ${error.message ?? error}`, "Load again",
      () => location.reload());
    return;
  }
  describe();
  await open();
  measure.open();
  requestAnimationFrame(each);
}

/** What a console, and the test of the page, may look at. */
globalThis.striate = {
  train,
  teach,
  measure,
  pad,
  get answer() { return answer; },
  get isReading() { return reading || dirty; },
  get programBytes() { return exported?.memory.buffer.byteLength; },
  loseDevice: () => device?.destroy(),
};

// The page is painted before its program is asked for.
requestAnimationFrame(() => setTimeout(begin));
