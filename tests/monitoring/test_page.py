"""The code that docs/monitor.md prints is run, with a small training for the names that it leaves to the reader."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from oracles.small_training import BATCH_SIZE, HIGH_RATE, N_EPOCHS, N_STEPS, examples

PAGE = (Path(__file__).parents[2] / "docs" / "monitor.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)

pytestmark = pytest.mark.filterwarnings("ignore")


def run(containing: str, **names: Any) -> dict[str, Any]:
    """Run the one block that contains a text; the names that there are afterwards."""
    (code,) = (block for block in BLOCKS if containing in block)
    exec(compile(code, "monitor.md", "exec"), names)
    return names


def test_every_block_is_run_below():
    assert len(BLOCKS) == 5


def test_the_first_prints_what_the_page_says(capsys):
    run("Monitor(total_steps=1000")
    assert f"```\n{capsys.readouterr().out}```" in PAGE


def test_the_loop_stops():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    batches = [torch.from_numpy(a).split(BATCH_SIZE) for a in examples()]
    loader = list(zip(*batches, strict=True)) * N_EPOCHS
    model = torch.nn.Linear(4, 1)
    names = run("Watch(", model=model, loader=loader, optimizer=torch.optim.SGD(model.parameters(), HIGH_RATE))
    assert names["step"] == names["watch"].monitor.findings[0].step < N_STEPS - 1


def test_the_callback_of_lightning_is_taken(tmp_path, monkeypatch):
    pytest.importorskip("lightning", reason="lightning is not installed (extra frameworks)")
    monkeypatch.chdir(tmp_path)
    names = run("lightning.pytorch")
    assert any(isinstance(c, names["DiagnosisCallback"]) for c in names["trainer"].callbacks)


def test_the_callback_of_hugging_face_is_taken(tmp_path):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed (extra frameworks)")
    torch = pytest.importorskip("torch")
    arguments = transformers.TrainingArguments(str(tmp_path), report_to="none", use_cpu=True)
    names = run("transformers", model=torch.nn.Linear(4, 1), training_arguments=arguments, dataset=[])
    assert any(isinstance(c, names["DiagnosisCallback"]) for c in names["trainer"].callback_handler.callbacks)


def test_the_training_of_keras_stops():
    keras = pytest.importorskip("keras", reason="keras is not installed (extra frameworks)")
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(HIGH_RATE), loss="mse")
    inputs, targets = examples()
    run("model.fit", model=model, inputs=inputs, targets=targets)
    assert model.stop_training
