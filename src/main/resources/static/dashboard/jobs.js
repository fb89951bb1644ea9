// The list of jobs, live.

import { get } from "./api.js";
import { choice, duration, h, minute, n, notice, row, state, table, when } from "./dom.js";
import { cut } from "./job.js";

const STATES = ["queued", "running", "paused", "cancelling", "succeeded", "failed", "cancelled"];
const EVERY = 2500;
const SLOWEST = 30000;
/** Runs that a comparison shows beside each other. */
const MOST = 6;

export async function jobs(place, { query, signal }) {
  const only = query.get("state") ?? "";
  const cursor = query.get("cursor");
  const filter = choice([["", "all"], ...STATES.map((s) => [s, s])], only, () => {
    location.hash = filter.value ? `#/jobs?state=${filter.value}` : "#/jobs";
  });
  filter.id = "state";
  const picked = new Set();
  const compare = h("button", { type: "button", disabled: true, onclick: () => { location.hash = `#/compare?${[...picked].map((id) => `job=${id}`).join("&")}`; } },
    "Compare picked");
  const older = h("p", { class: "row" });
  const none = h("div", { class: "empty", hidden: true }, h("p", {}, only ? `No job is ${only}.` : "No job yet."),
    h("p", {}, h("a", { href: "#/order" }, "Order the first one"), ", or post one to /v1/pruning-jobs."));
  const list = table("Jobs, newest first", ["Pick", "State", "Job", "Model", "Method", "Cut", "#Done", "Phase", "#Time", "Ordered"], [], true);
  const body = list.querySelector("tbody");

  const address = `v1/pruning-jobs?limit=50${only ? `&state=${only}` : ""}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`;
  const line = (job) => {
    const pick = h("input", { type: "checkbox", "aria-label": `Pick ${job.id} for comparison`, checked: picked.has(job.id), disabled: job.state !== "succeeded",
      onchange: () => {
        if (pick.checked) picked.add(job.id);
        else picked.delete(job.id);
        compare.disabled = picked.size < 1 || picked.size > MOST;
        compare.textContent = picked.size === 0 ? "Compare picked" : picked.size > MOST ? `${picked.size} picked, at most ${MOST}` : `Compare ${picked.size} picked`;
      } });
    const took = job.finished_at && job.started_at ? (new Date(job.finished_at) - new Date(job.started_at)) / 1000 : null;
    return row(pick, state(job), h("a", { href: `#/jobs/${job.id}` }, h("code", {}, job.id)), h("span", { class: "name" }, job.recipe.model), job.recipe.method.name, `${job.recipe.layout}, ${cut(job.recipe).replace(" of atoms", "")}`,
      n(`${job.percent.toFixed(0)} %`), job.phase ?? "–", n(job.terminal ? duration(took) : job.eta_seconds === null ? "–" : `${duration(job.eta_seconds)} left`), h("span", { class: "tight number", title: when(job.created_at) }, minute(job.created_at)));
  };
  const lines = new Map();
  async function load() {
    const page = await get(address, signal);
    const here = new Set(page.items.map((job) => job.id));
    [...lines.keys()].filter((id) => !here.has(id)).forEach((id) => { lines.get(id).remove(); lines.delete(id); });
    page.items.forEach((job, i) => {
      const now = line(job);
      if (lines.has(job.id)) renew(lines.get(job.id), now);
      else lines.set(job.id, now);
      if (body.children[i] !== lines.get(job.id)) body.insertBefore(lines.get(job.id), body.children[i] ?? null);
    });
    none.hidden = page.items.length > 0;
    list.hidden = !none.hidden;
    const all = only ? `state=${only}` : "";
    older.replaceChildren(...[cursor && h("a", { class: "button", href: `#/jobs${all && `?${all}`}` }, "Newest jobs"),
      page.next_cursor && h("a", { class: "button", href: `#/jobs?${all}${all && "&"}cursor=${encodeURIComponent(page.next_cursor)}` }, "Older jobs")].filter(Boolean));
  }
  await load();
  place.append(h("h1", {}, "Jobs"), h("div", { class: "row bar" }, h("div", {}, h("label", { for: "state" }, "State"), filter), compare,
    h("a", { class: "button", href: "#/order" }, "New job")), none, list, older);
  repeat(load, EVERY, signal, place);
}

/** Puts into a line what is otherwise in the new one. What is as it was stays, with the keyboard's focus on it. */
function renew(line, now) {
  [...now.children].forEach((cell, i) => {
    const old = line.children[i];
    const box = old.querySelector("input");
    if (old.innerHTML !== cell.innerHTML || (box && box.disabled !== cell.querySelector("input").disabled)) old.replaceWith(cell);
  });
}

/** Again and again while the page is there; trouble is said, and what was there stays. */
function repeat(load, every, signal, place) {
  const said = notice();
  place.append(said.place);
  let pause = every;
  const again = async () => {
    if (signal.aborted) {
      return;
    }
    try {
      if (!document.hidden) {
        await load();
        said.clear();
      }
      pause = every;
    } catch (e) {
      if (!signal.aborted) {
        said.say(e, "Not live: ");
        pause = (e.retryAfter ?? 0) * 1000 || Math.min(SLOWEST, pause * 2);
      }
    }
    setTimeout(again, pause);
  };
  setTimeout(again, pause);
}
