"""Whether a diagnoser is as good as it must be or has been, and a readable account where it is not."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from curvebench.console import Column, format_table
from curvebench.data.dataset import Dataset
from curvebench.evaluation.compare import Difference
from curvebench.evaluation.evaluate import Judgement
from curvebench.evaluation.results import Result
from curvebench.evaluation.scores import SCORES
from curvebench.spec import DIAGNOSES, Bool, CurveBenchError, Float, UsageError

DEFAULT_DROPS: Mapping[str, float] = {"value": 0.05, "macro_f1": 0.05}
"""What is watched, and what it may lose, unless somebody says otherwise."""

EXAMPLES = 6
"""Curves that are drawn, at most; one for each label first."""

_LIMITS = {"min_": "at least", "max_": "at most"}


# -------------------------------------------------------------------------------------------- what is wanted


@dataclass(frozen=True)
class Limit:
    """A bound that a score must keep.

    Attributes:
        score: one of `SCORES`.
        is_least: whether the score must be at least as high, else at most.
        number: the bound.
    """

    score: str
    is_least: bool
    number: float

    def is_kept(self, score: float) -> bool:
        """Whether a score is on the right side; one that is not defined is not."""
        return score >= self.number if self.is_least else score <= self.number

    def __str__(self) -> str:
        """As a table has it.

        >>> print(Limit("value", True, 0.5))
        at least 0.5
        """
        return f"{_LIMITS['min_' if self.is_least else 'max_']} {self.number:g}"


def parse_limits(wanted: Mapping[str, object]) -> list[Limit]:
    """The limits of arguments such as `min_value=0.5`.

    Raises:
        UsageError: an argument is not `min_` or `max_` and a score, or its value no number.

    >>> parse_limits({"max_brier": 0.3})
    [Limit(score='brier', is_least=False, number=0.3)]
    """
    return [_parse_limit(name, number) for name, number in wanted.items()]


def _parse_limit(name: str, number: object) -> Limit:
    prefix, score = name[:4], name[4:]
    if prefix not in _LIMITS or score not in SCORES:
        known = [prefix + score for prefix in _LIMITS for score in SCORES]
        raise UsageError(
            f"There is no limit {name!r};{_nearest(name, known)} Limits are min_SCORE and max_SCORE; {_SCORES}"
        )
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise UsageError(f"The limit {name} is {number!r}; it must be a number.")
    return Limit(score, prefix == "min_", float(number))


def parse_drops(texts: Iterable[str]) -> dict[str, float]:
    """What scores may lose, from texts such as "value:0.05" or "value:0.05,macro_f1:0.1".

    Raises:
        UsageError: a text is something else.

    >>> parse_drops(["value:0.05,brier:0"])
    {'value': 0.05, 'brier': 0.0}
    """
    drops = {}
    for text in (part for given in texts for part in given.split(",")):
        score, _, number = text.strip().partition(":")
        if score not in SCORES:
            raise UsageError(f"There is no score {score!r} that could drop;{_nearest(score, SCORES)} {_SCORES}")
        try:
            drops[score] = float(number)
        except ValueError:
            drops[score] = float("nan")
        if not 0 <= drops[score] < float("inf"):
            raise UsageError(
                f"{text.strip()!r} does not say by how much {score} may drop; write for instance {score}:0.05."
            )
    return drops


_SCORES = f"scores are {', '.join(SCORES)}."


def _nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f" did you mean {near[0]!r}?" if near else ""


# ------------------------------------------------------------------------------------------------ accounts


def account_of_limits(result: Result, limits: Sequence[Limit]) -> list[str]:
    """Lines of a table of all limits, if one is not kept; else none."""
    scores, intervals = result.scores or {}, result.intervals or {}
    if all(limit.is_kept(scores[limit.score]) for limit in limits):
        return []
    rows = [
        [
            limit.score,
            _number(scores[limit.score]),
            _interval(intervals[limit.score]),
            str(limit),
            "" if limit.is_kept(scores[limit.score]) else "FAILED",
        ]
        for limit in limits
    ]
    columns = [Column("score"), _right("now"), _right("95 % interval"), Column("wanted"), Column("")]
    return format_table(columns, rows, None)


def account_of_losses(
    differences: Mapping[str, Difference], drops: Mapping[str, float], label: Sequence[int]
) -> list[str]:
    """Lines of tables of what a diagnoser lost, overall and by label, if that is more than is allowed; else none.

    Args:
        differences: score -> now (the first) and before (the second).
        drops: score -> what it may lose.
        label: (n,) index into `DIAGNOSES` of every run.
    """
    if not any(differences[score].is_loss(allowed) for score, allowed in drops.items()):
        return []
    columns = [*map(_right, ("before", "now", "change", "95 % interval")), _right("may drop by"), Column("")]
    rows = []
    for score, allowed in drops.items():
        verdict = "FAILED" if differences[score].is_loss(allowed) else ""
        rows.append([score, *_cells(differences[score]), f"{allowed:g}", verdict])
    lines = format_table([Column("score"), *columns], rows, None)
    n_runs = np.bincount(label, minlength=len(DIAGNOSES))
    by_label = [
        [
            diagnosis,
            f"{n_runs[i]:,}",
            kind,
            *_cells(differences[score]),
            "worse" if _is_worse(differences[score]) else "",
        ]
        for i, diagnosis in enumerate(DIAGNOSES)
        if n_runs[i]
        for kind, score in _scores_of_label(diagnosis)
    ]
    return [
        *lines,
        "",
        *format_table([Column("label"), _right("runs"), Column("score"), *columns[:4], Column("")], by_label, None),
    ]


def _scores_of_label(diagnosis: str) -> list[tuple[str, str]]:
    return [("recall", f"recall_{diagnosis}"), ("net gain", f"net_gain_{diagnosis}")]


def _is_worse(difference: Difference) -> bool:
    return difference.is_loss(0.0)


def _cells(difference: Difference) -> list[str]:
    return [
        _number(difference.second),
        _number(difference.first),
        f"{difference.difference:+z.3f}",
        _interval(difference.interval),
    ]


def _number(value: float) -> str:
    return "undefined" if np.isnan(value) else f"{value:z.3f}"


def _interval(bounds: tuple[float, float]) -> str:
    return f"[{bounds[0]:z.3f}, {bounds[1]:z.3f}]"


def _right(title: str) -> Column:
    return Column(title, is_number=True)


# ------------------------------------------------------------------------------------------------- examples


@dataclass(frozen=True)
class Reference:
    """What the answers about n runs are held against, to find those that got worse.

    Attributes:
        name: what it is called in the account.
        said: for each run a diagnosis.
        is_right: (n,) bool.
        net_gain: (n,) float64.
    """

    name: str
    said: Sequence[str]
    is_right: Bool
    net_gain: Float


def reference_of(judgement: Judgement, name: str) -> Reference:
    """Somebody else's answers about the same runs."""
    judged = judgement.judged
    return Reference(name, [DIAGNOSES[i] for i in judged.prediction], judged.credited == judged.label, judged.net_gain)


