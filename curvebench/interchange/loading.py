"""A data set in the manner of scikit-learn's loaders."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from curvebench.data.shipped import locate
from curvebench.data.store import load
from curvebench.interchange.description import describe
from curvebench.interchange.layouts import label_codes, rows_of
from curvebench.interchange.packages import needed
from curvebench.spec import DIAGNOSES, LABELS, TRACKS


def load_curvebench(
    name_or_path: str | os.PathLike[str] = "mini",
    *,
    split: str | None = None,
    track: str = "curve",
    scored_only: bool = True,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Any:
    """Load a data set the way that scikit-learn loads its own.

    Args:
        name_or_path: a data set that comes with the package, or the path of a file.
        split: only these runs: train, test or test_ood; None: all.
        track: what may be looked at: curve, telemetry or config.
        scored_only: leave out the runs whose label is not one of the six diagnoses.
        return_X_y: return `(data, target)` in place of everything.
        as_frame: `data` as a pandas DataFrame and `target` as a Series.

    Returns:
        A `sklearn.utils.Bunch`, a dictionary whose entries are attributes too:

        - `data`: (n_runs, n_channels * n_points) float32, channel by channel; NaN and inf as they happened;
        - `target`: (n_runs,) int64, indices into `target_names`;
        - `frame`: None, or a DataFrame of `data` and `target` with `as_frame`;
        - `feature_names`: of the columns of `data`, as `train_loss_0`; `target_names`: the diagnoses;
        - `channel_names`, and `curves`, (n_runs, n_channels, n_points): `data` in the layout of aeon and sktime;
        - `groups`: (n_runs,) text, the problem instance, for cross-validation by group; `run`: names of the runs;
        - `DESCR` and `filename`.

        With `return_X_y` only `(data, target)`.

    Raises:
        UsageError: there is no such split or track, or pandas is wanted and not installed.
        InputError: the file cannot be read.
    """
    dataset = load(name_or_path)
    curves = dataset.to_numpy3d(track, split, scored_only)
    target = label_codes(dataset.targets(split, scored_only))
    data: Any = curves.reshape(len(curves), -1)
    feature_names = [f"{channel}_{i}" for channel in TRACKS[track] for i in range(dataset.n_points)]
    frame = None
    if as_frame:
        pd = needed("pandas", what="as_frame", extra="export")
        data = pd.DataFrame(data, columns=feature_names)
        target = pd.Series(target, name="target")
        frame = pd.concat([data, target], axis=1)
    if return_X_y:
        return data, target
    from sklearn.utils import Bunch

    rows = rows_of(dataset, split, scored_only)
    return Bunch(
        data=data,
        target=target,
        frame=frame,
        feature_names=feature_names,
        target_names=np.array(DIAGNOSES if scored_only else LABELS),
        channel_names=list(TRACKS[track]),
        curves=curves,
        groups=dataset["problem"][rows],
        run=dataset["run"][rows],
        DESCR=describe(dataset.meta),
        filename=str(locate(name_or_path)),
    )
