"""A data set in a folder: shards that were written once, and a manifest that says what each must be."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from curvebench.data.columns import COLUMNS, Column
from curvebench.data.dataset import Array, ContentHasher, Dataset, Meta, axis_lengths, to_stored
from curvebench.spec import CheckFailed, InputError

MANIFEST = "manifest.json"
FOLDER_FORMAT, FOLDER_VERSION = "curvebench-folder", 1

MAX_MANIFEST_BYTES = 256 * 1024**2
"""A shard takes about 250 bytes of it, so this is room for a million."""

HELD_BYTES = 32 * 1024**2
"""Columns that fit into this are read from all shards in one pass, in place of a pass for each."""

OWN_TO_THE_WHOLE = ("fixed_actions", "source_licences")
"""Of what gives columns their meaning, what a shard cannot know; all else is the same in every shard."""

_SHARD_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}\.h5")
_SHA256 = re.compile(r"[0-9a-f]{64}")

ReadColumns = Callable[[Path, Sequence[str]], tuple[Meta, Mapping[str, Array]]]
"""Reads some columns of one file, screened: `curvebench.data.store.read_columns`."""


# ----------------------------------------------------------------------------------------------- manifest


@dataclass(frozen=True)
class Shard:
    """What the manifest says about one file.

    Attributes:
        file: its name, in the folder itself.
        n_bytes: its size.
        n_runs: its rows; may be 0.
        sha256: of its bytes.
        content_sha256: its content hash, as it stands in it.
    """

    file: str
    n_bytes: int
    n_runs: int
    sha256: str
    content_sha256: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What makes a data set of a folder of files.

    Attributes:
        meta: of the whole.
        n_points: of every curve.
        content_sha256: of the whole: that of a single file with the same rows.
        shards: in the order of their rows.
    """

    meta: Meta
    n_points: int
    content_sha256: str
    shards: tuple[Shard, ...]

    @property
    def n_runs(self) -> int:
        """Rows of all shards."""
        return sum(shard.n_runs for shard in self.shards)

    def to_text(self) -> str:
        """The one text that a manifest has: JSON that ends with the hash of all before."""
        told = {
            "format": FOLDER_FORMAT,
            "version": FOLDER_VERSION,
            "content_sha256": self.content_sha256,
            "n_points": self.n_points,
            "n_runs": self.n_runs,
            "attributes": self.meta.to_text(),
            "shards": [asdict(shard) for shard in self.shards],
        }
        digest = hashlib.sha256(json.dumps(told).encode()).hexdigest()
        return json.dumps({**told, "manifest_sha256": digest}, indent=1) + "\n"

    @classmethod
    def from_text(cls, text: str) -> Manifest:
        """The inverse of `to_text`, and of nothing else: any other text is refused.

        Raises:
            InputError: the text is not JSON, of another format or version, or not what `to_text` makes of it.
        """
        told = _parsed(text)
        if told.get("format") != FOLDER_FORMAT:
            raise InputError(f"it is not the manifest of a data set (its `format` is not {FOLDER_FORMAT!r}).")
        if told.get("version") != FOLDER_VERSION:
            raise InputError(
                f"its version is {told.get('version')!r}; this program reads version {FOLDER_VERSION}; "
                "update curvebench."
            )
        try:
            manifest = cls(
                meta=Meta.from_text(told["attributes"]),
                n_points=told["n_points"],
                content_sha256=told["content_sha256"],
                shards=tuple(Shard(**shard) for shard in told["shards"]),
            )
            is_unchanged = _has_right_types(manifest) and manifest.to_text() == text
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"it does not hold what the format asks for ({error}).") from None
        if not is_unchanged:
            raise InputError("it was changed: it is not what was written (its own hash says so); get it again.")
        names = [shard.file for shard in manifest.shards]
        if unsafe := [name for name in names if not _SHARD_NAME.fullmatch(name)]:
            raise InputError(f"it names the file {unsafe[0]!r}; shards lie in the folder itself, with names like x.h5.")
        if len(set(names)) < len(names):
            raise InputError("it names a file twice.")
        return manifest


def _parsed(text: str) -> dict[str, Any]:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        raise InputError("it is damaged or cut short (it is not JSON); get it again.") from None
    if not isinstance(told, dict):
        raise InputError("it is not the manifest of a data set (it is not a JSON object).")
    return told


