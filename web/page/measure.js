// The part in which the lab's cases are timed on the visitor's GPU.

const $ = (id) => document.getElementById(id);

const show = (number) => (number >= 100 ? Math.round(number).toLocaleString("en")
  : String(Number(number.toPrecision(3))));

/** The browser and the system, as the browser tells them. */
function program() {
  const data = navigator.userAgentData;
  const brands = data?.brands?.filter(({ brand }) => !/not.?a.?brand/i.test(brand)) ?? [];
  if (brands.length > 0) {
    const { brand, version } = brands.find(({ brand }) => brand !== "Chromium") ?? brands[0];
    return `${brand} ${version}, ${data.platform || "unknown system"}`;
  }
  const agent = navigator.userAgent;
  const [, name, version] = /(Firefox|Version)\/([\d]+)/.exec(agent) ?? [];
  const browser = name ? `${name === "Version" ? "Safari" : name} ${version}` : "a browser";
  const [system] = /Windows|Android|iPhone|iPad|Mac OS X|Linux/.exec(agent) ?? ["unknown system"];
  return `${browser}, ${system}`;
}

/** Lines of other machines: of each what the rules choose. */
async function others() {
  const answer = await fetch("lines.jsonl");
  if (!answer.ok) return [];
  const lines = (await answer.text()).split("\n").filter(Boolean).map((line) => JSON.parse(line));
  const columns = new Map();
  for (const line of lines) {
    if (!line.chosen || line.wrong) continue;
    const key = [line.adapter, line.backend, line.driver, line.machine ?? ""].join("\n");
    if (!columns.has(key)) {
      columns.set(key, { name: line.adapter, api: line.backend, times: new Map() });
    }
    columns.get(key).times.set(line.case, line.ms);
  }
  return [...columns.values()];
}

export class Measure {
  /** What was measured, as the lab reads it. */
  lines = [];
  /** Cases that are too large here, and why. */
  refused = [];
  isMeasuring = false;
  /** Whether there are lines that were not downloaded. */
  isUnsaved = false;

  #begin;
  #end;
  #worker = null;
  #stopping = false;
  #adapter = null;
  #version = null;
  #others = [];
  #rows = new Map();
  /** Cases of this run that were measured, and those that are too large. */
  #done = [0, 0];

  /** `begin` is called before anything is measured, `end` afterwards: the GPU is to have nothing
   *  else to do meanwhile. */
  constructor(begin, end) {
    this.#begin = begin;
    this.#end = end;
    $("measure-short").addEventListener("click", () => this.#start(false));
    $("measure-all").addEventListener("click", () => this.#start(true));
    $("measure-stop").addEventListener("click", () => {
      // The second time at once.
      if (this.#stopping) {
        const why = "it was stopped; the GPU may go on with this case a little";
        this.#hear({ kind: "failed", why });
        return;
      }
      this.#stopping = true;
      this.#worker?.postMessage({ kind: "stop" });
      $("measure-text").textContent = "Stops after this case; press again to stop at once.";
    });
    $("measure-save").addEventListener("click", () => this.#save());
    $("measure-api").addEventListener("change", () => {
      for (const line of this.lines) line.backend = this.#api();
    });
  }

  /** Can be used. */
  async open() {
    try {
      this.#others = await others();
    } catch {
      // They stand beside what is measured here, which goes without them.
      this.#others = [];
    }
    this.#enable(true);
  }

  #api() {
    return `webgpu, ${$("measure-api").value}`;
  }

  #enable(on) {
    $("measure-short").disabled = $("measure-all").disabled = !on;
    $("measure-stop").hidden = !this.isMeasuring;
    $("measure-save").disabled = this.lines.length === 0;
  }

  #start(all) {
    if (this.isMeasuring) return;
    this.isMeasuring = true;
    this.#stopping = false;
    this.#begin();
    this.#done = [0, 0];
    this.#enable(false);
    $("measure-text").textContent = "Compiles, and measures what the device can do at most. The " +
      "rest of the page waits.";
    $("measure-stop").focus();
    if (!this.#worker) {
      this.#worker = new Worker("measure-worker.js", { type: "module" });
      this.#worker.addEventListener("message", ({ data }) => this.#hear(data));
      this.#worker.addEventListener("error", (event) =>
        this.#hear({ kind: "failed", why: event.message || "its program did not load" }));
    }
    this.#worker.postMessage({ kind: "measure", all });
  }

