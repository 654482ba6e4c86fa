"""trainproof: a verdict of PASS, WARN or FAIL on the logs of a run, with a code for every check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from curvebench.diagnosers.tools.adapter import Columns, Meaning, Source, Tool, by_severity, rows
from curvebench.spec import Diagnosis

_NAMES = {"train_loss": "loss", "val_loss": "eval_loss", "grad_norm": "grad_norm", "learning_rate": "lr"}
_NO_SUCH_COLUMN = "About a column that no log here has."


class Trainproof(Tool):
    """`trainproof.epoch.check_records` on a list of records, one a point."""

    SOURCE = Source("trainproof", "0.22.0", "https://github.com/Mormolykos/trainproof")
    MAPPING: ClassVar[Mapping[str, Meaning]] = {
        "TP-NAN": Meaning(Diagnosis.LR_TOO_HIGH, "NaN or inf in the loss: the run exploded."),
        "TP-NAN-GRAD": Meaning(
            Diagnosis.LR_TOO_HIGH,
            "Gradients are not finite; it suspects half precision, and here, where there is none, they exploded.",
            ("grad_norm",),
        ),
        "TP-DIVERGE": Meaning(Diagnosis.LR_TOO_HIGH, "The loss curve is diverging."),
        "TP-GRAD-SPIKE": Meaning(
            Diagnosis.LR_TOO_HIGH, "Spikes of the gradient norm: unstable updates.", ("grad_norm",)
        ),
        "TP-FLAT": Meaning(Diagnosis.LR_TOO_LOW, "The loss is completely flat, a dead run."),
        "TP-DEAD-RUN": Meaning(Diagnosis.LR_TOO_LOW, "The loss never improved over the run."),
        "TP-ZERO-LR": Meaning(Diagnosis.LR_TOO_LOW, "The rate is zero for the entire run.", ("learning_rate",)),
        "TP-ZERO-LR-PARTIAL": Meaning(
            Diagnosis.LATE_LR_TOO_LOW, "The rate is zero for a large part of the run.", ("learning_rate",)
        ),
        "TP-ZERO-LOSS": Meaning(None, "About masked labels; a loss of zero can't be lowered."),
        "TP-ZERO-LOSS-ONSET": Meaning(None, "About losses that a logger replaced."),
        "TP-ZERO-GRAD": Meaning(
            None, "No gradient reaches the weights: a broken graph, no matter of the rate.", ("grad_norm",)
        ),
        "TP-OVERFIT": Meaning(None, "A matter of validation, not of the rate.", ("val_loss",)),
        "TP-STEP-CLIFF": Meaning(None, _NO_SUCH_COLUMN, ("step_time",)),
        "TP-LOADER-BOUND": Meaning(None, _NO_SUCH_COLUMN, ("loader_time",)),
        "TP-THROUGHPUT": Meaning(None, _NO_SUCH_COLUMN, ("time",)),
        "TP-GPU-UTIL": Meaning(None, _NO_SUCH_COLUMN, ("gpu_util",)),
        "TP-PASS": Meaning(None, "A passing report does not mean the run is good, its documentation says."),
        "TP-NOT-CHECKED": Meaning(None, "It could check nothing."),
        "TP-NO-RECORDS": Meaning(None, "There was nothing to read."),
        "TP-NO-LOSS": Meaning(None, "There was no loss to read."),
    }
    SILENCE = Meaning(None, "It always reports, TP-PASS at least.")

    def examine(self, run: Columns) -> Sequence[str]:
        """Codes of its findings, failures before warnings before the rest."""
        from trainproof.epoch import check_records

        found = [(finding["id"], finding["level"]) for finding in check_records(rows(run, _NAMES))["findings"]]
        return by_severity(found, ("FAIL", "WARN", "NOT-CHECKED", "PASS", "INFO"))