def _has_right_types(manifest: Manifest) -> bool:
    """Whether counts are counts and hashes are hashes."""
    counts = [manifest.n_points, *(n for s in manifest.shards for n in (s.n_bytes, s.n_runs))]
    hashes = [manifest.content_sha256, *(h for s in manifest.shards for h in (s.sha256, s.content_sha256))]
    return (
        all(type(n) is int and n >= 0 for n in counts)
        and all(isinstance(h, str) and _SHA256.fullmatch(h) for h in hashes)
        and all(isinstance(shard.file, str) for shard in manifest.shards)
    )


# ------------------------------------------------------------------------------------------------- folder


@dataclass(frozen=True, eq=False)
class Folder:
    """A data set in a folder, of which never more than a shard, or `HELD_BYTES`, is in memory.

    Attributes:
        path: of the folder.
        manifest: what it must hold.
        read: how columns of a shard are read.
    """

    path: Path
    manifest: Manifest
    read: ReadColumns

    def __repr__(self) -> str:
        return f"Folder({self.n_runs} runs of recipe {self.meta.recipe_name!r} in {len(self.manifest.shards)} shards)"

    def __len__(self) -> int:
        return self.n_runs

    @property
    def meta(self) -> Meta:
        """What gives the columns their meaning."""
        return self.manifest.meta

    @property
    def n_runs(self) -> int:
        """Number of rows."""
        return self.manifest.n_runs

    @property
    def n_points(self) -> int:
        """Number of points of every curve."""
        return self.manifest.n_points

    @cached_property
    def content_sha256(self) -> str:
        """The content hash, computed from what the shards hold.

        Raises:
            InputError: it is not the one that the manifest states.
        """
        found = hash_folder(self)
        if found != self.manifest.content_sha256:
            raise InputError(
                f"{self.path}: the content hash is {found}, but the manifest says {self.manifest.content_sha256}; "
                "the folder was changed; `curvebench verify` says where."
            )
        return found

    def pieces(self, names: Sequence[str]) -> Iterator[Mapping[str, Array]]:
        """Some columns of one shard after the other; shards without rows are passed over.

        Raises:
            InputError: a shard is missing or damaged, or not what the manifest says.
        """
        last_group = -1
        for shard in self.manifest.shards:
            if shard.n_runs:
                columns = self._columns(shard, [*names, *({"group"} - set(names))])
                groups = columns["group"]
                if groups.min() <= last_group or (np.diff(groups) < 0).any():
                    raise InputError(f"{self.path / shard.file}: its groups do not follow those of the shard before.")
                last_group = int(groups[-1])
                yield {name: columns[name] for name in names}

    def _columns(self, shard: Shard, names: Sequence[str]) -> Mapping[str, Array]:
        path = self.path / shard.file
        check_shard_file(path, shard)
        meta, columns = self.read(path, names)
        check_kinship(path, meta, self.meta)
        for name in names:
            if columns[name].shape != (wanted := column_shape(self, COLUMNS[name], shard.n_runs)):
                raise InputError(f"{path}: `{name}` has the shape {columns[name].shape}; the manifest means {wanted}.")
        return columns

    def by_column(self) -> Iterator[tuple[Column, Iterator[Array]]]:
        """Every column in file order, each in blocks of rows: as a single file holds them."""
        for names in self._bundles():
            if len(names) > 1:
                held = list(self.pieces(names))
                for name in names:
                    yield COLUMNS[name], iter([piece[name] for piece in held])
            else:
                (name,) = names
                yield COLUMNS[name], (piece[name] for piece in self.pieces(names))

    def _bundles(self) -> Iterator[list[str]]:
        """The columns in file order, as many together as fit into `HELD_BYTES`, at least one."""
        bundle: list[str] = []
        taken = 0
        for name, column in COLUMNS.items():
            itemsize = column.itemsize * (4 if column.is_text else 1)
            n_bytes = math.prod(column_shape(self, column, self.n_runs)) * itemsize
            if bundle and taken + n_bytes > HELD_BYTES:
                yield bundle
                bundle, taken = [], 0
            bundle.append(name)
            taken += n_bytes
        yield bundle

    def load(self, max_bytes: int) -> Dataset:
        """All of it, in memory.

        Raises:
            InputError: it takes more than `max_bytes`, a shard is missing or damaged, or not what the manifest says,
                or there are no rows.
        """
        n_bytes = sum(math.prod(column_shape(self, c, self.n_runs)) * c.itemsize for c in COLUMNS.values())
        if n_bytes > max_bytes:
            raise InputError(f"{self.path}: it holds {n_bytes} bytes of data; the limit is {max_bytes} in memory.")
        pieces = list(self.pieces(list(COLUMNS)))
        if not pieces:
            raise InputError(f"{self.path}: the data set has no runs.")
        return self._dataset({name: np.concatenate([piece[name] for piece in pieces]) for name in COLUMNS})

    def column(self, name: str) -> Array:
        """All of one column, (n_runs, ...).

        Raises:
            InputError: as for `pieces`.
        """
        blocks = [piece[name] for piece in self.pieces([name])]
        if not blocks:
            return np.empty(
                column_shape(self, COLUMNS[name], 0), "U1" if COLUMNS[name].is_text else COLUMNS[name].dtype
            )
        return np.concatenate(blocks)

    def batches(self, n_rows: int) -> Iterator[Dataset]:
        """All rows in their order, so many at a time wherever shards begin; none where there are no rows.

        Raises:
            InputError: as for `pieces`, or values of different columns contradict each other.
        """
        waiting: list[Mapping[str, Array]] = []
        n_waiting = 0
        for piece in self.pieces(list(COLUMNS)):
            waiting.append(piece)
            n_waiting += len(piece["run"])
            if n_waiting >= n_rows:
                rows = {name: np.concatenate([held[name] for held in waiting]) for name in COLUMNS}
                n_ready = n_waiting // n_rows * n_rows
                for start in range(0, n_ready, n_rows):
                    yield self._dataset({name: values[start : start + n_rows] for name, values in rows.items()})
                waiting, n_waiting = [{name: rows[name][n_ready:] for name in COLUMNS}], n_waiting - n_ready
        if n_waiting:
            yield self._dataset({name: np.concatenate([held[name] for held in waiting]) for name in COLUMNS})

    def _dataset(self, columns: Mapping[str, Array]) -> Dataset:
        try:
            return Dataset(columns, self.meta)
        except InputError as error:
            raise InputError(f"{self.path}: {error}") from None


