"""Recipes: what a data set is made of, read strictly from TOML. A recipe is data; nothing here does any work."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import CoreSchema, core_schema

from curvebench.generation.problems import FAMILIES
from curvebench.generation.schedules import SHAPES
from curvebench.generation.t_quantiles import CONFIDENCES, MAX_SEEDS
from curvebench.spec import (
    HIDDEN_ACTIVATIONS,
    LABELS,
    LOSSES,
    OPTIMIZERS,
    OUTPUT_ACTIVATIONS,
    SPLITS,
    TASKS,
    InputError,
    Optimizer,
)

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$", description="Lower-case name, no path.")]
Names = Annotated[list[Name], Field(min_length=1, max_length=64)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Rate = Annotated[float, Field(gt=0.0, le=1e6)]


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


class NetworkSpec(_Strict):
    """A multi-layer perceptron."""

    name: Name
    depth: int = Field(ge=1, le=16, description="Hidden layers.")
    width: int = Field(ge=1, le=512, description="Units per hidden layer.")
    activation: Annotated[str, _OneOf(HIDDEN_ACTIVATIONS)]
    init_gain: float = Field(default=1.0, gt=0.0, le=100.0, description="Factor on the initial weights.")


class Setting(_Strict):
    """Optimiser, batch size, epochs and the range of rates in which the sweep starts."""

    name: Name
    optimizer: Annotated[str, _OneOf(OPTIMIZERS)]
    batch_size: int = Field(ge=1, le=1024)
    epochs: int = Field(ge=1, le=10_000)
    lowest_rate: Rate
    highest_rate: Rate
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
    """A schedule's shape and the factor by which the rate has fallen at the end."""

    name: Name
    shape: Annotated[str, _OneOf(tuple(SHAPES))]
    decay: float = Field(default=1.0, ge=1.0, le=1e6, description="Factor by which the rate has fallen at the end.")
    warmup: float = Field(default=0.0, ge=0.0, le=0.5, description="Share of training spent in linear warm-up.")


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
    engine: Literal["torch"]
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
    return {} if folder is None else {path.stem: path for path in sorted(folder.glob("*.toml"))}


def load_recipe(name_or_path: str | Path) -> RecipeFile:
    """Read a shipped recipe by its name, or any recipe by its path.

    Raises:
        InputError: there is no such recipe, or it has faults; the message lists every fault with its place.
    """
    shipped = shipped_recipes()
    path = shipped.get(str(name_or_path), Path(name_or_path))
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        near = get_close_matches(str(name_or_path), shipped, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise InputError(
            f"There is no recipe {str(name_or_path)!r}: it is neither a file nor one of {', '.join(shipped)}.{hint}"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The recipe {str(path)!r} cannot be read: {error}.") from None
    return parse_recipe(text, where=str(path))


def parse_recipe(text: str, where: str = "recipe") -> RecipeFile:
    """Check the text of a recipe.

    Raises:
        InputError: the text is not TOML or breaks the rules; the message lists every fault with its place.
    """
    try:
        raw = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
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
    return RecipeFile(recipe, text)


def recipe_json_schema() -> dict[str, Any]:
    """JSON Schema of a recipe, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Recipe.model_json_schema()}


def _sentence(fault: Any) -> str:
    place = ""
    for part in fault["loc"]:
        place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else str(part)
    given = fault["input"]
    shown = "" if isinstance(given, (dict, list)) or fault["type"] == "missing" else f" (given: {given!r:.60})"
    match fault["type"]:
        case "extra_forbidden":
            return f"{place}: there is no such key."
        case "missing":
            return f"{place}: this key is missing."
        case _:
            return f"{place}: {fault['msg']}{shown}."


# ---------------------------------------------------------------------------- faults between the tables

_REFERENCES = ("networks", "settings", "schedules", "outputs")


def _faults_between_tables(raw: Mapping[str, Any]) -> list[str]:
    """What no single table can know: names used but not defined, twice defined, splits that leak."""
    return [
        *_repeated_names(raw),
        *_dangling_references(raw),
        *_leaks_between_splits(raw),
        *_empty_ranges(raw),
    ]


def _tables(raw: Mapping[str, Any], key: str) -> list[tuple[int, Mapping[str, Any]]]:
    """The well-formed tables of an array, with their places."""
    tables = raw.get(key)
    return [(i, t) for i, t in enumerate(tables) if isinstance(t, Mapping)] if isinstance(tables, list) else []


def _repeated_names(raw: Mapping[str, Any]) -> Iterator[str]:
    for key in _REFERENCES:
        names = [table.get("name") for _, table in _tables(raw, key)]
        for i, name in enumerate(names):
            if isinstance(name, str) and name in names[:i]:
                yield f"{key}[{i}].name: {name!r} is defined twice."


def _dangling_references(raw: Mapping[str, Any]) -> Iterator[str]:
    for i, entry in _tables(raw, "mix"):
        for key in _REFERENCES:
            known = [table.get("name") for _, table in _tables(raw, key)]
            used = entry.get(key)
            for name in used if isinstance(used, list) else []:
                if name not in known:
                    yield f"mix[{i}].{key}: {name!r} is not defined in [[{key}]]."
        for count, key in (("schedules_per_group", "schedules"), ("outputs_per_group", "outputs")):
            used, wanted = entry.get(key, []), entry.get(count, 0)
            if isinstance(used, list) and isinstance(wanted, int) and wanted > len(used):
                yield f"mix[{i}].{count}: {wanted} asked for, but `{key}` names only {len(used)}."


def _leaks_between_splits(raw: Mapping[str, Any]) -> Iterator[str]:
    sets = [(i, t) for i, t in _tables(raw, "problems") if {"family", "split"} <= t.keys()]
    outside = {str(t["family"]) for _, t in sets if t["split"] == "test_ood"}
    for i, table in sets:
        if table["split"] != "test_ood" and str(table["family"]) in outside:
            yield f"problems[{i}].family: {table['family']!r} is held out for test_ood; no other split may hold it."
    taken: set[tuple[str, int]] = set()
    for i, table in sets:
        first, count = table.get("first", 0), table.get("instances", 0)
        if not (isinstance(first, int) and isinstance(count, int) and count <= 100_000):
            continue
        instances = {(str(table["family"]), n) for n in range(first, first + count)}
        if instances & taken:
            yield f"problems[{i}]: instances of {table['family']!r} overlap those of an earlier table; set `first`."
        taken |= instances
    yield from _entries_without_optimizer(raw)


def _entries_without_optimizer(raw: Mapping[str, Any]) -> Iterator[str]:
    splits = raw.get("splits")
    held_out = splits.get("ood_optimizers", []) if isinstance(splits, Mapping) else []
    optimizer = {table.get("name"): table.get("optimizer") for _, table in _tables(raw, "settings")}
    for i, entry in _tables(raw, "mix"):
        used = entry.get("settings")
        known = [optimizer[name] for name in used if name in optimizer] if isinstance(used, list) else []
        if known and isinstance(held_out, list) and all(name in held_out for name in known):
            yield f"mix[{i}].settings: every optimiser here is held out for test_ood; name one that train may use."


def _empty_ranges(raw: Mapping[str, Any]) -> Iterator[str]:
    for i, table in _tables(raw, "settings"):
        low, high = table.get("lowest_rate"), table.get("highest_rate")
        if isinstance(low, (int, float)) and isinstance(high, (int, float)) and not low < high:
            yield f"settings[{i}].lowest_rate: {low} is not below highest_rate {high}."
