"use strict";
// Draws the charts in the reader's colours and width, again when either changes.
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const specs = read("specs");
  const partners = read("dark");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const LEGEND_ENTRY = 125; // pixels

  function themed(spec, width) {
    const swap = (key, value) => (dark.matches && typeof value === "string" && value in partners ? partners[value] : value);
    const found = JSON.parse(JSON.stringify(spec), swap);
    found.width = "container";
    found.config.legend.columns = Math.max(1, Math.floor(width / LEGEND_ENTRY));
    return found;
  }

  const drawn = new Map();

  async function draw(figure) {
    const plot = figure.querySelector(".plot");
    const spec = themed(specs[figure.dataset.chart], plot.clientWidth);
    const options = {
      renderer: "svg",
      actions: { export: true, source: false, compiled: false, editor: false },
      downloadFileName: figure.dataset.chart,
      tooltip: { theme: dark.matches ? "dark" : "light" },
    };
    try {
      drawn.get(figure)?.finalize();
      drawn.set(figure, await vegaEmbed(plot, spec, options));
      figure.dataset.drawn = dark.matches ? "dark" : "light";
    } catch (error) {
      plot.innerHTML = '<p class="failed">This chart could not be drawn.</p>';
      console.error(figure.dataset.chart, error);
    }
  }

  // the rows that a chart draws: those of its largest data set
  function rows(spec) {
    return Object.values(spec.datasets).reduce((most, set) => (set.length > most.length ? set : most), []);
  }

  function csv(table) {
    const names = Object.keys(table[0] ?? {});
    const cell = (value) => (value === null ? "" : /[",\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value));
    return [names, ...table.map((row) => names.map((name) => row[name]))].map((row) => row.map(cell).join(",")).join("\n") + "\n";
  }

  function showData(figure) {
    const place = figure.querySelector(".data .scroll");
    if (place.childElementCount) return;
    const table = rows(specs[figure.dataset.chart]);
    const names = Object.keys(table[0] ?? {});
    const element = document.createElement("table");
    const head = element.createTHead().insertRow();
    for (const name of names) head.append(Object.assign(document.createElement("th"), { textContent: name }));
    const body = element.createTBody();
    for (const row of table.slice(0, 1000)) {
      const line = body.insertRow();
      for (const name of names) line.insertCell().textContent = row[name] ?? "";
    }
    const save = Object.assign(document.createElement("button"), { type: "button", textContent: "Save as CSV" });
    save.addEventListener("click", () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([csv(table)], { type: "text/csv" }));
      link.download = `${figure.dataset.chart}.csv`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
    place.before(save);
    place.append(element);
  }

  const figures = [...document.querySelectorAll("figure.chart")];
  for (const figure of figures) figure.querySelector(".data").addEventListener("toggle", () => showData(figure));

  async function drawAll() {
    for (const figure of figures) await draw(figure);
    document.documentElement.dataset.ready = "yes";
  }

  let width = innerWidth;
  let waiting;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      if (innerWidth !== width) { width = innerWidth; drawAll(); }
    }, 200);
  });
  dark.addEventListener("change", drawAll);
  drawAll();
})();
