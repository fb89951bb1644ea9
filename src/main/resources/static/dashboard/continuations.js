// What models say behind the same prompts, beside each other, with the place where a pruned one leaves its original.

import { h, percent } from "./dom.js";

/** Runs with the same prompts beside each other: said is [{name, model, continuations}], those without any are left out. */
export function voices(said) {
  const prompts = new Map();
  for (const { name, model, continuations } of said) {
    for (const one of continuations?.prompts ?? []) {
      const key = [model, one.prompt.ids, one.before.ids].join("|");
      if (!prompts.has(key)) prompts.set(key, { ...one, runs: [] });
      prompts.get(key).runs.push({ name, one });
    }
  }
  return [...prompts.values()].map((prompt, i) => h("section", { class: "prompt" },
    h("h3", {}, `Prompt ${i + 1}`), h("blockquote", {}, spelled(prompt.prompt)),
    h("div", { class: "voices" },
      voice("The text itself", "", spelled(prompt.reference)),
      voice("Original", tokens(prompt.before.ids.length), spelled(prompt.before)),
      prompt.runs.map(({ name, one }) => voice(name, agreement(one), parted(one))))));
}

/** How far a run agrees with its original, for a table. */
export const agreed = (continuations) => (continuations ? `${percent(continuations.agreeing_share)} of tokens` : "–");

function voice(name, how, text) {
  return h("figure", { class: "voice" }, h("figcaption", {}, h("strong", {}, name), " ", h("span", { class: "faint" }, how)), h("p", {}, text));
}

const tokens = (count) => `${count} ${count === 1 ? "token" : "tokens"}`;

function agreement(one) {
  const all = one.before.ids.length;
  return one.tokens_agreeing === all && one.after.ids.length === all ? `all ${tokens(all)} as the original` : `${one.tokens_agreeing} of ${tokens(all)} as the original`;
}

/** Without a tokenizer there are only numbers. */
const spelled = (passage) => passage.text ?? passage.ids.join(" ");

/** What the run says, from the first word on that is another one marked: by an arrow and a line below, and in words for those who hear it. */
function parted(one) {
  const [before, after] = [spelled(one.before), spelled(one.after)];
  if (before === after) return after;
  let at = 0;
  while (at < before.length && at < after.length && before[at] === after[at]) at++;
  while (at > 0 && /[\p{L}\p{N}\p{M}\p{Cs}]/u.test(after[at - 1])) at--;
  return [after.slice(0, at), h("mark", {}, h("span", { class: "unseen" }, "[differs from here] "), h("span", { class: "turn", "aria-hidden": "true" }, "➘"), after.slice(at))];
}
