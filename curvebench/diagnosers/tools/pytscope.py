"""pytscope: a profiler whose report has rules on convergence and on signals that jump together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from curvebench.diagnosers.tools.adapter import Columns, Meaning, Source, Tool
from curvebench.spec import Diagnosis

_NAMES = {"train_loss": "loss", "val_loss": "val_loss", "grad_norm": "grad_norm", "learning_rate": "lr"}
_PERFORMANCE = "About speed or memory, which no log here has."


class Pytscope(Tool):
    """`run_diagnosis` on the steps that its profiler would have recorded; a finding is known by its code.

    NO_PROGRESS, one code for two things, is told apart by its severity.
    """

    SOURCE = Source("pytscope", "0.2.1", "https://github.com/Sumu004/pytscope")
    MAPPING: ClassVar[Mapping[str, Meaning]] = {
        "CONVERGENCE.DIVERGED": Meaning(Diagnosis.LR_TOO_HIGH, "The loss is not finite: lower the rate."),
        "CONVERGENCE.NO_PROGRESS/high": Meaning(
            Diagnosis.LR_TOO_HIGH, "The loss is increasing: likely a rate too high."
        ),
        "CONVERGENCE.NO_PROGRESS/low": Meaning(
            Diagnosis.LATE_LR_TOO_HIGH, "The loss has plateaued: try to decay the rate."
        ),
        "CROSS.CORRELATED_INSTABILITY": Meaning(
            Diagnosis.LR_TOO_HIGH, "Loss and gradient norm jump together: the update blew up.", ("grad_norm",)
        ),
        **{
            code: Meaning(None, _PERFORMANCE, ("step_time",))
            for code in (
                "TIMING.DATALOADER_BOUND",
                "TIMING.BACKWARD_HEAVY",
                "TIMING.OPTIMIZER_HEAVY",
                "TIMING.JITTER",
                "MEMORY.FRAGMENTATION",
                "MEMORY.GROWTH",
                "EFFICIENCY.LOW_MFU",
                "EFFICIENCY.RECOVERABLE",
                "DIST.STRAGGLER",
                "DIST.LOAD_IMBALANCE",
                "DIST.COMM_BOUND",
                "DIST.EXPOSED_COMM",
                "DIST.PIPELINE_BUBBLE",
            )
        },
    }
    SILENCE = Meaning(Diagnosis.HEALTHY, "No issues found, training looks balanced, its report says.")

    def examine(self, run: Columns) -> Sequence[str]:
        """Codes of its findings in the order of its report, high severity first."""
        from pytscope.analyzers.convergence import analyze_convergence
        from pytscope.core.events import StepRecord
        from pytscope.diagnosis import DiagnosisContext, run_diagnosis

        steps = [
            StepRecord(step=step, scalars={_NAMES[channel]: values[step] for channel, values in run.items()})
            for step in range(len(run["train_loss"]))
        ]
        found = run_diagnosis(DiagnosisContext(convergence=analyze_convergence(steps), steps=steps))
        return [_known_as(finding.code, finding.severity) for finding in found]


def _known_as(code: str, severity: str) -> str:
    return f"{code}/{severity}" if code == "CONVERGENCE.NO_PROGRESS" else code
