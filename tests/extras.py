"""Packages that a diagnoser needs and an installation may lack."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

NEEDED = {"cnn": "torch", "dtw-1nn": "aeon", "minirocket": "aeon"}
"""Diagnoser -> package."""

REASONS = {
    "aeon": "aeon 1.6 needs numba below 0.64, so it is not installed beside a newer one",
    "torch": "torch is not installed",
}


def is_installed(diagnoser: str) -> bool:
    """Whether the diagnoser of that name can be made."""
    return diagnoser not in NEEDED or find_spec(NEEDED[diagnoser]) is not None


def skip_without_what_it_needs(diagnoser: str) -> None:
    """End a test early where the diagnoser of that name can't be made."""
    if package := NEEDED.get(diagnoser):
        pytest.importorskip(package, reason=REASONS[package])
