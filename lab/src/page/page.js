"use strict";
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const filter = document.getElementById("filter");
const chosenOnly = document.getElementById("chosen");
const chips = all(".chip");

// Columns that are switched off, and words that a case or a column must hold.
function show() {
    const off = new Set(chips.filter(chip => chip.ariaPressed === "false").map(chip => chip.dataset.col));
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const labels = chips.map(chip => chip.textContent.toLowerCase());
    const seen = new Set();
    for (const element of all("[data-case], [data-col]:not(.chip)")) {
        const { case: name, col } = element.dataset;
        const text = (name ?? "").toLowerCase();
        // A card holds every column: a word about one of them does not hide it.
        const about = col === undefined ? labels.join(" ") : labels[col];
        const fits = name === undefined || words.every(word => text.includes(word) || about.includes(word));
        const choice = !element.closest(".sortable") || !chosenOnly?.checked || element.classList.contains("chosen");
        const visible = fits && choice && !off.has(col);
        element.classList.toggle("off", !visible);
        if (name !== undefined && fits) seen.add(name);
    }
    for (const details of all("details")) details.classList.toggle("off", !details.querySelector(".card:not(.off)"));
    document.getElementById("found").textContent = `${seen.size} ${seen.size === 1 ? "case" : "cases"}`;
}
filter.addEventListener("input", show);
chosenOnly?.addEventListener("change", show);
for (const chip of chips) chip.addEventListener("click", () => {
    chip.ariaPressed = String(chip.ariaPressed === "false");
    show();
});
show();

for (const radio of all("input[name=bars]")) radio.addEventListener("change", () => {
    document.body.classList.toggle("by-roof", radio.value === "roof");
});

// Tables: numbers start with the largest, words with the first; cells without a value come last.
for (const head of all(".sortable th")) head.firstChild.addEventListener("click", () => {
    const numeric = head.classList.contains("n");
    const first = numeric ? "descending" : "ascending";
    const second = numeric ? "ascending" : "descending";
    const order = head.ariaSort === first ? second : first;
    for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
    head.ariaSort = order;
    const sign = order === "ascending" ? 1 : -1;
    const body = head.closest("table").tBodies[0];
    const rows = [...body.rows].map(row => {
        const cell = row.cells[head.cellIndex];
        return [row, numeric ? (cell.dataset.v === "" ? NaN : Number(cell.dataset.v)) : cell.textContent];
    });
    rows.sort(([, a], [, b]) => {
        if (!numeric) return sign * a.localeCompare(b, "en", { numeric: true });
        return isNaN(a) - isNaN(b) || sign * (a - b) || 0;
    });
    body.append(...rows.map(([row]) => row));
});

const tip = document.getElementById("tip");
document.addEventListener("pointermove", event => {
    const text = event.target.dataset?.tip;
    tip.hidden = !text;
    if (!text) return;
    tip.textContent = text;
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = `${Math.min(event.clientX + 14, innerWidth - width - 8)}px`;
    tip.style.top = `${Math.max(Math.min(event.clientY + 14, innerHeight - height - 8), 8)}px`;
});
