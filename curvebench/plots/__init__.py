"""Pictures: a gallery of what the labels mean, one run with its remedies, phenomena, lookalikes, causes."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from curvebench.data.dataset import Dataset
from curvebench.data.neighbours import lookalikes as find_lookalikes
from curvebench.data.store import check_target, publish
from curvebench.plots.curves import COLOURS, SHOWN_RANGE, STYLE, smooth
from curvebench.plots.examples import EXAMPLES, choose_examples, choose_gallery, find_run
from curvebench.plots.gallery import MEANING, draw_gallery
from curvebench.plots.injected import draw_injected
from curvebench.plots.lookalikes import draw_lookalikes
from curvebench.plots.phenomena import draw_phenomena
from curvebench.plots.run import draw_run
from curvebench.spec import Bool, InputError, UsageError

_WITHOUT_DATE: Mapping[str, dict[str, Any] | None] = {
    ".png": None,
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
}
"""Ending of a picture's name -> metadata that keep the date out, so that the same picture has the same bytes."""


def save_plot(
    dataset: Dataset,
    run: str | None,
    path: str | Path,
    *,
    lookalikes: bool = False,
    injected: bool = False,
    overwrite: bool = False,
) -> list[str]:
    """Draw a gallery, one run if it is named, plateaus that look alike, or causes against labels, as PNG, SVG or PDF.

    The file appears whole or not at all.

    Returns:
        Names of the runs that were drawn.

    Raises:
        UsageError: there is no such run, more than one of run, lookalikes and injected is asked for, the file's ending
            is unknown, or it cannot be written.
        InputError: the data set has no run to draw.
    """
    path = Path(path)
    check_picture(path, overwrite=overwrite)
    if len(dataset) == 0:
        raise InputError("The data set has no runs, so there is nothing to draw.")
    if lookalikes + injected + (run is not None) > 1:
        raise UsageError("A run is drawn, or plateaus that look alike, or causes against labels; ask for one of them.")
    draw: Callable[[], Any]
    if lookalikes:
        found = find_lookalikes(dataset)
        rows = [int(row) for pairs in found.values() for row in pairs.rows[:1].reshape(-1)]
        draw = partial(draw_lookalikes, dataset, found)
    elif injected:
        rows, draw = [], partial(draw_injected, dataset)
    elif run is not None:
        rows = [find_run(dataset, run)]
        draw = partial(draw_run, dataset, rows[0])
    else:
        examples = choose_gallery(dataset)
        rows = [row for chosen in examples.values() for row in chosen]
        draw = partial(draw_gallery, dataset, examples)
    publish_figure(draw, path, overwrite=overwrite)
    return [str(name) for name in dataset["run"][rows]]


def publish_figure(draw: Callable[[], Any], path: Path, *, overwrite: bool) -> None:
    """Draw in our style and write the figure under its name once it is whole."""
    import matplotlib as mpl

    image, ending = io.BytesIO(), path.suffix.lower()
    with mpl.rc_context(STYLE):
        draw().savefig(image, format=ending[1:], dpi=130, metadata=_WITHOUT_DATE[ending])
    publish(image.getvalue(), path, overwrite=overwrite)


def check_picture(path: str | Path, *, overwrite: bool = False) -> None:
    """Find out early whether a picture could be written to a path.

    Raises:
        UsageError: it could not, and why.
    """
    if Path(path).suffix.lower() not in _WITHOUT_DATE:
        raise UsageError(f"{str(path)!r} was given as picture; its name must end in {', '.join(_WITHOUT_DATE)}.")
    check_target(path, overwrite=overwrite)


def save_phenomena(
    dataset: Dataset, path: str | Path, found: Mapping[str, Bool] | None = None, *, overwrite: bool = False
) -> None:
    """Draw a panel for each phenomenon into a PNG, SVG or PDF file that appears whole or not at all.

    Args:
        dataset: any data set.
        path: of the picture.
        found: as from `curvebench.data.phenomena.find_phenomena`, which is asked by default.
        overwrite: whether an existing file is replaced.

    Raises:
        UsageError: the file's ending is unknown, or it cannot be written.
    """
    check_picture(path, overwrite=overwrite)
    publish_figure(lambda: draw_phenomena(dataset, found), Path(path), overwrite=overwrite)


__all__ = [
    "COLOURS",
    "EXAMPLES",
    "MEANING",
    "SHOWN_RANGE",
    "STYLE",
    "check_picture",
    "choose_examples",
    "choose_gallery",
    "draw_gallery",
    "draw_lookalikes",
    "draw_phenomena",
    "draw_run",
    "find_run",
    "publish_figure",
    "save_phenomena",
    "save_plot",
    "smooth",
]
