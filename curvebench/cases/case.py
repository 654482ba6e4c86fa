"""One real case: a loss curve as it was printed somewhere, and what was found to help."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curvebench.logs.channels import channels_of
from curvebench.logs.curve import Curve
from curvebench.spec import DIAGNOSES, OTHER, Float, _Frozen

CASE_LABELS: tuple[str, ...] = (*DIAGNOSES, OTHER)
"""What a case may be labelled; `other`: what was wrong is none of ours, so that no remedy here would have helped."""

CONFIDENCES: tuple[str, ...] = ("high", "medium", "low")
"""How sure a label is: the remedy was tried there and helped; it was said but not shown; it is a reader's opinion."""

MAX_POINTS = 128
"""Whoever was fitted to nothing is shown at most as many points as a curve of a data set has."""

_IN_REPOSITORY = re.compile(r"(https?://[^/]+/[^/]+/[^/]+)/(?:-/)?(?:blob|tree|raw|commit)/.*", re.DOTALL)


@dataclass(frozen=True, eq=False)
class Case(_Frozen):
    """A loss curve and what is known about it.

    Attributes:
        id: unique in its file.
        label: one of `CASE_LABELS`.
        loss: (n_points,) float64, NaN and inf as they were printed.
        source_url: where it stands; empty where not said.
        kind: what sort of case it is, any word; empty where not said.
        confidence: one of `CONFIDENCES`; empty where not said.
        steps: (n_points,) ascending, or None: then the points are taken to lie evenly.
        val_loss: (n,) or None; as many values as the loss has, or spread evenly over the same time.
        learning_rate: (n_points,), or None where it is not known at every point.
    """

    id: str
    label: str
    loss: Float
    source_url: str = ""
    kind: str = ""
    confidence: str = ""
    steps: Float | None = None
    val_loss: Float | None = None
    learning_rate: Float | None = None

    @property
    def source(self) -> str:
        """Who it is from: the repository of a file in one, else the page; itself where nothing is said.

        >>> Case("a", "healthy", np.ones(1), "https://github.com/me/it/blob/main/logs/1.json").source
        'https://github.com/me/it'
        >>> Case("a", "healthy", np.ones(1), "https://github.com/me/it/issues/7").source
        'https://github.com/me/it/issues/7'
        """
        if not self.source_url:
            return f"case {self.id}"
        match = _IN_REPOSITORY.fullmatch(self.source_url)
        return match[1] if match else self.source_url

    @property
    def curve(self) -> Curve:
        """The case as a logged curve."""
        n_points = len(self.loss)
        return Curve(
            run=self.id,
            source="case",
            step_name="point" if self.steps is None else "step",
            steps=np.arange(n_points, dtype=np.float64) if self.steps is None else self.steps,
            train_loss=self.loss,
            val_loss=None if self.val_loss is None else _spread(self.val_loss, n_points),
            learning_rate=self.learning_rate,
        )

    def channels(self, track: str, n_points: int | None = None) -> NDArray[np.float32]:
        """What a diagnoser is shown.

        Args:
            track: one of `TRACKS`.
            n_points: that it was fitted to. None: as many as there are, at most `MAX_POINTS`; then no point is made up
                between those of a short series, and a diagnoser may look at how few there are.

        Returns:
            (n_channels, n_points) float32, see `channels_of`.
        """
        return channels_of(self.curve, track, n_points or min(len(self.loss), MAX_POINTS))


def _spread(values: Float, n_points: int) -> NDArray[np.float64]:
    """Values that lie evenly over n points, at each of these: the last that was known."""
    place = np.ceil(np.linspace(0, n_points - 1, len(values)) - 1e-9).astype(np.intp)
    if len(values) == 1:
        place[:] = n_points - 1
    known = np.searchsorted(place, np.arange(n_points), side="right") - 1
    spread: NDArray[np.float64] = np.where(known < 0, np.nan, np.asarray(values, dtype=np.float64)[known])
    return spread
