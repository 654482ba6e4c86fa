"""Decision trees as arrays: what an ensemble of scikit-learn has grown, and the little code that walks down it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curvebench.diagnosers.learned.fitted import check, check_shapes
from curvebench.spec import Float, Int

DTYPES: Mapping[str, str] = {
    "root": "<i4",
    "feature": "<i4",
    "threshold": "<f8",
    "left": "<i4",
    "right": "<i4",
    "value": "<f8",
}
"""Arrays of an ensemble: `root` (n_trees,); the others for each node: the feature that is looked at; where it is not
above the threshold the way goes on at the node `left`, else at `right`; a leaf leads to itself; `value` has the shape
(n_nodes, n_values)."""

_ROWS_AT_ONCE = 256


def from_forest(trees: Sequence[Any]) -> dict[str, Any]:
    """Arrays of scikit-learn's `sklearn.tree` trees (`tree_`); values are the shares of the classes."""
    return _joined(
        [
            (t.feature, t.threshold, t.children_left, t.children_right, t.children_left < 0, t.value[:, 0, :])
            for t in trees
        ]
    )


def from_boosting(predictors: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """Arrays of the trees of scikit-learn's histogram gradient boosting, iteration by iteration, class by class."""
    nodes = [predictor.nodes for of_iteration in predictors for predictor in of_iteration]
    return _joined(
        [
            (n["feature_idx"], n["num_threshold"], n["left"], n["right"], n["is_leaf"] != 0, n["value"][:, None])
            for n in nodes
        ]
    )


def _joined(trees: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
    """All trees one after the other; leaves, which look at nothing, lead to themselves."""
    sizes = [len(feature) for feature, *_ in trees]
    roots = np.cumsum([0, *sizes[:-1]])
    parts = []
    for root, (feature, threshold, left, right, is_leaf, value) in zip(roots, trees, strict=True):
        itself = root + np.arange(len(feature))
        parts.append(
            (
                np.where(is_leaf, 0, feature),
                np.where(is_leaf, 0.0, threshold),
                np.where(is_leaf, itself, left.astype(np.int64) + root),
                np.where(is_leaf, itself, right.astype(np.int64) + root),
                value,
            )
        )
    columns = map(np.concatenate, zip(*parts, strict=True))
    return dict(zip(("root", "feature", "threshold", "left", "right", "value"), (roots, *columns), strict=True))


def sum_over_trees(arrays: Mapping[str, NDArray[Any]], features: Float, n_kinds: int = 1) -> NDArray[np.float64]:
    """Values of the leaves that curves come to, summed over the trees in their order.

    Args:
        arrays: as `DTYPES`.
        features: (n_curves, n_features), finite.
        n_kinds: trees that follow each other are of so many kinds in turn, each summed on its own.

    Returns:
        (n_curves, n_kinds x n_values).
    """
    value = arrays["value"]
    sums = np.empty((len(features), n_kinds * value.shape[1]))
    for begin in range(0, len(features), _ROWS_AT_ONCE):
        part = features[begin : begin + _ROWS_AT_ONCE]
        leaves = value[_leaves(arrays, part)]
        sums[begin : begin + len(part)] = leaves.reshape(len(part), -1, sums.shape[1]).sum(axis=1)
    return sums


def _leaves(arrays: Mapping[str, NDArray[Any]], features: Float) -> Int:
    """(n_curves, n_trees) nodes where the ways down end."""
    node = np.broadcast_to(arrays["root"], (len(features), len(arrays["root"])))
    row = np.arange(len(features))[:, None]
    while True:
        is_left = features[row, arrays["feature"][node]] <= arrays["threshold"][node]
        below: Int = np.where(is_left, arrays["left"][node], arrays["right"][node])
        if np.array_equal(below, node):
            return below
        node = below


def check_trees(arrays: Mapping[str, NDArray[Any]], n_features: int, n_values: int) -> None:
    """Complain of trees that lead astray: to nodes that are not there, or round in circles.

    Raises:
        ValueError: what is wrong.
    """
    n_nodes = len(arrays["feature"]) if arrays["feature"].ndim == 1 else 0
    each = dict.fromkeys(("feature", "threshold", "left", "right"), (n_nodes,))
    check_shapes(arrays, {"root": (None,), **each, "value": (n_nodes, n_values)})
    check(n_nodes > 0 and len(arrays["root"]) > 0, "no tree")
    node = np.arange(n_nodes)
    for name, least, most in (("root", 0, n_nodes), ("feature", 0, n_features), ("left", node, n_nodes)):
        check(bool(((arrays[name] >= least) & (arrays[name] < most)).all()), f"{name} that leads nowhere")
    check(bool(((arrays["right"] >= node) & (arrays["right"] < n_nodes)).all()), "right that leads nowhere")
    check(bool(((arrays["left"] == node) == (arrays["right"] == node)).all()), "a node that is half a leaf")
