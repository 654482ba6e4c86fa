"""Recipes: what a data set is made of, read strictly from TOML. A recipe is data; nothing here does any work."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeGuard

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import CoreSchema, core_schema

from curvebench.data.columns import COLUMNS
from curvebench.data.dataset import MAX_ATTRIBUTE_BYTES
from curvebench.data.plain_files import parse_toml, read_plain_file
from curvebench.generation.engine import DENSE, ENGINES, MLP, MODULES
from curvebench.generation.moments import branch_fault, count_updates
from curvebench.generation.portable_math import log10
from curvebench.generation.problems import FAMILIES
from curvebench.generation.schedules import SHAPES, schedule_shape
from curvebench.nearly import did_you_mean, did_you_mean_file
from curvebench.spec import (
    HIDDEN_ACTIVATIONS,
    LABELS,
    LAYER_ACTIVATIONS,
    LOSSES,
    OBJECTIVE_OF_LOSS,
    OPTIMIZERS,
    OUTPUT_ACTIVATIONS,
    SPLITS,
    TASKS,
    Float,
    InputError,
    ModuleNetwork,
    Network,
    Optimizer,
    UsageError,
)
from curvebench.t_quantiles import CONFIDENCES, MAX_SEEDS

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$", description="Lower-case name, no path.")]
Names = Annotated[list[Name], Field(min_length=1, max_length=64)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Rate = Annotated[float, Field(gt=0.0, le=1e6)]

MAX_FILE_BYTES = 2**20
"""Of a file with a recipe; what may be in it is less."""

_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"

_LAYER = rf"^[1-9][0-9]{{0,2}} ({'|'.join(LAYER_ACTIVATIONS)})$"


@dataclass(frozen=True)
class _OneOf:
    """Pydantic annotation: a value that is one of these."""

    values: tuple[str, ...] | tuple[float, ...]

    def __get_pydantic_core_schema__(self, source: object, handler: object) -> CoreSchema:
        return core_schema.literal_schema(list(self.values))


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class ProblemSet(_Strict):
    """Instances of one problem family, all in one split."""

    family: Annotated[str, _OneOf(tuple(FAMILIES))] = Field(description="Problem family.")
    split: Annotated[str, _OneOf(SPLITS)] = Field(description="Split that all these instances belong to.")
    instances: int = Field(ge=1, le=100_000, description="Number of instances.")
    first: int = Field(default=0, ge=0, le=1_000_000, description="Number of the first instance.")
    n_train: int = Field(default=256, ge=16, le=4096, description="Training examples, fewer where the data has fewer.")
    n_val: int = Field(default=64, ge=8, le=4096, description="Validation examples.")
    phenomenon: Name | None = Field(
        default=None, description="Entry of the mix that its groups are of; without it they are drawn by weight."
    )


class NetworkSpec(_Strict):
    """A multi-layer perceptron, or a torch module of ours or of somebody else, which needs the engine torch."""

    name: Name
    module: str = Field(
        default=MLP,
        pattern=rf"^({'|'.join((MLP, *MODULES))}|{_IDENTIFIER}(\.{_IDENTIFIER})*:{_IDENTIFIER})$",
        max_length=COLUMNS["architecture"].itemsize,
        description="mlp, conv, recurrent, attention, dense, or package.module:callable, loaded with --trust only.",
    )
    depth: int = Field(ge=0, le=16, description="Hidden layers, 0 for dense only; what a module takes for its depth.")
    width: int = Field(ge=1, le=512, description="Units per hidden layer; what a module takes for its width.")
    activation: Annotated[str, _OneOf(HIDDEN_ACTIVATIONS)]
    init_gain: float = Field(default=1.0, gt=0.0, le=100.0, description="Factor on the initial weights.")
    families: list[Annotated[str, _OneOf(tuple(FAMILIES))]] = Field(
        default=[], max_length=64, description="Problem families that it is for; all where none is named."
    )
    layers: list[Annotated[str, Field(pattern=_LAYER)]] = Field(
        default=[],
        max_length=16,
        description="Hidden layers of dense one by one, as '50 relu'; depth and width are their number and the widest.",
    )

    @property
    def is_foreign(self) -> bool:
        """Whether it is somebody else's code."""
        return ":" in self.module

    def suits(self, family: str) -> bool:
        """Whether it is for a problem family."""
        return not self.families or family in self.families

    def to_network(self, n_inputs: int, n_outputs: int) -> Network | ModuleNetwork:
        """The network of the contract."""
        shape = (n_inputs, n_outputs, self.depth, self.width, self.activation, self.init_gain)
        return Network(*shape) if self.module == MLP else ModuleNetwork(self.module, *shape, tuple(self.layers))


