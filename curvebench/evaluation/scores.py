"""Scores of answers about labelled runs, and the sums over runs from which a bootstrap computes them again.

Accepted answers: where several families of remedies help about equally, the label comes with a set of accepted
diagnoses. A prediction from that set counts as the label itself (it is *credited*). The labels stay as they are, so
every class has the same number of runs for every diagnoser.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curvebench.spec import DIAGNOSES, Bool, Diagnosis, Float, Int

N_CLASSES = len(DIAGNOSES)
HEALTHY = DIAGNOSES.index(Diagnosis.HEALTHY)
FAULTS = tuple(d for d in DIAGNOSES if d != Diagnosis.HEALTHY)

SCORES: tuple[str, ...] = (
    "value",
    "macro_f1",
    "balanced_accuracy",
    "false_alarms_per_100_healthy",
    "log_loss",
    "brier",
    "expected_calibration_error",
    *(f"recall_{d}" for d in DIAGNOSES),
    *(f"value_{d}" for d in FAULTS),
    *(f"net_gain_{d}" for d in DIAGNOSES),
)
"""Names of all scores, in the order in which they are reported."""

LOWER_IS_BETTER = frozenset({"false_alarms_per_100_healthy", "log_loss", "brier", "expected_calibration_error"})
"""Scores of which a diagnoser wants to have little; of all others much."""

N_CONFIDENCE_BINS = 10
"""Equal-width bins of the largest probability, from 0 to 1."""

_SMALLEST_PROBABILITY = float(np.finfo(np.float64).eps)
"""Probabilities are raised to this before their logarithm is taken, as `sklearn.metrics.log_loss` does."""


@dataclass(frozen=True)
class Judged:
    """Runs with their labels, what a diagnoser answered, and what its treatment brought; all of n runs.

    Attributes:
        label: (n,) int, index into `DIAGNOSES`.
        accepted: (n, 6) bool, diagnoses that count as right; the label itself always does.
        prediction: (n,) int, index into `DIAGNOSES`.
        probabilities: (n, 6) float64, rows summing to one.
        net_gain: (n,) float64, of what was prescribed.
        oracle_net_gain: (n,) float64, of what the oracle prescribes.
    """

    label: Int
    accepted: Bool
    prediction: Int
    probabilities: Float
    net_gain: Float
    oracle_net_gain: Float

    def take(self, runs: Int | Bool) -> Judged:
        """Some of the runs."""
        return Judged(**{name: values[runs] for name, values in vars(self).items()})

    @property
    def _is_right(self) -> Bool:
        """(n, 6) bool, the accepted diagnoses and the label."""
        return self.accepted | np.eye(N_CLASSES, dtype=np.bool_)[self.label]

    @property
    def credited(self) -> Int:
        """(n,) int, the prediction, with the label in place of every accepted one."""
        is_right = self._is_right[np.arange(len(self.label)), self.prediction]
        return np.where(is_right, self.label, self.prediction)

    @property
    def credited_probabilities(self) -> Float:
        """(n, 6) float64, the probabilities, with those of all accepted diagnoses added up at the label."""
        credited = np.where(self._is_right, 0.0, self.probabilities)
        credited[np.arange(len(self.label)), self.label] = 1.0 - credited.sum(axis=1)
        return np.clip(credited, 0.0, 1.0)

    @property
    def confidence(self) -> Float:
        """(n,) float64, the largest probability."""
        confidence: Float = self.probabilities.max(axis=1)
        return confidence

    @property
    def confidence_bin(self) -> Int:
        """(n,) int, which of the `N_CONFIDENCE_BINS` the confidence falls into; a bin holds its lower edge."""
        edges = np.linspace(0, 1, N_CONFIDENCE_BINS + 1)[1:-1]
        return np.searchsorted(edges, self.confidence, side="right")

    @property
    def is_confidence_right(self) -> Bool:
        """(n,) bool, whether the most probable diagnosis is accepted, even where the diagnoser abstained."""
        rows = np.arange(len(self.label))
        return np.asarray(self._is_right[rows, self.probabilities.argmax(axis=1)])


# ---------------------------------------------------------------------------------------- scores of runs


def scores(judged: Judged) -> dict[str, float]:
    """All scores of some runs; NaN where one is not defined.

    * value: sum of net gains over the oracle's sum; not defined where the oracle gains nothing.
    * macro_f1, balanced_accuracy (mean recall): over the classes that some run is labelled with, credited.
    * recall_LABEL: share of the runs so labelled whose prediction is accepted.
    * false_alarms_per_100_healthy: healthy runs, of 100, for which another diagnosis was predicted.
    * log_loss, brier: of the credited probabilities (natural logarithm; Brier 1950, summed over the classes).
    * expected_calibration_error: how far, in each of ten bins of the largest probability, the mean of that probability
      is from the share of runs on which the most probable diagnosis is accepted; mean over the runs (Naeini, Cooper &
      Hauskrecht 2015; Guo et al. 2017).
    * value_FAULT: value of the runs so labelled. What is healthy has nothing to gain, so it has no value of its own.
    * net_gain_LABEL: mean net gain of the runs so labelled.

    Args:
        judged: at least one run.

    Returns:
        Score -> value, in the order of `SCORES`.
    """
    recall = _recalls(judged)
    result = {
        "value": _ratio(judged.net_gain.sum(), judged.oracle_net_gain.sum()),
        "macro_f1": _macro_f1(judged),
        "balanced_accuracy": float(np.nanmean(recall)),
        "false_alarms_per_100_healthy": 100 * (1 - recall[HEALTHY]),
        "log_loss": float(_log_losses(judged).mean()),
        "brier": float(_briers(judged).mean()),
        "expected_calibration_error": _expected_calibration_error(judged),
    }
    result |= {f"recall_{d}": recall[i] for i, d in enumerate(DIAGNOSES)}
    for i, d in enumerate(DIAGNOSES):
        rows = judged.label == i
        total = judged.net_gain[rows].sum()
        result[f"value_{d}"] = _ratio(total, judged.oracle_net_gain[rows].sum())
        result[f"net_gain_{d}"] = float(total / rows.sum()) if rows.any() else np.nan
    return {name: float(result[name]) for name in SCORES}


def _ratio(total: float, oracle_total: float) -> float:
    return float(total / oracle_total) if oracle_total > 0 else np.nan


def _recalls(judged: Judged) -> NDArray[np.float64]:
    """Recall of each class, (6,) float64; NaN for a class without runs."""
    hits, n_labelled, _ = _counts(judged)
    return _divide(hits, n_labelled)


def _macro_f1(judged: Judged) -> float:
    hits, n_labelled, n_credited = _counts(judged)
    present = n_labelled > 0
    return float((2 * hits[present] / (n_labelled + n_credited)[present]).mean())


def _counts(judged: Judged) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Of each class, (6,): runs that are labelled and credited with it, that are labelled, that are credited."""
    label, credited = judged.label, judged.credited
    hits, n_labelled, n_credited = (
        np.bincount(of, minlength=N_CLASSES).astype(np.float64) for of in (label[label == credited], label, credited)
    )
    return hits, n_labelled, n_credited


