"""What all published rules share: they find something on a curve, and the finding stands for a diagnosis."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from curvebench.diagnosers.rules import probabilities_of
from curvebench.spec import DIAGNOSES, TRACKS, Bool, Float

NOTHING = "nothing"
"""The finding where no rule fires."""

N_EPOCHS = 32
"""Curves don't show where epochs end, so rules that work by epochs are given at most so many equal pieces. Logging more
points must not mean more checks; half of the trainings of `core` have 20 epochs, and a patience of ten needs room."""

Curves = Mapping[str, Float]
"""Channel -> (n_curves, n_points) float64, the channels of a diagnoser's track."""

Names = NDArray[np.str_]
"""(n_curves,) names of findings."""


class PublishedRules(ABC):
    """A set of rules that somebody published.

    Attributes:
        track: the smallest track that shows what the rules look at.
        source: who published them, and where.
        mapping: finding -> diagnosis, `NOTHING` included.
        least_points: on shorter curves the original never runs its test, so all are abstained from.
    """

    track: str = "curve"
    source: ClassVar[str]
    mapping: ClassVar[Mapping[str, str]]
    least_points: ClassVar[int] = 1

    @property
    def covers(self) -> tuple[str, ...]:
        """The diagnoses that some finding stands for; for all others the rules have no word."""
        return tuple(d for d in DIAGNOSES if d in self.mapping.values())

    def findings(self, X: Float) -> Names:
        """What the rules find on each curve, (n_curves,) keys of `mapping`.

        Args:
            X: (n_curves, n_channels, n_points), channels of the track or of a larger one; NaN and inf as they happened.

        Raises:
            ValueError: if X has another number of axes, too few channels or no point.
        """
        X = np.asarray(X)
        channels = TRACKS[self.track]
        if X.ndim != 3 or X.shape[1] < len(channels) or X.shape[2] == 0:
            raise ValueError(
                f"X must be (n_curves, n_channels, n_points) with at least {len(channels)} channels and one point, "
                f"not {X.shape}."
            )
        curves = {name: X[:, i].astype(np.float64) for i, name in enumerate(channels)}
        if X.shape[2] < self.least_points:
            return np.full(len(X), NOTHING)
        with np.errstate(all="ignore"):  # comparisons with what is not finite come out as in the originals
            return self._find(curves)

    @abstractmethod
    def _find(self, curves: Curves) -> Names:
        """The findings on curves of at least `least_points` points."""

    def predict_proba(self, X: Float) -> NDArray[np.float64]:
        """Probabilities (n_curves, 6), the same confidence in every finding; arguments and errors as for `findings`."""
        names, number = np.unique(self.findings(X), return_inverse=True)
        stands_for = np.array([DIAGNOSES.index(self.mapping[str(name)]) for name in names], dtype=np.intp)
        return probabilities_of(stands_for[number])

    def abstain(self, X: Float) -> Bool:
        """Whether the original would not have run any test, (n_curves,)."""
        return np.full(len(X), np.shape(X)[2] < self.least_points)


def first_that_holds(rules: Mapping[str, Bool], n_curves: int) -> Names:
    """The name of the first rule that holds on each curve, else `NOTHING`.

    Args:
        rules: finding -> (n_curves,) bool.
        n_curves: how many there are.

    >>> first_that_holds({"rises": np.array([True, False]), "noisy": np.array([True, True])}, 2).tolist()
    ['rises', 'noisy']
    """
    names = np.array([*rules, NOTHING])
    holds = np.array([*rules.values(), np.ones(n_curves, dtype=np.bool_)])
    found: Names = names[holds.argmax(axis=0)]
    return found


def by_epochs(curves: Curves) -> Curves:
    """The curves as a log of epochs, (n_curves, up to `N_EPOCHS`): means of the training loss, else the last values.

    >>> by_epochs({"train_loss": np.arange(64.0)[None], "val_loss": np.arange(64.0)[None]})["train_loss"][0, :3]
    array([0.5, 2.5, 4.5])
    """
    n_points = next(iter(curves.values())).shape[1]
    n_epochs = min(N_EPOCHS, n_points)
    edges = np.arange(n_epochs + 1) * n_points // n_epochs
    epochs = {name: curve[:, edges[1:] - 1] for name, curve in curves.items()}
    epochs["train_loss"] = np.add.reduceat(curves["train_loss"], edges[:-1], axis=1) / np.diff(edges)
    return epochs


def somewhere(holds: Bool) -> Bool:
    """Whether it holds at any point, (n_curves,) from (n_curves, n_points)."""
    return np.asarray(holds.any(axis=1))


def not_finite(*channels: Float) -> Bool:
    """Whether any of the channels (n_curves, n_points) has NaN or inf, (n_curves,)."""
    return somewhere(~np.isfinite(np.concatenate(channels, axis=1)))
