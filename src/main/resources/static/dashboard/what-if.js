// What an order would do, asked while the hand is still on the slider.

import { get, post } from "./api.js";
import { chart, series } from "./charts.js";
import { choice, field, figure, h, number, percent, say, size, trouble, whole } from "./dom.js";

const LAYOUTS = ["ragged", "per_layer", "uniform", "experts"];
const ALIGNMENTS = ["1", "8", "32", "64", "128", "256", "auto"];

/** @param planned is told every plan that was answered */
export async function whatIf(place, set, signal, planned) {
  const ratio = h("input", { type: "range", min: "0", max: "0.9", step: "0.005", value: "0.25" });
  const shown = h("output", { class: "number" }, "25.0 %");
  const layout = choice(LAYOUTS.map((l) => [l, l]), "ragged", () => ask());
  const alignment = choice(ALIGNMENTS.map((a) => [a, a]), "1", () => ask());
  const of = choice([["routed_atoms", "routed atoms"], ["total_parameters", "all parameters"]], "routed_atoms", () => ask());
  const figures = h("div", { class: "grid" });
  const said = h("div", {});
  const canvas = h("canvas", { role: "img", "aria-label": "Predicted change of the loss against the ratio, a line for each layout" });
  const widths = h("canvas", { role: "img", "aria-label": "Atoms kept in each layer" });
  const ordered = h("p", {});
  ratio.addEventListener("input", () => ask());
  place.append(h("div", { class: "grid" }, field("Cut away", ratio), field("Of", of), field("Layout", layout), field("Alignment", alignment)), h("p", {}, "Ratio: ", shown),
    said, figures, h("div", { class: "wide" }, h("div", { class: "chart" }, canvas), h("div", { class: "chart" }, widths)),
    h("div", { class: "row" }, h("button", { type: "button", class: "primary", onclick: order }, "Order this")), ordered);

  const curves = await get(`v1/score-sets/${set.id}/curve?points=41&ratio_of=routed_atoms`, signal).catch(() => null);
  const lines = curves ? curves.layouts.map((l, i) => ({ label: l.layout, borderColor: series(i), pointRadius: 0,
    data: l.points.filter((p) => p.predicted_loss_change !== null).map((p) => ({ x: 100 * p.routed_atom_ratio, y: p.predicted_loss_change })) })) : [];
  const curve = chart(canvas, "line", { datasets: lines }, { x: "% of routed atoms removed", y: "predicted loss change, nats a token", xMore: { type: "linear" } });
  const bars = chart(widths, "bar", { datasets: [{ label: "kept", data: [], backgroundColor: series(0) }] }, { x: "layer", y: "% of atoms kept",
    xMore: { type: "linear", ticks: { stepSize: 1 } }, yMore: { min: 0, max: 100 } });
  signal.addEventListener("abort", () => { curve.destroy(); bars.destroy(); });

  const body = () => ({ budget: { ratio: Number(ratio.value), ratio_of: of.value }, layout: layout.value,
    alignment: alignment.value === "auto" ? "auto" : Number(alignment.value) });
  let asking = false;
  let again = false;

  /** One question at a time, and always the last one. */
  async function ask() {
    shown.textContent = percent(Number(ratio.value));
    if (asking) {
      again = true;
      return;
    }
    asking = true;
    try {
      const plan = await post(`v1/score-sets/${set.id}/plans`, body(), signal);
      said.replaceChildren();
      show(plan);
      planned(plan);
    } catch (e) {
      if (signal.aborted) return;
      said.replaceChildren(trouble(e));
    } finally {
      asking = false;
    }
    if (again) {
      again = false;
      requestAnimationFrame(ask);
    }
  }

  function show(plan) {
    const cards = [["Parameters", `${whole(plan.after.total_parameters)} (−${percent(plan.achieved.total_parameter_ratio)})`],
      ["Bytes", `${size(plan.after.bytes)} (−${percent(plan.achieved.byte_ratio)})`], ["Atoms removed", percent(plan.achieved.routed_atom_ratio)],
      ["Predicted loss change", plan.predicted_loss_change === null ? "these scores only rank" : `${number(plan.predicted_loss_change, 3)} nats`],
      ["Widths", `${plan.achieved.min_width} to ${plan.achieved.max_width}`],
      ["Loads in", plan.compatibility ? plan.compatibility.filter((c) => c.loads === "stock").map((c) => c.engine).join(", ") || "none as it is" : engines(plan)]];
    if (figures.children.length) {
      cards.forEach(([, value], i) => { figures.children[i].querySelector("dd").textContent = value; });
    } else {
      figures.append(...cards.map(([name, value]) => figure(name, value)));
    }
    bars.data.datasets[0].data = plan.layers.map((l) => ({ x: l.layer, y: 100 * l.kept_atoms / l.atoms }));
    bars.update("none");
  }

  /** What the layouts promise; the result of a job says it engine by engine. */
  function engines(plan) {
    const one = plan.achieved.min_width === plan.achieved.max_width;
    return one ? "any engine: one width for all experts" : plan.recipe.layout === "per_layer" ? "engines that take a width a layer" : "transformers with the generated modeling file";
  }

  async function order() {
    try {
      const origin = set.job ? await get(set.job.href.slice(1), signal).catch(() => null) : null;
      const recipe = { ...(origin?.recipe ?? {}), model: set.model, method: set.method, ...body(), score_set: set.id };
      delete recipe.protections;
      if (recipe.method && recipe.method.seed === null) {
        recipe.method = { ...recipe.method };
        delete recipe.method.seed;
      }
      if (recipe.evaluation && recipe.evaluation.sequence_length === null) {
        recipe.evaluation = { ...recipe.evaluation };
        delete recipe.evaluation.sequence_length;
      }
      const job = await post("v1/pruning-jobs", recipe, signal);
      say(`Ordered ${job.id}`);
      ordered.replaceChildren("Ordered ", h("a", { href: `#/jobs/${job.id}` }, job.id));
    } catch (e) {
      if (!signal.aborted) ordered.replaceChildren(trouble(e));
    }
  }

  await ask();
}
