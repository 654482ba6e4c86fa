"""Folders that an export writes: they appear whole or not at all, and replace nothing but an earlier export."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from curvebench.data.store import sync, temporary_name, why_not_written
from curvebench.spec import UsageError

_EXPORTED = re.compile(
    r"README\.md|croissant\.json|data/(train|test|test_ood)\.parquet|[^/]+_(TRAIN|TEST|TEST_OOD)\.ts"
    r"|(runs|curves|remedies)\.csv"
)
"""Files that exports write."""


def check_folder(path: Path, *, overwrite: bool = False) -> None:
    """Find out early whether a folder could appear at a path.

    Raises:
        UsageError: it could not, and why.
    """
    if "\0" in str(path):
        raise UsageError(f"{str(path)!r} cannot be written: a path has no NUL character.")
    parent = path.parent
    try:
        if not parent.is_dir():
            raise UsageError(f"{path} cannot be written: the folder {parent} does not exist; create it first.")
        if os.path.lexists(path):
            _check_replaceable(path, overwrite)
    except OSError as error:
        raise UsageError(why_not_written(path, error)) from None
    if not os.access(parent, os.W_OK | os.X_OK):
        raise UsageError(f"{path} cannot be written: the folder {parent} does not allow it.")


def _check_replaceable(path: Path, overwrite: bool) -> None:
    if path.is_symlink() or not path.is_dir():
        raise UsageError(
            f"{path} cannot be written: it is not a folder, and this export makes one; choose another name."
        )
    if not overwrite:
        raise UsageError(f"{path} already exists; choose another name or allow it to be overwritten.")
    for found in path.rglob("*"):
        name = found.relative_to(path).as_posix()
        is_exported = found.is_dir() if name == "data" else found.is_file() and _EXPORTED.fullmatch(name)
        if found.is_symlink() or not is_exported:
            raise UsageError(f"{path} is not replaced: it holds {name}, which no export wrote; choose another name.")


@contextmanager
def publishing_folder(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Let a folder appear at the path when the block ends, or leave what was there.

    Yields:
        An empty folder to write into.

    Raises:
        UsageError: the folder cannot be written, the disk is full, or something is there that is not replaced.
    """
    temporary = temporary_name(path)
    try:
        check_folder(path, overwrite=overwrite)
        temporary.mkdir()
        yield temporary
        check_folder(path, overwrite=overwrite)
        sync(temporary)
        _move(temporary, path)
        sync(path.parent)
    except OSError as error:
        raise UsageError(why_not_written(path, error)) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _move(temporary: Path, path: Path) -> None:
    """Rename; a folder that is there goes only once the new one has its name."""
    if not os.path.lexists(path):
        os.rename(temporary, path)
        return
    old = temporary_name(path)
    os.rename(path, old)
    try:
        os.rename(temporary, path)
    except BaseException:
        os.rename(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)
