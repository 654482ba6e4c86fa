"""The adapters with the real tools, where they are installed."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pytest

from curvebench.diagnosers import DIAGNOSERS, make_diagnoser
from curvebench.diagnosers.tools import TOOLS, VARIANTS
from curvebench.diagnosers.tools.adapter import LOGGED, Tool
from curvebench.spec import CHANNELS, DIAGNOSES, TRACKS, Diagnoser

N_POINTS = 128
T = np.arange(N_POINTS)
NOISE = np.random.default_rng(0).normal(0, 1, N_POINTS)
FALL = 0.2 + 2.1 * np.exp(-T / 25)

CURVES = {
    "healthy": FALL + 0.01 * NOISE,
    "explodes": np.where(T < 40, FALL, FALL[40] * 1.08 ** (T - 40.0)),
    "NaN": np.where(T < 60, FALL, np.nan),
    "plateau": 0.6 + 1.7 * np.exp(-T / 4) + 0.05 * NOISE,
    "slow": np.linspace(2.3, 2.0, N_POINTS) + 0.01 * NOISE,
    "constant": np.ones(N_POINTS),
}

HIGH, LATE_HIGH, LOW, LATE_LOW, _, FINE = DIAGNOSES
NOTHING, CRASH = "abstains", "crashes"

SAID = {
    "gradsnitch": (NOTHING, HIGH, HIGH, NOTHING, NOTHING, NOTHING),
    "runmedic": (FINE, HIGH, HIGH, FINE, FINE, LOW),
    "trainspotter": (FINE, HIGH, HIGH, FINE, FINE, FINE),
    "training-doctor": (FINE, HIGH, HIGH, HIGH, FINE, LOW),
    "losslint": (FINE, HIGH, HIGH, FINE, FINE, LATE_LOW),
    "trainproof": (NOTHING, HIGH, HIGH, NOTHING, NOTHING, LOW),
    "pytscope": (FINE, HIGH, HIGH, FINE, FINE, LATE_HIGH),
    "silver-diagnostics": (FINE, HIGH, HIGH, LATE_HIGH, FINE, LATE_HIGH),
    "sk-autod": (FINE, LOW, CRASH, HIGH, HIGH, HIGH),
    "reduce-lr-on-plateau": (LATE_HIGH, LATE_HIGH, LATE_HIGH, LATE_HIGH, FINE, LATE_HIGH),
    "early-stopping": (LATE_HIGH, LATE_HIGH, HIGH, LATE_HIGH, LATE_HIGH, LATE_HIGH),
    "reduce-lr-on-plateau/patient": (FINE, LATE_HIGH, LATE_HIGH, FINE, FINE, LATE_HIGH),
    "early-stopping/patient": (FINE, LATE_HIGH, HIGH, FINE, FINE, LATE_HIGH),
}
"""Tool -> what it says of each of `CURVES`, shown the loss alone."""

FULL = {
    "runmedic/full": {"plateau": LATE_HIGH},
    "gradsnitch/full": {"decayed too early": LATE_LOW},
    "trainproof/full": {"decayed too early": LATE_LOW},
    "trainspotter/full": {"healthy": NOTHING},
}
"""Tool -> what it says only when it is shown all columns."""

NAMES = [name for name, entry in DIAGNOSERS.items() if entry.kind == "tool"]


def class_of(name: str) -> type[Tool]:
    module, _, attribute = DIAGNOSERS[name].target.partition(":")
    return getattr(import_module(module), attribute)


@cache
def made(name: str) -> Tool:
    """The diagnoser, if its tool is installed; in another version it is an error."""
    try:
        version(class_of(name).SOURCE.package)
    except PackageNotFoundError:
        pytest.skip(f"{name} is not installed")
    return make_diagnoser(name)


def with_columns(losses: Iterable[np.ndarray], tool: Tool, rate: np.ndarray | float = 0.1) -> np.ndarray:
    """Curves with the channels of the tool's track: validation as training, gradients a tenth as large."""
    X = np.array(list(losses), dtype=np.float32)
    columns = [X, X, 0.1 * X, np.broadcast_to(np.float32(rate), X.shape), np.zeros_like(X)]
    return np.stack(columns[: len(TRACKS[tool.track])], axis=1)


