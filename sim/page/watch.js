"use strict";
// Asks every few seconds how far the run is.
(() => {
  const EVERY = 2000; // milliseconds
  const QUIET = 120; // seconds without a commit after which it is said how to go on
  const byId = (id) => document.getElementById(id);
  const whole = (value) => value.toLocaleString("en");
  const points = (value, sign) => `${sign && value >= 0 ? "+" : ""}${(100 * value).toFixed(1)}`;
  // a mean and its interval, which may stand on a line of its own
  function found(mean, ends, sign) {
    const whole = document.createElement("span");
    whole.append(points(mean, sign));
    if (!ends) return whole;
    const interval = Object.assign(document.createElement("span"), { className: "interval" });
    interval.textContent = `[${points(ends[0], sign)}, ${points(ends[1], sign)}]`;
    whole.append(" ", interval);
    return whole;
  }

  function duration(seconds) {
    if (seconds < 90) return `${Math.max(0, Math.round(seconds))} s`;
    if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
    return `${(seconds / 3600).toFixed(1)} h`;
  }

  function sentence(state) {
    const ago = state.committed_at === null ? null : Date.now() / 1000 - state.committed_at;
    const on = `If it was stopped, go on with: iciia run SCENARIO --resume ${state.folder}`;
    switch (state.state) {
      case "finished": return ["Finished.", ""];
      case "finished in part": return ["Finished in part.", "Only some cohorts were asked for."];
      case "finishing": return ["All clients are done.", "The final tables and the page are being written."];
      case "begun": return ["Begun.", "No clients are committed yet: the cloud may still be training."];
      default: return ["Not finished.", `Latest clients committed ${duration(ago)} ago. ${ago > QUIET ? on : ""}`];
    }
  }

  function show(state) {
    document.title = `${Math.floor((100 * state.clients_done) / state.clients)} % · ${state.name}`;
    byId("name").textContent = state.name;
    const [short, more] = sentence(state);
    const line = byId("state");
    const text = `${short} ${more}`;
    if (line.dataset.text !== text) {
      line.dataset.text = text;
      line.replaceChildren(Object.assign(document.createElement("strong"), { textContent: short }), ` ${more} `);
      if (state.state.startsWith("finished")) line.append(Object.assign(document.createElement("a"), { href: "report.html", textContent: "The report" }));
    }
    byId("bar").value = state.clients_done / state.clients;
    byId("far").textContent = `${whole(state.clients_done)} of ${whole(state.clients)} clients committed (${((100 * state.clients_done) / state.clients).toFixed(1)} %), ${whole(state.images)} images.`;
    byId("folder").textContent = `From what is committed in ${state.folder}; the run's process is not asked, and stopping this page does not stop it.`;
    table(state.adapters);
  }

  function table(adapters) {
    const ends = adapters.flatMap((one) => [one.gain, ...(one.gain_interval ?? [])]).concat(0);
    const low = Math.min(...ends), high = Math.max(...ends, low + 1e-3);
    const margin = (high - low) * 0.04;
    const at = (value) => `${(100 * (value - low + margin)) / (high - low + 2 * margin)}%`;
    const axis = document.querySelectorAll(".axis span");
    axis[0].textContent = adapters.length ? points(low, true) : "";
    axis[1].textContent = adapters.length ? points(high, true) : "";
    const cell = (tag, content, properties = {}) => {
      const element = Object.assign(document.createElement(tag), properties);
      element.append(content);
      return element;
    };
    document.querySelector("#adapters tbody").replaceChildren(
      ...adapters.map((one) => {
        const track = cell("span", "", { className: "track" });
        const zero = document.createElement("s");
        zero.style.left = at(0);
        const bar = document.createElement("i");
        const [from, to] = one.gain_interval ?? [one.gain, one.gain];
        bar.style.left = at(from);
        bar.style.right = `calc(100% - ${at(to)})`;
        const mark = document.createElement("b");
        mark.style.left = at(one.gain);
        track.append(zero, bar, mark);
        const row = document.createElement("tr");
        row.append(
          cell("th", one.adapter, { scope: "row" }),
          cell("td", found(one.accuracy, one.accuracy_interval, false)),
          cell("td", found(one.gain, one.gain_interval, true)),
          cell("td", track),
        );
        return row;
      }),
    );
  }

  async function ask() {
    let wait = EVERY;
    try {
      const state = await (await fetch("state.json", { cache: "no-store" })).json();
      if (state.error) throw new Error(state.error);
      show(state);
      document.body.classList.remove("stale");
      document.documentElement.dataset.state = state.state;
      document.documentElement.dataset.clients = state.clients_done;
      if (state.state === "finished") wait = 5 * EVERY; // it may be resumed no more, but its folder may go
    } catch (error) {
      document.body.classList.add("stale");
      document.documentElement.dataset.state = "gone";
      const text = error instanceof TypeError ? "iciia watch has stopped; start it again to go on watching." : error.message;
      byId("state").textContent = text;
      byId("state").dataset.text = text;
    }
    document.documentElement.dataset.ready = "yes";
    setTimeout(ask, wait);
  }
  ask();
})();
