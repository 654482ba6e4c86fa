"""Tools that are asked through their own command line: logs go out as files, a report comes back as JSON.

Whatever the program does, it can neither hang nor flood this process: it has a limit of time and of output, its errors
go nowhere, and it is ended together with all that it has started.
"""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar

from curvebench.diagnosers.tools.adapter import Columns, Tool, rows

LOGS_AT_ONCE = 100
"""Logs in the folder that a program is shown: starting it takes longer than reading one."""

SECONDS_TO_START, SECONDS_PER_POINT = 30.0, 0.002
"""A program may take this long, some hundred times what the known ones take."""

MOST_OUTPUT = 32 * 2**20
"""Bytes; a report on a hundred logs takes a thirtieth of it."""


class ProgramFailed(Exception):  # noqa: N818 - named like `CheckFailed`
    """A program ended badly, took too long or said too much."""


def output_of(
    command: Sequence[str],
    *,
    folder: Path,
    seconds: float,
    most_output: int = MOST_OUTPUT,
    fine_codes: Sequence[int] = (0,),
) -> bytes:
    """What a program writes to its standard output.

    Args:
        command: the program and its arguments.
        folder: where it runs.
        seconds: how long it may take.
        most_output: bytes that it may write.
        fine_codes: the exit codes of a program that did its work.

    Raises:
        ProgramFailed: it did none of this.
    """
    said: list[bytes] = []
    with subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONUTF8": "1"},
        start_new_session=True,
    ) as process:
        pipe = process.stdout
        assert pipe is not None
        reader = threading.Thread(target=lambda: said.append(pipe.read(most_output + 1)), daemon=True)
        reader.start()
        reader.join(seconds)
        is_late, is_flood = reader.is_alive(), bool(said) and len(said[0]) > most_output
        try:
            code = process.wait(0 if is_late or is_flood else seconds)
        except subprocess.TimeoutExpired:
            code = None
        _end(process)
        reader.join()
    if is_late or is_flood or code not in fine_codes:
        raise ProgramFailed(f"{command[0]} ended with {code}, late: {is_late}, too much output: {is_flood}.")
    return said[0]


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program, should it still run, and whatever it has started."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):  # all of them have ended
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()


class ProgramTool(Tool):
    """A tool whose own command line reads a folder of CSV logs.

    Attributes:
        COLUMN_NAMES: channel -> column of the CSV file.
        FINE_CODES: exit codes of a program that did its work.
    """

    COLUMN_NAMES: ClassVar[Mapping[str, str]]
    FINE_CODES: ClassVar[Sequence[int]] = (0,)

    def arguments(self, folder: Path) -> Sequence[str]:
        """The command line for a folder of logs, without the program."""
        raise NotImplementedError

    def read_report(self, report: Any) -> Mapping[str, Sequence[str]]:
        """Its report, parsed from JSON: path of a log -> findings, most severe first; logs without any may lack."""
        raise NotImplementedError

    def examine(self, run: Columns) -> Sequence[str]:
        """Findings about one run.

        Raises:
            ProgramFailed: the program fails on it.
        """
        return self._ask([run])[0]

    def examine_all(self, runs: Sequence[Columns]) -> Iterable[Sequence[str] | None]:
        """Findings about all runs, many to a call of the program; None where it fails on a run."""
        for begin in range(0, len(runs), LOGS_AT_ONCE):
            yield from self._examine_some(runs[begin : begin + LOGS_AT_ONCE])

    def _examine_some(self, runs: Sequence[Columns]) -> list[Sequence[str] | None]:
        try:
            return list(self._ask(runs))
        except (ProgramFailed, ValueError, KeyError, TypeError, OSError):  # it failed, or its report is none
            if len(runs) == 1:
                return [None]
            half = len(runs) // 2
            return [*self._examine_some(runs[:half]), *self._examine_some(runs[half:])]

    def _ask(self, runs: Sequence[Columns]) -> list[Sequence[str]]:
        n_points = sum(len(run["train_loss"]) for run in runs)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name).resolve()
            logs = [folder / f"run-{number}.csv" for number in range(len(runs))]
            for log, run in zip(logs, runs, strict=True):
                _write_csv(log, rows(run, self.COLUMN_NAMES))
            output = output_of(
                [*program(self.SOURCE.package), *self.arguments(folder)],
                folder=folder,
                seconds=SECONDS_TO_START + SECONDS_PER_POINT * n_points,
                fine_codes=self.FINE_CODES,
            )
            found = self.read_report(json.loads(output))
        return [found.get(str(log), ()) for log in logs]


def program(package: str) -> list[str]:
    """The command of a package, run by this Python, whether or not its script is on the path."""
    (entry,) = metadata.distribution(package).entry_points.select(group="console_scripts", name=package)
    return [sys.executable, "-c", f"import sys; from {entry.module} import {entry.attr} as main; sys.exit(main())"]


def _write_csv(path: Path, logged: Sequence[Mapping[str, float]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, logged[0].keys())
        writer.writeheader()
        writer.writerows(logged)
