"""Commands that make data sets and look at them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curvebench.cli import completion
from curvebench.cli.app import (
    ENOUGH_INSTANCES,
    INTERRUPTED,
    DataFile,
    Force,
    Json,
    Output,
    Quiet,
    Workers,
    app,
    given,
    look_here,
    show_facts,
)
from curvebench.console import Column, progress_bar, say, show, show_json, show_table
from curvebench.spec import LABELS, SPLITS, CheckFailed

if TYPE_CHECKING:
    from curvebench.data.dataset import Dataset, Table
    from curvebench.generation.plan import Cost


@app.command()
def generate(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE",
            help="Name of a recipe that comes with the package (curvebench recipes), or a TOML file.",
            show_default=False,
            autocompletion=completion.recipe,
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="File to write; with a slash at its end a folder of shards.",
            show_default=False,
        ),
    ],
    folder: Annotated[
        bool, typer.Option("--folder", help="Leave a folder of shards (a file for each group) in place of one file.")
    ] = False,
    workers: Workers = None,
    backend: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Where shards are made: local, ray, dask or slurm (each an extra).",
            autocompletion=completion.backend,
        ),
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Of an existing cluster: Ray's head, Dask's scheduler, a partition of Slurm.",
            show_default=False,
        ),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="fused or torch.", show_default="the recipe's", autocompletion=completion.engine
        ),
    ] = None,
    device: Annotated[str, typer.Option(metavar="NAME", help="Device of the torch engine, for instance cuda.")] = "cpu",
    trust: Annotated[
        bool, typer.Option("--trust", help="Run foreign code that the recipe names as a network.")
    ] = False,
    max_runs: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Refuse a recipe that trains more runs.", show_default="2,000,000"),
    ] = None,
    max_bytes: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Refuse a recipe with more bytes of data.", show_default="8 GiB"),
    ] = None,
    max_memory: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Refuse a recipe that needs more bytes of memory.", show_default="16 GiB"
        ),
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train what a recipe asks for, label it by intervention and write one file, or a folder of shards.

    After an interruption the same command goes on where it stopped. The content is the same wherever it is made.

    Example: [bold]curvebench generate quick -o quick.h5[/bold]
    """
    from curvebench.data.dataset import Dataset
    from curvebench.data.store import check_target
    from curvebench.generation.generate import Limits, check_folder_target, generate_folder
    from curvebench.generation.generate import generate as generate_data_set
    from curvebench.generation.parts import whole_folder
    from curvebench.generation.plan import compute_cost, make_plan
    from curvebench.generation.recipe import is_shipped, load_recipe

    if trust:
        look_here()
    recipe_file = load_recipe(recipe, trust=trust)
    target, is_folder = Path(output), folder or output.endswith(("/", os.sep))
    if not os.path.isdir(whole_folder(target)):  # else the output may be there, and only be left to be tidied up
        if is_folder:
            check_folder_target(target)
        else:
            check_target(target, overwrite=force)
    make: Callable[..., Table] = generate_folder if is_folder else partial(generate_data_set, overwrite=force)
    if not quiet:
        say(_cost_line(recipe_file.recipe.name, compute_cost(recipe_file.recipe, make_plan(recipe_file.recipe))))
    try:
        with progress_bar("training", quiet=quiet) as report:
            dataset = make(
                recipe_file,
                target,
                engine=engine,
                workers=workers,
                device=device,
                backend=backend,
                address=address,
                limits=Limits(**given(max_runs=max_runs, max_bytes=max_bytes, max_memory=max_memory)),
                progress=None if report is None else lambda done, total, _: report(done, total),
                say=(lambda sentence: None) if quiet else say,
            )
    except KeyboardInterrupt:
        say(f"interrupted; the same command goes on from {target}.parts")
        raise typer.Exit(INTERRUPTED) from None
    _show_dataset(dataset, {"file": str(target)}, as_json=as_json)
    if is_shipped(recipe_file) and not quiet and isinstance(dataset, Dataset):
        _say_shortfalls(dataset, target)


def _say_shortfalls(dataset: Dataset, path: Path) -> None:
    """The cheap part of the audit of a data set that others may publish: a sentence, and never a failure.

    A data set with a handful of problems, to try things with, is not held to it.
    """
    from curvebench.evaluation.audit import cheap_audit

    if min(dataset.summary()["n_problem_instances"].values()) < ENOUGH_INSTANCES:
        return
    shortfalls = cheap_audit(dataset).shortfalls
    if shortfalls:
        say(
            f"note: this data set falls short of what a benchmark must be: {'; '.join(shortfalls)}. "
            f"`curvebench audit {path}` measures all of it."
        )


def _cost_line(name: str, cost: Cost) -> str:
    return (
        f"{name}: {cost.n_groups} groups, about {cost.n_runs:,} runs and with remedies {cost.n_trainings:,} trainings, "
        f"{cost.n_updates / 1e6:,.1f} million network-steps, at most {cost.n_bytes / 2**20:,.0f} MiB uncompressed and "
        f"{cost.memory_bytes / 2**20:,.0f} MiB of memory"
    )


