"""What every diagnoser must stand, ours and anybody's: checks that say in a sentence what went wrong.

>>> from curvebench.diagnosers import make_diagnoser
>>> any(finding.problem for finding in check(lambda: make_diagnoser("constant")))
False
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from traceback import format_exception_only
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curvebench.diagnosers.answers import InvalidOutput, checked_flags, checked_prescriptions, checked_probabilities
from curvebench.processes import ChildFailed
from curvebench.spec import CHANNELS, DIAGNOSES, OPTIMIZERS, TRACKS, Diagnoser, Float, UsageError

N_CURVES, N_POINTS = 24, 64
N_OF_ONE_LENGTH = 3

TOLERANCE = 1e-6
"""By how much probabilities may differ where they should be equal but may be summed in another order."""

ALL = "all"
"""For the track: the one that a diagnoser needs, and all that hold more."""

LENGTHS = (1, 2, 3, 7, 19, 21, 100_000)
CONSTANTS = (0.0, 1.0, -1.0, 1e-45, 3e38, np.nan, np.inf, -np.inf)

_OPTIMIZER = CHANNELS.index("optimizer")


@dataclass(frozen=True)
class Subject:
    """A diagnoser under examination.

    Attributes:
        make: makes a new one, not fitted; maybe in a process of its own.
        track: what it is shown.
        tolerance: see `TOLERANCE`.
    """

    make: Callable[[], Diagnoser]
    track: str
    tolerance: float = TOLERANCE

    @cached_property
    def fitted(self) -> Any:
        """One that all checks may ask."""
        return self.fit_new()

    def fit_new(self, n_points: int = N_POINTS) -> Any:
        """A new one; if it has `fit`, fitted to made-up curves of that length with every diagnosis."""
        diagnoser: Any = self.make()
        if callable(getattr(diagnoser, "fit", None)):
            diagnoser.fit(self.curves(n_points=n_points), np.resize(np.array(DIAGNOSES), N_CURVES))
        return diagnoser

    def curves(self, n_curves: int = N_CURVES, n_points: int = N_POINTS) -> NDArray[np.float32]:
        """The same made-up curves for the same numbers."""
        return make_curves(self.track, n_curves, n_points)


@dataclass(frozen=True)
class Finding:
    """How a check ended.

    Attributes:
        check: its name.
        track: what the diagnoser was shown.
        problem: a sentence; empty if it passed.
    """

    check: str
    track: str
    problem: str


def make_curves(track: str, n_curves: int = N_CURVES, n_points: int = N_POINTS) -> NDArray[np.float32]:
    """Made-up curves that fall at many speeds, every fifth with a jump; the optimiser is one of ours.

    Args:
        track: one of `TRACKS`.
        n_curves: at least one.
        n_points: at least one.

    Returns:
        (n_curves, n_channels, n_points) float32.
    """
    n_channels = len(TRACKS[track])
    rng = np.random.default_rng(n_channels)
    time = np.linspace(0, 1, n_points, dtype=np.float32)
    speed = np.float32(10.0 ** rng.uniform(-1, 2, (n_curves, n_channels, 1)))
    noise = np.float32(0.1 + 0.02 * np.abs(rng.normal(size=(n_curves, n_channels, N_POINTS))))
    curves: NDArray[np.float32] = np.exp(-speed * time) + np.tile(noise, n_points // N_POINTS + 1)[:, :, :n_points]
    curves[::5, :, n_points // 2 :] *= 20
    if n_channels > _OPTIMIZER:
        curves[:, _OPTIMIZER] = rng.integers(0, len(OPTIMIZERS), (n_curves, 1))
    return curves


# ------------------------------------------------------------------------------------------------ checks


def _asked(diagnoser: Any, X: Float) -> NDArray[np.float64]:
    """Probabilities, of which the contract holds."""
    return checked_probabilities(diagnoser.predict_proba(X), len(X), getattr(diagnoser, "classes_", None))


def _unequal(said: Float, expected: Float, tolerance: float) -> bool:
    return not np.allclose(said, expected, rtol=0, atol=tolerance)


def answers_are_probabilities(subject: Subject) -> str | None:
    """Six for each curve, not negative, with the sum one."""
    _asked(subject.fitted, subject.curves())
    return None


def an_empty_batch_is_answered(subject: Subject) -> str | None:
    """No curves get no answers."""
    diagnoser = subject.fitted
    _other_answers(diagnoser, subject.curves()[:0])
    _asked(diagnoser, subject.curves()[:0])
    return None


def the_same_question_gets_the_same_answer(subject: Subject) -> str | None:
    """Whatever was asked in between."""
    diagnoser, X = subject.fitted, subject.curves()
    first = _asked(diagnoser, X)
    again = _asked(diagnoser, X.copy())
    if not np.array_equal(again, first):
        return "The same curves, asked about again, got other answers: a random choice?"
    _asked(diagnoser, np.ascontiguousarray(X[::-1]))
    if not np.array_equal(_asked(diagnoser, X.copy()), first):
        return "The answers changed after other curves were asked about: something is kept between calls."
    return None


def two_of_a_kind_agree(subject: Subject) -> str | None:
    """Made, and fitted to the same curves, twice."""
    X = subject.curves()
    if not np.array_equal(_asked(subject.fitted, X), _asked(subject.fit_new(), X)):
        return "Made and fitted twice in the same way, it gives different answers: set its seed."
    return None


def fitting_again_starts_anew(subject: Subject) -> str | None:
    """What was fitted before leaves no trace."""
    X, y = subject.curves(), np.resize(np.array(DIAGNOSES), N_CURVES)
    once = subject.fitted
    if not callable(getattr(once, "fit", None)):
        return None
    before = _asked(once, X)
    twice = subject.fit_new()
    twice.fit(np.ascontiguousarray(X[::-1]), y)
    twice.fit(X, y)
    if not np.array_equal(_asked(twice, X), before):
        return "Fitted to other curves before, it gives other answers: fit must start anew."
    return None


def a_batch_is_answered_as_one_by_one(subject: Subject) -> str | None:
    """What else is in a batch does not matter."""
    diagnoser, X = subject.fitted, subject.curves()
    one_by_one = np.concatenate([_asked(diagnoser, X[i : i + 1]) for i in range(len(X))])
    if _unequal(_asked(diagnoser, X), one_by_one, subject.tolerance):
        return "A batch is answered otherwise than its curves one by one."
    return None


def the_order_of_curves_does_not_matter(subject: Subject) -> str | None:
    """A batch in another order gets its answers in that order."""
    diagnoser, X = subject.fitted, subject.curves()
    order = np.random.default_rng(0).permutation(len(X))
    if _unequal(_asked(diagnoser, X[order]), _asked(diagnoser, X)[order], subject.tolerance):
        return "The same curves in another order get other answers."
    return None


def curves_are_left_as_they_are(subject: Subject) -> str | None:
    """What is shown may neither be changed nor asked to be changeable."""
    diagnoser, X = subject.fitted, subject.curves()
    _asked(diagnoser, X)
    _other_answers(diagnoser, X)
    if not np.array_equal(X, subject.curves()):
        return "It writes into the curves that it is shown."
    X.setflags(write=False)
    _asked(diagnoser, X.view())
    return None


def memory_layout_does_not_matter(subject: Subject) -> str | None:
    """Strided and float64 curves are curves too."""
    diagnoser, X = subject.fitted, subject.curves()
    expected = _asked(diagnoser, X)
    others: dict[str, Float] = {"strided": np.repeat(X, 2, axis=2)[:, :, ::2], "float64": X.astype(np.float64)}
    for what, other in others.items():
        if _unequal(_asked(diagnoser, other), expected, subject.tolerance):
            return f"The same curves as a {what} array get other answers."
    return None


def constant_curves_are_answered(subject: Subject) -> str | None:
    """Zeros, huge and tiny values, NaN and infinite ones throughout."""
    diagnoser, X = subject.fitted, subject.curves(N_OF_ONE_LENGTH)
    return _first_problem("every value {}", lambda value: _asked(diagnoser, np.full_like(X, value)), CONSTANTS)


def curves_with_holes_are_answered(subject: Subject) -> str | None:
    """NaN, infinite and extreme values here and there, as they happen."""
    diagnoser, X = subject.fitted, subject.curves()
    rng = np.random.default_rng(1)
    for row, value in zip(X, [np.nan, np.inf, -np.inf, 3e38, -3e38, 0.0, 1e-45] * 10, strict=False):
        row[:, rng.integers(0, N_POINTS, 5)] = value
    X[-1, :, : N_POINTS // 2], X[-1, :, N_POINTS // 2 :] = 3e38, -3e38
    _asked(diagnoser, X)
    return None


def curves_of_any_length_are_answered(subject: Subject) -> str | None:
    """From one point to a hundred thousand; fitted to as long ones."""

    def ask(n_points: int) -> None:
        X = subject.curves(N_OF_ONE_LENGTH, n_points)
        X[0, :, -1] = np.nan
        _asked(subject.fit_new(n_points) if callable(getattr(subject.fitted, "fit", None)) else subject.fitted, X)

    return _first_problem("{} points", ask, LENGTHS)


def other_answers_are_well_formed(subject: Subject) -> str | None:
    """`abstain`, `crashed` and `prescribe`, where it has them, and the same twice."""
    diagnoser, X = subject.fitted, subject.curves()
    _asked(diagnoser, X)
    if _other_answers(diagnoser, X) != _other_answers(diagnoser, X.copy()):
        return "abstain, crashed or prescribe answered otherwise when asked again."
    return None


def _other_answers(diagnoser: Any, X: Float) -> list[object]:
    said: list[object] = []
    for method in ("abstain", "crashed"):
        if callable(getattr(diagnoser, method, None)):
            said.append(checked_flags(getattr(diagnoser, method)(X), len(X), method).tolist())
    if callable(getattr(diagnoser, "prescribe", None)):
        said.append(checked_prescriptions(diagnoser.prescribe(X), len(X)))
    return said


def _first_problem(odd: str, ask: Callable[[Any], object], cases: Iterable[Any]) -> str | None:
    """The first of some cases that is not answered, and what is odd about its curves."""

    def said(case: Any) -> None:
        ask(case)

    for case in cases:
        if problem := _outcome(partial(said, case)):
            return f"Curves with {odd.format(case)}: {problem}"
    return None


CHECKS: Mapping[str, Callable[[Subject], str | None]] = {
    "probabilities": answers_are_probabilities,
    "empty batch": an_empty_batch_is_answered,
    "no state between calls": the_same_question_gets_the_same_answer,
    "two of a kind": two_of_a_kind_agree,
    "fit starts anew": fitting_again_starts_anew,
    "batch as one by one": a_batch_is_answered_as_one_by_one,
    "order": the_order_of_curves_does_not_matter,
    "curves untouched": curves_are_left_as_they_are,
    "memory layout": memory_layout_does_not_matter,
    "constant curves": constant_curves_are_answered,
    "NaN and extremes": curves_with_holes_are_answered,
    "lengths": curves_of_any_length_are_answered,
    "other answers": other_answers_are_well_formed,
}
"""Name -> check, which returns a sentence about what went wrong, or None. What it raises is what went wrong, too."""


# ------------------------------------------------------------------------------------------- all of them


def check(
    make: Callable[[], Diagnoser],
    track: str | None = None,
    *,
    tolerance: float = TOLERANCE,
    progress: Callable[[float, float], None] | None = None,
) -> list[Finding]:
    """Put a diagnoser to all checks, on the track that it needs.

    Args:
        make: makes a new one, not fitted.
        track: another one that holds what it needs, or `ALL`.
        tolerance: see `TOLERANCE`.
        progress: called with the number of checks done, and of all.

    Raises:
        UsageError: there is no such track, or it needs more than that.
    """
    needed = _track_of(make())
    takes = [name for name in TRACKS if set(TRACKS[needed]) <= set(TRACKS[name])]
    if track is not None and track not in (*takes, ALL):
        raise UsageError(f"There is no track {track!r} that the diagnoser takes; it takes {', '.join(takes)}.")
    jobs = [(t, name) for t in (takes if track == ALL else [track or needed]) for name in CHECKS]
    subjects = {t: Subject(make, t, tolerance) for t, _ in jobs}
    findings: list[Finding] = []
    for t, name in jobs:
        if progress:
            progress(len(findings), len(jobs))
        findings.append(Finding(name, t, _outcome(partial(CHECKS[name], subjects[t])) or ""))
        if findings[-1].problem:  # what is broken by now must not fail the next check too
            vars(subjects[t]).pop("fitted", None)
    return findings


def _track_of(diagnoser: object) -> str:
    """The track that a diagnoser needs.

    Raises:
        UsageError: there is no such track, or it can't be read.
    """
    try:
        needed: object = getattr(diagnoser, "track", "curve")
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a property may do anything
        raise UsageError(f"The track that the diagnoser needs can't be read: {_in_words(error)}.") from None
    if not isinstance(needed, str) or needed not in TRACKS:
        raise UsageError(f"The diagnoser needs the track {needed!r}; there are {', '.join(TRACKS)}.")
    return needed


def _outcome(ask: Callable[[], str | None]) -> str | None:
    """What a check says, or what was raised in it."""
    try:
        return ask()
    except KeyboardInterrupt:
        raise
    except (InvalidOutput, ChildFailed) as error:
        return str(error)
    except BaseException as error:  # whatever a foreign diagnoser does
        return _in_words(error)


def _in_words(error: BaseException) -> str:
    return " ".join("".join(format_exception_only(error)).split())
