"""JSON from strangers: every value is asked for by kind and size, and what is wrong is said with its place."""

from __future__ import annotations

import json
import math
from collections.abc import Collection
from typing import Any

from curvebench.spec import InputError

MAX_TEXT = 1000
"""Characters of any text."""

MAX_ITEMS = 1000
"""Entries of any list or object."""


def parse(content: bytes, place: str) -> Node:
    """Read JSON, in which NaN and infinity have no place.

    Raises:
        InputError: it is none.
    """

    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is no JSON")

    try:
        return Node(json.loads(content.decode(), parse_constant=refuse), place)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place} is no JSON: {str(error)[:100]}.") from None


class Node:
    """A value with its place in the file. All methods raise `InputError` where it is something else."""

    def __init__(self, value: object, place: str) -> None:
        self.value, self.place = value, place

    def _refuse(self, wanted: str) -> InputError:
        shown = self.value if isinstance(self.value, str) else json.dumps(self.value)
        return InputError(f"{self.place} is {shown[:40]!r}; it must be {wanted}.")

    @property
    def is_null(self) -> bool:
        """Whether it is null."""
        return self.value is None

    def text(self, *, longest: int = MAX_TEXT, allowed: Collection[str] | None = None) -> str:
        """A text of printable characters."""
        if not isinstance(self.value, str) or len(self.value) > longest or not self.value.isprintable():
            raise self._refuse(f"one line of text of at most {longest} characters")
        if allowed is not None and self.value not in allowed:
            raise self._refuse(f"one of {', '.join(allowed)}")
        return self.value

    def sha256(self) -> str:
        """64 hexadecimal digits."""
        text = self.text(longest=64)
        if len(text) != 64 or set(text) - set("0123456789abcdef"):
            raise self._refuse("64 hexadecimal digits")
        return text

    def integer(self, low: int = 0, high: int = 2**63 - 1) -> int:
        """A whole number."""
        if isinstance(self.value, bool) or not isinstance(self.value, int) or not low <= self.value <= high:
            raise self._refuse(f"a whole number from {low} to {high}")
        return self.value

    def number(self, low: float = -math.inf, high: float = math.inf) -> float:
        """A finite number."""
        is_number = isinstance(self.value, int | float) and not isinstance(self.value, bool)
        if not is_number or not abs(self.value) < 1e300 or not low <= self.value <= high:  # type: ignore[arg-type, operator]
            raise self._refuse("a number" if low == -math.inf else f"a number from {low} to {high}")
        return float(self.value)  # type: ignore[arg-type]

    def number_or_none(self, low: float = -math.inf, high: float = math.inf) -> float | None:
        """A finite number, or null."""
        return None if self.value is None else self.number(low, high)

    def list(self, length: int | None = None) -> list[Node]:
        """A list of that length, or of any that is reasonable."""
        if not isinstance(self.value, list) or len(self.value) > MAX_ITEMS:
            raise self._refuse(f"a list of at most {MAX_ITEMS} items")
        if length is not None and len(self.value) != length:
            raise InputError(f"{self.place} has {len(self.value)} items; it must have {length}.")
        return [Node(value, f"{self.place}[{i}]") for i, value in enumerate(self.value)]

    def map(self, *, allowed: Collection[str] | None = None) -> dict[str, Node]:
        """An object with any keys, or any of those that are allowed."""
        if not isinstance(self.value, dict) or len(self.value) > MAX_ITEMS:
            raise self._refuse(f"an object of at most {MAX_ITEMS} entries")
        nodes = {
            Node(key, f"a key of {self.place}").text(): Node(v, f"{self.place}.{key}") for key, v in self.value.items()
        }
        if allowed is not None and (unknown := sorted(set(nodes) - set(allowed))):
            raise InputError(f"{self.place} has the key {unknown[0]!r}; allowed are {', '.join(allowed)}.")
        return nodes

    def object(self, *keys: str) -> dict[str, Node]:
        """An object with exactly these keys."""
        nodes = self.map(allowed=keys)
        if missing := [key for key in keys if key not in nodes]:
            raise InputError(f"{self.place} lacks the key {missing[0]!r}.")
        return nodes
