"""Who diagnoses: the registry of diagnosers, and how a name, a class, a function or an object becomes one."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curvebench.diagnosers.features import FEATURES
from curvebench.diagnosers.tools import TOOLS, VARIANTS
from curvebench.spec import DIAGNOSES, Diagnoser, Float, UsageError

KINDS: tuple[str, ...] = ("reference", "one-liner", "rules", "published", "learned", "tool", "external")
"""What a diagnoser is: a mark on the scale, a single feature, our own rules, rules that others published, fitted to
curves, a tool that others made, or a program of somebody's own."""


@dataclass(frozen=True)
class Entry:
    """One diagnoser of the registry.

    Attributes:
        target: "package.module:attribute" of a class; imported only when the diagnoser is made.
        description: one line.
        arguments: what the class is made with.
        is_reference: whether its constructor is told answers by the evaluator; it can't be made without.
        kind: one of `KINDS`.
    """

    target: str
    description: str
    arguments: tuple[str, ...] = ()
    is_reference: bool = False
    _: KW_ONLY
    kind: str


DIAGNOSERS: Mapping[str, Entry] = {
    "rules": Entry(
        "curvebench.diagnosers.rules:Rules",
        "the curves as they are taught: a dozen rules, each with its evidence",
        kind="rules",
    ),
    "constant": Entry("curvebench.diagnosers.trivial:Constant", "always healthy: do nothing", kind="reference"),
    "chance": Entry(
        "curvebench.diagnosers.trivial:Chance",
        "one of the six diagnoses, drawn from the curve's bytes",
        kind="reference",
    ),
    "constant-best": Entry(
        "curvebench.diagnosers.trivial:ConstantBest",
        "the one remedy that is best for all of train",
        is_reference=True,
        kind="reference",
    ),
    "oracle": Entry(
        "curvebench.diagnosers.trivial:Oracle",
        "knows the labels, and what helped the other seeds",
        is_reference=True,
        kind="reference",
    ),
    "rules-tuned": Entry(
        "curvebench.diagnosers.tuned:TunedRules", "the same rules with thresholds fitted on train", kind="rules"
    ),
    "forest": Entry(
        "curvebench.diagnosers.learned:Forest",
        "a random forest on 30 simple features of the curves, fitted on train",
        kind="learned",
    ),
    **{
        name: Entry(f"curvebench.diagnosers.published.{target}", description, arguments, kind="published")
        for name, target, description, arguments in (
            ("published/umlaut", "umlaut:Umlaut", "UMLAUT's checks of losses and learning rate", ()),
            ("published/autotrainer", "autotrainer:AutoTrainer", "AutoTrainer's training problems", ()),
            ("published/sagemaker", "sagemaker:SageMakerDebugger", "rules of SageMaker Debugger", ()),
            ("published/lr-finder", "lr_finder:LearningRateFinder", "fastai's and Lightning's test of divergence", ()),
            (
                "published/torch-lr-finder",
                "lr_finder:LearningRateFinder",
                "torch-lr-finder's test of divergence",
                ("torch-lr-finder",),
            ),
            (
                "published/plateau",
                "reduce_on_plateau:ReduceOnPlateau",
                "torch's ReduceLROnPlateau on the training loss",
                (),
            ),
            (
                "published/plateau-val",
                "reduce_on_plateau:ReduceOnPlateau",
                "torch's ReduceLROnPlateau on the validation loss",
                ("val_loss",),
            ),
            ("published/early-stopping", "early_stopping:EarlyStopping", "Lightning's EarlyStopping", ()),
            ("published/chee-toulis", "chee_toulis:CheeToulis", "Pflug's test of stationarity (Chee and Toulis)", ()),
            ("published/sasa", "sasa:Sasa", "the loss test of stationarity that comes with SASA+", ()),
        )
    },
    **{
        f"zoo/{name}": Entry(
            "curvebench.diagnosers.oneliners:OneLiner",
            f"one feature: {feature.meaning}",
            (name,),
            kind="one-liner",
        )
        for name, feature in FEATURES.items()
    },
    **{
        name: Entry(f"curvebench.diagnosers.tools.{target}", description, kind="tool")
        for name, (target, description) in {**TOOLS, **VARIANTS}.items()
    },
    **{
        f"{name}/full": Entry(
            f"curvebench.diagnosers.tools.{target}", f"{description}; on all columns", ("config",), kind="tool"
        )
        for name, (target, description) in TOOLS.items()
    },
}
"""Name -> diagnoser, in the order in which they are listed."""


class InvalidOutput(ValueError):  # noqa: N818 - named like the status that it leads to
    """A diagnoser answered, but not with what the contract asks for."""


