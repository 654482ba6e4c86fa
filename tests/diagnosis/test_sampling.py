"""How a log becomes what diagnosers are shown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from curvebench.diagnosis import N_POINTS, curve_of, seen_by_diagnosers
from curvebench.spec import OPTIMIZERS, TRACKS, InputError, UsageError


def test_the_channels_of_every_track():
    n = 10
    curve = replace(
        curve_of(np.geomspace(2, 1, n)),
        val_loss=np.array([np.nan] * 3 + [2.0] * 7),
        grad_norm=np.ones(n),
        learning_rate=np.full(n, 0.1),
    )
    X = seen_by_diagnosers(curve, "config", "adam")
    assert (X.shape, X.dtype) == ((1, len(TRACKS["config"]), N_POINTS), np.float32)
    assert (X[0, 1] == 2.0).all(), "before its first value a loss stands at that"
    assert (X[0, 4] == OPTIMIZERS.index("adam")).all()
    assert seen_by_diagnosers(curve).shape == (1, 1, N_POINTS)


def test_what_a_log_lacks_is_said():
    with pytest.raises(UsageError, match="this log has no val_loss; choose a diagnoser"):
        seen_by_diagnosers(curve_of([2.0, 1.0]), "telemetry")
    X = seen_by_diagnosers(curve_of([2.0, 1.0]), "telemetry", may_lack=("val_loss", "grad_norm"))
    assert np.isfinite(X[0, 0]).all()
    assert np.isnan(X[0, 1:]).all()
    with pytest.raises(UsageError, match="There is no optimiser 'adm'"):
        seen_by_diagnosers(curve_of([2.0, 1.0]), "curve", "adm")


@pytest.mark.parametrize("losses", [[], [[1.0, 2.0]], "abc", None])
def test_what_is_no_run(losses):
    with pytest.raises(InputError, match="list of losses"):
        curve_of(losses)
