// The curve explorer: choose among curves, see one with what every remedy made of it and what everybody said.

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const [NOTHING, BEYOND, LEVELS, LOWEST, HIGHEST] = [4095, 4094, 4000, -6, 1.5]; // as in curves.py
const EXPLORER = BOARD.explorer;
const RUNS = EXPLORER?.runs ?? [];
const CHOSEN = { label: "", phenomenon: "", difficulty: "", split: "", right: "", wrong: "" };
const STATES = { right: "right", wrong: "wrong", uncovered: "not covered", abstained: "abstained", crashed: "crashed", unasked: "not asked" };

const unpack = (text) => Array.from({ length: text.length / 2 }, (_, i) => ALPHABET.indexOf(text[2 * i]) * 64 + ALPHABET.indexOf(text[2 * i + 1]));
const unpackLosses = (text) => unpack(text).map((code) => code === NOTHING ? null : code === BEYOND ? Infinity : 10 ** (LOWEST + code / LEVELS * (HIGHEST - LOWEST)));
const unpackGains = (text) => unpack(text).map((code) => code === NOTHING ? null : 2 * code / LEVELS - 1);

function remedyName(index) {
  if (index === NOTHING) return "nothing that was tried";
  const [action, factor, at] = EXPLORER.remedies[index];
  if (action === "restart") return `restart ×${shortNumber(factor)}`;
  if (action === "resume") return `resume ×${shortNumber(factor)} at ${percent(at)}`;
  return { none: "leave it alone", change_output: "change the output", train_longer: "train twice as long" }[action];
}

// ------------------------------------------------------------------------------------------------ verdicts

const RESULTS = new Map((BOARD.sets.find((set) => set.id === EXPLORER?.set)?.results ?? []).map((who) => [who.slug, who]));
const VERDICTS = (EXPLORER?.verdicts ?? []).map((v, key) => {
  const who = RESULTS.get(v.slug);
  const nTracks = EXPLORER.verdicts.filter((other) => other.slug === v.slug).length;
  return { ...v, key: String(key), who, name: nTracks > 1 ? `${who.name} (${v.track})` : who.name, confidences: unpack(v.confidence), remedies: unpack(v.remedy) };
});

function stateOf(verdict, i) {
  const said = verdict.said[i];
  if (said === ".") return "unasked";
  if (said === "x") return "crashed";
  if (said === "a") return "abstained";
  const run = RUNS[i];
  if (Number(said) === run.label || run.accepted >> Number(said) & 1) return "right";
  return verdict.who.covers.includes(BOARD.diagnoses[run.label]) ? "wrong" : "uncovered";
}

const isChosen = (run, i) => (!CHOSEN.label || BOARD.diagnoses[run.label] === CHOSEN.label)
  && (!CHOSEN.phenomenon || run.phenomena.includes(Number(CHOSEN.phenomenon)))
  && (!CHOSEN.difficulty || run.difficulty === CHOSEN.difficulty) && (!CHOSEN.split || run.split === CHOSEN.split)
  && (!CHOSEN.right || stateOf(VERDICTS[CHOSEN.right], i) === "right") && (!CHOSEN.wrong || stateOf(VERDICTS[CHOSEN.wrong], i) === "wrong");

// --------------------------------------------------------------------------------------------- page and strip

