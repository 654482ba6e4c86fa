"""What strangers wrote: the bytes of a file that may turn out to be a pipe, a device or a folder, and TOML."""

from __future__ import annotations

import errno
import os
import stat
import tomllib
from pathlib import Path
from typing import Any

MAX_DOTS = 200
"""In a line of TOML. Python's time for a key grows with the square of its parts: a minute and more for 60,000 bytes."""


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


def parse_toml(text: str) -> dict[str, Any]:
    """What a text in TOML says.

    Raises:
        ValueError: it is not TOML, or has a line with more dots than anybody needs.
        RecursionError: it is nested too deep.

    >>> parse_toml("a.b = 1")
    {'a': {'b': 1}}
    """
    if (n_dots := max(line.count(".") for line in text.split("\n"))) > MAX_DOTS:
        raise ValueError(f"a line has {n_dots} dots; at most {MAX_DOTS} are read")
    return tomllib.loads(text)
