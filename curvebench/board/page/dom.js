// Elements from tags, attributes and text. Data becomes text nodes and attribute values, never markup.

const SVG = "http://www.w3.org/2000/svg";
const BOARD = JSON.parse(document.getElementById("board-data").textContent);

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) element.append(child); // text stays text
  }
  return element;
}

const make = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const draw = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

// A number with a true minus sign; a dash where there is none.
function number(value, digits = 2, signed = false) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const text = value.toFixed(digits);
  const sign = Number(text) < 0 ? "−" : signed && Number(text) > 0 ? "+" : "";
  return sign + text.replace("-", "");
}

const withInterval = ([value, low, high], digits = 2) =>
  [number(value, digits), low === null ? null : make("small", {}, ` [${number(low, digits)}, ${number(high, digits)}]`)];

// A diagnosis: its colour and its name.
const diagnosisMark = (index) => make("span", { class: "diagnosis" },
  make("span", { class: `dot d${index}`, "aria-hidden": "true" }), BOARD.diagnoses[index]);

// A table: titles, rows of cells, the first cell of each row is its header; numbers are aligned to the right.
function makeTable(caption, titles, rows, attributes = {}) {
  const isNumber = (cell) => typeof cell === "string" && /^[−+]?[0-9]/.test(cell) || Array.isArray(cell);
  return make("table", attributes, make("caption", {}, caption),
    make("thead", {}, make("tr", {}, titles.map((title) => make("th", { scope: "col" }, title)))),
    make("tbody", {}, rows.map(([head, ...cells]) => make("tr", {}, make("th", { scope: "row" }, head),
      cells.map((cell) => make("td", { class: isNumber(cell) ? "number" : null }, cell))))));
}

// Facts: a name and what it is.
const factList = (facts) => make("dl", { class: "facts" }, facts.map(([name, fact]) => make("div", {}, make("dt", {}, name), make("dd", {}, fact))));

// A region that scrolls by itself where it is wider than the screen.
const wide = (name, ...children) => make("div", { class: "wide", role: "region", tabindex: "0", "aria-label": name }, children);

function select(name, label, options, chosen, whenChanged) {
  const element = make("select", { name }, options.map(([value, text]) => make("option", { value, selected: value === chosen }, text)));
  element.addEventListener("change", () => whenChanged(element.value));
  return make("label", {}, `${label} `, element);
}
