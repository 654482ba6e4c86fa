"""runmedic: checks of a run with evidence, likely causes and fixes, asked through its command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from curvebench.diagnosers.tools.adapter import Meaning, Source
from curvebench.diagnosers.tools.program import ProgramTool
from curvebench.spec import Diagnosis

_LOWER_THE_PEAK = "Lower the peak learning rate"


class Runmedic(ProgramTool):
    """`runmedic diagnose FOLDER --json`; a finding is known by its check.

    Two checks say two things each: `non_finite` is told apart by whether its fixes lower the rate, `divergence` by its
    severity.
    """

    SOURCE = Source("runmedic", "0.1.1", "https://github.com/vincere-mori/runmedic")
    MAPPING: ClassVar[Mapping[str, Meaning]] = {
        "non_finite": Meaning(Diagnosis.LR_TOO_HIGH, "NaN or inf: lower the peak rate."),
        "non_finite/from_the_start": Meaning(None, "NaN from the very first steps points to a bug, it says."),
        "divergence/critical": Meaning(
            Diagnosis.LR_TOO_HIGH, "All progress is lost again: lower the peak rate; nothing is left to resume."
        ),
        "divergence/warning": Meaning(
            Diagnosis.LATE_LR_TOO_HIGH, "A part of the progress is lost: the rate is too high for the later phase."
        ),
        "loss_spikes": Meaning(Diagnosis.LR_TOO_HIGH, "Single steps overshoot: warm up or lower the peak rate."),
        "grad_spikes": Meaning(Diagnosis.LR_TOO_HIGH, "Rate too high or no warm-up.", ("grad_norm",)),
        "no_learning": Meaning(Diagnosis.LR_TOO_LOW, "Try a 10 times higher rate."),
        "constant_lr_plateau": Meaning(
            Diagnosis.LATE_LR_TOO_HIGH,
            "Without a decay the optimiser keeps bouncing around the minimum.",
            ("learning_rate",),
        ),
        "overfitting": Meaning(None, "A matter of validation, not of the rate.", ("val_loss",)),
        "val_below_train": Meaning(None, "Usually harmless, it says.", ("val_loss",)),
        **{
            check: Meaning(None, "About speed or memory, which no log here has.", (column,))
            for check, column in (
                ("input_bound", "gpu_util"),
                ("slow_steps", "step_time"),
                ("slowdown", "throughput"),
                ("memory_growth", "gpu_mem"),
            )
        },
    }
    SILENCE = Meaning(
        Diagnosis.HEALTHY, "No problems found, the curves look healthy for the checks that it knows, its report says."
    )
    COLUMN_NAMES: ClassVar[Mapping[str, str]] = {
        "train_loss": "train_loss",
        "val_loss": "val_loss",
        "grad_norm": "grad_norm",
        "learning_rate": "lr",
    }

    def arguments(self, folder: Path) -> Sequence[str]:
        """Diagnose all logs of the folder."""
        return ["diagnose", str(folder), "--json"]

    def read_report(self, report: Any) -> Mapping[str, Sequence[str]]:
        """Checks of each log in the order of its report, critical ones first."""
        return {run["path"]: [_known_as(finding) for finding in run["findings"]] for run in report}


def _known_as(finding: Mapping[str, Any]) -> str:
    check = str(finding["check"])
    if check == "divergence":
        return f"{check}/{finding['severity']}"
    if check == "non_finite" and not any(fix.startswith(_LOWER_THE_PEAK) for fix in finding["fixes"]):
        return f"{check}/from_the_start"
    return check
