// One score set: which experts matter, how their atoms are spread, and what an order would do.

import { get } from "./api.js";
import { chart, heat, series } from "./charts.js";
import { choice, copier, field, figure, h, number, percent, trouble, whole } from "./dom.js";
import { header, values } from "./safetensors.js";
import { whatIf } from "./what-if.js";

const QUESTIONS = [["mean", "mean score"], ["routed_tokens", "routed tokens"], ["kept_width", "width kept"]];
const HOW = "Point at a cell, or move with the arrow keys; Enter shows the expert's atoms.";
const BINS = 40;

export async function scoreSet(place, { id, signal }) {
  const path = `v1/score-sets/${encodeURIComponent(id)}`;
  const set = await get(path, signal);
  const layers = set.summary.layers;
  const agreement = set.summary.agreement;
  document.title = `Scores: ${id} – Espalier`;
  const name = h("code", {}, id);
  place.append(h("h1", { class: "row" }, name, copier("Copy the score set's id", name)), h("p", { class: "faint" }, `${set.model}, ${set.method.name}, ${set.unit}`, set.job && [", measured by ", h("a", { href: `#/jobs/${set.job.id}` }, set.job.id)]),
    h("div", { class: "grid" }, figure("Calibration tokens", whole(set.tokens)), figure("Layers with experts", whole(layers.length)),
      figure("Experts a layer", whole(layers[0].experts.length)),
      figure("Agreement of halves (Spearman)", number(agreement?.spearman, 3)),
      figure("Same quarter removed (Jaccard)", percent(agreement?.jaccard.find((j) => j.ratio === 0.25)?.jaccard))));

  const told = h("p", { class: "number", "aria-live": "polite" }, HOW);
  const canvas = h("canvas", { class: "heat", tabindex: "0", role: "application", "aria-roledescription": "heat map", "aria-label": "Heat map, layers down, experts across; arrow keys move, Enter opens an expert" });
  const [low, high, note] = [h("span", {}), h("span", {}), h("span", { class: "faint" })];
  const legend = h("p", { class: "legend number" }, low, h("span", { class: "ramp", "aria-hidden": "true" }), high, note);
  const detail = h("div", { class: "atoms" });
  let plan = null;
  const which = choice(QUESTIONS, "mean", () => draw());
  let map = null;
  place.append(h("h2", {}, "Experts"), h("div", { class: "row" }, field("Colour by", which), legend), h("p", { class: "faint" },
    `Layers from top to bottom, experts from left to right: ${layers.length} × ${layers[0].experts.length}.`), canvas, told, h("h2", {}, "Atoms"), detail);
  signal.addEventListener("abort", () => map?.destroy());

  function draw() {
    const at = map?.at();
    map?.destroy();
    const what = which.value;
    const rows = layers.map((layer, y) => ({ name: layer.layer, values: layer.experts.map((e, x) => (what === "kept_width" ? plan?.layers[y].widths[x] ?? e.width : e[what])) }));
    map = heat(canvas, rows, what === "mean", (y, x, picked) => {
      const expert = layers[y].experts[x];
      told.textContent = expert ? `Layer ${layers[y].layer}, expert ${expert.expert}: mean ${number(expert.mean, 3)}, ${whole(expert.routed_tokens)} routed tokens, width ${
        plan ? `${plan.layers[y].widths[x]} of ` : ""}${expert.width}` : "";
      if (expert && picked) {
        atoms(y, x).catch((e) => { if (!signal.aborted) detail.replaceChildren(trouble(e)); });
      }
    }, at);
    legend.hidden = !map.known;
    const digits = what === "mean" ? 3 : 9;
    low.textContent = number(map.low, digits);
    high.textContent = number(map.high, digits);
    note.textContent = what === "mean" ? "logarithmic" : what === "kept_width" && !plan ? "no plan yet: all atoms" : "";
    if (!map.known || !told.textContent) told.textContent = map.known ? HOW : "This method has no such figures.";
  }

  let file = null;
  let drawn = [];
  let picked = 0;
  async function atoms(y, x) {
    const mine = ++picked;
    file ??= header(path, signal);
    const found = await file;
    const first = layers.slice(0, y).reduce((sum, l) => sum + l.experts.reduce((s, e) => s + e.width, 0), 0);
    const layer = layers[y].experts.reduce((s, e) => s + e.width, 0);
    const before = layers[y].experts.slice(0, x).reduce((s, e) => s + e.width, 0);
    const all = await values(path, found, "scores", first, first + layer, signal);
    if (picked !== mine) return;
    const own = all.slice(before, before + layers[y].experts[x].width).sort((a, b) => b - a);
    const held = detail.offsetHeight;
    drawn.forEach((c) => c.destroy());
    detail.style.minHeight = `${held}px`;
    const one = h("canvas", { role: "img", "aria-label": `Atom scores of layer ${layers[y].layer}, expert ${layers[y].experts[x].expert}, largest first` });
    const many = h("canvas", { role: "img", "aria-label": `Histogram of atom scores of layer ${layers[y].layer} and of the expert` });
    detail.replaceChildren(h("p", {}, `Layer ${layers[y].layer}, expert ${layers[y].experts[x].expert}: ${own.length} atoms, largest ${number(own[0], 3)}, smallest ${number(own.at(-1), 3)}`),
      h("div", { class: "wide" }, h("div", { class: "chart" }, one), h("div", { class: "chart" }, many)));
    drawn = [
      chart(one, "line", { datasets: [{ label: "score", data: own.map((v, i) => ({ x: i, y: v })), borderColor: series(0), pointRadius: 0 }] },
        { x: "atom, by rank", y: "score", xMore: { type: "linear" }, yMore: { type: "logarithmic", ticks: { callback: (v) => (/^[13]e/.test(v.toExponential()) ? number(v) : "") } } }),
      histogram(many, all, own),
    ];
  }
  signal.addEventListener("abort", () => drawn.forEach((c) => c.destroy()));

  draw();
  atoms(0, 0).catch((e) => { if (!signal.aborted) detail.replaceChildren(trouble(e)); });
  const panel = h("div", {});
  place.append(h("h2", {}, "What if"), panel);
  await whatIf(panel, set, signal, (next) => {
    plan = next;
    if (which.value === "kept_width") {
      draw();
    }
  });
}

/** Shares of the layer's and of the expert's atoms, on one logarithmic axis. */
function histogram(canvas, layer, own) {
  const positive = layer.filter((v) => v > 0).map(Math.log10);
  const low = positive.reduce((a, b) => Math.min(a, b), Infinity);
  const width = (positive.reduce((a, b) => Math.max(a, b), -Infinity) - low) / BINS || 1;
  const count = (all) => {
    const bins = new Array(BINS).fill(0);
    all.filter((v) => v > 0).forEach((v) => { bins[Math.min(BINS - 1, Math.floor((Math.log10(v) - low) / width))] += 1 / all.length; });
    return bins.map((share, i) => ({ x: low + (i + 0.5) * width, y: 100 * share }));
  };
  return chart(canvas, "bar", { datasets: [
    { label: "layer", order: 1, data: count(layer), backgroundColor: series(1), grouped: false, barPercentage: 1, categoryPercentage: 1 },
    { label: "expert", order: 0, data: count(own), backgroundColor: series(0), grouped: false, barPercentage: 0.5, categoryPercentage: 1 },
  ] }, { x: "log10 of the score", y: "% of atoms", xMore: { type: "linear" } });
}
