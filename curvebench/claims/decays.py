"""Claims about decaying the learning rate: whether it beats a constant one, and how far the rate should fall."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from curvebench.claims.claim import Claim, Estimate, Experiment, Measurement, Panel, Row, Rule, Series, Table, exactly
from curvebench.claims.statistics import chosen_on_others, estimate, mean_gain, tuned
from curvebench.claims.trials import Effort, make_trial, problem_of, rate_grid, scheduled, train
from curvebench.spec import Engine, Float


@dataclass(frozen=True)
class Regime:
    """A way to train.

    Attributes:
        name: as a clause that follows "when".
        batch_size: examples of an update.
        length: trainings of this many times the usual number of updates.
    """

    name: str
    batch_size: int
    length: int


REGIMES = (
    Regime("batches are small", 4, 1),
    Regime("batches are small and training is long", 4, 4),
    Regime("batches are large", 64, 1),
)

SHAPES: Mapping[str, str] = {"step": "step", "exponential": "exponential", "inverse_time": "1/t"}
"""Classic schedules: half the rate at equal distances, exponential in the epoch, rate / (1 + k t)."""

FALLS = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
"""Factors by which a rate has fallen at the end of training."""

SCHEDULES = (("constant", 1.0), *((shape, fall) for shape in SHAPES for fall in FALLS))

RATES: Mapping[str, tuple[int, int]] = {"sgd": (-2, 1), "adam": (-3, 0)}
"""Optimiser -> decades between which base rates are tried."""

NAMES = {"sgd": "SGD", "adam": "Adam"}

WORTH = 0.02
"""Mean gain from which on one schedule beats another: a loss that is lower by two per cent."""

FALLEN_FAR = 100.0
"""By how much the rate should have fallen, as is said."""


@dataclass(frozen=True)
class Losses:
    """Final losses on one problem, as shares of that of the best constant prediction.

    Attributes:
        problem: its name.
        train: (n_regimes, n_optimizers, n_schedules, n_rates, n_seeds), at most 1.
        val: the same of the validation set, at most 1.
    """

    problem: str
    train: Float
    val: Float


def observe(case: int, effort: Effort, engine: Engine) -> Losses:
    """Try every schedule at every base rate, in every regime and with both optimisers."""
    problem = problem_of(case)
    train_losses, val_losses = [], []
    for regime in REGIMES:
        longer = replace(effort, n_updates=effort.n_updates * regime.length)
        trial = make_trial(problem, case, longer, batch_size=regime.batch_size)
        for name, (lowest, highest) in RATES.items():
            base = rate_grid(lowest, highest, effort.rates_per_decade)
            rates = np.concatenate([scheduled(base, trial.n_updates, *schedule) for schedule in SCHEDULES])
            runs = train(trial, name, rates, engine)
            shape = (len(SCHEDULES), len(base), effort.n_seeds)
            train_losses.append(runs.capped.reshape(shape))
            val_losses.append(np.minimum(runs.final_val, 1.0).reshape(shape))
    shape_of_all = (len(REGIMES), len(RATES), *shape)
    return Losses(problem.name, *(np.stack(losses).reshape(shape_of_all) for losses in (train_losses, val_losses)))


EXPERIMENT = Experiment(
    what=(
        f"On every problem, with {' and '.join(NAMES.values())}, a constant rate and the decays "
        f"{', '.join(SHAPES.values())}, each falling by {', '.join(f'{fall:g}' for fall in FALLS)} over the whole "
        f"training, at every base rate of a grid of three decades. Small batches have {REGIMES[0].batch_size} "
        f"examples, large ones {REGIMES[-1].batch_size}; a long training has {REGIMES[1].length} times as many "
        "updates. Rates and falls are chosen on the other seeds of the same problem, so that no choice profits from "
        "its own luck."
    ),
    n_cases=lambda effort: -(-effort.n_problems // 2),
    observe=observe,
    cost=15.0,
)


# -------------------------------------------------------------------------- does a decay beat a constant rate


def rows_of(shape: str, falls: Sequence[float] = FALLS) -> list[int]:
    """Indices into `SCHEDULES` of a shape with certain falls; a fall of 1 is the constant rate."""
    return [SCHEDULES.index(("constant", 1.0) if fall == 1.0 else (shape, fall)) for fall in falls]


def gain_when_tuned(losses: Float, shape: str) -> float:
    """Mean gain of a decay over the constant rate, each with its own best rate, the decay with its own best fall.

    Args:
        losses: (n_schedules, n_rates, n_seeds).
        shape: key of `SHAPES`.
    """
    return mean_gain(tuned(losses[0]), tuned(_flat(losses[rows_of(shape)])))


def gain_at_same_rate(losses: Float, shape: str) -> float:
    """Mean gain of a decay over the constant rate at the best rate of the latter, the decay with its own best fall."""
    seeds = np.arange(losses.shape[-1])
    rate = chosen_on_others(losses[0])
    decayed = losses[rows_of(shape)][:, rate, :]  # (n_falls, n_seeds that chose, n_seeds)
    after = [tuned(decayed[:, seed, :])[seed] for seed in seeds]
    return mean_gain(losses[0, rate, seeds], np.array(after))


def _flat(losses: Float) -> Float:
    return losses.reshape(-1, losses.shape[-1])


SETTINGS: Mapping[str, Callable[[Float, str], float]] = {
    "the rate is the constant one's best": gain_at_same_rate,
    "each schedule has its own best rate": gain_when_tuned,
}


def judge_shape(seen: Sequence[Losses], shape: str) -> Measurement:
    """Does a decay beat a constant rate?"""
    effects: dict[str, Estimate] = {}
    rows: list[Row] = []
    for r, regime in enumerate(REGIMES):
        for o, optimizer in enumerate(NAMES.values()):
            gains = [estimate([gain_of(s.train[r, o], shape) for s in seen]) for gain_of in SETTINGS.values()]
            for setting, gain in zip(SETTINGS, gains, strict=True):
                effects[f"{regime.name}, the optimiser is {optimizer} and {setting}"] = gain
            in_validation = estimate([gain_in_validation(s, r, o, shape) for s in seen])
            rows.append((regime.name, optimizer, *gains, in_validation))
    return Measurement(
        rule=Rule("the gain over the constant rate", WORTH),
        effects=effects,
        table=Table(
            ("when", "optimiser", *SETTINGS, "the latter in validation loss"),
            tuple(rows),
            "Gain over the constant rate",
        ),
        panels=tuple(_panel(seen, r, (shape,)) for r in range(len(REGIMES))),
    )


def gain_in_validation(seen: Losses, regime: int, optimizer: int, shape: str) -> float:
    """The gain in validation loss of a tuned decay over the tuned constant rate, both tuned on the training loss."""
    train_loss, val_loss = seen.train[regime, optimizer], seen.val[regime, optimizer]
    seeds, rows = np.arange(train_loss.shape[-1]), rows_of(shape)
    before = val_loss[0][chosen_on_others(train_loss[0]), seeds]
    after = _flat(val_loss[rows])[chosen_on_others(_flat(train_loss[rows])), seeds]
    return mean_gain(before, after)


# ------------------------------------------------------------------------------- how far should it fall


def gain_of_fall(losses: Float, shape: str, fall: float) -> float:
    """Mean gain of a decay that falls by a factor over the constant rate, each with its own best rate."""
    return mean_gain(tuned(losses[0]), tuned(losses[rows_of(shape, [fall])[0]]))


def gain_of_falling_far(losses: Float, shape: str) -> float:
    """Mean gain of falls by 100 or more over smaller ones (a constant rate among them), each the best of its kind."""
    far = rows_of(shape, [fall for fall in FALLS if fall >= FALLEN_FAR])
    near = rows_of(shape, [1.0, *(fall for fall in FALLS if fall < FALLEN_FAR)])
    return mean_gain(tuned(_flat(losses[near])), tuned(_flat(losses[far])))


def judge_fall(seen: Sequence[Losses]) -> Measurement:
    """Should the rate have fallen by 100 or more at the end?"""
    effects: dict[str, Estimate] = {}
    rows: list[Row] = []
    for r, regime in enumerate(REGIMES):
        for shape, name in SHAPES.items():
            gains = [np.mean([gain_of_falling_far(of_one, shape) for of_one in s.train[r]]) for s in seen]
            effects[f"{regime.name} and the decay is {name}"] = estimate(gains)
            by_fall = [_gain_of_fall(seen, r, shape, fall) for fall in FALLS]
            rows.append((regime.name, name, *by_fall, estimate(gains)))
    return Measurement(
        rule=Rule("the gain of falls by 100 and more over smaller ones", WORTH),
        effects=effects,
        table=Table(
            (
                "when",
                "decay",
                *(f"fall by {fall:g}" for fall in FALLS),
                "100 and more over less",
            ),
            tuple(rows),
            "Gain over a constant rate, each with its own best rate, mean over both optimisers; last column: gain "
            "of the best fall by 100 and more over the best smaller one, the constant rate among these",
        ),
        panels=tuple(_panel(seen, r, tuple(SHAPES)) for r in range(len(REGIMES))),
    )


def _gain_of_fall(seen: Sequence[Losses], regime: int, shape: str, fall: float) -> Estimate:
    return estimate([np.mean([gain_of_fall(of_one, shape, fall) for of_one in s.train[regime]]) for s in seen])


def _panel(seen: Sequence[Losses], regime: int, shapes: Sequence[str]) -> Panel:
    series = [
        Series.of(
            SHAPES[shape], [1.0, *FALLS], [exactly(0.0), *(_gain_of_fall(seen, regime, shape, fall) for fall in FALLS)]
        )
        for shape in shapes
    ]
    return Panel(
        REGIMES[regime].name,
        "factor by which the rate falls",
        "gain over the constant rate",
        tuple(series),
        log_x=True,
        lines=(0.0,),
    )


_NOTE = (
    "A gain of 0.5 means that the final training loss was halved, of -0.5 that it was doubled; differences of less "
    "than 0.5 % of the best constant's loss are none."
)

CLAIMS = (
    *(
        Claim(
            f"{shape.replace('_', '-')}-decay",
            f"{statement} beats a constant rate.",
            "decays",
            partial(judge_shape, shape=shape),
            _NOTE + " The picture shows each fall with its own best rate, mean over both optimisers.",
        )
        for shape, statement in {
            "step": "Halving the rate every so many epochs",
            "exponential": "A rate that decays exponentially with the epoch",
            "inverse_time": "A rate that decays as 1/t",
        }.items()
    ),
    Claim(
        "fall-by-100", "By the end the rate should have fallen by a factor of 100 or more.", "decays", judge_fall, _NOTE
    ),
)