class Setting(_Strict):
    """Optimiser, batch size, epochs and the range of rates in which the sweep starts."""

    name: Name
    optimizer: Annotated[str, _OneOf(OPTIMIZERS)]
    batch_size: int = Field(ge=1, le=1024)
    epochs: int = Field(ge=1, le=10_000)
    bad_batches: int = Field(default=0, ge=0, le=64, description="Mini-batches that hold one example again and again.")
    lowest_rate: Rate
    highest_rate: Rate
    certain_rate: Rate | None = Field(
        default=None, description="A rate that every sweep tries; without it the grid lies at random."
    )
    momentum: Share = 0.9
    beta1: Share = 0.9
    beta2: Share = 0.999
    alpha: Share = 0.99
    epsilon: float = Field(default=1e-8, gt=0.0, le=1.0)
    weight_decay: float = Field(default=0.01, ge=0.0, le=1.0)

    def to_optimizer(self) -> Optimizer:
        """The optimiser of the contract."""
        names = ("momentum", "beta1", "beta2", "alpha", "epsilon", "weight_decay")
        return Optimizer(self.optimizer, **{name: getattr(self, name) for name in names})


class ScheduleSpec(_Strict):
    """A schedule's shape and its parameters."""

    name: Name
    shape: Annotated[str, _OneOf(tuple(SHAPES))]
    decay: float = Field(default=1.0, ge=1.0, le=1e6, description="Peak rate over the rate at the end of the decay.")
    warmup: float = Field(default=0.0, ge=0.0, le=0.5, description="Share of training spent in linear warm-up.")
    until: float = Field(default=1.0, gt=0.0, le=1.0, description="Share of the rest at which the decay stops.")
    cycles: float = Field(default=1.0, ge=1.0, le=100.0, description="Cycles in the whole training; of cyclic shapes.")

    def over(self, n_steps: int) -> Float:
        """The shape over the updates of one training, (n_steps,) float64 in (0, 1]."""
        return schedule_shape(self.shape, n_steps, self.decay, self.warmup, self.until, self.cycles)


class OutputSpec(_Strict):
    """An output activation with its loss, for the tasks that it is tried on beside the output that fits."""

    name: Name
    activation: Annotated[str, _OneOf(OUTPUT_ACTIVATIONS)]
    loss: Annotated[str, _OneOf(LOSSES)]
    tasks: Annotated[list[Annotated[str, _OneOf(TASKS)]], Field(min_length=1)]


class MixEntry(_Strict):
    """A phenomenon: which networks, settings, schedules and outputs its groups are drawn from."""

    phenomenon: Name
    weight: float = Field(
        default=1.0, gt=0.0, le=1e6, description="Share of the groups, relative to the other entries."
    )
    networks: Names
    settings: Names
    schedules: Names
    outputs: list[Name] = Field(default=[], max_length=64, description="Tried beside the output that fits the targets.")
    schedules_per_group: int = Field(ge=1, le=64)
    outputs_per_group: int = Field(default=0, ge=0, le=64, description="How many of `outputs` a group tries.")
    families: list[Annotated[str, _OneOf(tuple(FAMILIES))]] = Field(
        default=[], max_length=64, description="Problem families that this happens on; empty: all."
    )
    fine_tuning: bool = Field(default=False, description="Networks come trained on a related problem.")
    input_scale: Annotated[list[Annotated[float, Field(ge=1e-3, le=1e3)]], Field(min_length=2, max_length=2)] = Field(
        default=[1.0, 1.0], description="Units of the inputs: a group's factor lies between these, on a log scale."
    )


