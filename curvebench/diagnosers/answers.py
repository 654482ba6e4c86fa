"""What a diagnoser may answer: checks of everything that comes back from one, each refusal a sentence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from curvebench.remedies import is_prescribable
from curvebench.spec import DIAGNOSES, Bool, Float, Remedy

ROW_SUM_TOLERANCE = 1e-3
"""Probabilities of a curve may miss one by this much; they are divided by their sum before they are scored."""


class InvalidOutput(ValueError):  # noqa: N818 - named like the status that it leads to
    """A diagnoser answered, but not with what the contract asks for."""


def real_numbers(said: object) -> NDArray[np.float64]:
    """What a diagnoser said as an array of numbers, which text, complex numbers and other objects are not.

    Raises:
        TypeError: it is none.
    """
    kind = type(said).__name__
    try:
        array = np.asarray(said)
    except (TypeError, ValueError):  # rows of different lengths, for instance
        raise TypeError(f"a {kind} that is no array of real numbers") from None
    if array.dtype.kind not in "biuf":
        raise TypeError(f"a {kind} ({array.dtype}) that is no array of real numbers")
    return array.astype(np.float64)


def checked_probabilities(said: object, n_curves: int, classes: Sequence[object] | None) -> NDArray[np.float64]:
    """What `predict_proba` returned, in the order of `DIAGNOSES`, rows summing to one.

    Args:
        said: (n_curves, 6), or with a column for each of the classes.
        n_curves: how many were asked about.
        classes: names of diagnoses in the order of the columns; None for `DIAGNOSES`.

    Returns:
        (n_curves, 6).

    Raises:
        InvalidOutput: it has another shape, or they are no probabilities.
    """
    answer = _as_floats(said, "predict_proba")
    n_columns = len(DIAGNOSES) if classes is None else len(classes)
    if answer.shape != (n_curves, n_columns):
        raise InvalidOutput(f"predict_proba returned the shape {answer.shape}; it must be {(n_curves, n_columns)}.")
    if not np.isfinite(answer).all():
        raise InvalidOutput("predict_proba returned NaN or infinite numbers; they must be probabilities.")
    if (answer < 0).any():
        raise InvalidOutput(f"predict_proba returned {answer.min():.3g}; probabilities are not negative.")
    sums = answer.sum(axis=1, keepdims=True)
    is_off = np.abs(sums - 1) > ROW_SUM_TOLERANCE
    if is_off.any():
        worst = float(sums.flat[np.abs(sums - 1).argmax()])
        raise InvalidOutput(f"predict_proba returned a row that sums to {worst:.6g}; rows must sum to one.")
    normalised: NDArray[np.float64] = answer / sums
    return normalised if classes is None else in_order(normalised, classes)


def in_order(answer: Float, classes: Sequence[object]) -> NDArray[np.float64]:
    """Columns moved from the order of `classes` to that of `DIAGNOSES`; zero for a diagnosis that is none of them.

    Raises:
        InvalidOutput: a class is no diagnosis, or stands there twice.
    """
    names = [str(c) for c in classes]
    unknown = [name for name in names if name not in DIAGNOSES]
    if unknown:
        raise InvalidOutput(f"classes_ holds {unknown[0]!r}; allowed are {', '.join(DIAGNOSES)}.")
    if len(set(names)) < len(names):
        raise InvalidOutput("classes_ holds a diagnosis twice.")
    ordered = np.zeros((len(answer), len(DIAGNOSES)))
    ordered[:, [DIAGNOSES.index(name) for name in names]] = answer
    return ordered


def checked_flags(said: object, n_curves: int, method: str) -> Bool:
    """What `abstain` or `crashed` returned, (n_curves,) bool.

    Raises:
        InvalidOutput: it is not one truth value for each curve.
    """
    answer = _as_floats(said, method)
    if answer.shape != (n_curves,) or not np.isin(answer, (0, 1)).all():
        raise InvalidOutput(f"{method} must return {n_curves} truth values, one for each curve.")
    return answer.astype(np.bool_)


def checked_prescriptions(said: object, n_curves: int) -> list[Remedy | None]:
    """What `prescribe` returned; None for a curve whose diagnosis is to stand for a remedy.

    Raises:
        InvalidOutput: it is not one remedy or None for each curve, or nobody may prescribe that remedy.
    """
    prescribed = list(said) if isinstance(said, Sequence | np.ndarray) else []
    if len(prescribed) != n_curves:
        raise InvalidOutput(f"prescribe must return {n_curves} remedies, one for each curve.")
    for remedy in prescribed:
        if not (remedy is None or (isinstance(remedy, Remedy) and is_prescribable(remedy))):
            raise InvalidOutput(
                f"prescribe returned {remedy!r}; it must be a Remedy other than train_longer, with a positive factor "
                "and a start in [0, 1), or None for what the diagnosis stands for."
            )
    return prescribed


def _as_floats(said: object, method: str) -> NDArray[np.float64]:
    try:
        return real_numbers(said)
    except TypeError as error:
        raise InvalidOutput(f"{method} returned {error}.") from None
