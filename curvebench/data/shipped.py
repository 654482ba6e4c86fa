"""Data sets that come with the package, and what a name or a path means."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from curvebench.nearly import did_you_mean_file


@dataclass(frozen=True)
class Shipped:
    """A data set that comes with the package.

    Attributes:
        path: of its file.
        content_sha256: its content hash.
    """

    path: Path
    content_sha256: str


SHIPPED: Mapping[str, Shipped] = {
    "mini": Shipped(
        Path(__file__).with_name("mini.h5"), "b771f6cd53b25bb9c2bfb9471d3e94fb65f19b346f00301ce6a269dd7d4a39fe"
    ),
    "mini-logs": Shipped(
        Path(__file__).with_name("mini-logs.h5"), "b5557f2ff813e1e8b03cdf241baa79a1d4e82a41ed14d0ae0c3294d1eeaca779"
    ),
    "mini-wide": Shipped(
        Path(__file__).with_name("mini-wide.h5"), "ac0401708953682ffe6641a67fba13990f344bf44383b927f93183783e15db6d"
    ),
}
"""Name -> data set. How each was made stands in docs/data.md."""


def locate(name_or_path: str | os.PathLike[str]) -> Path:
    """The file that is meant: the one at that path, or, where there is none, the shipped data set of that name.

    >>> locate("mini").name
    'mini.h5'
    """
    path = Path(name_or_path)
    shipped = SHIPPED.get(str(path))
    return path if shipped is None or os.path.lexists(path) else shipped.path


def suggestion(name_or_path: str | os.PathLike[str]) -> str:
    """A question about a shipped data set, or a file, with a name like that, to be put after a complaint; or nothing.

    >>> suggestion("mimi"), suggestion("other.h5")
    (" Did you mean 'mini', which comes with the package?", '')
    """
    near = difflib.get_close_matches(os.fspath(name_or_path), SHIPPED, n=1)
    return f" Did you mean {near[0]!r}, which comes with the package?" if near else did_you_mean_file(name_or_path)
