// The list of jobs, live.

import { get } from "./api.js";
import { choice, duration, h, n, row, state, table, trouble, when } from "./dom.js";

const STATES = ["queued", "running", "paused", "cancelling", "succeeded", "failed", "cancelled"];
const EVERY = 2500;

export async function jobs(place, { query, signal }) {
  const only = query.get("state") ?? "";
  const cursor = query.get("cursor");
  const body = h("div", {});
  const filter = choice([["", "all"], ...STATES.map((s) => [s, s])], only, () => {
    location.hash = filter.value ? `#/jobs?state=${filter.value}` : "#/jobs";
  });
  filter.id = "state";
  const picked = new Set();
  const compare = h("button", { type: "button", disabled: true, onclick: () => { location.hash = `#/compare?${[...picked].map((id) => `job=${id}`).join("&")}`; } },
    "Compare picked");
  place.append(h("h1", {}, "Jobs"), h("div", { class: "row" }, h("div", {}, h("label", { for: "state" }, "State"), filter), compare,
    h("a", { href: "#/order" }, "New job")), h("br"), body);

  const address = `v1/pruning-jobs?limit=50${only ? `&state=${only}` : ""}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`;
  const line = (job) => {
    const pick = h("input", { type: "checkbox", "aria-label": `Pick ${job.id} for comparison`, checked: picked.has(job.id), disabled: job.state !== "succeeded",
      onchange: () => {
        if (pick.checked) picked.add(job.id);
        else picked.delete(job.id);
        compare.disabled = picked.size < 1;
      } });
    const took = job.finished_at && job.started_at ? (new Date(job.finished_at) - new Date(job.started_at)) / 1000 : null;
    return row(pick, h("a", { href: `#/jobs/${job.id}` }, h("code", {}, job.id)), state(job), job.recipe.model, job.recipe.method.name,
      n(`${job.percent.toFixed(0)} %`), job.phase ?? "–", n(job.terminal ? duration(took) : duration(job.eta_seconds)), when(job.created_at));
  };
  async function load() {
    const page = await get(address, signal);
    body.replaceChildren(page.items.length === 0
      ? h("div", { class: "empty" }, h("p", {}, only ? `No job is ${only}.` : "No job yet."), h("p", {}, h("a", { href: "#/order" }, "Order the first one"),
        ", or post one to /v1/pruning-jobs."))
      : table("Jobs, newest first", ["", "Job", "State", "Model", "Method", "#Done", "Phase", "#Took / left", "Ordered"], page.items.map(line)),
    h("p", {}, page.next_cursor && h("a", { href: `#/jobs?${only ? `state=${only}&` : ""}cursor=${encodeURIComponent(page.next_cursor)}` }, "Older jobs")));
  }
  await load();
  repeat(load, EVERY, signal, place);
}

/** Again and again while the page is there; trouble is said on top, and what was there stays. */
export function repeat(load, every, signal, place) {
  const said = h("div", {});
  place.prepend(said);
  let pause = every;
  const again = async () => {
    if (signal.aborted) {
      return;
    }
    try {
      if (!document.hidden && !place.contains(document.activeElement?.closest("select, input[type=checkbox]:focus"))) {
        await load();
      }
      said.replaceChildren();
      pause = every;
    } catch (e) {
      if (!signal.aborted) {
        said.replaceChildren(trouble(e));
        pause = Math.min(30000, (e.retryAfter ?? 0) * 1000 || pause * 2);
      }
    }
    setTimeout(again, pause);
  };
  setTimeout(again, pause);
}
