"""What a data set shows: phenomena of training by name, each a plain condition on the columns of its runs.

A run may show several of them or none. Most conditions ask for the label, so that an explosion is one that a lower
rate would have mended, and a catapult one that needed no mending.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from curvebench.data.dataset import Dataset
from curvebench.spec import LABELS, SPLITS, Bool, Diagnosis, Float

HARDLY_FALLEN = 2.0
"""A rate that ends less than this far below its peak has hardly decayed."""

FLAT = 0.05
"""A loss that falls by less than this share over the second half of training is a plateau."""

SPIKE = 1.3
"""A loss this many times the first one, early on, is a spike."""

NOISY_FLOOR = 0.5
"""A floor above this share of the best constant's loss is one of noise."""

SATURATING = ("sigmoid", "tanh", "softmax", "hardtanh")


@dataclass(frozen=True)
class Phenomenon:
    """One thing that a training run can show.

    Attributes:
        teaches: what it teaches, in a few words.
        is_shown: data set -> (n_runs,) whether each run shows it.
    """

    teaches: str
    is_shown: Callable[[Dataset], Bool]


def _is(dataset: Dataset, diagnosis: Diagnosis) -> Bool:
    return np.asarray(dataset["diagnosis"] == diagnosis)


def _healthy(dataset: Dataset) -> Bool:
    return _is(dataset, Diagnosis.HEALTHY)


def _too_high(dataset: Dataset) -> Bool:
    return _is(dataset, Diagnosis.LR_TOO_HIGH)


def _late_too_high(dataset: Dataset) -> Bool:
    return _is(dataset, Diagnosis.LATE_LR_TOO_HIGH)


def _mismatch(dataset: Dataset) -> Bool:
    return _is(dataset, Diagnosis.OUTPUT_MISMATCH)


def _ends_high(dataset: Dataset) -> Bool:
    """Whether the rate at the end is near its peak."""
    rate = dataset["learning_rate"].astype(np.float64)
    return np.asarray(rate.max(axis=1) < HARDLY_FALLEN * rate[:, -1])


def _relative_loss(dataset: Dataset) -> Float:
    """Training loss in units of the best constant's, (n_runs, n_points) float64; NaN where it was not finite."""
    loss = dataset["train_loss"].astype(np.float64)
    return np.where(np.isfinite(loss), loss, np.nan) / dataset["loss_cap"][:, None]


def _median(values: Float) -> Float:
    """Over points, (n_runs,); infinite where no point is finite."""
    filled = np.where(np.isnan(values).all(axis=1, keepdims=True), np.inf, values)
    medians: Float = np.nanmedian(filled, axis=1)
    return medians


