"""The plateau, beside the scheduler of torch itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.odd_curves import odd_curves
from oracles.plain_rules import channels_of, comparisons_with_anything, stalls

from curvebench.diagnosers.published.finding import NOTHING, by_epochs
from curvebench.diagnosers.published.reduce_on_plateau import PLATEAU, ReduceOnPlateau

MONITORS = ("train_loss", "val_loss")
STEADY = np.linspace(1.0, 0.1, 32)


def epochs_of(curve: np.ndarray, monitor: str) -> np.ndarray:
    channels = channels_of(curve, "telemetry")
    return by_epochs({name: values[None] for name, values in channels.items()})[monitor][0]


def plain(curve: np.ndarray, monitor: str) -> str:
    return PLATEAU if stalls(epochs_of(curve, monitor), 11, lambda a, best: a < best * (1 - 1e-4)) else NOTHING


@settings(max_examples=200)
@given(odd_curves(3), st.sampled_from(MONITORS))
def test_it_is_what_one_curve_at_a_time_finds(curve, monitor):
    with comparisons_with_anything():
        assert ReduceOnPlateau(monitor).findings(curve[None]).tolist() == [plain(curve, monitor)]


@settings(max_examples=60)
@given(odd_curves(3), st.sampled_from(MONITORS))
def test_it_is_what_torch_does(curve, monitor):
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
    with comparisons_with_anything():
        for loss in epochs_of(curve, monitor):
            scheduler.step(loss)
        found = ReduceOnPlateau(monitor).findings(curve[None]).tolist()
    assert found == [PLATEAU if optimizer.param_groups[0]["lr"] < 1 else NOTHING]


def test_a_hundred_thousand_points():
    X = np.exp(np.random.default_rng(0).normal(0, 0.1, (2, 3, 100_000)))
    assert ReduceOnPlateau().findings(X).tolist() == [plain(curve, "train_loss") for curve in X]


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        (STEADY, NOTHING),
        (np.maximum(STEADY, 0.5), PLATEAU),
        (np.r_[STEADY[:5], 0.01, STEADY[6:]], PLATEAU),  # the known fault: a steady decrease after a spike downwards
        (np.r_[STEADY[:5], 9.0, STEADY[6:]], NOTHING),
        (np.ones(11), NOTHING),
        (np.ones(12), PLATEAU),
        (np.full(32, np.nan), PLATEAU),
    ],
)
def test_what_is_taken_for_a_plateau(losses, expected):
    assert ReduceOnPlateau().findings(losses[None, None]).tolist() == [expected]


def test_more_points_are_not_more_checks():
    bouncing = np.repeat(STEADY, 100) * (1 + 0.2 * np.tile([1, -1], 1600))
    assert ReduceOnPlateau().findings(bouncing[None, None]).tolist() == [NOTHING]


def test_the_monitored_loss_says_which_track_it_takes():
    assert (ReduceOnPlateau().track, ReduceOnPlateau("val_loss").track) == ("curve", "telemetry")
