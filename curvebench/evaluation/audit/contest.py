"""Is the benchmark a toy, or hopeless? One-liners and a forest compete on the split `test`.

The bar is `constant-best`, the goal the oracle, whose value and macro-F1 are 1. What counts is the share of the gap
between them that somebody closes. Every contestant answers with a diagnosis, as on a board. Beside it, it is told what
every remedy brought on `train`, which no diagnoser is: a one-liner then prescribes for each of its bins the remedy that
was best there on average; the forest grows trees for what remedies bring instead of for diagnoses, and prescribes the
remedy from which they expect most. The better of both values is the contestant's, so that nobody looks weak for the
fixed actions that diagnoses stand for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curvebench.data.dataset import Dataset
from curvebench.diagnosers.features import FEATURES
from curvebench.diagnosers.learned import Forest, features_of_channels
from curvebench.diagnosers.oneliners import OneLiner
from curvebench.evaluation.audit.report import Measured
from curvebench.evaluation.evaluate import Judgement, judge
from curvebench.evaluation.scores import scores
from curvebench.remedies import is_prescribable, treat
from curvebench.spec import Int

LEAST_SHARE = 0.01
"""A one-liner that closes less than this counts as if it closed this much where the forest is compared with it."""

N_TREES, LEAST_LEAF, SHARE_OF_FEATURES = 100, 20, 1 / 3
"""Of the forest that is grown for gains; each split looks at a third of the features, as is usual in regression."""

LISTED = 5
"""So many one-liners are listed, the best first."""


@dataclass(frozen=True)
class Closed:
    """Shares of the gap from `constant-best` to the oracle; negative for who is worse than `constant-best`."""

    value: float
    macro_f1: float


@dataclass(frozen=True)
class Contest:
    """Who closed how much.

    Attributes:
        bar: value and macro-F1 of `constant-best` themselves.
        one_liners: feature -> shares closed.
        forest: shares closed.
    """

    bar: Closed
    one_liners: Mapping[str, Closed]
    forest: Closed

    @property
    def best(self) -> Closed:
        """The largest shares that one-liners close, each its own."""
        of_all = self.one_liners.values()
        return Closed(max(shares.value for shares in of_all), max(shares.macro_f1 for shares in of_all))


def hold_contest(dataset: Dataset) -> Contest:
    """Fit everybody on `train` and let them compete on `test`.

    Raises:
        InputError: one of the two splits has no scored runs.
    """
    constant_best = judge(dataset, "constant-best")
    reached = scores(constant_best.judged)
    bar = Closed(reached["value"], reached["macro_f1"])
    table = _Table(dataset, constant_best)

    def closed(judgement: Judgement, choice: Int) -> Closed:
        reached = scores(judgement.judged)
        value = max(reached["value"], table.value_of(choice))
        return Closed(_share_closed(value, bar.value), _share_closed(reached["macro_f1"], bar.macro_f1))

    one_liners = {}
    for name in FEATURES:
        one_liner = OneLiner(name)
        judgement = judge(dataset, one_liner)
        one_liners[name] = closed(judgement, table.best_in_bins(one_liner))
    return Contest(bar, one_liners, closed(judge(dataset, Forest()), table.best_of_trees()))


def _share_closed(reached: float, bar: float) -> float:
    """Of the gap from the bar to one; NaN where there is none."""
    return (reached - bar) / (1 - bar) if bar < 1 else float("nan")


def not_trivial(contest: Contest) -> Measured:
    """The largest shares that one-liners close."""
    ranked = sorted(contest.one_liners.items(), key=lambda item: -item[1].value)
    return Measured(
        vars(contest.best),
        {
            "constant_best": vars(contest.bar),
            "best_one_liners": {name: vars(shares) for name, shares in ranked[:LISTED]},
        },
    )


def not_hopeless(contest: Contest) -> Measured:
    """The shares that the forest closes, as multiples of the best one-liner's."""
    best, forest = contest.best, contest.forest
    return Measured(
        {
            "value": forest.value / max(best.value, LEAST_SHARE),
            "macro_f1": forest.macro_f1 / max(best.macro_f1, LEAST_SHARE),
        },
        {"forest": vars(forest), "best_one_liner": vars(best)},
    )


class _Table:
    """What every remedy brings to every run of `train` and `test`, and what those prescribe who know it of `train`."""

    def __init__(self, dataset: Dataset, on_test: Judgement) -> None:
        train = np.flatnonzero((dataset["split"] == "train") & dataset.is_scored)
        curves = dataset.to_numpy3d("curve")
        self.train, self.test = curves[train], curves[on_test.rows]
        self.brought_train, self.brought_test = (_net_gains_if_all(dataset, rows) for rows in (train, on_test.rows))
        self.oracle_total = float(on_test.judged.oracle_net_gain.sum())

    def value_of(self, choice: Int) -> float:
        """Value on `test` of a remedy for each run, (n_test,) indices into the prescribable ones."""
        total = float(self.brought_test[np.arange(len(choice)), choice].sum())
        return total / self.oracle_total if self.oracle_total > 0 else float("nan")

    def best_in_bins(self, one_liner: OneLiner) -> Int:
        """For each run of `test` the remedy that brought most to the runs of `train` in the same bin."""
        brought = np.zeros((len(one_liner.edges) + 1, self.brought_train.shape[1]))
        np.add.at(brought, one_liner.bins(self.train), self.brought_train)
        best: Int = brought.argmax(axis=1)[one_liner.bins(self.test)]
        return best

    def best_of_trees(self) -> Int:
        """For each run of `test` the remedy from which trees that were grown for all gains on `train` expect most."""
        from sklearn.ensemble import RandomForestRegressor

        forest = RandomForestRegressor(
            N_TREES, min_samples_leaf=LEAST_LEAF, max_features=SHARE_OF_FEATURES, random_state=0
        )
        forest.fit(features_of_channels(self.train), self.brought_train)
        best: Int = forest.predict(features_of_channels(self.test)).argmax(axis=1)
        return best


def _net_gains_if_all(dataset: Dataset, rows: Int) -> NDArray[np.float64]:
    """(n_rows, n_prescribable) net gain of each run if all got the same remedy."""
    meta, gains = dataset.meta, dataset["remedy_gain"][rows]
    return np.stack(
        [
            treat([remedy] * len(rows), meta.remedies, gains, meta.cost_weight).net_gain
            for remedy in meta.remedies
            if is_prescribable(remedy)
        ],
        axis=1,
    )
