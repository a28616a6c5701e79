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
    sortable(element);
  }

  // what a cell counts as when rows are put in order: its first number, bytes in their unit; null if it has none
  const UNITS = { kB: 1e3, MB: 1e6, GB: 1e9 };
  function number(text) {
    const found = /^[^\d−+–-]{0,2}([−+-]?\d[\d,]*\.?\d*(?:e[+-]?\d+)?)\s*(kB|MB|GB)?/.exec(text);
    return found ? Number(found[1].replaceAll(",", "").replace("−", "-")) * (UNITS[found[2]] ?? 1) : null;
  }

  // clicks on a header put the rows in order: first the largest, or the first by name, then the other way round
  function sortable(table) {
    const body = table.tBodies[0];
    const heads = [...table.tHead.rows[0].cells];
    if (body.rows.length < 2) return;
    heads.forEach((head, column) => {
      if (body.rows[0].cells[column].querySelector("button")) return;
      const button = Object.assign(document.createElement("button"), { type: "button", className: "sort" });
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const text = (row) => row.cells[column].textContent.trim();
        const keyed = [...body.rows].map((row) => [number(text(row)), text(row), row]);
        const known = keyed.filter(([value, said]) => value !== null || !/^[–-]?$/.test(said));
        const numbers = known.every(([value]) => value !== null);
        const natural = numbers ? "descending" : "ascending";
        const other = numbers ? "ascending" : "descending";
        const order = head.getAttribute("aria-sort") === natural ? other : natural;
        for (const one of heads) one.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", order);
        const sign = order === "ascending" ? 1 : -1;
        const compared = numbers ? ([a], [b]) => sign * (a - b) : ([, a], [, b]) => sign * a.localeCompare(b, undefined, { numeric: true });
        const unknown = keyed.filter((one) => !known.includes(one)); // at the end either way
        body.append(...[...known.sort(compared), ...unknown].map(([, , row]) => row));
      });
    });
  }

  const FILTERED = 12; // rows from which a table has a box to filter them
  function filterable(figure, table) {
    const rows = [...table.tBodies[0].rows];
    if (rows.length < FILTERED) return;
    const box = Object.assign(document.createElement("input"), { type: "search", placeholder: "Filter rows" });
    box.setAttribute("aria-label", `Filter rows: ${table.caption.textContent}`);
    const count = Object.assign(document.createElement("span"), { className: "note" });
    count.setAttribute("role", "status");
    box.addEventListener("input", () => {
      const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const row of rows) row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
      const left = rows.filter((row) => !row.hidden).length;
      count.textContent = words.length ? `${left} of ${rows.length} rows` : "";
    });
    const line = Object.assign(document.createElement("p"), { className: "filter" });
    line.append(box, count);
    figure.prepend(line);
  }

  for (const figure of document.querySelectorAll("figure.table")) {
    const table = figure.querySelector("table");
    sortable(table);
    filterable(figure, table);
  }

  for (const button of document.querySelectorAll("button.copy")) {
    button.title = "Copy this command";
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(button.dataset.copy);
        button.dataset.done = "copied";
      } catch {
        getSelection().selectAllChildren(button.firstElementChild);
        button.dataset.done = "selected";
      }
      setTimeout(() => delete button.dataset.done, 2000);
    });
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
