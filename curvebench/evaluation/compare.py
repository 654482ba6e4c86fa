"""Who is better, by how much, and how sure: differences in pairs, from the same draws for both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from curvebench.data.dataset import Dataset
from curvebench.evaluation.bootstrap import CONFIDENCE_LEVEL, draw_weights, drawn_sums, interval, strata
from curvebench.evaluation.evaluate import N_BOOTSTRAP, Examination, Judgement, examine, mark
from curvebench.evaluation.reporting import IN_THIS_PROCESS, ask_who, choose_runs, name_data_set
from curvebench.evaluation.results import finite_or_none
from curvebench.evaluation.scores import LOWER_IS_BETTER, SCORES, scores, scores_from_sums, sums_by_instance
from curvebench.evaluation.stored_results import load_report
from curvebench.spec import CheckFailed, Float, Int, UsageError

COMPARED: Mapping[str, str] = {"value": "value", "macro_f1": "macro F1"}
"""Score that a sentence is made of -> what it is called there. Of both, more is better."""

SURE, LIKELY = 1 - (1 - CONFIDENCE_LEVEL) / 2, 0.8
"""Shares of the draws in which one is ahead, from which on it is said to be better, and to be probably better."""


@dataclass(frozen=True)
class Difference:
    """One score of two diagnosers on the same runs.

    Attributes:
        score: one of `SCORES`.
        first: of the first diagnoser; NaN where it is not defined.
        second: of the second.
        interval: 95 % interval of first less second.
        share_ahead: share of the draws in which the first is better; where they are equal, each is half ahead.
    """

    score: str
    first: float
    second: float
    interval: tuple[float, float]
    share_ahead: float

    @property
    def difference(self) -> float:
        """First less second."""
        return self.first - self.second

    @property
    def half_width(self) -> float:
        """Half of the interval's width: about the smallest difference that would be clear."""
        low, high = self.interval
        return (high - low) / 2

    @property
    def is_clear(self) -> bool:
        """Whether the interval excludes zero."""
        low, high = self.interval
        return low > 0 or high < 0

    def is_loss(self, allowed_drop: float) -> bool:
        """Whether the first is worse than the second by more than is allowed, and the difference is clear."""
        drop = self.difference if self.score in LOWER_IS_BETTER else -self.difference
        return drop > allowed_drop and self.is_clear

    def in_words(self, first: str, second: str) -> str:
        """Who is better, by how much, how sure; only of the scores in `COMPARED`."""
        name, difference = COMPARED[self.score], self.difference
        if np.isnan(difference) or np.isnan(self.share_ahead):
            return f"{name}: not defined for both."
        if self.interval == (0.0, 0.0) and difference == 0:
            return f"{name}: {first} and {second} are equal in every draw."
        share, winner, loser, sign = self.share_ahead, first, second, 1
        if share < 0.5:
            share, winner, loser, sign = 1 - share, second, first, -1
        low, high = sorted(sign * bound for bound in self.interval)
        by = (
            f"by {sign * difference:z.3f}, 95 % interval {low:z.3f} to {high:z.3f}; "
            f"ahead in {100 * share:.1f} % of the draws"
        )
        if share >= SURE:
            return f"{name}: {winner} is better than {loser} ({by})."
        if share >= LIKELY:
            return f"{name}: {winner} is probably better than {loser}, but not surely ({by})."
        return f"{name}: {first} and {second} cannot be told apart ({winner} is better {by})."


@dataclass(frozen=True)
class Comparison:
    """Two diagnosers on the same runs of a split.

    Attributes:
        split: which.
        first: name.
        second: name.
        n_runs: runs that both were asked about.
        n_problem_instances: problem instances of these, which are drawn again.
        differences: score -> difference, for each of `SCORES`.
    """

    split: str
    first: str
    second: str
    n_runs: int
    n_problem_instances: int
    differences: Mapping[str, Difference]

    def in_words(self) -> list[str]:
        """A sentence for each of `COMPARED`."""
        return [self.differences[score].in_words(self.first, self.second) for score in COMPARED]

    def to_json(self) -> dict[str, Any]:
        """The comparison as plain lists, dicts, text and numbers; None in place of NaN."""
        return {
            "split": self.split,
            "first": self.first,
            "second": self.second,
            "n_runs": self.n_runs,
            "n_problem_instances": self.n_problem_instances,
            "scores": {
                d.score: {
                    "first": finite_or_none(d.first),
                    "second": finite_or_none(d.second),
                    "difference": finite_or_none(d.difference),
                    "interval": [finite_or_none(bound) for bound in d.interval],
                    "half_width": finite_or_none(d.half_width),
                    "share_ahead": finite_or_none(d.share_ahead),
                    **({"words": d.in_words(self.first, self.second)} if d.score in COMPARED else {}),
                }
                for d in self.differences.values()
            },
        }


