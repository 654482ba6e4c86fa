"""Two diagnosers on the same runs: how far their scores are apart, and whether that could be chance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from curvebench.evaluation.bootstrap import draw_weights, intervals_of_differences, strata
from curvebench.evaluation.evaluate import Judgement
from curvebench.evaluation.results import number_or_none
from curvebench.evaluation.scores import LOWER_IS_BETTER, SCORES, scores, scores_from_sums
from curvebench.spec import UsageError


@dataclass(frozen=True)
class Difference:
    """A score of two diagnosers, or of one before and after a change, on the same runs.

    Attributes:
        score: one of `SCORES`.
        before: the first one's; NaN where it is not defined.
        after: the second one's.
        interval: 95 % interval of after less before, by the paired bootstrap over problem instances.
    """

    score: str
    before: float
    after: float
    interval: tuple[float, float]

    @property
    def change(self) -> float:
        """After less before."""
        return self.after - self.before

    @property
    def drop(self) -> float:
        """How much worse the second is; negative where it is better."""
        return self.change if self.score in LOWER_IS_BETTER else -self.change

    @property
    def is_clear(self) -> bool:
        """Whether the interval excludes zero."""
        lower, upper = self.interval
        return lower > 0 or upper < 0

    @property
    def half_width(self) -> float:
        """Half of the interval's width: about the smallest difference that would be clear."""
        lower, upper = self.interval
        return (upper - lower) / 2

    def is_loss(self, allowed_drop: float) -> bool:
        """Whether the second is worse by more than is allowed, and the difference is clear."""
        return self.drop > allowed_drop and self.is_clear

    def to_json(self) -> dict[str, Any]:
        """The difference as text and numbers; None in place of NaN."""
        numbers = {"before": self.before, "after": self.after, "change": self.change, "half_width": self.half_width}
        return {
            "score": self.score,
            **{name: number_or_none(value) for name, value in numbers.items()},
            "interval": [number_or_none(bound) for bound in self.interval],
        }


def compare(before: Judgement, after: Judgement, n_bootstrap: int = 1000) -> Mapping[str, Difference]:
    """Every score of two judgements of the same runs of a data set.

    Args:
        before: of the first diagnoser.
        after: of the second.
        n_bootstrap: draws from which the intervals are taken.

    Returns:
        Score -> difference, in the order of `SCORES`.

    Raises:
        UsageError: they are of different runs.
    """
    if not (np.array_equal(before.rows, after.rows) and np.array_equal(before.instance, after.instance)):
        raise UsageError("Only judgements of the same runs can be compared: give both the same data set and split.")
    weights = draw_weights(strata(after.family), n_bootstrap)
    intervals = intervals_of_differences(before.sums, after.sums, weights, scores_from_sums)
    of_before, of_after = scores(before.judged), scores(after.judged)
    return {name: Difference(name, of_before[name], of_after[name], intervals[name]) for name in SCORES}
