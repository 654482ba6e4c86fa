"""Labels by intervention in plain loops, one (cell, rate) at a time: slow, and to be read beside the definition."""

from __future__ import annotations

import math
from dataclasses import dataclass

from curvebench.spec import Action, Remedy
from curvebench.t_quantiles import t_quantile

PRICE = {"late_lr_too_high": 0, "late_lr_too_low": 0, "lr_too_high": 1, "lr_too_low": 1, "output_mismatch": 2}
"""Resume is cheaper than restart, restart than a change of output; of equal families the first."""


@dataclass
class PlainLabel:
    diagnosis: str
    accepted: set[str]
    best_gain: float
    onset: float
    difficulty: str
    is_close_call: bool
    """Whether rounding in a logarithm could decide."""


def family_of(remedy: Remedy) -> str | None:
    """The diagnosis that a remedy speaks for, if it counts at all."""
    down, up = remedy.factor < 1, remedy.factor > 1
    if remedy.action == Action.RESTART:
        return "lr_too_high" if down else "lr_too_low" if up else None
    if remedy.action == Action.RESUME and remedy.at >= 0.5:
        return "late_lr_too_high" if down else "late_lr_too_low" if up else None
    if remedy.action == Action.CHANGE_OUTPUT:
        return "output_mismatch"
    return None


def mean_and_half_width(values: list[float], confidence: float) -> tuple[float, float]:
    n = len(values)
    mean = sum(values) / n
    variance = sum((value - mean) * (value - mean) for value in values) / (n - 1)
    return mean, t_quantile(confidence, n) * math.sqrt(variance / n)


def label_one(
    gains: list[list[float]], remedies: list[Remedy], rules, is_useless: bool, is_complete: bool
) -> PlainLabel:
    """gains[seed][remedy], NaN where untried."""
    best: dict[str, tuple[float, float, float]] = {}  # family -> mean, lower, upper of its best member
    largest_mean = None
    earliest: dict[str, float] = {}
    for index, remedy in enumerate(remedies):
        family = family_of(remedy)
        values = [of_seed[index] for of_seed in gains]
        if family is None or any(math.isnan(value) for value in values):
            continue
        mean, half = mean_and_half_width(values, rules.confidence)
        if family not in best or mean > best[family][0]:
            best[family] = (mean, mean - half, mean + half)
        if largest_mean is None or mean > largest_mean:
            largest_mean = mean
        if mean - half >= rules.material_gain:
            earliest[family] = min(remedy.at, earliest.get(family, 1.0))

    material = {family for family, (_, lower, _) in best.items() if lower >= rules.material_gain}
    all_immaterial = all(upper < rules.material_gain for _, _, upper in best.values())
    lengths = {
        family: min(-math.log(1 - best[family][0]) if best[family][0] < 1 else math.inf, math.log(rules.largest_ratio))
        for family in material
    }
    longest = max(lengths.values(), default=0.0)
    accepted = {family for family in material if lengths[family] >= rules.accept_share * longest}
    is_close_call = any(
        0 < abs(length - rules.accept_share * longest) < 1e-12 and length != longest for length in lengths.values()
    )

    if not is_complete:
        diagnosis = "indeterminate"
    elif is_useless and not material:
        diagnosis = "other"
    elif all_immaterial:
        diagnosis = "healthy"
    elif material:
        in_order = [family for family in PRICE if family in accepted]
        diagnosis = min(in_order, key=lambda family: (PRICE[family], -best[family][0]))
    else:
        diagnosis = "indeterminate"

    if diagnosis in ("other", "indeterminate"):
        accepted, margin = set(), -math.inf
    elif diagnosis == "healthy":
        accepted = {"healthy"}
        margin = 5 * (rules.material_gain - max((upper for _, _, upper in best.values()), default=-math.inf))
    else:
        margin = best[diagnosis][1] - rules.material_gain
    return PlainLabel(
        diagnosis=diagnosis,
        accepted=accepted,
        best_gain=0.0 if largest_mean is None else largest_mean,
        onset=earliest[diagnosis] if diagnosis.startswith("late_") else math.nan,
        difficulty="easy" if margin >= 0.4 else "medium" if margin >= 0.15 else "hard",
        is_close_call=is_close_call,
    )