def truth_of(judgement: Judgement) -> Reference:
    """The labels, and what the oracle gains."""
    judged = judgement.judged
    said = [DIAGNOSES[i] for i in judged.label]
    return Reference("label", said, np.ones(len(said), dtype=np.bool_), judged.oracle_net_gain)


def examples(judgement: Judgement, reference: Reference) -> list[int]:
    """Positions, in the judgement, of runs that were judged clearly worse than by the reference; worst first.

    Of each label the worst one, then further ones, up to `EXAMPLES`; none that is no worse.
    """
    judged = judgement.judged
    is_right = judged.credited == judged.label
    loss = reference.is_right.astype(float) - is_right + reference.net_gain - judged.net_gain
    order = [i for i in np.argsort(-loss, kind="stable").tolist() if loss[i] > 0]
    n_seen = [
        sum(judged.label[other] == judged.label[i] for other in order[:position]) for position, i in enumerate(order)
    ]
    ranked = sorted(range(len(order)), key=lambda position: (n_seen[position], position))
    return [order[position] for position in ranked[:EXAMPLES]]


def draw_examples(dataset: Dataset, judgement: Judgement, reference: Reference, folder: Path) -> list[str]:
    """Draw runs that were judged worse than by the reference into PNG files in a folder, which is made if need be.

    Returns:
        Lines that say what was drawn and where, or why nothing was.
    """
    chosen = examples(judgement, reference)
    if not chosen:
        return []
    try:
        from curvebench.plots import save_plot

        folder.mkdir(parents=True, exist_ok=True)
        lines = []
        for i in chosen:
            run = str(dataset["run"][judgement.rows[i]])
            label, now = (DIAGNOSES[of[i]] for of in (judgement.judged.label, judgement.judged.prediction))
            name = f"{label}-{run}.png"
            save_plot(dataset, run, folder / name, overwrite=True)
            before = "" if reference.name == "label" else f", {reference.name} {reference.said[i]}"
            lines.append(f"  {name}: labelled {label}{before}, now {now}")
    except ImportError:
        return ["No curves are drawn: matplotlib is not installed."]
    except (CurveBenchError, OSError) as error:
        return [f"No curves are drawn: {error}"]
    return [f"Curves that were judged worse, in {folder}:", *lines]