@app.command()
def info(file: DataFile, as_json: Json = False) -> None:
    """Say what is in a data set: runs by label and split, how it was made, its hash.

    Example: [bold]curvebench info quick.h5[/bold]
    """
    from curvebench.data.store import open_table

    _show_dataset(open_table(file), {"file": str(file)}, as_json=as_json)


def _show_dataset(dataset: Table, about: Mapping[str, Any], *, as_json: bool) -> None:
    """Counts of a data set, after some facts about it."""
    from curvebench.data.dataset import summarize

    summary = {**about, **summarize(dataset)}
    if as_json:
        show_json(summary)
        return
    show_facts(
        {
            **about,
            "recipe": f"{summary['recipe']}, version {summary['recipe_version']}, engine {summary['engine']}",
            "licence": summary["licence"],
            "format_version": summary["format_version"],
            "content_sha256": summary["content_sha256"],
            "runs": f"{summary['n_runs']:,} of {summary['n_cells']:,} cells in {summary['n_groups']:,} groups; "
            f"{summary['n_scored']:,} are scored",
            "curves": f"{summary['n_points']} points; {summary['n_remedies']} remedies",
            **summary["thresholds"],
        }
    )
    show("")
    by_split, instances = summary["labels_by_split"], summary["n_problem_instances"]
    counts = {label: [by_split[split][label] for split in SPLITS] for label in LABELS}
    counts["all runs"] = [summary["splits"][split] for split in SPLITS]
    counts["problem instances"] = [instances[split] for split in SPLITS]
    show_table(
        [Column("runs by label"), *(Column(name, is_number=True) for name in (*SPLITS, "all"))],
        [[label, *(f"{n:,}" for n in (*row, sum(row)))] for label, row in counts.items()],
    )


@app.command()
def verify(file: DataFile, as_json: Json = False) -> None:
    """Read all of a data set and compare its content with the hash that stands in it.

    Of a folder, moreover every byte of every shard with the manifest.

    Exit code 1 if the content was changed, 3 if the file cannot be read.

    Example: [bold]curvebench verify quick.h5[/bold]
    """
    from curvebench.data.store import verify as verify_file

    try:
        report = verify_file(file)
    except CheckFailed as error:
        if as_json:
            show_json({"verified": False, "path": str(file), "message": str(error)})
        raise
    if as_json:
        show_json({"verified": True, **vars(report)})
    else:
        show_facts({"verified": "yes", **vars(report)})