def compare(
    dataset: Dataset,
    first: str,
    second: str,
    split: str,
    *,
    n_bootstrap: int = N_BOOTSTRAP,
    how: Mapping[str, Any] = IN_THIS_PROCESS,
) -> Comparison:
    """Compare two diagnosers on the runs of a split that both were asked about.

    Args:
        dataset: the labelled runs.
        first: name of a diagnoser, or path of the JSON of a stored result (ends in .json).
        second: likewise.
        split: one of `SPLITS`.
        n_bootstrap: draws of problem instances, family by family, the same for both.
        how: where diagnosers run: arguments of `examine`.

    Raises:
        UsageError: there is no such diagnoser or split, or a stored result is about another data set.
        InputError: a result cannot be read, or the split has no scored runs.
        CheckFailed: one of them failed, so that there is nothing to compare.
    """
    (name, a), (other_name, b) = (_judged(dataset, name, split, how) for name in (first, second))
    differences, n_runs, n_instances = compare_judgements(a, b, n_bootstrap)
    return Comparison(split, name, other_name, n_runs, n_instances, differences)


def compare_judgements(
    first: Judgement, second: Judgement, n_bootstrap: int = N_BOOTSTRAP
) -> tuple[dict[str, Difference], int, int]:
    """Differences on the runs that two judgements of a split share, the number of these, and of their instances.

    Args:
        first: of one diagnoser.
        second: of another, or of the same at another time.
        n_bootstrap: draws of problem instances, the same for both.

    Returns:
        Score -> difference, in the order of `SCORES`; runs; problem instances.

    Raises:
        UsageError: they share none.
    """
    rows = np.intersect1d(first.rows, second.rows, assume_unique=True)
    if not len(rows):
        raise UsageError("The two were asked about different runs; there is nothing to compare.")
    found, drawn = [], []
    for judgement in (first, second):
        judged = judgement.judged.take(np.isin(judgement.rows, rows))
        instance, family = _instances(judgement, rows)
        sums = sums_by_instance(judged, instance, len(family))
        weights = draw_weights(strata(family), n_bootstrap)
        found.append(scores(judged))
        drawn.append(scores_from_sums(drawn_sums(sums, weights)))
    differences = {
        score: _difference(score, found[0][score], found[1][score], drawn[0][score] - drawn[1][score])
        for score in SCORES
    }
    return differences, len(rows), len(family)


def _difference(score: str, first: float, second: float, drawn: Float) -> Difference:
    """The difference of a score, from what it is in every draw, (n_draws,)."""
    defined = drawn[~np.isnan(drawn)]
    ahead = defined < 0 if score in LOWER_IS_BETTER else defined > 0
    share = float(np.mean(np.where(defined == 0, 0.5, ahead))) if len(defined) else np.nan
    return Difference(score, first, second, interval(drawn), share)


def _instances(judgement: Judgement, rows: Int) -> tuple[Int, Any]:
    """Problem instance of each of some rows, numbered from 0, and their families."""
    present, instance = np.unique(judgement.instance[np.isin(judgement.rows, rows)], return_inverse=True)
    return instance, judgement.family[present]


def _judged(dataset: Dataset, asked: str, split: str, how: Mapping[str, Any]) -> tuple[str, Judgement]:
    """A diagnoser's name and judgement on a split: made now, or from its stored answers."""
    if asked.endswith(".json"):
        report = load_report(Path(asked))
        name = report.diagnoser.name
        if report.data_set != name_data_set(dataset):
            raise UsageError(f"{asked} is a result about another data set than the one that was given.")
        i = report.index(split)
        stored = report.evaluations[i]
        marked = mark(dataset, split, report.answers[i], rows=report.rows[split], track=stored.track, n_bootstrap=1)
        return name, _present(name, marked, stored.message)
    rows = choose_runs(dataset, is_slow=ask_who(asked, how).is_slow)[1].get(split)
    (examination,) = examine(dataset, asked, {split: rows}, n_bootstrap=1, **how)
    return asked, _present(asked, examination, examination.result.message)


def _present(name: str, examination: Examination, message: str) -> Judgement:
    if examination.judgement is None:
        raise CheckFailed(f"{name} has no scores to compare: {message.rstrip('.')}")
    return examination.judgement
