"""A folder: which of its files belong to one run, and reading them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from curvebench.logs import mlflow, tensorboard, trainer_state
from curvebench.logs.content import Content, open_content, read_content, read_tracked
from curvebench.logs.files import decode, walk
from curvebench.logs.json_text import parse
from curvebench.logs.limits import MAX_BYTES, MAX_FOLDER_BYTES
from curvebench.logs.names import WORDS, words_of
from curvebench.logs.numbers import count_of
from curvebench.logs.run import Budget, Run, RunBuilder
from curvebench.spec import InputError

Place = tuple[str, ...]
"""Names of the folders that lead to a file or a run, from the given folder on."""

_CHECKPOINT = re.compile(r"checkpoint-\d+")


@dataclass
class _Found:
    """What was found so far.

    Attributes:
        budget: numbers that may still be kept.
        runs: of files that are runs by themselves.
        events: runs of TensorBoard by their folder.
        metrics: points of MLflow by the folder of their run.
        metric_notes: about them.
        states: states of the Hugging Face Trainer by the folder of their run.
        printed: files that look like texts for people.
    """

    budget: Budget = field(default_factory=Budget)
    runs: list[Run] = field(default_factory=list)
    events: dict[Place, RunBuilder] = field(default_factory=dict)
    metrics: dict[Place, list[mlflow.Point]] = field(default_factory=dict)
    metric_notes: dict[Place, list[str]] = field(default_factory=dict)
    states: dict[Place, list[object]] = field(default_factory=dict)
    printed: list[Path] = field(default_factory=list)


def read_folder(folder: Path) -> tuple[list[Run], list[str]]:
    """The runs in a folder and notes. Printed texts are read only if there is nothing else.

    Raises:
        InputError: there is no log in it.
    """
    paths, notes = walk(folder)
    parts_of = {path: path.relative_to(folder).parts for path in paths}
    found = _Found()
    n_left = MAX_FOLDER_BYTES
    event_folders = {parts[:-1] for path, parts in parts_of.items() if _is_event_file(path)}
    run_of = group_event_folders(event_folders)
    for path, parts in parts_of.items():
        if n_left <= 0:
            notes.append(f"Only the first {MAX_FOLDER_BYTES:,} bytes of the folder were read.")
            break
        try:
            content = open_content(path, "/".join(parts), min(MAX_BYTES, n_left))
            n_left -= len(content.data)
            _sort_in(content, (folder.absolute().name, *parts), parts, run_of, found)
        except InputError:
            continue  # a folder holds other things than logs
    runs = [*found.runs, *_of_groups(found, folder)]
    for path in [] if runs else found.printed:
        try:
            runs += read_content(open_content(path, "/".join(parts_of[path])), found.budget)
        except InputError:
            continue
    if not runs:
        raise InputError(f"There is no log in this folder, which has {count_of(len(paths), 'file')}.")
    return runs, notes


def _is_event_file(path: Path) -> bool:
    try:
        return tensorboard.recognises(open_content(path, "", 64).data)
    except InputError:
        return False


def group_event_folders(folders: Collection[Place]) -> Mapping[Place, tuple[Place, str]]:
    """For every folder of event files the run that it belongs to, and what its tags are prefixed with.

    Keras writes `train` and `validation` beside each other, `add_scalars` writes `Loss_train` and `Loss_val`,
    TensorFlow's estimators write `eval` below the run.

    >>> dict(group_event_folders([("a", "train"), ("a", "validation")]))
    {('a', 'train'): (('a',), 'train/'), ('a', 'validation'): (('a',), 'validation/')}
    >>> dict(group_event_folders([("train_resnet",), ("train_vgg",)]))
    {('train_resnet',): (('train_resnet',), ''), ('train_vgg',): (('train_vgg',), '')}
    """
    sides = WORDS["train"] | WORDS["validation"]
    beside: dict[tuple[Place, frozenset[str]], set[str]] = {}
    for folder in folders:
        words = set(words_of(folder[-1])) if folder else set()
        if words & sides:
            beside.setdefault((folder[:-1], frozenset(words - sides)), set()).update(words & sides)
    run_of: dict[Place, tuple[Place, str]] = {}
    for folder in folders:
        words = set(words_of(folder[-1])) if folder else set()
        seen = beside.get((folder[:-1], frozenset(words - sides)), set()) if words & sides else set()
        is_pair = bool(seen & WORDS["train"]) and bool(seen & WORDS["validation"])
        is_below = bool(words & WORDS["validation"]) and folder[:-1] in folders
        run_of[folder] = (folder[:-1], f"{folder[-1]}/") if is_pair or is_below else (folder, "")
    return run_of


def _sort_in(
    content: Content, named: Place, parts: Place, run_of: Mapping[Place, tuple[Place, str]], found: _Found
) -> None:
    """Put a file where it belongs.

    Raises:
        InputError: it is no log.
    """
    if tensorboard.recognises(content.data):
        run, prefix = run_of[parts[:-1]]
        if run not in found.events:
            found.events[run] = RunBuilder("/".join(run), tensorboard.SOURCE, found.budget, notes=content.notes)
        elif prefix:
            found.events[run].begin_block()
        tensorboard.add_events(found.events[run], content.data, prefix)
        return
    place = mlflow.metric_place(named)
    if place and mlflow.is_metric(string := decode(content.data, content.notes)):
        run, metric = place
        notes = found.metric_notes.setdefault(run, [])
        found.metrics.setdefault(run, []).extend(mlflow.parse_metric(string, metric, notes))
        return
    if parts[-1].endswith(".json") and (state := _state_of(content)) is not None:
        place_of_run = parts[:-2] if len(parts) > 1 and _CHECKPOINT.fullmatch(parts[-2]) else parts[:-1]
        found.states.setdefault(place_of_run, []).append(state)
        return
    runs = read_tracked(content, found.budget)
    if runs is None:
        found.printed.append(content.path)
    else:
        found.runs += [replace(run, notes=(*content.notes, *run.notes)) for run in runs]


def _state_of(content: Content) -> object | None:
    """The state of a Hugging Face Trainer in a file; None if it holds none."""
    if b'"log_history"' not in content.data:
        return None
    try:
        document = parse(decode(content.data, []))
    except ValueError:
        return None
    return document if trainer_state.recognises(document) else None


def _of_groups(found: _Found, folder: Path) -> list[Run]:
    """The runs whose files were put together."""
    runs = [builder.build() for builder in found.events.values() if builder.n_rows]
    for place, points in found.metrics.items():
        builder = mlflow.build(
            points, _mlflow_name(place, folder), mlflow.FOLDER, found.budget, found.metric_notes[place]
        )
        runs.append(builder.build())
    for place, states in found.states.items():
        last = max(states, key=trainer_state.global_step)
        try:
            builder = trainer_state.read(last, "/".join(place), found.budget)
        except InputError:
            continue
        if len(states) > 1:
            builder.notes.append(
                f"Several states ({len(states):,}) hold the log of this run; the one that had come furthest was read."
            )
        runs.append(builder.build())
    return runs


def _mlflow_name(place: Place, folder: Path) -> str:
    """A run's name: the tag that MLflow keeps it in, else its folder."""
    tag = folder.joinpath(*place[1:], "tags", "mlflow.runName")
    try:
        if not tag.is_symlink() and not tag.parent.is_symlink():
            return decode(open_content(tag, "", 400).data, []).strip() or "/".join(place)
    except (InputError, OSError):
        pass
    return "/".join(place)
