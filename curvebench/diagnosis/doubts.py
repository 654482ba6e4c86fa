"""When a verdict is not to be trusted: reasons to say nothing, and reasons for care."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np

from curvebench.diagnosis.sampling import N_POINTS
from curvebench.diagnosis.verdict import Limits, Precedents
from curvebench.logs import Curve
from curvebench.logs.channels import evenly_sampled
from curvebench.logs.names import Role, role_of
from curvebench.spec import Float

LATE_BEGIN, FEW_GAPS = 0.1, 5.0
"""A log begins late if its first step is beyond this share of its last, and so many usual gaps from zero."""

RISING = 1.1
"""A loss that ends this many times its lowest, without having exploded, may rise by design."""

ENOUGH = 5
"""Points of a validation loss, and similar runs in which a remedy was tried, of which fewer say nothing."""

EXPLODED = 10.0
"""Times its start; a loss that was ever this high did not rise by design."""

BY_DESIGN: Mapping[str, str] = {
    "gan": "adversarial",
    "adv": "adversarial",
    "adversarial": "adversarial",
    "disc": "adversarial",
    "discriminator": "adversarial",
    "gen": "adversarial",
    "generator": "adversarial",
    "critic": "reinforcement learning or adversarial",
    "actor": "reinforcement learning",
    "policy": "reinforcement learning",
    "reward": "reinforcement learning",
    "td": "reinforcement learning",
    "ppo": "reinforcement learning",
    "kl": "a divergence that may be meant to grow",
    "kld": "a divergence that may be meant to grow",
}
"""Word in a loss's name -> why it may rise, or not fall, by design."""

ADVERSARIAL_NAMES = re.compile(r"(?:^|[^a-z])(?:loss[_ /.-]?[dg]|[dg][_ /.-]?loss)(?:[^a-z]|$)")
"""How the two losses of adversarial training are called: loss_d, g_loss."""


def reasons_to_abstain(curve: Curve, probability: float, likeliest: str, novelty: float, limits: Limits) -> list[str]:
    """Sentences; none where a verdict may be given.

    Args:
        curve: the run.
        probability: that the likeliest diagnosis is right.
        likeliest: its name.
        novelty: see `Precedents`.
        limits: from where on nothing is said.
    """
    reasons = [*_about_the_log(curve, limits)]
    if novelty > limits.max_novelty:
        reasons.append(
            f"The curve is unlike those of the data set: {novelty:.2g} times as far from the nearest as these usually "
            f"are from each other; up to {limits.max_novelty:.2g} is judged."
        )
    if probability < limits.min_probability:
        reasons.append(
            f"The likeliest diagnosis, {likeliest}, is right with a probability of {probability:.2f}; "
            f"{limits.min_probability:.2f} is asked for."
        )
    return reasons


def _about_the_log(curve: Curve, limits: Limits) -> Iterator[str]:
    """Reasons that lie in what was logged."""
    losses = curve.train_loss
    is_finite = np.isfinite(losses)
    if (n := int(is_finite.sum())) < limits.min_points:
        yield f"There are too few points: {n} finite values of the loss; {limits.min_points} are asked for."
    if (losses[is_finite] < 0).any():
        yield "The loss is negative somewhere, so that its course cannot be read as a ratio to its start."
    elif is_finite.any() and not (losses[is_finite] > 0).any():
        yield "The loss is zero wherever it is finite: there is no course to judge."
    if begins_late(curve.steps):
        yield (
            f"The log begins at {curve.step_name} {curve.steps[0]:,.6g} of {curve.steps[-1]:,.6g}: "
            "the start of the training, which a diagnosis needs, is not in it."
        )
    if is_filtered(curve):
        yield "The loss was filtered: where it was NaN the log has another number, so that a divergence may be hidden."
    if design := rises_by_design(curve.loss_name):
        yield f"The name of the loss, {curve.loss_name!r}, says {design}: such a loss need not fall in a good training."


def cautions(curve: Curve) -> tuple[str, ...]:
    """Sentences that weaken a verdict and do not forbid it."""
    return tuple(_cautions(curve))


