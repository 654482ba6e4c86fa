"""Made-up observations of every experiment that get a claim each verdict its conditions allow."""

from __future__ import annotations

import numpy as np

from curvebench.claims import outputs
from curvebench.claims.claim import Ruling
from curvebench.claims.classes import WAYS, OneLabel, SeveralLabels
from curvebench.claims.decays import FALLS, REGIMES, SCHEDULES, Losses, rows_of
from curvebench.claims.fine_tuning import ANGLES, Tuning
from curvebench.claims.gradients import DEPTHS, HIDDEN, OUTPUTS, REFERENCE, SCALES, ByDepth, ByScale
from curvebench.claims.outputs import Ranges
from curvebench.claims.rates import OPTIMIZERS, Sweep
from curvebench.claims.remedies import CAUSES, GainTable
from curvebench.claims.trials import rate_grid
from curvebench.spec import DIAGNOSES

HOLDS, ONLY, FAILS, OPEN = Ruling.HOLDS, Ruling.HOLDS_ONLY, Ruling.FAILS, Ruling.OPEN
N_PROBLEMS, N_SEEDS, N_POINTS = 4, 2, 21


def for_every_problem(make):
    """Records that differ a little, so that intervals are no points."""
    return [make(f"problem-{i:02d}", 1.0 + 0.01 * i) for i in range(N_PROBLEMS)]


# --------------------------------------------------------------------------------------------- rates

RATES = rate_grid(-5, 1, 3)
N = len(RATES)
BEST = 10


def sweep(problem, best=BEST, early=None, too_high="explode", gap_at_tenth=0.0, gap_by_the_way=0.0):
    """Final losses in the form of a V around the best rate; everything else as asked for, alike for all optimisers.

    Args:
        problem: its name.
        best: index of the best rate, for all optimisers or for each.
        early: (n_rates,) loss after a tenth of training; falls with the rate by default.
        too_high: what the runs above the best rate do, for all optimisers or for each.
        gap_at_tenth: validation less training loss at the end, at rates below the best one.
        gap_by_the_way: the same of the run at the best rate before it ends, where it ends without any.
    """
    n_o = len(OPTIMIZERS)
    bests, fate = np.broadcast_to(best, n_o), np.broadcast_to(too_high, n_o)
    distance = np.abs(np.arange(N) - bests[:, None])
    final = np.minimum(0.1 + 0.05 * distance, 0.95)
    train_loss = np.linspace(1.0, 0.0, N_POINTS) + final[:, :, None] * np.linspace(0.0, 1.0, N_POINTS)
    train_loss[:, :, round(0.1 * (N_POINTS - 1))] = np.linspace(0.95, 0.9, N) if early is None else early
    val_loss = train_loss.copy()
    is_above, is_below = (np.sign(np.arange(N) - bests[:, None]) == sign for sign in (1, -1))
    for o in range(n_o):
        if fate[o] == "explode":
            train_loss[o, is_above[o], -1] = np.inf
        elif fate[o] == "swing":
            val_loss[o, is_above[o], 1::2] *= 3.0
        val_loss[o, is_below[o], -1] += gap_at_tenth
        val_loss[o, bests[o], 1:-1] += gap_by_the_way
    final_val = final + gap_at_tenth * is_below

    def seeds(values):
        return np.repeat(values[:, :, None], N_SEEDS, axis=2)

    return Sweep(problem, RATES, seeds(train_loss), seeds(val_loss), seeds(final), seeds(final_val))


def sweeps(**how):
    return for_every_problem(lambda problem, _: sweep(problem, **how))


IN_RANGE = int(np.flatnonzero((RATES > 1e-3) & (RATES < 1e-2))[1])
V = np.abs(np.arange(N) - BEST) / N

SPEED = {HOLDS: sweeps(), ONLY: sweeps(early=V), FAILS: sweeps(early=np.linspace(0, 1, N))}
TOO_HIGH = {
    HOLDS: sweeps(too_high="swing"),
    ONLY: sweeps(too_high=["explode", "swing", "quiet", "quiet", "quiet"]),
    FAILS: sweeps(too_high="quiet"),
    OPEN: [*sweeps(too_high="quiet")[:1], *sweeps()[:3]],
}
TOO_LOW = {
    HOLDS: sweeps(gap_at_tenth=0.2),
    ONLY: sweeps(gap_at_tenth=0.2, gap_by_the_way=0.3),
    FAILS: sweeps(),
}
START = {
    HOLDS: sweeps(best=IN_RANGE),
    ONLY: sweeps(best=[IN_RANGE, BEST, BEST, BEST, BEST + 1]),
    FAILS: sweeps(best=IN_RANGE + 3),
    OPEN: [*sweeps(best=IN_RANGE)[:2], *sweeps(best=BEST + 1)[:2]],
}

# -------------------------------------------------------------------------------------------- decays


def losses(decayed, regimes=(0, 1, 2), fallen_far=None):
    """A constant rate ends at 0.4, decays at `decayed` in some regimes, at 0.5 in others; far ones at `fallen_far`."""

    def make(problem, factor):
        shape = (len(REGIMES), 2, len(SCHEDULES), 3, N_SEEDS)
        table = np.full(shape, 0.5)
        table[:, :, 0] = 0.4
        for regime in regimes:
            table[regime, :, 1:] = decayed
            if fallen_far is not None:
                rows = [row for name in ("step", "exponential", "inverse_time") for row in rows_of(name, FALLS[3:])]
                table[regime][:, rows] = fallen_far
        return Losses(problem, table * factor, table * factor)

    return for_every_problem(make)


