// The page of a diagnoser: who it is, its scores, where it errs, how sure it is, how early, on what views.

const DISTURBED_NAMES = { "whole": "as logged", "smoothed": "smoothed", "every-4th": "every 4th point", "scaled": "scaled by a constant", "noised": "noised" };
const SCORE_NAMES = {
  value: "Value", macro_f1: "Macro F1", balanced_accuracy: "Balanced accuracy",
  false_alarms_per_100_healthy: "False alarms per 100 healthy", log_loss: "Log loss", brier: "Brier score",
};
const hundredths = [0, 0.25, 0.5, 0.75, 1];
const percent = (share) => share === null ? "–" : `${number(100 * share, 0)} %`;

function diagnoserPage(set, who, wanted) {
  const part = who.parts.find((p) => p.track === wanted.track && p.split === wanted.split)
    ?? who.parts.find((p) => p.split === "test") ?? who.parts[0];
  const go = (key, value) => show({ ...wanted, track: part.track, split: part.split, [key]: value });
  const show = (next) => document.getElementById("diagnoser").replaceChildren(...diagnoserPage(set, who, next));
  const unique = (key) => [...new Set(who.parts.map((p) => p[key]))].map((name) => [name, name]);
  return [
    make("p", { class: "up" }, make("a", { href: "#/" }, "All diagnosers"), ` on ${set.title}`),
    make("h1", { tabindex: "-1" }, who.name),
    make("p", { class: "lead" }, who.description),
    aboutDiagnoser(who),
    part && make("form", { class: "filters", "aria-label": "Choose what was shown and scored" },
      select("split", "Split", unique("split"), part.split, (value) => go("split", value)),
      select("track", "Track", unique("track"), part.track, (value) => go("track", value)),
      BOARD.explorer?.set === set.id && make("a", { class: "button", href: `#/curves?wrong=${encodeURIComponent(who.slug)}` }, "Curves where it is wrong")),
    part ? partSections(who, part) : make("p", {}, "Nothing was evaluated."),
    mappingSection(who), rerunSection(who),
  ].filter(Boolean).flat();
}

function aboutDiagnoser(who) {
  const subset = Object.entries(who.subset).filter(([, [used, all]]) => used < all)
    .map(([split, [used, all]]) => `${used.toLocaleString("en")} of ${all.toLocaleString("en")} runs of ${split}`);
  const facts = [
    ["Kind", who.kind],
    ["Source", who.link ? make("a", { href: who.link, rel: "noopener noreferrer", target: "_blank" }, who.source) : who.source || "–"],
    ["Version", who.version || "–"],
    ["Covers", who.covers.length === BOARD.diagnoses.length ? "all six diagnoses"
      : make("span", { class: "marks" }, who.covers.map((name) => diagnosisMark(BOARD.diagnoses.indexOf(name))))],
    subset.length ? ["Subset", make("span", { class: "mark" }, `asked about ${subset.join(", ")}`)] : null,
    ["Made", `${who.time} on ${who.machine}, Python ${who.python}`],
    ["With", who.versions || "–"],
    ["Hash", make("code", {}, who.sha256)],
  ];
  return factList(facts.filter(Boolean));
}

function partSections(who, part) {
  const counts = part.counts ?? {};
  if (part.status !== "ok") {
    return [make("p", { class: "note" }, make("span", { class: "mark bad" }, part.status.replaceAll("_", " ")), ` ${part.message || "It has no scores."}`)];
  }
  const basis = `${counts.n_runs?.toLocaleString("en")} runs of ${counts.n_problem_instances} problem instances in ${counts.n_families} families; `
    + `${counts.n_abstained} abstained, ${counts.n_crashed} crashed, ${counts.n_snapped} prescriptions replaced by the nearest tried, ${counts.n_unmatched} with nothing like them tried.`;
  return [
    make("div", { class: "tiles" }, ["value", "macro_f1", "false_alarms_per_100_healthy", "log_loss"].filter((name) => part.scores[name]).map((name) =>
      make("div", { class: "tile" }, make("span", { class: "tile-name" }, SCORE_NAMES[name]),
        make("b", {}, number(part.scores[name][0], name.startsWith("false") ? 0 : 2)),
        make("small", {}, withInterval(part.scores[name], name.startsWith("false") ? 0 : 2)[1])))),
    make("p", { class: "basis" }, basis),
    make("div", { class: "panels" },
      part.confusion && confusionSection(who, part), part.reliability && reliabilitySection(part.reliability),
      part.early.length > 1 && earlySection(part.early), part.by_severity.length > 0 && severitySection(part.by_severity),
      part.views.length > 1 && viewsSection(part.views), part.by_base_rate.length > 0 && baseRateSection(part.by_base_rate)),
    allScores(part),
  ];
}

