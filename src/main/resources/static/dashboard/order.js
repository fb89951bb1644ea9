// A new job: the usual words as fields, all others as JSON, and a look ahead before anything is ordered.

import { get, post } from "./api.js";
import { choice, field, h, say, trouble } from "./dom.js";
import { preflight } from "./preflight.js";

export async function order(place, { signal }) {
  const [models, corpora, methods] = await Promise.all(["models", "corpora", "methods"].map((kind) => get(`v1/${kind}`, signal)));
  const names = (page) => (page.items ?? page).map((one) => [one.name, one.name]);
  const model = choice(names(models), null, () => { prompts.value = speaks(models, model.value); fill(); });
  const method = choice(names(methods), "heapr", fill);
  const calibration = choice(names(corpora), null, fill);
  const evaluation = choice([["", "do not measure"], ...names(corpora)], names(corpora).at(-1)?.[0] ?? "", fill);
  const prompts = choice([["0", "nothing"], ["4", "4 prompts"], ["8", "8 prompts"], ["16", "16 prompts"]], "4", fill);
  const sequences = h("input", { type: "number", min: "1", value: "32", oninput: fill });
  const length = h("input", { type: "number", min: "2", value: "256", oninput: fill });
  const ratio = h("input", { type: "number", min: "0", max: "0.99", step: "0.01", value: "0.25", oninput: fill });
  const layout = choice(["ragged", "per_layer", "uniform", "experts"].map((l) => [l, l]), "ragged", fill);
  const text = h("textarea", { rows: "14", spellcheck: "false", id: "recipe" });
  const said = h("div", {});

  function fill() {
    const recipe = { model: model.value, method: method.value,
      calibration: { corpus: calibration.value, sequences: Number(sequences.value), sequence_length: Number(length.value) },
      budget: { ratio: Number(ratio.value) }, layout: layout.value };
    if (evaluation.value) recipe.evaluation = { corpus: evaluation.value, windows: 16 };
    if (evaluation.value && prompts.value !== "0") {
      const tokens = Math.max(1, Math.min(32, Math.floor(Number(length.value) / 2)));
      recipe.evaluation.continuations = { prompts: Number(prompts.value), prompt_tokens: tokens, tokens };
    }
    text.value = JSON.stringify(recipe, null, 2);
  }

  async function send(dry) {
    said.replaceChildren();
    let recipe;
    try {
      recipe = JSON.parse(text.value);
    } catch (e) {
      said.replaceChildren(h("div", { role: "alert" }, trouble(new Error(`The order is no JSON: ${e.message}`))));
      return;
    }
    try {
      const answer = await post(`v1/pruning-jobs${dry ? "?dry_run=true" : ""}`, recipe, signal);
      if (dry && !answer.id) {
        said.replaceChildren(h("h2", {}, "What it would come to"), preflight(answer));
        say("Preflight is there");
      } else {
        say(`Ordered ${answer.id}`);
        location.hash = `#/jobs/${answer.id}`;
      }
    } catch (e) {
      if (!signal.aborted) said.replaceChildren(h("div", { role: "alert" }, trouble(e)));
    }
  }

  place.append(h("h1", {}, "New job"), h("fieldset", {}, h("legend", {}, "Order"), h("div", { class: "grid" }, field("Model", model), field("Method", method),
    field("Calibrate on", calibration), field("Sequences", sequences), field("Tokens a sequence", length), field("Cut away (0 to 1)", ratio), field("Layout", layout),
    field("Measure on", evaluation), field("Continue", prompts))), h("label", { for: "recipe" }, "The order as it is sent"),
  h("p", { class: "faint" }, "What the fields above say, and whatever else you write; ", h("a", { href: "openapi.yaml" }, "openapi.yaml"), " names every word."), text,
  h("div", { class: "row bar" }, h("button", { type: "button", onclick: () => send(true) }, "Preflight"), h("button", { type: "button", class: "primary", onclick: () => send(false) }, "Order")), said);
  prompts.value = speaks(models, model.value);
  fill();
}

/** Each token reads much of a model anew; of one that few machines hold in memory, nobody is made to wait for texts unasked. */
const HELD = 16e9;

function speaks(models, name) {
  const bytes = (models.items ?? models).find((one) => one.name === name)?.inspection?.tensor_bytes;
  return bytes > HELD ? "0" : "4";
}
