"""The bytes of a file that may turn out to be anything: a pipe, a device, a folder, larger than memory."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def read_plain_file(path: Path, at_most: int) -> bytes:
    """All bytes of an ordinary file of bounded size; never waits for anybody.

    Raises:
        OSError: it cannot be opened, is no ordinary file, or is larger; its `strerror` says so.
        ValueError: the path has a NUL character.
    """
    with open(path, "rb", opener=_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is not a plain file")
        content = file.read(at_most + 1)
    if len(content) > at_most:
        raise OSError(errno.EFBIG, f"it has more than {at_most:,} bytes")
    return content


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
