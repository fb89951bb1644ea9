// What an order would come to, as the service says before it is ordered.

import { duration, figures, h, many, number, percent, size, table, whole, row, n } from "./dom.js";
import { engines } from "./engines.js";

export function preflight(p) {
  const cards = h("div", { class: "grid" });
  figures(cards, [
    ["Time", p.time.total_seconds === null ? "not known yet" : `about ${duration(p.time.total_seconds)}`],
    ["Going by", p.time.basis === null ? "no earlier job" : `${many(p.time.jobs, "job")} on ${p.time.basis === "same_model" ? "this model" : "other models"}`],
    ["Model", p.model ? `${size(p.model.bytes)} in ${many(p.model.files, "file")}` : "cannot be read"],
    ["Architecture", p.architecture ?? "not supported"],
    ["Layers, experts", `${whole(p.layers)}, ${whole(p.experts)}`],
    ["Parameters", whole(p.size?.total_parameters)],
    ["Memory", p.memory?.plan ? `${size(p.memory.plan.estimated_bytes)} of ${size(p.memory.budget_bytes)} on ${p.memory.device}` : p.memory ? "none to measure in" : "not known"],
    ["Slices", whole(p.memory?.slices)],
    ["Disk", p.disk?.artifact_bytes === null ? `${size(p.disk.free_bytes)} free` : p.disk ? `${size(p.disk.artifact_bytes)} + ${size(p.disk.work_bytes)} at work, ${size(p.disk.free_bytes)} free` : "not known"],
    ["Scores", p.scores?.exist ? "there already: no calibration" : p.scores?.exist === false ? "to be measured" : "not known"],
    ["Calibration tokens", tokens(p.calibration)],
    ["Evaluation tokens", tokens(p.evaluation)],
    ["Continuations", p.continuations ? `${whole(p.continuations.tokens)} tokens, reading ${size(p.continuations.read_bytes)} ${p.continuations.fits_memory ? "from memory" : "from the disk: the model is larger than free memory"}` : "none"],
  ]);
  return h("div", {}, verdict(p), cards,
    (p.outputs ?? []).map((o) => h("section", {}, h("h3", {}, `Output ${o.layout}, alignment ${o.alignment}, about ${size(o.bytes)}`), engines(o.compatibility))),
    p.model && h("section", {}, h("h3", {}, "Tensors"), table("Tensors of the model", ["Type", "#Tensors", "#Bytes", "#Share"],
      p.model.dtypes.map((d) => row(d.dtype, n(whole(d.tensors)), n(size(d.bytes)), n(percent(d.bytes / p.model.bytes)))))),
    p.unknown.length > 0 && h("section", {}, h("h3", {}, "Not known"), h("ul", {}, p.unknown.map((u) => h("li", {}, `${u.field || "most of it"}: ${u.why}`)))));
}

function verdict(p) {
  const short = p.disk?.enough === false;
  if (p.violations.length === 0 && !p.error_code && !short) {
    return h("p", { class: "good", role: "status" }, "Nothing stands in the way of this order.");
  }
  return h("div", { class: "trouble", role: "alert" }, h("p", { class: "bad" }, short ? "The disk is too small for it." : `The job would fail: ${p.error_code}`),
    h("ul", {}, p.violations.map((v) => h("li", {}, `${v.field || "the order"}: ${v.given ?? "missing"} (expected: ${v.expected})`))));
}

const tokens = (t) => (t ? `${whole(t.asked)}${t.found === null ? "" : `; the text has ${t.all ? "" : "at least "}${number(t.found, 9)}`}` : "none");