function confusionSection(who, part) {
  const covers = BOARD.diagnoses.map((name) => who.covers.includes(name));
  const rows = part.confusion.map((row, label) => {
    const total = row.reduce((a, b) => a + b, 0);
    return make("tr", { class: covers[label] ? null : "uncovered" },
      make("th", { scope: "row" }, diagnosisMark(label), covers[label] ? null : make("small", { class: "mark" }, "not covered")),
      row.map((n, said) => make("td", {
        class: `number heat${total ? Math.round(9 * n / total) : 0}${said === label && covers[label] ? " diagonal" : ""}${covers[said] ? "" : " unsaid"}`,
      }, covers[said] || n ? [percent(total ? n / total : null), make("small", {}, n.toLocaleString("en"))] : make("small", {}, "no word"))));
  });
  const shares = part.shares;
  return make("section", { class: "panel", "aria-labelledby": "confusion-title" }, make("h2", { id: "confusion-title" }, "What it said"),
    shares && make("p", {}, `Of all runs ${number(shares[0], 0)} % right (an accepted diagnosis), ${number(shares[1], 0)} % not covered (it has no word for the label), ${number(shares[2], 0)} % wrong.`),
    wide("Confusion matrix", make("table", { class: "confusion" },
      make("caption", {}, "Label in the rows, what was said in the columns, as it was said: share of the row, and number of runs"),
      make("thead", {}, make("tr", {}, make("td", {}), BOARD.diagnoses.map((name) => make("th", { scope: "col" }, name.replaceAll("_", "_\u200b"))))),
      make("tbody", {}, rows))));
}

function reliabilitySection({ confidence, accuracy, count }) {
  const most = Math.max(1, ...count);
  const bins = count.map((n, i) => ({ n, i, confidence: confidence[i], accuracy: accuracy[i] }));
  const filled = bins.filter((bin) => bin.n > 0 && bin.accuracy !== null && bin.confidence !== null);
  const total = filled.reduce((sum, bin) => sum + bin.n, 0);
  const gap = filled.reduce((sum, bin) => sum + bin.n * Math.abs(bin.accuracy - bin.confidence), 0) / Math.max(1, total);
  const says = `Accuracy against confidence in ten bins. On average they differ by ${number(100 * gap, 0)} points.`;
  return make("section", { class: "panel", "aria-labelledby": "reliability-title" }, make("h2", { id: "reliability-title" }, "How sure, how right"),
    figure(says, plot({
      title: "Reliability diagram", says,
      x: { low: 0, high: 1, label: "confidence", ticks: hundredths, format: percent }, y: { low: 0, high: 1, ticks: hundredths, format: percent },
      marks: (toX, toY) => [
        bins.map((bin) => draw("rect", { class: "count", x: toX(bin.i / 10) + 2, width: toX(0.1) - toX(0) - 4, y: toY(0.3 * bin.n / most), height: toY(0) - toY(0.3 * bin.n / most) })),
        line([[0, 0], [1, 1]], toX, toY, { class: "ideal" }),
        line(filled.map((bin) => [bin.confidence, bin.accuracy]), toX, toY, { class: "series" }),
        filled.map((bin) => draw("circle", { class: "series-dot", cx: toX(bin.confidence), cy: toY(bin.accuracy), r: 4 })),
      ],
    }), legend([["series", "accuracy"], ["ideal", "as sure as right"], ["count", "number of runs"]]),
    asTable("Reliability", ["confidence, mean", "accuracy", "runs"], filled.map((bin) => [percent(bin.confidence), percent(bin.accuracy), bin.n.toLocaleString("en")]))));
}

function earlySection(points) {
  const ends = points.flatMap(({ value }) => value).filter((v) => v !== null);
  const [low, high] = [Math.min(0, ...ends), Math.max(0.5, ...ends)];
  const [first, last] = [points[0], points.at(-1)];
  const says = `Value is ${number(first.value[0])} after ${percent(first.fraction)} of the curve and ${number(last.value[0])} after ${percent(last.fraction)}.`;
  return make("section", { class: "panel", "aria-labelledby": "early-title" }, make("h2", { id: "early-title" }, "How early"),
    figure(says, plot({
      title: "Value against the fraction of the curve that was seen", says,
      x: { low: 0.2, high: 1, label: "fraction of the curve seen", ticks: [0.25, 0.5, 0.75, 1], format: percent },
      y: { low, high, ticks: ticksBetween(low, high), format: (v) => number(v, 2) },
      marks: (toX, toY) => [
        draw("line", { class: "zero", x1: toX(0.2), x2: toX(1), y1: toY(0), y2: toY(0) }),
        points.filter((p) => p.value[1] !== null).map((p) => draw("line", { class: "interval", x1: toX(p.fraction), x2: toX(p.fraction), y1: toY(p.value[1]), y2: toY(p.value[2]) })),
        line(points.map((p) => [p.fraction, p.value[0]]), toX, toY, { class: "series" }),
        points.filter((p) => p.value[0] !== null).map((p) => draw("circle", { class: "series-dot", cx: toX(p.fraction), cy: toY(p.value[0]), r: 4 })),
      ],
    }), asTable("By fraction seen", ["seen", "value", "false alarms per 100 healthy", "gain left"],
      points.map((p) => [percent(p.fraction), withInterval(p.value), withInterval(p.alarms, 0), number(p.gain_left)]))));
}

