"use strict";
// Charts: what the report says of them, handed to plotly in the colours of the page.
const LIGHT = ["#0b6e99", "#d9480f", "#5f3dc4", "#2b8a3e", "#c2255c", "#866118", "#1864ab", "#495057"];
const DARK = ["#5cc2ee", "#ff9a5c", "#b197fc", "#69db7c", "#f783ac", "#e0b85a", "#91c8f6", "#ced4da"];
const FILLED = ["circle", "square", "diamond", "triangle-up", "x", "star", "hexagon", "cross", "triangle-down"];
const SYMBOLS = [...FILLED, ...FILLED.map((name) => `${name}-open`)];
const SIGNS = [..."●■◆▲✖★⬢✚▼○□◇△×☆⬡+▽"]; // the same in the list of curves
const drawn = new Map(); // element → chart, to be drawn again when the colours change

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function colourOf(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function isDark() {
  return document.documentElement.dataset.theme === "dark";
}

// Plotly reads a few elements of HTML in texts; names are no HTML.
function plain(text) {
  return String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

// Three digits, as 0.983, 1,234 or 2.35e+9.
function short(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-3) return value.toExponential(2).replace("e+", "e");
  if (size >= 100) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(3)));
}

// As a tick of an axis says it: 20M for 2e7.
function tick(value) {
  const power = Math.min(5, Math.max(0, Math.floor(Math.log10(value) / 3 + 1e-9)));
  return String(Number((value / 1000 ** power).toPrecision(3))) + ["", "k", "M", "G", "T", "P"][power];
}

const STEPS = [[1], [1, 2, 5], [1, 1.5, 2, 3, 4, 5, 7], [1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9]];

// Round numbers within a range and next to it: no more to a power of ten than give three within it.
function ticksOf(values) {
  const known = values.filter((value) => value > 0);
  const [least, most] = [Math.min(...known), Math.max(...known)];
  const [low, high] = [Math.floor(Math.log10(least)), Math.ceil(Math.log10(most))];
  const powers = Array.from({ length: high - low + 1 }, (_, place) => 10 ** (low + place));
  const choices = STEPS.map((steps) => powers.flatMap((power) => steps.map((step) => step * power)));
  const within = (found) => found.filter((value) => value > 0.95 * least && value < 1.05 * most).length;
  const found = choices.find((choice) => within(choice) > 2);
  return found ? { tickmode: "array", tickvals: found, ticktext: found.map(tick) } : {};
}

function share(value) {
  return value === null || value === undefined ? "–" : value.toFixed(3);
}

function hoverOf(one, place, axis) {
  const lines = [`<b>${plain(one.name)}</b>`];
  if (one.labels) lines.push(plain(one.labels[place]));
  const interval = one.low ? ` [${share(one.low[place])}, ${share(one.high[place])}]` : "";
  const n = one.n && one.n[place] ? `, n = ${one.n[place]}` : "";
  lines.push((one.low ? share(one.y[place]) : short(one.y[place])) + interval + n);
  const at = one.x[axis.key][place];
  lines.push(axis.category ? plain(at) : `${short(at)} ${plain(axis.label)}`);
  return lines.join("<br>");
}

function traceOf(one, axis, palette) {
  const colour = palette[one.colour % palette.length];
  const x = one.x[axis.key];
  const trace = {
    type: "scatter", x, y: one.y, name: plain(one.name),
    mode: one.line ? "lines" : axis.category ? "markers" : x.length > 1 ? "lines+markers" : "markers",
    line: { color: colour, width: one.line ? 1.6 : 2, dash: one.dash || "solid" },
    marker: { color: colour, size: 8, symbol: SYMBOLS[(one.symbol || 0) % SYMBOLS.length] },
    hoverinfo: "text", text: one.y.map((_, place) => hoverOf(one, place, axis)),
  };
  if (one.low) {
    trace.error_y = {
      type: "data", symmetric: false, thickness: 1, width: 3, color: colour,
      array: one.y.map((value, place) => one.high[place] - value),
      arrayminus: one.y.map((value, place) => value - one.low[place]),
    };
  }
  return trace;
}

function plateauOf(one, axis, palette) {
  const found = one.plateau && one.plateau[axis.key];
  if (!found) return null;
  const colour = palette[one.colour % palette.length];
  return {
    trace: {
      type: "scatter", mode: "lines", x: [found.start, found.end], y: [found.level, found.level],
      line: { color: colour, width: 12 }, opacity: 0.28, showlegend: false, hoverinfo: "text",
      text: `<b>${plain(one.name)}</b><br>plateau ${share(found.level)}`,
    },
    mark: {
      x: Math.log10(Math.sqrt(found.start * found.end)), y: found.level, text: `plateau ${share(found.level)}`,
      showarrow: false, yshift: 16, font: { color: colour, size: 11 },
    },
  };
}

// Words that would lie on others are left out; the table has them all.
function apart(marks) {
  const kept = [];
  for (const mark of marks.sort((a, b) => b.y - a.y)) {
    if (kept.every((other) => Math.abs(other.y - mark.y) > 0.07 || Math.abs(other.x - mark.x) > 0.7)) kept.push(mark);
  }
  return kept;
}

// Categories have words for names, which are read beside a chart, not below it.
function turn(traces, layout) {
  for (const trace of traces) {
    [trace.x, trace.y] = [trace.y, trace.x];
    [trace.error_x, trace.error_y] = [trace.error_y, undefined];
  }
  [layout.xaxis, layout.yaxis] = [layout.yaxis, { ...layout.xaxis, autorange: "reversed" }];
}

function draw(element, chart, axis, compact, hidden = new Set()) {
  const palette = isDark() ? DARK : LIGHT;
  const shown = chart.series.filter((one) => !hidden.has(one.name));
  const [ink, soft, line] = ["--ink", "--soft", "--line"].map(colourOf);
  const plateaus = shown.map((one) => plateauOf(one, axis, palette)).filter(Boolean);
  const traces = [...plateaus.map((found) => found.trace), ...shown.map((one) => traceOf(one, axis, palette))];
  const base = { gridcolor: line, linecolor: line, zeroline: false, color: soft, automargin: true, tickfont: { size: 11 } };
  const layout = {
    margin: compact ? { l: 38, r: 8, t: 8, b: 30 } : { l: 48, r: 12, t: 26, b: 46 },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "system-ui, sans-serif", color: ink, size: 12 },
    showlegend: false,
    hovermode: compact ? "x unified" : "closest", dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
    hoverlabel: { bgcolor: colourOf("--card"), bordercolor: line, font: { color: ink }, align: "left" },
    xaxis: { ...base, title: compact ? undefined : { text: axis.label, font: { size: 12 } }, type: axis.category ? "category" : axis.log ? "log" : "linear" },
    yaxis: { ...base, rangemode: chart.share ? undefined : "normal" },
    annotations: apart(plateaus.map((found) => found.mark)),
  };
  if (axis.log) Object.assign(layout.xaxis, ticksOf(chart.series.flatMap((one) => one.x[axis.key])));
  layout.shapes = shown.filter((one) => one.natural && one.x[axis.key][0] > 0).map((one) => ({
    type: "line", xref: "x", yref: "paper", x0: one.x[axis.key][0], x1: one.x[axis.key][0], y0: 0, y1: 1, layer: "below",
    line: { color: palette[one.colour % palette.length], width: 1.5, dash: "dash" },
  }));
  const regions = (chart.regions && chart.regions[axis.key]) || [];
  const natural = layout.shapes;
  layout.shapes = natural.concat(regions.map((one, place) => ({
    type: "rect", xref: "x", yref: "paper", x0: one.start, x1: one.end, y0: 0, y1: 1, layer: "below",
    line: { width: 0 }, fillcolor: palette[(place + 3) % palette.length], opacity: 0.1,
  })));
  layout.annotations.push(...regions.map((one) => ({
    x: Math.log10(Math.sqrt(one.start * one.end)), y: 1, yref: "paper", text: plain(one.name), yanchor: "bottom",
    showarrow: false, font: { color: soft, size: 11 },
  })));
  layout.annotations.push(...natural.map((shape) => ({
    x: Math.log10(shape.x0), y: 0.6, yref: "paper", text: "natural length", textangle: -90, xanchor: "right", yanchor: "bottom",
    xshift: 2, showarrow: false, font: { color: shape.line.color, size: 10 },
  })));
  if (chart.share) {
    layout.yaxis.title = { text: chart.side || "accuracy", font: { size: 12 } };
    layout.yaxis.range = [-0.02, 1.04];
  }
  if (compact) layout.hovermode = "closest";
  if (axis.category) turn(traces, layout);
  Plotly.react(element, traces, layout, { displayModeBar: false, responsive: true });
  drawn.set(element, () => draw(element, chart, axis, compact, hidden));
}

