"""sk-autod: ten detectors on the losses of epochs, sorted by severity and confidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from curvebench.diagnosers.tools.adapter import Columns, Meaning, Source, Tool
from curvebench.spec import Diagnosis


class SkAutod(Tool):
    """`sk_autod.diagnose` on training and validation losses, a point for an epoch; a finding is known by its detector.

    It asks for both; shown the training loss alone, it is given that twice. It raises on losses that are not finite.
    """

    SOURCE = Source(
        "sk-autod",
        "0.1.1",
        "https://github.com/shamiquekhan/SK-AutoD-ML-Library-for-Training-Curve-Auto-Diagnostician",
    )
    MAPPING: ClassVar[Mapping[str, Meaning]] = {
        "LR too high": Meaning(Diagnosis.LR_TOO_HIGH, "Reduce the learning rate or warm up."),
        "Exploding gradient": Meaning(Diagnosis.LR_TOO_HIGH, "Clip gradients and reduce the rate."),
        "Noisy training": Meaning(Diagnosis.LR_TOO_HIGH, "The loss swings: a larger batch, or a lower rate."),
        "LR too low": Meaning(Diagnosis.LR_TOO_LOW, "Increase the learning rate."),
        "Underfitting": Meaning(None, "Its advice is capacity, features and more training."),
        "Dying ReLU proxy": Meaning(None, "About hidden activations, initial weights and inputs."),
        "Label noise floor": Meaning(None, "A floor far up, but it blames the labels, not the output."),
        "Classic overfitting": Meaning(None, "A matter of validation, not of the rate.", ("val_loss",)),
        "Data leakage": Meaning(None, "About the split of the data.", ("val_loss",)),
        "Missed early stopping": Meaning(None, "About choosing a checkpoint."),
    }
    SILENCE = Meaning(Diagnosis.HEALTHY, "No issues found, its report says.")

    def examine(self, run: Columns) -> Sequence[str]:
        """Names of the detectors that spoke, in the order of its report."""
        from sk_autod import diagnose

        report = diagnose(run["train_loss"], run.get("val_loss", run["train_loss"]))
        return [finding.detector_name for finding in report.findings]
