"""The columns of a data set, format 1: name, type, axes, unit, meaning. File and code both follow this table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curvebench.spec import DIAGNOSES, DIFFICULTIES, LABELS, SPLITS

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Column:
    """One column: every row is a run.

    Attributes:
        name: of the HDF5 dataset.
        dtype: NumPy type string in the file, little-endian; text is fixed-length UTF-8 ("S..").
        axes: names of the axes after the first; each has one length in the whole data set.
        unit: of the values.
        description: one sentence.
        values: the only values that text may take; empty where any is allowed.
    """

    name: str
    dtype: str
    axes: tuple[str, ...]
    unit: str
    description: str
    values: tuple[str, ...] = ()

    @property
    def is_text(self) -> bool:
        """Whether the values are text: `str` in memory, fixed-length bytes in the file."""
        return self.dtype.startswith("S")

    @property
    def itemsize(self) -> int:
        """Bytes of one value in the file."""
        return np.dtype(self.dtype).itemsize


_ALL = (
    # ids
    Column("run", "S32", (), "id", "Name of the run: group, cell, grid index of the rate, seed"),
    Column("cell", "S24", (), "id", "Problem x network x setting x schedule x output that the run belongs to"),
    Column("group", "<i4", (), "index", "Cells that differ only in output, loss or schedule share a group"),
    Column("seed", "<i2", (), "index", "Paired seed: fixes initial weights and batch order"),
    Column("split", "S8", (), "category", "Part of the benchmark that the run belongs to", SPLITS),
    # what was trained
    Column("problem", "S48", (), "id", "Problem instance: data and targets"),
    Column("problem_family", "S32", (), "category", "Kind of problem; held out as a whole in test_ood"),
    Column("task", "S12", (), "category", "regression, binary or multiclass"),
    Column("target_range", "S16", (), "category", "What the targets are: real, bounded, classes, …"),
    Column(
        "architecture",
        "S64",
        (),
        "category",
        "mlp, another network of ours (conv, recurrent, attention), or a foreign one (package.module:callable)",
    ),
    Column("depth", "<i2", (), "layers", "Hidden layers"),
    Column("width", "<i2", (), "units", "Units per hidden layer"),
    Column("activation", "S12", (), "category", "Hidden activation"),
    Column("init_gain", "<f4", (), "1", "Factor on the standard deviation of the initial weights"),
    Column("input_scale", "<f4", (), "1", "Standard deviation of the inputs; the first weights are divided by it"),
    Column("output_activation", "S12", (), "category", "Output activation"),
    Column("loss", "S32", (), "category", "Training loss"),
    Column("optimizer", "S12", (), "category", "Optimiser, semantics of torch.optim"),
    Column("batch_size", "<i4", (), "examples", "Examples per update"),
    Column("epochs", "<i4", (), "epochs", "Passes over the training set"),
    Column("bad_batches", "<i2", (), "updates", "Mini-batches that held one example again and again"),
    Column("pretrained_on", "S48", (), "id", "Related problem that the network was trained on before; empty: none"),
    Column("schedule", "S16", (), "category", "Shape of the learning-rate schedule"),
    Column("decay", "<f4", (), "1", "Peak rate over the rate at the end of the decay"),
    Column("warmup", "<f4", (), "fraction", "Share of training spent in linear warm-up"),
    Column("decay_until", "<f4", (), "fraction", "Share of the rest at which the decay stops"),
    Column("cycles", "<f4", (), "1", "Cycles of a cyclic schedule in the whole training; 1 for others"),
    Column("base_lr", "<f8", (), "1", "Base learning rate: the schedule's shape in [0, 1] times this"),
    Column("phenomenon", "S32", (), "category", "Entry of the recipe's mix that the group was drawn from"),
    Column("difficulty", "S8", (), "category", "How clear the label is", DIFFICULTIES),
    # what was meant, what is so
    Column("injected", "S20", (), "category", "Cause by construction: the perturbation of the tuned cell", DIAGNOSES),
    Column("diagnosis", "S20", (), "category", "Label by intervention: the remedy that really helped", LABELS),
    Column("accepted", "|u1", ("diagnosis",), "boolean", "Diagnoses accepted as right, in the order of the diagnoses"),
    Column("best_gain", "<f4", (), "gain", "Largest mean gain over the seeds of any remedy that counts for labels"),
    Column("log10_lr_over_best", "<f4", (), "decades", "log10 of the rate over the cell's best rate"),
    Column("log10_lr_over_stable", "<f4", (), "decades", "log10 of the rate over the cell's largest stable rate"),
    Column(
        "onset", "<f4", (), "fraction", "late_*: earliest fraction of training whose resumption is material; else NaN"
    ),
    Column(
        "diverged",
        "|u1",
        (),
        "boolean",
        "Non-finite at some time, or ended clearly above the start and the best constant",
    ),
    Column("sweep_complete", "|u1", (), "boolean", "The cell's sweep brackets its best rate and reaches divergence"),
    # curves
    Column("step", "<i4", ("point",), "updates", "Updates made when the point was recorded"),
    Column(
        "train_loss", "<f4", ("point",), "loss", "Mean mini-batch loss since the last point; first: before any update"
    ),
    Column("val_loss", "<f4", ("point",), "loss", "Loss on the validation set"),
    Column(
        "grad_norm", "<f4", ("point",), "loss per parameter", "Norm of the last mini-batch gradient before the point"
    ),
    Column("learning_rate", "<f4", ("point",), "1", "Rate of the last update before the point"),
    Column("length", "<i4", (), "points", "Points that were recorded; later ones repeat the last"),
    # outcomes
    Column("loss_cap", "<f4", (), "loss", "Objective of the best constant prediction on the training set"),
    Column("loss_floor", "<f4", (), "loss", "Objective of the best possible prediction where known, else NaN"),
    Column("output_floor", "<f4", (), "loss", "Lowest final_loss that the output's range allows; NaN: unknown"),
    Column("final_loss", "<f4", (), "loss", "Training objective at the end, before the cap; inf where not finite"),
    Column("final_val_loss", "<f4", (), "loss", "The same on the validation set"),
    Column("source_loss", "<f4", (), "loss", "Own objective on pretrained_on before this training; NaN: none"),
    Column("final_source_loss", "<f4", (), "loss", "The same after it: what was forgotten"),
    Column("remedy_final_loss", "<f4", ("remedy",), "loss", "final_loss after each remedy; NaN: untried"),
    Column("remedy_final_val_loss", "<f4", ("remedy",), "loss", "final_val_loss after each remedy; NaN: untried"),
    Column("remedy_gain", "<f4", ("remedy",), "gain", "Gain of each remedy in [-1, 1]; NaN: untried"),
    Column(
        "resumed_train_loss",
        "<f4",
        ("resume", "point"),
        "loss",
        "Curve of each resumed remedy; NaN before it branches off",
    ),
)

COLUMNS: dict[str, Column] = {column.name: column for column in _ALL}
"""Name -> column, in file order."""
