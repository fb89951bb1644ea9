// Every score set there is.

import { get } from "./api.js";
import { h, minute, n, row, table, when, whole } from "./dom.js";

export async function scores(place, { query, signal }) {
  const cursor = query.get("cursor");
  const page = await get(`v1/score-sets?limit=50${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`, signal);
  place.append(h("h1", {}, "Score sets"), page.items.length === 0
    ? h("div", { class: "empty" }, h("p", {}, "No scores yet. Every job leaves some; they answer what-if questions afterwards."), h("p", {}, h("a", { href: "#/order" }, "Order a job")))
    : table("Score sets, newest first", ["Score set", "Model", "Method", "Unit", "#Tokens", "Measured"], page.items.map((s) =>
      row(h("a", { href: `#/scores/${s.id}` }, h("code", {}, s.id)), s.model, s.method.name, s.unit, n(whole(s.tokens)),
        h("span", { class: "tight number", title: when(s.created_at) }, minute(s.created_at))))),
  h("p", { class: "row" }, cursor && h("a", { class: "button", href: "#/scores" }, "Newest ones"),
    page.next_cursor && h("a", { class: "button", href: `#/scores?cursor=${encodeURIComponent(page.next_cursor)}` }, "Older ones")));
}
