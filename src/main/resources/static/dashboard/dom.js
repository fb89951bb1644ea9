// Elements and numbers. Text is always set as text: nothing that the API says is read as markup.

/** An element: h("p", {class: "faint", onclick: f}, "text", child). */
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) {
      continue;
    }
    if (key.startsWith("on")) {
      element.addEventListener(key.slice(2), value);
    } else if (key === "value" || key === "checked" || key === "disabled") {
      element[key] = value;
    } else {
      element.setAttribute(key, value === true ? "" : value);
    }
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A table row of texts, elements and numbers. */
export function row(...cells) {
  return h("tr", {}, cells.map((cell) => (cell instanceof HTMLTableCellElement ? cell : h("td", {}, cell ?? ""))));
}

/** A number in a table, to the right. */
export function n(text) {
  return h("td", { class: "n" }, text);
}

/** A table that scrolls by itself; where it is a list of things rather than of numbers, a phone shows each thing as a paragraph. */
export function table(caption, columns, rows, list = false) {
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h("table", { class: list && "list" }, h("caption", { class: "unseen" }, caption),
      h("thead", {}, h("tr", {}, columns.map((column) => h("th", { scope: "col", class: column.startsWith("#") ? "n" : null }, column.replace("#", ""))))),
      h("tbody", {}, rows)));
}

export function figure(name, value) {
  return h("div", { class: "card" }, h("dl", { class: "figure" }, h("dt", {}, name), h("dd", {}, value)));
}

/** Cards of names and values in a grid; later values go into the cards that stand there, so that nothing moves. */
export function figures(grid, cards) {
  if (grid.children.length !== cards.length) {
    grid.replaceChildren(...cards.map(([name, value]) => figure(name, value)));
    return;
  }
  cards.forEach(([, value], i) => {
    const now = grid.children[i].querySelector("dd");
    if (now.textContent !== value) now.textContent = value;
  });
}

/** A place at the lower edge of the window, above everything: what it says moves nothing. */
export function notice() {
  const place = h("div", { class: "notice", role: "alert" });
  return { place, clear: () => place.replaceChildren(), say: (error, before = "") => place.replaceChildren(trouble(error, before)) };
}

export function field(label, control) {
  control.id ||= `f-${label.toLowerCase().replace(/[^a-z0-9]+/g, "-")}`;
  return h("div", {}, h("label", { for: control.id }, label), control);
}

export function choice(values, chosen, onchange) {
  return h("select", { onchange }, values.map(([value, text]) => h("option", { value, selected: value === chosen }, text)));
}

export function state(job) {
  return h("span", { class: `state ${job.state}` }, job.state);
}

/** A button that takes an element's text along. Where the browser keeps the clipboard from us, the text is marked instead. */
export function copier(label, element) {
  return h("button", { type: "button", "aria-label": label, onclick: async () => {
    getSelection().selectAllChildren(element);
    try {
      await navigator.clipboard.writeText(element.textContent);
      say("Copied");
    } catch {
      say("Marked; press Ctrl+C to copy it");
    }
  } }, "Copy");
}

/** Text that is meant to be taken along. */
export function taken(label, text) {
  const code = h("pre", { tabindex: "0", role: "region", "aria-label": label }, text);
  return h("div", { class: "taken" }, code, copier(`Copy: ${label}`, code));
}

export function say(text) {
  document.getElementById("said").textContent = text;
}

/** So many significant digits at most; what is tiny is told by its exponent, not by its zeros. */
export const number = (value, digits = 4) => (value === null || value === undefined ? "–"
  : value !== 0 && Math.abs(value) < 1e-3 ? String(Number(Number(value).toPrecision(digits)).toExponential())
  : Number(value).toLocaleString("en", { maximumSignificantDigits: digits }));
/** Always so many digits, for numbers that are looked at beside each other. */
export const even = (value, digits = 4) => (value === null || value === undefined ? "–"
  : value !== 0 && Math.abs(value) < 1e-3 ? Number(value).toExponential(digits - 1)
  : Number(value).toLocaleString("en", { minimumSignificantDigits: digits, maximumSignificantDigits: digits }));
export const whole = (value) => (value === null || value === undefined ? "–" : Number(value).toLocaleString("en"));
export const many = (count, thing) => `${whole(count)} ${thing}${count === 1 ? "" : "s"}`;
export const percent = (value) => (value === null || value === undefined ? "–" : `${(100 * value).toFixed(1)} %`);
/** By how much something became less, in one piece that no line breaks. */
export const less = (share) => `(−${percent(share)})`.replace(" ", "\u00a0");

export function size(bytes) {
  if (bytes === null || bytes === undefined) {
    return "–";
  }
  if (bytes < 1e3) {
    return `${bytes} B`;
  }
  const unit = bytes < 1e6 ? [1e3, "kB"] : bytes < 1e9 ? [1e6, "MB"] : [1e9, "GB"];
  return `${(bytes / unit[0]).toLocaleString("en", { maximumFractionDigits: 2 })} ${unit[1]}`;
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) {
    return "–";
  }
  if (seconds > 0 && seconds < 0.95) {
    return `${Math.round(1000 * seconds)} ms`;
  }
  if (seconds > 0 && seconds < 10) {
    return `${seconds.toFixed(1)} s`;
  }
  const s = Math.round(seconds);
  return s < 60 ? `${s} s` : s < 3600 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
}

/** Local time as ISO 8601 writes it: no reader takes the month for the day. */
export const when = (instant) => (instant ? new Date(instant).toLocaleString("sv-SE") : "–");
export const minute = (instant) => when(instant).slice(0, 16);

const ADVICE = { 401: "Sign in with a key or token that is valid here.", 403: "Whoever you signed in as may not do this; ask an administrator for another role.",
  404: "It may have been deleted, or belong to another project.", 429: "Too many requests; this page waits as long as it was told to.",
  503: "This page tries again by itself." };

/** What went wrong, with everything that the API said of it, and what to do. */
export function trouble(error, before = "") {
  return h("div", { class: "trouble" }, h("p", { class: "bad" }, before + error.message), ADVICE[error.status] && h("p", {}, ADVICE[error.status]),
    error.violations?.length ? h("ul", {}, error.violations.map((v) => h("li", {}, `${v.field || "the order"}: ${given(v.given)} (expected: ${v.expected})`))) : null);
}

const given = (value) => (value === null || value === undefined ? "missing" : typeof value === "object" ? JSON.stringify(value) : String(value));
