"""The runs of a data set that a curve is most like, how unlike all of them it is, and what a remedy gave them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from curvebench.data.dataset import Dataset, Meta, concatenate
from curvebench.data.shipped import SHIPPED, locate
from curvebench.data.store import load
from curvebench.diagnosers.features import log_curves
from curvebench.diagnosers.learned.series import at_points
from curvebench.diagnosis.sampling import N_POINTS
from curvebench.diagnosis.verdict import Precedents
from curvebench.remedies import UNMATCHED, snap
from curvebench.spec import Action, Float, Int, Remedy

N_NEIGHBOURS = 10
"""Runs that a remedy is looked up in."""

N_COMPARED = 32
"""Points at which curves are compared."""

LOWEST, HIGHEST = -4.0, 1.0
"""Decades from the start beyond which curves are not told apart; what is not finite stands at the upper one. A loss ten
times its start has exploded, and by how much says nothing more."""

LEAST_REACH = 0.005
"""Decades; curves that are nearer to each other than 1 % are alike."""

NOISE_WEIGHT, LEAST_NOISE = 0.1, -4.0
"""A decade of noise counts as so many decades of loss; noise below 1e-4 decades is none."""


@dataclass(frozen=True, eq=False)
class Library:
    """Runs to compare with.

    Attributes:
        dataset: the runs; a row number means one of these.
        group: (n_runs,) int from 0 on, the same for the runs of a cell and rate: of these only the nearest counts.
        problem: (n_runs,) int, the same for the runs of a problem instance.
    """

    dataset: Dataset
    group: Int
    problem: Int


@cache
def default_library() -> Library:
    """The splits `train` of the data sets that come with the package: parts of what the default was fitted on.

    The other splits stay out, so that whatever is calibrated on them, or scored, was not looked up in.
    """
    return make_library(*(load(locate(name)).split("train") for name in SHIPPED))


def make_library(first: Dataset, *others: Dataset) -> Library:
    """The scored runs of data sets, to compare with; remedies that the first does not have are left out."""
    told = [_told_as(other, first.meta, f"{place}/") for place, other in enumerate(others, start=2)]
    made = concatenate([first, *told])
    dataset = made.select(made.is_scored)
    group = np.unique(dataset.cell_rate, return_inverse=True)[1]
    return Library(dataset, group, np.unique(dataset["problem"], return_inverse=True)[1])


def _told_as(dataset: Dataset, meta: Meta, prefix: str) -> Dataset:
    """A data set with the remedies of another, each outcome in its place; NaN where none was tried.

    What has a name gets a prefix: every data set begins to number its cells and problems anew.
    """
    has, wanted = dataset.meta, meta.remedies
    resumed = [remedy for remedy in has.remedies if remedy.action is Action.RESUME]
    wanted_resumed = [remedy for remedy in wanted if remedy.action is Action.RESUME]
    columns = dict(dataset.columns) | {name: np.char.add(prefix, dataset[name]) for name in ("run", "cell", "problem")}
    for names, known, places in (
        (("remedy_final_loss", "remedy_final_val_loss", "remedy_gain"), has.remedies, wanted),
        (("resumed_train_loss",), resumed, wanted_resumed),
    ):
        for name in names:
            values = dataset[name]
            told = np.full((len(values), len(places), *values.shape[2:]), np.nan, values.dtype)
            for place, remedy in enumerate(places):
                if remedy in known:
                    told[:, place] = values[:, known.index(remedy)]
            columns[name] = told
    return Dataset(columns, meta)


def precedents(library: Library, curve: Float, n_points: int) -> Precedents:
    """The runs that a curve is most like, and how unlike all of them it is.

    Args:
        library: the runs.
        curve: (N_POINTS,) training loss, NaN and inf as they happened.
        n_points: of the log that the curve was made of; the runs are seen at as many, as means.

    Returns:
        Without a remedy, see `tried_on`.
    """
    known = _described(library, min(n_points, N_POINTS))
    distance = _between(_description(np.asarray(curve)[None]), known.descriptions)
    rows = known.rows[_nearest_of_each(distance[0], library.group[known.rows])[:N_NEIGHBOURS]]
    labels = tuple(str(label) for label in library.dataset.labels[rows])
    return Precedents(tuple(rows.tolist()), labels, float(_novelty(distance, library, known)[0]))


def novelties(library: Library, curves: Float, n_points: int) -> NDArray[np.float64]:
    """`Precedents.novelty` of many curves (n_curves, N_POINTS) at once, (n_curves,); arguments as `precedents`."""
    known = _described(library, min(n_points, N_POINTS))
    return _novelty(_between(_description(curves), known.descriptions), library, known)


def _novelty(distance: Float, library: Library, known: _Described) -> NDArray[np.float64]:
    """How far curves reach for their last neighbour, over how far their neighbours do, in the median.

    So a curve where runs are sparse is not called new for that; as the local outlier factor (Breunig et al. 2000).

    Args:
        distance: (n_curves, n_descriptions).
        library: the runs.
        known: their descriptions.

    Returns:
        (n_curves,).
    """
    nearest = _of_groups(distance, library.group[known.rows])
    order = np.argsort(nearest, axis=1, kind="stable")[:, :N_NEIGHBOURS]
    reach = np.take_along_axis(nearest, order[:, -1:], axis=1)[:, 0]
    return np.asarray(reach / np.median(known.reach[order], axis=1))


def _between(some: Float, others: Float) -> NDArray[np.float64]:
    """(n_some, n_others) Euclidean distances."""
    squares = (some**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * some @ others.T
    return np.asarray(np.sqrt(np.maximum(squares, 0.0)))


def tried_on(found: Precedents, dataset: Dataset, remedy: Remedy) -> Precedents:
    """The precedents with what a remedy, or the nearest that was tried in its place, gave each of them."""
    rows, index = np.array(found.rows), stand_ins(found, dataset, remedy)
    is_known = index != UNMATCHED
    gained = dataset["remedy_gain"][rows[is_known], index[is_known]]
    return replace(found, gains=tuple(float(g) for g in gained), n_unknown=int((~is_known).sum()))


def stand_ins(found: Precedents, dataset: Dataset, remedy: Remedy) -> Int:
    """(n_neighbours,) index of the tried remedy that stands for a remedy in each; `UNMATCHED` where none does."""
    is_tried = ~np.isnan(dataset["remedy_gain"][list(found.rows)])
    return snap([remedy] * len(found.rows), dataset.meta.remedies, is_tried)[0]


@dataclass(frozen=True, eq=False)
class _Described:
    """A library as it would look in logs of one number of points.

    Attributes:
        rows: (n_descriptions,) the run that each describes: first every one as a whole, then those that exploded until
            they had, for a person stops such a run, and its log ends there.
        descriptions: (n_descriptions, n_features).
        reach: (n_groups,) how far the runs of a group are from their last neighbour among other problems, on average.
    """

    rows: Int
    descriptions: Float
    reach: Float


@lru_cache(maxsize=16)
def _described(library: Library, n_points: int) -> _Described:
    loss = library.dataset["train_loss"]
    is_lost = log_curves(loss) >= HIGHEST
    exploded_at = np.where(is_lost.any(axis=1), is_lost.argmax(axis=1), -1)
    rows, logged = [np.arange(len(loss))], [_logged(loss, n_points)]
    for end in np.unique(exploded_at[exploded_at >= 0]):
        rows.append(np.flatnonzero(exploded_at == end))
        logged.append(_logged(loss[rows[-1], : end + 1], n_points))
    row, found = np.concatenate(rows), _description(np.concatenate(logged))
    group, problem = library.group[row], library.problem[row]
    nearest = _of_groups(np.where(problem[:, None] == problem, np.inf, _between(found, found)), group)
    reach = np.sort(nearest, axis=1)[:, :N_NEIGHBOURS][:, -1]
    means = np.bincount(group, weights=reach) / np.bincount(group)
    return _Described(row, found, np.maximum(means, LEAST_REACH))


def _logged(losses: Float, n_points: int) -> NDArray[np.float64]:
    """Losses (n_curves, any number of points) as means at so many points, at `N_POINTS`."""
    is_all = n_points >= losses.shape[1]
    return at_points(at_points(losses[:, None, 0 if is_all else 1 :], n_points), N_POINTS)[:, 0]


def _of_groups(distance: Float, group: Int) -> NDArray[np.float64]:
    """(n_curves, n_groups) distance to the nearest run of each group."""
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(group.max() + 1))
    return np.asarray(np.minimum.reduceat(distance[:, order], starts, axis=1))


def _description(curves: Float) -> NDArray[np.float64]:
    """(n_curves, n_features) whose Euclidean distance is that of curves (n_curves, n_points), in decades.

    The root mean square of the distance of the log curves; to its square comes that of the logarithm of the noise in
    thirds, by its weight.
    """
    logs = np.clip(log_curves(curves), LOWEST, HIGHEST)
    levels = at_points(logs[:, None], N_COMPARED)[:, 0] / np.sqrt(N_COMPARED)
    bends = np.abs(np.diff(logs, n=2, axis=1))
    noise = [np.log10(np.maximum(part.mean(axis=1), 10**LEAST_NOISE)) for part in np.array_split(bends, 3, axis=1)]
    return np.column_stack([levels, NOISE_WEIGHT * np.column_stack(noise) / np.sqrt(3)])


def _nearest_of_each(distance: Float, group: Int) -> Int:
    """Rows, the nearest first, of which each is the nearest of its group."""
    order = np.argsort(distance, kind="stable")
    _, first = np.unique(group[order], return_index=True)
    return np.asarray(order[np.sort(first)])
