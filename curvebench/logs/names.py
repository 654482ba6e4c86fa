"""What logs call things: by which names loss, validation loss, learning rate, gradient norm and steps are found."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise

from curvebench.logs.limits import MAX_NOTE_NAMES
from curvebench.spec import InputError


class Role(StrEnum):
    """What a column can be to a curve."""

    LOSS = "loss"
    VALIDATION_LOSS = "validation loss"
    LEARNING_RATE = "learning rate"
    GRADIENT_NORM = "gradient norm"
    STEP = "step"
    EPOCH = "epoch"
    TIME = "time"
    NOTHING = "nothing of these"


WORDS: Mapping[str, frozenset[str]] = {
    "loss": frozenset({"loss", "losses", "trl", "tel"}),
    "weak loss": frozenset(
        {"nll", "objective", "cost", "error", "mse", "rmse", "mae", "bce", "xent", "crossentropy", "ce", "criterion"}
    ),
    "no loss": frozenset(
        {"min", "max", "std", "var", "scale", "scaler", "best", "lowest", "weight", "weights", "coef", "lambda", "lr",
         "grad", "norm", "acc", "accuracy", "rate", "count", "num", "time", "seconds", "perplexity", "ppl", "patience",
         "hparam"}
    ),
    "train": frozenset({"train", "training", "trn", "tr", "trl"}),
    "validation": frozenset({"val", "valid", "validation", "eval", "evaluation", "dev", "test", "testing", "tel"}),
    "test": frozenset({"test", "testing", "tel"}),
    "neutral": frozenset(
        {"epoch", "step", "iter", "iteration", "avg", "average", "mean", "total", "running", "metrics", "scalars",
         "log", "logs", "optimizer", "opt", "set"}
    ),
    "counting": frozenset({"global", "num", "trainer", "current", "train", "training"}),
    "step": frozenset(
        {"step", "steps", "iter", "iters", "iteration", "iterations", "it", "update", "updates", "batch", "batches",
         "minibatch", "batchidx"}
    ),
    "epoch": frozenset({"epoch", "epochs", "ep"}),
    "time": frozenset({"time", "timestamp", "runtime", "walltime", "wall", "seconds", "date", "elapsed", "eta", "ms"}),
}  # fmt: skip
"""The conventions. A name is cut into words (`words_of`); these words decide what it is."""

RUN_NAMES = frozenset({"run", "run_id", "run_uuid", "run_name", "trial", "trial_id"})
"""Columns of text, in small letters, that tell runs apart."""

_BOUNDARY = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

_LONGEST_NAME = 400


@lru_cache(maxsize=4096)
def words_of(name: str) -> tuple[str, ...]:
    """A name cut into words of small letters.

    >>> words_of("train/epoch_loss"), words_of("Train Loss"), words_of("trainLoss"), words_of("lr-Adam")
    (('train', 'epoch', 'loss'), ('train', 'loss'), ('train', 'loss'), ('lr', 'adam'))
    """
    return tuple(word.lower() for word in _BOUNDARY.split(name[:_LONGEST_NAME]) if word)


@lru_cache(maxsize=4096)
def role_of(name: str) -> Role:
    """What a column is, going by its name alone.

    >>> [str(role_of(name)) for name in ("valid_loss", "lr", "grad_norm", "loss_scale", "global_step", "epoch")]
    ['validation loss', 'learning rate', 'gradient norm', 'nothing of these', 'step', 'epoch']
    """
    words = words_of(name)
    known = set(words)
    if "gnorm" in known or ("norm" in known and known & {"grad", "gradient", "gradients", "grads"}):
        return Role.GRADIENT_NORM
    if "lr" in known or ("learning", "rate") in pairwise(words) or "learningrate" in known:
        return Role.LEARNING_RATE
    is_loss = known & (WORDS["loss"] | WORDS["weak loss"]) and not known & WORDS["no loss"]
    if is_loss:
        return Role.VALIDATION_LOSS if known & WORDS["validation"] else Role.LOSS
    counted = known - WORDS["counting"]
    if counted and counted <= WORDS["epoch"]:
        return Role.EPOCH
    if counted and counted <= WORDS["step"]:
        return Role.STEP
    return Role.TIME if known & WORDS["time"] else Role.NOTHING


def distance(name: str, wanted: Role, like: str | None = None) -> tuple[int, ...]:
    """How far a name of a role is from the plainest one of its role; the smallest is preferred.

    In this order: a weak word ("mse" rather than "loss"), "test" rather than "val", further words ("box_loss") or, for
    a validation loss, other ones than the training loss has; then a loss that does not say that it is of training.

    >>> sorted(["box_loss", "loss", "train_loss", "mse"], key=lambda name: distance(name, Role.LOSS))
    ['train_loss', 'loss', 'box_loss', 'mse']
    """
    words = set(words_of(name))
    roles = WORDS["loss"] | WORDS["weak loss"] | WORDS["train"] | WORDS["validation"] | WORDS["neutral"]
    if wanted in (Role.LOSS, Role.VALIDATION_LOSS):
        further = words - roles
        if like is not None:
            further = further ^ (set(words_of(like)) - roles)
        weak = not words & WORDS["loss"]
        test = wanted is Role.VALIDATION_LOSS and bool(words & WORDS["test"])
        plain = wanted is Role.LOSS and not words & WORDS["train"]
        return (int(weak), len(further), int(test), int(plain))
    if wanted is Role.STEP:
        return (int("global" not in words), int(bool(words & {"batch", "batches", "it"})), len(words))
    return (len(words - roles), len(words))


def is_summary(name: str) -> bool:
    """Whether a column repeats another: the extremes that W&B exports beside every value."""
    return name.endswith(("__MIN", "__MAX"))


def find_name(asked: str, known: Sequence[str], what: str) -> str:
    """The known name that was asked for; blanks around it, capitals and punctuation do not matter.

    Raises:
        InputError: there is none; it lists what there is and suggests the nearest.
    """
    if asked in known:
        return asked
    same = [name for name in known if words_of(name) == words_of(asked) and words_of(asked)]
    if len(same) == 1:
        return same[0]
    near = get_close_matches(asked[:_LONGEST_NAME], known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise InputError(f"There is no {asked!r} to take for the {what}.{hint} There is {listed(known)}.")


def listed(names: Iterable[str]) -> str:
    """Names in quotes, the first few of many.

    >>> listed(["a", "b"]), listed([])
    ("'a', 'b'", 'nothing')
    """
    quoted = [repr(name if len(name) < 80 else name[:77] + "...") for name in names]
    more = f" and {len(quoted) - MAX_NOTE_NAMES} more" if len(quoted) > MAX_NOTE_NAMES else ""
    return ", ".join(quoted[:MAX_NOTE_NAMES]) + more if quoted else "nothing"
