// What an order would do, asked while the hand is still on the slider.

import { get, passes, post } from "./api.js";
import { chart, series } from "./charts.js";
import { choice, field, figures, h, notice, number, percent, say, size, trouble, whole } from "./dom.js";

const LAYOUTS = ["ragged", "per_layer", "uniform", "experts"];
const ALIGNMENTS = ["1", "8", "32", "64", "128", "256", "auto"];

/** @param planned is told every plan that was answered */
export async function whatIf(place, set, signal, planned) {
  const ratio = h("input", { type: "range", min: "0", max: "0.9", step: "0.005", value: "0.25" });
  const shown = h("output", { class: "number" }, "25.0 %");
  const layout = choice(LAYOUTS.map((l) => [l, l]), "ragged", () => ask());
  const alignment = choice(ALIGNMENTS.map((a) => [a, a]), "1", () => ask());
  const of = choice([["routed_atoms", "routed atoms"], ["total_parameters", "all parameters"]], "routed_atoms", () => ask());
  const cards = h("div", { class: "grid" });
  const said = notice();
  const canvas = h("canvas", { role: "img", "aria-label": "Predicted change of the loss against the ratio, a line for each layout" });
  const widths = h("canvas", { role: "img", "aria-label": "Atoms kept in each layer" });
  const ordered = h("p", {});
  ratio.addEventListener("input", () => ask());
  place.append(h("div", { class: "grid" }, field("Cut away", ratio), field("Of", of), field("Layout", layout), field("Alignment", alignment)), h("p", {}, "Ratio: ", shown, " ", h("span", { class: "faint" }, "(arrow keys move it by half a percent)")),
    cards, h("div", { class: "wide" }, h("div", { class: "chart" }, canvas), h("div", { class: "chart" }, widths)),
    h("div", { class: "row" }, h("button", { type: "button", class: "primary", onclick: order }, "Order this")), ordered, said.place);

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
  let plan = null;

  /** One question at a time, and always the last one. */
  async function ask() {
    shown.textContent = percent(Number(ratio.value));
    if (asking) {
      again = true;
      return;
    }
    asking = true;
    try {
      const answer = await post(`v1/score-sets/${set.id}/plans`, body(), signal);
      said.clear();
      plan = answer;
      show();
      planned(plan);
    } catch (e) {
      if (signal.aborted) return;
      said.say(e);
      if (passes(e)) setTimeout(ask, 1000 * (e.retryAfter ?? 2));
    } finally {
      asking = false;
    }
    if (again) {
      again = false;
      requestAnimationFrame(ask);
    }
  }

  function show() {
    figures(cards, [["Parameters", `${whole(plan.after.total_parameters)} (−${percent(plan.achieved.total_parameter_ratio)})`],
      ["Bytes", `${size(plan.after.bytes)} (−${percent(plan.achieved.byte_ratio)})`], ["Atoms removed", percent(plan.achieved.routed_atom_ratio)],
      ["Predicted loss change", plan.predicted_loss_change === null ? "these scores only rank" : `${number(plan.predicted_loss_change, 3)} nats`],
      ["Widths", `${plan.achieved.min_width} to ${plan.achieved.max_width}`], ["Loads in", engines()]]);
    bars.data.datasets[0].data = plan.layers.map((l) => ({ x: l.layer, y: 100 * l.kept_atoms / l.atoms }));
    bars.update("none");
  }

  /** What the layouts promise; preflight and the result of a job say it engine by engine. */
  function engines() {
    const one = plan.achieved.min_width === plan.achieved.max_width;
    return one ? "any engine (one width)" : "transformers, by the file that comes with it";
  }

  async function order() {
    try {
      const origin = set.job ? await get(set.job.href.slice(1), signal).catch(() => null) : null;
      const recipe = plain({ ...(plan?.recipe ?? {}), ...body(), evaluation: measured(origin?.recipe) });
      const job = await post("v1/pruning-jobs", recipe, signal);
      say(`Ordered ${job.id}`);
      ordered.replaceChildren("Ordered ", h("a", { href: `#/jobs/${job.id}` }, job.id));
    } catch (e) {
      if (!signal.aborted) ordered.replaceChildren(trouble(e));
    }
  }

  await ask();
}

/** Without what is null: an order leaves out what it does not say. */
function plain(value) {
  return value === null || typeof value !== "object" || Array.isArray(value) ? value
    : Object.fromEntries(Object.entries(value).filter(([, one]) => one !== null && one !== undefined).map(([key, one]) => [key, plain(one)]));
}

/** What the first order measured, in windows as long as it took: without a calibration of its own the order has no length to go by. */
function measured(recipe) {
  return recipe?.evaluation ? { sequence_length: recipe.calibration?.sequence_length, ...plain(recipe.evaluation) } : null;
}
