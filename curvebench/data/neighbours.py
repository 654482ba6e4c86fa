"""Which curves lie close to each other: copies that no two splits may share, and plateaus that look alike."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from curvebench.data.dataset import Dataset
from curvebench.spec import Bool, Diagnosis, Float, Int

# ------------------------------------------------------------------------------------------------ copies

COPY = 1e-3
"""Curves are copies of each other where at every point their losses differ by less than this share."""


def copies(dataset: Dataset, rows: Int, others: Int) -> NDArray[np.intp]:
    """Pairs of training losses that are, point by point, the same to within `COPY`.

    The distance of two curves is the largest difference of the natural logarithms of their losses. Curves that are not
    finite or not positive everywhere have none, and neither have curves that never change: these are no copies of each
    other, they just have the same loss.

    Args:
        dataset: any data set.
        rows: some rows.
        others: other rows.

    Returns:
        (n_pairs, 2): a row of `rows` and one of `others`.
    """
    from sklearn.neighbors import KDTree

    logs = np.log(_positive(dataset))
    usable = _is_positive(dataset) & (np.ptp(logs, axis=1) > COPY)
    rows, others = rows[usable[rows]], others[usable[others]]
    if not len(rows) or not len(others):
        return np.empty((0, 2), dtype=np.intp)
    found = KDTree(logs[others], metric="chebyshev").query_radius(logs[rows], COPY)
    counts = [len(near) for near in found]
    return np.column_stack([np.repeat(rows, counts), others[np.concatenate(found).astype(np.intp)]])


def _is_positive(dataset: Dataset) -> Bool:
    loss = dataset["train_loss"]
    return np.asarray((np.isfinite(loss) & (loss > 0)).all(axis=1))


def _positive(dataset: Dataset) -> NDArray[np.float64]:
    """Training losses, one in place of what has no logarithm."""
    loss = dataset["train_loss"].astype(np.float64)
    return np.where(np.isfinite(loss) & (loss > 0), loss, 1.0)


# ----------------------------------------------------------------------------------------------- plateaus

LEVEL = 1.1
"""Level: the third quarter's mean loss is within a tenth of the last quarter's (geometric means)."""

FALLEN = 1.25
"""A plateau is level and has fallen: it began at least this many times as high as the last quarter is."""

NEAR_FLOOR = 2.0
"""A run that ends within this factor of the lowest loss that noisy labels allow stands on that floor."""

ALIKE_IN_NOISE = 2.0
"""A smooth curve does not look like a noisy one: the noise of two that do differs by no more than this factor."""

LABEL_NOISE, CONVERGED = "label noise", "converged"

CAUSES: tuple[str, ...] = (
    Diagnosis.LATE_LR_TOO_HIGH.value,
    Diagnosis.LATE_LR_TOO_LOW.value,
    Diagnosis.OUTPUT_MISMATCH.value,
    LABEL_NOISE,
    CONVERGED,
)
"""Why a loss may stay on a plateau; the last two are healthy."""


@dataclass(frozen=True)
class Lookalikes:
    """Plateaus of two causes that look alike.

    Attributes:
        causes: two of `CAUSES`.
        rows: (n_pairs, 2) rows of the data set, of the first and the second cause, the closest pair first.
        distance: (n_pairs,) root mean square difference of their centred log10 curves, in decades.
    """

    causes: tuple[str, str]
    rows: Int
    distance: Float


def causes_of_plateaus(dataset: Dataset) -> NDArray[np.str_]:
    """Why each run stands on a plateau, (n_runs,) one of `CAUSES`; empty text where it stands on none.

    The three faults are diagnoses. A healthy run whose final loss is near the problem's floor stands on label noise;
    any other has converged: to what its network and its setting can reach, for nothing helps it. A curve of fewer than
    four points has no quarters, so it is no plateau.
    """
    if dataset.n_points < 4:
        return np.full(len(dataset), "")
    logs = np.log10(_positive(dataset))
    has_fallen = logs[:, 0] - _quarters(logs)[3] > np.log10(FALLEN)
    with np.errstate(invalid="ignore", divide="ignore"):
        over_floor = dataset["final_loss"] / dataset["loss_floor"]
    on_floor = (over_floor > 1 / NEAR_FLOOR) & (over_floor < NEAR_FLOOR)
    healthy = np.where(on_floor, LABEL_NOISE, CONVERGED)
    cause = np.where(dataset.labels == Diagnosis.HEALTHY, healthy, dataset.labels)
    return np.where(is_level(dataset) & has_fallen & np.isin(cause, CAUSES), cause, "")


def is_level(dataset: Dataset) -> Bool:
    """Whether each run's loss hardly changes between the last two quarters, (n_runs,).

    Never with fewer than four points, or where the loss is not finite and positive everywhere.
    """
    if dataset.n_points < 4:
        return np.zeros(len(dataset), dtype=np.bool_)
    _, _, third, last = _quarters(np.log10(_positive(dataset)))
    return np.asarray((np.abs(last - third) < np.log10(LEVEL)) & _is_positive(dataset))


def _quarters(logs: Float) -> list[Float]:
    """Means of the four quarters of the points, (n,) each."""
    return [part.mean(axis=1) for part in np.array_split(logs, 4, axis=1)]


def lookalikes(dataset: Dataset) -> dict[tuple[str, str], Lookalikes]:
    """For each pair of causes of a plateau, runs that look alike though their causes differ.

    Two runs look alike if their curves are no farther from each other than, in the median, each is from the other
    seeds of its own cell and rate, and if they are about as noisy in their second half. Curves are compared as log10 of
    the training loss less its mean over all points, so neither the unit of the loss nor its height plays a part. Runs
    of one group are never compared: neighbouring rates of a cell look alike because they are neighbours. Of each (cell,
    rate) at most one run is used for a pair of causes; the closest pairs are taken first.

    Args:
        dataset: any data set.

    Returns:
        (cause, other cause) -> the pairs of runs, for every two of `CAUSES`.
    """
    cause = causes_of_plateaus(dataset)
    logs = np.log10(_positive(dataset))
    curves = (logs - logs.mean(axis=1, keepdims=True)) / np.sqrt(logs.shape[1])
    reach = _distance_to_own_seeds(curves, np.where(_is_positive(dataset), dataset.cell_rate, -1))
    noise = _noise(logs)
    found = {}
    for causes in combinations(CAUSES, 2):
        first, second = (np.flatnonzero(cause == name) for name in causes)
        rows, distance = _pairs_within_reach(curves, reach, first, second)
        differs = dataset["group"][rows[:, 0]] != dataset["group"][rows[:, 1]]
        fits = differs & (np.abs(noise[rows[:, 0]] - noise[rows[:, 1]]) <= np.log10(ALIKE_IN_NOISE))
        rows, distance = rows[fits], distance[fits]
        chosen = _each_once(dataset.cell_rate[rows])
        found[causes] = Lookalikes(causes, rows[chosen], distance[chosen])
    return found


def _distance_to_own_seeds(curves: Float, key: Int) -> NDArray[np.float64]:
    """Median distance of each curve to the others of the same key, (n,); NaN without others and for the key -1."""
    order = np.argsort(key, kind="stable")
    median = np.full(len(curves), np.nan)
    for rows in np.split(order, np.flatnonzero(np.diff(key[order])) + 1):
        if len(rows) > 1 and key[rows[0]] >= 0:
            distance = np.linalg.norm(curves[rows][:, None] - curves[rows], axis=2)
            np.fill_diagonal(distance, np.nan)
            median[rows] = np.nanmedian(distance, axis=1)
    return median


def _noise(logs: Float) -> NDArray[np.float64]:
    """log10 of the mean size of the second differences in the second half, (n,)."""
    bends = np.diff(logs[:, logs.shape[1] // 2 :], n=2, axis=1)
    sizes = np.abs(bends).mean(axis=1) if bends.shape[1] else np.zeros(len(logs))
    return np.log10(np.maximum(sizes, 1e-9))


def _pairs_within_reach(
    curves: Float, reach: Float, first: Int, second: Int
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Rows (n_pairs, 2) that are within each other's reach, and their distances; the closest first."""
    from sklearn.neighbors import KDTree

    first, second = (rows[~np.isnan(reach[rows])] for rows in (first, second))
    if not len(first) or not len(second):
        return np.empty((0, 2), dtype=np.intp), np.empty(0)
    found, distances = KDTree(curves[second]).query_radius(curves[first], reach[first], return_distance=True)
    rows = np.column_stack([np.repeat(first, [len(near) for near in found]), second[np.concatenate(found)]])
    distance = np.concatenate(distances)
    fits = distance <= reach[rows[:, 1]]
    order = np.argsort(distance[fits], kind="stable")
    return rows[fits][order], distance[fits][order]


def _each_once(keys: Int) -> list[int]:
    """Positions of the pairs of keys that are left when, in order, a pair with a key that was taken is passed over."""
    taken: tuple[set[int], set[int]] = (set(), set())
    chosen = []
    for position, (one, other) in enumerate(keys.tolist()):
        if one not in taken[0] and other not in taken[1]:
            taken[0].add(one)
            taken[1].add(other)
            chosen.append(position)
    return chosen