@app.command()
def pack(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A data set in shards.", show_default=False)],
    output: Output,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Make one file of a folder of shards; the content hash stays. It takes little memory, however large they are.

    Example: [bold]curvebench pack core/ -o core.h5[/bold]
    """
    from curvebench.data.store import pack as pack_folder

    facts = {"file": str(output), "content_sha256": pack_folder(folder, output, overwrite=force)}
    if as_json:
        show_json(facts)
    else:
        show_facts(facts)


@app.command()
def relabel(
    file: DataFile,
    output: Output,
    material_gain: Annotated[
        float | None, typer.Option(help="Mean gain from which on a remedy matters.", show_default=False)
    ] = None,
    confidence: Annotated[
        float | None,
        typer.Option(
            help="Of the one-sided t-interval: 0.8, 0.9, 0.95 or 0.975.",
            show_default=False,
            autocompletion=completion.confidence,
        ),
    ] = None,
    tie: Annotated[
        float | None, typer.Option(help="Differences below this share of the cap are no gain.", show_default=False)
    ] = None,
    accept_share: Annotated[
        float | None, typer.Option(help="Share of the best gain that is accepted.", show_default=False)
    ] = None,
    largest_ratio: Annotated[
        float | None, typer.Option(help="Gains count up to this ratio of losses.", show_default=False)
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Label a data set with other thresholds; the outcomes stay as they are.

    A threshold that is not given stays as it is in FILE. What they mean is in docs/labels.md.

    Example: [bold]curvebench relabel quick.h5 --material-gain 0.2 -o strict.h5[/bold]
    """
    from curvebench.data.store import check_target, load, write
    from curvebench.generation.relabel import relabel as relabel_data_set

    check_target(output, overwrite=force)
    dataset = load(file)
    thresholds = given(
        material_gain=material_gain,
        confidence=confidence,
        tie=tie,
        accept_share=accept_share,
        largest_ratio=largest_ratio,
    )
    changed = relabel_data_set(dataset, **thresholds)
    write(changed, output, overwrite=force)
    n_relabelled = int((changed.labels != dataset.labels).sum())
    _show_dataset(changed, {"file": str(output), "n_relabelled": n_relabelled}, as_json=as_json)


@app.command()
def subset(
    file: DataFile,
    output: Output,
    runs: Annotated[int, typer.Option("--runs", metavar="N", min=1, help="Runs at most.", show_default=False)],
    scored_only: Annotated[
        bool, typer.Option("--scored-only", help="Leave out runs whose label is not one of the six diagnoses.")
    ] = False,
    resumed: Annotated[
        bool, typer.Option(help="Keep the curves of runs that a remedy resumed; their outcomes always stay.")
    ] = True,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write a part of a data set, in which every split, label and problem family has its share.

    Runs that differ by their seed alone stay together. The same command always takes the same runs.

    Example: [bold]curvebench subset core.h5 --runs 1800 --scored-only --no-resumed -o small.h5[/bold]
    """
    from curvebench.data.store import check_target, load, write
    from curvebench.data.subset import subset as part_of

    check_target(output, overwrite=force)
    part = part_of(load(file), runs, scored_only=scored_only, resumed=resumed)
    write(part, output, overwrite=force)
    _show_dataset(part, {"file": str(output)}, as_json=as_json)


@app.command()
def plot(
    file: DataFile,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="PICTURE", help="PNG, SVG or PDF.", show_default=False)
    ],
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN",
            help="Name of a run, like g000255.c01.r+18.s00; without it a gallery of all labels.",
            show_default=False,
        ),
    ] = None,
    lookalikes: Annotated[
        bool, typer.Option("--lookalikes", help="Plateaus that look alike and have different causes.")
    ] = False,
    injected: Annotated[
        bool, typer.Option("--injected", help="What was done to the runs, against what really helped.")
    ] = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Draw one run with what its remedies made of it, a gallery of all labels, or what the options name.

    Example: [bold]curvebench plot quick.h5 -o gallery.png[/bold]
    """
    from curvebench.data.store import load
    from curvebench.plots import check_picture, save_plot

    check_picture(output, overwrite=force)
    runs = save_plot(load(file), run, output, lookalikes=lookalikes, injected=injected, overwrite=force)
    if as_json:
        show_json({"picture": str(output), "runs": runs})
    else:
        show_facts({"picture": output, **({"runs": ", ".join(runs)} if runs else {})})


@app.command()
def phenomena(
    file: DataFile,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="PICTURE", help="Draw them: PNG, SVG or PDF.", show_default=False),
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Count what the runs of a data set show, from explosions to plateaus that look alike, and draw examples.

    Example: [bold]curvebench phenomena quick.h5 -o phenomena.png[/bold]
    """
    from curvebench.data.phenomena import PHENOMENA, count_phenomena, find_phenomena
    from curvebench.data.store import load
    from curvebench.plots import check_picture, save_phenomena

    if output is not None:
        check_picture(output, overwrite=force)
    dataset = load(file)
    found = find_phenomena(dataset)
    counts = count_phenomena(dataset, found)
    if output is not None:
        save_phenomena(dataset, output, found, overwrite=force)
    if as_json:
        show_json({"file": str(file), "phenomena": counts})
        return
    columns = [Column("phenomenon"), Column("what it teaches", dispensable=1)]
    columns += [Column(split, is_number=True) for split in SPLITS]
    columns += [Column(label, is_number=True, dispensable=2) for label in LABELS]
    rows = []
    for name, by_split in counts.items():
        numbers = [sum(by_split[split].values()) for split in SPLITS]
        numbers += [sum(by_split[split][label] for split in SPLITS) for label in LABELS]
        rows.append([name, PHENOMENA[name].teaches, *(f"{n:,}" for n in numbers)])
    show_table(columns, rows)


@app.command()
def recipes(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="RECIPE",
            help="Print this one, in TOML, to change it.",
            show_default=False,
            autocompletion=completion.recipe,
        ),
    ] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of recipes, for editors.")] = False,
    as_json: Json = False,
) -> None:
    """List the recipes that come with the package, or print one.

    Example: [bold]curvebench recipes quick > mine.toml[/bold]
    """
    from curvebench.generation.plan import compute_cost, make_plan
    from curvebench.generation.recipe import load_recipe, recipe_json_schema, shipped_recipes

    if schema:
        show_json(recipe_json_schema())
        return
    if name is not None:
        found = load_recipe(name, trust=True)  # printing runs nothing
        if as_json:
            show_json(found.recipe.model_dump(mode="json"))
        else:
            show(found.text)
        return
    rows = []
    for shipped in shipped_recipes():
        recipe = load_recipe(shipped).recipe
        cost = compute_cost(recipe, make_plan(recipe))
        about = {"name": shipped, "version": recipe.version, "engine": recipe.engine}
        rows.append({**about, **vars(cost), "description": recipe.description})
    if as_json:
        show_json(rows)
        return
    numbers = {
        "version": Column("version", is_number=True, dispensable=2),
        "n_groups": Column("groups", is_number=True, dispensable=1),
        "n_runs": Column("runs", is_number=True),
        "n_trainings": Column("trainings", is_number=True, dispensable=1),
    }
    show_table(
        [Column("name"), *numbers.values(), Column("description")],
        [[row["name"], *(f"{row[key]:,}" for key in numbers), row["description"]] for row in rows],
    )
