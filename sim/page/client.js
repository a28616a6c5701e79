"use strict";
// Steps through the images of one client.
(() => {
  const told = JSON.parse(document.getElementById("content").textContent);
  const { frames, adapters, words, pictures, drifts, first } = told;
  const last = first + frames.length - 1;
  const LIMIT = 240; // images of a bank that are shown
  const driftAt = new Map(drifts.map(([step, text]) => [step, text]));
  const byId = (id) => document.getElementById(id);
  let everybody = adapters.every((one) => one.shown);
  let here = Math.min(last, Math.max(first, Number(/^#step=(\d+)$/.exec(location.hash)?.[1] ?? first)));
  const tellers = adapters.map((_, number) => number).filter((number) => adapters[number].remembers);
  let chosen = tellers.includes(told.best) ? told.best : tellers.at(-1);

  function make(tag, properties = {}, ...children) {
    const { className, ...rest } = properties;
    const element = document.createElement(tag);
    if (className) element.className = className;
    for (const [name, value] of Object.entries(rest)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }
  const SVG = "http://www.w3.org/2000/svg";
  function draw(tag, properties) {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(properties)) element.setAttribute(name, value);
    return element;
  }
  const coloured = (element, adapter) => {
    element.classList.add("of");
    element.style.setProperty("--light", adapter.light);
    element.style.setProperty("--night", adapter.dark);
    return element;
  };
  const shown = () => adapters.map((_, number) => number).filter((number) => everybody || adapters[number].shown);
  const frame = (step) => frames[step - first];
  const image = (step) => (step >= first && step <= last ? frame(step) : told.past[step]);
  const tidy = (text) => (text === " " ? "␣" : text);

  function picture(number, alt) {
    if (number < 0) return make("span", { className: "none", role: "img", "aria-label": alt }, "·");
    const found = make("img", { src: pictures[number], alt });
    if (pictures[number].startsWith("data:image/png")) found.className = "small";
    return found;
  }
  const verdict = (right) => make("span", { className: right ? "yes" : "no", "aria-label": right ? "right" : "wrong", role: "img" }, right ? "✓" : "✗");
  const named = (adapter) => {
    const place = coloured(make("span", { className: "name", title: adapter.name }), adapter);
    place.append(make("span", { className: "swatch" }), adapter.name);
    return place;
  };

  // steps of a bank as they are written: 3,7-9
  function unrolled(text) {
    const found = [];
    for (const part of text ? text.split(",") : []) {
      const [from, to] = part.split("-").map(Number);
      for (let step = from; step <= (to ?? from); step += 1) found.push(step);
    }
    return found;
  }

  function showNow() {
    const [number, truth, answers] = frame(here);
    byId("picture").replaceChildren(number < 0 ? make("span", { className: "note" }, "no image in these data") : picture(number, `The image of step ${here}: ${words[truth]}`));
    byId("truth").textContent = tidy(words[truth]);
    const before = drifts.filter(([step]) => step <= here).at(-1);
    const line = byId("step");
    line.replaceChildren(`Step ${here} of 0 to ${told.length - 1}`);
    if (driftAt.has(here)) line.append(" · ", make("span", { className: "drift" }, `▼ drift: ${driftAt.get(here)}`));
    else if (before) line.append(` · ${here - before[0] + 1}${ordinal(here - before[0] + 1)} image since the drift ${before[1]}`);
    const body = document.querySelector("#answers tbody");
    body.replaceChildren(
      ...shown().map((of) => {
        const [word, sure, right] = answers[of];
        const row = coloured(make("tr", right ? {} : { className: "wrong" }), adapters[of]);
        const share = sure < 0 ? "–" : make("span", { className: "sure" }, make("i", { style: `--share: ${sure / 10}%` }), `${(sure / 10).toFixed(1)} %`);
        row.append(
          make("th", { scope: "row" }, make("span", { className: "swatch" }), adapters[of].name),
          make("td", {}, verdict(right)),
          make("td", {}, tidy(words[word])),
          make("td", {}, share),
        );
        return row;
      }),
    );
  }
  const ordinal = (n) => (n % 100 > 10 && n % 100 < 14 ? "th" : ({ 1: "st", 2: "nd", 3: "rd" })[n % 10] ?? "th");

  // the images around this one, with who was right
  function showFilm() {
    const film = byId("film");
    const small = innerWidth <= 600;
    const names = small ? 76 : 140;
    const column = small ? 56 : 66;
    const count = Math.max(3, Math.floor((film.clientWidth - names) / column));
    const start = Math.max(first, Math.min(here - Math.floor(count / 2), last - count + 1));
    const steps = Array.from({ length: Math.min(count, frames.length) }, (_, place) => start + place);
    film.style.gridTemplateColumns = `${names}px repeat(${steps.length}, ${frames.length < count ? `${column}px` : "minmax(0, 1fr)"})`;
    const cells = [make("span")];
    for (const step of steps) {
      const [number, truth] = frame(step);
      const one = make("button", { type: "button", className: `frame${step === here ? " here" : ""}`, "data-step": step, "aria-label": `Step ${step}: ${words[truth]}`, tabindex: step === here ? 0 : -1 });
      if (step === here) one.setAttribute("aria-current", "step");
      const flag = make("span", { className: "flag" }, driftAt.has(step) ? "▼" : "");
      one.append(flag, picture(number, ""), make("span", { className: "class", title: words[truth] }, tidy(words[truth])), make("span", { className: "number" }, String(step)));
      cells.push(one);
    }
    for (const of of shown()) {
      cells.push(named(adapters[of]));
      for (const step of steps) {
        const cell = make("span", { className: `cell${step === here ? " here" : ""}` }, verdict(frame(step)[2][of][2]));
        cells.push(cell);
      }
    }
    film.replaceChildren(...cells);
  }

  function showMemory() {
    const buttons = tellers.filter((number) => everybody || adapters[number].shown || number === chosen).map((number) => {
      const one = coloured(make("button", { type: "button", role: "radio", "aria-checked": number === chosen, tabindex: number === chosen ? 0 : -1, "data-adapter": number }), adapters[number]);
      one.append(make("span", { className: "swatch" }), adapters[number].name);
      return one;
    });
    const focused = document.activeElement?.closest?.(".chosen") != null;
    document.querySelector(".chosen").replaceChildren(...buttons);
    if (focused) document.querySelector('.chosen [aria-checked="true"]')?.focus();
    const bank = byId("bank");
    if (chosen === undefined) {
      byId("held").textContent = "None of these adapters keeps single images that could be shown.";
      return;
    }
    const adapter = adapters[chosen];
    coloured(bank, adapter);
    const [text, weights] = frame(here)[3][chosen] ?? ["", 0];
    const steps = unrolled(text);
    const order = steps.map((_, place) => place).reverse();
    const most = weights ? Math.max(1, ...weights) : 1;
    const truth = frame(here)[1];
    const same = steps.filter((step) => image(step)[1] === truth).length;
    const total = weights ? weights.reduce((sum, one) => sum + one, 0) / 100 : 0;
    const count = steps.length === 1 ? "1 image" : `${steps.length} images`;
    byId("held").textContent = steps.length
      ? `When this image arrived, ${adapter.name} remembered ${count}, ${same} of the class that it shows.` +
        (weights ? ` They have ${total.toFixed(1)} % of the weight.` : "") + ` Latest first${steps.length > LIMIT ? `, ${LIMIT} of them` : ""}:`
      : `When this image arrived, ${adapter.name} remembered nothing.`;
    bank.replaceChildren(
      ...order.slice(0, LIMIT).map((place) => {
        const step = steps[place];
        const [number, word] = image(step);
        const item = make("li", word === truth ? { className: "same" } : {});
        item.append(picture(number, words[word]), make("span", { className: "class", title: words[word] }, (word === truth ? "= " : "") + tidy(words[word])), make("span", { className: "age" }, `step ${step}`));
        if (weights) item.append(make("span", { className: "weight" }, make("i", { style: `--share: ${(100 * weights[place]) / most}%` }), `${(weights[place] / 100).toFixed(1)} %`));
        return item;
      }),
    );
    byId("weights").textContent = adapter.weights ? `${adapter.weights[0].toUpperCase()}${adapter.weights.slice(1)}. = and a strong frame: of the class that this image shows.` : "This adapter does not tell by what each of them counts. = and a strong frame: of the class that this image shows.";
  }

  function showLanes() {
    const inside = drifts.filter(([step]) => step >= first && step <= last);
    const across = inside.map(([step]) => `M${step - first} 0V10`).join("");
    byId("lanes").replaceChildren(
      ...shown().flatMap((of) => {
        const lane = coloured(draw("svg", { viewBox: `0 0 ${frames.length} 10`, preserveAspectRatio: "none", role: "img" }), adapters[of]);
        const wrong = frames.map((one, place) => (one[2][of][2] ? -1 : place)).filter((place) => place >= 0);
        lane.setAttribute("aria-label", `${adapters[of].name}: ${wrong.length} of ${frames.length} wrong`);
        lane.append(
          draw("path", { class: "base", d: `M0 8H${frames.length}V10H0Z` }),
          draw("path", { class: "wrong", d: wrong.map((place) => `M${place} 1h1V10h-1z`).join("") }),
          draw("path", { class: "drift", d: across }),
          draw("rect", { class: "cursor", x: 0, y: 0, width: 1, height: 10 }),
        );
        return [named(adapters[of]), lane];
      }),
    );
  }

  function showDrifts() {
    const marks = byId("marks");
    marks.setAttribute("viewBox", `0 0 ${Math.max(1, frames.length - 1)} 10`);
    for (const [step] of drifts) {
      if (step < first || step > last) continue;
      const half = frames.length / 160;
      marks.append(draw("path", { d: `M${step - first - half} 0h${2 * half}l${-half} 10z` }));
    }
  }

  const nextDrift = (way) => {
    const steps = drifts.map(([step]) => step).filter((step) => step >= first && step <= last && (way > 0 ? step > here : step < here));
    return way > 0 ? steps[0] : steps.at(-1);
  };

  function go(step) {
    if (step === undefined) return;
    here = Math.min(last, Math.max(first, step));
    history.replaceState(null, "", `#step=${here}`);
    show();
  }

  function show() {
    const slider = byId("slider");
    slider.value = here;
    slider.setAttribute("aria-valuetext", `step ${here}, ${words[frame(here)[1]]}`);
    for (const button of document.querySelectorAll("[data-go]")) {
      const target = { before: here > first, after: here < last, "drift-before": nextDrift(-1) !== undefined, "drift-after": nextDrift(1) !== undefined };
      button.disabled = !target[button.dataset.go];
    }
    showNow();
    showFilm();
    showMemory();
    for (const cursor of document.querySelectorAll("#lanes .cursor")) cursor.setAttribute("x", here - first);
    document.documentElement.dataset.step = here;
  }

  const keys = { ArrowLeft: () => here - 1, ArrowRight: () => here + 1, PageUp: () => here - 10, PageDown: () => here + 10, Home: () => first, End: () => last };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in keys)) return;
    if (event.target.id === "slider") return; // moves by itself
    if (event.target.closest?.(".chosen")) {
      const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (way) {
        const places = [...document.querySelectorAll(".chosen button")].map((one) => Number(one.dataset.adapter));
        chosen = places[(places.indexOf(chosen) + way + places.length) % places.length];
        showMemory();
        event.preventDefault();
      }
      return;
    }
    const inFilm = event.target.closest?.("#film") != null;
    event.preventDefault();
    go(keys[event.key]());
    if (inFilm) document.querySelector("#film .frame.here").focus();
  });
  document.addEventListener("click", (event) => {
    const target = event.target.closest?.("[data-go], [data-step], [data-adapter], #lanes svg");
    if (!target) return;
    if (target.dataset.go) go({ before: here - 1, after: here + 1, "drift-before": nextDrift(-1), "drift-after": nextDrift(1) }[target.dataset.go]);
    else if (target.dataset.step) go(Number(target.dataset.step));
    else if (target.dataset.adapter) {
      chosen = Number(target.dataset.adapter);
      showMemory();
    } else {
      const box = target.getBoundingClientRect();
      go(first + Math.floor(((event.clientX - box.left) / box.width) * frames.length));
    }
  });
  byId("slider").addEventListener("input", (event) => go(Number(event.target.value)));
  let touched = null;
  for (const id of ["film", "picture"]) {
    byId(id).addEventListener("touchstart", (event) => { touched = event.touches[0].clientX; }, { passive: true });
    byId(id).addEventListener("touchend", (event) => {
      const way = touched === null ? 0 : event.changedTouches[0].clientX - touched;
      if (Math.abs(way) > 30) go(here + (way < 0 ? 1 : -1) * Math.max(1, Math.round(Math.abs(way) / (id === "film" ? 60 : 1000))));
      touched = null;
    }, { passive: true });
  }
  const all = byId("all");
  if (everybody) all.parentElement.remove();
  all.addEventListener("click", () => {
    everybody = !everybody;
    refresh();
  });
  function refresh() {
    all.textContent = everybody ? "Show fewer adapters" : `Show all ${adapters.length} adapters`;
    showLanes();
    show();
  }
  addEventListener("resize", showFilm);
  const slider = byId("slider");
  slider.min = first;
  slider.max = last;
  showDrifts();
  refresh();
  document.documentElement.dataset.ready = "yes";
})();