def column_shape(folder: Folder, column: Column, n_runs: int) -> tuple[int, ...]:
    """Shape of some rows of a column."""
    lengths = axis_lengths(folder.meta, folder.n_points)
    return n_runs, *(lengths[axis] for axis in column.axes)


def hash_folder(folder: Folder) -> str:
    """The content hash of what the shards hold, whatever the manifest says.

    Raises:
        InputError: as for `Folder.pieces`, or a run is named twice.
    """
    hasher = ContentHasher(folder.meta)
    for column, blocks in folder.by_column():
        hasher.start_column(column, column_shape(folder, column, folder.n_runs))
        names = []
        for block in blocks:
            hasher.add_rows(column, block)
            if column.name == "run":
                names.append(to_stored(column, block))
        if names:
            check_names(folder, np.concatenate(names))
    return hasher.hexdigest()


def check_names(folder: Folder, names: Array) -> None:
    """Hold the names of all runs against each other, for a shard knows only its own.

    Raises:
        InputError: a run is named twice.
    """
    if len(np.unique(names)) < len(names):
        raise InputError(f"{folder.path}: `run` names a run more than once.")


def describe(path: Path, files: Sequence[str], read: ReadColumns) -> Folder:
    """The folder of shards that lie there, with a manifest that nobody has written yet.

    It states no content hash yet: `sealed` adds it when all that belongs to the whole is known.

    Args:
        path: of the folder.
        files: names of the shards, in the order of their rows, at least one.
        read: how columns of a shard are read.

    Raises:
        InputError: a shard cannot be read, or differs in making from the first.
    """
    first, columns = read(path / files[0], ["train_loss"])
    n_points = columns["train_loss"].shape[1]
    shards: list[Shard] = []
    licences: dict[str, str] = {}
    for file in files:
        meta, columns = read(path / file, list(COLUMNS))
        check_kinship(path / file, meta, first)
        licences |= meta.source_licences
        n_bytes, digest = _size_and_sha256(path / file)
        shards.append(Shard(file, n_bytes, len(columns["run"]), digest, Dataset(columns, meta).content_sha256))
    whole = replace(first, source_licences=dict(sorted(licences.items())))
    return Folder(path, Manifest(meta=whole, n_points=n_points, content_sha256="", shards=tuple(shards)), read)


def sealed(folder: Folder, fixed_actions: Mapping[str, int]) -> Folder:
    """The folder with what each diagnosis stands for, and its content hash."""
    meta = replace(folder.meta, fixed_actions=fixed_actions)
    unhashed = replace(folder, manifest=replace(folder.manifest, meta=meta))
    return replace(folder, manifest=replace(unhashed.manifest, content_sha256=hash_folder(unhashed)))