function explorerPage(wantedRun, wrongSlug) {
  if (wrongSlug) {
    const first = VERDICTS.find((v) => v.slug === wrongSlug);
    Object.assign(CHOSEN, { label: "", phenomenon: "", difficulty: "", split: "", right: "", wrong: first ? first.key : "" });
  }
  const strip = make("ul", { class: "strip", "aria-label": "Curves that fit" });
  const count = make("output", { role: "status" });
  const detail = make("div", { class: "detail" });
  const refresh = () => {
    const fitting = RUNS.map((run, i) => ({ run, i })).filter(({ run, i }) => isChosen(run, i));
    const current = fitting.find(({ run }) => run.run === wantedRun) ?? (wantedRun ? RUNS.map((run, i) => ({ run, i })).find(({ run }) => run.run === wantedRun) : null) ?? fitting[0];
    count.textContent = fitting.length === 1 ? "1 curve" : `${fitting.length} curves`;
    strip.replaceChildren(...fitting.map(({ run, i }) => make("li", {}, thumbnail(run, i, i === current?.i))));
    detail.replaceChildren(...current ? curveDetail(current.run, current.i, fitting) : [make("p", { class: "note" }, "No curve fits; choose less.")]);
  };
  const choose = (key) => (value) => { CHOSEN[key] = value; wantedRun = null; refresh(); };
  const any = ["", "any"];
  const same = (names) => [any, ...names.map((name) => [name, name])];
  const people = [["", "anybody"], ...VERDICTS.map((v) => [v.key, v.name])];
  const labels = BOARD.diagnoses.filter((_, i) => RUNS.some((run) => run.label === i));
  refresh();
  return [
    make("h1", { tabindex: "-1" }, "Curves, remedies, verdicts"),
    make("p", { class: "lead" }, `${RUNS.length} runs of the test splits, every label and phenomenon among them: each with what its remedies made of it, and what everybody said.`),
    make("form", { class: "filters", "aria-label": "Choose curves" },
      select("label", "Label", same(labels), CHOSEN.label, choose("label")),
      select("phenomenon", "Shows", [any, ...EXPLORER.phenomena.map(([name], i) => [String(i), name])], CHOSEN.phenomenon, choose("phenomenon")),
      select("difficulty", "Difficulty", same(["easy", "medium", "hard"]), CHOSEN.difficulty, choose("difficulty")),
      select("split", "Split", same([...new Set(RUNS.map((run) => run.split))]), CHOSEN.split, choose("split")),
      VERDICTS.length > 0 && [select("right", "Who is right", people, CHOSEN.right, choose("right")), select("wrong", "Who is wrong", people, CHOSEN.wrong, choose("wrong"))],
      count),
    strip, detail,
  ];
}

const runLink = (run) => `#/curves/${encodeURIComponent(run.run)}`;

function thumbnail(run, i, isCurrent) {
  const losses = unpackLosses(run.curve).filter((_, k) => k % 2 === 0);
  const finite = losses.filter(Number.isFinite);
  const [toX, toY] = [scale({ low: 0, high: losses.length - 1 }, 3, 93), scale({ low: Math.min(0.5, ...finite) / 1.1, high: Math.max(1, ...finite) * 1.1, log: true }, 45, 3)];
  return make("a", { class: "thumb", href: runLink(run), "aria-current": isCurrent ? "true" : null },
    draw("svg", { viewBox: "0 0 96 48", "aria-hidden": "true", focusable: "false" },
      line(losses.map((y, k) => [k, Number.isFinite(y) ? y : null]), toX, toY, { class: `series d${run.label}` })),
    diagnosisMark(run.label), make("span", { class: "unseen" }, `, run ${run.run}`));
}

// ------------------------------------------------------------------------------------------------ one curve

function curveDetail(run, i, fitting) {
  const at = fitting.findIndex((other) => other.i === i);
  const step = (by, text) => {
    const other = fitting[at + by];
    return other && at >= 0 ? make("a", { class: "button", href: runLink(other.run) }, text) : make("span", { class: "button off", "aria-hidden": "true" }, text);
  };
  const t = run.trained;
  const accepted = BOARD.diagnoses.map((_, d) => d).filter((d) => d !== run.label && run.accepted >> d & 1);
  const facts = [
    ["Problem", t.problem_family], ["Network", `${t.architecture}, ${t.depth} × ${t.width} ${t.activation}`], ["Output", `${t.output_activation}, ${t.loss.replaceAll("_", " ")}`],
    ["Training", `${t.optimizer}, rate ${shortNumber(t.base_lr)}, ${t.schedule}, batches of ${t.batch_size}, ${t.epochs} epochs`],
    ["Injected", run.injected], ["Difficulty", run.difficulty], ["Split", run.split],
    ["Shows", run.phenomena.length ? run.phenomena.map((p) => EXPLORER.phenomena[p][0]).join("; ") : "nothing that has a name here"],
  ];
  const gains = new Map(unpack(run.tried).map((index, k) => [index, unpackGains(run.gains)[k]]));
  return [
    make("div", { class: "detail-head" },
      make("h2", { tabindex: "-1", id: "curve-title" }, diagnosisMark(run.label), accepted.length ? make("small", {}, " or ", accepted.map((d, k) => [k ? ", " : "", diagnosisMark(d)])) : null, make("code", {}, run.run)),
      make("nav", { "aria-label": "Curves" }, step(-1, "Previous"), step(1, "Next"))),
    make("div", { class: "panels" }, curveFigure(run, gains), gainFigure(run, gains)),
    factList(facts),
    verdictSection(i, gains),
  ];
}

