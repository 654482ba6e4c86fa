"""Data sets as files of other tools. Which formats there are stands in `FORMATS`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from curvebench.data.shipped import locate
from curvebench.data.store import check_target, open_rows, publishing
from curvebench.interchange.arrow import arrow
from curvebench.interchange.croissant import write_croissant
from curvebench.interchange.csv_tables import write_csv
from curvebench.interchange.folder import check_folder, publishing_folder
from curvebench.interchange.huggingface import write_huggingface
from curvebench.interchange.parquet import write_parquet
from curvebench.interchange.source import Progress, Source
from curvebench.interchange.ts import write_ts
from curvebench.spec import TRACKS, InputError, UsageError


@dataclass(frozen=True)
class Format:
    """A way to write a data set for other tools.

    Attributes:
        description: one line.
        write: writes a source to a path where nothing is, or into an empty folder.
        is_folder: whether it makes a folder.
        needs_arrow: whether pyarrow has to be installed.
        has_track: whether it holds the channels of one track in place of all columns.
    """

    description: str
    write: Callable[[Source, Path], object]
    is_folder: bool = True
    needs_arrow: bool = True
    has_track: bool = False


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "parquet": Format("one Parquet file, all columns", write_parquet, is_folder=False),
        "hf": Format("a folder for datasets.load_dataset: Parquet by split, a card", write_huggingface),
        "ts": Format("curves for aeon and sktime, a file for each split", write_ts, needs_arrow=False, has_track=True),
        "csv": Format("runs, curves and remedies as three tables", write_csv),
        "croissant": Format("Parquet by split, described by Croissant metadata", write_croissant),
    }
)
"""Name -> format."""


@dataclass(frozen=True)
class Exported:
    """What an export wrote.

    Attributes:
        output: the file or the folder.
        n_bytes: file, relative to the folder (or its name) -> its size.
        n_runs: rows that it holds.
    """

    output: Path
    n_bytes: Mapping[str, int]
    n_runs: int


def export(
    name_or_path: str | os.PathLike[str],
    to: str,
    output: str | os.PathLike[str],
    *,
    track: str | None = None,
    scored_only: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Exported:
    """Write a data set for other tools, whole or not at all, in memory that hardly grows with it.

    Args:
        name_or_path: a data set that comes with the package, or the path of a file or a folder of shards.
        to: one of `FORMATS`.
        output: the file or folder to write.
        track: channels of "ts", one of `TRACKS`; default "curve".
        scored_only: leave out the runs whose label is not one of the six diagnoses.
        overwrite: replace an earlier export.
        progress: called with the rows that were read and with all there are.

    Raises:
        UsageError: there is no such format or track, the output cannot be written or would replace something else, or
            pyarrow is needed and not installed.
        InputError: the data set cannot be read, or has no runs to export.
    """
    if to not in FORMATS:
        raise UsageError(f"There is no format {to!r}; there are {', '.join(FORMATS)}.")
    form, path = FORMATS[to], Path(output)
    _check_track(to, track)
    if form.needs_arrow:
        arrow()
    (check_folder if form.is_folder else check_target)(path, overwrite=overwrite)
    _check_apart(path, locate(name_or_path))
    with open_rows(name_or_path) as opened:
        source = Source(opened, scored_only, track or "curve", _title(path), progress)
        n_runs = sum(source.counts.values())
        if n_runs == 0:
            raise InputError(f"{name_or_path}: the data set has no runs to export.")
        with (publishing_folder if form.is_folder else publishing)(path, overwrite=overwrite) as temporary:
            form.write(source, temporary)
    files = sorted(found for found in path.rglob("*") if found.is_file()) if form.is_folder else [path]
    sizes = {(f.relative_to(path).as_posix() if form.is_folder else f.name): f.stat().st_size for f in files}
    return Exported(path, MappingProxyType(sizes), n_runs)


def _check_apart(path: Path, source: Path) -> None:
    """An export replaces no data set, nor puts anything into a folder of shards."""
    if os.path.exists(source) and any(
        os.path.exists(found) and found.samefile(source) for found in (path, *path.absolute().parents)
    ):
        raise UsageError(f"{path} is the data set itself, or lies in it; choose another name for the export.")


def _check_track(to: str, track: str | None) -> None:
    if track is None:
        return
    if not FORMATS[to].has_track:
        raise UsageError(f"A track was given, but the format {to} holds all columns; leave it out.")
    if track not in TRACKS:
        raise UsageError(f"There is no track {track!r}; there are {', '.join(TRACKS)}.")


def _title(path: Path) -> str:
    """A name without blanks that is the folder's own wherever that is one."""
    return re.sub(r"[^\w.-]", "-", Path(os.path.abspath(path)).name) or "curvebench"
