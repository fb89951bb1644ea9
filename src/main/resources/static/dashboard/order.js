// A new job: the usual words as fields, all others as JSON, and a look ahead before anything is ordered.

import { curl, get, post } from "./api.js";
import { choice, field, h, say, taken, trouble } from "./dom.js";
import { LAYOUTS } from "./engines.js";
import { preflight } from "./preflight.js";

export async function order(place, { signal }) {
  const [models, corpora, methods] = await Promise.all(["models", "corpora", "methods"].map((kind) => get(`v1/${kind}`, signal).then((page) => page.items)));
  const names = (page) => page.map((one) => [one.name, one.name]);
  const model = choice(names(models), null, put((recipe) => { recipe.model = model.value; prompts.value = speaks(models, model.value); measured(recipe); }));
  const method = choice(names(methods), "heapr", put(ranked));
  const calibration = choice(names(corpora), like(corpora, "train") ?? corpora[0]?.name, put(ranked));
  const sequences = h("input", { type: "number", min: "1", value: "32", oninput: put(ranked) });
  const length = h("input", { type: "number", min: "2", value: "256", oninput: put(ranked) });
  const ratio = h("input", { type: "number", min: "0", max: "0.99", step: "0.01", value: "0.25", oninput: put((recipe) => { recipe.budget = { ratio: Number(ratio.value) }; }) });
  const layout = choice(LAYOUTS.map((l) => [l, l]), "ragged", put((recipe) => { recipe.layout = layout.value; }));
  const evaluation = choice([["", "do not measure"], ...names(corpora)], like(corpora, "test") ?? "", put(measured));
  const prompts = choice([["0", "nothing"], ["4", "4 prompts"], ["8", "8 prompts"], ["16", "16 prompts"]], "4", put(measured));
  const text = h("textarea", { rows: "20", spellcheck: "false", id: "recipe" });
  const said = h("div", {});

  /** A method that sees no tokens needs none to be named. */
  function ranked(recipe) {
    const tokens = methods.find((m) => m.name === method.value)?.needs_tokens !== false;
    [calibration, sequences, length].forEach((control) => { control.disabled = !tokens; });
    recipe.method = typeof recipe.method === "object" && recipe.method?.name === method.value ? recipe.method : method.value;
    if (tokens) recipe.calibration = { ...recipe.calibration, corpus: calibration.value, sequences: Number(sequences.value), sequence_length: Number(length.value) };
    else delete recipe.calibration;
    measured(recipe);
  }

  /** Windows as long as the calibration's sequences, which have to be said where there is none. */
  function measured(recipe) {
    if (!evaluation.value) {
      delete recipe.evaluation;
      return;
    }
    recipe.evaluation = { corpus: null, windows: 16, ...recipe.evaluation, corpus: evaluation.value, sequence_length: Number(length.value) };
    const tokens = Math.max(1, Math.min(32, Math.floor(Number(length.value) / 2)));
    if (prompts.value === "0") delete recipe.evaluation.continuations;
    else {
      const written = recipe.evaluation.continuations;
      const fits = written?.prompt_tokens + written?.tokens <= Number(length.value);
      recipe.evaluation.continuations = { prompt_tokens: tokens, tokens, ...(fits ? written : {}), prompts: Number(prompts.value) };
    }
  }

  /** A field changes its own words in the order and leaves what else was written there. */
  function put(change) {
    return () => {
      const recipe = read();
      if (recipe) {
        change(recipe);
        text.value = JSON.stringify(recipe, null, 2);
      }
    };
  }

  function read() {
    said.replaceChildren();
    try {
      return JSON.parse(text.value);
    } catch (e) {
      said.replaceChildren(h("div", { role: "alert" }, trouble(new Error(`The order is no JSON: ${e.message}`))));
      return null;
    }
  }

  async function send(dry) {
    const recipe = read();
    if (!recipe) return;
    try {
      const answer = await post(`v1/pruning-jobs${dry ? "?dry_run=true" : ""}`, recipe, signal);
      if (dry && !answer.id) {
        said.replaceChildren(h("h2", {}, "What it would come to"), preflight(answer),
          h("details", {}, h("summary", {}, "The order, for a shell"), taken("The order as a curl command", curl("v1/pruning-jobs", recipe))));
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
  const recipe = { model: model.value, method: method.value, calibration: {}, budget: { ratio: Number(ratio.value) }, layout: layout.value };
  ranked(recipe);
  text.value = JSON.stringify(recipe, null, 2);
}

/** The first text whose name says what it is for: nobody wants to calibrate on what is measured afterwards. */
function like(corpora, word) {
  return corpora.find((one) => one.name.includes(word))?.name;
}

/** Each token reads much of a model anew; of one that few machines hold in memory, nobody is made to wait for texts unasked. */
const HELD = 16e9;

function speaks(models, name) {
  const bytes = models.find((one) => one.name === name)?.inspection?.tensor_bytes;
  return bytes > HELD ? "0" : "4";
}
