"""`trainer_state.json` of the Hugging Face Trainer."""

from __future__ import annotations

from collections.abc import Mapping

from curvebench.logs.json_text import numbers_in
from curvebench.logs.run import Budget, RunBuilder
from curvebench.spec import InputError

SOURCE = "trainer-state"

_FILTER = (
    "The Hugging Face Trainer by default replaces NaN and infinite losses by their running mean "
    "(logging_nan_inf_filter), so a divergence may not show; each loss is the mean since the one before."
)


def recognises(document: object) -> bool:
    """Whether a JSON document is a trainer's state."""
    return isinstance(document, Mapping) and isinstance(document.get("log_history"), list)


def read(document: object, name: str, budget: Budget) -> RunBuilder:
    """The log in a trainer's state.

    Raises:
        InputError: nothing was logged.
    """
    history = document["log_history"] if isinstance(document, Mapping) else []
    builder = RunBuilder(name, SOURCE, budget, notes=[_FILTER])
    for entry in history:
        # the last entry sums the training up: its train_loss is the mean over all of it
        if isinstance(entry, Mapping) and "train_runtime" not in entry and (row := numbers_in(entry)):
            builder.add(row)
    if not builder.n_rows:
        raise InputError("It is a state of the Hugging Face Trainer with an empty log_history.")
    return builder


def global_step(document: object) -> float:
    """How far training had come when the state was written; -1 if it does not say."""
    return numbers_in(document).get("global_step", -1.0)
