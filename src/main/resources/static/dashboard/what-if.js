// What an order would do, asked while the hand is still on the slider; and what it would do in the other layouts, asked when the hand rests.

import { curl, get, passes, plain, post } from "./api.js";
import { chart, series } from "./charts.js";
import { choice, even, field, figures, h, less, n, notice, percent, row, say, size, table, taken, trouble, whole } from "./dom.js";
import { LAYOUTS, engines, loads } from "./engines.js";

const ALIGNMENTS = ["1", "8", "32", "64", "128", "256", "auto"];
const REST = 300;

/** @param planned is told every plan that was answered */
export async function whatIf(place, set, signal, planned) {
  const ratio = h("input", { type: "range", min: "0", max: "0.9", step: "0.005", value: "0.25", "aria-describedby": "by-key" });
  const shown = h("output", { class: "number" }, "25.0 %");
  const layout = choice(LAYOUTS.map((l) => [l, l]), "ragged", () => ask());
  const alignment = choice(ALIGNMENTS.map((a) => [a, a]), "1", () => ask());
  const of = choice([["routed_atoms", "routed atoms"], ["total_parameters", "all parameters"]], "routed_atoms", () => ask());
  const cards = h("div", { class: "grid" });
  const said = notice();
  const canvas = h("canvas", { role: "img", "aria-label": "Predicted change of the loss against the ratio, a line for each layout" });
  const widths = h("canvas", { role: "img", "aria-label": "Atoms kept in each layer" });
  const compared = layouts();
  const why = h("div", {});
  const shell = h("div", {});
  const ordered = h("p", { role: "status" });
  const button = h("button", { type: "button", class: "primary", disabled: true, onclick: order }, "Order this");
  ratio.addEventListener("input", () => ask());
  figures(cards, ["Parameters", "Bytes", "Atoms removed", "Predicted loss change", "Widths"].map((name) => [name, "–"]));
  place.append(h("div", { class: "grid" }, field("Cut away", ratio), field("Of", of), field("Layout", layout), field("Alignment", alignment)),
    h("p", {}, "Ratio: ", shown, " ", h("span", { class: "faint", id: "by-key" }, "(arrow keys move it by half a percent)")),
    cards, h("div", { class: "wide" }, h("div", { class: "chart" }, canvas), h("div", { class: "chart" }, widths)),
    h("h3", {}, "The same cut in each layout, and the engines that load it"), compared.place,
    h("details", {}, h("summary", {}, "Why, for the layout that is chosen"), why),
    h("details", {}, h("summary", {}, "The same question for a shell"), shell), h("div", { class: "row bar" }, button), ordered, said.place);

  const bars = chart(widths, "bar", { datasets: [{ label: "kept", data: [], backgroundColor: series(0) }] }, { x: "layer", y: "% of atoms kept",
    xMore: { type: "linear", ticks: { stepSize: 1 } }, yMore: { min: 0, max: 100 } });
  let asking = false;
  let again = false;
  let plan = null;
  let rest;
  signal.addEventListener("abort", () => { bars.destroy(); clearTimeout(rest); });

  const body = (which = layout.value) => ({ budget: { ratio: Number(ratio.value), ratio_of: of.value }, layout: which,
    alignment: which === "experts" ? 1 : alignment.value === "auto" ? "auto" : Number(alignment.value) });
  const question = (which) => post(`v1/score-sets/${set.id}/plans`, body(which), signal);

  /** One question at a time, and always the last one. */
  async function ask() {
    shown.textContent = percent(Number(ratio.value));
    alignment.disabled = layout.value === "experts";
    clearTimeout(rest);
    if (asking) {
      again = true;
      return;
    }
    asking = true;
    try {
      plan = await question();
      said.clear();
      show();
      planned(plan);
    } catch (e) {
      if (signal.aborted) return;
      plan = null;
      compared.choose(layout.value, e);
      said.say(e);
      if (passes(e)) rest = setTimeout(ask, 1000 * (e.retryAfter ?? 2));
    } finally {
      asking = false;
    }
    button.disabled = plan === null;
    if (plan) rest = setTimeout(others, REST);
    else cards.querySelectorAll("dd").forEach((figure) => { figure.textContent = "–"; });
    next(ask);
  }

  /** The layouts that are not chosen; whoever moves the slider does not wait for them. */
  async function others() {
    asking = true;
    for (const other of LAYOUTS.filter((l) => l !== layout.value)) {
      if (!again && !signal.aborted) await question(other).then((p) => compared.say(other, p), (e) => compared.say(other, e));
    }
    asking = false;
    next(ask);
  }

  function next(what) {
    if (again && !signal.aborted) {
      again = false;
      requestAnimationFrame(what);
    }
  }

  function show() {
    figures(cards, [["Parameters", `${whole(plan.after.total_parameters)} ${less(plan.achieved.total_parameter_ratio)}`],
      ["Bytes", `${size(plan.after.bytes)} ${less(plan.achieved.byte_ratio)}`], ["Atoms removed", percent(plan.achieved.routed_atom_ratio)],
      ["Predicted loss change", plan.predicted_loss_change === null ? "these scores only rank" : `${even(plan.predicted_loss_change, 3)} nats`],
      ["Widths", `${plan.achieved.min_width} to ${plan.achieved.max_width}`]]);
    bars.data.datasets[0].data = plan.layers.map((l) => ({ x: l.layer, y: 100 * l.kept_atoms / l.atoms }));
    bars.update("none");
    compared.choose(layout.value, plan);
    shell.replaceChildren(taken("Question as a curl command", curl(`v1/score-sets/${set.id}/plans`, body())));
    why.replaceChildren(plan.compatibility ? engines(plan.compatibility, "Engines that would load it")
      : h("p", {}, "These scores were measured by a version that did not keep what decides it. The preflight of an order says it."));
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

  await Promise.all([ask(), curves(canvas, set, signal)]);
}

/** The predicted change of the loss over every ratio; a sentence where the scores predict none. */
async function curves(canvas, set, signal) {
  const answer = await get(`v1/score-sets/${set.id}/curve?points=41&ratio_of=routed_atoms`, signal).catch(() => null);
  if (signal.aborted) return;
  const lines = (answer?.layouts ?? []).map((l, i) => ({ label: l.layout, borderColor: series(i), pointRadius: 0,
    data: l.points.filter((p) => p.predicted_loss_change !== null).map((p) => ({ x: 100 * p.routed_atom_ratio, y: p.predicted_loss_change })) }));
  if (lines.every((line) => line.data.length === 0)) {
    canvas.replaceWith(h("p", { class: "empty" }, answer ? "These scores rank atoms and predict no loss." : "The curves could not be had."));
    return;
  }
  const drawn = chart(canvas, "line", { datasets: lines }, { x: "% of routed atoms removed", y: "predicted loss change, nats a token", xMore: { type: "linear" } });
  signal.addEventListener("abort", () => drawn.destroy());
}

/** A line for each layout, there from the beginning; what is not known yet, or cannot be, is a dash. */
function layouts() {
  const names = ["transformers 4", "transformers 5", "vLLM", "SGLang", "llama.cpp"];
  const blank = (layout) => row(layout, ...["–", "–", "–"].map(n), ...names.map(() => "–"));
  const refused = (layout, error) => row(layout, h("td", { colspan: 3 + names.length, class: "faint" },
    error.violations?.map((v) => `${v.field}: expected ${v.expected}`).join("; ") || error.message));
  const lines = new Map(LAYOUTS.map((layout) => [layout, blank(layout)]));
  const place = table("The same cut in each layout", ["Layout", "#Predicted loss change", "#Bytes", "#Widths", ...names], [...lines.values()]);
  place.classList.add("layouts");

  function put(layout, line) {
    lines.get(layout).replaceWith(line);
    lines.set(layout, line);
  }

  function say(layout, answer) {
    put(layout, answer instanceof Error ? refused(layout, answer) : row(layout, n(even(answer.predicted_loss_change, 3)), n(size(answer.after.bytes)),
      n(`${answer.achieved.min_width} to ${answer.achieved.max_width}`),
      ...names.map((name) => loads(answer.compatibility?.find((one) => one.engine === name)))));
  }

  /** What the others said was about another question. */
  function choose(layout, answer) {
    LAYOUTS.forEach((other) => put(other, blank(other)));
    say(layout, answer);
    lines.get(layout).classList.add("chosen");
  }

  return { place, say, choose };
}

/** What the first order measured, in windows as long as it took: without a calibration of its own the order has no length to go by. */
function measured(recipe) {
  return recipe?.evaluation ? { sequence_length: recipe.calibration?.sequence_length, ...plain(recipe.evaluation) } : null;
}