function ticksBetween(low, high) {
  const step = high - low > 2 ? 1 : high - low > 1 ? 0.5 : 0.25;
  const ticks = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high + 1e-9; tick += step) ticks.push(tick);
  return ticks;
}

function severitySection(bins) {
  const range = ([low, high]) => `${shortNumber(low ?? 0)} to ${shortNumber(high ?? 1)}`;
  const known = bins.filter((bin) => bin.accuracy !== null);
  const says = known.length ? `Accuracy from ${percent(Math.min(...known.map((b) => b.accuracy)))} to ${percent(Math.max(...known.map((b) => b.accuracy)))} over ${bins.length} bins of severity.` : "No bin has runs.";
  return make("section", { class: "panel", "aria-labelledby": "severity-title" }, make("h2", { id: "severity-title" }, "How much there is to gain"),
    figure(says, plot({
      title: "Accuracy against severity", says,
      x: { low: 0, high: bins.length, label: "severity: what the best remedy gains", ticks: [...bins.keys(), bins.length], format: (i) => shortNumber((i < bins.length ? bins[i].severity[0] : bins.at(-1).severity[1]) ?? (i ? 1 : 0)) },
      y: { low: 0, high: 1, ticks: hundredths, format: percent },
      marks: (toX, toY) => bins.map((bin, i) => bin.accuracy === null ? null : draw("rect", { class: "bar", x: toX(i + 0.14), width: toX(0.72) - toX(0), y: toY(bin.accuracy), height: Math.max(1, toY(0) - toY(bin.accuracy)) })),
    }), asTable("By severity", ["best gain", "runs", "accuracy", "value"], bins.map((b) => [range(b.severity), b.n.toLocaleString("en"), percent(b.accuracy), number(b.value)]))));
}

function viewsSection(views) {
  const disturbed = views.filter((v) => v.view !== "whole" && v.value[0] !== null);
  const worst = disturbed.toSorted((a, b) => a.value[0] - b.value[0])[0];
  return make("section", { class: "panel", "aria-labelledby": "views-title" }, make("h2", { id: "views-title" }, "Logged differently"),
    worst && make("p", {}, `The worst view is ${DISTURBED_NAMES[worst.view]}: value ${number(worst.value[0])}.`),
    wide("Views", makeTable("The same runs, logged differently", ["view", "value", "macro F1", "false alarms per 100 healthy"],
      views.map((v) => [v === worst ? [DISTURBED_NAMES[v.view], " ", make("span", { class: "mark bad" }, "worst")] : DISTURBED_NAMES[v.view],
        withInterval(v.value), withInterval(v.macro_f1), withInterval(v.false_alarms_per_100_healthy, 0)]))));
}

const baseRateSection = (rates) => make("section", { class: "panel", "aria-labelledby": "rates-title" },
  make("h2", { id: "rates-title" }, "Where faults are rare"), make("p", {}, "How many of 100 alarms would be false if only so many runs were faulty."),
  wide("Base rates", makeTable("False alarms by base rate", ["faulty runs", "false of 100 alarms"], rates.map(([share, alarms]) => [`${number(100 * share, share < 0.01 ? 1 : 0)} %`, number(alarms, 0)]))));

function allScores(part) {
  const names = [...new Set([...Object.keys(SCORE_NAMES), ...Object.keys(part.scores)])];
  const rows = names.filter((name) => Object.hasOwn(part.scores, name) && part.scores[name][0] !== null).map((name) => [name, part.scores[name]])
    .map(([name, score]) => [SCORE_NAMES[name] ?? name.replaceAll("_", " "), withInterval(score, name.startsWith("false") ? 1 : 3)]);
  if (part.microseconds !== null) rows.push(["µs per curve", number(part.microseconds, 1)]);
  return make("details", { class: "all-scores" }, make("summary", {}, "All scores"), wide("All scores", makeTable("All scores, with 95 % intervals", ["score", "value"], rows)));
}

function mappingSection(who) {
  if (!who.mapping.length) return null;
  const more = who.n_findings - who.mapping.length;
  return make("section", { "aria-labelledby": "mapping-title" }, make("h2", { id: "mapping-title" }, "How its findings are read"),
    wide("Mapping", makeTable("Each finding and the diagnosis that it is taken for", ["finding", "diagnosis"],
      who.mapping.map(([finding, diagnosis]) => [finding, BOARD.diagnoses.includes(diagnosis) ? diagnosisMark(BOARD.diagnoses.indexOf(diagnosis)) : diagnosis]))),
    more > 0 && make("p", {}, `${more} more are not shown.`));
}

function rerunSection(who) {
  if (!who.rerun) return null;
  return make("section", { "aria-labelledby": "rerun-title" }, make("h2", { id: "rerun-title" }, "Run again on data made anew"),
    make("p", {}, `The same recipe with master seed ${who.rerun.master_seed}, ${who.rerun.time}: `,
      Object.entries(who.rerun.value).map(([split, value]) => `value ${number(value)} on ${split}`).join(", "), "."),
    make("p", { class: "hash" }, "Content hash ", make("code", {}, who.rerun.content_sha256)));
}
