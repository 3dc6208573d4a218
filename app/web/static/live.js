"use strict";
// Follows the jobs of this page: status, progress and power as they come, the rest from the server.

const KINDS = ["cpu", "gpu", "ram"];
const MOST_POINTS = 400;
const EVERY_MS = 5000; // between two looks at the whole page
const DOING = {
  waiting_for_quiet: "waiting until the host is quiet",
  starting: "starting the training process",
  setup: "loading data, building the model",
  training: "training",
  evaluating: "evaluating on the test set",
};

function watts(value) {
  return `${value.toPrecision(3)} W`;
}

function draw(place, samples, newest) {
  const chart = place.querySelector("svg");
  if (!chart || samples.length < 2) return;
  const begin = samples[0].t_s;
  const span = newest - begin || 1;
  const values = samples.flatMap((one) => KINDS.map((kind) => one[`${kind}_w`] ?? 0));
  const top = 1.15 * Math.max(...values) || 1;
  const step = Math.ceil(samples.length / MOST_POINTS);
  for (const kind of KINDS) {
    const line = chart.querySelector(`.${kind}`);
    if (!line) continue;
    line.setAttribute("points", samples.flatMap((one, n) => {
      const value = one[`${kind}_w`];
      if (n % step || value === null) return [];
      const end = samples[n + step]?.t_s ?? newest;
      const y = (100 - (100 * value) / top).toFixed(2);
      return [one.t_s, end].map((t) => `${((1000 * (t - begin)) / span).toFixed(1)},${y}`);
    }).join(" "));
  }
  place.querySelector(".axis span").textContent = watts(top);
  place.querySelector(".ends span:last-child").textContent = `${newest.toFixed(1)} s`;
}

function follow(place) {
  const says = place.querySelector("[data-says]");
  const bar = place.querySelector("progress");
  const whole = "reload" in place.dataset;
  const charts = place.querySelector("[data-charts]");
  let samples = [];
  let attempt = 0;
  let stage = "";
  let looked = Date.now();
  let looking = false;

  async function look() {
    if (!whole || looking || Date.now() - looked < EVERY_MS) return;
    looking = true;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const name of ["[data-charts]", ".tiles"]) {
        const now = fresh.querySelector(name);
        const before = place.querySelector(name);
        if (now && before) before.replaceWith(now);
        else if (now) place.querySelector("section").before(now);
      }
    } catch {
      // the service is away: the stream says so, and the next look follows
    }
    looked = Date.now();
    looking = false;
  }

  const events = new EventSource(`/v1/jobs/${place.dataset.job}/events`);
  events.addEventListener("status", (event) => {
    const told = JSON.parse(event.data);
    if (told.attempt !== attempt) samples = [];
    attempt = told.attempt;
    if (!["queued", "running"].includes(told.status)) {
      events.close();
      location.reload();
      return;
    }
    stage = DOING[told.stage] ?? told.status;
    says.textContent = stage;
    look();
  });
  events.addEventListener("progress", (event) => {
    const { epoch, epochs, step, steps, eta_s: left } = JSON.parse(event.data);
    if (steps) bar.value = Math.min(1, (epoch + step / steps) / epochs);
    const rest = left === null ? "" : `, about ${Math.max(1, Math.round(left))} s left`;
    if (stage === DOING.training) {
      says.textContent = `training, epoch ${Math.min(epoch + 1, epochs)} of ${epochs}${rest}`;
    }
    look();
  });
  events.addEventListener("power", (event) => {
    const sample = JSON.parse(event.data);
    samples.push(sample);
    const known = KINDS.map((kind) => sample[`${kind}_w`]).filter((value) => value !== null);
    const shown = place.querySelector("[data-power]");
    if (shown && known.length) shown.textContent = watts(known.reduce((a, b) => a + b, 0));
    if (place.querySelector("[data-charts]")) requestAnimationFrame(() => draw(
      place.querySelector("[data-charts]"), samples.slice(0, -1), sample.t_s));
    look();
  });
  events.onerror = () => {
    says.textContent = "The connection is lost; trying again";
  };
  events.onopen = () => {
    if (stage) says.textContent = stage;
  };
  if (charts) looked = 0;
}

function followExperiment(place) {
  const says = place.querySelector("[data-says]");
  const events = new EventSource(`/v1/experiments/${place.dataset.experiment}/events`);
  events.addEventListener("experiment", async (event) => {
    if (JSON.parse(event.data).ended) {
      events.close();
      location.reload();
      return;
    }
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const name of ["[data-says]", "[data-result]"]) {
        place.querySelector(name).replaceChildren(...fresh.querySelector(name).childNodes);
      }
    } catch {
      // the service is away: the stream says so, and the next event follows
    }
  });
  events.onerror = () => {
    says.textContent = "The connection is lost; trying again";
  };
}

document.querySelectorAll("[data-job]").forEach(follow);
document.querySelectorAll("[data-experiment]").forEach(followExperiment);