class Sweep(_Strict):
    """Base rates and paired seeds of every cell."""

    seeds: int = Field(ge=2, le=MAX_SEEDS, description="Paired seeds; labels want at least 4.")
    points_per_decade: int = Field(default=6, ge=1, le=24)
    coarse_every: int = Field(default=3, ge=1, le=24, description="The coarse pass tries every so many grid points.")
    max_extensions: int = Field(default=4, ge=0, le=24, description="Coarse points that may be added at each end.")


class Remedies(_Strict):
    """Which remedies are tried."""

    resume_factors: list[Annotated[float, Field(gt=0.0, le=1e4)]] = Field(
        default=[0.01, 0.1, 10.0, 100.0], max_length=16
    )
    resume_at: list[Annotated[float, Field(gt=0.0, lt=1.0)]] = Field(default=[0.5, 0.75, 0.9], max_length=16)
    train_longer_seeds: int = Field(default=0, ge=0, le=64, description="Seeds that are also trained twice as long.")
    cost_weight: Share = Field(default=0.02, description="Net gain = gain - this x extra training.")


class LabelRules(_Strict):
    """Thresholds of the label by intervention."""

    material_gain: float = Field(default=0.1, gt=0.0, lt=1.0)
    confidence: Annotated[float, _OneOf(CONFIDENCES)] = Field(default=0.9, description="Of the one-sided t-interval.")
    tie: float = Field(
        default=0.005, ge=0.0, lt=1.0, description="Differences below this share of the cap are no gain."
    )
    accept_share: float = Field(
        default=0.8, gt=0.0, le=1.0, description="Share of the best gain, in l, that is accepted."
    )
    largest_ratio: float = Field(default=100.0, gt=1.0, le=1e6, description="l is capped at the log of this.")


class Splits(_Strict):
    """What only the split test_ood holds."""

    ood_optimizers: list[Annotated[str, _OneOf(OPTIMIZERS)]] = []


class Recipe(_Strict):
    """Everything that a data set follows from."""

    format: Literal[1]
    name: Name
    version: int = Field(ge=1, le=10_000)
    description: str = Field("", max_length=2000)
    master_seed: int = Field(ge=0, lt=2**63)
    engine: Annotated[str, _OneOf(tuple(ENGINES))] = Field(default="fused", description="Trains the networks.")
    n_points: int = Field(default=128, ge=8, le=2048, description="Points of every curve.")
    groups_per_instance: int = Field(default=1, ge=1, le=1000)
    problems: Annotated[list[ProblemSet], Field(min_length=1, max_length=1000)]
    networks: Annotated[list[NetworkSpec], Field(min_length=1, max_length=1000)]
    settings: Annotated[list[Setting], Field(min_length=1, max_length=1000)]
    schedules: Annotated[list[ScheduleSpec], Field(min_length=1, max_length=1000)]
    outputs: list[OutputSpec] = Field(default=[], max_length=1000)
    mix: Annotated[list[MixEntry], Field(min_length=1, max_length=1000)]
    sweep: Sweep
    remedies: Remedies = Remedies()
    labels: LabelRules = LabelRules()
    splits: Splits = Splits()
    keep: dict[Annotated[str, _OneOf(LABELS)], Share] = Field(
        {}, description="Label -> share of its (cell, rate)s that is kept."
    )


