// Plots as SVG: axes, lines, bars and dots, each plot with a title and a sentence that says what is to be seen.

const MARGIN = { left: 46, right: 20, top: 14, bottom: 38 };

const plotWidth = (most = 560) => Math.max(270, Math.min(most, document.documentElement.clientWidth - 34));

// A place on an axis: from [low, high], linear or logarithmic, to [from, to] in pixels.
function scale({ low, high, log }, from, to) {
  const place = log ? Math.log10 : (x) => x;
  const [a, b] = [place(low), place(high)];
  return (x) => from + (Math.min(Math.max(place(x), a), b) - a) / (b - a) * (to - from);
}

function logTicks(low, high) {
  const [a, b] = [Math.log10(low), Math.log10(high)];
  const every = Math.max(1, Math.ceil((b - a) / 7));
  const factors = b - a < 2.2 ? [1, 2, 5] : [1];
  const ticks = [];
  for (let decade = Math.floor(a); decade <= Math.ceil(b); decade++) {
    if (decade % every) continue;
    for (const factor of factors) ticks.push(Number(`${factor}e${decade}`));
  }
  return ticks.filter((tick) => tick >= low * 0.999 && tick <= high * 1.001);
}

function shortNumber(x) {
  if (x === 0) return "0";
  const size = Math.abs(x);
  const text = size >= 1e4 || size < 1e-3 ? x.toExponential().replace("e+", "e").replace(".0e", "e") : String(Number(x.toPrecision(3)));
  return text.replaceAll("-", "−");
}

let nPlots = 0;

// x, y: {low, high, log, label, ticks, format}; marks: function of the two scales that returns what is drawn.
function plot({ title, says, x, y, height = 260, width = plotWidth(), marks }) {
  const id = `plot-${++nPlots}`;
  const [right, bottom] = [width - MARGIN.right, height - MARGIN.bottom];
  const [toX, toY] = [scale(x, MARGIN.left, right), scale(y, bottom, MARGIN.top)];
  const xTicks = x.ticks ?? logTicks(x.low, x.high);
  const yTicks = y.ticks ?? logTicks(y.low, y.high);
  const format = (axis, tick) => (axis.format ?? shortNumber)(tick);
  return draw("svg", { class: "plot", viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-labelledby": `${id}-t ${id}-d` },
    draw("title", { id: `${id}-t` }, title), draw("desc", { id: `${id}-d` }, says),
    yTicks.map((tick) => [
      draw("line", { class: "grid", x1: MARGIN.left, x2: right, y1: toY(tick), y2: toY(tick) }),
      draw("text", { class: "tick end", x: MARGIN.left - 6, y: toY(tick) + 4 }, format(y, tick))]),
    xTicks.map((tick) => draw("text", { class: "tick middle", x: toX(tick), y: bottom + 16 }, format(x, tick))),
    draw("line", { class: "axis", x1: MARGIN.left, x2: right, y1: bottom, y2: bottom }),
    draw("text", { class: "axis-label middle", x: (MARGIN.left + right) / 2, y: height - 4 }, x.label),
    marks(toX, toY));
}

// A line through points [x, y]; it breaks where y is null.
function line(points, toX, toY, attributes) {
  let [path, isDown] = ["", false];
  for (const [x, y] of points) {
    if (y !== null) path += `${isDown ? "L" : "M"}${toX(x).toFixed(1)} ${toY(y).toFixed(1)}`;
    isDown = y !== null;
  }
  return draw("path", { ...attributes, d: path || "M0 0" });
}

const figure = (caption, svg, ...more) => make("figure", {}, make("figcaption", {}, caption), svg, more);
const asTable = (caption, titles, rows) => make("details", {}, make("summary", {}, "The same as a table"), wide(caption, makeTable(caption, titles, rows)));
const legend = (entries) => make("ul", { class: "plot-legend" }, entries.map(([style, text]) =>
  make("li", {}, draw("svg", { viewBox: "0 0 26 10", width: 26, height: 10, "aria-hidden": "true" },
    draw("line", { class: style, x1: 1, x2: 25, y1: 5, y2: 5 })), ` ${text}`)));
