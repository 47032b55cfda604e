// The page in a browser: `node web/tests/page.mjs URL LOSSES [PICTURES]`, as `.ci/web` runs it.
//
// URL is the page's, LOSSES a file with the first losses of the CPU reference, PICTURES a folder
// for screenshots of both parts, narrow and wide, light and dark. `CHROMIUM` is the browser.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [url, losses, pictures] = process.argv.slice(2);
const reference = JSON.parse(readFileSync(losses, "utf8"));

/** The longest gap between two frames while the page trains, in milliseconds. */
const GAP = 100;
/** Milliseconds of each frame for which a software adapter computes. */
const BUDGET = 16;
/** How long anything may take: other programs may want the processor too. */
const PATIENCE = 600_000;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader",
    "--enable-features=Vulkan"],
});

const faults = [];

/** A page that is ready to train. */
async function opened(options = {}, script = null, ready = true) {
  const context = await browser.newContext({ viewport: { width: 1400, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  page.on("pageerror", (error) => faults.push(error.stack ?? String(error)));
  page.on("console", (message) => {
    if (message.type() === "error") faults.push(message.text());
  });
  if (script) await page.addInitScript(script);
  await page.goto(url);
  if (ready) await page.waitForFunction(() => !document.getElementById("run").disabled);
  return page;
}

/** Draws strokes with the mouse, in shares of the drawing area. */
async function drawn(page, strokes) {
  await page.locator("#clear").click();
  await page.locator("#pad").scrollIntoViewIfNeeded();
  const box = await page.locator("#pad").boundingBox();
  const place = ([x, y]) => [box.x + x * box.width, box.y + y * box.height];
  for (const [first, ...others] of strokes) {
    await page.mouse.move(...place(first));
    await page.mouse.down();
    for (const point of others) await page.mouse.move(...place(point), { steps: 4 });
    await page.mouse.up();
  }
  return answered(page);
}

/** What the network reads, once it has read the last stroke. */
async function answered(page) {
  await page.waitForFunction(() => !striate.isReading);
  return page.evaluate(() => striate.answer);
}

const at = (page, what) => page.evaluate((what) => striate.train[what], what);
const tested = (page) => at(page, "tested");
const steps = (page) => at(page, "steps");

async function trainedTo(page, step) {
  await page.waitForFunction((step) => striate.train.steps >= step, step);
}

async function paused(page) {
  await page.locator("#run").click();
  const at = await steps(page);
  // The test that a pause asks for.
  await page.waitForFunction((at) => striate.train.tested?.step >= at, at);
}

/** Watches the gaps between frames until its result is called. */
async function watched(page) {
  await page.evaluate(() => {
    const watch = { gaps: [], last: performance.now(), on: true };
    globalThis.watch = watch;
    requestAnimationFrame(function each(now) {
      watch.gaps.push(now - watch.last);
      watch.last = now;
      if (watch.on) requestAnimationFrame(each);
    });
  });
  return () => page.evaluate(() => {
    watch.on = false;
    const gaps = watch.gaps.slice(2).sort((a, b) => a - b);
    const within = (share) => gaps[Math.floor(share * (gaps.length - 1))];
    return { frames: gaps.length, middle: within(0.5), most: within(0.99), longest: gaps.at(-1) };
  });
}

const tests = {
  async "digits that are drawn are read"() {
    const page = await opened();
    const first = await answered(page);
    assert.equal(first.digit, 3, "the digit that the page begins with");
    const ring = Array.from({ length: 25 }, (_, k) => {
      const angle = (2 * Math.PI * k) / 24;
      return [0.5 - 0.2 * Math.sin(angle), 0.5 - 0.3 * Math.cos(angle)];
    });
    const digits = {
      0: [ring],
      1: [[[0.52, 0.2], [0.48, 0.8]]],
      2: [[[0.32, 0.32], [0.4, 0.22], [0.55, 0.2], [0.65, 0.3], [0.6, 0.45], [0.45, 0.62],
        [0.32, 0.78], [0.5, 0.78], [0.7, 0.77]]],
      4: [[[0.38, 0.2], [0.3, 0.5], [0.68, 0.5]], [[0.6, 0.22], [0.58, 0.82]]],
      7: [[[0.28, 0.24], [0.7, 0.24], [0.45, 0.82]]],
    };
    for (const [digit, strokes] of Object.entries(digits)) {
      const answer = await drawn(page, strokes);
      assert.equal(answer.digit, Number(digit), JSON.stringify(answer));
    }
    // Feature maps follow: the canvas of the first layer is not of one colour.
    const colours = await page.evaluate(() => {
      const canvas = document.querySelectorAll(".layer canvas")[1];
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      return new Set(new Uint32Array(data.buffer)).size;
    });
    assert.ok(colours > 20, `${colours} colours`);
    await page.locator(".layer canvas").nth(3).click({ position: { x: 20, y: 20 } });
    assert.match(await page.locator("#seen-text").textContent(), /^Map 1 of convolution 2/);

    await page.locator("#pad").focus();
    await page.keyboard.press("Delete");
    await page.waitForFunction(() => !striate.isReading && striate.answer === null);
    await page.keyboard.press("Space");
    for (let k = 0; k < 16; k++) await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Space");
    assert.equal((await answered(page)).digit, 1, "drawn with the keyboard");
    await page.context().close();
  },

  async "training keeps frames coming and learns"() {
    const page = await opened();
    await page.locator("#budget").fill(String(BUDGET));
    const stop = await watched(page);
    const begun = Date.now();
    await page.locator("#run").click();
    await page.waitForFunction(() => striate.train.tested?.accuracy >= 0.9);
    const seconds = (Date.now() - begun) / 1000;
    const gaps = await stop();
    const speed = await page.locator("#fact-speed").textContent();
    console.log(`  90 % after ${seconds.toFixed(1)} s and ${(await tested(page)).step} steps, ` +
      `${speed} images a second`);
    console.log(`  ${gaps.frames} frames, gaps ${gaps.middle.toFixed(1)} ms in the middle, ` +
      `${gaps.most.toFixed(1)} ms of 99 %, ${gaps.longest.toFixed(1)} ms at most`);
    const own = (await at(page, "losses")).slice(0, reference.length);
    const differences = own.map(([, loss], k) => Math.abs(loss - reference[k]));
    console.log(`  first losses differ from the reference by ${Math.max(...differences)} at most`);
    assert.deepEqual(own.map(([step]) => step), reference.map((_, k) => k + 1));
    assert.ok(Math.max(...differences) < 1e-4);
    assert.ok(gaps.longest <= GAP, `a gap of ${gaps.longest} ms`);

    await paused(page);
    const wrong = await page.locator("#wrong canvas").count();
    assert.ok(wrong > 0, "pictures that are wrong are shown");
    const before = (await tested(page)).accuracy;

    const download = page.waitForEvent("download");
    await page.locator("#save").click();
    const file = join(tmpdir(), `striate-web-${process.pid}.safetensors`);
    await (await download).saveAs(file);
    await page.reload();
    await page.waitForFunction(() => !document.getElementById("run").disabled);
    await page.locator("#load").setInputFiles(file);
    await page.waitForFunction((before) => striate.train.tested?.accuracy === before, before);
    await page.locator("#run").click();
    await trainedTo(page, 20);
    await paused(page);
    const after = (await tested(page)).accuracy;
    assert.ok(after > before - 0.05, `${before} before, ${after} after going on`);

    const text = { name: "text.safetensors", mimeType: "text/plain", buffer: Buffer.from("words") };
    await page.locator("#load").setInputFiles(text);
    await page.locator("#notice").waitFor();
    assert.match(await page.locator("#notice-text").textContent(), /^The file was not loaded: /);
    assert.equal((await tested(page)).accuracy, after, "a wrong file changes nothing");
    await page.context().close();
  },

  async "a seed gives the same bits"() {
    const page = await opened();
    const runs = [];
    for (let run = 0; run < 2; run++) {
      await page.locator("#run").click();
      await page.waitForFunction(() => striate.train.losses.length >= 12);
      runs.push((await at(page, "losses")).slice(0, 12));
      await page.locator("#reset").click();
      await page.waitForFunction(() =>
        striate.train.steps === 0 && !document.getElementById("run").disabled);
    }
    assert.deepEqual(runs[0], runs[1]);
    await page.context().close();
  },

  async "training goes on after the device is lost"() {
    const page = await opened();
    await page.locator("#run").click();
    await trainedTo(page, 30);
    await page.waitForFunction(() => striate.train.snapshot !== null);
    await page.evaluate(() => striate.loseDevice());
    await page.locator("#notice-button").waitFor();
    assert.match(await page.locator("#notice-text").textContent(), /lost the GPU/);
    await page.locator("#notice-button").click();
    await page.waitForFunction(() => !document.getElementById("run").disabled);
    const kept = await steps(page);
    assert.ok(kept > 0, "it goes on from a snapshot");
    await page.locator("#run").click();
    await trainedTo(page, kept + 20);
    assert.ok(await page.locator("#notice").isHidden());
    assert.equal((await drawn(page, [[[0.28, 0.24], [0.7, 0.24], [0.45, 0.82]]])).digit, 7);
    // The network that is trained reads too.
    await page.locator("input[value=own]").check();
    await answered(page);
    await page.context().close();
  },

  async "without WebGPU the page says what is missing"() {
    const hide = () => Object.defineProperty(Navigator.prototype, "gpu", { value: undefined });
    const page = await opened({}, hide, false);
    await page.locator("#notice").waitFor();
    assert.match(await page.locator("#notice-text").textContent(), /no WebGPU/);
    assert.ok(await page.locator("#draw").isVisible());
    await page.context().close();
  },
};

async function screenshots() {
  mkdirSync(pictures, { recursive: true });
  const page = await opened();
  await page.locator("#run").click();
  await page.waitForFunction(() => striate.train.tested?.accuracy >= 0.9);
  await paused(page);
  await page.locator(".layer canvas").nth(3).click({ position: { x: 60, y: 20 } });
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [390, 1400]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 900 });
      await page.waitForTimeout(300);
      const path = join(pictures, `${width}-${colorScheme}.png`);
      await page.screenshot({ path, fullPage: true });
      const wider = await page.evaluate(() =>
        document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.equal(wider, 0, `at ${width} px it can be moved sideways`);
    }
  }
  await page.context().close();
}

let failed = 0;
if (pictures) tests["pictures of it are taken"] = screenshots;
const only = process.env.ONLY;
for (const [name, test] of Object.entries(tests)) {
  if (only && !name.includes(only)) continue;
  const begun = Date.now();
  faults.length = 0;
  try {
    await test();
    assert.deepEqual(faults, [], "faults of the page");
    console.log(`ok: ${name}, ${((Date.now() - begun) / 1000).toFixed(1)} s`);
  } catch (error) {
    failed++;
    console.log(`FAILED: ${name}: ${error.stack ?? error}`);
    for (const fault of faults) console.log(`  the page: ${fault}`);
  }
}
await browser.close();
process.exitCode = failed === 0 ? 0 : 1;