@dataclass(frozen=True)
class RecipeFile:
    """A recipe with the text that it was read from; the text travels in the data set."""

    recipe: Recipe
    text: str

    @property
    def sha256(self) -> str:
        """Hash of the text, hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()


# ------------------------------------------------------------------------------------------- reading

_SHIPPED = (Path(__file__).parents[1] / "data_recipes", Path(__file__).parents[2] / "data_recipes")
"""Where recipes lie: inside an installed wheel, and beside the package in a checkout."""


def shipped_recipes() -> dict[str, Path]:
    """Name -> file of every recipe that comes with the package."""
    folder = next((folder for folder in _SHIPPED if folder.is_dir()), None)
    found = [] if folder is None else sorted(folder.glob("*.toml"), key=lambda path: path.stem)
    return {path.stem: path for path in found}


def is_shipped(recipe_file: RecipeFile) -> bool:
    """Whether a recipe is one that comes with the package, to the letter."""
    path = shipped_recipes().get(recipe_file.recipe.name)
    return path is not None and _text_of(path.read_bytes()) == recipe_file.text


def _text_of(content: bytes) -> str:
    """The text of a file; a data set stores it, and must be the same from a checkout with the line ends of Windows."""
    return content.decode("utf-8-sig").replace("\r\n", "\n")


def load_recipe(name_or_path: str | Path, *, trust: bool = False) -> RecipeFile:
    """Read a shipped recipe by its name, or any recipe by its path.

    Args:
        name_or_path: of the recipe.
        trust: accept networks that are foreign code.

    Raises:
        InputError: there is no such recipe, or it has faults; the message lists every fault with its place.
        UsageError: it names foreign code, which was not to be trusted.
    """
    shipped = shipped_recipes()
    path = shipped.get(str(name_or_path), Path(name_or_path))
    try:
        text = _text_of(read_plain_file(path, MAX_FILE_BYTES))
    except FileNotFoundError:
        hint = did_you_mean(str(name_or_path), shipped) or did_you_mean_file(path)
        raise InputError(
            f"There is no recipe {str(name_or_path)!r}: it is neither a file nor one of {', '.join(shipped)}.{hint}"
        ) from None
    except (OSError, ValueError) as error:  # not UTF-8, or a path with a NUL character
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"The recipe {str(path)!r} cannot be read: {reason}.") from None
    return parse_recipe(text, where=str(path), trust=trust)


def parse_recipe(text: str, where: str = "recipe", *, trust: bool = False) -> RecipeFile:
    """Check the text of a recipe.

    Whatever trains a recipe reads it first, and a recipe may come from anybody, a data set's author included. So
    foreign code is refused here, before anything can run it.

    Args:
        text: TOML.
        where: what to call it in messages.
        trust: accept networks that are foreign code.

    Raises:
        InputError: the text is not TOML or breaks the rules; the message lists every fault with its place.
        UsageError: it names foreign code, which was not to be trusted.
    """
    try:
        if (n_bytes := len(text.encode())) > MAX_ATTRIBUTE_BYTES:
            raise InputError(
                f"{where} has 1 fault:\n  the text has {n_bytes} bytes; it travels in the data set, where "
                f"{MAX_ATTRIBUTE_BYTES} fit."
            )
        raw = parse_toml(text)
    except (ValueError, RecursionError) as error:  # tomllib lets ValueErrors of overlong integers through
        raise InputError(f"{where} is not valid TOML: {error}.") from None
    faults = []
    try:
        recipe = Recipe.model_validate(raw)
    except ValidationError as error:
        faults = [_sentence(fault) for fault in error.errors()]
    faults += _faults_between_tables(raw)
    if faults:
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise InputError(f"{where} has {count}:\n" + "\n".join(f"  {fault}" for fault in faults))
    foreign = [network.module for network in recipe.networks if network.is_foreign]
    if foreign and not trust:
        raise UsageError(
            f"{where} names foreign code as a network ({', '.join(foreign)}), which runs with all your rights; pass "
            "--trust (in Python trust=True) if you trust its author."
        )
    return RecipeFile(recipe, text)


def with_engine(recipe_file: RecipeFile, engine: str) -> RecipeFile:
    """The recipe with another engine; its text says so, because the engine is part of what numbers follow from.

    Raises:
        InputError: there is no such engine, or the line that names it cannot be found.
    """
    return _with(recipe_file, "engine", engine)


def with_master_seed(recipe_file: RecipeFile, master_seed: int) -> RecipeFile:
    """The recipe with another master seed: other problems and networks of the same kinds.

    Raises:
        InputError: it is no such seed, or the line that names it cannot be found.
    """
    return _with(recipe_file, "master_seed", master_seed)


def _with(recipe_file: RecipeFile, key: str, value: str | int) -> RecipeFile:
    """The recipe with another value of a key that stands on a line of its own, outside all tables."""
    if getattr(recipe_file.recipe, key) == value:
        return recipe_file
    line, pattern = f"{key} = {json.dumps(value)}", rf"^[ \t]*[\"']?{key}[\"']?[ \t]*=.*$"
    text, n_lines = re.subn(pattern, lambda _: line, recipe_file.text, count=1, flags=re.MULTILINE)
    changed = parse_recipe(text if n_lines else f"{line}\n{text}", where=recipe_file.recipe.name, trust=True)
    if changed.recipe != recipe_file.recipe.model_copy(update={key: value}):
        raise InputError(f"The line that names `{key}` was not found in {recipe_file.recipe.name}; change it by hand.")
    return changed


def threshold_faults(thresholds: Mapping[str, object]) -> list[str]:
    """What a recipe would say against such a table [labels], each in a sentence with its place."""
    try:
        LabelRules.model_validate(thresholds)
    except ValidationError as error:
        return [_sentence(fault) for fault in error.errors()]
    return []


def recipe_json_schema() -> dict[str, Any]:
    """JSON Schema of a recipe, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Recipe.model_json_schema()}