def objections(found: Precedents) -> tuple[str, ...]:
    """A sentence where the remedy of a verdict did not help in most of the similar runs in which it was tried."""
    n, n_helped = len(found.gains), sum(gain > 0 for gain in found.gains)
    if n < ENOUGH or 2 * n_helped >= n:
        return ()
    return (f"Most of the similar runs speak against it: the remedy, or one like it, helped {n_helped} of {n}.",)


def _cautions(curve: Curve) -> Iterator[str]:
    if curve.source == "trainer-state" and not is_filtered(curve):
        yield (
            "The Hugging Face Trainer writes a mean in place of a NaN unless logging_nan_inf_filter is off: "
            "a divergence may be hidden."
        )
    if curve.source == "ultralytics":
        yield "Ultralytics leaves out epochs whose loss was NaN: a divergence may be hidden."
    if role_of(curve.loss_name) is Role.VALIDATION_LOSS:
        yield "This is a validation loss: overfitting looks like a rate too high."
    if _overfits(curve):
        yield (
            "The validation loss rises while the training loss does not: overfitting. The verdict is about the "
            "training loss; none of its remedies is meant against that."
        )
    if _rises(curve):
        yield (
            "The loss rises without exploding. Some losses do so by design: adversarial ones, those with a growing "
            "penalty or a harder and harder curriculum. If this is one, do not trust the verdict."
        )


def begins_late(steps: Float) -> bool:
    """Whether the start of the training is missing in a log with these steps, (n,) ascending."""
    if len(steps) < 2 or steps[0] <= 0:
        return False
    gap = float(np.median(np.diff(steps)))
    return bool(steps[0] > LATE_BEGIN * steps[-1] and steps[0] > FEW_GAPS * gap)


def is_filtered(curve: Curve) -> bool:
    """Whether numbers stand in the log where the loss was NaN.

    The Hugging Face Trainer writes such numbers: the gradient norm is NaN there, or the loss becomes exactly zero.
    Another log whose gradient norm becomes NaN while its loss does not is suspected of the same.
    """
    finite = np.isfinite(curve.train_loss)
    if curve.grad_norm is not None and finite.all():
        norms = curve.grad_norm[np.argmax(np.isfinite(curve.grad_norm)) :]
        if np.isnan(norms).any() and not np.isnan(norms).all():
            return True
    return bool(curve.source == "trainer-state" and len(curve) > 1 and (curve.train_loss[1:] == 0).any())


def rises_by_design(loss_name: str) -> str | None:
    """Why a loss of that name may rise by design; None if nothing says so.

    >>> rises_by_design("train/loss"), rises_by_design("d_loss")
    (None, 'adversarial')
    """
    name = loss_name.lower()
    if ADVERSARIAL_NAMES.search(name):
        return "adversarial"
    return next((BY_DESIGN[word] for word in re.split(r"[^a-z]+", name) if word in BY_DESIGN), None)


def _rises(curve: Curve) -> bool:
    """Whether the loss rises at the end, and never exploded."""
    losses = evenly_sampled(curve.steps, curve.train_loss, N_POINTS)
    if not np.isfinite(losses).all() or (losses <= 0).any() or losses.max() / EXPLODED > losses[0]:
        return False
    return _rises_at_the_end(losses)


def _overfits(curve: Curve) -> bool:
    """Whether the validation loss rises at the end and the training loss does not."""
    if curve.val_loss is None or not np.isfinite(curve.train_loss).all():
        return False
    known = curve.val_loss[np.isfinite(curve.val_loss)]
    if len(known) < ENOUGH or (known <= 0).any() or (curve.train_loss <= 0).any():
        return False
    losses = evenly_sampled(curve.steps, curve.train_loss, N_POINTS)
    return _rises_at_the_end(known) and not _rises_at_the_end(losses)


def _rises_at_the_end(losses: Float) -> bool:
    """Whether all of the last fifth of a positive loss lies clearly above where it was lowest.

    What is lowest is the median of a fifth, so that one lucky batch is no rise afterwards.
    """
    fifths = np.array_split(losses / losses.max(), 5)  # in this unit nothing overflows
    return bool(fifths[-1].min() > RISING * min(map(np.median, fifths)))
