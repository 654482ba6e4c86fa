"""Can a label be told without the shape of the curve? Then the benchmark would reward looking elsewhere.

Each check fits classifiers on the scored runs of `train` and reports their balanced accuracy on the scored runs of the
other splits, whose problems they have not seen; of several splits that which looks worse.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from curvebench.data.columns import COLUMNS
from curvebench.data.dataset import Dataset
from curvebench.diagnosers.learned.boosting import make_trees
from curvebench.diagnosers.learned.descriptions import describe
from curvebench.evaluation.audit.report import Measured
from curvebench.spec import OPTIMIZERS, SPLITS, TRACKS, Float, InputError, Int

Features = Callable[[Dataset, Int], Float]
"""From a data set and some of its rows to (n_rows, n_features) finite numbers."""

SHAPE_POINTS = 16
"""Points of the normalised schedule that a forest is shown."""

N_TREES, LEAST_LEAF, N_LEAVES = 200, 20, 16

_LARGEST = 1e30


def start_leaks_nothing(dataset: Dataset) -> Measured:
    """Balanced accuracy above chance of `start_features`; raises InputError as `_accuracies` does."""
    above = _above_chance(dataset, start_features)
    return Measured(
        {"accuracy": max(above.values())},
        {"above_chance": above, "above_chance_of_the_training_loss_alone": _above_chance(dataset, _start_of_loss)},
    )


def schedule_leaks_little(dataset: Dataset) -> Measured:
    """Balanced accuracy of `schedule_features`; raises InputError as `_accuracies` does."""
    accuracies = _accuracies(dataset, schedule_features)
    return Measured({"accuracy": max(accuracies.values())}, {"balanced_accuracy": accuracies})


def settings_say_less(dataset: Dataset) -> Measured:
    """How much better the curve alone tells the label than all that the track `config` shows beside it.

    Both are asked by boosted trees too: a curve says most to a learner that can hear it.

    Raises:
        InputError: as `_accuracies` does.
    """
    settings, curves = (_accuracies(dataset, f, boosted=True) for f in (settings_features, curve_features))
    margins = {split: curves[split] - settings[split] for split in curves}
    return Measured({"margin": min(margins.values())}, {"settings": settings, "curve": curves})


# ------------------------------------------------------------------------------------- what is looked at


def start_features(dataset: Dataset, rows: Int, track: str = "telemetry") -> Float:
    """The first point of every curve of a track, the number of points and the updates between two points."""
    first = [dataset[channel][rows, 0] for channel in TRACKS[track]]
    step = dataset["step"][rows]
    interval = step[:, min(1, step.shape[1] - 1)] - step[:, 0]
    return _finite([*first, dataset["length"][rows], interval])


def _start_of_loss(dataset: Dataset, rows: Int) -> Float:
    return start_features(dataset, rows, "curve")


def schedule_features(dataset: Dataset, rows: Int) -> Float:
    """Every column about the schedule, and the rate over training as a share of its largest value."""
    columns = []
    for name, column in COLUMNS.items():
        if name.startswith("schedule") and column.is_text:
            columns += [dataset[name][rows] == value for value in np.unique(dataset[name])]
        elif name.startswith("schedule") or name in ("decay", "warmup"):
            columns.append(dataset[name][rows])
    rates = dataset["learning_rate"][rows]
    shape = rates / np.maximum(rates.max(axis=1, keepdims=True), 1e-30)
    points = np.linspace(0, rates.shape[1] - 1, SHAPE_POINTS).round().astype(int)
    return _finite([*columns, *shape[:, points].T])


def settings_features(dataset: Dataset, rows: Int) -> Float:
    """The schedule, the base rate and the optimiser."""
    optimizer = [dataset["optimizer"][rows] == name for name in OPTIMIZERS]
    return np.column_stack([schedule_features(dataset, rows), _finite([dataset["base_lr"][rows], *optimizer])])


def curve_features(dataset: Dataset, rows: Int) -> Float:
    """What the diagnoser `boosting` sees of a training loss."""
    return describe(dataset["train_loss"][rows][:, None])


def _finite(columns: list[Float]) -> Float:
    values = np.column_stack(columns).astype(np.float64)
    return np.nan_to_num(values, nan=_LARGEST, posinf=_LARGEST, neginf=-_LARGEST)


# ------------------------------------------------------------------------------------- how well it tells


def _accuracies(dataset: Dataset, features: Features, *, boosted: bool = False) -> dict[str, float]:
    """Split -> balanced accuracy of classifiers fitted on `train`: of a forest or of a small tree, whichever is higher.

    A single telling feature among many is found by the tree, what only many tell together by the forest.

    Args:
        dataset: any data set.
        features: what the classifiers see.
        boosted: whether the trees of the diagnoser `boosting` take part, too.

    Raises:
        InputError: the split train, or all others, have no scored runs.
    """
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.tree import DecisionTreeClassifier

    rows = {split: np.flatnonzero((dataset["split"] == split) & dataset.is_scored) for split in SPLITS}
    unseen = [split for split in SPLITS if split != "train" and len(rows[split])]
    if not len(rows["train"]) or not unseen:
        raise InputError("Scored runs are needed in the split train and in another one.")
    seen = {split: features(dataset, rows[split]) for split in ("train", *unseen)}
    accuracies = dict.fromkeys(unseen, 0.0)
    classifiers = [
        RandomForestClassifier(N_TREES, min_samples_leaf=LEAST_LEAF, class_weight="balanced", random_state=0),
        DecisionTreeClassifier(max_leaf_nodes=N_LEAVES, class_weight="balanced", random_state=0),
    ]
    if boosted:
        classifiers.append(make_trees(class_weight="balanced"))
    for classifier in classifiers:
        classifier.fit(seen["train"], dataset.labels[rows["train"]])
        for split in unseen:
            accuracy = _balanced_accuracy(dataset.labels[rows[split]], classifier.predict(seen[split]))
            accuracies[split] = max(accuracies[split], accuracy)
    return accuracies


def _balanced_accuracy(labels: NDArray[np.str_], predictions: NDArray[np.str_]) -> float:
    """Mean recall over the labels that occur."""
    return float(np.mean([(predictions[labels == name] == name).mean() for name in np.unique(labels)]))


def _above_chance(dataset: Dataset, features: Features) -> dict[str, float]:
    """Split -> balanced accuracy less that of guessing among the labels that occur in it; errors as `_accuracies`."""
    n_labels = {split: len(set(dataset.labels[(dataset["split"] == split) & dataset.is_scored])) for split in SPLITS}
    return {split: found - 1 / n_labels[split] for split, found in _accuracies(dataset, features).items()}