function curveFigure(run, gains) {
  const losses = unpackLosses(run.curve);
  const after = run.after.map(([index, start, text]) => ({ index, start, losses: unpackLosses(text), gain: gains.get(index) }));
  const best = after.toSorted((a, b) => b.gain - a.gain)[0];
  const holder = make("div", {});
  const show = (choice) => {
    const shown = choice === "all" ? after.filter(({ index }) => EXPLORER.remedies[index][0] === "resume") : after.filter(({ index }) => String(index) === choice);
    holder.replaceChildren(...curvePlot(run, losses, shown));
  };
  const first = best && best.gain > 0 ? String(best.index) : "";
  show(first);
  const options = [["", "nothing"], ["all", "all resumed runs"], ...after.toSorted((a, b) => b.gain - a.gain).map(({ index, gain }) => [String(index), `${remedyName(index)}, gain ${number(gain, 2, true)}`])];
  return make("section", { class: "panel", "aria-label": "The curve" }, make("form", {}, select("after", "The same run after", options, first, show)), holder);
}

function curvePlot(run, losses, shown) {
  const drawn = [...losses, ...shown.flatMap((s) => s.losses)].filter((y) => y !== null && Number.isFinite(y) && y > 0);
  const [low, high] = [Math.min(0.5, ...drawn) / 1.2, Math.max(1.3, ...drawn) * 1.2];
  const n = losses.length;
  const diedAt = losses.findIndex((y) => y === null || !Number.isFinite(y));
  const lastSeen = diedAt > 0 ? diedAt - 1 : diedAt < 0 ? n - 1 : 0;
  const ends = shown.map((s) => `${remedyName(s.index)} (gain ${number(s.gain, 2, true)})`).join(", ");
  const says = `The loss starts at ${shortNumber(losses[0] ?? NaN)} and ${diedAt < 0 ? `ends at ${shortNumber(Number(losses[n - 1].toPrecision(2)))}` : `leaves the scale after ${percent(lastSeen / (n - 1))} of training`}, in units of the best constant prediction's${ends ? `; beside it ${ends}` : ""}.`;
  const points = (values, start = 0) => values.map((y, k) => [(start + k) / (n - 1), y !== null && Number.isFinite(y) ? y : null]);
  return [figure("Training loss, in units of the best constant prediction's", plot({
    title: `Training loss of ${run.run}`, says, height: 300,
    x: { low: 0, high: 1, label: "share of training", ticks: hundredths, format: percent }, y: { low, high, log: true },
    marks: (toX, toY) => [
      draw("line", { class: "ideal", x1: toX(0), x2: toX(1), y1: toY(1), y2: toY(1) }),
      shown.map((s, k) => line(points(s.losses, s.start), toX, toY, { class: `series after after${k % 3}` })),
      line(points(losses), toX, toY, { class: `series d${run.label}` }),
      diedAt >= 0 && draw("path", { class: `died d${run.label}`, d: `M${toX(lastSeen / (n - 1)) - 5} ${toY(losses[lastSeen] ?? high) - 5}l10 10m0 -10l-10 10` }),
    ],
  }), legend([[`series d${run.label}`, "the run"], ...shown.length === 1 ? [["series after after0", remedyName(shown[0].index)]] : shown.length ? [["series after after0", "resumed runs"]] : [], ["ideal", "best constant"]]),
  make("p", { class: "says" }, says))];
}

