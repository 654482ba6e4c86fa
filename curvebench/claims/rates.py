"""Claims about the size of the learning rate: how it shows in the curve, whether it overfits, where it should start."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from curvebench.claims.claim import Claim, Estimate, Experiment, Measurement, Panel, Row, Rule, Series, Table
from curvebench.claims.statistics import estimate, mean_of_known
from curvebench.claims.trials import Effort, make_trial, problem_of, rate_grid, scheduled, train
from curvebench.remedies import gain
from curvebench.spec import Bool, Engine, Float, Int

OPTIMIZERS: Mapping[str, str] = {
    "sgd": "SGD",
    "momentum": "momentum",
    "adam": "Adam",
    "adamw": "AdamW",
    "rmsprop": "RMSprop",
}
"""Optimisers that are swept, and how they are called in print."""

LOWEST, HIGHEST = -5, 1
"""Decades between which constant rates are swept."""

BATCH_SIZE = 8
N_POINTS = 65

NEARLY_ALL, MOST = 0.9, 0.5
"""Shares from which on something is said of nearly all, or of most."""

EARLY = 0.1
"""Share of training after which a run is looked at early."""

TOO_HIGH = 0.1
"""A rate is too high if lowering it to the best one gains this much: what counts as material for labels."""

EXPLODED = 2.0
"""A run has exploded if its loss ends above so many times that of the best constant prediction, or not finite."""

SWINGS = 2.0
"""A run swings if its validation loss moves so many times as much from point to point as at the best rate."""

FAR = 10.0
"""A rate is far too high if it is more than so many times the best one."""


@dataclass(frozen=True)
class Sweep:
    """Constant rates on one problem; losses are shares of that of the best constant prediction.

    Attributes:
        problem: its name.
        rates: (n_rates,) ascending.
        train_loss: (n_optimizers, n_rates, n_seeds, n_points).
        val_loss: the same of the validation set.
        final: (n_optimizers, n_rates, n_seeds) training objective at the end, at most 1.
        final_val: the same of the validation set, not capped.
    """

    problem: str
    rates: Float
    train_loss: Float
    val_loss: Float
    final: Float
    final_val: Float

    @property
    def best(self) -> Int:
        """(n_optimizers,) index of the rate with the lowest final training loss."""
        return np.asarray(self.final.mean(axis=2).argmin(axis=1))

    @property
    def decades(self) -> Float:
        """(n_optimizers, n_rates) decades above the best rate."""
        logs = np.log10(self.rates)
        return np.asarray(logs - logs[self.best][:, None])

    def at(self, decades: float, values: Float) -> Float:
        """Values (n_optimizers, n_rates, …) at so many decades above the best rate, (n_optimizers, …).

        NaN where the grid has no such rate.
        """
        is_there = np.abs(self.decades - decades) < _SAME
        found = np.full(values[:, 0].shape, np.nan)
        for optimizer, rate in zip(*np.nonzero(is_there), strict=True):
            found[optimizer] = values[optimizer, rate]
        return found


_SAME = 1e-6
_SHOWN = 1.5
"""Losses in means are capped here: an exploded run would hide all others."""


def observe(case: int, effort: Effort, engine: Engine) -> Sweep:
    """Sweep constant rates with every optimiser."""
    problem = problem_of(case)
    trial = make_trial(problem, case, effort, batch_size=BATCH_SIZE)
    rates = rate_grid(LOWEST, HIGHEST, effort.rates_per_decade)
    runs = [train(trial, name, scheduled(rates, effort.n_updates), engine, n_points=N_POINTS) for name in OPTIMIZERS]
    return Sweep(
        problem.name,
        rates,
        np.stack([r.train_loss for r in runs]),
        np.stack([r.val_loss for r in runs]),
        np.stack([r.capped for r in runs]),
        np.stack([r.final_val for r in runs]),
    )


EXPERIMENT = Experiment(
    what=(
        f"On every problem, constant rates between 1e{LOWEST} and 1e{HIGHEST} with {', '.join(OPTIMIZERS.values())}, "
        f"batches of {BATCH_SIZE}. The best rate is the one with the lowest final training loss."
    ),
    n_cases=lambda effort: effort.n_problems,
    observe=observe,
    cost=1.5,
)


# -------------------------------------------------------------------------------- fast early, slow


BELOW, ABOVE = "the rates stay below the best one", "the rates are above the best one and still learn something"


def early_loss(sweep: Sweep) -> Float:
    """(n_optimizers, n_rates) training loss after a tenth of training, mean over seeds."""
    point = round(EARLY * (sweep.train_loss.shape[-1] - 1))
    return np.asarray(np.minimum(sweep.train_loss[..., point], _SHOWN).mean(axis=2))


def share_of_faster(early: Float, final: Float) -> tuple[float, float]:
    """Of all pairs of rates, the share in which the higher one has the lower loss early on.

    Args:
        early: (n_rates,) loss after a tenth of training, rates ascending.
        final: (n_rates,) loss at the end, at most 1, which means that nothing was learned.

    Returns:
        Among the rates up to the best one; among those from the best one to the highest that learned something. NaN
        where there are fewer than two.
    """
    best = int(final.argmin())
    highest = int(np.flatnonzero(final < LEARNED).max(initial=best))
    return _share_of_pairs(early[: best + 1]), _share_of_pairs(early[best : highest + 1])


LEARNED = 0.995
"""Share of the loss of the best constant prediction below which a run has learned something."""


def _share_of_pairs(early: Float) -> float:
    pairs = [later < earlier for i, earlier in enumerate(early) for later in early[i + 1 :]]
    return float(np.mean(pairs)) if pairs else float("nan")


def judge_speed(sweeps: Sequence[Sweep]) -> Measurement:
    """Is a high rate fast early and a low one slow?"""
    shares = np.array(
        [[share_of_faster(*pair) for pair in zip(early_loss(s), s.final.mean(2), strict=True)] for s in sweeps]
    )
    rows: list[Row] = []
    for i, name in enumerate(OPTIMIZERS.values()):
        losses = [[s.at(d, early_loss(s))[i] for s in sweeps] for d in (-1.0, 0.0, 1.0)]
        rows.append((name, estimate(shares[:, i, 0]), estimate(shares[:, i, 1]), *map(estimate, losses)))
    return Measurement(
        rule=Rule(
            "the share of pairs of rates of which the higher has the lower loss after a tenth of training", NEARLY_ALL
        ),
        effects={
            BELOW: estimate(mean_of_known(shares[:, :, 0])),
            ABOVE: estimate(mean_of_known(shares[:, :, 1])),
        },
        table=Table(
            (
                "optimiser",
                "pairs below the best rate",
                "pairs above it",
                "early loss at a tenth of the best rate",
                "at the best",
                "at ten times the best",
            ),
            tuple(rows),
        ),
        panels=tuple(
            _panel(
                sweeps,
                name,
                {"after a tenth of training": early_loss, "at the end": lambda s: s.final.mean(axis=2)},
                "training loss / best constant",
            )
            for name in ("sgd", "adam")
        ),
    )


def _panel(
    sweeps: Sequence[Sweep], optimizer: str, curves: Mapping[str, Callable[[Sweep], Float]], y_label: str
) -> Panel:
    """Means over the problems of (n_optimizers, n_rates) values, against the rate over the best one."""
    row = list(OPTIMIZERS).index(optimizer)
    offsets = sorted({round(float(d), 6) for s in sweeps for d in s.decades[row] if -3.0 <= d <= 1.6})
    series = []
    for name, values_of in curves.items():
        estimates = [estimate([s.at(d, values_of(s))[row] for s in sweeps]) for d in offsets]
        series.append(Series.of(name, [10.0**d for d in offsets], estimates))
    return Panel(OPTIMIZERS[optimizer], "rate / best rate", y_label, tuple(series), log_x=True)


# ------------------------------------------------------------------------- explodes or oscillates

PLAIN, ADAPTIVE = ("sgd", "momentum"), ("adam", "adamw", "rmsprop")
KINDS: Mapping[str, tuple[str, ...]] = {
    "SGD or momentum": PLAIN,
    "Adam, AdamW or RMSprop": ADAPTIVE,
}
FATES = ("exploded", "swings", "quiet")


def fates(sweep: Sweep) -> tuple[Bool, Bool, Bool]:
    """What became of the runs whose rate is too high.

    Returns:
        (n_optimizers, n_rates, n_seeds) each: whether the rate is too high and the run exploded; whether it is and the
        run swings without having exploded; whether it is and the run does neither.
    """
    optimizers = np.arange(len(sweep.best))
    at_best = sweep.final[optimizers, sweep.best][:, None]
    is_above = np.arange(len(sweep.rates))[None, :] > sweep.best[:, None]
    is_too_high = is_above[:, :, None] & (gain(sweep.final, at_best, 1.0) >= TOO_HIGH)
    is_finite = np.isfinite(sweep.train_loss).all(axis=-1)
    exploded = ~is_finite | (sweep.train_loss[..., -1] > EXPLODED)
    swing = _swing(sweep.val_loss)
    swings = ~exploded & (swing >= SWINGS * swing[optimizers, sweep.best][:, None])
    return is_too_high & exploded, is_too_high & swings, is_too_high & ~exploded & ~swings


def _swing(val_loss: Float) -> Float:
    """(…,) typical change of the logarithm of the loss from point to point in the second half; inf where it died."""
    later = val_loss[..., val_loss.shape[-1] // 2 :]
    is_finite = np.asarray(np.isfinite(later).all(axis=-1))
    logs = np.log(np.where(is_finite[..., None], np.maximum(later, 1e-12), 1.0))
    return np.where(is_finite, np.median(np.abs(np.diff(logs, axis=-1)), axis=-1), np.inf)


def judge_too_high(sweeps: Sequence[Sweep]) -> Measurement:
    """Does too high a rate explode or oscillate?"""
    seen = [(s, fates(s)) for s in sweeps]
    effects: dict[str, Estimate] = {}
    rows: list[Row] = []
    for kind, members in KINDS.items():
        chosen = [list(OPTIMIZERS).index(name) for name in members]
        for is_far, distance in ((False, "up to ten times the best"), (True, "more than ten times the best")):
            counts = np.array([_counts(s, fate, chosen, is_far) for s, fate in seen])
            totals = counts.sum(axis=1)
            shares = np.where(totals[:, None] > 0, counts / np.maximum(totals, 1)[:, None], np.nan)
            effects[f"the optimiser is {kind} and the rate {distance}"] = estimate(shares[:, 0] + shares[:, 1])
            rows.append((kind, distance, float(totals.sum()), *(estimate(column) for column in shares.T)))
    return Measurement(
        rule=Rule("the share of the runs with too high a rate that explode or swing", NEARLY_ALL),
        effects=effects,
        table=Table(("optimiser", "rate", "runs", "explode", "swing", "neither: a quiet useless plateau"), tuple(rows)),
        panels=tuple(_fate_panel(seen, kind, members) for kind, members in KINDS.items()),
    )


def _counts(sweep: Sweep, fate: Sequence[Bool], optimizers: Sequence[int], is_far: bool) -> list[int]:
    is_beyond = sweep.decades > np.log10(FAR) + _SAME
    in_range = is_beyond if is_far else ~is_beyond
    return [int((f & in_range[:, :, None])[optimizers].sum()) for f in fate]


def _fate_panel(seen: Sequence[tuple[Sweep, Sequence[Bool]]], kind: str, members: Sequence[str]) -> Panel:
    chosen = [list(OPTIMIZERS).index(name) for name in members]
    offsets = sorted({round(float(d), 6) for s, _ in seen for d in s.decades[chosen].ravel() if _SAME < d <= 2.6})
    counts = np.zeros((len(offsets), len(FATES)))
    for sweep, fate in seen:
        for i, offset in enumerate(offsets):
            is_here = np.abs(sweep.decades - offset) < _SAME
            counts[i] += [int((f & is_here[:, :, None])[chosen].sum()) for f in fate]
    shares = counts / np.where(counts.sum(axis=1, keepdims=True) > 0, counts.sum(axis=1, keepdims=True), np.nan)
    series = tuple(
        Series(name, tuple(10.0**d for d in offsets), tuple(shares[:, i].tolist())) for i, name in enumerate(FATES)
    )
    return Panel(kind, "rate / best rate", "share of the runs with too high a rate", series, log_x=True)


# ------------------------------------------------------------------------------------- overfitting

TENTH = -1.0
"""Decades above the best rate at which a rate is called too low."""

WIDER = 0.02
"""Of the best constant's loss: by how much a gap must be wider to speak of overfitting."""


