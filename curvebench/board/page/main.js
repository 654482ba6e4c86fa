// Which page is shown follows from the part of the address after the hash sign.

function decoded(text) {
  try { return decodeURIComponent(text); } catch { return text; }
}

function showPage(moveFocus) {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [page, ...rest] = path.split("/").map(decoded);
  const sections = Object.fromEntries(["board", "diagnoser", "curves"].map((id) => [id, document.getElementById(id)]));
  const set = BOARD.sets.find(({ id }) => id === rest[0]);
  const who = set?.results.find(({ slug }) => slug === rest[1]);
  let [shown, title] = ["board", "CurveBench leaderboard"];
  if (page === "diagnoser" && who) {
    [shown, title] = ["diagnoser", `${who.name}, CurveBench leaderboard`];
    sections.diagnoser.replaceChildren(...diagnoserPage(set, who, {}));
  } else if (page === "curves" && EXPLORER) {
    [shown, title] = ["curves", "Curves, CurveBench leaderboard"];
    const stripLeft = document.querySelector(".strip")?.scrollLeft ?? 0;
    sections.curves.replaceChildren(...explorerPage(rest[0], new URLSearchParams(query).get("wrong")));
    document.querySelector(".strip").scrollLeft = stripLeft;
  }
  for (const [id, section] of Object.entries(sections)) section.hidden = id !== shown;
  for (const link of document.querySelectorAll(".top nav a")) {
    const leads = { "#/": "board", "#/curves": "curves" }[link.getAttribute("href")];
    if (leads === shown) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
  }
  document.title = title;
  if (!moveFocus) return;
  const isCurve = shown === "curves" && rest[0];
  sections[shown].querySelector(isCurve ? "#curve-title" : "h1")?.focus({ preventScroll: Boolean(isCurve) });
  if (!isCurve) scrollTo(0, 0);
}

startTables();
addEventListener("hashchange", () => { if (location.hash !== "#main") showPage(true); });
addEventListener("beforeprint", () => document.querySelectorAll("main section:not([hidden]) details").forEach((details) => { details.open = true; }));
let widthBefore = innerWidth;
addEventListener("resize", () => {
  if (Math.abs(innerWidth - widthBefore) < 40) return;
  widthBefore = innerWidth;
  if (location.hash.startsWith("#/")) showPage(false);
});
showPage(false);
