"""What a data set shows: phenomena of training by name, each a plain condition on the columns of its runs.

A run may show several of them or none. Most conditions ask for the label, so that an explosion is one that a lower
rate would have mended, and a catapult one that needed no mending.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curvebench.data.dataset import Dataset
from curvebench.data.neighbours import CONVERGED, LABEL_NOISE, causes_of_plateaus, is_level
from curvebench.spec import LABELS, SPLITS, Bool, Diagnosis, Float

HARDLY_FALLEN = 2.0
"""A rate that ends less than this far below its peak has hardly decayed."""

FLAT = 0.1
"""A start whose second tenth lies less than this share of the whole fall from its first is flat: no run that falls at
an even pace, let alone one that falls fast at first, has so little."""

NEAR_START = 0.5
"""A first loss may be this share of the whole fall away from where the loss then stays."""

SPIKE = 1.3
"""A loss this many times the first one, early on, is a spike."""

SATURATING = ("sigmoid", "tanh", "softmax", "hardtanh")


class Evidence:
    """A data set and what several phenomena ask about its curves, each worked out once.

    `evidence[column]` is the column of the data set.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __getitem__(self, column: str) -> NDArray[Any]:
        return self.dataset[column]

    def has(self, *diagnoses: Diagnosis) -> Bool:
        """Whether each run is labelled with one of these, (n_runs,)."""
        return np.isin(self["diagnosis"], diagnoses)

    @cached_property
    def loss(self) -> Float:
        """Training loss in units of the best constant's, (n_runs, n_points) float64; NaN where it was not finite."""
        loss = self["train_loss"].astype(np.float64)
        relative: Float = np.where(np.isfinite(loss), loss, np.nan) / self["loss_cap"][:, None]
        return relative

    @cached_property
    def end(self) -> Float:
        """Median of the last eighth of the loss, (n_runs,)."""
        return _median(self.loss[:, -self.eighth :])

    @property
    def eighth(self) -> int:
        """Points of an eighth of training."""
        return max(1, self.dataset.n_points // 8)

    @cached_property
    def is_level(self) -> Bool:
        """Whether the loss hardly changes between the last two quarters, (n_runs,)."""
        return is_level(self.dataset)

    @cached_property
    def cause_of_plateau(self) -> NDArray[np.str_]:
        """Of `curvebench.data.neighbours.CAUSES`, or empty, (n_runs,)."""
        return causes_of_plateaus(self.dataset)


@dataclass(frozen=True)
class Phenomenon:
    """One thing that a training run can show.

    Attributes:
        teaches: what it teaches, in a few words.
        is_shown: (n_runs,) whether each run shows it.
    """

    teaches: str
    is_shown: Callable[[Evidence], Bool]


def _median(values: Float) -> Float:
    """Over points, (n_runs,); infinite where no point is finite."""
    filled = np.where(np.isnan(values).all(axis=1, keepdims=True), np.inf, values)
    medians: Float = np.nanmedian(filled, axis=1)
    return medians


def _healthy(e: Evidence) -> Bool:
    return e.has(Diagnosis.HEALTHY)


def _too_high(e: Evidence) -> Bool:
    return e.has(Diagnosis.LR_TOO_HIGH)


def _late_too_high(e: Evidence) -> Bool:
    return e.has(Diagnosis.LATE_LR_TOO_HIGH)


def _mismatch(e: Evidence) -> Bool:
    return e.has(Diagnosis.OUTPUT_MISMATCH)


def _ends_high(e: Evidence) -> Bool:
    """Whether the rate at the end is near its peak."""
    rate = e["learning_rate"].astype(np.float64)
    return np.asarray(rate.max(axis=1) < HARDLY_FALLEN * rate[:, -1])


def _has_spike(e: Evidence) -> Bool:
    """Whether the loss rose above the first one early, by more than noise does at the end, and ended below half."""
    half = e.loss.shape[1] // 2
    highest, noise = (
        np.nan_to_num(part, nan=0.0).max(axis=1, initial=0.0) for part in (e.loss[:, 1:half], e.loss[:, -e.eighth :])
    )
    first = e.loss[:, 0]
    with np.errstate(invalid="ignore"):
        is_above_noise = highest * e.end > SPIKE * first * noise
    return np.asarray(is_above_noise & (highest > SPIKE * first) & (e.end < 0.5 * first))


def _starts_flat(e: Evidence, least_fall: float) -> Bool:
    """Whether the loss stays where it began for two tenths of training, and later falls by such a share of that.

    It stays if from the first tenth to the second the median changes by less than `FLAT` of the fall, up or down, and
    if the first loss, which is that of a single mini-batch, is no farther away than `NEAR_START` of the fall.
    """
    tenth = max(1, e.dataset.n_points // 10)
    first, second = (e.loss[:, 1 + i * tenth : 1 + (i + 1) * tenth] for i in range(2))
    if not second.shape[1]:
        return np.zeros(len(e.loss), dtype=np.bool_)
    level = _median(first)
    with np.errstate(invalid="ignore"):
        fall = level - e.end
        stays = np.abs(level - _median(second)) < FLAT * fall
        is_near = np.abs(level - e.loss[:, 0]) < NEAR_START * fall
        return np.asarray((fall > least_fall * level) & stays & is_near)


def _ripples(e: Evidence) -> Bool:
    """Whether the loss of training on the whole set, which has no noise, rises at more than 2 % of the points."""
    is_whole = e["batch_size"] >= 128
    return np.asarray(is_whole & (np.mean(np.diff(e.loss, axis=1) > 0, axis=1) > 0.02))


def _stands_on_its_floor(e: Evidence) -> Bool:
    floor = e["output_floor"].astype(np.float64)
    is_known = np.isfinite(floor) & (floor > 0.02 * e["loss_cap"])
    return np.asarray(is_known & (e["final_loss"] < 1.5 * floor))


def _schedule(*names: str) -> Callable[[Evidence], Bool]:
    return lambda e: np.asarray(np.isin(e["schedule"], names) & (e["decay"] >= HARDLY_FALLEN) & (e["decay_until"] == 1))


def _output(*activations: str) -> Callable[[Evidence], Bool]:
    return lambda e: np.asarray(np.isin(e["output_activation"], activations))


def _plateau(cause: str) -> Phenomenon:
    return Phenomenon("one of five plateaus", lambda e: np.asarray(e.cause_of_plateau == cause))


PHENOMENA: Mapping[str, Phenomenon] = {
    "explodes": Phenomenon("rate too high: up and away", lambda e: _too_high(e) & (e["diverged"] != 0)),
    "swings": Phenomenon(
        "rate too high: up and down, no fall", lambda e: _too_high(e) & (e["diverged"] == 0) & ~e.is_level
    ),
    "useless plateau": Phenomenon(
        "rate too high: flat and high", lambda e: _too_high(e) & (e["diverged"] == 0) & e.is_level
    ),
    "catapult": Phenomenon("a spike that mends itself", lambda e: _healthy(e) & _has_spike(e)),
    "crawls": Phenomenon("rate too low: slow all the way", lambda e: e.has(Diagnosis.LR_TOO_LOW)),
    "saddle": Phenomenon(
        "a slow start that is not the rate",
        lambda e: e.has(Diagnosis.HEALTHY, Diagnosis.LATE_LR_TOO_LOW) & _starts_flat(e, 0.5),
    ),
    "high late, constant": Phenomenon(
        "falls, soon level: a rate that hardly decays",
        lambda e: _late_too_high(e) & _ends_high(e) & (e["cycles"] == 1) & (e["decay_until"] == 1),
    ),
    "high late, decay stopped": Phenomenon(
        "falls, soon level: a decay that ends early", lambda e: _late_too_high(e) & (e["decay_until"] < 1)
    ),
    "high late, raised again": Phenomenon(
        "falls, then is shaken: restarts and cycles", lambda e: _late_too_high(e) & (e["cycles"] > 1)
    ),
    "freezes": Phenomenon("decayed too early: falls, then stands", lambda e: e.has(Diagnosis.LATE_LR_TOO_LOW)),
    "step decay": Phenomenon("halved every so many epochs", _schedule("step")),
    "exponential decay": Phenomenon("by the same factor every epoch", _schedule("exponential")),
    "1/t decay": Phenomenon("rate / (1 + k t)", _schedule("inverse_time")),
    "cosine decay": Phenomenon("along half a cosine", _schedule("cosine")),
    "warm-up": Phenomenon("the rate rises first", lambda e: np.asarray(e["warmup"] > 0)),
    "fine-tuning": Phenomenon("goes on from a related problem", lambda e: np.asarray(e["pretrained_on"] != "")),
    "forgets": Phenomenon(
        "the loss on the first problem has doubled",
        lambda e: np.asarray((e["pretrained_on"] != "") & (e["final_source_loss"] > 2 * e["source_loss"])),
    ),
    "bounded output": Phenomenon(
        "stands on the floor of the output's range", lambda e: _mismatch(e) & _stands_on_its_floor(e)
    ),
    "softmax for several labels": Phenomenon(
        "one probability for labels that may all be there",
        lambda e: _mismatch(e) & (e["target_range"] == "label_set") & _output("softmax")(e),
    ),
    "saturated output": Phenomenon(
        "squared error, squashed, large weights",
        lambda e: _mismatch(e) & (e["init_gain"] > 2) & _output(*SATURATING)(e) & (e["loss"] == "squared_error"),
    ),
    "dead output": Phenomenon(
        "a ReLU output without any gradient",
        lambda e: _mismatch(e) & _output("relu")(e) & (e["grad_norm"][:, -1] == 0),
    ),
    "vanishing gradients": Phenomenon(
        "deep and squashing: a flat start",
        lambda e: np.asarray((e["depth"] >= 4) & np.isin(e["activation"], ("sigmoid", "tanh"))) & _starts_flat(e, 0.1),
    ),
    "plateau: rate too high late": _plateau(Diagnosis.LATE_LR_TOO_HIGH),
    "plateau: decayed too early": _plateau(Diagnosis.LATE_LR_TOO_LOW),
    "plateau: output": _plateau(Diagnosis.OUTPUT_MISMATCH),
    "plateau: label noise": _plateau(LABEL_NOISE),
    "plateau: converged": _plateau(CONVERGED),
    "edge of stability": Phenomenon("healthy ripple without any noise", lambda e: _healthy(e) & _ripples(e)),
    "tiny batches": Phenomenon("healthy noise", lambda e: _healthy(e) & (e["batch_size"] <= 2)),
    "bad batch": Phenomenon("healthy, with spikes from single batches", lambda e: _healthy(e) & (e["bad_batches"] > 0)),
}
"""Name -> phenomenon, in the order in which they are shown."""


def find_phenomena(dataset: Dataset) -> dict[str, Bool]:
    """Which runs show each phenomenon: name -> (n_runs,)."""
    evidence = Evidence(dataset)
    return {name: phenomenon.is_shown(evidence) for name, phenomenon in PHENOMENA.items()}


def count_phenomena(dataset: Dataset, found: Mapping[str, Bool] | None = None) -> dict[str, dict[str, dict[str, int]]]:
    """How many runs show each phenomenon.

    Args:
        dataset: any data set.
        found: as from `find_phenomena`, which is asked by default.

    Returns:
        Name -> split -> label -> number of runs.
    """
    found = find_phenomena(dataset) if found is None else found
    return {
        name: {
            split: {
                label: int(np.sum(shown & (dataset["split"] == split) & (dataset["diagnosis"] == label)))
                for label in LABELS
            }
            for split in SPLITS
        }
        for name, shown in found.items()
    }
