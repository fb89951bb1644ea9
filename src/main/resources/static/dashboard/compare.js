// Runs beside each other, and beside the model they came from.

import { get } from "./api.js";
import { chart, series } from "./charts.js";
import { agreed, voices } from "./continuations.js";
import { choice, field, h, n, number, percent, row, size, table, whole } from "./dom.js";

export async function compare(place, { query, signal }) {
  const ids = query.getAll("job").slice(0, 6);
  const done = (await get("v1/pruning-jobs?state=succeeded&limit=100", signal)).items;
  const more = choice([["", "add a run…"], ...done.filter((j) => !ids.includes(j.id)).map((j) => [j.id, `${j.recipe.model}, ${j.recipe.method.name}, ${j.id.slice(-6)}`])], "", () => {
    if (more.value) location.hash = `#/compare?${[...ids, more.value].map((id) => `job=${id}`).join("&")}`;
  });
  place.append(h("h1", {}, "Compare"), h("div", { class: "row bar" }, field("Runs", more), ids.length > 0 && h("a", { class: "button", href: "#/compare" }, "Begin anew")));
  if (ids.length === 0) {
    place.append(h("div", { class: "empty" }, h("p", {}, done.length ? "Add two or more runs that succeeded." : "No run has succeeded yet; order one first.")));
    return;
  }
  const runs = await Promise.all(ids.map((id) => get(`v1/pruning-jobs/${encodeURIComponent(id)}`, signal)));
  const some = runs.filter((r) => r.result);
  const name = (r) => `${r.recipe.method.name} ${r.recipe.layout} ${percent(r.result.achieved.routed_atom_ratio)} …${r.id.slice(-4)}`;
  const seconds = (r) => r.phases.reduce((s, p) => s + (p.finished_at ? (new Date(p.finished_at) - new Date(p.started_at)) / 1000 : 0), 0);
  const speed = (r) => {
    const spent = r.phases.find((p) => p.phase === "calibrate" && p.finished_at);
    const seen = r.recipe.calibration ? r.recipe.calibration.sequences * r.recipe.calibration.sequence_length : 0;
    return r.score_set?.reused ? "scores reused" : spent && seen ? number(seen * 1000 / (new Date(spent.finished_at) - new Date(spent.started_at)), 3) : "–";
  };
  const lines = [
    ["Model", (r) => r.recipe.model],
    ["Perplexity before", (r) => n(number(r.result.perplexity?.before))],
    ["Perplexity after", (r) => n(number(r.result.perplexity?.after))],
    ["As much at random", (r) => n(number(r.result.perplexity?.random_control))],
    ["Says what the original says", (r) => n(agreed(r.result.continuations))],
    ["Atoms removed", (r) => n(percent(r.result.achieved.routed_atom_ratio))],
    ["Parameters", (r) => n(whole(r.result.after.total_parameters))],
    ["Active parameters", (r) => n(whole(r.result.after.active_parameters))],
    ["Bytes", (r) => n(size(r.result.after.bytes))],
    ["Widths", (r) => n(`${r.result.achieved.min_width}–${r.result.achieved.max_width}`)],
    ["Calibration, tokens a second", (r) => n(speed(r))],
    ["Seconds of work", (r) => n(number(seconds(r), 3))],
    ["Predicted loss change", (r) => n(number(r.result.predicted_loss_change, 3))],
  ];
  if (some.length === 0) {
    place.append(h("div", { class: "empty" }, h("p", {}, "None of these runs has a result yet. Compare shows runs that succeeded.")));
    return;
  }
  place.append(table("Runs beside each other", ["", ...some.map(name)], lines.map(([title, cell]) => row(h("strong", {}, title), ...some.map(cell)))),
    h("p", {}, some.map((r) => [h("a", { href: `#/jobs/${r.id}` }, r.id), " "])));
  const canvas = h("canvas", { role: "img", "aria-label": "Perplexity against size, a point for each run and one for each original" });
  const points = some.filter((r) => r.result.perplexity).flatMap((r, i) => [
    { label: name(r), data: [{ x: r.result.after.bytes / 1e6, y: r.result.perplexity.after }], borderColor: series(i), backgroundColor: series(i), pointRadius: 6 },
  ]);
  if (points.length) {
    const first = some.find((r) => r.result.perplexity);
    points.push({ label: "original", data: [{ x: first.result.before.bytes / 1e6, y: first.result.perplexity.before }], borderColor: series(3), backgroundColor: series(3), pointRadius: 6, pointStyle: "rect" });
    place.append(h("h2", {}, "Perplexity against size"), h("div", { class: "chart" }, canvas));
    const drawn = chart(canvas, "scatter", { datasets: points }, { x: "MB", y: "perplexity" });
    signal.addEventListener("abort", () => drawn.destroy());
  }
  samples(place, some, name);
  await overlap(place, some, name, signal);
}

/** Greedy continuations of the same prompts; runs that were measured on other text have prompts of their own. */
function samples(place, runs, name) {
  const said = voices(runs.map((r) => ({ name: name(r), model: r.recipe.model, continuations: r.result.continuations })));
  const silent = runs.filter((r) => !r.result.continuations);
  place.append(h("h2", {}, "What they say"),
    said.length ? h("p", { class: "faint" }, "The most probable token again and again. Behind an arrow, underlined, a run says something else than its original.") : "", ...said,
    silent.length ? h("p", { class: "faint" }, `${said.length ? `Without prompts: ${silent.map(name).join(", ")}.` : "None of these runs continued prompts."} Order with evaluation.continuations, or choose “Continue” in the new-job form.`) : "");
}

/** Jaccard of the atoms that each pair keeps, by the plans that lie with the artifacts: whatever layout, scope and protections made of the scores is in them. */
async function overlap(place, runs, name, signal) {
  if (runs.length < 2) {
    return;
  }
  const kept = await Promise.all(runs.map((r) => keptAtoms(r, signal).catch((e) => e)));
  const lacking = kept.filter((k) => k instanceof Error);
  place.append(h("h2", {}, "Overlap of what stays"), h("p", { class: "faint" }, "Share of atoms that both keep among those that either keeps (Jaccard)."),
    table("Overlap of kept atoms", ["", ...runs.map((r) => `#${name(r)}`)], runs.map((a, i) => row(h("strong", {}, name(a)), ...runs.map((b, k) => n(jaccard(kept[i], kept[k])))))),
    lacking.length ? h("p", { class: "bad" }, `Without a plan to read: ${lacking.map((e) => e.message).join("; ")}`) : "");
}

function jaccard(a, b) {
  if (a instanceof Error || b instanceof Error || a.shape !== b.shape) {
    return "–";
  }
  let both = 0;
  let either = 0;
  for (let i = 0; i < a.kept.length; i++) {
    both += a.kept[i] & b.kept[i];
    either += a.kept[i] | b.kept[i];
  }
  return percent(either ? both / either : 1);
}

/** One byte an atom, and the shape that two runs must share to be compared. */
async function keptAtoms(run, signal) {
  if (!run.artifact) {
    throw new Error(`${run.id} has no artifact any more`);
  }
  const { experts } = await get(`${run.artifact.href.slice(1)}/files/pruning-plan.json`, signal);
  const kept = new Uint8Array(experts.reduce((sum, e) => sum + e.width, 0));
  let at = 0;
  for (const expert of experts) {
    if (!expert.removed) {
      for (const atom of expert.kept) kept[at + atom] = 1;
    }
    at += expert.width;
  }
  return { kept, shape: experts.map((e) => `${e.layer}.${e.expert}.${e.width}`).join() };
}
