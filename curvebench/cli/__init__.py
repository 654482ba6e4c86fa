"""The command line: commands, no logic. Data on standard output, progress on standard error."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from curvebench import __version__
from curvebench.cli import (
    cases,
    completion,
    data_sets,
    diagnosers,
    diagnosis,
    interchange,
    investigations,
    leaderboard,
    logs,
)
from curvebench.cli.app import FIRST_STEPS, WHAT_NEXT, app
from curvebench.console import Column, say, show, show_table, show_text
from curvebench.spec import CurveBenchError

__all__ = [
    "cases",
    "completion",
    "data_sets",
    "diagnosers",
    "diagnosis",
    "interchange",
    "investigations",
    "leaderboard",
    "logs",
    "main",
]


def main() -> None:
    """Run the command line; an error becomes one sentence and its exit code, 4 for what nobody foresaw."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # it was closed, as `>&-` does
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")  # names of files are not always text
    try:
        app(prog_name="curvebench")
    except CurveBenchError as error:
        say(f"error: {error}")
        sys.exit(error.exit_code)
    except Exception as error:
        if os.environ.get("CURVEBENCH_DEBUG"):
            raise
        say(
            f"internal error: {type(error).__name__}: {error}. Please report it, with the traceback that "
            "CURVEBENCH_DEBUG=1 in the environment shows."
        )
        sys.exit(CurveBenchError.exit_code)


def _show_version(wanted: bool) -> None:
    if wanted:
        show(f"curvebench {__version__}")
        raise typer.Exit


def _show_completion(shell: str | None) -> None:
    if shell is not None:
        show(completion.script(shell))
        raise typer.Exit


def _install_completion(shell: str | None) -> None:
    if shell is not None:
        show(f"Completion is installed in {completion.install_script(shell)}; open a new shell to use it.")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
    install_completion: Annotated[
        str | None,
        typer.Option(
            metavar="[SHELL]",
            callback=_install_completion,
            is_eager=True,
            help=f"Have a shell complete commands and names on Tab: {', '.join(completion.SHELLS)}.",
            show_default="this shell",
            autocompletion=completion.shell,
        ),
    ] = None,
    show_completion: Annotated[
        str | None,
        typer.Option(
            metavar="[SHELL]",
            callback=_show_completion,
            is_eager=True,
            help="Print what such a shell would read, and install nothing.",
            show_default="this shell",
            autocompletion=completion.shell,
        ),
    ] = None,
) -> None:
    """Loss curves labelled by what would really have helped, and scores for methods that diagnose them."""
    if context.invoked_subcommand is None:
        show_text("Loss curves labelled by what would really have helped, and scores for methods that diagnose them.\n")
        for title, steps in (("What to do first:", FIRST_STEPS), ("And then:", WHAT_NEXT)):
            show(title)
            show_table([Column("command"), Column("what it does")], [*map(list, steps.items())], has_titles=False)
            show("")