def _halves(dataset: Dataset) -> tuple[Float, Float]:
    """Medians of the eighth in the middle and of the last one, (n_runs,) each."""
    loss = _relative_loss(dataset)
    eighth = max(1, loss.shape[1] // 8)
    middle = loss.shape[1] // 2
    return _median(loss[:, middle : middle + eighth]), _median(loss[:, -eighth:])


def is_plateau(dataset: Dataset) -> Bool:
    """Whether a run fell by less than `FLAT` over its second half, and did not rise as much; (n_runs,)."""
    middle, end = _halves(dataset)
    with np.errstate(invalid="ignore"):
        is_flat: Bool = np.abs(middle - end) < FLAT * middle
    return is_flat


def _has_spike(dataset: Dataset) -> Bool:
    """Whether the loss rose above the first one early, by more than noise does at the end, and ended below half."""
    loss = _relative_loss(dataset)
    _, end = _halves(dataset)
    half, eighth = loss.shape[1] // 2, max(1, loss.shape[1] // 8)
    highest, noise = (
        np.nan_to_num(part, nan=0.0).max(axis=1, initial=0.0) for part in (loss[:, 1:half], loss[:, -eighth:])
    )
    with np.errstate(invalid="ignore"):
        is_above_noise = highest * end > SPIKE * loss[:, 0] * noise
    return np.asarray(is_above_noise & (highest > SPIKE * loss[:, 0]) & (end < 0.5 * loss[:, 0]))


def _starts_flat(dataset: Dataset, least_fall: float) -> Bool:
    """Whether the first tenth brings less than 5 % of a fall, and that is at least such a share of the first loss."""
    loss = _relative_loss(dataset)
    tenth = max(1, loss.shape[1] // 10)
    _, end = _halves(dataset)
    fall = loss[:, 0] - end
    return np.asarray(
        (fall > least_fall * loss[:, 0]) & (loss[:, 0] - _median(loss[:, tenth : 2 * tenth]) < 0.05 * fall)
    )


def _ripples(dataset: Dataset) -> Bool:
    """Whether the loss of training on the whole set, which has no noise, rises at more than 2 % of the points."""
    loss = _relative_loss(dataset)
    is_whole = dataset["batch_size"] >= 128
    return np.asarray(is_whole & (np.mean(np.diff(loss, axis=1) > 0, axis=1) > 0.02))


def _stands_on_its_floor(dataset: Dataset) -> Bool:
    floor = dataset["output_floor"].astype(np.float64)
    is_known = np.isfinite(floor) & (floor > 0.02 * dataset["loss_cap"])
    return np.asarray(is_known & (dataset["final_loss"] < 1.5 * floor))


def _is_noise_floor(dataset: Dataset) -> Bool:
    floor = np.nan_to_num(dataset["loss_floor"].astype(np.float64), nan=0.0)
    return np.asarray(floor > NOISY_FLOOR * dataset["loss_cap"])


def _schedule(*names: str) -> Callable[[Dataset], Bool]:
    return lambda d: np.asarray(np.isin(d["schedule"], names) & (d["decay"] >= HARDLY_FALLEN) & (d["decay_until"] == 1))


def _output(*activations: str) -> Callable[[Dataset], Bool]:
    return lambda d: np.asarray(np.isin(d["output_activation"], activations))


PHENOMENA: Mapping[str, Phenomenon] = {
    "explodes": Phenomenon("rate too high: up and away", lambda d: _too_high(d) & (d["diverged"] != 0)),
    "swings": Phenomenon(
        "rate too high: up and down, no fall", lambda d: _too_high(d) & (d["diverged"] == 0) & ~is_plateau(d)
    ),
    "useless plateau": Phenomenon(
        "rate too high: flat and high", lambda d: _too_high(d) & (d["diverged"] == 0) & is_plateau(d)
    ),
    "catapult": Phenomenon("a spike that mends itself", lambda d: _healthy(d) & _has_spike(d)),
    "crawls": Phenomenon("rate too low: slow all the way", lambda d: _is(d, Diagnosis.LR_TOO_LOW)),
    "saddle": Phenomenon(
        "a slow start that is not the rate",
        lambda d: np.isin(d["diagnosis"], (Diagnosis.HEALTHY, Diagnosis.LATE_LR_TOO_LOW)) & _starts_flat(d, 0.5),
    ),
    "high late, constant": Phenomenon(
        "falls, soon level: a rate that hardly decays",
        lambda d: _late_too_high(d) & _ends_high(d) & (d["cycles"] == 1) & (d["decay_until"] == 1),
    ),
    "high late, decay stopped": Phenomenon(
        "falls, soon level: a decay that ends early", lambda d: _late_too_high(d) & (d["decay_until"] < 1)
    ),
    "high late, raised again": Phenomenon(
        "falls, then is shaken: restarts and cycles", lambda d: _late_too_high(d) & (d["cycles"] > 1)
    ),
    "freezes": Phenomenon("decayed too early: falls, then stands", lambda d: _is(d, Diagnosis.LATE_LR_TOO_LOW)),
    "step decay": Phenomenon("halved every so many epochs", _schedule("step")),
    "exponential decay": Phenomenon("by the same factor every epoch", _schedule("exponential")),
    "1/t decay": Phenomenon("rate / (1 + k t)", _schedule("inverse_time")),
    "cosine decay": Phenomenon("along half a cosine", _schedule("cosine")),
    "warm-up": Phenomenon("the rate rises first", lambda d: np.asarray(d["warmup"] > 0)),
    "fine-tuning": Phenomenon("goes on from a related problem", lambda d: np.asarray(d["pretrained_on"] != "")),
    "forgets": Phenomenon(
        "the loss on the first problem has doubled",
        lambda d: np.asarray((d["pretrained_on"] != "") & (d["final_source_loss"] > 2 * d["source_loss"])),
    ),
    "bounded output": Phenomenon(
        "stands on the floor of the output's range", lambda d: _mismatch(d) & _stands_on_its_floor(d)
    ),
    "softmax for several labels": Phenomenon(
        "one probability for labels that may all be there",
        lambda d: _mismatch(d) & (d["target_range"] == "label_set") & _output("softmax")(d),
    ),
    "saturated output": Phenomenon(
        "squared error, squashed, large weights",
        lambda d: _mismatch(d) & (d["init_gain"] > 2) & _output(*SATURATING)(d) & (d["loss"] == "squared_error"),
    ),
    "dead output": Phenomenon(
        "a ReLU output without any gradient",
        lambda d: _mismatch(d) & _output("relu")(d) & (d["grad_norm"][:, -1] == 0),
    ),
    "vanishing gradients": Phenomenon(
        "deep and squashing: a flat start",
        lambda d: np.asarray((d["depth"] >= 4) & np.isin(d["activation"], ("sigmoid", "tanh"))) & _starts_flat(d, 0.1),
    ),
    "plateau: rate too high late": Phenomenon("one of five plateaus", lambda d: _late_too_high(d) & is_plateau(d)),
    "plateau: decayed too early": Phenomenon(
        "one of five plateaus", lambda d: _is(d, Diagnosis.LATE_LR_TOO_LOW) & is_plateau(d)
    ),
    "plateau: output": Phenomenon("one of five plateaus", lambda d: _mismatch(d) & is_plateau(d)),
    "plateau: label noise": Phenomenon(
        "one of five plateaus", lambda d: _healthy(d) & is_plateau(d) & _is_noise_floor(d)
    ),
    "plateau: converged": Phenomenon(
        "one of five plateaus", lambda d: _healthy(d) & is_plateau(d) & (d["final_loss"] < 0.25 * d["loss_cap"])
    ),
    "edge of stability": Phenomenon("healthy ripple without any noise", lambda d: _healthy(d) & _ripples(d)),
    "tiny batches": Phenomenon("healthy noise", lambda d: _healthy(d) & (d["batch_size"] <= 2)),
    "bad batch": Phenomenon("healthy, with spikes from single batches", lambda d: _healthy(d) & (d["bad_batches"] > 0)),
}
"""Name -> phenomenon, in the order in which they are shown."""


def count_phenomena(dataset: Dataset) -> dict[str, dict[str, dict[str, int]]]:
    """How many runs show each phenomenon: name -> split -> label -> number of runs."""
    counts = {}
    for name, phenomenon in PHENOMENA.items():
        shown = phenomenon.is_shown(dataset)
        counts[name] = {
            split: {
                label: int(np.sum(shown & (dataset["split"] == split) & (dataset["diagnosis"] == label)))
                for label in LABELS
            }
            for split in SPLITS
        }
    return counts
