"""Learned diagnosers, fitted on the split `train`, and files of fitted ones."""

from __future__ import annotations

from curvebench.diagnosers.learned.descriptions import describe, features_of_channels
from curvebench.diagnosers.learned.forest import Forest
from curvebench.diagnosers.learned.models import load_model, save_model

__all__ = ["Forest", "describe", "features_of_channels", "load_model", "save_model"]
