// One job, live: where it is, how fast, what happened, what it cost.

import { follow, get, post, remove } from "./api.js";
import { chart, series } from "./charts.js";
import { duration, figure, h, n, number, percent, row, say, size, state, table, trouble, when, whole } from "./dom.js";

const PHASES = ["open", "calibrate", "score", "plan", "cut", "check", "publish"];
const VERBS = ["pause", "resume", "cancel", "retry"];

export async function job(place, { id, signal }) {
  const path = `v1/pruning-jobs/${encodeURIComponent(id)}`;
  let now = await get(path, signal);
  const parts = Object.fromEntries(["head", "lost", "phases", "live", "speed", "result", "events"].map((name) => [name, h("div", {})]));
  const canvas = h("canvas", { role: "img", "aria-label": "Tokens a second over time" });
  const log = h("div", { class: "log", tabindex: "0", role: "log", "aria-label": "Events of the job" });
  const pace = [];
  place.append(parts.head, parts.lost, h("h2", {}, "Phases"), parts.phases, h("h2", {}, "Progress"), parts.live,
    h("h2", {}, "Throughput"), h("div", { class: "chart" }, canvas), parts.result, h("h2", {}, "Events"), log);
  const throughput = chart(canvas, "line", { datasets: [{ label: "tokens a second", data: pace, borderColor: series(0), pointRadius: 1 }] },
    { x: "seconds since this page was opened", y: "tokens a second", xMore: { type: "linear" }, yMore: { beginAtZero: true } });
  signal.addEventListener("abort", () => throughput.destroy());
  const began = performance.now();

  function verbs() {
    return h("div", { class: "row" }, VERBS.map((verb) => h("button", { type: "button", class: verb === "cancel" ? "danger" : null, disabled: !now.links[verb],
      onclick: async () => {
        try {
          now = await post(`${path}/${verb}`);
          say(`${verb}: ${now.state}`);
        } catch (e) {
          parts.lost.replaceChildren(trouble(e));
        }
        await refresh();
      } }, verb[0].toUpperCase() + verb.slice(1))),
    now.terminal && h("button", { type: "button", class: "danger", onclick: async () => {
      if (confirm(`Delete ${id} with its artifact? Its scores go too unless another job uses them.`)) {
        await remove(path);
        location.hash = "#/jobs";
      }
    } }, "Delete"),
    now.score_set && h("a", { href: `#/scores/${now.score_set.id}` }, "Scores and what-if"),
    now.result && h("a", { href: `#/compare?job=${id}` }, "Compare"));
  }

  function show() {
    parts.head.replaceChildren(h("h1", {}, h("code", {}, id), " ", state(now)), h("p", { class: "faint" },
      `${now.recipe.model}, ${now.recipe.method.name}, layout ${now.recipe.layout}, ordered ${when(now.created_at)}`), verbs(),
    now.error && h("p", { class: "bad", role: "alert" }, `${now.error.code}: ${now.error.message}`));
    const times = new Map(now.phases.map((p) => [p.phase, p]));
    const names = [...new Set([...PHASES.filter((p) => times.has(p) || !now.terminal), ...times.keys()])];
    parts.phases.replaceChildren(h("ol", { class: "phases" }, names.map((name) => {
      const p = times.get(name);
      const seconds = p && (new Date(p.finished_at ?? Date.now()) - new Date(p.started_at)) / 1000;
      return h("li", { class: p?.finished_at ? "done" : p && !now.terminal ? "now" : null }, name, h("br"),
        h("span", { class: "faint number" }, p ? duration(seconds) : "–"));
    })));
    live(now);
    result();
  }

  function live(p) {
    parts.live.replaceChildren(h("progress", { max: "100", value: p.percent, "aria-label": "Progress" }),
      h("div", { class: "grid" }, figure("Done", `${p.percent.toFixed(1)} %`), figure("Phase", p.phase ?? "–"),
        figure("Layer", p.layer === null || p.layers === null ? "–" : `${p.layer} of ${p.layers}`),
        figure("Slices", p.slices === null ? "–" : `${p.slices_done} of ${p.slices}`), figure("Tokens a second", number(p.tokens_per_second, 3)),
        figure("Left", duration(p.eta_seconds))));
    if (p.tokens_per_second) {
      pace.push({ x: (performance.now() - began) / 1000, y: p.tokens_per_second });
      if (pace.length > 600) pace.shift();
      throughput.update("none");
    }
  }

  function result() {
    const r = now.result;
    if (!r) {
      parts.result.replaceChildren();
      return;
    }
    parts.result.replaceChildren(h("h2", {}, "Result"), h("div", { class: "grid" },
      figure("Perplexity", r.perplexity ? `${number(r.perplexity.before)} → ${number(r.perplexity.after)}` : "not measured"),
      figure("As much at random", number(r.perplexity?.random_control)), figure("Atoms removed", percent(r.achieved.routed_atom_ratio)),
      figure("Parameters", `${whole(r.after.total_parameters)} (−${percent(r.achieved.total_parameter_ratio)})`),
      figure("Bytes", `${size(r.after.bytes)} (−${percent(r.achieved.byte_ratio)})`), figure("Widths", `${r.achieved.min_width} to ${r.achieved.max_width}`)),
    r.compatibility && [h("h2", {}, "Engines"), table("Engines that load the result", ["Engine", "Loads", "Needs", "Why"],
      r.compatibility.map((c) => row(c.engine, c.loads, c.needs, c.why)))],
    now.artifacts.map((a) => artifact(a)));
  }

  function artifact(link) {
    const place = h("div", {});
    get(link.href.slice(1), signal).then((a) => place.append(h("h2", {}, "Artifact ", h("code", {}, a.id)),
      table("Files of the artifact", ["File", "#Bytes", "SHA-256"], a.files.map((f) => row(h("code", {}, f.name), n(size(f.bytes)), h("code", {}, f.sha256.slice(0, 16) + "…"))))),
    (e) => { if (!signal.aborted) place.append(trouble(e)); });
    return place;
  }

  async function refresh() {
    now = await get(path, signal);
    show();
  }

  show();
  const seen = new Set();
  await follow(`${path}/events`, signal, (type, data) => {
    if (type === "progress" || type === "end") {
      live(data);
      if (type === "end" || data.state !== now.state) refresh().catch(() => {});
      return;
    }
    if (!seen.has(data.seq)) {
      seen.add(data.seq);
      const bottom = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
      log.append(h("p", {}, h("span", { class: "faint number" }, `${new Date(data.at).toLocaleTimeString("en-GB")} `), data.message));
      if (bottom) log.scrollTop = log.scrollHeight;
      if (type.startsWith("phase") && !now.terminal) refresh().catch(() => {});
    }
  }, (e) => parts.lost.replaceChildren(e ? h("p", { class: "bad", role: "alert" }, `Not live: ${e.message}`) : ""));
}
