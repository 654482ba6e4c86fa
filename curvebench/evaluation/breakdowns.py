"""Scores broken down: by confidence, by how grave a fault is, by how rare faults are, by how early it is."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from curvebench.data.dataset import Dataset
from curvebench.evaluation.evaluate import Judgement
from curvebench.evaluation.scores import HEALTHY, N_CONFIDENCE_BINS, Judged
from curvebench.remedies import oracle_actions, treat
from curvebench.spec import Action, Float, Int

SEVERITY_EDGES: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)
"""Severity is `best_gain`, the largest mean gain of any remedy: 0.5 means that it halves the loss, 0.9 that it leaves a
tenth of it. It is there for every fault, while the distance from the best rate says nothing about a wrong output."""

BASE_RATES: tuple[float, ...] = (0.01, 0.05, 0.2, 0.5)
"""Shares of faulty runs for which false alarms are stated. A data set has far more faults than a day's work."""


@dataclass(frozen=True)
class Reliability:
    """Ten equal-width bins of the largest probability, from 0 to 1; None in an empty bin.

    Attributes:
        confidence: mean of the largest probability in each bin.
        accuracy: share of the runs in the bin whose most probable diagnosis is accepted.
        count: runs in the bin.
    """

    confidence: tuple[float | None, ...]
    accuracy: tuple[float | None, ...]
    count: tuple[int, ...]


def reliability(judged: Judged) -> Reliability:
    """Is a diagnoser right as often as it says?

    Args:
        judged: any number of runs.
    """
    bins = judged.confidence_bin

    counts = np.bincount(bins, minlength=N_CONFIDENCE_BINS)

    def means(values: Float) -> tuple[float | None, ...]:
        totals = np.bincount(bins, values, minlength=N_CONFIDENCE_BINS)
        return tuple(float(t / n) if n else None for t, n in zip(totals, counts, strict=True))

    right = judged.is_confidence_right.astype(np.float64)
    return Reliability(means(judged.confidence), means(right), tuple(int(n) for n in counts))


@dataclass(frozen=True)
class SeverityBin:
    """Faulty runs that are about equally grave.

    Attributes:
        severity: lower and upper end of `best_gain`; the lower end belongs to the bin, 1 to the last one.
        n: runs.
        accuracy: share whose prediction is accepted; None without runs.
        value: as of the whole split; None where the oracle gains nothing.
    """

    severity: tuple[float, float]
    n: int
    accuracy: float | None
    value: float | None


def by_severity(judged: Judged, best_gain: Float) -> tuple[SeverityBin, ...]:
    """Accuracy and value of the runs whose label is a fault, by how much there is to gain.

    Args:
        judged: n runs.
        best_gain: (n,) as in the data set.
    """
    which = np.searchsorted(SEVERITY_EDGES[1:-1], best_gain, side="right")
    is_right = judged.credited == judged.label
    bins = []
    for b, ends in enumerate(pairwise(SEVERITY_EDGES)):
        rows = (which == b) & (judged.label != HEALTHY)
        to_gain = float(judged.oracle_net_gain[rows].sum())
        bins.append(
            SeverityBin(
                severity=ends,
                n=int(rows.sum()),
                accuracy=float(is_right[rows].mean()) if rows.any() else None,
                value=float(judged.net_gain[rows].sum()) / to_gain if to_gain > 0 else None,
            )
        )
    return tuple(bins)


@dataclass(frozen=True)
class BaseRate:
    """False alarms where faults are as rare as that.

    Attributes:
        share_of_faulty: of all runs.
        false_alarms_per_100_alarms: None where there would be no alarm, or the split has no faulty or no healthy run.
    """

    share_of_faulty: float
    false_alarms_per_100_alarms: float | None


def by_base_rate(judged: Judged) -> tuple[BaseRate, ...]:
    """Of a hundred alarms how many are false, where another share of the runs is faulty than in the data set.

    Bayes' rule with the shares of healthy and of faulty runs about which the diagnoser says anything but healthy. Which
    fault it names does not matter here.

    Args:
        judged: any number of runs.
    """
    is_healthy, is_alarm = judged.label == HEALTHY, judged.prediction != HEALTHY
    if is_healthy.all() or not is_healthy.any():
        return tuple(BaseRate(share, None) for share in BASE_RATES)
    of_healthy, of_faulty = float(is_alarm[is_healthy].mean()), float(is_alarm[~is_healthy].mean())
    found = []
    for share in BASE_RATES:
        false, true = (1 - share) * of_healthy, share * of_faulty
        found.append(BaseRate(share, 100 * false / (false + true) if false + true > 0 else None))
    return tuple(found)


def gain_left(dataset: Dataset, judgement: Judgement, fraction: float) -> float | None:
    """What alarms raised at some moment still have to gain without going back, as a share of all that the oracle gains.

    Of the runs with an alarm, the net gain of the oracle that may only resume from that moment on, restart or change
    the output; over the net gain of the unrestricted oracle on all runs.

    Args:
        dataset: what was judged.
        judgement: made from the first part of the curves.
        fraction: of training, at which the alarms are raised.

    Returns:
        None where the oracle gains nothing.
    """
    total = float(judgement.judged.oracle_net_gain.sum())
    if total <= 0:
        return None
    is_alarm = judgement.judged.prediction != HEALTHY
    return float(_net_gain_from(dataset, judgement.rows, fraction)[is_alarm].sum()) / total


def _net_gain_from(dataset: Dataset, rows: Int, fraction: float) -> Float:
    """(n,) net gain of the oracle without the resumptions from before that fraction of training."""
    meta = dataset.meta
    is_past = np.array([r.action is Action.RESUME and r.at < fraction for r in meta.remedies])
    gains = np.where(is_past, np.nan, dataset["remedy_gain"][rows])
    chosen = oracle_actions(gains, dataset.cell_rate[rows], dataset["seed"][rows], meta.remedies, meta.cost_weight)
    return treat([meta.remedies[i] for i in chosen], meta.remedies, gains, meta.cost_weight).net_gain
