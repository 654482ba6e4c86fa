"""A small convolutional network on log curves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from curvebench.diagnosers.learned.calibration import balanced_weights, fitted_sharpness, softmax
from curvebench.diagnosers.learned.fitted import Array, Learned, check, check_shapes
from curvebench.diagnosers.learned.series import constants, log_channels, resampled
from curvebench.spec import Float, Int

if TYPE_CHECKING:
    import torch

N_POINTS = 128
"""Curves are brought to this many points."""

N_FILTERS, WIDTHS, N_GROUPS, N_SEGMENTS, N_HIDDEN = (32, 48, 64), (7, 5, 5), 4, 4, 64
"""Filters and their widths, layer by layer; groups that are normalised together; segments in which means and maxima
are taken; units above them."""

N_EPOCHS, BATCH, RATE, WEIGHT_DECAY, DROPOUT, SEED = 12, 128, 2e-3, 1e-2, 0.3, 0

LEAST_STEP = 1e-6
"""Decades; smaller steps are taken for this."""

_ROWS_AT_ONCE = 256


class ConvolutionalNetwork(Learned):
    """Three convolutions, means and maxima in quarters of the curve, and two dense layers, in torch.

    Each channel that runs along a curve is shown as its logarithm against its start and as the logarithm of its steps.
    Diagnoses weigh alike in training. How sure the answers are is fitted to curves that were held out, by one number;
    the network that is kept is trained on all of them after that.

    The same curves give the same network, bit for bit, on the same machine with the same version of torch: seeded, in
    one thread, and torch's own random state is left alone. It answers in double precision, so that curves that are
    asked together get what they get alone.
    """

    dtypes: ClassVar[Mapping[str, str]] = {
        "mean": "<f4",
        "scale": "<f4",
        "sharpness": "<f8",
        **{
            f"{layer}.{kind}": "<f4"
            for layer in ("conv0", "norm0", "conv1", "norm1", "conv2", "norm2", "hidden", "output")
            for kind in ("weight", "bias")
        },
    }
    needs: ClassVar[Mapping[str, str]] = {"torch": "torch"}

    def learn(self, X: Float, codes: Int) -> dict[str, Any]:
        """Train twice, to calibrate and to keep; arguments as `Learned.learn`."""
        seen, fixed = _seen(X), constants(X)

        def scores_after(known: Any, asked: Any) -> NDArray[np.float64]:
            trained = _trained(seen[known], fixed[known], codes[known])
            return _scores(trained, seen[asked], fixed[asked])

        sharpness = fitted_sharpness(scores_after, codes)
        return {**_trained(seen, fixed, codes), "sharpness": sharpness}

    def judge(self, arrays: Mapping[str, Array], X: Float) -> NDArray[np.float64]:
        """Softmax of the sharpened outputs."""
        return softmax(arrays["sharpness"] * _scores(arrays, _seen(X), constants(X)))

    def check_arrays(self, arrays: Mapping[str, Array], n_classes: int, n_channels: int) -> None:
        """Weights of this very network."""
        seen, fixed = _seen(_ONE[:, :n_channels]), constants(_ONE[:, :n_channels])
        layers = _layers(seen.shape[1], fixed.shape[1], n_classes)
        shapes = {name: tuple(weights.shape) for name, weights in layers.state_dict().items()}
        n_shown = seen.shape[1] + fixed.shape[1]
        check_shapes(arrays, {**shapes, "mean": (n_shown,), "scale": (n_shown,), "sharpness": ()})
        check(bool((arrays["scale"] > 0).all()), "scale that is not positive")


_ONE = np.ones((1, 5, 2))


def _seen(X: Float) -> NDArray[np.float64]:
    """(n_curves, 2 for each channel that runs along a curve, N_POINTS) log curves, and log10 of the size of steps."""
    shown = []
    for logs in log_channels(X):
        steps = np.abs(np.diff(logs, axis=1, prepend=logs[:, :1]))
        shown += [resampled(logs, N_POINTS), np.log10(np.maximum(resampled(steps, N_POINTS), LEAST_STEP))]
    return np.stack(shown, axis=1)


def _layers(n_seen: int, n_constants: int, n_classes: int) -> torch.nn.ModuleDict:
    from torch import nn

    layers: dict[str, nn.Module] = {}
    n_in = n_seen
    for i, (n_filters, width) in enumerate(zip(N_FILTERS, WIDTHS, strict=True)):
        layers[f"conv{i}"] = nn.Conv1d(n_in, n_filters, width, padding=width // 2)
        layers[f"norm{i}"] = nn.GroupNorm(N_GROUPS, n_filters)
        n_in = n_filters
    layers["hidden"] = nn.Linear(2 * N_SEGMENTS * n_in + n_constants, N_HIDDEN)
    layers["output"] = nn.Linear(N_HIDDEN, n_classes)
    return nn.ModuleDict(layers)


def _forward(
    layers: torch.nn.ModuleDict, seen: torch.Tensor, fixed: torch.Tensor, *, is_training: bool = False
) -> torch.Tensor:
    """Scores (n_curves, n_classes) of standardised curves and constants."""
    from torch.nn import functional as F

    values = seen
    for i in range(len(N_FILTERS)):
        values = F.max_pool1d(F.relu(layers[f"norm{i}"](layers[f"conv{i}"](values))), 2)
    segments = values.reshape(*values.shape[:2], N_SEGMENTS, -1)
    pooled = F.relu(layers["hidden"](_flat(segments.mean(dim=3), segments.amax(dim=3), fixed)))
    scores: torch.Tensor = layers["output"](F.dropout(pooled, DROPOUT, training=is_training))
    return scores


def _flat(*parts: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.cat([part.flatten(1) for part in parts], dim=1)


@contextmanager
def _one_thread(seed: int) -> Iterator[None]:
    """Torch in one thread with random numbers of its own; everything as before afterwards."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)