def answers(tool: Tool, X: np.ndarray) -> list[str]:
    said = [DIAGNOSES[i] for i in tool.predict_proba(X).argmax(axis=1)]
    silent, crashed = tool.abstain(X), tool.crashed(X)
    return [CRASH if c else NOTHING if s else d for d, s, c in zip(said, silent, crashed, strict=True)]


# -------------------------------------------------------------------------------------------- what is said


def test_every_tool_is_asked():
    assert set(SAID) == {*TOOLS, *VARIANTS}
    assert set(NAMES) == {*TOOLS, *VARIANTS, *(f"{name}/full" for name in TOOLS)}


@pytest.mark.parametrize("name", SAID)
def test_what_they_say_of_curves_made_by_hand(name):
    tool = made(name)
    said = dict(zip(CURVES, answers(tool, with_columns(CURVES.values(), tool)), strict=True))
    assert said == dict(zip(CURVES, SAID[name], strict=True))


@pytest.mark.parametrize("name", FULL)
def test_what_they_say_only_with_all_columns(name):
    tool = made(name)
    for curve, expected in FULL[name].items():
        is_early = curve == "decayed too early"
        rate = np.where(T < 50, 0.1, 0.0) if is_early else 0.1
        loss = np.where(T < 50, FALL, FALL[50]) + 0.005 * NOISE if is_early else CURVES[curve]
        assert answers(tool, with_columns([loss], tool, rate)) == [expected]


@pytest.mark.parametrize("name", NAMES)
def test_short_and_extreme_curves_are_answered_or_abstained_from(name):
    tool = made(name)
    for n_points in (1, 2, 7):
        X = with_columns([CURVES["healthy"][:n_points], np.full(n_points, np.nan)], tool)
        assert tool.predict_proba(X).shape == (2, 6)
    extreme = np.array([0.0, -1.0, 3e38, -3e38, 1e-45, np.inf, -np.inf])[:, None] * np.ones(N_POINTS)
    X = with_columns(extreme, tool)
    assert set(answers(tool, X)) <= {*DIAGNOSES, NOTHING, CRASH}


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_depends_on_the_curve_alone(name):
    tool = made(name)
    assert isinstance(tool, Diagnoser)
    X = with_columns([CURVES["explodes"], CURVES["healthy"], CURVES["NaN"]], tool)
    before = X.copy()
    X.setflags(write=False)
    together = tool.predict_proba(X)
    np.testing.assert_array_equal(X, before)
    np.testing.assert_array_equal(tool.predict_proba(X[::-1])[::-1], together)
    np.testing.assert_array_equal(np.concatenate([tool.predict_proba(X[i : i + 1]) for i in range(3)]), together)
    np.testing.assert_array_equal(tool.predict_proba(X.astype(np.float64)), together)
    np.testing.assert_array_equal(together.sum(axis=1), 1.0)


# ------------------------------------------------------------------------------------------ what can be said


