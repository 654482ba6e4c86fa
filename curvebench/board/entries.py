"""What the board shows of results: rows of its tables and the figures of a diagnoser's page, rounded and cleaned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from curvebench.board.stored import WHOLE, DataSet, Evaluation, StoredResult, Submission
from curvebench.board.texts import clean, link_target
from curvebench.spec import DIAGNOSES, SPLITS, TRACKS

NAME_LENGTH, LINE_LENGTH, TEXT_LENGTH, MAX_FINDINGS = 60, 160, 400, 200
"""How much of a stranger's text is shown, in characters, and how many of its findings."""

FRACTIONS: Mapping[str, float] = {"first-25": 0.25, "first-50": 0.5, "first-75": 0.75, WHOLE: 1.0}
"""View -> share of the curve that it shows."""

DISTURBED = ("smoothed", "every-4th", "scaled", "noised")
"""Views that show the same run as it would have been logged elsewhere; none should change a verdict."""

VIEW_SCORES = ("value", "macro_f1", "false_alarms_per_100_healthy")
"""Scores that are shown of the views beside the whole one."""

TABLE_SPLITS = ("test", "test_ood")

Json = dict[str, Any]


@dataclass(frozen=True)
class Shares:
    """Shares of runs, in percent, by what the diagnosis was; they sum to 100.

    Attributes:
        right: an accepted diagnosis.
        not_covered: no accepted one, and the diagnoser has no word for the label.
        wrong: no accepted one, though it has a word for it.
    """

    right: float
    not_covered: float
    wrong: float


@dataclass(frozen=True)
class Row:
    """A line of a table: a diagnoser on a track and a split, the whole curve.

    Attributes:
        slug: of its page.
        name: cleaned.
        kind: of diagnoser.
        track: what it was shown.
        split: what it was scored on.
        evaluation: as it was stored.
        subset: how many of how many runs were asked about, where not all were.
        shares: of right and wrong diagnoses; None without scores.
        worst_view: the disturbed view with the least value, and this value, or None where there is no score, which is
            worse than any; None where none was run.
        transfer: value on `test_ood` less that on `test`; None where one is missing.
    """

    slug: str
    name: str
    kind: str
    track: str
    split: str
    evaluation: Evaluation
    subset: tuple[int, int] | None
    shares: Shares | None
    worst_view: tuple[str, float | None] | None
    transfer: float | None

    def score(self, name: str) -> float | None:
        """A score, None where it is not defined."""
        return (self.evaluation.scores or {}).get(name)

    def interval(self, name: str) -> tuple[float, float] | None:
        """The 95 % interval of a score, None where it is not defined."""
        return _interval(self.evaluation, name)


def rows_of(submissions: Iterable[Submission]) -> dict[str, list[Row]]:
    """The lines of a data set's table: split -> rows, the most valuable first, those without a score last."""
    rows = [_row(s, e) for s in submissions for e in s.result.evaluations if e.view == WHOLE]
    rows.sort(key=lambda row: (row.score("value") is None, -(row.score("value") or 0.0), row.name, row.track))
    return {split: shown for split in SPLITS if (shown := [row for row in rows if row.split == split])}


def _row(submission: Submission, evaluation: Evaluation) -> Row:
    result = submission.result
    used, n_all = result.subset.n_of.get(evaluation.split, (0, 0))
    return Row(
        slug=submission.slug,
        name=clean(result.diagnoser.name, NAME_LENGTH),
        kind=result.diagnoser.kind,
        track=evaluation.track,
        split=evaluation.split,
        evaluation=evaluation,
        subset=(used, n_all) if used < n_all else None,
        shares=_shares(evaluation, result.diagnoser.covers),
        worst_view=_worst_view(result, evaluation.track, evaluation.split),
        transfer=_transfer(result, evaluation.track),
    )


def _shares(evaluation: Evaluation, covers: Iterable[str]) -> Shares | None:
    """What became of all runs: accepted answers are right, as in the recalls; what is left over has a word, or not."""
    if evaluation.confusion is None or evaluation.scores is None:
        return None
    n_labelled = [sum(row) for row in evaluation.confusion]
    n_right = [n * (evaluation.scores.get(f"recall_{d}") or 0.0) for d, n in zip(DIAGNOSES, n_labelled, strict=True)]
    total = sum(n_labelled)
    if not total:
        return None
    covered = set(covers)
    missing = sum(n - right for d, n, right in zip(DIAGNOSES, n_labelled, n_right, strict=True) if d not in covered)
    right, not_covered = 100 * sum(n_right) / total, 100 * missing / total
    return Shares(right, not_covered, max(0.0, 100 - right - not_covered))


def _of(result: StoredResult, track: str, split: str) -> dict[str, Evaluation]:
    """View -> evaluation on a track and split that ended well."""
    return {e.view: e for e in result.evaluations if (e.track, e.split) == (track, split) and e.scores is not None}


def _value(evaluation: Evaluation | None) -> float | None:
    return None if evaluation is None else (evaluation.scores or {}).get("value")


def _interval(evaluation: Evaluation, name: str) -> tuple[float, float] | None:
    low, high = (evaluation.intervals or {}).get(name) or (None, None)
    return None if low is None or high is None else (low, high)


def _worst_view(result: StoredResult, track: str, split: str) -> tuple[str, float | None] | None:
    values = [
        (_value(e), e.view) for e in result.evaluations if (e.track, e.split) == (track, split) and e.view in DISTURBED
    ]
    if not values:
        return None
    value, view = min(values, key=lambda of_view: (of_view[0] is not None, of_view[0] or 0.0, of_view[1]))
    return view, value