# ------------------------------------------------------------------------------------------------- checks


def open_folder(path: Path, read: ReadColumns) -> Folder:
    """A folder whose manifest is in order and whose shards are all there with their sizes; none is read yet.

    Raises:
        InputError: there is no manifest or it was changed, or a shard is missing or of another size.
    """
    folder = Folder(path, read_manifest(path), read)
    for shard in folder.manifest.shards:
        check_shard_file(path / shard.file, shard)
    return folder


def read_manifest(path: Path) -> Manifest:
    """The manifest in a folder.

    Raises:
        InputError: there is none, or it is not as it was written.
    """
    file = path / MANIFEST
    try:
        if not stat.S_ISREG(file.lstat().st_mode):
            raise InputError(f"{file}: it is not a plain file; do not trust the folder.")
        with open(file, "rb") as stream:
            content = stream.read(MAX_MANIFEST_BYTES + 1)
    except FileNotFoundError:
        raise InputError(
            f"{path}: it is a folder without a {MANIFEST}; a data set is a file, or a folder with its manifest."
        ) from None
    except OSError as error:
        raise InputError(f"{file}: it cannot be read: {error.strerror}.") from None
    if len(content) > MAX_MANIFEST_BYTES:
        raise InputError(f"{file}: it is larger than {MAX_MANIFEST_BYTES} bytes, which is more than is read.")
    try:
        return Manifest.from_text(content.decode())
    except UnicodeDecodeError:
        raise InputError(f"{file}: it is damaged (it is not UTF-8); get it again.") from None
    except InputError as error:
        raise InputError(f"{file}: {error}") from None


def check_shard_file(path: Path, shard: Shard) -> None:
    """Hold what the file system says of a shard against the manifest.

    Raises:
        InputError: it is missing, no plain file (a link for instance), or of another size.
    """
    try:
        status = path.lstat()
    except OSError as error:
        reason = "it is missing" if isinstance(error, FileNotFoundError) else f"it cannot be read: {error.strerror}"
        raise InputError(f"{path}: {reason}, but the manifest names it.") from None
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path}: it is not a plain file; links are not followed, do not trust the folder.")
    if status.st_size != shard.n_bytes:
        raise InputError(f"{path}: it has {status.st_size} bytes; the manifest says {shard.n_bytes}; get it again.")


def check_kinship(path: Path, meta: Meta, whole: Meta) -> None:
    """Refuse a shard that was made otherwise than the whole.

    Raises:
        InputError: with what differs.
    """
    names = [field.name for field in fields(Meta) if field.name not in OWN_TO_THE_WHOLE]
    if differing := [name for name in names if getattr(meta, name) != getattr(whole, name)]:
        raise InputError(f"{path}: it was made otherwise than the rest; it differs in {', '.join(differing)}.")


def check_folder(folder: Folder) -> None:
    """Hold every byte of a folder against the manifest, then read it and do so with every value.

    Raises:
        CheckFailed: the first thing that is not as it was written: entries missing or extra, bytes, contents, order.
        InputError: a shard with the right bytes cannot be read.
    """
    named = {shard.file for shard in folder.manifest.shards} | {MANIFEST}
    found = {entry.name for entry in os.scandir(folder.path)}
    if strange := [f"{name!r} is missing" for name in sorted(named - found)] + [
        f"{name!r} does not belong there" for name in sorted(found - named)
    ]:
        raise CheckFailed(f"{folder.path}: {'; '.join(strange[:5])}; the folder is not what was written.")
    for shard in folder.manifest.shards:
        path = folder.path / shard.file
        if _size_and_sha256(path) != (shard.n_bytes, shard.sha256):
            raise CheckFailed(f"{path}: its bytes are not those that the manifest means; it was changed or swapped.")
    licences: dict[str, str] = {}
    for shard in folder.manifest.shards:
        path = folder.path / shard.file
        meta, columns = folder.read(path, list(COLUMNS))
        licences |= meta.source_licences
        if (len(columns["run"]), Dataset(columns, meta).content_sha256) != (shard.n_runs, shard.content_sha256):
            raise CheckFailed(f"{path}: its rows or its content are not those that the manifest states.")
    if licences != dict(folder.meta.source_licences):
        raise CheckFailed(f"{folder.path}: the manifest states other licences of sources than the shards.")
    try:
        _ = folder.content_sha256
    except InputError as error:
        raise CheckFailed(str(error)) from None


def _size_and_sha256(path: Path) -> tuple[int, str]:
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return file.tell(), digest
