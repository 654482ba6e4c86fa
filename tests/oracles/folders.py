"""Made-up data sets as folders of shards, written the plain way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from curvebench.data.dataset import Dataset
from curvebench.data.folder import Folder, describe, sealed
from curvebench.data.store import read_columns, write, write_manifest


def by_group(dataset: Dataset) -> Dataset:
    """The rows in the order of their groups, as generated data sets have them."""
    return dataset.select(np.argsort(dataset["group"], kind="stable"))


def write_folder(dataset: Dataset, path: Path) -> Folder:
    """A shard for each group of a data set that is in the order of its groups; the last one has no rows."""
    path.mkdir()
    files = []
    for number in [*np.unique(dataset["group"]).tolist(), 999_999]:
        part = dataset.select(dataset["group"] == number)
        files.append(f"group-{number:06d}.h5")
        write(Dataset(part.columns, replace(dataset.meta, fixed_actions={})), path / files[-1])
    folder = sealed(describe(path, files, read_columns), dataset.meta.fixed_actions)
    write_manifest(folder)
    return folder
