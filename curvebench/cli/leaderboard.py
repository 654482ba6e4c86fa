"""Commands of the leaderboard."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from curvebench.cli.app import Commands, Json, app, show_facts
from curvebench.console import show_json

leaderboard = typer.Typer(name="leaderboard", cls=Commands, help="Results that are kept, and the page made of them.")
app.add_typer(leaderboard)


@leaderboard.command()
def build(
    results: Annotated[Path, typer.Option(metavar="FOLDER", help="Stored results.")] = Path("leaderboard/results"),
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Existing folder to write to.")
    ] = Path("leaderboard"),
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Data set whose curves the page shows, with all verdicts.", show_default=False
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Render README.md and index.html from stored results, byte for byte the same from the same results.

    Both files are replaced. Without --data the page has no curves.

    Example: [bold]curvebench leaderboard build --data core.h5[/bold]
    """
    from curvebench.board.render import build as build_board

    board = build_board(results, output, data)
    facts = {
        "page": str(output / "index.html"),
        "readme": str(output / "README.md"),
        "results": board.n_results,
        "curves": board.n_curves,
    }
    if as_json:
        show_json(facts)
    else:
        show_facts(facts)
