"""Rankings, held against scipy and a plain bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
from oracles.audited import changed, labels_of_pairs, relabelled, scored
from scipy.stats import kendalltau

from curvebench.diagnosers import DIAGNOSERS
from curvebench.evaluation.audit.ranking import RANKED, separates
from curvebench.evaluation.audit.report import FAILED, PASSED, check_of
from curvebench.evaluation.evaluate import evaluate
from curvebench.spec import DIAGNOSES, InputError

N_POINTS = 24
T = np.linspace(0, 1, N_POINTS)


@pytest.fixture(scope="module")
def dataset(make_dataset):
    """How deep the loss falls says something about the label."""
    made = scored(make_dataset(n_cells=36, n_rates=8, n_seeds=2, n_points=N_POINTS))
    told = relabelled(made, labels_of_pairs(made))
    rng = np.random.default_rng(0)
    code = np.array([DIAGNOSES.index(label) for label in told.labels]) + rng.normal(0, 1, len(told))
    depth = 10.0 ** (-0.5 * code)[:, None]
    loss = (depth + (1 - depth) * np.exp(-20 * T)) * np.exp(rng.normal(0, 0.1, (len(told), N_POINTS)))
    return changed(told, train_loss=loss)


def test_a_dozen_are_ranked():
    assert len(RANKED) == 12
    assert {name for name, _ in RANKED.values()} <= set(DIAGNOSERS)


def test_a_data_set_ranks_as_it_does_itself(dataset):
    found = separates(dataset, dataset)
    assert found.values["tau"] == 1.0
    assert found.details["pairs"] == 66
    assert found.details["pairs_swapped"] == found.details["pairs_swapped_beyond_noise"] == 0
    assert check_of("separates", found).status == PASSED


def test_tau_is_that_of_scipy_and_noise_that_of_the_intervals(dataset):
    other = relabelled(dataset, labels_of_pairs(dataset, seed=5), seed=5)
    found = separates(dataset, other)
    values = np.array(list(found.details["values"].values()))
    assert found.values["tau"] == pytest.approx(kendalltau(values[:, 0], values[:, 1]).statistic)
    assert found.values["tau"] < 0.9
    assert check_of("separates", found).status == FAILED
    for i, data in enumerate((dataset, other)):
        for name in ("forest", "constant-best", "zoo/rises"):
            assert found.details["values"][name][i] == evaluate(data, name, n_bootstrap=1).scores["value"]
    assert 0 < found.details["pairs_within_noise"] <= 66
    assert found.details["pairs_swapped_beyond_noise"] <= found.details["pairs_swapped"]


def test_the_same_the_other_way_round(dataset):
    other = relabelled(dataset, labels_of_pairs(dataset, seed=5), seed=5)
    there, back = separates(dataset, other), separates(other, dataset)
    assert there.values == back.values
    assert there.details["pairs_within_noise"] == back.details["pairs_within_noise"]


def test_both_need_runs_to_score(dataset):
    with pytest.raises(InputError, match="no runs that are scored"):
        separates(dataset, dataset.select(dataset["split"] == "train"))
