"""losslint: a linter for training logs, asked through its command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from curvebench.diagnosers.tools.adapter import Meaning, Source, by_severity
from curvebench.diagnosers.tools.program import ProgramTool
from curvebench.spec import Diagnosis


class Losslint(ProgramTool):
    """`losslint check FOLDER --format json`; a finding is known by its check."""

    SOURCE = Source("losslint", "0.4.1", "https://github.com/Lsyyh/losslint")
    MAPPING: ClassVar[Mapping[str, Meaning]] = {
        "nan_inf": Meaning(Diagnosis.LR_TOO_HIGH, "NaN or inf in a series: the run exploded."),
        "divergence": Meaning(Diagnosis.LR_TOO_HIGH, "The loss ends well above its start."),
        "loss_spike": Meaning(Diagnosis.LR_TOO_HIGH, "Spikes of ten times the loss around them: data, or the rate."),
        "stagnation": Meaning(
            Diagnosis.LATE_LR_TOO_LOW,
            "The last quarter brings nothing more: stop, or raise the rate of the run that is under way.",
        ),
        "overfit_onset": Meaning(None, "A matter of validation, not of the rate.", ("val_loss",)),
        "step_backtrack": Meaning(None, "About step numbers that go backwards."),
        "parse": Meaning(None, "About a log that it can't read."),
    }
    SILENCE = Meaning(Diagnosis.HEALTHY, "Without findings a log is clean, its documentation says.")
    COLUMN_NAMES: ClassVar[Mapping[str, str]] = {
        "train_loss": "loss",
        "val_loss": "eval_loss",
        "grad_norm": "grad_norm",
        "learning_rate": "lr",
    }
    FINE_CODES = (0, 1)

    def arguments(self, folder: Path) -> Sequence[str]:
        """Check all logs of the folder; the exit code is 1 if there are errors among the findings."""
        return ["check", str(folder), "--format", "json"]

    def read_report(self, report: Any) -> Mapping[str, Sequence[str]]:
        """Checks of each log, errors first, then warnings, then infos."""
        found: dict[str, list[tuple[str, str]]] = {run["source"]: [] for run in report["runs"]}
        for finding in report["findings"]:
            found[finding["source"]].append((finding["check"], finding["severity"]))
        return {log: by_severity(pairs, ("error", "warning", "info")) for log, pairs in found.items()}
