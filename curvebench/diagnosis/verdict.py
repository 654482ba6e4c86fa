"""What is said about one run: the verdict, and the types that it is made of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curvebench.logs import Curve
from curvebench.spec import DIAGNOSES, Action, Diagnosis, Float, InputError, Remedy, _Frozen

LIMITS_FILE = Path(__file__).with_name("limits.json")
"""Limits of the default diagnoser, as `curvebench calibrate` writes them."""

ONLY_THE_LABEL: tuple[tuple[float, ...], ...] = tuple(tuple(float(i == j) for j in DIAGNOSES) for i in DIAGNOSES)
"""An acceptance, see `Limits`: no diagnosis is right but the label."""

WAYS: Mapping[str, tuple[Diagnosis, Diagnosis]] = {
    "Lower the learning rate": (Diagnosis.LR_TOO_HIGH, Diagnosis.LATE_LR_TOO_HIGH),
    "Raise the learning rate": (Diagnosis.LR_TOO_LOW, Diagnosis.LATE_LR_TOO_LOW),
}
"""What two diagnoses ask for alike, from the start or later."""


@dataclass(frozen=True)
class Limits:
    """From where on nothing is said; calibrated on runs that the diagnoser was not fitted to.

    Attributes:
        min_probability: of being right, that the most probable diagnosis has to have; see `probability_right`.
        min_points: finite points of the loss that a log has to have.
        max_novelty: see `Precedents`.
        accuracy: aimed at among the runs that are judged.
        dataset_sha256: of the data sets that they were calibrated on, see `joint_sha256`.
        model_sha256: SHA-256 of the model's file that they were calibrated for.
        min_together: probability that the two diagnoses of a leaning have to have together.
        acceptance: (6, 6), of the runs with each label the share for which each diagnosis is accepted as right.
    """

    min_probability: float
    min_points: int
    max_novelty: float
    accuracy: float
    dataset_sha256: str
    model_sha256: str
    min_together: float = 1.0
    acceptance: tuple[tuple[float, ...], ...] = ONLY_THE_LABEL

    def probability_right(self, probabilities: Float) -> NDArray[np.float64]:
        """How probable it is that each diagnosis is right: the label, or accepted beside it.

        Raising the rate from the start helps most of the runs that should have raised it later, nearly as much; so it
        is right more often than it is the label.

        Args:
            probabilities: (..., 6) of the labels.

        Returns:
            (..., 6) float64.

        >>> default_limits().probability_right(np.eye(6)).diagonal()
        array([1., 1., 1., 1., 1., 1.])
        """
        return np.asarray(probabilities @ np.array(self.acceptance), dtype=np.float64)

    def likeliest_right(self, probabilities: Float) -> NDArray[np.float64]:
        """How probable it is that the likeliest label is right, (n,); arguments as `probability_right`, (n, 6)."""
        likeliest = np.arange(len(probabilities)), probabilities.argmax(axis=1)
        return np.asarray(self.probability_right(probabilities)[likeliest], dtype=np.float64)

    def to_json(self) -> str:
        """As `limits_from_json` reads it."""
        return json.dumps(asdict(self)) + "\n"


def limits_from_json(text: str) -> Limits:
    """Limits that were written by `Limits.to_json`.

    Raises:
        InputError: the text is something else.
    """
    try:
        limits = Limits(**json.loads(text))
        acceptance = np.array(limits.acceptance, dtype=np.float64)
        if acceptance.shape != (len(DIAGNOSES), len(DIAGNOSES)):
            raise ValueError(f"acceptance is {acceptance.shape}")
        shares = np.append(acceptance, [limits.min_probability, limits.min_together, limits.accuracy])
        if not ((shares >= 0) & (shares <= 1.1)).all() or not limits.min_points > 0 or not limits.max_novelty > 0:
            raise ValueError("a number is out of its range")
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InputError(f"These are no limits ({error}); make them anew with curvebench calibrate.") from None
    return replace(limits, acceptance=tuple(map(tuple, acceptance.tolist())))


@cache
def default_limits() -> Limits:
    """The limits that come with the package."""
    return limits_from_json(LIMITS_FILE.read_text(encoding="utf-8"))


@dataclass(frozen=True, eq=False)
class Precedents(_Frozen):
    """The runs of the data set that are most similar, each of another cell or rate, and what they say.

    Attributes:
        rows: of the neighbours in the data set, the nearest first.
        labels: their diagnoses.
        novelty: how far the last of them is, over how far their own neighbours among other problems are: 1 is as usual.
        gains: of the remedy in each neighbour, in [-1, 1]; empty where there is nothing to do.
        n_unknown: neighbours in which nothing like the remedy was tried.
    """

    rows: tuple[int, ...]
    labels: tuple[str, ...]
    novelty: float
    gains: tuple[float, ...] = ()
    n_unknown: int = 0

    @property
    def share_improved(self) -> float | None:
        """Share of the gains that are positive; None without any."""
        return sum(gain > 0 for gain in self.gains) / len(self.gains) if self.gains else None

    @property
    def median_gain(self) -> float | None:
        """Median of the gains; None without any."""
        ordered = sorted(self.gains)
        n = len(ordered)
        return (ordered[(n - 1) // 2] + ordered[n // 2]) / 2 if n else None


@dataclass(frozen=True, eq=False)
class Verdict:
    """What is said about one run.

    Attributes:
        curve: the run as it was read.
        diagnosis: one of `DIAGNOSES`, or None where nothing is said.
        probabilities: diagnosis -> probability that it is the label.
        probability_right: that the likeliest diagnosis is right: the label, or accepted beside it.
        evidence: sentences about the curve.
        remedy: what to do; None where nothing is said.
        advice: the remedy in words, for this run.
        precedents: the most similar runs of the data set.
        abstains_because: sentences; not empty exactly where nothing is said.
        cautions: sentences that weaken the verdict and do not forbid it.
        leaning: one of `WAYS` where nothing is said for the one reason that no diagnosis is probable enough, and the
            two that ask for this are, together; else None.
    """

    curve: Curve
    diagnosis: str | None
    probabilities: Mapping[str, float]
    probability_right: float
    evidence: tuple[str, ...]
    remedy: Remedy | None
    advice: str
    precedents: Precedents
    abstains_because: tuple[str, ...]
    cautions: tuple[str, ...]
    leaning: str | None = None

    @property
    def likeliest(self) -> str:
        """The most probable diagnosis, whether it is said or not; of equals the first."""
        return max(DIAGNOSES, key=lambda name: self.probabilities[name])

    @property
    def leaning_in_words(self) -> str:
        """The leaning as a sentence; empty where there is none."""
        if self.leaning is None:
            return ""
        early, late = WAYS[self.leaning]
        together = self.probabilities[early] + self.probabilities[late]
        return f"{self.leaning}: {early} or {late}, {together:.2f} together; from when on cannot be told."

    def to_dict(self) -> dict[str, Any]:
        """The verdict without the points of the curve, ready for JSON."""
        remedy = self.remedy
        resumes = remedy is not None and remedy.action is Action.RESUME
        return {
            "run": self.curve.run,
            "format": self.curve.source,
            "loss_name": self.curve.loss_name,
            "n_points": len(self.curve),
            "diagnosis": self.diagnosis,
            "likeliest": self.likeliest,
            "probabilities": dict(self.probabilities),
            "probability_right": self.probability_right,
            "evidence": list(self.evidence),
            "remedy": None
            if remedy is None
            else {
                "action": remedy.action.value,
                "factor": remedy.factor,
                "at": remedy.at if resumes else None,
                "at_step": resume_step(self.curve, remedy) if resumes else None,
            },
            "advice": self.advice,
            "precedents": {
                "n": len(self.precedents.gains),
                "share_improved": self.precedents.share_improved,
                "median_gain": self.precedents.median_gain,
                "n_unknown": self.precedents.n_unknown,
                "labels": list(self.precedents.labels),
            },
            "novelty": self.precedents.novelty,
            "abstains_because": list(self.abstains_because),
            "leaning": self.leaning,
            "cautions": list(self.cautions),
            "notes": list(self.curve.notes),
        }


def resume_step(curve: Curve, remedy: Remedy) -> float:
    """The step of the log at which a resumption begins."""
    return float(curve.steps[0] + remedy.at * (curve.steps[-1] - curve.steps[0]))


def advice_of(curve: Curve, remedy: Remedy | None) -> str:
    """The remedy in words, with the rate that it means where the log has one."""
    if remedy is None:
        return "Nothing is advised."
    rate = f"the learning rate times {remedy.factor:.2g}{_rates(curve, remedy)}"
    match remedy.action:
        case Action.RESTART:
            return f"Start again with {rate}."
        case Action.RESUME:
            place = f"{curve.step_name} {resume_step(curve, remedy):,.6g}"
            return f"Go back to the checkpoint nearest to {place} ({100 * remedy.at:.0f} %); run the rest with {rate}."
        case Action.CHANGE_OUTPUT:
            return "Change the output activation, or its loss, to what fits the targets; the learning rate stays."
        case _:
            return "Leave learning rate and output alone: no such remedy is likely to help by a material amount."


def _rates(curve: Curve, remedy: Remedy) -> str:
    """From which rate to which, where the log says."""
    if curve.learning_rate is None:
        return ""
    place = int((curve.steps < resume_step(curve, remedy)).sum()) if remedy.action is Action.RESUME else 0
    rates = curve.learning_rate[place:] if remedy.action is Action.RESUME else curve.learning_rate
    known = rates[(rates > 0) & (rates < float("inf"))]
    if not len(known):
        return ""
    now = float(known[0] if remedy.action is Action.RESUME else known.max())
    what = "there" if remedy.action is Action.RESUME else "at its highest"
    return f" ({what} {now * remedy.factor:.2g} in place of {now:.2g})"
