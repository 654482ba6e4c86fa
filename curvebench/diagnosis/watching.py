"""Following a log that grows, and when a verdict on it is firm."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from curvebench.diagnosis.verdict import Verdict

N_LOOKS = 3
"""Looks in a row that have to agree."""

GROWTH = 1.1
"""Each of them has to see this many times the points of the one before."""


class Watch:
    """Remembers what was said at each look, and knows when it is firm.

    A verdict is firm when `N_LOOKS` looks in a row gave the same diagnosis, none abstained, and each saw a log with
    `GROWTH` times the points of the one before. A look at a log that grew by less changes nothing, unless the log has
    begun anew with fewer points.
    """

    def __init__(self) -> None:
        self._agreed: list[tuple[str, int]] = []

    def sees(self, verdict: Verdict) -> bool:
        """Take in one more look; whether the verdict is firm by now."""
        n = len(verdict.curve)
        if self._agreed and n < self._agreed[-1][1]:
            self._agreed = []
        if self._agreed and n < GROWTH * self._agreed[-1][1]:
            return False
        if verdict.diagnosis is None or (self._agreed and verdict.diagnosis != self._agreed[-1][0]):
            self._agreed = []
        if verdict.diagnosis is not None:
            self._agreed.append((verdict.diagnosis, n))
        return len(self._agreed) >= N_LOOKS


def looks(
    look: Callable[[], Verdict | None],
    *,
    every: float,
    patience: float,
    sleep: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[tuple[Verdict, bool]]:
    """Look at a log again and again, with a pause between, until the verdict is firm or the log grows no more.

    Args:
        look: reads and judges the log; None while nothing can be read.
        every: seconds between two looks.
        patience: seconds without a new point after which the log is taken for finished.
        sleep: waits so many seconds.
        clock: seconds that only ever grow.

    Yields:
        Each verdict on a log that has grown, and whether it is firm; the last one is if any is.
    """
    watch = Watch()
    n_points, grown = 0, clock()
    while clock() - grown < patience:
        verdict = look()
        if verdict is not None and len(verdict.curve) != n_points:
            n_points, grown = len(verdict.curve), clock()
            is_firm = watch.sees(verdict)
            yield verdict, is_firm
            if is_firm:
                return
        sleep(every)
