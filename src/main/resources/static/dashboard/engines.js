// Layouts, and which engines load what they make.

import { h, row, table } from "./dom.js";

export const LAYOUTS = ["ragged", "per_layer", "uniform", "experts"];

const WORDS = { stock: "yes", needs: "needs help", no: "no" };
const CLASSES = { stock: "good", needs: "warn", no: "bad" };

/** One word, with the reason for whoever points at it; a dash where nothing is known. */
export function loads(answer) {
  return !answer ? h("span", {}, "–") : h("span", { class: `tight ${CLASSES[answer.loads]}`, title: answer.needs ? `${answer.needs}: ${answer.why}` : answer.why }, WORDS[answer.loads] ?? answer.loads);
}

/** Engine by engine, with what each needs and why. */
export function engines(all, caption = "Engines that load the result") {
  return table(caption, ["Engine", "Loads it", "Needs", "Why"], all.map((c) => row(h("span", { class: "tight" }, c.engine), loads(c), c.needs ?? "–", c.why)), true);
}