  #hear(told) {
    switch (told.kind) {
      case "ready":
        [this.#adapter, this.#version] = [told.adapter, told.version];
        break;
      case "names":
        this.#table(told.names);
        break;
      case "begun":
        $("measure-text").textContent = `Measures ${told.name}.`;
        break;
      case "measured":
        this.#take(told.line);
        break;
      case "refused":
        this.#forget(told.name);
        this.#rows.get(told.name)[0].textContent = "too large";
        this.#rows.get(told.name)[0].title = told.why;
        this.refused.push({ case: told.name, why: told.why });
        this.#done[1] += 1;
        break;
      case "done": {
        const [measured, refused] = this.#done;
        this.#ended(`${this.#adapter}, ${program()}: ${measured} ` +
          `${measured === 1 ? "case" : "cases"}, each checked` +
          (refused > 0 ? `; ${refused} too large for this browser.` : "."));
        break;
      }
      case "failed":
        // The next try begins with another device.
        this.#worker?.terminate();
        this.#worker = null;
        this.#ended(`Nothing more was measured: ${told.why}`);
        break;
    }
  }

  #ended(text) {
    if (!this.isMeasuring) return;
    this.isMeasuring = false;
    this.#enable(true);
    $("measure-text").textContent = text;
    $("measure-short").focus();
    this.#end();
  }

  /** Rows for cases; those that were measured before keep theirs until they are measured anew. */
  #table(names) {
    names = names.filter((name) => !this.#rows.has(name));
    $("measure-key").hidden = false;
    const head = document.createElement("tr");
    const other = this.#others.map(({ name, api }) => `${name.split(" (")[0]}, ${api}`);
    const times = other.map((name) => `${name}, ms`);
    const titles = ["Case", "This GPU, ms", "GFLOP/s", "of its peak", ...times];
    head.append(...titles.map((title) => {
      const cell = document.createElement("th");
      cell.textContent = title;
      cell.scope = "col";
      return cell;
    }));
    const rows = names.map((name) => {
      const row = document.createElement("tr");
      const title = document.createElement("th");
      title.textContent = name;
      title.scope = "row";
      const own = [0, 1, 2].map(() => document.createElement("td"));
      const theirs = this.#others.map(({ times }) => {
        const cell = document.createElement("td");
        const time = times.get(name);
        cell.textContent = time === undefined ? "" : show(time);
        return cell;
      });
      row.append(title, ...own, ...theirs);
      this.#rows.set(name, own);
      return row;
    });
    if ($("measured").rows.length === 0) $("measured").append(head);
    $("measured").append(...rows);
  }

  /** Takes away what was found of a case. */
  #forget(name) {
    this.lines = this.lines.filter((line) => line.case !== name);
    this.refused = this.refused.filter((refused) => refused.case !== name);
    for (const cell of this.#rows.get(name)) {
      cell.textContent = cell.title = "";
      cell.classList.remove("fault");
    }
  }

  #take(line) {
    this.#forget(line.case);
    this.#done[0] += 1;
    this.isUnsaved = true;
    const [time, speed, share] = this.#rows.get(line.case);
    if (line.wrong) {
      time.textContent = "wrong";
      time.title = line.wrong;
      time.classList.add("fault");
    } else {
      time.textContent = show(line.ms);
      speed.textContent = show(line.gflops);
      share.textContent = `${Math.round(100 * line.roofline)} %`;
    }
    this.lines.push({
      ...line,
      variant: "rules",
      chosen: true,
      adapter: this.#adapter,
      driver: program(),
      backend: this.#api(),
      timestamps: false,
      // Browsers guard every access, and zero the memory of workgroups.
      checked: true,
      zeroed: true,
      date: new Date().toISOString().slice(0, 10),
      version: this.#version,
    });
  }

  #save() {
    const text = this.lines.map((line) => `${JSON.stringify(line)}\n`).join("");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "application/jsonl" }));
    link.download = "striate-browser.jsonl";
    link.click();
    this.isUnsaved = false;
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }
}