def given_to(function: str, where: int | str, *files: str) -> set[str]:
    """Constant strings that calls of a function are given as an argument (number or name), in files of a package."""
    found = set()
    for file in files:
        for node in ast.walk(ast.parse(Path(file).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == function:
                given = node.args[where : where + 1] if isinstance(where, int) else []
                given += [keyword.value for keyword in node.keywords if keyword.arg == where]
                found |= {part.value for value in given for part in constants(value)}
    return found


def constants(value: ast.AST) -> list[ast.Constant]:
    """The strings that an argument may be; the parts of a formatted one are none."""
    if isinstance(value, ast.IfExp):
        return [*constants(value.body), *constants(value.orelse)]
    return [value] if isinstance(value, ast.Constant) else []


def files_of(module: str, pattern: str) -> list[str]:
    return sorted(map(str, Path(import_module(module).__file__).parent.glob(pattern)))


def of_gradsnitch() -> set[str]:
    from gradsnitch import DETECTORS

    return {code for code, _ in DETECTORS}


def of_training_doctor() -> set[str]:
    from training_doctor import Doctor

    return {detector.name for detector in Doctor().detectors}


def of_trainproof() -> set[str]:
    (file,) = files_of("trainproof", "epoch.py")
    dicts = [node for node in ast.walk(ast.parse(Path(file).read_text())) if isinstance(node, ast.Dict)]
    pairs = [pair for d in dicts for pair in zip(d.keys, d.values, strict=True)]
    return {value.value for key, value in pairs if isinstance(key, ast.Constant) and key.value == "id"}


def of_silver() -> set[str]:
    files = [file for name in ("training.py", "metrics.py") for file in files_of("silver_diagnostics", name)]
    return given_to("Diagnostic", 0, *files) | given_to("Diagnostic", "code", *files)


def of_sk_autod() -> set[str]:
    from sk_autod import detectors

    classes = [getattr(detectors, name) for name in detectors.__all__]
    return {cls.name for cls in classes if cls is not detectors.BaseDetector}


def of_lightning() -> set[str]:
    from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason

    return {reason.name for reason in EarlyStoppingReason} - {"NOT_STOPPED"}


FINDINGS: dict[str, Callable[[], set[str]]] = {
    "gradsnitch": of_gradsnitch,
    "runmedic": lambda: given_to("Finding", 0, *files_of("runmedic", "checks.py")),
    "trainspotter": lambda: given_to("Finding", "title", *files_of("trainspotter", "detectors/*.py")),
    "training-doctor": of_training_doctor,
    "losslint": lambda: given_to("Finding", "check", *files_of("losslint", "checks.py")),
    "trainproof": of_trainproof,
    "pytscope": lambda: given_to("Finding", "code", *files_of("pytscope", "diagnosis/*.py")),
    "silver-diagnostics": of_silver,
    "sk-autod": of_sk_autod,
    "early-stopping": of_lightning,
}
"""Tool -> every finding that it can have, from its own lists where it has one, else from its source."""


@pytest.mark.parametrize("name", FINDINGS)
def test_the_table_has_every_finding_and_no_other(name):
    tool = made(name)
    told_apart = {
        finding.partition("/")[0] if name in ("runmedic", "pytscope") else finding for finding in tool.MAPPING
    }
    assert told_apart == FINDINGS[name]()


@pytest.mark.parametrize("name", NAMES)
def test_tables_are_written_out(name):
    tool = class_of(name)
    assert tool.SOURCE.address.startswith("https://")
    for meaning in (*tool.MAPPING.values(), tool.SILENCE):
        assert meaning.reason.endswith(".")
        assert meaning.diagnosis is None or meaning.diagnosis in DIAGNOSES
        assert not set(meaning.needs) & {"train_loss", "optimizer"}
    assert any(meaning.diagnosis for meaning in tool.MAPPING.values())
    assert CHANNELS[:4] == LOGGED


def test_all_findings_of_a_real_data_set_are_known():
    """Curves of every shape that a random generator makes: an unknown finding would raise."""
    rng = np.random.default_rng(1)
    steps = rng.normal(0, rng.choice([0.01, 0.1, 1.0], (24, 1)), (24, N_POINTS))
    losses = np.exp(np.cumsum(steps, axis=1) - rng.choice([0.0, 0.05], (24, 1)) * T)
    for name in NAMES:
        try:
            tool = made(name)
        except pytest.skip.Exception:
            continue
        assert tool.predict_proba(with_columns(losses, tool)).shape == (24, 6)
