"""Who diagnoses: the registry of diagnosers, and how a name, a file, a program, a class or an object becomes one."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from curvebench.diagnosers.adapters import Classifier, OneCurveAtATime, is_classifier
from curvebench.diagnosers.external import External
from curvebench.diagnosers.features import FEATURES
from curvebench.diagnosers.learned.models import SUFFIX, load_model
from curvebench.diagnosers.tools import TOOLS, VARIANTS
from curvebench.nearly import did_you_mean
from curvebench.spec import Diagnoser, UsageError

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
    "boosting": Entry(
        "curvebench.diagnosers.learned.boosting:Boosting",
        "gradient boosted trees on 122 features of the curves, calibrated, fitted on train",
        kind="learned",
    ),
    "as-logged": Entry(
        "curvebench.diagnosers.learned.as_logged:AsLogged",
        "boosting on curves logged in many ways, with the shape of the rate if there is one, fitted on train",
        kind="learned",
    ),
    "diagnose": Entry(
        "curvebench.diagnosis.abstaining:Diagnose",
        "as-logged as `curvebench diagnose` asks it, already fitted; abstains where that says nothing",
        kind="learned",
    ),
    "dtw-1nn": Entry(
        "curvebench.diagnosers.learned.nearest:NearestNeighbour",
        "the nearest of 1,000 curves of train by dynamic time warping (extra aeon)",
        kind="learned",
    ),
    "minirocket": Entry(
        "curvebench.diagnosers.learned.minirocket:MiniRocketRidge",
        "random convolutions with a linear head, calibrated, fitted on train (extra aeon)",
        kind="learned",
    ),
    "cnn": Entry(
        "curvebench.diagnosers.learned.convolution:ConvolutionalNetwork",
        "a small convolutional network, calibrated, fitted on train (extra torch)",
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


ENTRY_POINTS = "curvebench.diagnosers"
"""The group of entry points by which an installed package names its diagnosers."""

PROGRAM = "exec:"
"""What the name of a program begins with."""


def make_diagnoser(name: str) -> Diagnoser:
    """Make a diagnoser of the registry.

    Raises:
        UsageError: if there is none of that name, or only the evaluator can make it.

    >>> make_diagnoser("constant").predict_proba([[[2.0, 1.0]]]).tolist()
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
    known = [*DIAGNOSERS, *installed()]
    suggestion = did_you_mean(name, known)
    others = "`curvebench diagnosers` lists all" if suggestion else f"Known are {', '.join(known)}"
    raise UsageError(
        f"There is no diagnoser {name!r}.{suggestion} {others}; your own is named as "
        f"package.module:attribute, path/to/file.py:attribute or {PROGRAM}program, a fitted one by its file ({SUFFIX})."
    )


def installed() -> dict[str, str]:
    """Diagnosers that other installed packages name: name -> "package.module:attribute"."""
    return {point.name: f"{point.module}:{point.attr}" for point in entry_points(group=ENTRY_POINTS)}


def is_reference(name: object) -> bool:
    """Whether that is the name of a diagnoser that is told answers."""
    return isinstance(name, str) and name in DIAGNOSERS and DIAGNOSERS[name].is_reference


def check_name(name: str) -> None:
    """See that a name is one, without running anything of what it names.

    Raises:
        UsageError: there is no such diagnoser, file or program.
        InputError: it is a file, and no model.
    """
    if name.startswith(PROGRAM):
        External(name.removeprefix(PROGRAM))
    elif is_model(name):
        load_model(name)  # numbers and no code
    elif file_of(name) is None and ":" not in name and name not in installed():
        find_entry(name)


def name_of(diagnoser: object) -> str:
    """What to call a diagnoser on a board: the given name, or that of its class or function."""
    if isinstance(diagnoser, str):
        return diagnoser
    return str(getattr(diagnoser, "__name__", type(diagnoser).__name__))


def resolve(diagnoser: object) -> Diagnoser:
    """Make a diagnoser of what was given.

    Args:
        diagnoser: a name of the registry, or of an entry point of the group `ENTRY_POINTS`; "package.module:attribute";
            "path/to/file.py:attribute"; "exec:program --with arguments", see `External`; the path of a fitted model,
            ending in ".cbm"; a class without required arguments; an object with `predict_proba`; a classifier of
            scikit-learn, aeon or sktime, see `Classifier`; or a function of one curve, see `OneCurveAtATime`.

    Raises:
        UsageError: if it is nothing of the kind, can't be imported or can't be constructed.
        InputError: if it is the path of a file that is no model.
    """
    if isinstance(diagnoser, str):
        return _resolve_name(diagnoser)
    if inspect.isclass(diagnoser):
        return resolve(_construct(diagnoser))
    if is_classifier(diagnoser):
        return Classifier(diagnoser)
    if callable(getattr(diagnoser, "predict_proba", None)):
        return diagnoser  # type: ignore[return-value]
    if callable(diagnoser):
        return OneCurveAtATime(diagnoser)
    raise UsageError(
        f"What is of the type {type(diagnoser).__name__} is no diagnoser: give a name, package.module:attribute, "
        f"path/to/file.py:attribute, {PROGRAM}program, an object with predict_proba(X), a classifier, or a function "
        "of one curve."
    )


def _resolve_name(name: str) -> Diagnoser:
    if name.startswith(PROGRAM):
        return External(name.removeprefix(PROGRAM))
    if is_model(name):
        return load_model(name)
    if ":" in name:
        return resolve(_load(name))
    if name not in DIAGNOSERS and name in (points := installed()):
        return resolve(_load(points[name]))
    return make_diagnoser(name)


def is_model(name: str) -> bool:
    """Whether that is the path of a fitted model."""
    return name.endswith(SUFFIX) and not name.startswith(PROGRAM)


def file_of(target: str) -> Path | None:
    """The file that "path/to/file.py:attribute" names; None for any other name.

    Raises:
        UsageError: there is no such file.
    """
    where = target.rpartition(":")[0]
    if target.startswith(PROGRAM) or not where.endswith(".py"):
        return None
    if not os.path.isfile(where):
        raise UsageError(f"Can't load the diagnoser {target!r}: there is no file {where}.")
    return Path(where)


def _load(target: str) -> Any:
    """What stands at "package.module:attribute" or "path/to/file.py:attribute"."""
    where, _, attribute = target.rpartition(":")
    path = file_of(target)
    try:
        found: Any = importlib.import_module(where) if path is None else _run_file(path)
        for part in attribute.split("."):
            if inspect.ismodule(found) and not hasattr(found, part):
                named = did_you_mean(part, [name for name in vars(found) if not name.startswith("_")])
                raise UsageError(f"Can't load the diagnoser {target!r}: there is no {part!r} in {where}.{named}")
            found = getattr(found, part)
    except UsageError:
        raise
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever a foreign module does while it is imported
        raise UsageError(f"Can't load the diagnoser {target!r}: {type(error).__name__}: {error}.") from error
    return found


def _run_file(path: Path) -> Any:
    """The module of a file, which may import its neighbours, as a script may."""
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    name = f"curvebench_diagnoser_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