def _transfer(result: StoredResult, track: str) -> float | None:
    there, here = (_value(_of(result, track, split).get(WHOLE)) for split in ("test_ood", "test"))
    return None if there is None or here is None else there - here


# --------------------------------------------------------------------------------- the page of a diagnoser


def page_of(submission: Submission) -> Json:
    """Everything that a diagnoser's page shows, as JSON."""
    result = submission.result
    who, run = result.diagnoser, result.run
    findings = sorted(who.mapping.items())[:MAX_FINDINGS]
    source = clean(who.source, TEXT_LENGTH)
    return {
        "slug": submission.slug,
        "name": clean(who.name, NAME_LENGTH),
        "kind": who.kind,
        "description": clean(who.description, TEXT_LENGTH),
        "source": source,
        "link": link_target(source),
        "version": clean(who.version, LINE_LENGTH),
        "sha256": clean(who.sha256, LINE_LENGTH),
        "covers": [d for d in DIAGNOSES if d in who.covers],
        "mapping": [[clean(finding, LINE_LENGTH), clean(diagnosis, LINE_LENGTH)] for finding, diagnosis in findings],
        "n_findings": len(who.mapping),
        "time": clean(run.time, LINE_LENGTH),
        "machine": clean(run.machine, LINE_LENGTH),
        "python": clean(run.python, LINE_LENGTH),
        "versions": ", ".join(
            f"{clean(package, NAME_LENGTH)} {clean(version, NAME_LENGTH)}"
            for package, version in sorted(run.versions.items())[:MAX_FINDINGS]
        ),
        "subset": {split: list(n) for split, n in result.subset.n_of.items()},
        "rerun": _rerun(result),
        "parts": [
            _part(result, track, split) for track in TRACKS for split in SPLITS if _was_run(result, track, split)
        ],
    }


def _was_run(result: StoredResult, track: str, split: str) -> bool:
    return any((e.track, e.split, e.view) == (track, split, WHOLE) for e in result.evaluations)


def _rerun(result: StoredResult) -> Json | None:
    if result.rerun is None:
        return None
    return {
        "master_seed": result.rerun.master_seed,
        "content_sha256": clean(result.rerun.content_sha256, LINE_LENGTH),
        "time": clean(result.rerun.time, LINE_LENGTH),
        "value": {split: rounded(scores.get("value")) for split, scores in result.rerun.scores.items()},
    }


def _part(result: StoredResult, track: str, split: str) -> Json:
    """What is shown of one track and split."""
    whole = next(e for e in result.evaluations if (e.track, e.split, e.view) == (track, split, WHOLE))
    shares = _shares(whole, result.diagnoser.covers)
    return {
        "track": track,
        "split": split,
        "status": whole.status,
        "message": clean(whole.message, TEXT_LENGTH),
        "counts": None if whole.counts is None else whole.counts.model_dump(),
        "scores": _scores(whole, list(whole.scores or {})),
        "shares": None if shares is None else [rounded(v) for v in vars(shares).values()],
        "confusion": whole.confusion,
        "microseconds": rounded(whole.microseconds_per_curve),
        "reliability": None
        if whole.reliability is None
        else {name: [rounded(v) for v in values] for name, values in whole.reliability.model_dump().items()},
        "by_severity": [
            {
                "severity": [rounded(b) for b in s.severity],
                "n": s.n,
                "accuracy": rounded(s.accuracy),
                "value": rounded(s.value),
            }
            for s in whole.by_severity or []
        ],
        "by_base_rate": [
            [rounded(b.share_of_faulty), rounded(b.false_alarms_per_100_alarms)] for b in whole.by_base_rate or []
        ],
        "early": _early(result, track, split),
        "views": [
            {"view": view, **_scores(evaluation, VIEW_SCORES)}
            for view, evaluation in _of(result, track, split).items()
            if view == WHOLE or view in DISTURBED
        ],
    }


def _scores(evaluation: Evaluation, names: Iterable[str]) -> Json:
    """Score -> [value, low, high], rounded."""
    scores = evaluation.scores or {}
    shown = {}
    for name in names:
        low, high = _interval(evaluation, name) or (None, None)
        shown[clean(name, NAME_LENGTH)] = [rounded(scores.get(name)), rounded(low), rounded(high)]
    return shown


def _early(result: StoredResult, track: str, split: str) -> list[Json]:
    """Value and false alarms by the share of the curve that was seen; what is stored apart is about the first track."""
    views = _of(result, track, split)
    is_own_track = track == result.evaluations[0].track
    of_split = [points for name, points in result.early.items() if name == split and is_own_track]
    stored = {round(point.fraction, 3): point for points in of_split for point in points}
    points = []
    for view, fraction in FRACTIONS.items():
        evaluation, point = views.get(view), stored.get(fraction)
        if evaluation is not None:
            of_view = _scores(evaluation, VIEW_SCORES)
            value, alarms = of_view["value"], of_view["false_alarms_per_100_healthy"]
        elif point is not None:
            value = [rounded(point.value), None, None]
            alarms = [rounded(point.false_alarms_per_100_healthy), None, None]
        else:
            continue
        gain_left = None if point is None else rounded(point.gain_left)
        points.append({"fraction": fraction, "value": value, "alarms": alarms, "gain_left": gain_left})
    return points


def rounded(value: float | None) -> float | None:
    """Four significant digits: more than anything here is known to, and short.

    >>> rounded(0.123456), rounded(None)
    (0.1235, None)
    """
    return None if value is None else float(f"{value:.4g}")


def title_of(data_set: DataSet) -> str:
    """What a data set is called.

    >>> title_of(DataSet(name="core", version=1, content_sha256="0" * 64, n_points=128))
    'core, version 1'
    """
    return f"{data_set.name}, version {data_set.version}"