DECAY = {HOLDS: losses(0.2), ONLY: losses(0.2, [0]), FAILS: losses(0.6)}
FALL = {
    HOLDS: losses(0.3, fallen_far=0.1),
    ONLY: losses(0.3, [1], fallen_far=0.1),
    FAILS: losses(0.2, fallen_far=0.25),
}

# --------------------------------------------------------------------------------------- fine-tuning


def tunings(best_new, best_old):
    """Losses lowest at certain rates; the old problem's counts little unless it has the lower rate."""
    rates = np.concatenate([[0.0], rate_grid(-6, 0, 3)])

    def make(problem, factor):
        logs = np.log10(np.maximum(rates, 1e-7))
        shape = (len(ANGLES), 2, len(rates))
        new, old = (
            np.broadcast_to(weight * np.abs(logs - np.log10(best)), shape) * factor
            for best, weight in ((best_new, 0.1), (best_old, 1.0))
        )
        return Tuning(problem, rates, new, old)

    return for_every_problem(make)


TUNING = {HOLDS: tunings(1e-5, 1e-5), ONLY: tunings(1e-2, 1e-5), FAILS: tunings(1e-2, 1e-2)}

# ------------------------------------------------------------------------------------------ remedies


def gain_tables(is_best):
    """The taught remedy gains 0.5 for some diagnoses and nothing for others; any other but none gains 0.2."""

    def make(problem, factor):
        n = len(DIAGNOSES)
        gains = np.full((len(CAUSES), n, n), 0.2)
        gains[:, -1] = -0.1
        gains[:, :, -1] = 0.0
        for i in range(n - 1):
            gains[:, i, i] = 0.5 if is_best[i] else 0.0
        if not is_best[-1]:
            gains[:, -1, 0] = 0.3
        return GainTable(problem, np.full((len(CAUSES), n), 8.0), gains * factor)

    return for_every_problem(make)


REMEDY = {
    HOLDS: gain_tables([True] * 6),
    ONLY: gain_tables([True, False, True, False, False, True]),
    FAILS: gain_tables([False] * 6),
}

# ------------------------------------------------------------------------------------------- outputs


def ranges(outside, sum_error=0.0):
    n = len(outputs.NAMES)
    return for_every_problem(
        lambda problem, factor: Ranges(
            problem,
            *(np.full(n, v) for v in (-1.0, 2.0, min(1.0, outside * factor), sum_error * factor, 0.0)),
        )
    )


RANGE = {"inside": ranges(0.0), "outside": ranges(0.4)}

# ----------------------------------------------------------------------------------------- gradients


def by_depth(**slope):
    """Log norms that fall by a slope with every layer, by activation."""

    def make(problem, factor):
        first = np.array([[-slope.get(name, 0.0) * depth for depth in DEPTHS] for name in HIDDEN])
        return ByDepth(problem, first * factor, np.zeros_like(first))

    return for_every_problem(make)


def by_scale(falls):
    """Log norms that fall by so many decades in all, by output."""

    def make(problem, factor):
        norm = np.array([np.linspace(0.0, -falls.get(name, 0.0), len(SCALES)) for name in OUTPUTS])
        return ByScale(problem, norm * factor, np.zeros_like(norm))

    return for_every_problem(make)


DEPTH = {
    HOLDS: by_depth(sigmoid=1.0, tanh=0.5),
    ONLY: by_depth(sigmoid=1.0, tanh=0.1),
    FAILS: by_depth(sigmoid=1.0, tanh=0.5, relu=1.0),
}
SCALE = {
    HOLDS: by_scale({name: 2.0 for name in OUTPUTS if name != REFERENCE}),
    ONLY: by_scale({"tanh and the loss squared error": 2.0}),
    FAILS: by_scale(dict.fromkeys(OUTPUTS, 2.0)),
}

# ------------------------------------------------------------------------------------------- classes


def one_label(error, cross_entropy):
    return for_every_problem(
        lambda problem, factor: OneLabel(
            problem, np.array(error) * factor, np.array(cross_entropy) * factor, np.array([0.0, 0.1])
        )
    )


def several(at_half, at_chosen):
    assert len(at_half) == len(WAYS)
    return for_every_problem(
        lambda problem, factor: SeveralLabels(problem, np.array(at_half) * factor, np.array(at_chosen) * factor, 0.05)
    )


ONE = {
    HOLDS: one_label([0.1, 0.2], [0.5, 0.9]),
    ONLY: one_label([0.2, 0.2], [0.5, 0.9]),
    FAILS: one_label([0.2, 0.1], [0.5, 0.5]),
}
SEVERAL = {
    HOLDS: several([0.1, 0.3, 0.4], [0.1, 0.2, 0.15]),
    ONLY: several([0.1, 0.3, 0.4], [0.1, 0.2, 0.1]),
    FAILS: several([0.3, 0.2, 0.4], [0.1, 0.1, 0.1]),
}

MADE_UP = {
    "high-rate-is-fast": SPEED,
    "too-high-explodes": TOO_HIGH,
    "too-low-overfits": TOO_LOW,
    "start-from-1e-3-to-1e-2": START,
    "step-decay": DECAY,
    "exponential-decay": DECAY,
    "inverse-time-decay": DECAY,
    "fall-by-100": FALL,
    "fine-tune-at-1e-4": TUNING,
    "taught-remedies": REMEDY,
    "remedies-of-causes": REMEDY,
    "deep-layers-vanish": DEPTH,
    "saturated-outputs-vanish": SCALE,
    "softmax-for-one-label": ONE,
    "sigmoid-for-several-labels": SEVERAL,
}
"""Claim -> verdict -> observations that get it; the ranges of functions are no observations."""