def _log_losses(judged: Judged) -> NDArray[np.float64]:
    at_label = judged.credited_probabilities[np.arange(len(judged.label)), judged.label]
    losses: NDArray[np.float64] = -np.log(np.clip(at_label, _SMALLEST_PROBABILITY, 1.0))
    return losses


def _briers(judged: Judged) -> NDArray[np.float64]:
    error = judged.credited_probabilities - np.eye(N_CLASSES)[judged.label]
    squares: NDArray[np.float64] = np.square(error).sum(axis=1)
    return squares


def _expected_calibration_error(judged: Judged) -> float:
    error = 0.0
    for b in range(N_CONFIDENCE_BINS):
        rows = judged.confidence_bin == b
        if rows.any():
            error += rows.mean() * abs(judged.confidence[rows].mean() - judged.is_confidence_right[rows].mean())
    return float(error)


def confusion(judged: Judged) -> NDArray[np.int64]:
    """How often each label (row) was given each prediction (column) as it was said, not credited, (6, 6) int64."""
    counts = np.zeros((N_CLASSES, N_CLASSES), dtype=np.int64)
    np.add.at(counts, (judged.label, judged.prediction), 1)
    return counts


def chance_balanced_accuracy(label: Int, accepted: Bool) -> float:
    """Balanced accuracy to be expected of drawing one of six diagnoses for each run.

    A sixth where only the label is accepted, more where others are too.

    Args:
        label: (n,) int, index into `DIAGNOSES`.
        accepted: (n, 6) bool.

    >>> chance_balanced_accuracy(np.array([0, 1]), np.eye(6, dtype=bool)[:2]) == 1 / 6
    True
    """
    n_right = (accepted | np.eye(N_CLASSES, dtype=np.bool_)[label]).sum(axis=1)
    return float(np.mean([n_right[label == c].mean() / N_CLASSES for c in np.unique(label)]))


