"""Text files that end with a line's end."""

from __future__ import annotations

from pathlib import Path

from curvebench.data.store import sync


def write_text(path: Path, text: str) -> None:
    """A new file with a text in UTF-8, on the disk when this returns."""
    with open(path, "x", encoding="utf-8", newline="\n") as file:
        file.write(text)
    sync(path)
