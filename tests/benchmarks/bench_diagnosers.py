"""Curves of 128 points a second that diagnosers judge, all at once, in one process.

As a test that demands a hundred thousand of the rules: python -m pytest tests/benchmarks/bench_diagnosers.py
"""

from __future__ import annotations

import numpy as np
import pytest

from curvebench.diagnosers import DIAGNOSERS, make_diagnoser
from curvebench.spec import CHANNELS, DIAGNOSES

N_CURVES, N_POINTS = 20_000, 128
REQUIRED = {"rules": 100_000, "rules-tuned": 100_000}
"""Diagnoser -> curves a second that it has to judge."""

NAMES = [name for name, entry in DIAGNOSERS.items() if entry.kind in ("rules", "published")]


@pytest.fixture(scope="module")
def curves() -> np.ndarray:
    """All channels of falls of many speeds and noises, some to a floor, some that rise again."""
    rng = np.random.default_rng(0)
    speed, floor, noise = 10.0 ** rng.uniform([[-1], [-3], [-4]], [[2], [0], [-0.5]], (3, N_CURVES))[:, :, None, None]
    time = np.linspace(0, 1, N_POINTS)
    losses = floor + np.exp(-speed * time) + noise * rng.normal(size=(N_CURVES, len(CHANNELS), N_POINTS))
    losses[::10] *= 1 + 5 * time
    return losses.astype(np.float32)


@pytest.mark.parametrize("name", NAMES)
def test_curves_a_second(name, curves, benchmark):
    diagnoser = make_diagnoser(name)
    if hasattr(diagnoser, "fit"):
        diagnoser.fit(curves[:600], np.resize(np.array(DIAGNOSES), 600))
    benchmark.pedantic(diagnoser.predict_proba, args=(curves,), rounds=7, warmup_rounds=1)
    speed = N_CURVES / benchmark.stats.stats.min
    benchmark.extra_info["curves_per_second"] = round(speed)
    assert speed >= REQUIRED.get(name, 0)


def test_fitting_the_rules_takes_less_than_two_minutes(curves, benchmark):
    y = np.resize(np.array(DIAGNOSES), 12_000)
    benchmark.pedantic(lambda: make_diagnoser("rules-tuned").fit(curves[:12_000], y), rounds=1)
    assert benchmark.stats.stats.max < 120