def make_diagnoser(name: str) -> Diagnoser:
    """Make a diagnoser of the registry.

    Raises:
        UsageError: if there is none of that name, or only the evaluator can make it.

    >>> make_diagnoser("constant").predict_proba(np.ones((1, 1, 5))).tolist()
    [[0.0, 0.0, 0.0, 0.0, 0.0, 1.0]]
    """
    entry = find_entry(name)
    if entry.is_reference:
        raise UsageError(f"{name!r} is told answers by the evaluator: name it to `evaluate`, it can't be made alone.")
    made: Diagnoser = _load(entry.target)(*entry.arguments)
    return made


def find_entry(name: str) -> Entry:
    """The registry's entry of that name.

    Raises:
        UsageError: if there is none; it lists the known ones and suggests the nearest.
    """
    if name in DIAGNOSERS:
        return DIAGNOSERS[name]
    near = difflib.get_close_matches(name, DIAGNOSERS, n=1)
    suggestion = f" Did you mean {near[0]!r}?" if near else ""
    raise UsageError(
        f"There is no diagnoser {name!r}.{suggestion} Known are {', '.join(DIAGNOSERS)}; "
        "your own is named as package.module:attribute."
    )


def name_of(diagnoser: object) -> str:
    """What to call a diagnoser on a board: the given name, or that of its class or function."""
    if isinstance(diagnoser, str):
        return diagnoser
    return str(getattr(diagnoser, "__name__", type(diagnoser).__name__))


def resolve(diagnoser: object) -> Diagnoser:
    """Make a diagnoser of what was given.

    Args:
        diagnoser: a name of the registry; "package.module:attribute"; a class without required arguments; an object
            with `predict_proba`; or a function of one curve, see `OneCurveAtATime`.

    Raises:
        UsageError: if it is nothing of the kind, can't be imported or can't be constructed.
    """
    if isinstance(diagnoser, str):
        return resolve(_load(diagnoser)) if ":" in diagnoser else make_diagnoser(diagnoser)
    if inspect.isclass(diagnoser):
        return resolve(_construct(diagnoser))
    if callable(getattr(diagnoser, "predict_proba", None)):
        return diagnoser  # type: ignore[return-value]
    if callable(diagnoser):
        return OneCurveAtATime(diagnoser)
    raise UsageError(
        f"A {type(diagnoser).__name__} is no diagnoser: give a name, package.module:attribute, an object with "
        "predict_proba(X), or a function of one curve."
    )


def _load(target: str) -> Any:
    """What stands at "package.module:attribute"."""
    module_name, _, attribute = target.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
        for part in attribute.split("."):
            found = getattr(found, part)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever a foreign module does while it is imported
        raise UsageError(f"Can't load the diagnoser {target!r}: {type(error).__name__}: {error}.") from error
    return found


def _construct(cls: type) -> Any:
    try:
        return cls()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise UsageError(
            f"Can't construct {cls.__name__} without arguments ({type(error).__name__}: {error}); "
            "give an object instead."
        ) from error


class OneCurveAtATime:
    """A diagnoser made of a function of one curve.

    The function gets (n_points,) where the track has one channel, else (n_channels, n_points), and returns the name
    of a diagnosis or six probabilities. An attribute `track` of the function is that of the diagnoser.
    """

    def __init__(self, function: Callable[[Float], object]) -> None:
        self.function = function
        self.track: str = getattr(function, "track", "curve")

    def predict_proba(self, X: Float) -> NDArray[np.float64]:
        """Probabilities (n_curves, 6) of the curves X (n_curves, n_channels, n_points).

        Raises:
            InvalidOutput: if the function returns neither a diagnosis nor six numbers.
        """
        rows = [_row(self.function(curve[0] if len(curve) == 1 else curve)) for curve in X]
        return np.array(rows, dtype=np.float64).reshape(len(X), len(DIAGNOSES))


def _row(answer: object) -> NDArray[np.float64]:
    """Six probabilities from what a function of one curve returned."""
    if isinstance(answer, str):
        if answer not in DIAGNOSES:
            raise InvalidOutput(f"{answer!r} is no diagnosis; allowed are {', '.join(DIAGNOSES)}.")
        return np.equal(DIAGNOSES, answer).astype(np.float64)
    try:
        row = real_numbers(answer)
    except TypeError:
        row = np.empty(0)
    if row.shape != (len(DIAGNOSES),):
        raise InvalidOutput(
            f"A {type(answer).__name__} is neither the name of a diagnosis nor {len(DIAGNOSES)} probabilities."
        )
    return row


def real_numbers(said: object) -> NDArray[np.float64]:
    """What a diagnoser said as an array of numbers, which text, complex numbers and other objects are not.

    Raises:
        TypeError: it is none.
    """
    kind = type(said).__name__
    try:
        array = np.asarray(said)
    except (TypeError, ValueError):  # rows of different lengths, for instance
        raise TypeError(f"a {kind} that is no array of real numbers") from None
    if array.dtype.kind not in "biuf":
        raise TypeError(f"a {kind} ({array.dtype}) that is no array of real numbers")
    return array.astype(np.float64)
