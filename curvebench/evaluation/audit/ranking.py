"""Do two data sets of the same kind rank diagnosers alike? If not, a rank on one says nothing."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from curvebench.data.dataset import Dataset
from curvebench.evaluation.audit.report import Measured
from curvebench.evaluation.bootstrap import CONFIDENCE_LEVEL, draw_weights, strata
from curvebench.evaluation.evaluate import judge
from curvebench.evaluation.scores import scores, scores_from_sums, sums_by_instance
from curvebench.spec import Bool, Float

RANKED: Mapping[str, tuple[str, str]] = {
    "forest on config": ("forest", "config"),
    "forest on telemetry": ("forest", "telemetry"),
    "forest": ("forest", "curve"),
    "rules": ("rules", "curve"),
    "constant-best": ("constant-best", "curve"),
    "constant": ("constant", "curve"),
    "chance": ("chance", "curve"),
    "zoo/final-over-first": ("zoo/final-over-first", "curve"),
    "zoo/late-slope": ("zoo/late-slope", "curve"),
    "zoo/tail-spread": ("zoo/tail-spread", "curve"),
    "zoo/time-of-min": ("zoo/time-of-min", "curve"),
    "zoo/rises": ("zoo/rises", "curve"),
}
"""Name -> diagnoser and track: every kind that is built in, and a one-liner of every kind of feature (how far, how
steep, how noisy, when, how often)."""

N_DRAWS = 1000


def separates(dataset: Dataset, against: Dataset) -> Measured:
    """Rank `RANKED` by value on the split `test` of two data sets and compare the rankings.

    Kendall's tau counts the pairs of diagnosers that are ranked alike less those that are not, as a share of all that
    are not tied (tau-b, Kendall 1945). A pair is within noise where, on either data set, the 95 % interval of the
    difference of the two values holds zero (a bootstrap over problem instances, the same draws for both).

    Raises:
        InputError: a split train or test has no scored runs.
    """
    (value, is_clear), (other_value, other_clear) = _values(dataset), _values(against)
    pairs = np.array(list(combinations(range(len(RANKED)), 2)))
    order, other_order = _order(value, pairs), _order(other_value, pairs)
    agrees = order * other_order
    n_ranked = float(np.sqrt(np.count_nonzero(order) * np.count_nonzero(other_order)))
    clear = is_clear & other_clear
    return Measured(
        {"tau": float(agrees.sum()) / n_ranked if n_ranked > 0 else float("nan")},
        {
            "pairs": len(pairs),
            "pairs_within_noise": int((~clear).sum()),
            "pairs_swapped": int((agrees < 0).sum()),
            "pairs_swapped_beyond_noise": int((agrees[clear] < 0).sum()),
            "values": {name: [float(a), float(b)] for name, a, b in zip(RANKED, value, other_value, strict=True)},
        },
    )


def _order(value: Float, pairs: NDArray[np.intp]) -> Float:
    """+1 where the second of a pair is worth more, -1 where the first is, else 0."""
    return np.sign(value[pairs[:, 1]] - value[pairs[:, 0]])


def _values(dataset: Dataset) -> tuple[Float, Bool]:
    """Value of each of `RANKED`, and for each pair of them whether the difference is beyond noise."""
    values, drawn = [], []
    for name, track in RANKED.values():
        judgement = judge(dataset, name, track=track)
        values.append(scores(judgement.judged)["value"])
        sums = sums_by_instance(judgement.judged, judgement.instance, len(judgement.family))
        weights = draw_weights(strata(judgement.family), N_DRAWS)
        drawn.append(scores_from_sums(weights @ sums)["value"])
    tail = (1 - CONFIDENCE_LEVEL) / 2
    is_clear = []
    for first, second in combinations(drawn, 2):
        difference = (second - first)[~np.isnan(second - first)]
        low, high = np.quantile(difference, [tail, 1 - tail]) if len(difference) else (0.0, 0.0)
        is_clear.append(low > 0 or high < 0)
    return np.array(values), np.array(is_clear)
