"""Random convolutions with a linear head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from curvebench.diagnosers.learned.calibration import balanced_weights, best_sharpness, held_out, log_loss, softmax
from curvebench.diagnosers.learned.fitted import Array, Learned, check, check_shapes
from curvebench.diagnosers.learned.series import constants, log_channels, resampled
from curvebench.spec import Bool, Float, Int

N_POINTS = 128
"""Curves are brought to this many points; the transform needs nine at least, and always the same number."""

N_KERNELS, SEED = 2016, 0
"""24 for each of the 84 patterns of MiniRocket; its default of 9,996 is five times as slow for the same scores."""

PENALTIES = (10.0, 100.0, 1e3, 1e4, 1e5)
"""Ridge penalties that are tried on held-out curves."""

_PARAMETERS = ("channels_per_combination", "channel_indices", "dilations", "features_per_dilation", "biases")
"""What aeon's transform learns, in its order; the first four int32, the last float32."""


class MiniRocketRidge(Learned):
    """MiniRocket (Dempster, Schmidt & Webb 2021) by aeon's own class, and a ridge regression of scikit-learn on it.

    The transform sees log curves against their start at `N_POINTS` points; the head its standardised features and
    what is constant along a curve. Diagnoses weigh alike. The penalty, and how sure the answers are, are those with the
    lowest log loss on curves that were held out.
    """

    dtypes: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(_PARAMETERS[:-1], "<i4"),
        "biases": "<f4",
        "mean": "<f8",
        "scale": "<f8",
        "weights": "<f8",
        "intercept": "<f8",
        "sharpness": "<f8",
    }
    needs: ClassVar[Mapping[str, str]] = {"aeon": "aeon"}

    def learn(self, X: Float, codes: Int) -> dict[str, Any]:
        """Fit the transform, choose the penalty, fit the head; arguments as `Learned.learn`."""
        parameters = _transform_parameters(_seen(X))
        features = _features(parameters, X)
        mean, scale = features.mean(axis=0), features.std(axis=0)
        scale[scale == 0] = 1.0
        features = (features - mean) / scale
        penalty, sharpness = _chosen(features, codes)
        weights, intercept = _head(features, codes, penalty)
        return {
            **parameters,
            "mean": mean,
            "scale": scale,
            "weights": weights,
            "intercept": intercept,
            "sharpness": sharpness,
        }

    def judge(self, arrays: Mapping[str, Array], X: Float) -> NDArray[np.float64]:
        """Softmax of the sharpened answers of the ridge regression."""
        features = (_features(arrays, X) - arrays["mean"]) / arrays["scale"]
        return softmax(arrays["sharpness"] * (features @ arrays["weights"] + arrays["intercept"]))

    def check_arrays(self, arrays: Mapping[str, Array], n_classes: int, n_channels: int) -> None:
        """A transform that stays within the curve, and a head as wide as it."""
        n_seen, n_constants = len(log_channels(_ONE[:, :n_channels])), constants(_ONE[:, :n_channels]).shape[1]
        n_dilations = len(arrays["dilations"]) if arrays["dilations"].ndim == 1 else 0
        n_combinations = 84 * n_dilations
        check_shapes(
            arrays,
            {"channels_per_combination": (n_combinations,), "features_per_dilation": (n_dilations,), "scale": (None,)},
        )
        dilations, per_dilation = arrays["dilations"], arrays["features_per_dilation"]
        check(n_dilations > 0 and bool(((dilations >= 1) & (dilations < N_POINTS / 8)).all()), "dilations too wide")
        check(bool(((per_dilation >= 1) & (per_dilation <= N_KERNELS)).all()), "features_per_dilation out of bounds")
        chosen = arrays["channels_per_combination"]
        check(bool(((chosen >= 1) & (chosen <= n_seen)).all()), "channels_per_combination out of bounds")
        indices = arrays["channel_indices"]
        check_shapes(arrays, {"channel_indices": (int(chosen.sum()),)})
        check(bool(((indices >= 0) & (indices < n_seen)).all()), "channel_indices out of bounds")
        n_features = 84 * int(per_dilation.sum()) + n_constants
        check_shapes(
            arrays,
            {
                "biases": (n_features - n_constants,),
                "mean": (n_features,),
                "scale": (n_features,),
                "weights": (n_features, n_classes),
                "intercept": (n_classes,),
                "sharpness": (),
            },
        )
        check(bool((arrays["scale"] > 0).all()), "scale that is not positive")


_ONE = np.ones((1, 5, 2))


def _seen(X: Float) -> NDArray[np.float64]:
    """(n_curves, n_seen, N_POINTS) what the transform sees."""
    return np.stack([resampled(logs, N_POINTS) for logs in log_channels(X)], axis=1)


def _transform_parameters(seen: Float) -> dict[str, Any]:
    from aeon.transformations.collection.convolution_based import MiniRocket

    fitted = MiniRocket(N_KERNELS, n_jobs=1, random_state=SEED).fit(seen)
    return dict(zip(_PARAMETERS, fitted.parameters, strict=True))


def _features(arrays: Mapping[str, Array], X: Float) -> NDArray[np.float64]:
    """(n_curves, n_features) shares of the points at which each kernel is above its bias, and constants."""
    from aeon.transformations.collection.convolution_based import MiniRocket

    seen = _seen(X)
    transform = MiniRocket(N_KERNELS, n_jobs=1, random_state=SEED)
    transform.fit(seen[:1])  # puts it in order for such curves; what it learned from them is replaced
    transform.parameters = tuple(arrays[name] for name in _PARAMETERS)
    return np.column_stack([transform.transform(seen), constants(X)]).astype(np.float64)


def _head(features: Float, codes: Int, penalty: float) -> tuple[Float, Float]:
    """Weights (n_features, n_classes) and intercepts that answer 1 for the right class and -1 for others."""
    from sklearn.linear_model import Ridge

    targets = 2.0 * np.eye(int(codes.max()) + 1)[codes] - 1.0
    ridge = Ridge(penalty).fit(features, targets, sample_weight=balanced_weights(codes))
    return ridge.coef_.T, ridge.intercept_


def _chosen(features: Float, codes: Int) -> tuple[float, float]:
    """The penalty and the sharpness with the lowest log loss on held-out curves; the middle one where too few are."""
    is_held: Bool = held_out(len(codes))
    if not is_held.any() or len(np.unique(codes[~is_held])) < len(np.unique(codes)):
        return PENALTIES[len(PENALTIES) // 2], 1.0
    tried = []
    for penalty in PENALTIES:
        weights, intercept = _head(features[~is_held], codes[~is_held], penalty)
        scores = features[is_held] @ weights + intercept
        sharpness = best_sharpness(scores, codes[is_held])
        tried.append((log_loss(softmax(sharpness * scores), codes[is_held]), penalty, sharpness))
    _, penalty, sharpness = min(tried)
    return penalty, sharpness
