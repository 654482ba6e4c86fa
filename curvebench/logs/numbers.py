"""Numbers as logs spell them: not-a-number and infinity in every dialect, and what stands where nothing was logged."""

from __future__ import annotations

import math
import re

MISSING = frozenset({"", "na", "n/a", "#n/a", "<na>", "null", "none", "nil", "-", "--"})
"""What stands in a cell where nothing was logged, in small letters."""

_NAN = re.compile(r"[-+]?(?:nan(?:\([^()]*\))?|1\.?#(?:qnan|snan|nan|ind)\w*)", re.IGNORECASE)
_INFINITY = re.compile(r"([-+]?)1\.?#inf\w*", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"[-+]?(?:\d{1,3}(?:\.\d{3})+|\d*),\d+(?:[eE][-+]?\d+)?")

_LONGEST = 400
"""Characters of the longest number: a double written out in full has at most about 330 before the point."""


def parse_number(text: str, *, decimal_comma: bool = False) -> float | None:
    """The number that a text spells; None where it says that nothing was logged.

    Args:
        text: a cell or a word; blanks and quotation marks around it do not matter.
        decimal_comma: whether a comma separates the decimals (and a point thousands).

    Raises:
        ValueError: it spells no number.

    >>> parse_number("1e999"), parse_number("-nan"), parse_number(" NA "), parse_number("0,5", decimal_comma=True)
    (inf, nan, None, 0.5)
    """
    word = text.strip().strip("\"'").strip()
    if word.lower() in MISSING:
        return None
    if len(word) > _LONGEST:
        raise ValueError("longer than any number")
    if decimal_comma and is_decimal_comma(word):
        word = word.replace(".", "").replace(",", ".")
    try:
        return float(word)
    except ValueError:
        if _NAN.fullmatch(word):
            return math.nan
        if match := _INFINITY.fullmatch(word):
            return -math.inf if match[1] == "-" else math.inf
        raise


def is_decimal_comma(text: str) -> bool:
    """Whether a text is a number with a comma before its decimals.

    >>> is_decimal_comma("0,52"), is_decimal_comma("1.234,5"), is_decimal_comma("0.52"), is_decimal_comma("a,b")
    (True, True, False, False)
    """
    return "," in text and _DECIMAL_COMMA.fullmatch(text.strip().strip('"')) is not None


def count_of(n: int, thing: str) -> str:
    """How many of a thing there are, in words that fit into a note.

    >>> count_of(1, "row"), count_of(2000, "row")
    ('1 row', '2,000 rows')
    """
    return f"{n:,} {thing}" if n == 1 else f"{n:,} {thing}s"


def number_of(value: object) -> float | None:
    """A value out of JSON as a number: also one that is spelled in a text; None for anything else.

    >>> number_of(3), number_of("NaN"), number_of(None), number_of(True), number_of("adam")
    (3.0, nan, None, None, None)
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    if isinstance(value, str):
        try:
            return parse_number(value)
        except ValueError:
            return None
    return None
