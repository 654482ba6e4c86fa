"""From a run of a log to a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from curvebench.diagnosers import resolve
from curvebench.diagnosers.answers import InvalidOutput, checked_flags, checked_prescriptions, checked_probabilities
from curvebench.diagnosers.learned.models import FittedModel, load_model
from curvebench.diagnosis.doubts import cautions, objections, reasons_to_abstain
from curvebench.diagnosis.evidence import evidence
from curvebench.diagnosis.precedents import Library, default_library, precedents, tried_on
from curvebench.diagnosis.sampling import seen_by_diagnosers
from curvebench.diagnosis.verdict import WAYS, Limits, Verdict, advice_of, default_limits
from curvebench.logs import Curve
from curvebench.remedies import remedies_of
from curvebench.spec import DIAGNOSES, Action, CheckFailed, Diagnoser, Float, InputError, Remedy, UsageError

DEFAULT_MODEL = Path(__file__).with_name("default.cbm")
"""The diagnoser that is asked where none is named: `as-logged`, fitted on `train` of `core`, `logs` and `wide`."""


@cache
def default_diagnoser() -> FittedModel:
    """The diagnoser that comes with the package, already fitted."""
    return load_model(DEFAULT_MODEL)


def make_ready(diagnoser: object = None) -> Diagnoser:
    """A diagnoser that can be asked at once.

    Args:
        diagnoser: anything that `curvebench.diagnosers.resolve` takes; None for the default.

    Raises:
        UsageError: there is none of that name, or it has to be fitted first.
        InputError: the file of a model is none.
    """
    if diagnoser is None:
        return default_diagnoser()
    made = resolve(diagnoser)
    if isinstance(diagnoser, str) and callable(getattr(made, "fit", None)):
        raise UsageError(
            f"{diagnoser!r} learns, and was not fitted yet; run `curvebench fit core.h5 -d {diagnoser} -o model.cbm` "
            "and name the file."
        )
    return made


def diagnose(
    curve: Curve | ArrayLike,
    diagnoser: object = None,
    *,
    optimizer: str | None = None,
    limits: Limits | None = None,
    library: Library | None = None,
) -> Verdict:
    """Say what is wrong with one run, what to do about it, and when not to trust that.

    Args:
        curve: a run of `curvebench.read_log`, or (n_points,) losses that were logged at even steps.
        diagnoser: anything that `curvebench.evaluate` takes and that is fitted; None for the default.
        optimizer: one of `OPTIMIZERS`; for diagnosers of the track `config`.
        limits: from where on nothing is said; None for those that the default diagnoser was calibrated to.
        library: runs to compare with; None for those that come with the package.

    Raises:
        UsageError: the diagnoser is none, is not fitted, or looks at what the log lacks.
        InputError: there are no losses.
        CheckFailed: the diagnoser failed, or answered with what the contract does not allow.

    >>> verdict = diagnose([2.3, 2.2])
    >>> verdict.diagnosis is None, verdict.abstains_because[0].partition(";")[0]
    (True, 'There are too few points: 2 finite values of the loss')
    """
    curve = curve if isinstance(curve, Curve) else curve_of(curve)
    asked = make_ready(diagnoser)
    X = seen_by_diagnosers(curve, getattr(asked, "track", "curve"), optimizer, getattr(asked, "may_lack", ()))
    row, abstained, prescribed = _answer(asked, X)
    probabilities = dict(zip(DIAGNOSES, row.tolist(), strict=True))
    likeliest = DIAGNOSES[int(row.argmax())]
    library = library or default_library()
    found = precedents(library, X[0, 0], len(curve))
    limits = limits or default_limits()
    probability_right = float(limits.likeliest_right(row[None])[0])
    is_unsure = probability_right < limits.min_probability
    reasons = reasons_to_abstain(curve, probability_right, likeliest, found.novelty, limits)
    if abstained:
        reasons.insert(0, "The diagnoser abstains.")
    fixed = remedies_of(library.dataset.meta.fixed_actions, library.dataset.meta.remedies)
    remedy = None if reasons else prescribed or fixed[DIAGNOSES.index(likeliest)]
    if remedy is not None and remedy.action is not Action.NONE:
        found = tried_on(found, library.dataset, remedy)
    return Verdict(
        curve=curve,
        diagnosis=None if reasons else likeliest,
        probabilities=probabilities,
        probability_right=probability_right,
        evidence=evidence(curve),
        remedy=remedy,
        advice=advice_of(curve, remedy),
        precedents=found,
        abstains_because=tuple(reasons),
        cautions=(*objections(found), *cautions(curve)),
        leaning=leaning(probabilities, limits) if is_unsure and len(reasons) == 1 else None,
    )


def leaning(probabilities: Mapping[str, float], limits: Limits) -> str | None:
    """The one of `WAYS` whose diagnoses are probable enough together; None if neither is.

    >>> said = dict.fromkeys(DIAGNOSES, 0.0) | {"lr_too_high": 0.5, "late_lr_too_high": 0.4, "healthy": 0.1}
    >>> leaning(said, default_limits())
    'Lower the learning rate'
    """
    way = max(WAYS, key=lambda way: sum(probabilities[name] for name in WAYS[way]))
    return way if sum(probabilities[name] for name in WAYS[way]) >= limits.min_together else None


def curve_of(losses: ArrayLike) -> Curve:
    """A run of which only the losses are known, at even steps.

    Args:
        losses: (n_points,) numbers, NaN and inf as they happened.

    Raises:
        InputError: it is no list of numbers, or an empty one.
    """
    try:
        values = np.array(losses, dtype=np.float64)
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.ndim != 1 or not len(values):
        raise InputError("A run is given as a curve of read_log, or as a list of losses with one number at least.")
    return Curve("", "numbers", "point", np.arange(len(values), dtype=np.float64), values)


def _answer(diagnoser: Any, X: Float) -> tuple[Float, bool, Remedy | None]:
    """Probabilities (6,), whether it abstains, what it prescribes."""
    try:
        probabilities = checked_probabilities(diagnoser.predict_proba(X), 1, getattr(diagnoser, "classes_", None))[0]
        abstained, prescribed = False, None
        if callable(getattr(diagnoser, "abstain", None)):
            abstained = bool(checked_flags(diagnoser.abstain(X), 1, "abstain")[0])
        if callable(getattr(diagnoser, "prescribe", None)):
            prescribed = checked_prescriptions(diagnoser.prescribe(X), 1)[0]
    except InvalidOutput as error:
        raise CheckFailed(f"The diagnoser gave no valid answer: {error}") from None
    except Exception as error:  # whatever a foreign diagnoser does
        raise CheckFailed(f"The diagnoser failed: {type(error).__name__}: {error}.") from error
    return probabilities, abstained, prescribed
