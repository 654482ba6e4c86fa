"""The transfer set `core-modules` is generated and held to what it promises. Some minutes.

CURVEBENCH_SLOW=1 python -m pytest tests/test_core_modules.py
A file that has already been generated is taken from the environment variable CURVEBENCH_CORE_MODULES, one of `core` to
fit on from CURVEBENCH_CORE.
"""

import os

import numpy as np
import pytest
from long_forms import REASON, skipped_unless_wanted

import curvebench
from curvebench.spec import DIAGNOSES

GIVEN, CORE = os.environ.get("CURVEBENCH_CORE_MODULES"), os.environ.get("CURVEBENCH_CORE")
NETWORKS = ("conv", "recurrent", "attention")

pytestmark = [pytest.mark.timeout(3000), skipped_unless_wanted(GIVEN)]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    if GIVEN:
        return curvebench.load(GIVEN)
    pytest.importorskip("torch")
    return curvebench.generate("core-modules", tmp_path_factory.mktemp("modules") / "core-modules.h5")


def test_all_of_it_is_for_transfer_and_from_at_least_twenty_problem_instances(data):
    assert set(data["split"].tolist()) == {"test_ood"}
    assert len(set(data["problem"][data.is_scored].tolist())) >= 20


def test_it_has_every_kind_of_network_and_nothing_else(data):
    scored = data.select(data.is_scored)
    assert set(scored["architecture"].tolist()) == set(NETWORKS)
    for module in NETWORKS:
        assert len(set(scored["problem"][scored["architecture"] == module].tolist())) >= 5


def test_every_label_is_there(data):
    scored = data["diagnosis"][data.is_scored]
    shares = {name: float(np.mean(scored == name)) for name in DIAGNOSES}
    assert min(shares.values()) >= 0.05, shares


def test_rules_stand_between_doing_nothing_and_the_oracle(data):
    assert curvebench.evaluate(data, "oracle", split="test_ood").scores["value"] == 1.0
    assert 0.0 < curvebench.evaluate(data, "rules", split="test_ood").scores["value"] < 1.0


@pytest.mark.skipif(not CORE, reason=REASON)
def test_actions_may_be_taken_from_the_benchmark(data):
    core = curvebench.load(CORE)
    assert {core.meta.remedies[i] for i in core.meta.fixed_actions.values()} <= set(data.meta.remedies)
    for name in ("rules", "constant-best"):
        result = curvebench.evaluate(data, name, split="test_ood", fit_on=core)
        assert result.fit_on_sha256 != result.dataset_sha256
        assert 0.0 < result.scores["value"] < 1.0
