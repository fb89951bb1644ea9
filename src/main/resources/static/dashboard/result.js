// What a job came to. Drawn once: a result does not change any more.

import { curl, get } from "./api.js";
import { agreed, voices } from "./continuations.js";
import { even, figures, h, less, n, percent, row, size, table, taken, trouble, whole } from "./dom.js";
import { engines } from "./engines.js";
import { token } from "./oidc.js";

export function result(place, job, signal) {
  const r = job.result;
  if (!r || place.children.length) {
    return;
  }
  const cards = h("div", { class: "grid" });
  figures(cards, [["Perplexity", r.perplexity ? `${even(r.perplexity.before)} → ${even(r.perplexity.after)}` : "not measured"],
    ["Perplexity, as much cut at random", even(r.perplexity?.random_control)], ["Atoms removed", percent(r.achieved.routed_atom_ratio)],
    ["Parameters", `${whole(r.after.total_parameters)} ${less(r.achieved.total_parameter_ratio)}`],
    ["Bytes", `${size(r.after.bytes)} ${less(r.achieved.byte_ratio)}`], ["Widths", `${r.achieved.min_width} to ${r.achieved.max_width}`]]);
  place.append(h("h2", {}, "Result"), cards);
  if (r.further?.length) {
    place.append(h("h2", {}, "Outputs"), outputs(job, r));
  }
  if (r.continuations) {
    const made = [["Pruned", r], ...(r.further ?? []).map((f) => [`Output ${f.output.layout}`, f])];
    place.append(h("details", {}, h("summary", {}, `What the models say: ${r.continuations.prompts.length} prompts, ${agreed(r.continuations)} as the original`),
      ...voices(made.map(([name, output]) => ({ name, model: job.recipe.model, continuations: output.continuations })))));
  }
  if (r.compatibility) {
    place.append(h("h2", {}, "Engines"), engines(r.compatibility));
  }
  place.append(...job.artifacts.map((link) => artifact(link, signal)));
}

/** The first output and the further ones, in the order of their artifacts. */
function outputs(job, r) {
  const all = [{ output: job.recipe, after: r.after, achieved: r.achieved, perplexity: r.perplexity, predicted_loss_change: r.predicted_loss_change }, ...r.further];
  return table("Outputs of the job", ["Artifact", "Layout", "#Alignment", "#Atoms removed", "#Bytes", "#Widths", "#Perplexity", "#Predicted loss change"], all.map((o, i) =>
    row(h("code", {}, job.artifacts[i]?.id ?? "–"), o.output.layout, n(whole(o.achieved.alignment)), n(percent(o.achieved.routed_atom_ratio)), n(size(o.after.bytes)),
      n(`${o.achieved.min_width} to ${o.achieved.max_width}`), n(even(o.perplexity?.after)), n(even(o.predicted_loss_change, 3)))));
}

function artifact(link, signal) {
  const path = link.href.slice(1);
  const files = h("div", { class: "files" }, h("p", { class: "faint" }, link.deleted ? "It was deleted; its figures stay." : "Its files are being listed."));
  if (!link.deleted) {
    get(path, signal).then((a) => files.replaceChildren(taken("The artifact, fetched and checked", `${curl(`${path}/archive`)} | tar -x && (cd ${link.id} && sha256sum -c SHA256SUMS)`),
      table("Files of the artifact", ["File", "#Bytes", "SHA-256"], a.files.map((f) => row(file(f), n(size(f.bytes)), h("code", {}, f.sha256))))),
    (e) => { if (!signal.aborted) files.replaceChildren(trouble(e)); });
  }
  return h("section", {}, h("h2", {}, "Artifact ", h("code", {}, link.id)), files);
}

/** A link where none is asked for a token: a link cannot bring one. */
function file(f) {
  return token() ? h("code", {}, f.name) : h("a", { href: f.href.slice(1), download: f.name }, h("code", {}, f.name));
}
