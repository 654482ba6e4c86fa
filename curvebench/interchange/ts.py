"""The text format `.ts` of aeon, sktime and the UCR/UEA archive: curves and their labels, a file for each split."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import numpy as np

from curvebench.data.dataset import Dataset
from curvebench.data.store import sync
from curvebench.interchange.description import SUMMARY
from curvebench.interchange.source import Source
from curvebench.spec import DIAGNOSES, LABELS, TRACKS

_NO, _YES = b"false", b"true "


def write_ts(source: Source, folder: Path) -> None:
    """Curves of a track into `TITLE_SPLIT.ts`, as the loaders of those libraries call the files of a problem.

    All curves have the same length; points after the end of a run repeat its last.
    """
    files: dict[str, _File] = {}
    with ExitStack() as stack:
        for split, part in source.batches_by_split():
            if split not in files:
                path = folder / f"{source.title}_{split.upper()}.ts"
                files[split] = _File(stack.enter_context(open(path, "xb")), source)
            files[split].add(part)
    for split in files:
        sync(folder / f"{source.title}_{split.upper()}.ts")


class _File:
    """A file that is being written. Whether values are missing is known at the end, so the header is mended then."""

    def __init__(self, file: BinaryIO, source: Source) -> None:
        channels = TRACKS[source.track]
        labels = DIAGNOSES if source.scored_only else LABELS
        before = [
            f"# {SUMMARY}",
            f"# channels: {', '.join(channels)}; content_sha256: {source.content_sha256}",
            f"@problemName {source.title}",
            "@timeStamps false",
            "@missing ",
        ]
        dimensions = (
            ["@univariate true"] if len(channels) == 1 else ["@univariate false", f"@dimensions {len(channels)}"]
        )
        after = [
            *dimensions,
            "@equalLength true",
            f"@seriesLength {source.opened.n_points}",
            f"@classLabel true {' '.join(labels)}",
            "@data",
        ]
        self._file, self._track = file, source.track
        file.write("\n".join(before).encode())
        self._missing_at, self._is_missing = file.tell(), False
        file.write(_NO + b"\n" + "\n".join([*after, ""]).encode())

    def add(self, part: Dataset) -> None:
        """Write the curves of some runs."""
        X = part.to_numpy3d(self._track)
        if not self._is_missing and np.isnan(X).any():
            self._is_missing = True
            self._file.seek(self._missing_at)
            self._file.write(_YES)
            self._file.seek(0, 2)
        # float32 as text is its shortest form that reads back the same
        texts = X.astype("U16").tolist()
        lines = [
            ":".join([*(",".join(channel) for channel in run), label]) + "\n"
            for run, label in zip(texts, part.labels.tolist(), strict=True)
        ]
        self._file.write("".join(lines).encode())
