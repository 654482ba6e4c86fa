"""Every claim, judged on made-up observations, can get every verdict that its conditions allow."""

import pytest
from oracles.observations import FAILS, HOLDS, MADE_UP, ONLY, RANGE, ranges

from curvebench.claims import CLAIMS, EXPERIMENTS, outputs
from curvebench.claims.remedies import REMEDIES
from curvebench.spec import DIAGNOSES

OF_FUNCTIONS = {"softmax-sums-to-one", "sigmoid-range", "tanh-range", "relu-range"}


@pytest.mark.parametrize(
    ("function", "seen", "ruling"),
    [
        ("sigmoid", "inside", HOLDS),
        ("sigmoid", "outside", ONLY),
        ("identity", "inside", ONLY),
        ("identity", "outside", FAILS),
    ],
)
@pytest.mark.parametrize("key", ["sigmoid-range", "tanh-range", "relu-range"])
def test_ranges_of_functions_and_networks_decide(key, function, seen, ruling, monkeypatch):
    """Where the activation of that name is another function, the verdict is another."""
    changed = {**outputs.OUTPUT, key.removesuffix("-range"): outputs.OUTPUT[function]}
    monkeypatch.setattr(outputs, "OUTPUT", changed)
    assert CLAIMS[key].judge(RANGE[seen]).verdict.ruling is ruling


def test_sums_decide(monkeypatch):
    judge = CLAIMS["softmax-sums-to-one"].judge
    assert judge(ranges(0.0)).verdict.ruling is HOLDS
    assert judge(ranges(0.0, 0.1)).verdict.ruling is ONLY
    monkeypatch.setattr(outputs, "softmax", lambda z: z)
    assert judge(ranges(0.0, 0.1)).verdict.ruling is FAILS


@pytest.mark.parametrize(
    ("key", "ruling"), [(key, ruling) for key, made_up in MADE_UP.items() for ruling in made_up], ids=str
)
def test_made_up_observations_get_their_verdict(key, ruling):
    measurement = CLAIMS[key].judge(MADE_UP[key][ruling])
    assert measurement.verdict.ruling is ruling, measurement.verdict.why
    assert 0 < len(measurement.verdict.when) < len(measurement.effects) or ruling is not ONLY
    width = len(measurement.table.columns)
    assert measurement.table.rows
    assert {len(row) for row in measurement.table.rows} == {width}
    for panel in measurement.panels:
        assert panel.series
        for series in panel.series:
            assert len(series.x) == len(series.y)
            assert {len(series.low), len(series.high)} <= {0, len(series.x)}


def test_every_claim_is_made_to_say_everything():
    assert set(MADE_UP) | OF_FUNCTIONS == set(CLAIMS)
    for made_up in MADE_UP.values():
        assert {HOLDS, ONLY, FAILS} <= set(made_up)


def test_every_claim_has_its_experiment():
    assert {claim.experiment for claim in CLAIMS.values()} == set(EXPERIMENTS)
    for claim in CLAIMS.values():
        assert claim.statement.endswith(".")
        assert claim.statement[0].isupper()
    for experiment in EXPERIMENTS.values():
        assert experiment.what.endswith(".")
        assert experiment.cost > 0


@pytest.mark.parametrize("key", sorted(set(CLAIMS) - OF_FUNCTIONS))
def test_a_single_problem_is_enough_to_judge(key):
    """The smallest investigation gives figures, even if they say little."""
    assert CLAIMS[key].judge(MADE_UP[key][HOLDS][:1]).table.rows


def test_every_diagnosis_has_a_taught_remedy():
    assert list(REMEDIES) == list(DIAGNOSES)