// A chart is drawn when it comes near the window: a page with many opens no slower.
const waiting = new Map();
const watcher = new IntersectionObserver(
  (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => drawWaiting(entry.target)),
  { rootMargin: "400px" },
);

function drawWaiting(element) {
  const work = waiting.get(element);
  if (work) {
    waiting.delete(element);
    watcher.unobserve(element);
    work();
  }
}

function drawLater(element, work) {
  waiting.set(element, work);
  watcher.observe(element);
}

function drawAll() {
  [...waiting.keys()].forEach(drawWaiting);
  drawn.forEach((again) => again());
}

// A figure: title, a choice of axes and of charts where there are several, the plot.
function figure(element, charts, title, caption, changed = () => {}) {
  const plot = make("div", { class: "plot", role: "img", "aria-label": title });
  const picks = make("div", { class: "pick" });
  const names = make("div", { class: "names", role: "group", "aria-label": "curves" });
  const hidden = new Set();
  const numbers = numbersOf(() => [chart, axis]);
  let chart = charts[0];
  let axis = chart.axes[0];
  const show = () => {
    buttons();
    plot.dataset.points = chart.series.reduce((sum, one) => sum + one.y.length, 0);
    draw(plot, chart, axis, false, hidden);
    drawn.set(plot, show);
    numbers.again();
    changed(chart, axis);
  };
  const buttons = () => {
    const keys = chart.axes.length > 1
      ? chart.axes.map((one) => make("button", { type: "button", "aria-pressed": String(one.key === axis.key),
          onclick: () => { axis = one; show(); } }, one.label))
      : [];
    const palette = isDark() ? DARK : LIGHT;
    const nameOf = (one) => make("button", { type: "button", "data-name": one.name, "aria-pressed": String(!hidden.has(one.name)),
      onclick: () => { if (!hidden.delete(one.name)) hidden.add(one.name); show(); } },
      make("span", { class: `swatch ${one.dash || ""}`, style: `color:${palette[one.colour % palette.length]}` },
        SIGNS[(one.symbol || 0) % SIGNS.length]), one.short || one.name);
    const owners = [...new Set(chart.series.map((one) => one.owner))];
    const all = (owned) => () => {
      const none = owned.every((one) => hidden.has(one.name));
      owned.forEach((one) => (none ? hidden.delete(one.name) : hidden.add(one.name)));
      show();
    };
    names.replaceChildren(...owners.map((owner) => {
      const owned = chart.series.filter((one) => one.owner === owner);
      const pressed = String(owned.some((one) => !hidden.has(one.name)));
      const title = owner ? make("button", { type: "button", class: "owner", "aria-pressed": pressed, onclick: all(owned) }, owner) : null;
      return make("div", { class: "owned" }, title, ...owned.map(nameOf));
    }));
    const sets = charts.length > 1
      ? [make("select", { "aria-label": "problems", onchange: (event) => {
          chart = charts[event.target.value];
          axis = chart.axes.find((one) => one.key === axis.key) || chart.axes[0];
          show();
        } }, ...charts.map((one, place) => make("option", { value: place, selected: one === chart }, one.title)))]
      : [];
    picks.replaceChildren(...sets, ...keys);
  };
  element.append(make("div", { class: "head" }, make("h3", {}, title), picks), make("p", { class: "note" }, caption), plot, names, numbers);
  buttons();
  changed(chart, axis);
  drawLater(plot, show);
}
