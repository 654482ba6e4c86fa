"""The command that writes data sets for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from curvebench.cli import completion
from curvebench.cli.app import DataFile, Force, Json, Quiet, app, show_facts
from curvebench.console import progress_bar, show_json


@app.command()
def export(
    file: DataFile,
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="FORMAT", help="parquet, hf, ts, csv or croissant.", autocompletion=completion.export_format
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="OUT", help="File or folder to write.", show_default=False)
    ],
    track: Annotated[
        str | None,
        typer.Option(
            metavar="TRACK",
            help="Channels of ts: curve, telemetry or config.",
            show_default="curve",
            autocompletion=completion.track,
        ),
    ] = None,
    scored_only: Annotated[
        bool, typer.Option("--scored-only", help="Leave out runs whose label is not one of the six diagnoses.")
    ] = False,
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Write a data set for other tools: Parquet, Hugging Face, aeon and sktime, CSV, Croissant.

    parquet makes one file, the others a folder. All but ts need the extra export.

    Example: [bold]curvebench export mini --to hf -o mini-hf[/bold]
    """
    from curvebench.interchange import export as export_data_set

    with progress_bar("exporting", quiet=quiet) as report:
        done = export_data_set(file, to, output, track=track, scored_only=scored_only, overwrite=force, progress=report)
    if as_json:
        show_json({"output": str(done.output), "n_runs": done.n_runs, "n_bytes": dict(done.n_bytes)})
    else:
        show_facts(
            {
                "output": done.output,
                "runs": f"{done.n_runs:,}",
                **{name: f"{n_bytes:,} bytes" for name, n_bytes in done.n_bytes.items()},
            }
        )
