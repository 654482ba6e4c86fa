"""Parquet: one file of all runs, or one file for each split."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from curvebench.data.store import sync
from curvebench.interchange.arrow import arrow, schema, to_table
from curvebench.interchange.source import Source

FOLDER = "data"
"""Where the files of splits lie."""


def write_parquet(source: Source, path: Path) -> None:
    """All runs into one file, a row for each, every column with its type."""
    wanted = schema(source)
    with ExitStack() as stack:
        writer = _open(stack, path, source)
        for batch in source.batches():
            writer.write_table(to_table(batch, wanted))
    sync(path)


def write_splits(source: Source, folder: Path) -> dict[str, int]:
    """The runs of each split that has some into `data/SPLIT.parquet`.

    Returns:
        Split -> bytes that its rows take in memory, as Arrow counts them.
    """
    wanted, writers, n_bytes = schema(source), dict[str, Any](), Counter[str]()
    (folder / FOLDER).mkdir()
    with ExitStack() as stack:
        for split, part in source.batches_by_split():
            if split not in writers:
                writers[split] = _open(stack, folder / FOLDER / f"{split}.parquet", source)
            table = to_table(part, wanted)
            writers[split].write_table(table)
            n_bytes[split] += table.nbytes
    for split in writers:
        sync(folder / FOLDER / f"{split}.parquet")
    return n_bytes


def _open(stack: ExitStack, path: Path, source: Source) -> Any:
    """A writer that the stack closes; Python's own file below it fails as Python does when a disk is full."""
    file = stack.enter_context(path.open("xb"))
    # splitting floats by byte does for Parquet what shuffling does for HDF5: files of two thirds of the size
    floats = [c.name + ".list.element" * len(c.axes) for c in source.columns if np.dtype(c.dtype).kind == "f"]
    writer = arrow("pyarrow.parquet").ParquetWriter(
        file,
        schema(source),
        compression="zstd",
        use_dictionary=[c.name for c in source.columns if c.is_text],
        use_byte_stream_split=floats,
    )
    return stack.enter_context(writer)
