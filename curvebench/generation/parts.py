"""The folder beside an output where finished groups wait until all are there; in the hands of one call at a time."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from curvebench.data.folder import MANIFEST
from curvebench.spec import UsageError

try:
    import fcntl
except ImportError:  # Windows, where two calls at once are not noticed
    HAS_LOCKS = False
else:
    HAS_LOCKS = True

LOCK = "in-use"
"""File in the folder that the call at work has locked. The system unlocks it when a process ends, however it ends."""


@contextlib.contextmanager
def parts_folder(output: Path, made_with: Mapping[str, str]) -> Iterator[Path]:
    """Hold the folder `<output>.parts`, and give the one in it for parts that were made with just that.

    Parts made with anything else lie in other folders beside it: they are neither mixed with these nor lost. What is
    empty at the end is removed.

    Args:
        output: the file that is to be made of the parts.
        made_with: all that the bits of a part depend on.

    Raises:
        UsageError: another call holds the folder, or it cannot be made.
    """
    folder = _folder_of(output, made_with)
    with _held(folder.parent):
        with _failing_in_a_sentence(folder):
            folder.mkdir(exist_ok=True)
        try:
            yield folder
        finally:
            with contextlib.suppress(OSError):
                folder.rmdir()


def _folder_of(output: Path, made_with: Mapping[str, str]) -> Path:
    digest = hashlib.sha256(json.dumps(made_with, sort_keys=True).encode()).hexdigest()
    return whole_folder(output) / f"made-with-{digest[:16]}"


def whole_folder(output: Path) -> Path:
    """Where everything unfinished of an output lies."""
    return output.parent / f"{output.name}.parts"


def was_left(output: Path, made_with: Mapping[str, str]) -> bool:
    """Whether a call that made an output of such parts ended before it had tidied up."""
    folder = _folder_of(output, made_with)
    return os.path.isdir(folder) or (os.path.isdir(folder.parent) and not any(folder.parent.glob("made-with-*")))


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    with _failing_in_a_sentence(folder):
        folder.mkdir(exist_ok=True)
        lock = _lock(folder / LOCK)
    if lock is None:
        raise UsageError(
            f"The folder {str(folder)!r} for unfinished work is in use by another call that makes the same output; "
            "wait for its end, or choose another output."
        )
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            (folder / LOCK).unlink(missing_ok=True)
            folder.rmdir()
        os.close(lock)


def _lock(path: Path) -> int | None:
    """Open a file and lock it; None if another call has it. Where there are no locks everybody gets it."""
    if not HAS_LOCKS:
        return os.open(os.devnull, os.O_RDONLY)
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # whoever had it removed the file before unlocking it: then the one that is locked here is of no use
        is_ours = os.path.samestat(os.fstat(descriptor), os.stat(path))
    except (BlockingIOError, FileNotFoundError):
        is_ours = False
    except OSError:  # a file system without locks
        is_ours = True
    if not is_ours:
        os.close(descriptor)
    return descriptor if is_ours else None


@contextlib.contextmanager
def _failing_in_a_sentence(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"The folder {str(folder)!r} for unfinished work cannot be made: {error.strerror}.") from None


def part_path(folder: Path, index: int) -> Path:
    """Where the shard of a group lies, by the group's number."""
    return folder / f"group-{index:06d}.h5"


def remove_unfinished(folder: Path) -> None:
    """Remove what killed calls left of shards and manifests that they were writing; who is still at it fails."""
    for pattern in (".group-*.tmp", f".{MANIFEST}.*.tmp"):
        for path in folder.glob(pattern):
            with contextlib.suppress(OSError):
                path.unlink()


def move_out(folder: Path, output: Path) -> None:
    """Let the folder of parts appear as the output, in one step.

    Raises:
        UsageError: it cannot, for instance because something is there.
    """
    try:
        folder.rename(output)
    except OSError as error:
        raise UsageError(f"The folder {str(output)!r} cannot be made: {error.strerror}.") from None


def remove_parts(folder: Path) -> None:
    """Remove all shards beside an output, whatever they were made with, and what killed workers left of some.

    Args:
        folder: any of those that `parts_folder` gave for the output.
    """
    for made_with in folder.parent.glob("made-with-*"):
        with contextlib.suppress(OSError):
            for pattern in ("group-*.h5", ".group-*.tmp", MANIFEST, f".{MANIFEST}.*.tmp"):
                for path in made_with.glob(pattern):
                    path.unlink()
            made_with.rmdir()
