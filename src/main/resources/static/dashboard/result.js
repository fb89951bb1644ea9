// What a job came to. Drawn once: a result does not change any more.

import { get } from "./api.js";
import { agreed, voices } from "./continuations.js";
import { figures, h, n, number, percent, row, size, table, trouble, whole } from "./dom.js";

export function result(place, job, signal) {
  const r = job.result;
  if (!r || place.children.length) {
    return;
  }
  const cards = h("div", { class: "grid" });
  figures(cards, [["Perplexity", r.perplexity ? `${number(r.perplexity.before)} → ${number(r.perplexity.after)}` : "not measured"],
    ["As much at random", number(r.perplexity?.random_control)], ["Atoms removed", percent(r.achieved.routed_atom_ratio)],
    ["Parameters", `${whole(r.after.total_parameters)} (−${percent(r.achieved.total_parameter_ratio)})`],
    ["Bytes", `${size(r.after.bytes)} (−${percent(r.achieved.byte_ratio)})`], ["Widths", `${r.achieved.min_width} to ${r.achieved.max_width}`]]);
  place.append(h("h2", {}, "Result"), cards);
  if (r.continuations) {
    const outputs = [["Pruned", r], ...(r.further ?? []).map((f) => [`Output ${f.output.layout}`, f])];
    place.append(h("details", {}, h("summary", {}, `What the models say: ${r.continuations.prompts.length} prompts, ${agreed(r.continuations)} as the original`),
      ...voices(outputs.map(([name, output]) => ({ name, model: job.recipe.model, continuations: output.continuations })))));
  }
  if (r.compatibility) {
    place.append(h("h2", {}, "Engines"), engines(r.compatibility));
  }
  place.append(...job.artifacts.map((link) => artifact(link, signal)));
}

export function engines(all) {
  const word = { stock: "yes, as it is", needs: "after what it needs", no: "no" };
  return table("Engines that load the result", ["Engine", "Loads", "Needs", "Why"], all.map((c) => row(c.engine, word[c.loads] ?? c.loads, c.needs ?? "–", c.why)));
}

function artifact(link, signal) {
  const files = h("div", { class: "files" }, h("p", { class: "faint" }, "Its files are being listed."));
  get(link.href.slice(1), signal).then((a) => files.replaceChildren(table("Files of the artifact", ["File", "#Bytes", "SHA-256"],
    a.files.map((f) => row(h("code", {}, f.name), n(size(f.bytes)), h("code", {}, f.sha256.slice(0, 16) + "…"))))),
  (e) => { if (!signal.aborted) files.replaceChildren(trouble(e)); });
  return h("section", {}, h("h2", {}, "Artifact ", h("code", {}, link.id)), files);
}
