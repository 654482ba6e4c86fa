"""Plateaus that look alike are there or they are not."""

from __future__ import annotations

import numpy as np
import pytest
from oracles.audited import changed

from curvebench.data.neighbours import causes_of_plateaus
from curvebench.evaluation.audit.plateaus import plateaus
from curvebench.evaluation.audit.report import FAILED, PASSED, check_of


@pytest.fixture(scope="module")
def dataset(make_dataset):
    """Plateaus of all causes, of one shape but for noise; half of the healthy stand on their floor."""
    made = make_dataset(n_cells=96, n_rates=4, n_seeds=3, n_points=32)
    loss = 0.2 + 0.8 * np.exp(-30 * np.linspace(0, 1, 32)) * np.ones((len(made), 1))
    floor = np.where(made.cell_rate % 2, made["final_loss"], np.nan)
    return changed(
        made, train_loss=loss * np.exp(np.random.default_rng(0).normal(0, 0.02, loss.shape)), loss_floor=floor
    )


def test_one_shape_for_all_causes_passes(dataset):
    found = plateaus(dataset)
    assert len(found.details["pairs"]) == 10
    assert found.values["fewest"] == min(found.details["pairs"].values()) >= 10
    assert check_of("plateaus", found).status == PASSED


def test_a_cause_that_looks_different_fails(dataset):
    ripple = 1 + 0.2 * np.sin(np.arange(32))
    is_output = causes_of_plateaus(dataset) == "output_mismatch"
    found = plateaus(changed(dataset, train_loss=dataset["train_loss"] * np.where(is_output[:, None], ripple, 1.0)))
    assert found.values["fewest"] == 0
    assert found.details["pairs"]["late_lr_too_high / late_lr_too_low"] >= 10
    assert check_of("plateaus", found).status == FAILED
