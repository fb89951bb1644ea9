// One job, live: where it is, how fast, what happened, what it cost. Every part keeps its elements, so nothing moves and no focus is lost.

import { curl, follow, get, plain, post, remove } from "./api.js";
import { chart, series } from "./charts.js";
import { copier, duration, figures, h, notice, number, say, size, taken, when, whole } from "./dom.js";
import { result } from "./result.js";

const PHASES = ["open", "calibrate", "score", "plan", "cut", "check", "publish"];
const VERBS = ["pause", "resume", "cancel", "retry"];
const POINTS = 600;

export async function job(place, { id, signal }) {
  const path = `v1/pruning-jobs/${encodeURIComponent(id)}`;
  let now = await get(path, signal);
  const lost = notice();
  const named = h("span", { class: "state" });
  const failed = h("p", { class: "bad", role: "alert" });
  const verbs = buttons();
  const ways = h("span", { class: "row" });
  const phases = h("ol", { class: "phases" });
  const bar = h("progress", { max: "100", "aria-label": "Progress" });
  const cards = h("div", { class: "grid" });
  const came = h("div", {});
  const log = h("div", { class: "log", tabindex: "0", role: "log", "aria-label": "Events of the job" });
  const pace = await throughput(now, signal);
  const progress = now.state === "succeeded" ? [] : [h("h2", {}, "Progress"), bar, cards];
  const running = [h("h2", {}, "Phases"), phases, ...progress, pace.place, h("h2", {}, "Events"), log];
  const name = h("code", {}, id);
  place.append(h("h1", { class: "row" }, name, copier("Copy the job's id", name), named), h("p", { class: "faint" },
    `${now.recipe.model}, ${now.recipe.method.name}, ${cut(now.recipe)}, layout ${now.recipe.layout}, ordered ${when(now.created_at)}`),
  h("div", { class: "row" }, verbs, ways), failed, ...(now.terminal ? [came, ...running] : [...running, came]),
  h("details", {}, h("summary", {}, "The order, for a shell"), taken("The order as a curl command", curl("v1/pruning-jobs", plain(now.recipe)))), lost.place);

  function buttons() {
    const all = VERBS.map((verb) => h("button", { type: "button", class: verb === "cancel" ? "danger" : null, "data-link": verb, onclick: () => act(async () => {
      now = await post(`${path}/${verb}`);
      say(`${verb}: ${now.state}`);
    }) }, verb[0].toUpperCase() + verb.slice(1)));
    all.push(h("button", { type: "button", class: "danger", "data-link": "delete", onclick: () => {
      if (confirm(`Delete ${id} with its artifacts? Its scores go too unless another job uses them.`)) {
        act(async () => {
          await remove(path);
          location.hash = "#/jobs";
        });
      }
    } }, "Delete"));
    return all;
  }

  async function act(what) {
    try {
      await what();
      if (!signal.aborted) await refresh();
    } catch (e) {
      if (!signal.aborted) lost.say(e);
    }
  }

  function show() {
    named.className = `state ${now.state}`;
    named.textContent = now.state;
    document.title = `${now.state}: ${id} – Espalier`;
    failed.textContent = now.error ? `${now.error.code}: ${now.error.message}` : "";
    verbs.forEach((button) => { button.disabled = !now.links[button.dataset.link]; });
    const links = [now.score_set && ["Scores and what-if", `#/scores/${now.score_set.id}`], now.result && ["Compare", `#/compare?job=${id}`]].filter(Boolean);
    if (ways.children.length !== links.length) ways.replaceChildren(...links.map(([text, href]) => h("a", { class: "button", href }, text)));
    steps();
    live(now);
    result(came, now, signal);
  }

  function steps() {
    const times = new Map(now.phases.map((p) => [p.phase, p]));
    const names = [...new Set([...PHASES.filter((p) => times.has(p) || !now.terminal), ...times.keys()])];
    phases.replaceChildren(...names.map((name) => {
      const p = times.get(name);
      const seconds = p && (new Date(p.finished_at ?? Date.now()) - new Date(p.started_at)) / 1000;
      return h("li", { class: p?.finished_at ? "done" : p && !now.terminal ? "now" : null }, name, h("br"),
        h("span", { class: "faint number" }, p ? duration(Math.max(0, seconds)) : "–"));
    }));
  }

  function live(p) {
    bar.value = p.percent;
    figures(cards, [["Done", `${p.percent.toFixed(1)} %`], ["Phase", p.phase ?? "–"],
      ["Layer", p.layer === null || p.layers === null ? "–" : `${p.layer} of ${p.layers}`],
      ["Slices", p.slices === null ? "–" : `${p.slices_done} of ${p.slices}`], ["Tokens a second", number(p.tokens_per_second, 3)],
      ["Left", p.state === "running" ? duration(p.eta_seconds) : "–"]]);
    pace.add(p.tokens_per_second);
  }

  async function refresh() {
    now = await get(path, signal);
    show();
  }

  show();
  const history = batches(log, signal);
  await follow(`${path}/events`, signal, (type, data) => {
    if (type === "progress" || type === "end") {
      live(data);
      if (type === "end" || data.state !== now.state) act(async () => {});
      return;
    }
    history(data);
    if (type.startsWith("phase") && !now.terminal) act(async () => {});
  }, (e) => (e ? lost.say(e, "Not live: ") : lost.clear()));
}

