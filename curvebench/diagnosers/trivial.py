"""The competitors that give the scale its marks: doing nothing, always the same, chance, and knowing the answer."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from curvebench.remedies import diagnosis_of
from curvebench.spec import DIAGNOSES, Diagnosis, Float, Remedy


def one_hot(diagnoses: Sequence[str]) -> NDArray[np.float64]:
    """Probability one for each named diagnosis, (n, 6).

    >>> one_hot(["late_lr_too_high"]).tolist()
    [[0.0, 1.0, 0.0, 0.0, 0.0, 0.0]]
    """
    index = np.array([DIAGNOSES.index(d) for d in diagnoses], dtype=np.intp)
    return np.eye(len(DIAGNOSES))[index]


class Constant:
    """Always healthy; its value is zero by definition."""

    def predict_proba(self, X: Float) -> NDArray[np.float64]:
        """(n_curves, 6), all on healthy."""
        return one_hot([Diagnosis.HEALTHY] * len(X))


class Chance:
    """One diagnosis for each curve, all six equally likely, drawn from a hash of the curve and nothing else.

    The hash (BLAKE2b of the float32 bytes) makes the draw the same in every batch, process and repetition.
    """

    def predict_proba(self, X: Float) -> NDArray[np.float64]:
        """(n_curves, 6), all on the diagnosis that was drawn."""
        curves = np.ascontiguousarray(X, dtype="<f4")
        return one_hot([_drawn(curve.tobytes()) for curve in curves])


def _drawn(content: bytes) -> str:
    digest = blake2b(content, digest_size=8).digest()
    return DIAGNOSES[int.from_bytes(digest, "little") % len(DIAGNOSES)]


class ConstantBest:
    """One remedy for everybody, with the diagnosis that stands for its family.

    On the board the evaluator chooses the remedy: the best single one on the train split. This is the bar that a
    diagnoser has to pass.
    """

    def __init__(self, remedy: Remedy) -> None:
        self.remedy = remedy

    def predict_proba(self, X: Float) -> NDArray[np.float64]:
        """(n_curves, 6), all on the diagnosis of the remedy's family."""
        return one_hot([diagnosis_of(self.remedy)] * len(X))

    def prescribe(self, X: Float) -> list[Remedy]:
        """The same remedy for every curve."""
        return [self.remedy] * len(X)


class Oracle:
    """Answers with the label, and with the remedy that was best for the other seeds of the same cell and rate.

    It is no diagnoser: it never looks at a curve, and only answers for the rows that its answers belong to.
    """

    def __init__(self, labels: Sequence[str], prescriptions: Sequence[Remedy]) -> None:
        self.labels = list(labels)
        self.prescriptions = list(prescriptions)

    def part(self, start: int, stop: int) -> Oracle:
        """The oracle for some of the rows, where they are asked about one batch after the other."""
        return Oracle(self.labels[start:stop], self.prescriptions[start:stop])

    def predict_proba(self, X: Float) -> NDArray[np.float64]:
        """(n_curves, 6), all on the label.

        Raises:
            ValueError: if X has another number of rows than the answers.
        """
        return one_hot(self.labels[: self._checked(len(X))])

    def prescribe(self, X: Float) -> list[Remedy]:
        """The remedies that the oracle was told.

        Raises:
            ValueError: if X has another number of rows than the answers.
        """
        return self.prescriptions[: self._checked(len(X))]

    def _checked(self, n_curves: int) -> int:
        if n_curves != len(self.labels):
            raise ValueError(f"The oracle knows {len(self.labels)} answers, but was asked for {n_curves} curves.")
        return n_curves
