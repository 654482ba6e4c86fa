"""The file of a data set, HDF5: written whole or not at all, screened before anything in it is trusted.

A data set may also be a folder of such files (`curvebench.data.folder`); whatever reads here takes both.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import re
import socket
import stat
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from io import FileIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5f, h5fd, h5l, h5o, h5p, h5s, h5t, h5z

from curvebench.data.columns import COLUMNS, FORMAT_VERSION, Column
from curvebench.data.dataset import (
    MAX_ATTRIBUTE_BYTES,
    Array,
    Dataset,
    Meta,
    Table,
    check_values,
    content_sha256,
    from_stored,
    shape_faults,
    to_stored,
)
from curvebench.data.folder import MANIFEST, Folder, check_folder, check_names, column_shape, open_folder
from curvebench.data.shipped import locate, suggestion
from curvebench.processes import ChildFailed
from curvebench.processes.afresh import rehearse_afresh
from curvebench.processes.rehearsal import ForkFailed, RehearsalLimits, rehearse
from curvebench.spec import CheckFailed, CurveBenchError, InputError, UsageError

FORMAT_NAME = "curvebench"

CHUNK_BYTES = 128 * 1024
"""Size of the pieces that are compressed and checksummed one by one."""

MAX_BYTES = 8 * 1024**3
"""Largest data set that is read unless the caller allows more."""

BATCH_BYTES = 16 * 1024**2
"""Size of the parts in which a data set is read that need not be in memory as a whole."""

MAX_CHUNK_BYTES = 64 * 1024**2
MAX_INFLATION = 1032
"""What a byte of deflate can at most become."""

INFLATION_FLOOR = 1024**2
"""Columns of at most this many bytes may be stored in any size."""

MAX_ROOT_ENTRIES = 1000

REHEARSAL_MEMORY = 1024**3
REHEARSAL_SECONDS = 60.0
REHEARSAL_BYTES_PER_SECOND = 1_000_000
"""A file is first read in a process of its own, which may take this long, and longer the longer the file is."""

MOST_REMEMBERED = 2**20
"""Files that a process remembers to have read well."""

_PIECE_BYTES = 16 * 1024**2
ALLOWED_FILTERS: Mapping[int, str] = {
    h5z.FILTER_SHUFFLE: "shuffle",
    h5z.FILTER_DEFLATE: "gzip",
    h5z.FILTER_FLETCHER32: "fletcher32",
}
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_TEMPORARY_NAME = re.compile(
    r"(?P<stem>\..+)\.(?P<host>[A-Za-z0-9-]+)\.(?P<process>[0-9]+)\.[0-9a-f]{32}\.tmp", re.DOTALL
)
_LONGEST_STEM = 150
"""Bytes; file systems allow 255 in all."""

_ATTRIBUTES_IN_HEADER = 1000
_IMAGE_GROWTH_BYTES = 1024**2


# ---------------------------------------------------------------------------------------------- writing


def write(dataset: Dataset, path: str | os.PathLike[str], *, overwrite: bool = False, sweep: bool = True) -> str:
    """Write a data set to a file that is, at every moment, either absent, the old one, or the whole new one.

    Args:
        dataset: any number of rows, none included.
        path: of the file; its folder must exist.
        overwrite: replace a file that is already there.
        sweep: as for `publish`.

    Returns:
        The content hash, which stands in the file too.

    Raises:
        UsageError: the path cannot be written to, the disk is full, or the file exists and `overwrite` is
            not set; whatever was there before is untouched.
    """
    path = Path(path)
    check_target(path, overwrite=overwrite)
    digest = content_sha256(dataset)
    publish(_file_image(dataset, digest), path, overwrite=overwrite, sweep=sweep)
    return digest


def check_target(path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Find out early whether `write` could write to a path, before hours of work go into what is to be written.

    Raises:
        UsageError: it could not, and why.
    """
    path = Path(path)
    folder = path.parent
    if "\0" in str(path):
        raise UsageError(f"{str(path)!r} cannot be written: a path has no NUL character.")
    try:
        if not folder.is_dir():
            raise UsageError(f"{path} cannot be written: the folder {folder} does not exist; create it first.")
        mode = path.lstat().st_mode
    except FileNotFoundError:
        mode = None
    except OSError as error:
        raise UsageError(why_not_written(path, error)) from None
    if mode is not None and not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "not a plain file"
        raise UsageError(f"{path} cannot be written: it is {kind}; choose another name.")
    if mode is not None and not overwrite:
        raise UsageError(f"{path} already exists; choose another name or allow it to be overwritten.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"{path} cannot be written: the folder {folder} does not allow it.")


def _file_image(dataset: Dataset, digest: str) -> bytes:
    """The bytes of the file, built in memory: HDF5 does not survive a full disk, Python's own writing does."""
    access = h5p.create(h5p.FILE_ACCESS)
    access.set_fapl_core(_IMAGE_GROWTH_BYTES, False)
    with _created(access, dataset.meta, digest) as file:
        for name, column in COLUMNS.items():
            _create_column(file, column, dataset[name].shape)[...] = _as_stored(column, dataset[name])
        file.flush()
        return bytes(file.id.get_file_image())


def _created(access: h5p.PropFAID, meta: Meta, digest: str) -> h5py.File:
    """A new file that has all but its columns."""
    creation = h5p.create(h5p.FILE_CREATE)
    access.set_libver_bounds(h5f.LIBVER_V110, h5f.LIBVER_V110)  # metadata has checksums from there on
    creation.set_obj_track_times(False)
    creation.set_attr_phase_change(_ATTRIBUTES_IN_HEADER, 0)  # only there do large attributes have checksums
    name = f"curvebench-{uuid.uuid4().hex}".encode()
    file = h5py.File(h5f.create(name, h5f.ACC_TRUNC, creation, access))
    access.close()  # the file has its own; what it holds must not live on until HDF5 itself ends
    attributes = meta.to_text()
    attributes |= {"format": FORMAT_NAME, "content_sha256": digest, "columns": json.dumps(list(COLUMNS))}
    _write_attributes(file, attributes)
    return file


def _write_attributes(target: h5py.HLObject, attributes: Mapping[str, str]) -> None:
    """Fixed-length strings only: those of variable length live in a heap without checksums."""
    for name, text in attributes.items():
        encoded = text.encode()
        dtype = h5py.string_dtype("utf-8", max(1, len(encoded)))
        target.attrs.create(name, np.array(encoded, dtype=dtype), dtype=dtype)


def _as_stored(column: Column, values: Array) -> Array:
    stored = to_stored(column, values)
    return stored.view(_stored_type(column)) if column.is_text else stored


def _stored_type(column: Column) -> np.dtype[Any]:
    return h5py.string_dtype("utf-8", column.itemsize) if column.is_text else np.dtype(column.dtype)


def _create_column(file: h5py.File, column: Column, shape: tuple[int, ...]) -> h5py.Dataset:
    dataset = file.create_dataset(
        column.name,
        shape=shape,
        dtype=_stored_type(column),
        chunks=chunk_shape(shape, column.itemsize),
        maxshape=tuple(n or None for n in shape),  # HDF5 has no chunks on an axis fixed at length 0
        compression="gzip",
        compression_opts=4,
        shuffle=True,
        fletcher32=True,
        track_times=False,
    )
    attributes = {"unit": column.unit, "description": column.description}
    attributes |= {"axes": json.dumps(["run", *column.axes])}
    if column.values:
        attributes["values"] = json.dumps(column.values)
    _write_attributes(dataset, attributes)
    return dataset


def chunk_shape(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Chunks of whole rows where they fit into `CHUNK_BYTES`, as many as fit.

    >>> chunk_shape((100_000, 128), 4), chunk_shape((0,), 4), chunk_shape((10, 2, 10**6), 4)
    ((256, 128), (1,), (1, 1, 32768))
    """
    room = CHUNK_BYTES // itemsize
    chunk: list[int] = []
    for n in reversed(shape):
        chunk.insert(0, max(1, min(n, room)))
        room //= chunk[0]
    return tuple(chunk)


def publish(image: bytes, path: Path, *, overwrite: bool = False, sweep: bool = True) -> None:
    """Let the bytes of a file appear at the path in one step, or leave no trace.

    Args:
        image: the bytes.
        path: of the file; its folder must exist.
        overwrite: replace a file that is already there.
        sweep: first remove what killed processes left of earlier tries, which takes a look at the whole folder.

    Raises:
        UsageError: as for `write`.
    """
    if sweep:
        remove_temporaries(path, of_the_dead=True)
    with publishing(path, overwrite=overwrite) as temporary:
        _write_synced(temporary, image)


@contextlib.contextmanager
def publishing(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Let a file that is written bit by bit appear at the path in one step when the block ends, or leave no trace.

    Yields:
        The name to write it under, which is free; whoever writes it also calls `sync`.

    Raises:
        UsageError: as for `write`.
    """
    temporary = temporary_name(path)
    try:
        yield temporary
        if overwrite:
            os.replace(temporary, path)
        else:
            _move_without_clobbering(temporary, path)
        sync(path.parent)
    except FileExistsError:
        raise UsageError(f"{path} already exists; choose another name or allow it to be overwritten.") from None
    except OSError as error:
        raise UsageError(why_not_written(path, error)) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def temporary_name(path: Path) -> Path:
    """A free name beside a path, for what is to appear at the path once it is whole."""
    return path.with_name(f"{_temporary_stem(path)}.{_host()}.{os.getpid()}.{uuid.uuid4().hex}.tmp")


def remove_temporaries(path: Path, *, of_the_dead: bool = False) -> None:
    """Remove what killed processes left of a file that they were writing.

    Args:
        path: of the file.
        of_the_dead: only of processes of this machine that are no more; else all, for who knows that nobody is writing.
    """
    for found in path.parent.glob(".*.tmp"):
        name = _TEMPORARY_NAME.fullmatch(found.name)
        if name and name["stem"] == _temporary_stem(path) and not (of_the_dead and _may_live(name)):
            with contextlib.suppress(OSError):
                found.unlink()


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:40] or "-"


def _may_live(name: re.Match[str]) -> bool:
    """Whether the process that made a temporary file of that name may still be writing it."""
    if name["host"] != _host() or os.name != "posix":
        return True
    try:
        os.kill(int(name["process"]), 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _temporary_stem(path: Path) -> str:
    """How temporary files of a path begin: with its name, or a hash where the name would make them too long."""
    name = os.fsencode(path.name)
    return "." + (path.name if len(name) <= _LONGEST_STEM else hashlib.sha256(name).hexdigest())


def _write_synced(path: Path, image: bytes) -> None:
    with open(path, "xb") as file:
        file.write(image)
        file.flush()
        os.fsync(file.fileno())


def _move_without_clobbering(temporary: Path, path: Path) -> None:
    """Rename, but fail where something exists, even if it came into being a moment ago.

    Raises:
        FileExistsError: something does.
    """
    try:
        os.link(temporary, path)
    except OSError as error:
        if isinstance(error, FileExistsError) or error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        _reserve_and_replace(temporary, path)  # a file system without hard links


def _reserve_and_replace(temporary: Path, path: Path) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        os.replace(temporary, path)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def sync(path: Path) -> None:
    """Make the bytes of a file or the names in a folder last through a power cut, where the system can do so."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def why_not_written(path: Path, error: OSError) -> str:
    """A sentence for whoever wanted to write there."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"{path} cannot be written: there is no room ({error.strerror}); free some or choose another disk."
    return f"{path} cannot be written: {error.strerror or error}."


# ---------------------------------------------------------------------------------------------- folders


def write_manifest(folder: Folder) -> None:
    """Make a data set of a folder of shards: its manifest appears whole, in one step.

    Raises:
        UsageError: as for `write`.
    """
    publish(folder.manifest.to_text().encode(), folder.path / MANIFEST, overwrite=True)


def pack(source: str | os.PathLike[str], path: str | os.PathLike[str], *, overwrite: bool = False) -> str:
    """Make one file of a folder, column by column, with never more than a shard or a few columns in memory.

    Args:
        source: the folder.
        path: of the file; its folder must exist.
        overwrite: replace a file that is already there.

    Returns:
        The content hash, that of the folder.

    Raises:
        InputError: the folder is damaged, or not what its manifest says.
        UsageError: the source is no folder, or as for `write`.
    """
    path, folder = Path(path), open_table(source)
    check_target(path, overwrite=overwrite)
    if not isinstance(folder, Folder):
        raise UsageError(f"{os.fspath(source)} is one file already; there is nothing to pack.")
    digest = folder.content_sha256
    with publishing(path, overwrite=overwrite) as temporary, open(temporary, "x+b", buffering=0) as file:
        access, patient = h5p.create(h5p.FILE_ACCESS), _Patient(file)
        access.set_fileobj_driver(h5fd.fileobj_driver, patient)
        with _created(access, folder.meta, digest) as packed:
            for column, blocks in folder.by_column():
                stored, start = _create_column(packed, column, column_shape(folder, column, folder.n_runs)), 0
                for block in blocks:
                    stored[start : start + len(block)] = _as_stored(column, block)
                    start += len(block)
                    patient.complain()
        patient.complain()
        os.fsync(file.fileno())
    return digest


class _Patient:
    """A file for HDF5 that keeps errors of writing to itself until it is asked: HDF5 does not survive a full disk.

    What can't be written any more is kept in memory, so that HDF5 finds what it wrote and can close its file in peace.
    """

    def __init__(self, file: FileIO) -> None:
        self._file = file  # without a buffer, whose content would be written, and fail, at any later time
        self._error: tuple[int | None, str | None] | None = None
        self._late: list[tuple[int, bytes]] = []
        self._position = 0

    def complain(self) -> None:
        """Raise what went wrong.

        Raises:
            OSError: something did.
        """
        if self._error is not None:
            raise OSError(*self._error)

    def write(self, content: memoryview) -> int:
        if not self._is_done(self._write, self._position, content):
            self._late.append((self._position, bytes(content)))
        self._position += len(content)
        return len(content)

    def _write(self, position: int, content: memoryview) -> None:
        self._file.seek(position)
        while len(content):
            content = content[self._file.write(content) :]

    def flush(self) -> None:
        self._is_done(self._file.flush)

    def truncate(self, size: int) -> int:
        self._is_done(self._file.truncate, size)
        return size

    def _is_done(self, action: Callable[..., object], *arguments: object) -> bool:
        if self._error is None:
            try:
                action(*arguments)
            except OSError as error:
                self._error = error.errno, error.strerror  # the error itself would hold on to this object
        return self._error is None

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_END:
            ends = [start + len(content) for start, content in self._late]
            offset += max(os.fstat(self._file.fileno()).st_size, *ends) if ends else self._file.seek(0, os.SEEK_END)
        self._position = offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, room: memoryview) -> int:
        start, stop = self._position, self._position + len(room)
        self._file.seek(start)
        content = bytearray(self._file.read(len(room)).ljust(len(room), b"\0"))
        for begin, late in self._late:
            first, last = max(start, begin), min(stop, begin + len(late))
            if first < last:
                content[first - start : last - start] = late[first - begin : last - begin]
        room[:] = content
        self._position = stop
        return len(room)


# ---------------------------------------------------------------------------------------------- reading


@dataclass(frozen=True)
class Report:
    """What `verify` found out about a data set in which everything is as it should be.

    Attributes:
        path: of the file or folder.
        n_bytes: its size.
        n_shards: files that hold its rows.
        n_runs: rows.
        recipe_name: recipe that the data come from.
        format_version: of the file.
        content_sha256: as computed from what was read, and as it stands in the file.
    """

    path: str
    n_bytes: int
    n_shards: int
    n_runs: int
    recipe_name: str
    format_version: int
    content_sha256: str


def load(path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> Dataset:
    """Read a data set into memory. Columns that the format does not know are ignored.

    Args:
        path: of the file or folder, or the name of a data set that comes with the package ("mini").
        max_bytes: refuse columns that would take more bytes than this in all.

    Raises:
        InputError: the file is missing, damaged, foreign, of a newer format, not as the format wants it, or
            built to reach outside itself or to exhaust memory.
    """
    table = open_table(path, max_bytes=max_bytes)
    return table.load(max_bytes) if isinstance(table, Folder) else table


def open_table(path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> Dataset | Folder:
    """A data set to go through piece by piece: a file is read, of a folder only the manifest.

    Args:
        path: as for `load`.
        max_bytes: as for `load`, but of a folder for each shard.

    Raises:
        InputError: as for `load`; of a shard only when it is read.
    """
    if os.path.isdir(locate(path)):
        return open_folder(locate(path), partial(read_columns, max_bytes=max_bytes))
    with _reading(path, max_bytes) as file:
        dataset, _ = _load(file, max_bytes)
        return dataset


def read_columns(
    path: str | os.PathLike[str], names: Sequence[str], *, max_bytes: int = MAX_BYTES
) -> tuple[Meta, dict[str, Array]]:
    """Read some columns of a file, which is screened as a whole; see `load`.

    Raises:
        InputError: as for `load`.
    """
    with _reading(path, max_bytes) as file:
        meta = _screened(file, max_bytes).meta
        columns = {name: from_stored(COLUMNS[name], file[name][...]) for name in names}
        check_values(columns)
        return meta, columns


def verify(path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> Report:
    """Read all of a data set and compare its content with the content hash that stands in it.

    Of a folder, moreover hold every byte of every shard against the manifest.

    Args:
        path: of the file or folder.
        max_bytes: as for `load`; of a folder for each shard.

    Raises:
        InputError: `load` could not read it.
        CheckFailed: it can be read, but its content is not what was written.
    """
    if os.path.isdir(locate(path)):
        return _verify_folder(open_folder(locate(path), partial(read_columns, max_bytes=max_bytes)))
    with _reading(path, max_bytes) as file:
        dataset, stated = _load(file, max_bytes)
        found = content_sha256(dataset)
        if found != stated:
            raise CheckFailed(f"the content hash is {found}, but {stated!r} was written; the content was changed.")
    return _report(path, os.stat(locate(path)).st_size, 1, dataset)


def _verify_folder(folder: Folder) -> Report:
    check_folder(folder)
    shards = folder.manifest.shards
    n_bytes = sum(shard.n_bytes for shard in shards) + os.stat(folder.path / MANIFEST).st_size
    return _report(folder.path, n_bytes, len(shards), folder)


def _report(path: str | os.PathLike[str], n_bytes: int, n_shards: int, table: Table) -> Report:
    return Report(
        path=os.fspath(path),
        n_bytes=n_bytes,
        n_shards=n_shards,
        n_runs=table.n_runs,
        recipe_name=table.meta.recipe_name,
        format_version=table.meta.format_version,
        content_sha256=table.content_sha256,
    )


def read_meta(path: str | os.PathLike[str]) -> Meta:
    """Read what gives the columns their meaning, and nothing else.

    Raises:
        InputError: the file is missing, damaged, foreign or of a newer format.
    """
    with _reading(path, None) as file:
        return Meta.from_text(_read_attributes(file))


@contextlib.contextmanager
def _reading(path: str | os.PathLike[str], max_bytes: int | None) -> Iterator[h5py.File]:
    """An open file, a shipped one by its name too; every failure comes out as one sentence that names the path.

    All that is going to be done to it is done in a process of its own first, which may hang or crash in place of this
    one: HDF5 does both on files that were made for it.

    Args:
        path: of the file.
        max_bytes: as for `_read_first`.
    """
    path = locate(path)
    file_as_it_was = _rehearse_reading(path, max_bytes)
    with _failures_explained(path), h5py.File(path, "r") as file:
        _check_that_it_was_rehearsed(file, file_as_it_was)
        yield file


_rehearsed: set[tuple[int, ...]] = set()
"""Files that were read well as a whole in a rehearsal, by what `_as_it_is` says of them.

The shards of a folder are read many times; a fork each time would take longer than all the rest."""


def _as_it_is(status: os.stat_result) -> tuple[int, ...]:
    """What tells a file from every other and from itself after a change."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _check_that_it_was_rehearsed(file: h5py.File, file_as_it_was: tuple[int, ...]) -> None:
    if _as_it_is(os.fstat(file.id.get_vfd_handle())) != file_as_it_was:
        raise InputError("it was changed while it was read; try again.")


def _rehearse_reading(path: Path, max_bytes: int | None) -> tuple[int, ...]:
    """Read a file in a process of its own unless that went well before; what `_as_it_is` says of the file."""
    with _failures_explained(path):
        status = _check_plain_hdf5(path)
    file_as_it_is = _as_it_is(status)
    if file_as_it_is in _rehearsed:
        return file_as_it_is
    seconds = round(REHEARSAL_SECONDS + status.st_size / REHEARSAL_BYTES_PER_SECOND, 1)
    limits = RehearsalLimits(seconds, REHEARSAL_MEMORY)
    try:
        try:
            rehearse(partial(_read_first, path, max_bytes), limits)
        except ForkFailed:
            rehearse_afresh(f"{__name__}:{_read_first.__name__}", [os.path.abspath(path), max_bytes], limits)
    except ChildFailed as error:
        raise InputError(
            f"{os.fspath(path)}: it was read in a process of its own, and {error}; do not trust the file."
        ) from None
    if max_bytes is not None:
        if len(_rehearsed) >= MOST_REMEMBERED:
            _rehearsed.clear()
        _rehearsed.add(file_as_it_is)
    return file_as_it_is


def _read_first(path: str | os.PathLike[str], max_bytes: int | None) -> None:
    """Do to a file all that is going to be done to it, but keep nothing.

    Args:
        path: of the file.
        max_bytes: as for `load`; None: only the attributes are going to be read.
    """
    with _failures_explained(Path(path)), h5py.File(path, "r") as file:
        if max_bytes is None:
            _read_attributes(file)
        else:
            _touch(file, max_bytes)


@contextlib.contextmanager
def _failures_explained(path: Path) -> Iterator[None]:
    """Whatever goes wrong while a file is read becomes one sentence that names its path."""
    try:
        yield
    except CurveBenchError as error:
        raise type(error)(f"{os.fspath(path)}: {error}") from error.__cause__
    except MemoryError:
        raise InputError(f"{os.fspath(path)}: the data set does not fit into memory.") from None
    except (OSError, RuntimeError, LookupError, ValueError, TypeError) as error:  # whatever h5py makes of damage
        reason = " ".join(str(error).split())
        raise InputError(
            f"{os.fspath(path)}: the file is damaged or cut short (HDF5: {reason}); get it again."
        ) from error


def _check_plain_hdf5(path: str | os.PathLike[str]) -> os.stat_result:
    """Look at the first bytes, before HDF5 does; size, times and place of the file."""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a plain file"
            raise InputError(f"it is {kind}; a data set is a file.")
        with open(path, "rb") as file:
            start = file.read(len(_SIGNATURE))
    except FileNotFoundError:
        raise InputError(f"there is no such file.{suggestion(path)}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"it cannot be opened: {getattr(error, 'strerror', None) or error}.") from None
    if not start:
        raise InputError("the file is empty; a data set is an HDF5 file.")
    if start != _SIGNATURE:
        raise InputError("it is not an HDF5 file (by its first bytes); a data set is one.")
    return status


@dataclass(frozen=True)
class Opened:
    """A data set in an open file, screened, of which rows are read when they are asked for.

    Attributes:
        path: of the file.
        meta: what gives the columns their meaning.
        n_runs: rows.
        n_points: points of every curve.
        content_sha256: the content hash that stands in the file; only `verify` compares it with the content.
        row_bytes: bytes of a row in the file's types.
    """

    path: Path
    meta: Meta
    n_runs: int
    n_points: int
    content_sha256: str
    row_bytes: int
    _file: h5py.File

    def column(self, name: str) -> Array:
        """All of one column, (n_runs, ...), as it is in memory; its values are not checked."""
        with _failures_explained(self.path):
            return from_stored(COLUMNS[name], self._file[name][...])

    def rows(self, start: int, stop: int) -> Dataset:
        """The rows from `start` up to `stop`, which is left out; fewer at the end.

        Raises:
            InputError: something in them is not as the format wants it.
        """
        with _failures_explained(self.path):
            columns = {name: from_stored(column, self._file[name][start:stop]) for name, column in COLUMNS.items()}
            return Dataset(columns, self.meta)

    def batches(self, n_bytes: int = BATCH_BYTES) -> Iterator[Dataset]:
        """All rows in their order, in parts of about so many bytes each; none where there are no rows.

        Raises:
            InputError: as for `rows`.
        """
        n_rows = _n_rows(n_bytes, self.row_bytes)
        for start in range(0, self.n_runs, n_rows):
            yield self.rows(start, start + n_rows)


@dataclass(frozen=True)
class OpenedFolder:
    """The same of a folder: rows come in the parts in which one file with all of them would give them.

    Attributes:
        folder: whose manifest is in order.
    """

    folder: Folder

    @property
    def meta(self) -> Meta:
        """What gives the columns their meaning."""
        return self.folder.meta

    @property
    def n_runs(self) -> int:
        """Rows."""
        return self.folder.n_runs

    @property
    def n_points(self) -> int:
        """Points of every curve."""
        return self.folder.n_points

    @property
    def content_sha256(self) -> str:
        """The content hash that stands in the manifest; only `verify` compares it with the content."""
        return self.folder.manifest.content_sha256

    @property
    def row_bytes(self) -> int:
        """Bytes of a row in the file's types."""
        return sum(column.itemsize * math.prod(column_shape(self.folder, column, 1)) for column in COLUMNS.values())

    def column(self, name: str) -> Array:
        """All of one column, (n_runs, ...)."""
        return self.folder.column(name)

    def batches(self, n_bytes: int = BATCH_BYTES) -> Iterator[Dataset]:
        """As of a file; a shard is in memory besides.

        Raises:
            InputError: a shard is missing or damaged, or not what the manifest says.
        """
        yield from self.folder.batches(_n_rows(n_bytes, self.row_bytes))


def _n_rows(n_bytes: int, row_bytes: int) -> int:
    return max(1, n_bytes // max(1, row_bytes))


@contextlib.contextmanager
def open_rows(path: str | os.PathLike[str]) -> Iterator[Opened | OpenedFolder]:
    """Open a data set to read it in parts, in memory that does not grow with it but for the names of its runs.

    Args:
        path: of the file or folder, or the name of a data set that comes with the package.

    Raises:
        InputError: as for `load`; also while the block reads rows.
    """
    path = locate(path)
    if os.path.isdir(path):
        opened = OpenedFolder(open_folder(path, read_columns))
        check_names(opened.folder, opened.column("run"))
        yield opened
        return
    with _open_file(path) as file:
        yield file


@contextlib.contextmanager
def _open_file(path: Path) -> Iterator[Opened]:
    file_as_it_was = _rehearse_reading(path, sys.maxsize)
    with contextlib.ExitStack() as stack:
        with _failures_explained(path):
            file = stack.enter_context(h5py.File(path, "r"))
            _check_that_it_was_rehearsed(file, file_as_it_was)
            screened = _screened(file, sys.maxsize)
            runs, content_sha256 = file["run"][...], screened.content_sha256
            if len(np.unique(runs)) != len(runs):
                raise InputError("`run` names a run more than once.")
            if not re.fullmatch("[0-9a-f]{64}", content_sha256):
                raise InputError(f"its attribute 'content_sha256' is {content_sha256!r}, which is no SHA-256.")
            opened = Opened(
                path=path,
                meta=screened.meta,
                n_runs=len(runs),
                n_points=int(file["train_loss"].shape[1]),
                content_sha256=content_sha256,
                row_bytes=sum(column.itemsize * math.prod(file[name].shape[1:]) for name, column in COLUMNS.items()),
                _file=file,
            )
        yield opened


def _load(file: h5py.File, max_bytes: int) -> tuple[Dataset, str]:
    """The data set and the content hash that the file states. Reads no array before all is screened."""
    screened = _screened(file, max_bytes)
    columns = {name: from_stored(column, file[name][...]) for name, column in COLUMNS.items()}
    return Dataset(columns, screened.meta), screened.content_sha256


def _touch(file: h5py.File, max_bytes: int) -> None:
    """Do what reading does, but keep nothing: the memory that it takes does not depend on what the file declares."""
    _screened(file, max_bytes)
    for name in COLUMNS:
        for piece in _pieces(file[name]):
            file[name][piece]


def _pieces(stored: h5py.Dataset) -> Iterator[slice]:
    """Rows that take little memory each, and whole chunks of them where there are chunks."""
    if stored.size == 0:
        return
    n_rows = max(1, _PIECE_BYTES // (stored.nbytes // len(stored)))
    if stored.chunks:
        n_rows = math.ceil(n_rows / stored.chunks[0]) * stored.chunks[0]
    yield from (slice(start, start + n_rows) for start in range(0, len(stored), n_rows))


# -------------------------------------------------------------------------------------------- screening


@dataclass(frozen=True)
class _Screened:
    """What is known of a file in which nothing is amiss.

    Attributes:
        meta: what gives the columns their meaning.
        content_sha256: the content hash that the file states.
    """

    meta: Meta
    content_sha256: str


@lru_cache(maxsize=64)
def _meta_of(texts: tuple[str, ...]) -> Meta:
    """One object for all shards that say the same of themselves; each has the whole recipe in it."""
    return Meta.from_text(dict(zip(Meta.__dataclass_fields__, texts, strict=True)))


def _screened(file: h5py.File, max_bytes: int) -> _Screened:
    """What a file, which was rehearsed, says of itself, after a look at everything but the values in it."""
    attributes = _read_attributes(file)
    meta = _meta_of(tuple(attributes[name] for name in Meta.__dataclass_fields__))
    _screen_links(file)
    _screen_columns(file, meta, max_bytes)
    return _Screened(meta, attributes["content_sha256"])


def _read_attributes(file: h5py.File) -> dict[str, str]:
    """The text of the root attributes that the format knows, in a file of this format and version."""
    if not h5a.exists(file.id, b"format") or _attribute_text(file, "format") != FORMAT_NAME:
        raise InputError("it is an HDF5 file, but not a data set of CurveBench (its attribute `format` says so).")
    version = _attribute_text(file, "format_version") if h5a.exists(file.id, b"format_version") else "none"
    if version != str(FORMAT_VERSION):
        raise InputError(
            f"its format version is {version!r}; this program reads version {FORMAT_VERSION}; "
            "update curvebench or convert the file."
        )
    names = [*Meta.__dataclass_fields__, "content_sha256"]
    if missing := [name for name in names if not h5a.exists(file.id, name.encode())]:
        raise InputError(f"its attributes {', '.join(missing)} are missing; every data set has them.")
    return {name: _attribute_text(file, name) for name in names}


def _attribute_text(file: h5py.File, name: str) -> str:
    attribute = h5a.open(file.id, name.encode())
    kind = attribute.get_type()
    is_fixed_text = kind.get_class() == h5t.STRING and not kind.is_variable_str()
    if not is_fixed_text or attribute.get_space().get_simple_extent_type() != h5s.SCALAR:
        raise InputError(f"its attribute {name!r} is not one text of fixed length, as the format asks.")
    if kind.get_size() > MAX_ATTRIBUTE_BYTES:
        raise InputError(f"its attribute {name!r} has {kind.get_size()} bytes; at most {MAX_ATTRIBUTE_BYTES} are read.")
    try:
        return bytes(file.attrs[name]).decode()
    except UnicodeDecodeError:
        raise InputError(f"its attribute {name!r} is not UTF-8.") from None


def _screen_links(file: h5py.File) -> None:
    """No entry may point out of the file, or go deeper than its root."""
    if len(file) > MAX_ROOT_ENTRIES:
        raise InputError(f"it has {len(file)} entries; more than {MAX_ROOT_ENTRIES} are not read.")
    for name in file:
        key = name.encode("utf-8", "surrogateescape")
        if file.id.links.get_info(key).type != h5l.TYPE_HARD:
            raise InputError(f"{name!r} is a soft or external link; links are not followed, do not trust the file.")
        if h5o.get_info(file.id, key).type != h5o.TYPE_DATASET:
            raise InputError(f"{name!r} is not a plain HDF5 dataset; the format has no groups or named types.")


def _screen_columns(file: h5py.File, meta: Meta, max_bytes: int) -> None:
    """Every column there, stored plainly, of the right type and shape, and of a size that can be true."""
    if missing := [name for name in COLUMNS if name not in file]:
        raise InputError(f"its columns {', '.join(missing)} are missing; every data set has them.")
    shapes, faults, n_bytes, on_disk = {}, [], 0, 0
    for name, column in COLUMNS.items():
        stored = h5d.open(file.id, name.encode())
        _screen_storage(name, stored.get_create_plist())
        faults += _type_faults(column, stored.get_type())
        shapes[name] = stored.shape if stored.shape is not None else ()
        n_bytes += _screen_size(column, stored)
        on_disk += int(stored.get_storage_size())
    if on_disk > file.id.get_filesize():
        raise InputError(f"its columns take {on_disk} bytes of a smaller file; some lie on others, do not trust it.")
    faults += shape_faults(shapes, meta.remedies)
    if faults:
        raise InputError(f"its columns are not as the format wants them: {'; '.join(faults)}.")
    if n_bytes > max_bytes:
        raise InputError(f"it declares {n_bytes} bytes of data; the limit is {max_bytes} unless you raise it.")


def _screen_storage(name: str, creation: Any) -> None:
    """No bytes from elsewhere, and no filter that is not built in; asked before anything opens them."""
    if creation.get_layout() not in (h5d.CHUNKED, h5d.CONTIGUOUS, h5d.COMPACT):
        raise InputError(f"`{name}` is a virtual dataset, which reads other files; do not trust the file.")
    if creation.get_external_count():
        raise InputError(f"`{name}` keeps its bytes in another file; do not trust the file.")
    filters = [creation.get_filter(i)[0] for i in range(creation.get_nfilters())]
    if unknown := [code for code in filters if code not in ALLOWED_FILTERS]:
        raise InputError(
            f"`{name}` is stored with the filters {unknown}; allowed are {', '.join(ALLOWED_FILTERS.values())}; "
            "repack it with gzip (h5repack -f GZIP=4)."
        )
    if len(set(filters)) != len(filters):
        raise InputError(f"`{name}` passes a filter twice; do not trust the file.")


def _type_faults(column: Column, kind: h5t.TypeID) -> list[str]:
    wanted = f"the format asks for {column.dtype!r}"
    code = kind.get_class()
    if code not in (h5t.INTEGER, h5t.FLOAT, h5t.STRING):
        return [f"`{column.name}` does not hold numbers or text of fixed length; {wanted}"]
    if code == h5t.STRING and kind.is_variable_str():
        return [f"`{column.name}` holds text of variable length; {wanted}"]
    if kind.dtype != np.dtype(column.dtype):
        return [f"`{column.name}` has the type {kind.dtype.str!r}; {wanted}"]
    if kind.committed() or (code != h5t.STRING and not kind.equal(h5t.py_create(np.dtype(column.dtype)))):
        return [f"`{column.name}` has a type of its own, which is only like {column.dtype!r}; {wanted}"]
    return []


def _screen_size(column: Column, stored: h5d.DatasetID) -> int:
    """Bytes that the column takes in memory, if what is stored can amount to that."""
    itemsize = int(stored.get_type().get_size())
    declared = itemsize * math.prod(stored.shape or (0,))
    on_disk = int(stored.get_storage_size())
    if declared > INFLATION_FLOOR and declared > MAX_INFLATION * on_disk:
        raise InputError(f"`{column.name}` declares {declared} bytes, but stores {on_disk}; do not trust the file.")
    creation = stored.get_create_plist()
    if creation.get_layout() == h5d.CHUNKED:
        chunk = itemsize * math.prod(creation.get_chunk())
        if chunk > MAX_CHUNK_BYTES:
            raise InputError(f"`{column.name}` has chunks of {chunk} bytes; at most {MAX_CHUNK_BYTES} are read.")
    return declared
