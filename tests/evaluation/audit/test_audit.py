"""All checks together: what is measured, what is not, and why."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import numpy as np
import pytest
from oracles.audited import changed, with_rules

from curvebench.evaluation.audit import CHEAP, CHECKS, audit, cheap_audit
from curvebench.evaluation.audit.replication import draw_sample
from curvebench.evaluation.audit.report import NOT_MEASURED, THRESHOLDS

PAGE = (Path(__file__).parents[3] / "docs" / "audit.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def dataset(make_dataset):
    return with_rules(make_dataset(n_cells=24, n_points=12))


def test_every_check_has_thresholds_and_a_place_in_the_documentation():
    assert list(CHECKS) == list(THRESHOLDS)
    assert set(CHEAP) < set(CHECKS)
    for name, figures in THRESHOLDS.items():
        assert f"`{name}`" in PAGE
        for threshold in figures.values():
            bound = f"{threshold.bound:g}"
            assert re.search(rf"^\| `{name}`.*{threshold.relation} {re.escape(bound)}\b", PAGE, re.MULTILINE), name


def test_all_is_measured_where_all_is_given(dataset):
    sample = draw_sample(dataset, 20)
    outcomes = np.full((20, 4, len(dataset.meta.remedies)), 0.5, np.float32)
    calls = []
    found = audit(
        dataset,
        retrained=(sample, outcomes),
        against=dataset,
        progress=lambda done, total: calls.append((done, total)),
    )
    assert [check.name for check in found.checks] == list(CHECKS)
    assert [check.reason for check in found.checks] == [""] * len(CHECKS)
    assert calls == [(i, len(CHECKS)) for i in range(len(CHECKS) + 1)]
    assert found.recipe == "made-up, version 1"
    assert found.dataset_sha256 == dataset.summary()["content_sha256"]
    by_name = {check.name: check for check in found.checks}
    assert by_name["replication"].figures[0].value == 0.0, "nothing that was trained again helped"
    assert by_name["separates"].figures[0].value == 1.0
    assert found.shortfalls
    json.dumps(found.to_json(), allow_nan=False)
    assert found.to_markdown().count("\n| ") >= len(CHECKS)


def test_what_is_not_given_is_not_measured(dataset):
    found = audit(dataset, checks=("replication", "separates", "balance"))
    assert [check.status for check in found.checks[:2]] == [NOT_MEASURED] * 2
    assert [check.reason for check in found.checks] == ["Nothing was trained again", "No second data set was given", ""]


def test_a_data_set_with_nothing_to_score_is_not_judged(dataset):
    nothing = changed(dataset, diagnosis=np.full(len(dataset), "other"))
    found = {check.name: check for check in audit(nothing).checks}
    for name in ("balance", "not_trivial", "not_hopeless", "start_leaks_nothing", "out_of_distribution"):
        assert found[name].status == NOT_MEASURED
        assert found[name].reason


def test_where_there_is_nothing_to_gain_figures_are_undefined_and_fail(dataset):
    healthy = changed(
        dataset,
        diagnosis=np.full(len(dataset), "healthy"),
        accepted=np.tile(np.arange(6) == 5, (len(dataset), 1)).astype(np.uint8),
        remedy_gain=np.where(np.isnan(dataset["remedy_gain"]), np.nan, 0).astype(np.float32),
    )
    found = audit(healthy, against=healthy)
    value = next(check for check in found.checks if check.name == "not_trivial").figures[0]
    assert np.isnan(value.value)
    assert not value.is_met
    json.dumps(found.to_json(), allow_nan=False)
    assert "undefined" in found.to_markdown()


def test_the_cheap_part_is_cheap(dataset):
    begin = time.perf_counter()
    found = cheap_audit(dataset)
    assert time.perf_counter() - begin < 10
    assert [check.name for check in found.checks] == list(CHEAP)


def test_the_same_data_set_gives_the_same_audit(dataset):
    assert audit(dataset).to_json() == audit(dataset).to_json()