/** How much an order cuts away, in a word or two. */
export function cut({ budget }) {
  return (budget.ratio ?? null) !== null ? `${number(100 * budget.ratio)} % of ${{ routed_atoms: "atoms", total_parameters: "parameters" }[budget.ratio_of] ?? budget.ratio_of}`
    : budget.target_bytes ? `down to ${size(budget.target_bytes)}` : `down to ${whole(budget.target_parameters)} parameters`;
}

/** Events by their numbers, each once, drawn together before the next frame: a long history is one drawing. */
function batches(log, signal) {
  const seen = new Set();
  let waiting = [];
  const draw = () => {
    const bottom = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    log.append(...waiting);
    waiting = [];
    if (bottom) log.scrollTop = log.scrollHeight;
  };
  return (event) => {
    if (seen.has(event.seq) || signal.aborted) return;
    seen.add(event.seq);
    if (waiting.length === 0) setTimeout(draw, 16);
    waiting.push(h("p", {}, h("span", { class: "faint number", title: when(event.at) }, `${new Date(event.at).toLocaleTimeString("sv-SE")} `), event.message));
  };
}

/** Tokens a second over the job's time: what the service has kept of it, where it keeps series, and what comes while the page is open. */
async function throughput(job, signal) {
  const past = job.links.metrics ? await get(`${job.links.metrics.slice(1)}?name=tokens_per_second`, signal).catch(() => null) : null;
  const from = new Date(job.started_at ?? Date.now());
  const points = (past?.series[0]?.points ?? []).map((p) => ({ x: Math.max(0, (new Date(p.at) - from) / 1000), y: p.value }));
  const here = Math.max(points.at(-1)?.x ?? 0, job.terminal ? 0 : (Date.now() - from) / 1000);
  const began = performance.now();
  if (job.terminal && points.length === 0) {
    return { place: "", add: () => {} };
  }
  const canvas = h("canvas", { role: "img", "aria-label": "Tokens a second over the job's time" });
  const drawn = chart(canvas, "line", { datasets: [{ label: "tokens a second", data: points, borderColor: series(0), pointRadius: 1 }] },
    { x: "since the job began", y: "tokens a second", xMore: { type: "linear", min: 0, ticks: { callback: duration } }, yMore: { beginAtZero: true } });
  signal.addEventListener("abort", () => drawn.destroy());
  return {
    place: h("div", {}, h("h2", {}, "Throughput"), h("div", { class: "chart" }, canvas)),
    add(rate) {
      if (!rate || signal.aborted) return;
      points.push({ x: here + (performance.now() - began) / 1000, y: rate });
      if (points.length > POINTS) points.shift();
      drawn.update("none");
    },
  };
}