function gainFigure(run, gains) {
  const tried = [...gains].map(([index, gain]) => ({ index, gain, action: EXPLORER.remedies[index][0], factor: EXPLORER.remedies[index][1], at: EXPLORER.remedies[index][2] }));
  const onAxis = tried.filter(({ action }) => action === "restart" || action === "resume");
  const single = tried.filter(({ action }) => action === "change_output" || action === "train_longer");
  const series = [...new Set(onAxis.map(({ action, at }) => action === "restart" ? "restart" : `resume at ${percent(at)}`))].sort()
    .map((name) => ({ name, points: onAxis.filter(({ action, at }) => name === (action === "restart" ? "restart" : `resume at ${percent(at)}`)).concat({ index: 0, gain: 0, factor: 1 }).sort((a, b) => a.factor - b.factor) }));
  const factors = onAxis.map(({ factor }) => factor);
  const [low, high] = [Math.max(1e-5, Math.min(0.1, ...factors)), Math.min(1e5, Math.max(10, ...factors))];
  const inside = ({ factor }) => factor >= low && factor <= high;
  const best = tried.filter(({ action }) => action !== "train_longer").toSorted((a, b) => b.gain - a.gain)[0];
  const says = best && best.gain > 0 ? `Most helps ${remedyName(best.index)}: gain ${number(best.gain, 2, true)}.` : "No remedy helps.";
  const names = { change_output: "change of output", train_longer: "twice as long" };
  return make("section", { class: "panel", "aria-label": "Gain of each remedy" }, figure("Gain of each remedy: +0.5 halves the final loss, −0.5 doubles it", plot({
    title: `Gain of each remedy of ${run.run}`, says, height: 300,
    x: { low, high, log: true, label: "the learning rate times …" }, y: { low: -1, high: 1, ticks: [-1, -0.5, 0, 0.5, 1], format: (v) => number(v, 1, true) },
    marks: (toX, toY) => [
      draw("line", { class: "zero", x1: toX(low), x2: toX(high), y1: toY(0), y2: toY(0) }),
      single.map(({ gain, action }) => draw("line", { class: `single ${action}`, x1: toX(low), x2: toX(high), y1: toY(gain), y2: toY(gain) })),
      series.map(({ points }, k) => [line(points.filter(inside).map(({ factor, gain }) => [factor, gain]), toX, toY, { class: `series s${k}` }),
        points.filter(inside).map(({ factor, gain, index }) => draw("circle", { class: `series-dot s${k}`, cx: toX(factor), cy: toY(gain), r: 3 }, draw("title", {}, `${remedyName(index)}: ${number(gain, 2, true)}`)))]),
    ],
  }), legend([...series.map(({ name }, k) => [`series s${k}`, name]), ...single.map(({ action }) => [`single ${action}`, names[action]])]),
  make("p", { class: "says" }, says),
  asTable("Gain of each remedy", ["remedy", "gain"], tried.toSorted((a, b) => b.gain - a.gain).map(({ index, gain }) => [remedyName(index), number(gain, 2, true)]))));
}

function verdictSection(i, gains) {
  if (!VERDICTS.length) return make("p", { class: "note" }, "No answers are stored beside the results.");
  const states = VERDICTS.map((v) => stateOf(v, i));
  const sum = Object.entries(STATES).map(([state, name]) => [states.filter((s) => s === state).length, name]).filter(([n]) => n).map(([n, name]) => `${n} ${name}`).join(", ");
  const rows = VERDICTS.map((v, k) => {
    const [state, said] = [states[k], Number(v.said[i])];
    const isSaid = !Number.isNaN(said);
    const isAsked = state !== "unasked" && state !== "crashed";
    const confidence = v.confidences[i] === NOTHING ? null : v.confidences[i] / LEVELS;
    return [make("a", { href: `#/diagnoser/${EXPLORER.set}/${v.slug}` }, v.name), make("span", { class: `mark state-${state}` }, STATES[state]),
      isSaid ? diagnosisMark(said) : "–", isSaid ? percent(confidence) : "–", isAsked ? remedyName(v.remedies[i]) : "–",
      isAsked && v.remedies[i] !== NOTHING ? number(EXPLORER.remedies[v.remedies[i]][0] === "none" ? 0 : gains.get(v.remedies[i]), 2, true) : "–"];
  });
  return make("section", { "aria-labelledby": "verdicts-title" }, make("h2", { id: "verdicts-title" }, "What everybody said"), make("p", {}, `${sum}.`),
    wide("Verdicts", makeTable("Verdicts on this curve, and what the prescribed remedy gained", ["diagnoser", "verdict", "said", "sure", "prescribed", "gain"], rows, { class: "verdicts" })));
}
