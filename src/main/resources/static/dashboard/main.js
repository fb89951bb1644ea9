// Which page stands where, light or dark.

import { passes } from "./api.js";
import { h, trouble } from "./dom.js";
import { compare } from "./compare.js";
import { job } from "./job.js";
import { jobs } from "./jobs.js";
import { order } from "./order.js";
import { scores } from "./scores.js";
import { scoreSet } from "./score-set.js";
import { signIn } from "./sign-in.js";

const PAGES = [
  [/^#\/jobs$/, jobs, "Jobs"],
  [/^#\/jobs\/([^/?]+)$/, job, "Job"],
  [/^#\/scores$/, scores, "Scores"],
  [/^#\/scores\/([^/?]+)$/, scoreSet, "Score set"],
  [/^#\/compare$/, compare, "Compare"],
  [/^#\/order$/, order, "New job"],
];

const main = document.getElementById("main");
let leave = new AbortController();

/** A page fills its place and ends its business when it is left. */
async function show() {
  leave.abort();
  leave = new AbortController();
  const here = location.hash || "#/jobs";
  const [path, query] = here.split("?");
  const found = PAGES.find(([pattern]) => pattern.test(path)) ?? PAGES[0];
  document.title = `${found[2]} – Espalier`;
  for (const link of document.querySelectorAll("nav a")) {
    const current = path.startsWith(link.getAttribute("href"));
    if (current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const place = h("div", {});
  main.replaceChildren(place);
  const leaving = leave;
  try {
    await found[1](place, { id: found[0].exec(path)?.[1], query: new URLSearchParams(query), signal: leaving.signal });
  } catch (e) {
    if (!leaving.signal.aborted) {
      place.replaceChildren(h("h1", {}, found[2]), h("div", { role: "alert" }, trouble(e)), h("p", {}, h("button", { type: "button", onclick: show }, "Try again")));
      if (passes(e)) {
        const again = setTimeout(show, 1000 * (e.retryAfter ?? 5));
        leaving.signal.addEventListener("abort", () => clearTimeout(again));
      }
    }
  }
}

const root = document.documentElement;
const theme = localStorage.getItem("espalier-theme");
if (theme) {
  root.dataset.theme = theme;
}
document.getElementById("theme").addEventListener("click", () => {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("espalier-theme", root.dataset.theme);
  show();
});

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);

addEventListener("hashchange", () => {
  main.focus({ preventScroll: true });
  show();
});
await signIn(show);
show();
