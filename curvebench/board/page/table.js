// The tables of the board: sorted by their titles, filtered by the form. The rows were there from the start.

function makeSortable(table) {
  for (const th of table.tHead.rows[0].cells) {
    const button = make("button", { type: "button", class: "sort" }, [...th.childNodes]);
    button.addEventListener("click", () => {
      const now = th.getAttribute("aria-sort");
      const opposite = { ascending: "descending", descending: "ascending" };
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      th.setAttribute("aria-sort", now ? opposite[now] : th.dataset.first);
      sortRows(table, th.cellIndex, th.getAttribute("aria-sort") === "ascending" ? 1 : -1);
    });
    th.replaceChildren(button);
  }
}

function sortRows(table, column, sign) {
  for (const body of table.tBodies) {
    const [group, ...rows] = body.rows;
    const keyed = rows.map((row, i) => ({ row, i, key: row.cells[column]?.dataset.sort ?? "" }));
    keyed.sort((a, b) => {
      if (a.key === "" || b.key === "") return (a.key === "") - (b.key === "") || a.i - b.i; // what has none comes last
      const [x, y] = [Number(a.key), Number(b.key)];
      const order = Number.isNaN(x) || Number.isNaN(y) ? a.key.localeCompare(b.key, "en") : x - y;
      return sign * order || a.i - b.i;
    });
    body.replaceChildren(group, ...keyed.map(({ row }) => row));
  }
}

function filterRows(form) {
  const [split, track, kind] = ["split", "track", "kind"].map((name) => form.elements[name].value);
  const wanted = form.elements.name.value.trim().toLowerCase();
  let nShown = 0;
  for (const body of document.querySelectorAll("table.board tbody")) {
    const isSplit = !split || body.dataset.split === split;
    let nInBody = 0;
    for (const row of [...body.rows].slice(1)) {
      const { track: itsTrack, kind: itsKind, minor } = row.dataset;
      const isMain = minor === undefined || wanted !== ""; // who is looked for is shown
      const isKind = kind === "best" ? isMain : !kind || itsKind === kind;
      const isShown = (!track || itsTrack === track) && isKind && row.cells[0].dataset.sort.toLowerCase().includes(wanted);
      row.hidden = !isShown;
      nInBody += isShown;
    }
    body.hidden = !isSplit || !nInBody;
    nShown += isSplit ? nInBody : 0;
  }
  document.getElementById("n-shown").textContent = nShown === 1 ? "1 line" : `${nShown} lines`;
}

function startTables() {
  document.querySelectorAll("table.board").forEach(makeSortable);
  const form = document.getElementById("filters");
  form.hidden = false;
  form.addEventListener("input", () => filterRows(form));
  form.addEventListener("submit", (event) => event.preventDefault());
  filterRows(form);
}
