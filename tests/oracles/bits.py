"""Run by test_bits in processes of their own: trains for a compilation target and prints hashes of what came out."""

import hashlib
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from oracles.jobs import CURVES, make_job
from oracles.tiny_recipe import tiny_text

import curvebench
from curvebench.generation.engine import kernels
from curvebench.generation.engine.fused import FusedEngine
from curvebench.generation.recipe import parse_recipe
from curvebench.spec import HIDDEN_ACTIVATIONS, OPTIMIZERS, TASKS, Output

PLAIN = tiny_text(('engine = "torch"', 'engine = "fused"'))
TUNED = tiny_text(
    ('engine = "torch"', 'engine = "fused"'),
    ('phenomenon = "all"', 'phenomenon = "all"\nfine_tuning = true\ninput_scale = [0.3, 30.0]'),
    ('shape = "cosine"', 'shape = "cosine_restarts"\ncycles = 2.5\nuntil = 0.9\nwarmup = 0.1'),
    ('activation = "tanh"\nloss', 'activation = "hardtanh"\nloss'),
    ("lowest_rate = 0.003", "lowest_rate = 0.003\nbad_batches = 2"),
)
"""All that a recipe can ask for beside."""


def hash_of_jobs() -> str:
    """Every task, optimiser, hidden activation, and outputs that use all elementary functions; some runs die."""
    digest = hashlib.sha256()
    for task in TASKS:
        squashed = Output("softmax" if task == "multiclass" else "sigmoid", "squared_error")
        for output in (None, squashed, Output("softplus", "squared_error")):
            for optimizer, activation in zip(OPTIMIZERS, (*HIDDEN_ACTIVATIONS, "relu"), strict=True):
                job = make_job(
                    task,
                    output,
                    optimizer,
                    activation,
                    "cosine",
                    rates=(1e-3, 0.1, 30.0, 1e30),
                    width=19,
                    gain=1.5,
                    checkpoints=(12,),
                )
                result = FusedEngine().train(job)
                arrays = [*(getattr(result, name) for name in CURVES), result.checkpoints[12].parameters]
                for array in arrays:
                    digest.update(np.where(np.isnan(array), -1.0, array).tobytes())
    return digest.hexdigest()


def content_hash(recipe: str, workers: int) -> str:
    with tempfile.TemporaryDirectory() as folder:
        data = curvebench.generate(parse_recipe(recipe), Path(folder) / "tiny.h5", workers=workers)
    return data.summary()["content_sha256"]


if __name__ == "__main__":
    hashes = {"jobs": hash_of_jobs()}
    for name, recipe in (("content", PLAIN), ("tuned", TUNED)):
        hashes[name] = content_hash(recipe, workers=int(sys.argv[1]))
    assembly = "".join(kernels.train_runs.inspect_asm().values())
    seen = {name: name in assembly for name in ("zmm", "ymm", "vfmadd")}
    print(json.dumps({**hashes, **seen}))  # noqa: T201
