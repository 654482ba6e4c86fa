"""silver-diagnostics: a health score for a history of metrics, with findings and next actions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from curvebench.diagnosers.tools.adapter import Columns, Meaning, Source, Tool, by_severity, rows
from curvebench.spec import Diagnosis

_NAMES = {
    "train_loss": "loss",
    "val_loss": "val_loss",
    "grad_norm": "gradient_norm",
    "learning_rate": "learning_rate",
}


class SilverDiagnostics(Tool):
    """`diagnose_training_health` on a list of snapshots, one a point."""

    SOURCE = Source("silver-diagnostics", "1.5.1", "https://github.com/adfgdartec/silver-diagnostics")
    MAPPING: ClassVar[Mapping[str, Meaning]] = {
        "non_finite_metric": Meaning(Diagnosis.LR_TOO_HIGH, "Stabilise numerics: reduce the rate, clip gradients."),
        "metric_divergence": Meaning(
            Diagnosis.LR_TOO_HIGH,
            "It ends above its start and far above its best value: roll back and lower the rate.",
        ),
        "loss_regression": Meaning(Diagnosis.LR_TOO_HIGH, "The loss increased substantially over the history."),
        "exploding_gradient": Meaning(
            Diagnosis.LR_TOO_HIGH, "Gradients explode; to clip them, its advice, makes updates smaller.", ("grad_norm",)
        ),
        "metric_plateau": Meaning(Diagnosis.LATE_LR_TOO_HIGH, "Reduce the rate, or stop."),
        "probable_overfit": Meaning(None, "A matter of validation, not of the rate.", ("val_loss",)),
        "missing_metric": Meaning(None, "About a log without a loss."),
        "empty_history": Meaning(None, "There was nothing to read."),
    }
    SILENCE = Meaning(Diagnosis.HEALTHY, "Its status is then healthy, with a score of 100.")

    def examine(self, run: Columns) -> Sequence[str]:
        """Codes of its findings, errors before warnings."""
        from silver_diagnostics import diagnose_training_health

        history = [{name: value for name, value in row.items() if name != "step"} for row in rows(run, _NAMES)]
        found = diagnose_training_health(history).diagnostics
        return by_severity([(finding.code, finding.severity) for finding in found], ("error", "warning", "info"))
