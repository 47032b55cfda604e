// Measures the lab's cases on a device of its own, beside the page: nothing here holds that up.

import start, { Measurer } from "./striate_web_measure.js";

let measurer = null;
let stopped = false;

async function open() {
  await start();
  measurer = await Measurer.open();
  const adapter = await navigator.gpu.requestAdapter();
  const { vendor, architecture, description } = adapter?.info ?? {};
  const named = [vendor, architecture].filter(Boolean).join(" ");
  postMessage({
    kind: "ready",
    adapter: named || description || "unknown",
    version: Measurer.version(),
  });
}

async function measure(all) {
  stopped = false;
  const names = Measurer.names(all);
  postMessage({ kind: "names", names });
  for (const name of names) {
    // A message to stop is heard between two cases.
    await new Promise((resolve) => setTimeout(resolve));
    if (stopped) break;
    postMessage({ kind: "begun", name });
    try {
      postMessage({ kind: "measured", line: await measurer.measure(name) });
    } catch (error) {
      if (!["Limit", "OutOfMemory", "Unsupported"].includes(error.name)) throw error;
      // A device may be too small for a case.
      postMessage({ kind: "refused", name, why: error.message });
    }
  }
  postMessage({ kind: "done" });
}

addEventListener("message", async ({ data }) => {
  if (data.kind === "stop") {
    stopped = true;
    return;
  }
  try {
    if (!measurer) await open();
    await measure(data.all);
  } catch (error) {
    postMessage({ kind: "failed", why: error.message ?? `${error}` });
  }
});
