"""trainspotter: nine detectors built on robust statistics, each with its false-positive modes in writing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from curvebench.diagnosers.tools.adapter import Columns, Meaning, Source, Tool
from curvebench.spec import Diagnosis

_NAMES = {"train_loss": "train/loss", "val_loss": "eval/loss", "grad_norm": "grad_norm", "learning_rate": "lr"}


class Trainspotter(Tool):
    """`trainspotter.run_all` on a run of points; a finding is known by its title."""

    SOURCE = Source("trainspotter", "0.2.6", "https://github.com/antonsoo/trainspotter")
    MAPPING: ClassVar[Mapping[str, Meaning]] = {
        "Diverged (non-finite values)": Meaning(
            Diagnosis.LR_TOO_HIGH, "Lower the rate: this is the single most common cause, it says."
        ),
        "Diverged (sustained growth)": Meaning(
            Diagnosis.LR_TOO_HIGH, "Lower the rate, or go back to a checkpoint before the rise."
        ),
        "Loss spike": Meaning(Diagnosis.LR_TOO_HIGH, "Its first fix is to lower the rate or to warm up."),
        "Gradient-norm explosion": Meaning(Diagnosis.LR_TOO_HIGH, "Clip gradients or lower the rate.", ("grad_norm",)),
        "Plateau": Meaning(
            Diagnosis.LR_TOO_LOW,
            "Stalled before most of its fall: try a higher rate; a loss that has converged is left out.",
        ),
        "Overfitting onset": Meaning(None, "A matter of validation, not of the rate.", ("val_loss",)),
        "Eval metric too noisy to rank checkpoints": Meaning(
            None, "About choosing checkpoints, not about the run.", ("val_loss",)
        ),
        "No LR warmup detected": Meaning(
            None,
            "True of every schedule without warm-up; it does not say that anything went wrong.",
            ("learning_rate",),
        ),
        "LR increased after its peak": Meaning(None, "A remark about the schedule.", ("learning_rate",)),
        "LR discontinuity": Meaning(
            None, "A remark about the schedule; step decays have it by design.", ("learning_rate",)
        ),
        "Gradient clipping likely saturated": Meaning(None, "About a clip threshold; none was set.", ("grad_norm",)),
        "Throughput regression": Meaning(None, "About time, which no log here has.", ("step_time",)),
        "Suspiciously low loss early (heuristic)": Meaning(None, "About leakage of data; perhaps just an easy task."),
    }
    SILENCE = Meaning(
        Diagnosis.HEALTHY, "No pathologies detected, it says: a clean run, or nothing that its detectors cover."
    )
    is_slow = True

    def examine(self, run: Columns) -> Sequence[str]:
        """Titles of its findings, errors first, then warnings, then infos, as it sorts them."""
        import trainspotter

        logged = trainspotter.Run()
        for channel, values in run.items():
            for step, value in enumerate(values):
                logged.add_point(_NAMES[channel], step, value)
        return [finding.title for finding in trainspotter.run_all(logged)]
