"""training-doctor: detectors that look at the run at every step, as a live monitor does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from curvebench.diagnosers.tools.adapter import Columns, Meaning, Source, Tool, by_severity, rows
from curvebench.spec import Diagnosis

_NAMES = {"train_loss": "loss", "val_loss": "eval_loss", "grad_norm": "grad_norm", "learning_rate": "lr"}


class TrainingDoctor(Tool):
    """`Doctor().log` at every step; a finding is known by the name of its detector."""

    SOURCE = Source("training-doctor", "0.1.0", "https://github.com/SalahAlHaismawi/training-doctor")
    MAPPING: ClassVar[Mapping[str, Meaning]] = {
        "lr_too_high": Meaning(Diagnosis.LR_TOO_HIGH, "Learning rate likely too high."),
        "lr_too_low": Meaning(Diagnosis.LR_TOO_LOW, "Learning rate may be too low."),
        "plateau": Meaning(
            Diagnosis.LATE_LR_TOO_HIGH,
            "Reduce the rate, the current phase may need a lower one; it looks at no run of less than 200 points.",
        ),
        "gradient_instability": Meaning(
            Diagnosis.LR_TOO_HIGH, "Gradients explode or are not finite: reduce the rate.", ("grad_norm",)
        ),
        "overfitting": Meaning(None, "A matter of validation, not of the rate.", ("val_loss",)),
    }
    SILENCE = Meaning(Diagnosis.HEALTHY, "No issues detected, its report says.")
    is_slow = True

    def examine(self, run: Columns) -> Sequence[str]:
        """Names of the detectors that spoke, critical ones before warnings, of equals the earliest."""
        from training_doctor import Doctor

        doctor = Doctor()
        for row in rows(run, _NAMES):
            doctor.log(**row)
        found = [(diagnosis.detector_name, diagnosis.severity.value) for diagnosis in doctor.diagnoses]
        return by_severity(found, ("critical", "warning", "info"))