def _trained(seen: Float, fixed: Float, codes: Int) -> dict[str, Any]:
    """Weights, and what curves and constants are standardised with."""
    import torch
    from torch.nn import functional as F

    mean = np.concatenate([seen.mean(axis=(0, 2)), fixed.mean(axis=0)]).astype(np.float32)
    scale = np.concatenate([seen.std(axis=(0, 2)), fixed.std(axis=0)]).astype(np.float32)
    scale[scale < LEAST_STEP] = 1.0
    standards = {"mean": mean, "scale": scale}
    curves, constant = (torch.from_numpy(shown.astype(np.float32)) for shown in _standardised(standards, seen, fixed))
    labels, weights = torch.from_numpy(codes), torch.from_numpy(balanced_weights(codes).astype(np.float32))
    with _one_thread(SEED):
        layers = _layers(seen.shape[1], fixed.shape[1], int(codes.max()) + 1)
        optimizer = torch.optim.AdamW(layers.parameters(), lr=RATE, weight_decay=WEIGHT_DECAY)
        n_steps = N_EPOCHS * -(-len(codes) // BATCH)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
        for _ in range(N_EPOCHS):
            for rows in torch.split(torch.randperm(len(codes)), BATCH):
                scores = _forward(layers, curves[rows], constant[rows], is_training=True)
                loss = (F.cross_entropy(scores, labels[rows], reduction="none") * weights[rows]).mean()
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
                schedule.step()
    return {**standards, **{name: weight.numpy() for name, weight in layers.state_dict().items()}}


def _standardised(arrays: Mapping[str, Array], seen: Float, fixed: Float) -> tuple[Float, Float]:
    mean, scale, n_seen = arrays["mean"].astype(np.float64), arrays["scale"].astype(np.float64), seen.shape[1]
    return (seen - mean[:n_seen, None]) / scale[:n_seen, None], (fixed - mean[n_seen:]) / scale[n_seen:]


def _scores(arrays: Mapping[str, Array], seen: Float, fixed: Float) -> NDArray[np.float64]:
    """(n_curves, n_classes) outputs in double precision."""
    import torch

    curves, constant = (torch.from_numpy(shown) for shown in _standardised(arrays, seen, fixed))
    with _one_thread(SEED), torch.no_grad():
        layers = _layers(seen.shape[1], fixed.shape[1], len(arrays["output.bias"]))
        layers.load_state_dict({name: torch.from_numpy(arrays[name].copy()) for name in layers.state_dict()})
        layers.double()
        parts = zip(torch.split(curves, _ROWS_AT_ONCE), torch.split(constant, _ROWS_AT_ONCE), strict=True)
        return np.concatenate([_forward(layers, *part).numpy() for part in parts])
