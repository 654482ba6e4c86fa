"""Versions of what took part in making a data set or a score."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version


def package_versions() -> dict[str, str]:
    """Package -> version, for Python, this package and those that numbers depend on; absent ones are left out."""
    versions = {"python": platform.python_version()}
    for package in ("curvebench", "numpy", "numba", "torch", "h5py", "scikit-learn"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions
