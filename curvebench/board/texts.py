"""Texts of strangers, made fit to be shown: on one line, cut to a length, without characters that reorder or hide."""

from __future__ import annotations

import re
import string
import unicodedata

_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn"}
"""Unicode categories of characters that are not seen but change how others are."""

_MARKS_IN_A_ROW = 3

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_SIGNS = set(string.punctuation) - set("/-,")
"""Signs that Markdown lets a backslash stand before; the three left out mean nothing inside a line."""


def clean(text: str, limit: int) -> str:
    r"""One line of at most `limit` characters; hidden characters become a replacement sign.

    >>> clean("a\n b\u202e c", 20), clean("abcdef", 4)
    ('a b� c', 'abc…')
    """
    line = " ".join(text[: 8 * limit].split())
    line = "".join("\ufffd" if unicodedata.category(c) in _HIDDEN else c for c in line)
    line = _without_towers(line)
    return line if len(line) <= limit and len(text) <= 8 * limit else line[: limit - 1] + "…"


def _without_towers(line: str) -> str:
    """At most a few combining marks on a letter, so that none reaches into the lines above and below."""
    kept: list[str] = []
    n_marks = 0
    for character in line:
        n_marks = n_marks + 1 if unicodedata.combining(character) else 0
        if n_marks < _MARKS_IN_A_ROW:
            kept.append(character)
    return "".join(kept)


def to_markdown(text: str) -> str:
    r"""The text as it is, in a cell of a Markdown table: every sign that could mean something is escaped.

    >>> to_markdown("zoo/late-slope"), to_markdown("[a](b) <i>|")
    ('zoo/late-slope', '\\[a\\]\\(b\\) &lt;i&gt;\\|')
    """
    return "".join(_ENTITIES.get(c) or (f"\\{c}" if c in _SIGNS else c) for c in text)


def link_target(text: str) -> str | None:
    """The text if it is a web address that may become a link, else None.

    >>> link_target("https://example.org/a"), link_target("javascript:alert(1)")
    ('https://example.org/a', None)
    """
    return text if re.fullmatch(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[!#-;=?-_a-z~]*)?", text) else None
