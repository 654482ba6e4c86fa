"""Curves in the layouts of tslearn and torch; `Dataset.to_numpy3d` has that of aeon and sktime."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from curvebench.data.dataset import Dataset
from curvebench.interchange.packages import needed
from curvebench.spec import LABELS, Bool

if TYPE_CHECKING:
    from torch.utils.data import TensorDataset


def to_tslearn(
    dataset: Dataset, track: str = "curve", split: str | None = None, scored_only: bool = False
) -> NDArray[np.float32]:
    """Curves as tslearn takes them: channels last, short curves filled with NaN.

    A loss may be NaN too, so NaN alone does not say where a curve ends; the column `length` does.

    Args:
        dataset: any data set.
        track: what may be looked at, one of `TRACKS`.
        split: only these runs; None: all.
        scored_only: leave out the runs whose label is not one of the six diagnoses.

    Returns:
        (n_runs, n_points, n_channels) float32 in row order, NaN from the run's `length` on.

    Raises:
        UsageError: there is no such track or split.
    """
    X = np.ascontiguousarray(dataset.to_numpy3d(track, split, scored_only).transpose(0, 2, 1))
    length = dataset["length"][rows_of(dataset, split, scored_only)]
    X[np.arange(dataset.n_points) >= length[:, None]] = np.nan
    return X


def to_torch(
    dataset: Dataset, track: str = "curve", split: str | None = None, scored_only: bool = False
) -> TensorDataset:
    """A torch data set of pairs: a curve, (n_channels, n_points) float32, and its label, an int64 index into `LABELS`.

    The first six of `LABELS` are the diagnoses in their order. The arguments are those of `to_tslearn`.

    Raises:
        UsageError: there is no such track or split, or torch is not installed.
    """
    torch = needed("torch", what="A torch data set", extra="torch")
    X = torch.from_numpy(dataset.to_numpy3d(track, split, scored_only))
    y = torch.from_numpy(label_codes(dataset.targets(split, scored_only)))
    found: TensorDataset = torch.utils.data.TensorDataset(X, y)
    return found


def label_codes(labels: NDArray[np.str_]) -> NDArray[np.int64]:
    """Index of each label into `LABELS`.

    >>> label_codes(np.array(["healthy", "lr_too_high"])).tolist()
    [5, 0]
    """
    names, inverse = np.unique(labels, return_inverse=True)
    return np.array([LABELS.index(name) for name in names], dtype=np.int64)[inverse]


def rows_of(dataset: Dataset, split: str | None, scored_only: bool) -> Bool:
    """(n_runs,) whether a run is one of those that `Dataset.to_numpy3d` returns with the same arguments."""
    rows = np.ones(len(dataset), dtype=np.bool_) if split is None else dataset["split"] == split
    return rows & dataset.is_scored if scored_only else rows
