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


LIES = {
    "rows": lambda m: replace(m, shards=(replace(m.shards[0], n_runs=m.shards[0].n_runs + 1), *m.shards[1:])),
    "rows moved": lambda m: replace(
        m,
        shards=(
            replace(m.shards[0], n_runs=m.shards[0].n_runs - 1),
            replace(m.shards[1], n_runs=m.shards[1].n_runs + 1),
            *m.shards[2:],
        ),
    ),
    "size": lambda m: replace(m, shards=(replace(m.shards[0], n_bytes=1), *m.shards[1:])),
    "sha256": lambda m: replace(m, shards=(replace(m.shards[0], sha256="0" * 64), *m.shards[1:])),
    "content of a shard": lambda m: replace(m, shards=(replace(m.shards[0], content_sha256="0" * 64), *m.shards[1:])),
    "content": lambda m: replace(m, content_sha256="0" * 64),
    "points": lambda m: replace(m, n_points=m.n_points + 1),
    "order": lambda m: replace(m, shards=m.shards[::-1]),
    "a shard left out": lambda m: replace(m, shards=m.shards[1:]),
    "a shard twice": lambda m: replace(m, shards=(*m.shards, m.shards[0])),
    "engine": lambda m: replace(m, meta=replace(m.meta, engine="other")),
    "licence": lambda m: replace(m, meta=replace(m.meta, licence="other")),
    "licences of sources": lambda m: replace(m, meta=replace(m.meta, source_licences={"sine": "other"})),
    "fixed actions": lambda m: replace(m, meta=replace(m.meta, fixed_actions={"lr_too_high": 2})),
    "a way out": lambda m: replace(m, shards=(replace(m.shards[0], file="../x.h5"), *m.shards[1:])),
    "an absolute path": lambda m: replace(m, shards=(replace(m.shards[0], file="/etc/passwd"), *m.shards[1:])),
}
"""What a manifest may say that is not so, though its own hash is right: name -> what is made of a true one."""