def gap(sweep: Sweep) -> Float:
    """(n_optimizers, n_rates) validation less training loss at the end, mean over seeds."""
    return np.asarray((np.minimum(sweep.final_val, CAPPED_GAP) - sweep.final).mean(axis=2))


CAPPED_GAP = 5.0
"""Validation losses are capped here, in units of the best constant's, so that no single run decides."""


def gap_at_same_loss(sweep: Sweep, optimizer: int) -> tuple[float, float]:
    """Gaps between validation and training loss at a tenth of the best rate and at the best one, equally far learned.

    The run at the best rate is looked at where its training loss first gets down to where the run at the lower rate
    ends. NaN where the grid has no such rate.
    """
    best = int(sweep.best[optimizer])
    found = np.flatnonzero(np.abs(sweep.decades[optimizer] - TENTH) < _SAME)
    if len(found) == 0:
        return float("nan"), float("nan")
    train_loss, val_loss = (
        np.minimum(losses[optimizer], CAPPED_GAP).mean(axis=1) for losses in (sweep.train_loss, sweep.val_loss)
    )
    slow_end, low = train_loss[found[0], -1], found[0]
    reached = np.flatnonzero(train_loss[best] <= slow_end)
    point = int(reached[0]) if len(reached) else train_loss.shape[1] - 1
    return float(val_loss[low, -1] - slow_end), float(val_loss[best, point] - train_loss[best, point])


