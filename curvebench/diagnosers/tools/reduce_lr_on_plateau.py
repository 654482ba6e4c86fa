"""ReduceLROnPlateau of torch: it says one thing, lower the rate, whenever the loss has not improved for a while."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import ClassVar

from curvebench.diagnosers.tools.adapter import Columns, Meaning, Source, Tool
from curvebench.spec import Diagnosis


class ReduceLROnPlateau(Tool):
    """`torch.optim.lr_scheduler.ReduceLROnPlateau` with its defaults, stepped once a point.

    It watches the training loss, or the validation loss where it is given one. Each cut is a finding.
    """

    SOURCE = Source("torch", "", "https://pytorch.org", extra="torch")
    MAPPING: ClassVar[Mapping[str, Meaning]] = {
        "reduced": Meaning(
            Diagnosis.LATE_LR_TOO_HIGH,
            "Models often benefit from reducing the rate once learning stagnates: it lowers the rate and goes on.",
        )
    }
    SILENCE = Meaning(Diagnosis.HEALTHY, "It leaves the rate as it is as long as the loss improves.")
    patience = 10

    def examine(self, run: Columns) -> Sequence[str]:
        """A finding for each cut."""
        import torch

        optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=self.patience)
        rates = [1.0]
        for loss in run.get("val_loss", run["train_loss"]):
            scheduler.step(loss)
            rates.append(float(scheduler.get_last_lr()[0]))
        return ["reduced" for before, after in pairwise(rates) if after < before]


class PatientReduceLROnPlateau(ReduceLROnPlateau):
    """The same with a patience of 50 points, for losses of single batches."""

    patience = 50
