"""Are the splits apart, and is `test_ood` really something else?"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from curvebench.data.dataset import Dataset
from curvebench.data.neighbours import copies
from curvebench.diagnosers.learned import features_of_channels
from curvebench.evaluation.audit.report import Measured
from curvebench.spec import SPLITS, InputError, Int

N_FOLDS = 5

N_TREES, LEAST_LEAF = 100, 5

LISTED = 10
"""So many pairs of copies are named."""


def no_copies(dataset: Dataset) -> Measured:
    """Pairs of runs, one in each of two splits, whose training losses are the same; see `copies`."""
    rows = {split: np.flatnonzero(dataset["split"] == split) for split in SPLITS}
    pairs = {f"{a}, {b}": copies(dataset, rows[a], rows[b]) for a, b in combinations(SPLITS, 2)}
    names = [f"{dataset['run'][i]} = {dataset['run'][j]}" for found in pairs.values() for i, j in found]
    return Measured(
        {"pairs": len(names)}, {"pairs": {key: len(found) for key, found in pairs.items()}, "runs": names[:LISTED]}
    )


def out_of_distribution(dataset: Dataset) -> Measured:
    """How much better curves of `test_ood` are told from those of `train` than those of `test` are.

    A forest is shown the features of the track `telemetry` and says which split a curve is from; its answers are about
    problems that it was not fitted on. The area under the ROC curve is 0.5 where nothing can be told. Labels weigh
    alike in both splits, so that other shares of labels alone are no difference. One seed of each (cell, rate) takes
    part.

    Raises:
        InputError: a split has scored runs of fewer than two problem instances.
    """
    areas = {split: _area(dataset, split) for split in ("test", "test_ood")}
    return Measured(
        {"margin": areas["test_ood"] - max(0.5, areas["test"])}, {"area_under_the_curve_against_train": areas}
    )


def _area(dataset: Dataset, split: str) -> float:
    """Area under the ROC curve of telling a split from train, cross-validated by problem instance."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedGroupKFold

    own, other = _one_seed_of_each(dataset, "train"), _one_seed_of_each(dataset, split)
    rows = np.concatenate([own, other])
    is_other = np.arange(len(rows)) >= len(own)
    problem = dataset["problem"][rows]
    n_folds = min(N_FOLDS, len(np.unique(problem[is_other])), len(np.unique(problem[~is_other])))
    if n_folds < 2:
        raise InputError(f"The splits train and {split} need scored runs of two problem instances at least.")
    features = features_of_channels(dataset.to_numpy3d("telemetry")[rows])
    _, kind, counts = np.unique(
        np.char.add(dataset.labels[rows], np.where(is_other, "/other", "")), return_inverse=True, return_counts=True
    )
    weight = 1.0 / counts[kind]
    says_other = np.zeros(len(rows))
    folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=0)
    for fitted, asked in folds.split(features, is_other, problem):
        forest = RandomForestClassifier(N_TREES, min_samples_leaf=LEAST_LEAF, random_state=0)
        forest.fit(features[fitted], is_other[fitted], sample_weight=weight[fitted])
        says_other[asked] = forest.predict_proba(features[asked])[:, -1]
    return float(roc_auc_score(is_other, says_other, sample_weight=weight))


def _one_seed_of_each(dataset: Dataset, split: str) -> Int:
    """Rows of a split, scored, one of each cell and rate."""
    rows = np.flatnonzero((dataset["split"] == split) & dataset.is_scored)
    return rows[np.unique(dataset.cell_rate[rows], return_index=True)[1]]
