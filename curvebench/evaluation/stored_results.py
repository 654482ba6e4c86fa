"""Results in a folder.

A result is made once and then stays as it is. Where one lies already that was made of the same content by the same
diagnoser (equal hashes), nothing is done. Where another lies under the same name, from other content or by another
diagnoser or unreadable, it is refused, unless the caller says that it is to be replaced.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from curvebench.data.dataset import Dataset
from curvebench.data.plain_files import read_plain_file
from curvebench.data.shipped import locate
from curvebench.data.store import load, publish
from curvebench.diagnosers import DIAGNOSERS
from curvebench.diagnosers.identity import Identity, Statement
from curvebench.evaluation.json_reading import parse
from curvebench.evaluation.predictions import MAX_BYTES
from curvebench.evaluation.report import MAX_JSON_BYTES, DataSetName, Report, json_bytes, read_report, slug
from curvebench.evaluation.reporting import IN_THIS_PROCESS, ask_who, checked_identity, make_report, make_rerun
from curvebench.spec import CheckFailed, InputError, UsageError

RESULTS = Path("leaderboard/results")
"""Where results lie unless another folder is named."""


def evaluate_and_store(
    file: Path, folder: Path, how: Mapping[str, Any], said: Mapping[str, Statement], name: str
) -> Path:
    """Make the report of one diagnoser and write it, over an old one if there is one; what a process works on.

    Args:
        file: of the data set.
        folder: of results.
        how: where the diagnoser runs: arguments of `curvebench.evaluation.evaluate.examine`.
        said: what diagnosers say of themselves, where it is known already.
        name: of the diagnoser, as `pending` returns it.

    Returns:
        Path of the JSON.
    """
    return store_report(make_report(load_once(file), name, how, said.get(name)), folder, overwrite=True)


def rerun_and_store(file: Path, master_seed: int, how: Mapping[str, Any], path: Path) -> Path:
    """Evaluate the diagnoser of a stored result on another data set of its recipe, and store what came of it beside.

    Args:
        file: of that data set.
        master_seed: of its recipe.
        how: where the diagnoser runs.
        path: of the result's JSON.

    Returns:
        That path.
    """
    report = load_report(path)
    rerun = make_rerun(load_once(file), report.diagnoser.name, master_seed, how)
    folder = path.resolve().parent.parent
    return store_report(replace(report, rerun=rerun), folder, overwrite=True)


def load_once(file: Path) -> Dataset:
    """A data set, read from its file once in each process."""
    file = locate(file)
    return _load(file.resolve(), file.stat().st_mtime_ns if os.path.exists(file) else 0)


@lru_cache(maxsize=2)
def _load(file: Path, modified: int) -> Dataset:
    return load(file)


def awaiting_rerun(
    data_set: DataSetName,
    folder: Path,
    master_seed: int,
    *,
    names: Sequence[str] | None = None,
    may_replace: bool = False,
    how: Mapping[str, Any] = IN_THIS_PROCESS,
) -> tuple[list[Path], list[str]]:
    """Which stored results have not been repeated with a master seed.

    Args:
        data_set: that the results are about.
        folder: of results.
        master_seed: of the data set that they are to be repeated on.
        names: of the diagnosers to be repeated; None for those of the registry, so that nothing is run only because a
            file that somebody sent names it.
        may_replace: whether one that was repeated with another seed is to be repeated with this one.
        how: where diagnosers run.

    Returns:
        Paths of their JSON; and for those that cannot be repeated a sentence with the reason.

    Raises:
        InputError: there are no results about the data set.
        UsageError: there is none of one of the diagnosers, or some were repeated with another seed, and are not to be
            replaced.
    """
    paths, obstacles, conflicts = [], [], []
    reports = {path: load_report(path) for path in results_in(folder / data_set.folder)}
    if absent := set(names or ()) - {report.diagnoser.name for report in reports.values()}:
        raise UsageError(f"There is no result of {', '.join(sorted(absent))} in {folder / data_set.folder}.")
    for path, report in reports.items():
        name, rerun = report.diagnoser.name, report.rerun
        if names is not None and name not in names:
            continue
        if names is None and name not in DIAGNOSERS:
            obstacles.append(f"{name} is not repeated: it does not come with the package; name it with --diagnoser.")
            continue
        try:
            obstacle = _conflict(path, data_set, checked_identity(name, ask_who(name, how)))
        except (UsageError, CheckFailed) as error:
            obstacle = str(error).rstrip(".")
        if obstacle:
            obstacles.append(f"{name} is not repeated: {obstacle}.")
        elif rerun is None or rerun.master_seed != master_seed:
            if rerun is not None and not may_replace:
                conflicts.append(f"{name} (seed {rerun.master_seed})")
            paths.append(path)
    if conflicts:
        raise UsageError(f"These were repeated with another seed: {', '.join(conflicts)}; --replace does it anew.")
    return paths, obstacles


def result_path(folder: Path, data_set: DataSetName, name: str) -> Path:
    """Where the JSON of a result lies."""
    return folder / data_set.folder / f"{slug(name)}.json"


def store_report(report: Report, folder: Path, *, overwrite: bool = False) -> Path:
    """Write the two files of a report.

    Returns:
        Path of the JSON.

    Raises:
        UsageError: they cannot be written, or exist and are not to be replaced.
    """
    path = result_path(folder, report.data_set, report.diagnoser.name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"The folder {path.parent} cannot be made: {error.strerror}.") from None
    predictions = report.predictions()
    publish(predictions, _predictions_path(path), overwrite=overwrite)
    publish(json_bytes(report.to_json(predictions)), path, overwrite=overwrite)
    return path


def load_report(path: Path) -> Report:
    """Read the two files of a report, for which nobody vouches.

    Raises:
        InputError: they are not what the format asks for, or lie where others belong.
    """
    predictions = _predictions_path(path)
    report = read_report(
        _bytes_of(path, MAX_JSON_BYTES), _bytes_of(predictions, MAX_BYTES) if predictions.exists() else None, str(path)
    )
    if path.name != f"{slug(report.diagnoser.name)}.json":
        raise InputError(f"{path} is the result of {report.diagnoser.name!r}, whose file has another name.")
    return report


def _predictions_path(path: Path) -> Path:
    return path.with_name(f"{path.stem}.predictions.npz")


def _bytes_of(path: Path, at_most: int) -> bytes:
    try:
        return read_plain_file(path, at_most)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None


def results_in(folder: Path) -> list[Path]:
    """The JSON files of all results in a folder, or in the folders of data sets in it.

    Raises:
        InputError: there are none.
    """
    found = sorted([*folder.glob("*.json"), *folder.glob("*/*.json")])
    if not found:
        raise InputError(f"There are no results in {folder}; `curvebench leaderboard run FILE` makes them.")
    return found


def pending(
    data_set: DataSetName,
    names: Sequence[str],
    folder: Path,
    *,
    may_replace: bool = False,
    said: Mapping[str, Statement] = MappingProxyType({}),
) -> list[str]:
    """Which diagnosers have no result yet.

    Args:
        data_set: that they are to be evaluated on.
        names: of diagnosers.
        folder: of results.
        may_replace: whether a result that was made of other content or by another diagnoser is to be made anew.
        said: what diagnosers say of themselves; who is not in it is made here.

    Raises:
        UsageError: there is no such diagnoser, two have the same file name, or a result lies there that is not to be
            replaced; all of these are named. Or there are results about other content of that name and version that
            would stay beside the new ones.
    """
    files: dict[str, str] = {}
    missing, conflicts = [], []
    for name in names:
        other = files.setdefault(slug(name), name)
        if other != name:
            raise UsageError(f"The results of {other!r} and {name!r} would have the same file name; rename one.")
        path = result_path(folder, data_set, name)
        who = checked_identity(name, said.get(name))
        reason = _conflict(path, data_set, who) if path.exists() else None
        if reason == "":
            continue
        if reason is not None and not may_replace:
            conflicts.append(reason)
        missing.append(name)
    if conflicts:
        raise UsageError(
            "Old results are not edited, and these differ from what would be made now: "
            f"{'; '.join(conflicts)}. Write to another folder, or use --replace to make these anew."
        )
    if missing and (strangers := _about_other_content(folder, data_set, set(files))):
        raise UsageError(
            f"{strangers[0]} is about other content than this data set, whose name and version are the same, "
            f"{data_set.folder}: a part of it, or made otherwise. Results on both can't stand in one table; write to "
            "another folder, or name all of them with --replace."
        )
    return missing


def _about_other_content(folder: Path, data_set: DataSetName, slugs: Collection[str]) -> list[Path]:
    """Results in the folder of a data set that say that they are about another one, but for those of some slugs."""
    paths = [path for path in sorted((folder / data_set.folder).glob("*.json")) if path.stem not in slugs]
    return [path for path in paths if _content_of(path) not in ("", data_set.content_sha256)]


def _content_of(path: Path) -> str:
    """Content hash of the data set that a result says it is about; empty where it does not say."""
    try:
        head = parse(_bytes_of(path, MAX_JSON_BYTES), str(path)).map()
        return head["data_set"].map()["content_sha256"].sha256()
    except (InputError, KeyError):
        return ""


def _conflict(path: Path, data_set: DataSetName, who: Identity) -> str:
    """Why a stored result is not the one that would be made now; empty where it is."""
    try:
        report = load_report(path)
    except InputError as error:
        return str(error).rstrip(".")
    if report.diagnoser.name != who.name:
        return f"{path} is of another diagnoser, {report.diagnoser.name!r}"
    if report.data_set.content_sha256 != data_set.content_sha256:
        return f"{path} is about other content of {data_set.name} version {data_set.version}"
    if report.diagnoser.sha256 != who.sha256:
        return f"{path} was made by another version of {who.name}"
    return ""