def judge_overfitting(sweeps: Sequence[Sweep]) -> Measurement:
    """Does too low a rate overfit?"""
    effects: dict[str, Estimate] = {}
    rows: list[Row] = []
    for i, name in enumerate(OPTIMIZERS.values()):
        for decades, words in ((-2.0, "a hundredth of the best"), (-1.0, "a tenth of the best"), (0.0, "the best")):
            columns = [[s.at(decades, values(s))[i] for s in sweeps] for values in (_train, _val, gap)]
            rows.append((name, words, *map(estimate, columns)))
    same_updates = np.array([s.at(TENTH, gap(s)) - s.at(0.0, gap(s)) for s in sweeps])
    same_loss = np.array([[np.subtract(*gap_at_same_loss(s, i)) for i in range(len(OPTIMIZERS))] for s in sweeps])
    effects["compared after as many updates"] = estimate(mean_of_known(same_updates))
    effects["compared at the same training loss"] = estimate(mean_of_known(same_loss))
    return Measurement(
        rule=Rule("how much wider the gap from training to validation loss is at a tenth of the best rate", WIDER),
        effects=effects,
        table=Table(("optimiser", "rate", "training loss", "validation loss", "gap"), tuple(rows)),
        panels=tuple(
            _panel(sweeps, name, {"training": _train, "validation": _val}, "final loss / best constant")
            for name in ("sgd", "adam")
        ),
    )