def _sentence(fault: Any) -> str:
    place = ""
    for part in fault["loc"]:
        place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else str(part)
    match fault["type"]:
        case "extra_forbidden":
            return f"{place}: there is no such key."
        case "missing":
            return f"{place}: this key is missing."
        case _:
            return f"{place}: {fault['msg']}{_given(fault['input'])}."


def _given(value: object) -> str:
    if isinstance(value, (dict, list)):
        return ""
    try:
        return f" (given: {value!r:.60})"
    except ValueError:
        return " (given: an integer too long to print)"


# ---------------------------------------------------------------------------- faults between the tables

_REFERENCES = ("networks", "settings", "schedules", "outputs")

_CLASS_LOSSES = [loss for loss, objective in OBJECTIVE_OF_LOSS.items() if objective == "cross_entropy"]

MAX_GROUPS = 100_000
"""Groups of one data set; planning them takes half a minute."""

MAX_GRID_POINTS = 400
"""Rates that one sweep may reach; the list of remedies has two restarts for each, and travels in the data set."""

_LOWEST_RATE, _HIGHEST_RATE = 1e-30, 1e30
"""What a sweep may reach: single precision holds these rates, and what schedules and resumptions make of them."""


def _faults_between_tables(raw: Mapping[str, Any]) -> list[str]:
    """What no single table can know: names used but not defined, twice defined, splits that leak, endless work."""
    return [
        *_repeated_names(raw),
        *_dangling_references(raw),
        *_layers_otherwise(raw),
        *_families_without_network(raw),
        *_losses_without_classes(raw),
        *_leaks_between_splits(raw),
        *_entries_without_optimizer(raw),
        *_problems_without_phenomenon(raw),
        *_families_without_entry(raw),
        *_units_of_modules(raw),
        *_empty_ranges(raw),
        *_endless_sweeps(raw),
        *_too_many_groups(raw),
        *_moments_without_branch(raw),
        *_nothing_kept(raw),
    ]


def _tables(raw: Mapping[str, Any], key: str) -> list[tuple[int, Mapping[str, Any]]]:
    """The well-formed tables of an array, with their places."""
    tables = raw.get(key)
    return [(i, t) for i, t in enumerate(tables) if isinstance(t, Mapping)] if isinstance(tables, list) else []


