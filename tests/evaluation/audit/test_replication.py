"""Labels that are luck do not replicate; those that are not do."""

from __future__ import annotations

import numpy as np
import pytest
from oracles.audited import changed, labels_of_pairs, relabelled, with_rules
from oracles.plain_labels import label_one

from curvebench.evaluation.audit.replication import HEALTHY_SHARE, draw_sample, replication
from curvebench.evaluation.audit.report import FAILED, PASSED, check_of
from curvebench.generation.label import Thresholds
from curvebench.remedies import counts_for_labels, diagnosis_of
from curvebench.spec import DIAGNOSES, InputError


@pytest.fixture(scope="module")
def dataset(make_dataset):
    return with_rules(make_dataset(n_cells=48, n_rates=4, n_seeds=4))


def outcomes_of(dataset, sample):
    """What retraining would give if it gave what is stored, seeds in order; only what was asked for."""
    found = np.full((len(sample.trials), 4, len(dataset.meta.remedies)), np.nan, np.float32)
    for i, trial in enumerate(sample.trials):
        rows = np.flatnonzero((dataset["cell"] == trial.cell) & (dataset["base_lr"] == trial.base_lr))
        columns = [0, *trial.remedies]
        found[i][:, columns] = dataset["remedy_final_loss"][rows][:, columns]
    return found


def test_a_sample_is_drawn_at_random_a_quarter_of_it_healthy(dataset):
    sample = draw_sample(dataset, 40)
    assert sample.trials == draw_sample(dataset, 40).trials
    assert len({(t.cell, t.base_lr) for t in sample.trials}) == len(sample.trials) == 40
    assert (sample.label == "healthy").sum() == HEALTHY_SHARE * 40
    assert set(sample.label.tolist()) == set(DIAGNOSES)
    assert draw_sample(dataset, 20).trials != sample.trials[:20]
    for trial, label, cap in zip(sample.trials, sample.label, sample.cap, strict=True):
        rows = np.flatnonzero((dataset["cell"] == trial.cell) & (dataset["base_lr"] == trial.base_lr))
        assert set(dataset.labels[rows]) == {label}
        assert set(dataset["loss_cap"][rows]) == {cap}


def test_asking_for_more_than_there_is_draws_all(dataset):
    sample = draw_sample(dataset, 10_000)
    assert len(sample.trials) == len(np.unique(dataset.cell_rate[dataset.is_scored]))


def test_of_a_faulty_one_the_remedy_of_its_label_is_tried_of_a_healthy_one_all(dataset):
    remedies = dataset.meta.remedies
    sample = draw_sample(dataset, 40)
    for trial, label, stored in zip(sample.trials, sample.label, sample.stored_gain, strict=True):
        rows = np.flatnonzero((dataset["cell"] == trial.cell) & (dataset["base_lr"] == trial.base_lr))
        means = dataset["remedy_gain"][rows].astype(float).mean(axis=0)
        if label == "healthy":
            assert trial.remedies == tuple(np.flatnonzero(counts_for_labels(remedies) & ~np.isnan(means)))
            assert np.isnan(stored)
            continue
        (index,) = trial.remedies
        assert diagnosis_of(remedies[index]) == label
        assert remedies[index].at in (0.0, 0.5, 0.75)
        family = [
            i for i in range(len(remedies)) if counts_for_labels(remedies)[i] and diagnosis_of(remedies[i]) == label
        ]
        assert means[index] == pytest.approx(np.nanmax(means[family]))
        assert stored == pytest.approx(means[index])


def test_what_is_stored_replicates_itself(dataset):
    sample = draw_sample(dataset, 80)
    found = replication(dataset, sample, outcomes_of(dataset, sample))
    assert found.values == {"helped": 1.0, "left_alone": 1.0}
    assert found.details["replicated"]["healthy"] == "20 of 20"
    assert found.details["not_replicated"] == []
    assert found.details["median_gain_fresh"] == pytest.approx(found.details["median_gain_stored"])
    assert check_of("replication", found).status == PASSED


def test_wrong_labels_do_not_replicate(dataset):
    wrong = changed(dataset, diagnosis=labels_of_pairs(dataset))
    sample = draw_sample(wrong, 80)
    found = replication(wrong, sample, outcomes_of(dataset, sample))
    assert found.values["helped"] < 0.5
    assert found.values["left_alone"] < 0.5
    assert check_of("replication", found).status == FAILED
    assert 0 < len(found.details["not_replicated"]) <= 20


def test_a_remedy_must_bring_half_the_material_gain_with_other_seeds(dataset):
    truth = relabelled(dataset, np.where(dataset.is_scored, "lr_too_low", dataset.labels))
    sample = draw_sample(truth, 20)
    outcomes = outcomes_of(truth, sample)
    (column,) = {trial.remedies[0] for trial in sample.trials}
    for share, helps in ((0.94, 1.0), (0.96, 0.0)):
        outcomes[:, :, column] = share * outcomes[:, :, 0]
        assert replication(truth, sample, outcomes).values["helped"] == helps
    outcomes[:, :2, column], outcomes[:, 2:, column] = 0.5 * outcomes[:, :2, 0], 2 * outcomes[:, 2:, 0]
    assert replication(truth, sample, outcomes).values["helped"] == 0.0, "the mean counts, not some seeds"
    assert np.isnan(replication(truth, sample, outcomes).values["left_alone"]), "none was healthy"


def test_healthy_ones_are_tested_as_labels_are(dataset):
    sample = draw_sample(dataset, 80)
    rng = np.random.default_rng(0)
    outcomes = outcomes_of(dataset, sample)
    outcomes[:, :, 1:] *= rng.uniform(0.5, 1.2, outcomes[:, :1, 1:].shape).astype(np.float32)
    outcomes[:, :, 1:] *= rng.uniform(0.9, 1.1, outcomes[:, :, 1:].shape).astype(np.float32)
    found = replication(dataset, sample, outcomes)
    n_alone = 0
    healthy = np.flatnonzero(sample.label == "healthy")
    for i in healthy:
        final = np.minimum(outcomes[i].astype(float), sample.cap[i])
        gains = np.where(final <= final[:, :1], 1 - final / final[:, :1], final[:, :1] / final - 1)
        gains[np.abs(final - final[:, :1]) < 0.005 * sample.cap[i]] = 0.0
        label = label_one(gains.tolist(), list(dataset.meta.remedies), Thresholds(), False, True)
        n_alone += label.diagnosis in ("healthy", "indeterminate")
    assert found.values["left_alone"] == n_alone / len(healthy)
    assert 0 < n_alone < len(healthy)


def test_runs_that_lack_a_seed_take_no_part(dataset):
    first = np.flatnonzero(dataset.is_scored)[0]
    fewer = dataset.select(np.delete(np.arange(len(dataset)), first))
    drawn = {(t.cell, t.base_lr) for t in draw_sample(fewer, 10_000).trials}
    assert (dataset["cell"][first], dataset["base_lr"][first]) not in drawn


def test_what_can_not_be_tested_is_said(dataset, make_dataset):
    with pytest.raises(InputError, match="two seeds or more"):
        draw_sample(dataset.select(dataset["seed"] == 0))
    with pytest.raises(InputError, match="two seeds or more"):
        draw_sample(dataset.select(~dataset.is_scored))
    foreign = make_dataset()
    sample = draw_sample(foreign, 10)
    with pytest.raises(InputError, match="without the threshold 'material_gain'"):
        replication(foreign, sample, outcomes_of(foreign, sample))