def _train(sweep: Sweep) -> Float:
    return np.asarray(sweep.final.mean(axis=2))


def _val(sweep: Sweep) -> Float:
    return np.asarray(np.minimum(sweep.final_val, CAPPED_GAP).mean(axis=2))


# ----------------------------------------------------------------------------------- where to start

RANGE = (1e-3, 1e-2)
"""The rates that are commonly said to be suitable."""


def judge_start(sweeps: Sequence[Sweep]) -> Measurement:
    """Is the best rate in the range from 0.001 to 0.01?"""
    effects: dict[str, Estimate] = {}
    rows: list[Row] = []
    points: list[Series] = []
    for i, name in enumerate(OPTIMIZERS.values()):
        best = np.array([s.rates[s.best[i]] for s in sweeps])
        is_in = (best >= RANGE[0]) & (best <= RANGE[1])
        effects[f"the optimiser is {name}"] = estimate(is_in.astype(np.float64))
        rows.append(
            (
                name,
                estimate(is_in.astype(np.float64)),
                float(np.mean(best < RANGE[0])),
                float(np.mean(best > RANGE[1])),
                float(10 ** np.log10(best).mean()),
                estimate([_left_behind(s, i) for s in sweeps]),
            )
        )
        spread = 0.25 * (np.arange(len(best)) / max(1, len(best) - 1) - 0.5)
        points.append(Series(name, tuple((i + spread).tolist()), tuple(best.tolist())))
    return Measurement(
        rule=Rule("the share of problems whose best constant rate is between 0.001 and 0.01", MOST),
        effects=effects,
        table=Table(
            (
                "optimiser",
                "best rate in the range",
                "below it",
                "above it",
                "geometric mean of the best rates",
                "gain of the best rate over the best in the range",
            ),
            tuple(rows),
        ),
        panels=(
            Panel(
                "one point a problem",
                "",
                "best constant rate",
                tuple(points),
                log_y=True,
                is_line=False,
                ticks=tuple(OPTIMIZERS.values()),
                lines=RANGE,
            ),
        ),
    )


def _left_behind(sweep: Sweep, optimizer: int) -> float:
    """Gain of the best rate over the best one in the range."""
    losses = sweep.final[optimizer].mean(axis=1)
    in_range = (sweep.rates >= RANGE[0]) & (sweep.rates <= RANGE[1])
    return float(gain(losses[in_range].min(), losses.min(), 1.0))


CLAIMS = (
    Claim("high-rate-is-fast", "A high rate is fast early, a low one is slow.", "rates", judge_speed),
    Claim(
        "too-high-explodes",
        "Too high a rate makes the loss explode or oscillate.",
        "rates",
        judge_too_high,
        f"Too high is every rate above the best one from which a change to the best one gains at least {TOO_HIGH:g}. "
        f"A run explodes if its loss ends above {EXPLODED:g} times that of the best constant prediction or is no "
        f"longer finite; it swings if its validation loss typically moves at least {SWINGS:g} times as much from "
        "point to point as at the best rate.",
    ),
    Claim(
        "too-low-overfits",
        "Too low a rate overfits.",
        "rates",
        judge_overfitting,
        "At the same training loss means: the run at the best rate is looked at early, where its training loss is "
        "that with which the run at the lower rate ends.",
    ),
    Claim(
        "start-from-1e-3-to-1e-2",
        "Starting at a rate of 0.01 to 0.001 is suitable.",
        "rates",
        judge_start,
        f"The range is one of the {HIGHEST - LOWEST} decades that were swept.",
    ),
)
