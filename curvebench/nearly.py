"""Names that are nearly right: what was probably meant."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from itertools import islice

_LONGEST = 255
"""Characters of a name that are compared; comparing takes their square."""

_LIKENESS_OF_FILES = 0.8
"""How alike the names of two files must be; 1 is the same. Endings often are, so it is more than for other names."""

_MOST_FILES = 5_000
"""Files of a folder that are looked at; folders of shards can have very many."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question to be put after a complaint about a name; empty where no known one is like it.

    >>> did_you_mean("rulse", ["rules", "forest"]), did_you_mean("xyz", ["rules"])
    (" Did you mean 'rules'?", '')
    """
    near = difflib.get_close_matches(name[:_LONGEST], list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def did_you_mean_file(path: str | os.PathLike[str]) -> str:
    """The same about a file that does not exist: one in the same folder with nearly that name."""
    folder, name = os.path.split(os.fsdecode(os.fspath(path)))
    try:
        with os.scandir(folder or ".") as entries:
            names = [entry.name for entry in islice(entries, _MOST_FILES)]
    except (OSError, ValueError):
        return ""
    near = difflib.get_close_matches(name[:_LONGEST], names, n=1, cutoff=_LIKENESS_OF_FILES)
    return f" Did you mean {os.path.join(folder, near[0])!r}?" if near else ""
