"""How a published rule is read off one curve, step by step, as its authors' programs go through a training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from curvebench.spec import TRACKS


@contextmanager
def comparisons_with_anything() -> Iterator[None]:
    """NaN and inf are what the rules must stand; numpy shall not warn of them."""
    with np.errstate(all="ignore"):
        yield


def channels_of(curve: np.ndarray, track: str) -> dict[str, np.ndarray]:
    """Channel -> its values in double precision."""
    return {name: curve[i].astype(np.float64) for i, name in enumerate(TRACKS[track])}


def stalls(losses: np.ndarray, n_checks: int, is_better: Callable[[float, float], bool]) -> bool:
    """Patience, counted as a callback does."""
    best, n_bad = np.float64(np.inf), 0
    for loss in losses:
        if is_better(loss, best):
            best, n_bad = loss, 0
        else:
            n_bad += 1
        if n_bad >= n_checks:
            return True
    return False