# ------------------------------------------------------------------------------------- the same from sums

_CONFUSION = slice(0, N_CLASSES**2)
_NET, _ORACLE, _CALIBRATION = (
    slice(N_CLASSES**2, N_CLASSES**2 + N_CLASSES),
    slice(N_CLASSES**2 + N_CLASSES, N_CLASSES**2 + 2 * N_CLASSES),
    slice(N_CLASSES**2 + 2 * N_CLASSES, N_CLASSES**2 + 2 * N_CLASSES + 2),
)
_OVERCONFIDENCE = slice(_CALIBRATION.stop, _CALIBRATION.stop + N_CONFIDENCE_BINS)
N_SUMS = _OVERCONFIDENCE.stop


def sums_by_instance(judged: Judged, instance: Int, n_instances: int) -> NDArray[np.float64]:
    """What all scores can be computed from, summed over the runs of each problem instance.

    Args:
        judged: n runs.
        instance: (n,) int, number of the run's problem instance.
        n_instances: how many there are.

    Returns:
        (n_instances, n_sums) float64: credited confusion counts (36, row by row), net gain by label (6), the
        oracle's net gain by label (6), log-loss, Brier score, confidence less rightness by bin of confidence (10).
    """
    sums = np.zeros((n_instances, N_SUMS))
    np.add.at(sums, (instance, judged.label * N_CLASSES + judged.credited), 1.0)
    np.add.at(sums, (instance, _NET.start + judged.label), judged.net_gain)
    np.add.at(sums, (instance, _ORACLE.start + judged.label), judged.oracle_net_gain)
    calibration = np.stack([_log_losses(judged), _briers(judged)], axis=1)
    np.add.at(sums[:, _CALIBRATION], instance, calibration)
    overconfidence = judged.confidence - judged.is_confidence_right
    np.add.at(sums, (instance, _OVERCONFIDENCE.start + judged.confidence_bin), overconfidence)
    return sums


def scores_from_sums(sums: Float) -> dict[str, NDArray[np.float64]]:
    """The scores of many resampled sets of runs at once; the fast twin of `scores`.

    Args:
        sums: (n_draws, n_sums), as from `sums_by_instance`, summed over the instances drawn.

    Returns:
        Score -> (n_draws,) float64, NaN where one is not defined.
    """
    counts = sums[:, _CONFUSION].reshape(-1, N_CLASSES, N_CLASSES)
    net, oracle, calibration = sums[:, _NET], sums[:, _ORACLE], sums[:, _CALIBRATION]
    hits, n_labelled, n_predicted = np.einsum("dcc->dc", counts), counts.sum(axis=2), counts.sum(axis=1)
    recall = _divide(hits, n_labelled)
    n_runs = n_labelled.sum(axis=1, keepdims=True)
    mean_calibration = _divide(calibration, n_runs)
    miscalibration = np.abs(sums[:, _OVERCONFIDENCE]).sum(axis=1, keepdims=True)
    result = {
        "value": _divide(net.sum(axis=1), oracle.sum(axis=1)),
        "macro_f1": _mean_of_present(2 * hits / np.maximum(n_labelled + n_predicted, 1), n_labelled),
        "balanced_accuracy": _mean_of_present(recall, n_labelled),
        "false_alarms_per_100_healthy": 100 * (1 - recall[:, HEALTHY]),
        "log_loss": mean_calibration[:, 0],
        "brier": mean_calibration[:, 1],
        "expected_calibration_error": _divide(miscalibration, n_runs)[:, 0],
    }
    value, net_gain = _divide(net, oracle), _divide(net, n_labelled)
    for i, d in enumerate(DIAGNOSES):
        result |= {f"recall_{d}": recall[:, i], f"value_{d}": value[:, i], f"net_gain_{d}": net_gain[:, i]}
    return {name: result[name] for name in SCORES}


def _divide(total: Float, by: Float) -> NDArray[np.float64]:
    """The quotient, NaN where the divisor is not positive."""
    is_defined = by > 0
    return np.where(is_defined, total / np.where(is_defined, by, 1.0), np.nan)


def _mean_of_present(of_class: Float, n_labelled: Float) -> NDArray[np.float64]:
    """(n_draws,) mean over the classes that some run of the draw is labelled with."""
    is_present = n_labelled > 0
    return _divide(np.where(is_present, of_class, 0.0).sum(axis=1), is_present.sum(axis=1))