def _values(table: object, key: str) -> list[Any]:
    """The list that stands there; empty where none does."""
    values = table.get(key) if isinstance(table, Mapping) else None
    return values if isinstance(values, list) else []


def _is_integer(value: object, low: int, high: int) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str)


def _is_rate(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and 0.0 < value <= 1e6


def _repeated_names(raw: Mapping[str, Any]) -> Iterator[str]:
    for key, name_key in (*((key, "name") for key in _REFERENCES), ("mix", "phenomenon")):
        names = [(i, table.get(name_key)) for i, table in _tables(raw, key)]
        for position, (i, name) in enumerate(names):
            if isinstance(name, str) and name in [earlier for _, earlier in names[:position]]:
                yield f"{key}[{i}].{name_key}: {name!r} is defined twice."
    for i, entry in _tables(raw, "mix"):
        for key in (*_REFERENCES, "families"):
            yield from _repeated_values(f"mix[{i}].{key}", _values(entry, key))
    for key in ("resume_factors", "resume_at"):
        yield from _repeated_values(f"remedies.{key}", _values(raw.get("remedies"), key))


def _repeated_values(place: str, values: list[Any]) -> Iterator[str]:
    for i, value in enumerate(values):
        if isinstance(value, (str, float, int)) and value in values[:i]:
            yield f"{place}[{i}]: this value stands there twice{_given(value)}."


def _dangling_references(raw: Mapping[str, Any]) -> Iterator[str]:
    for i, entry in _tables(raw, "mix"):
        for key in _REFERENCES:
            known = [table.get("name") for _, table in _tables(raw, key)]
            for name in _values(entry, key):
                if isinstance(name, str) and name not in known:
                    yield f"mix[{i}].{key}: {name!r} is not defined in [[{key}]]."
        for count, key in (("schedules_per_group", "schedules"), ("outputs_per_group", "outputs")):
            n_used, wanted = len(_values(entry, key)), entry.get(count, 0)
            if _is_integer(wanted, n_used + 1, 64):
                yield f"mix[{i}].{count}: {wanted} asked for, but `{key}` names only {n_used}."


def _layers_otherwise(raw: Mapping[str, Any]) -> Iterator[str]:
    """The columns `depth` and `width` say what a network is like, and may not say otherwise than its layers."""
    for i, table in _tables(raw, "networks"):
        module, depth = table.get("module", MLP), table.get("depth")
        layers = [layer for layer in _values(table, "layers") if isinstance(layer, str) and re.match(_LAYER, layer)]
        if layers and module != DENSE:
            yield f"networks[{i}].layers: only {DENSE} has layers that are stated one by one, not {module!r}."
        elif layers:
            widest = max(int(layer.split()[0]) for layer in layers)
            if (depth, table.get("width")) != (len(layers), widest):
                yield f"networks[{i}].layers: with these, depth must be {len(layers)} and width {widest}."
        elif depth == 0 and module != DENSE:
            yield f"networks[{i}].depth: 0 is for {DENSE} only; {module!r} needs at least 1."


def _families_without_network(raw: Mapping[str, Any]) -> Iterator[str]:
    """Any group may be of any entry of the mix."""
    suited = {t["name"]: _values(t, "families") for _, t in _tables(raw, "networks") if isinstance(t.get("name"), str)}
    families = dict.fromkeys(t["family"] for _, t in _tables(raw, "problems") if isinstance(t.get("family"), str))
    for i, entry in _tables(raw, "mix"):
        known = [suited[name] for name in _values(entry, "networks") if isinstance(name, str) and name in suited]
        for family in families:
            if known and all(suits and family not in suits for suits in known):
                yield f"mix[{i}].networks: none of these is for problems of the family {family!r}."


def _losses_without_classes(raw: Mapping[str, Any]) -> Iterator[str]:
    for i, table in _tables(raw, "outputs"):
        is_for_classes = table.get("loss") in _CLASS_LOSSES
        if is_for_classes and "regression" in _values(table, "tasks"):
            yield f"outputs[{i}].tasks: a regression has no classes, which the loss {table['loss']!r} needs."


def _leaks_between_splits(raw: Mapping[str, Any]) -> Iterator[str]:
    sets = [
        (i, table, table["family"], table["split"])
        for i, table in _tables(raw, "problems")
        if isinstance(table.get("family"), str) and isinstance(table.get("split"), str)
    ]
    held_out = {family for _, _, family, split in sets if split == "test_ood"}
    for i, _, family, split in sets:
        if split != "test_ood" and family in held_out:
            yield f"problems[{i}].family: {family!r} is held out for test_ood; no other split may hold it."
    taken: list[tuple[str, int, int]] = []
    for i, table, family, _ in sets:
        first, count = table.get("first", 0), table.get("instances")
        if not (_is_integer(first, 0, 1_000_000) and _is_integer(count, 1, 100_000)):
            continue
        end = first + count
        if any(name == family and first < other_end and other < end for name, other, other_end in taken):
            yield f"problems[{i}]: instances of {family!r} overlap those of an earlier table; set `first`."
        taken.append((family, first, end))


def _entries_without_optimizer(raw: Mapping[str, Any]) -> Iterator[str]:
    held_out = _values(raw.get("splits"), "ood_optimizers")
    optimizer = {t["name"]: t.get("optimizer") for _, t in _tables(raw, "settings") if isinstance(t.get("name"), str)}
    for i, entry in _tables(raw, "mix"):
        known = [optimizer[name] for name in _values(entry, "settings") if isinstance(name, str) and name in optimizer]
        if known and all(name in held_out for name in known):
            yield f"mix[{i}].settings: every optimiser here is held out for test_ood; name one that train may use."


def _problems_without_phenomenon(raw: Mapping[str, Any]) -> Iterator[str]:
    entries = {e["phenomenon"]: _values(e, "families") for _, e in _tables(raw, "mix") if _is_text(e.get("phenomenon"))}
    for i, table in _tables(raw, "problems"):
        name, family = table.get("phenomenon"), table.get("family")
        if not _is_text(name):
            continue
        if name not in entries:
            yield f"problems[{i}].phenomenon: {name!r} is not defined in [[mix]]."
        elif entries[name] and family not in entries[name]:
            yield f"problems[{i}].phenomenon: {name!r} is not for problems of the family {family!r}."


def _families_without_entry(raw: Mapping[str, Any]) -> Iterator[str]:
    entries = [_values(entry, "families") for _, entry in _tables(raw, "mix")]
    if not entries or not all(entries):
        return
    known = [family for families in entries for family in families]
    for i, table in _tables(raw, "problems"):
        if table.get("family") not in known:
            yield f"problems[{i}].family: no entry of [[mix]] is for {table.get('family')!r}; name it in `families`."


def _units_of_modules(raw: Mapping[str, Any]) -> Iterator[str]:
    modules = [table.get("name") for _, table in _tables(raw, "networks") if table.get("module", MLP) != MLP]
    for i, entry in _tables(raw, "mix"):
        named = [name for name in _values(entry, "networks") if isinstance(name, str) and name in modules]
        if named and any(scale != 1.0 for scale in _values(entry, "input_scale")):
            yield f"mix[{i}].input_scale: the first weights of {named[0]!r} are its own; only an {MLP} has other units."


def _empty_ranges(raw: Mapping[str, Any]) -> Iterator[str]:
    for i, entry in _tables(raw, "mix"):
        ends = _values(entry, "input_scale")
        if len(ends) == 2 and all(_is_rate(end) for end in ends) and ends[0] > ends[1]:
            yield f"mix[{i}].input_scale: the lower end {ends[0]} is above the upper one {ends[1]}."
    for i, table in _tables(raw, "settings"):
        low, high = table.get("lowest_rate"), table.get("highest_rate")
        if _is_rate(low) and _is_rate(high) and low >= high:
            yield f"settings[{i}].lowest_rate: {low} is not below highest_rate {high}."
        rate = table.get("certain_rate")
        if _is_rate(low) and _is_rate(high) and _is_rate(rate) and low < high and not low <= rate <= high:
            yield f"settings[{i}].certain_rate: {rate} is not between {low} and {high}."


def _endless_sweeps(raw: Mapping[str, Any]) -> Iterator[str]:
    names = ("points_per_decade", "coarse_every", "max_extensions")
    given = raw.get("sweep")
    table = given if isinstance(given, Mapping) else {}
    density, step, extensions = (table.get(name, Sweep.model_fields[name].default) for name in names)
    if not (_is_integer(density, 1, 24) and _is_integer(step, 1, 24) and _is_integer(extensions, 0, 24)):
        return
    for i, setting in _tables(raw, "settings"):
        low, high = setting.get("lowest_rate"), setting.get("highest_rate")
        if not (_is_rate(low) and _is_rate(high) and low < high):
            continue
        lowest, highest = (float(log10(rate)) for rate in (low, high))
        reach = extensions * step / density
        n_points = round((highest - lowest + 2 * reach) * density) + 1
        if n_points > MAX_GRID_POINTS:
            yield f"sweep: for settings[{i}] it may reach {n_points} grid points; allowed are {MAX_GRID_POINTS}."
        if lowest - reach < log10(_LOWEST_RATE) or highest + reach > log10(_HIGHEST_RATE):
            yield f"sweep: for settings[{i}] it may leave the rates from {_LOWEST_RATE} to {_HIGHEST_RATE}."


def _too_many_groups(raw: Mapping[str, Any]) -> Iterator[str]:
    counts = [table.get("instances") for _, table in _tables(raw, "problems")]
    per_instance = raw.get("groups_per_instance", 1)
    if not _is_integer(per_instance, 1, 1000):
        return
    n_groups = per_instance * sum(count for count in counts if _is_integer(count, 1, 100_000))
    if n_groups > MAX_GROUPS:
        yield f"problems: {n_groups:,} groups are asked for; a data set has at most {MAX_GROUPS:,}."


def _moments_without_branch(raw: Mapping[str, Any]) -> Iterator[str]:
    """For the first size of problems that shows it; real data sets that are smaller are found when they are read."""
    given = raw.get("remedies")
    table = {"resume_at": Remedies().resume_at, **(given if isinstance(given, Mapping) else {})}
    moments = [at for at in _values(table, "resume_at") if isinstance(at, (int, float)) and 0.0 < at < 1.0]
    n_points = raw.get("n_points", Recipe.model_fields["n_points"].default)
    if not _is_integer(n_points, 8, 2048):
        return
    settings_of = {
        e["phenomenon"]: _values(e, "settings") for _, e in _tables(raw, "mix") if _is_text(e.get("phenomenon"))
    }
    usual = ProblemSet.model_fields["n_train"].default
    for i, setting in _tables(raw, "settings"):
        batch_size, epochs = setting.get("batch_size"), setting.get("epochs")
        if not (_is_integer(batch_size, 1, 1024) and _is_integer(epochs, 1, 10_000)):
            continue
        met = [
            table.get("n_train", usual)
            for _, table in _tables(raw, "problems")
            if not _is_text(name := table.get("phenomenon")) or setting.get("name") in settings_of.get(name, ())
        ]
        for n_train in sorted({size for size in met if _is_integer(size, 16, 4096)}):
            if fault := branch_fault(moments, count_updates(n_train, batch_size, epochs), n_points):
                yield f"remedies.resume_at: for settings[{i}] with n_train = {n_train}: {fault}"
                break


def _nothing_kept(raw: Mapping[str, Any]) -> Iterator[str]:
    keep = raw.get("keep")
    if isinstance(keep, Mapping) and all(keep.get(label) == 0 for label in LABELS):
        yield "keep: the share of every label is 0, so that no run would be left; raise one."
