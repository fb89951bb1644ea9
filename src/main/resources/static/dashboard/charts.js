// Charts by Chart.js, in the page's own colours; and the heat map, which is a canvas of our own because it has tens of thousands of cells.

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export const series = (i) => colour(`--series-${(i % 4) + 1}`);

/** @returns the chart, to be destroyed with its page */
export function chart(canvas, type, data, axes, more = {}) {
  const axis = (title, { ticks, ...rest } = {}) => ({ title: { display: true, text: title, color: colour("--faint") }, ticks: { color: colour("--faint"), ...ticks },
    grid: { color: colour("--line") }, ...rest });
  return new Chart(canvas, {
    type,
    data,
    options: {
      animation: false,
      responsive: true,
      maintainAspectRatio: false,
      parsing: false,
      normalized: true,
      interaction: { mode: "nearest", intersect: false },
      plugins: { legend: { display: data.datasets.length > 1, labels: { color: colour("--ink") } } },
      scales: { x: axis(axes.x, axes.xMore), y: axis(axes.y, axes.yMore) },
      ...more,
    },
  });
}

/** From dark to light, readable in grey too. */
function shade(share) {
  const stops = [[24, 32, 72], [32, 96, 128], [48, 150, 104], [170, 200, 70], [250, 230, 120]];
  const at = Math.min(0.9999, Math.max(0, share)) * (stops.length - 1);
  const i = Math.floor(at);
  return stops[i].map((c, k) => Math.round(c + (stops[i + 1][k] - c) * (at - i)));
}

/**
 * A heat map of rows (layers) and columns (experts).
 *
 * @param rows [{name, values: [number]}]
 * @param from where the marker stands at first, {y, x}
 * @param chosen is told row and column whenever another cell is looked at, and whether it was picked
 */
export function heat(canvas, rows, logarithmic, chosen, from = null) {
  const columns = Math.max(...rows.map((r) => r.values.length));
  const all = rows.flatMap((r) => r.values).filter((v) => Number.isFinite(v) && (!logarithmic || v > 0));
  const scale = logarithmic ? Math.log10 : (v) => v;
  const low = scale(all.reduce((a, b) => Math.min(a, b), Infinity));
  const high = scale(all.reduce((a, b) => Math.max(a, b), -Infinity));
  canvas.style.height = `${Math.min(640, Math.max(176, 7 * rows.length))}px`;
  const image = new ImageData(columns, rows.length);
  rows.forEach((r, y) => r.values.forEach((value, x) => {
    const known = Number.isFinite(value) && (!logarithmic || value > 0);
    image.data.set(known ? [...shade(high > low ? (scale(value) - low) / (high - low) : 0.5), 255] : [128, 128, 128, 90], 4 * (y * columns + x));
  }));
  const cells = new OffscreenCanvas(columns, rows.length);
  cells.getContext("2d").putImageData(image, 0, 0);
  let at = from;

  function draw() {
    const box = canvas.getBoundingClientRect();
    const [width, height] = [Math.round(box.width * devicePixelRatio), Math.round(box.height * devicePixelRatio)];
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d");
    context.imageSmoothingEnabled = false;
    context.drawImage(cells, 0, 0, canvas.width, canvas.height);
    if (at) {
      const w = canvas.width / columns;
      const hgt = canvas.height / rows.length;
      context.lineWidth = 2 * devicePixelRatio;
      context.strokeStyle = "#ffffff";
      context.strokeRect(at.x * w, at.y * hgt, Math.max(3, w), Math.max(3, hgt));
      context.strokeStyle = "#000000";
      context.strokeRect(at.x * w - 1, at.y * hgt - 1, Math.max(3, w) + 2, Math.max(3, hgt) + 2);
    }
  }

  function look(y, x, picked) {
    const next = { y: Math.min(rows.length - 1, Math.max(0, y)), x: Math.min(columns - 1, Math.max(0, x)) };
    if (at && !picked && next.y === at.y && next.x === at.x) return;
    at = next;
    draw();
    chosen(at.y, at.x, picked);
  }

  function under(event) {
    const box = canvas.getBoundingClientRect();
    return [Math.floor((event.clientY - box.top) / box.height * rows.length), Math.floor((event.clientX - box.left) / box.width * columns)];
  }

  canvas.onmousemove = (event) => look(...under(event), false);
  canvas.onclick = (event) => look(...under(event), true);
  canvas.onkeydown = (event) => {
    const here = at ?? { y: 0, x: 0 };
    if (event.key === "Home" || event.key === "End") {
      event.preventDefault();
      look(here.y, event.key === "Home" ? 0 : columns - 1, false);
    }
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (step) {
      event.preventDefault();
      look(here.y + step[0], here.x + step[1], false);
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      look(here.y, here.x, true);
    }
  };
  const resized = new ResizeObserver(draw);
  resized.observe(canvas);
  draw();
  return { destroy: () => resized.disconnect(), known: all.length > 0, at: () => at, low: logarithmic ? 10 ** low : low, high: logarithmic ? 10 ** high : high };
}
