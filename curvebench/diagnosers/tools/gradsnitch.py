"""gradsnitch: ten rules on a data frame of steps, each with a stable code, a likely cause and a suggestion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from curvebench.diagnosers.tools.adapter import Columns, Meaning, Source, Tool, by_severity
from curvebench.spec import Diagnosis

_NAMES = {"train_loss": "train_loss", "val_loss": "val_loss", "grad_norm": "grad_norm", "learning_rate": "lr"}


class Gradsnitch(Tool):
    """`gradsnitch.lint` on a data frame with one row a point."""

    SOURCE = Source("gradsnitch", "0.1.0", "https://github.com/devangpratap/gradsnitch")
    MAPPING: ClassVar[Mapping[str, Meaning]] = {
        "GS001": Meaning(Diagnosis.LR_TOO_HIGH, "Loss became NaN/Inf: its first cause is a rate too high."),
        "GS002": Meaning(Diagnosis.LR_TOO_HIGH, "Gradient norm exploded: clip or lower the rate.", ("grad_norm",)),
        "GS003": Meaning(
            Diagnosis.LR_TOO_HIGH, "Gradient-norm spike: an unstable update, a rate too high.", ("grad_norm",)
        ),
        "GS004": Meaning(None, "Overfitting: a matter of validation, not of the rate.", ("val_loss",)),
        "GS005": Meaning(Diagnosis.LR_TOO_LOW, "No early progress: its first cause is a rate too low, raise it."),
        "GS006": Meaning(Diagnosis.LR_TOO_HIGH, "Sustained rise: rate too high, lower it."),
        "GS007": Meaning(
            Diagnosis.LR_TOO_LOW,
            "Vanishing gradients while the loss is stuck: of what it names, only raising the rate is a remedy here.",
            ("grad_norm",),
        ),
        "GS008": Meaning(None, "Update to weight ratio: no log here has that column.", ("update_ratio",)),
        "GS009": Meaning(Diagnosis.LR_TOO_HIGH, "Growing oscillation: usually a rate too high, lower it."),
        "GS010": Meaning(
            Diagnosis.LATE_LR_TOO_LOW,
            "Schedule collapsed early: the rest of the run trains at nearly no rate.",
            ("learning_rate",),
        ),
    }
    SILENCE = Meaning(
        None, "It stays silent unless a signature is unambiguous; that is not the same as calling a run fine."
    )
    is_slow = True

    def examine(self, run: Columns) -> Sequence[str]:
        """Codes of its rules, errors before warnings."""
        import gradsnitch
        import pandas as pd

        columns = {_NAMES[channel]: values for channel, values in run.items()}
        found = gradsnitch.lint(pd.DataFrame({"step": range(len(run["train_loss"])), **columns}))
        return by_severity([(finding.code, finding.severity) for finding in found], ("error", "warning"))
