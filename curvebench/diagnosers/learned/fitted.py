"""What the learned diagnosers share: a fitted one is a dictionary of arrays, so it can be stored without pickle."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from curvebench.spec import CHANNELS, DIAGNOSES, Float, Int, UsageError

Array = NDArray[Any]
Shape = tuple[int | None, ...]
"""Lengths of the axes of an array; None is any."""


class Learned(ABC):
    """A diagnoser that is fitted; what it learns are arrays.

    It can't be made, which is a `UsageError`, while a package that it needs is not installed.

    Attributes:
        classes: the diagnoses that it was shown, indices into `DIAGNOSES`; others get no probability.
        n_channels: of the curves that it was fitted to; zero before.
        n_points: of the curves that it was fitted to; it judges curves of any other number too.
        arrays: name -> what was learned; empty where there is a single class.
    """

    track = "curve"
    dtypes: ClassVar[Mapping[str, str]]
    """Name -> type of each array of `arrays`, in numpy's notation."""

    may_lack: tuple[str, ...] = ()
    """Channels of its track that may be NaN throughout, where a log has none."""

    needs: ClassVar[Mapping[str, str]] = {}
    """Package that need not be installed -> the extra of ours that brings it."""

    def __init__(self) -> None:
        for package, extra in self.needs.items():
            if find_spec(package) is None:
                raise UsageError(
                    f"{type(self).__name__} needs {package}, which is not installed: pip install 'curvebench[{extra}]'."
                )
        self.classes: tuple[int, ...] = ()
        self.n_channels = 0
        self.n_points = 0
        self.arrays: Mapping[str, Array] = {}

    def fit(self, X: Float, y: NDArray[np.str_]) -> Self:
        """Learn from labelled curves, always the same from the same.

        Args:
            X: (n_curves, n_channels, n_points), at least one curve, channels of any track.
            y: (n_curves,) diagnoses.

        Returns:
            Itself.
        """
        names, codes = np.unique(np.asarray(y), return_inverse=True)
        self.classes = tuple(DIAGNOSES.index(name) for name in names)
        self.n_channels, self.n_points = np.shape(X)[1:]
        self.arrays = {} if len(names) == 1 else self.typed(self.learn(np.asarray(X), codes))
        return self

    def predict_proba(self, X: Float) -> NDArray[np.float64]:
        """Probabilities (n_curves, 6) of curves (n_curves, n_channels, n_points) with any number of points.

        Raises:
            ValueError: it was not fitted, or X has other channels than the curves that it was fitted to.
        """
        X = np.asarray(X)
        if not self.classes:
            raise ValueError(f"{type(self).__name__} was not fitted; call fit(X, y) first.")
        if X.ndim != 3 or X.shape[1] != self.n_channels:
            raise ValueError(
                f"X has the shape {X.shape}, but this was fitted to (n_curves, {self.n_channels}, n_points)."
            )
        probabilities = np.zeros((len(X), len(DIAGNOSES)))
        if len(X):
            probabilities[:, self.classes] = self.judge(self.arrays, X) if self.arrays else 1.0
        return probabilities

    @classmethod
    def restored(cls, arrays: Mapping[str, Array], classes: tuple[int, ...], n_channels: int, n_points: int) -> Self:
        """A fitted diagnoser made of what another one learned; it gives the same answers bit for bit.

        Args:
            arrays: as its `arrays`; not trusted.
            classes: as its `classes`.
            n_channels: as its `n_channels`.
            n_points: as its `n_points`.

        Raises:
            ValueError: they do not fit together.
            UsageError: a package that this diagnoser needs is not installed.
        """
        made = cls()
        check(len(classes) > 0 and len(set(classes)) == len(classes), "no class, or one twice")
        check(all(0 <= c < len(DIAGNOSES) for c in classes), "an unknown class")
        check(1 <= n_channels <= len(CHANNELS) and n_points >= 1, "channels or points that no track has")
        check(set(arrays) == (set(cls.dtypes) if len(classes) > 1 else set()), "arrays missing or too many")
        for name, array in arrays.items():
            check(array.dtype == np.dtype(cls.dtypes[name]), f"{name} of the type {array.dtype}")
            check(array.dtype.kind != "f" or bool(np.isfinite(array).all()), f"{name} that is not finite")
        if arrays:
            made.check_arrays(arrays, len(classes), n_channels)
        made.classes, made.n_channels, made.n_points, made.arrays = classes, n_channels, n_points, dict(arrays)
        return made

    @classmethod
    def typed(cls, learned: Mapping[str, Any]) -> dict[str, Array]:
        """What was learned, in the types in which it is stored."""
        return {name: np.array(learned[name], dtype=dtype, order="C") for name, dtype in cls.dtypes.items()}

    @abstractmethod
    def learn(self, X: Float, codes: Int) -> dict[str, Any]:
        """What is learned, name -> array, from curves (n_curves, n_channels, n_points) of two classes at least.

        Args:
            X: the curves.
            codes: (n_curves,) number of the class of each, 0 up; each class has a curve.
        """

    @abstractmethod
    def judge(self, arrays: Mapping[str, Array], X: Float) -> NDArray[np.float64]:
        """Probabilities (n_curves, n_classes) by what was learned."""

    @abstractmethod
    def check_arrays(self, arrays: Mapping[str, Array], n_classes: int, n_channels: int) -> None:
        """Complain of arrays of the right names and types with which `judge` could not answer.

        Raises:
            ValueError: what is wrong.
        """


def check(holds: bool, complaint: str) -> None:
    """Complain unless a condition holds.

    Raises:
        ValueError: the complaint.
    """
    if not holds:
        raise ValueError(complaint)


def check_shapes(arrays: Mapping[str, Array], shapes: Mapping[str, Shape]) -> None:
    """Complain of arrays of another shape than expected.

    Raises:
        ValueError: which.
    """
    for name, shape in shapes.items():
        given = arrays[name].shape
        fits = len(given) == len(shape) and all(b in (None, a) for a, b in zip(given, shape, strict=True))
        check(fits, f"{name} of the shape {given}")
