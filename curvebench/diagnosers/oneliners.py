"""The zoo: what one feature of a curve and a small lookup are worth. A benchmark that they solve is a toy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curvebench.diagnosers.features import FEATURES, log_curves
from curvebench.spec import DIAGNOSES, Float, Int

N_BINS = 16
"""Entries of a lookup, each with a sixteenth of the curves it was fitted to."""


class OneLiner:
    """A single feature in bins, and for each bin the diagnosis that is most frequent in it for its size.

    For its size: a diagnosis counts by the share of its own curves that fall into the bin, so that the rare ones are
    named too.
    """

    largest_track = "curve"

    def __init__(self, feature: str) -> None:
        self.feature = FEATURES[feature]
        self.edges: Float = np.empty(0)
        self.lookup: NDArray[np.float64] = np.eye(len(DIAGNOSES))[[DIAGNOSES.index("healthy")]]

    def fit(self, X: Float, y: NDArray[np.str_]) -> OneLiner:
        """Place the bins at quantiles of the feature and fill the lookup.

        Args:
            X: (n_curves, n_channels, n_points), at least one curve; the first channel is the training loss.
            y: (n_curves,) diagnoses.
        """
        values = self._values(X)
        # edges are values of curves, and none is the lowest, so that no bin is empty
        edges = np.unique(np.quantile(values, np.arange(1, N_BINS) / N_BINS, method="higher"))
        self.edges = edges[edges > values.min()]
        counts = np.zeros((len(self.edges) + 1, len(DIAGNOSES)))
        np.add.at(counts, (self.bins(X), np.array([DIAGNOSES.index(label) for label in y])), 1)
        shares = counts / np.maximum(counts.sum(axis=0), 1)
        self.lookup = shares / shares.sum(axis=1, keepdims=True)
        return self

    def bins(self, X: Float) -> Int:
        """Number of the bin of each curve, (n_curves,)."""
        return np.searchsorted(self.edges, self._values(X), side="right")

    def predict_proba(self, X: Float) -> NDArray[np.float64]:
        """Shares of the diagnoses in each curve's bin, (n_curves, 6)."""
        return self.lookup[self.bins(X)]

    def _values(self, X: Float) -> Float:
        return self.feature.of(log_curves(np.asarray(X)[:, 0]))
