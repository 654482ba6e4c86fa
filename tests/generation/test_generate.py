"""From a recipe to a file: the same content whoever works, after any interruption, or a refusal in a sentence."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from oracles.tiny_recipe import TINY, tiny_file, tiny_text

import curvebench.generation.generate as generate_module
from curvebench.data.dataset import Dataset, content_sha256
from curvebench.data.store import load, verify, write
from curvebench.generation.engine import make_engine
from curvebench.generation.generate import Limits, check_limits, generate, generate_folder
from curvebench.generation.parts import LOCK, part_path, parts_folder
from curvebench.generation.plan import Cost, compute_cost, make_plan
from curvebench.generation.recipe import parse_recipe
from curvebench.remedies import fixed_actions
from curvebench.spec import DIAGNOSES, LABELS, InputError, UsageError

N_GROUPS = 3


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The data set as one worker makes it without interruption, and its file."""
    path = tmp_path_factory.mktemp("whole") / "tiny.h5"
    return generate(tiny_file(), path, workers=1), path


def parts_of(path: Path) -> list[str]:
    return sorted(part.name for part in path.with_name(path.name + ".parts").glob("*/*.h5"))


class Interrupting:
    """Progress that interrupts after some groups, and remembers what it was told."""

    def __init__(self, after: int = N_GROUPS + 1):
        self.after, self.calls = after, []

    def __call__(self, done, total, group) -> None:
        self.calls.append((done, total, group))
        if sum(group is not None for _, _, group in self.calls) == self.after:
            raise KeyboardInterrupt


# -------------------------------------------------------------------------------------------- what is made


def test_what_is_returned_is_what_was_written(whole):
    dataset, path = whole
    assert content_sha256(load(path)) == content_sha256(dataset) == verify(path).content_sha256
    assert load(path).meta == dataset.meta
    assert os.listdir(path.parent) == ["tiny.h5"], "the parts are gone"


def test_every_group_of_the_plan_is_there_in_order(whole):
    dataset, _ = whole
    assert list(dict.fromkeys(dataset["group"].tolist())) == [0, 1, 2]
    assert np.all(np.diff(dataset["group"]) >= 0)
    assert [dataset["split"][dataset["group"] == g][0] for g in range(3)] == ["train", "test", "test_ood"]


def test_the_file_says_where_it_comes_from(whole):
    meta = whole[0].meta
    assert meta.recipe_text == TINY
    assert meta.source_licences.keys() == {"gaussian_mixture", "friedman1"}
    assert {"curvebench", "numpy", "torch", "python"} <= meta.package_versions.keys()


def test_each_diagnosis_stands_for_an_action_fixed_on_train(whole):
    dataset, _ = whole
    train = dataset.split("train")
    assert dataset.meta.fixed_actions == fixed_actions(
        train["diagnosis"], train["remedy_gain"], dataset.meta.remedies, dataset.meta.cost_weight
    )
    assert dataset.meta.fixed_actions.keys() == set(DIAGNOSES)
    assert dataset.meta.fixed_actions["healthy"] == 0
    assert dataset.meta.fixed_actions["lr_too_low"] > 0


FOREIGN = ("depth = 1", 'depth = 1\nmodule = "oracles.foreign_networks:make_plain"')


def test_foreign_networks_are_trained_if_they_are_trusted(tmp_path, monkeypatch):
    (tmp_path / "mine.toml").write_text(tiny_text(FOREIGN), encoding="utf-8")
    monkeypatch.delitem(sys.modules, "oracles.foreign_networks", raising=False)
    with pytest.raises(UsageError, match="--trust"):
        generate(tmp_path / "mine.toml", tmp_path / "mine.h5", workers=1)
    assert "oracles.foreign_networks" not in sys.modules, "nothing of it ran"
    one = generate(tmp_path / "mine.toml", tmp_path / "mine.h5", workers=1, trust=True)
    assert set(one["architecture"].tolist()) == {"oracles.foreign_networks:make_plain"}
    assert content_sha256(load(tmp_path / "mine.h5")) == content_sha256(one)
    two = generate(tmp_path / "mine.toml", tmp_path / "two.h5", workers=2, trust=True)
    assert content_sha256(two) == content_sha256(one)


def test_the_engine_that_cannot_train_modules_is_refused_before_any_work(tmp_path):
    text = tiny_text(("depth = 1", 'depth = 1\nmodule = "conv"'))
    with pytest.raises(UsageError, match=r"'fused' trains MLPs; the network 'tanh-6' \(conv\) needs --engine torch"):
        generate(parse_recipe(text), tmp_path / "x.h5", engine="fused")
    assert os.listdir(tmp_path) == []


MODULES = """
[[networks]]
name = "conv"
module = "conv"
depth = 1
width = 3
activation = "relu"
families = ["digits"]
[[networks]]
name = "recurrent"
module = "recurrent"
depth = 1
width = 4
activation = "tanh"
families = ["sequences"]
[[networks]]
name = "attention"
module = "attention"
depth = 1
width = 4
activation = "gelu"
families = ["sequences"]

[[settings]]"""


def test_modules_go_the_whole_way(tmp_path):
    """Each family meets the networks that are for it, MLPs among them, and every run has all its outcomes."""
    text = tiny_text(
        ("[[settings]]", MODULES),
        ('networks = ["tanh-6"]', 'networks = ["tanh-6", "conv", "recurrent", "attention"]'),
        ("epochs = 8", "epochs = 3"),
        (
            'family = "gaussian_mixture"\nsplit = "train"\ninstances = 1',
            'family = "sequences"\nsplit = "train"\ninstances = 6',
        ),
        ('family = "gaussian_mixture"\nsplit = "test"\nfirst = 1\n', 'family = "digits"\nsplit = "test"\n'),
    )
    data = generate(parse_recipe(text), tmp_path / "modules.h5", workers=1)
    met = {tuple(pair) for pair in zip(data["problem_family"].tolist(), data["architecture"].tolist(), strict=True)}
    for_family = {"sequences": {"mlp", "recurrent", "attention"}, "digits": {"mlp", "conv"}, "friedman1": {"mlp"}}
    assert all(architecture in for_family[family] for family, architecture in met)
    assert {"recurrent", "attention", "conv"} & {architecture for _, architecture in met}
    resumed = [i for i, remedy in enumerate(data.meta.remedies) if remedy.action == "resume"]
    assert np.isfinite(data["remedy_gain"][:, resumed]).all()
    same = next(i for i in resumed if data.meta.remedies[i].factor == 1.0)
    np.testing.assert_allclose(data["remedy_gain"][:, same], 0.0, atol=1e-3)


def test_another_master_seed_gives_other_content(whole, tmp_path):
    other = generate(tiny_file(("master_seed = 11", "master_seed = 12")), tmp_path / "other.h5", workers=1)
    assert content_sha256(other) != content_sha256(whole[0])
    assert not set(other["base_lr"].tolist()) & set(whole[0]["base_lr"].tolist())
    assert not set(other["train_loss"][:, 0].tolist()) & set(whole[0]["train_loss"][:, 0].tolist())


def test_recipes_may_be_given_by_path(whole, tmp_path):
    (tmp_path / "mine.toml").write_text(TINY, encoding="utf-8")
    found = generate(str(tmp_path / "mine.toml"), str(tmp_path / "mine.h5"), workers=1)
    assert content_sha256(found) == content_sha256(whole[0])


# ---------------------------------------------------------------- whoever works, after whatever interruption


def test_two_workers_make_the_same_content(whole, tmp_path):
    progress = Interrupting()
    found = generate(tiny_file(), tmp_path / "two.h5", workers=2, progress=progress)
    assert content_sha256(found) == content_sha256(whole[0])
    assert {group.index for _, _, group in progress.calls if group} == {0, 1, 2}


def test_progress_begins_with_what_is_there_and_ends_with_all(tmp_path, monkeypatch):
    monkeypatch.setattr(generate_module, "_make_part", make_part_from_store(whole_parts(tmp_path)))
    progress = Interrupting(after=2)
    path = tmp_path / "data.h5"
    with pytest.raises(KeyboardInterrupt):
        generate(tiny_file(), path, workers=1, progress=progress)
    recipe = tiny_file().recipe
    total = compute_cost(recipe, make_plan(recipe)).n_updates
    assert progress.calls[0] == (0, total, None)
    again = Interrupting()
    generate(tiny_file(), path, workers=1, progress=again)
    assert again.calls[0] == (progress.calls[-1][0], total, None), "what was finished is not done again"
    assert len(again.calls) == 2
    assert again.calls[-1][:2] == (total, total)


def whole_parts(tmp_path: Path) -> Path:
    """A folder with the three shards, made once for tests of what is done with them."""
    folder = tmp_path / "store"
    folder.mkdir()
    for group in make_plan(tiny_file().recipe):
        generate_module._make_part(TINY, folder, "cpu", group)
    return folder


def make_part_from_store(store: Path):
    def make_part(recipe_text, folder, device, group) -> None:
        shutil.copy(store / f"group-{group.index:06d}.h5", folder)

    return make_part


def test_an_interruption_leaves_whole_parts_and_the_next_call_goes_on(whole, tmp_path, monkeypatch):
    path = tmp_path / "data.h5"
    with pytest.raises(KeyboardInterrupt):
        generate(tiny_file(), path, workers=1, progress=Interrupting(after=1))
    assert not path.exists()
    (first,) = parts_of(path)

    worked_on = []
    make_part = generate_module._make_part

    def watched(recipe_text, folder, device, group) -> None:
        worked_on.append(group.index)
        make_part(recipe_text, folder, device, group)

    monkeypatch.setattr(generate_module, "_make_part", watched)
    found = generate(tiny_file(), path, workers=1)
    assert content_sha256(found) == content_sha256(whole[0])
    assert sorted([*worked_on, int(first[6:12])]) == [0, 1, 2]
    assert os.listdir(tmp_path) == ["data.h5"]


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs POSIX process groups")
def test_a_killed_process_leaves_nothing_that_harms(whole, tmp_path):
    """SIGKILL to everything in the middle of the work, wherever it hits; then the same call again."""
    recipe, path = tmp_path / "tiny.toml", tmp_path / "data.h5"
    recipe.write_text(TINY, encoding="utf-8")
    code = (
        "import sys, time\n"
        "from curvebench.generation.generate import generate\n"
        "def progress(done, total, group):\n"
        "    print(done, flush=True)\n"
        "    time.sleep(0.2 if group else 0)\n"
        "if __name__ == '__main__':\n"
        "    generate(sys.argv[1], sys.argv[2], workers=1, progress=progress)\n"
    )
    command = [sys.executable, "-c", code, str(recipe), str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    with process:
        process.stdout.readline()
        process.stdout.readline()  # one group is done
        time.sleep(0.35)  # the next is under way
        os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not path.exists()
    assert parts_of(path)
    assert (tmp_path / "data.h5.parts" / LOCK).exists(), "and nobody has it locked"
    assert content_sha256(generate(recipe, path, workers=1)) == content_sha256(whole[0])
    assert sorted(os.listdir(tmp_path)) == ["data.h5", "tiny.toml"]


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_parts_that_are_damaged_or_stale_are_done_again(whole, tmp_path, monkeypatch):
    store = whole_parts(tmp_path)
    worked_on = []

    def watched(recipe_text, folder, device, group) -> None:
        worked_on.append(group.index)
        make_part_from_store(store)(recipe_text, folder, device, group)

    monkeypatch.setattr(generate_module, "_make_part", watched)
    path = tmp_path / "data.h5"
    with parts_folder(path, generate_module._made_with(tiny_file(), "cpu")) as folder:
        pass

    def work_on(spoil) -> list[int]:
        shutil.copytree(store, folder)
        spoil()
        worked_on.clear()
        assert content_sha256(generate(tiny_file(), path, workers=1, overwrite=True)) == content_sha256(whole[0])
        assert not folder.parent.exists()
        return worked_on

    first, second = folder / "group-000000.h5", folder / "group-000001.h5"
    assert work_on(lambda: None) == []
    assert work_on(lambda: flip_a_bit(first)) == [0]
    assert work_on(lambda: first.write_bytes(first.read_bytes()[:5000])) == [0]
    assert work_on(lambda: first.write_bytes(b"")) == [0]
    assert work_on(lambda: first.unlink()) == [0]
    assert work_on(lambda: shutil.copy(first, second)) == [1], "another group"
    assert work_on(lambda: (folder / ".group-000001.h5.host.1.a.tmp").write_bytes(b"half")) == []
    with monkeypatch.context() as patch:
        patch.setattr(generate_module, "package_versions", lambda: {"torch": "0.0"})
        assert sorted(work_on(lambda: None)) == [0, 1, 2], "another version"


def test_parts_of_another_device_or_recipe_are_neither_mixed_in_nor_lost(whole, tmp_path, monkeypatch):
    store, path, worked_on = whole_parts(tmp_path), tmp_path / "data.h5", []

    def watched(recipe_text, folder, device, group) -> None:
        worked_on.append((device, group.index))
        make_part_from_store(store)(recipe_text, folder, device, group)

    monkeypatch.setattr(generate_module, "_make_part", watched)
    monkeypatch.setattr(generate_module, "make_engine", lambda name, device: make_engine(name))
    for n_groups in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            generate(tiny_file(), path, workers=1, device="cuda", progress=Interrupting(after=1))
        assert len(worked_on) == n_groups, "the same device goes on"
    with pytest.raises(KeyboardInterrupt):
        generate(tiny_file(("lr_too_low = 0.5", "lr_too_low = 0.6")), path, workers=1, progress=Interrupting(after=1))
    worked_on.clear()
    assert content_sha256(generate(tiny_file(), path, workers=1)) == content_sha256(whole[0])
    assert sorted(worked_on) == [("cpu", 0), ("cpu", 1), ("cpu", 2)]
    assert sorted(os.listdir(tmp_path)) == ["data.h5", "store"]


def test_every_shard_is_read_once(tmp_path, monkeypatch):
    monkeypatch.setattr(generate_module, "_make_part", make_part_from_store(whole_parts(tmp_path)))
    with pytest.raises(KeyboardInterrupt):
        generate(tiny_file(), tmp_path / "data.h5", workers=1, progress=Interrupting(after=2))
    read = []
    monkeypatch.setattr(generate_module, "load", lambda path: read.append(path.name) or load(path))
    generate(tiny_file(), tmp_path / "data.h5", workers=1)
    assert sorted(read) == [f"group-{i:06d}.h5" for i in range(N_GROUPS)]


def test_what_else_lies_in_the_folder_of_parts_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(generate_module, "_make_part", make_part_from_store(whole_parts(tmp_path)))
    folder = tmp_path / "data.h5.parts"
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    generate(tiny_file(), tmp_path / "data.h5", workers=1)
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]


# ---------------------------------------------------------------------------------- two calls, and the final write


def test_a_second_call_for_the_same_output_ends_at_once_and_harms_nobody(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(generate_module, "_make_part", make_part_from_store(whole_parts(tmp_path)))
    path, refused = tmp_path / "data.h5", []

    def call_again(done, total, group) -> None:
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(UsageError, match=r"'.*data\.h5\.parts' for unfinished work is in use by another call"):
            generate(tiny_file(), path, workers=1)
        assert sorted(tmp_path.rglob("*")) == before
        generate(tiny_file(), tmp_path / f"other-{len(refused)}.h5", workers=1)
        refused.append(group)

    found = generate(tiny_file(), path, workers=1, progress=call_again)
    assert len(refused) == 1 + N_GROUPS
    assert content_sha256(found) == content_sha256(whole[0]) == content_sha256(load(path))
    assert sorted(os.listdir(tmp_path)) == ["data.h5", *(f"other-{i}.h5" for i in range(4)), "store"]


def test_an_output_that_another_call_has_just_written_is_refused_before_any_work(tmp_path, monkeypatch, no_work):
    path = tmp_path / "data.h5"
    true_folder = generate_module.parts_folder

    def parts_folder_after_the_other_call(*args):
        path.write_text("precious")
        return true_folder(*args)

    monkeypatch.setattr(generate_module, "parts_folder", parts_folder_after_the_other_call)
    with pytest.raises(UsageError, match="already exists"):
        generate(tiny_file(), path)
    assert os.listdir(tmp_path) == ["data.h5"]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")
def test_what_a_kill_amid_the_final_write_leaves_is_cleared_by_the_next_call(whole, tmp_path):
    store, path = whole_parts(tmp_path), tmp_path / "data.h5"
    with parts_folder(path, generate_module._made_with(tiny_file(), "cpu")) as folder:
        shutil.copytree(store, folder, dirs_exist_ok=True)
    code = (
        "import os, signal, sys\n"
        "from oracles.tiny_recipe import tiny_file\n"
        "from curvebench.data import store\n"
        "from curvebench.generation.generate import generate\n"
        "store._move_without_clobbering = lambda *paths: os.kill(os.getpid(), signal.SIGKILL)\n"
        "generate(tiny_file(), sys.argv[1], workers=1)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code, path], env=environment).returncode == -signal.SIGKILL
    (left,) = set(os.listdir(tmp_path)) - {"data.h5.parts", "store"}
    assert left.startswith(".data.h5.")
    theirs = tmp_path / left.replace(".data.h5.", ".other.h5.")
    theirs.write_bytes(b"of another output")
    assert content_sha256(generate(tiny_file(), path, workers=1)) == content_sha256(whole[0])
    assert sorted(os.listdir(tmp_path)) == [theirs.name, "data.h5", "store"]


# ---------------------------------------------------------------------------------------------- refusals


@pytest.fixture
def no_work(monkeypatch):
    """Whatever is refused is refused before any work."""

    def make_part(*args) -> None:
        raise AssertionError("work was done")

    monkeypatch.setattr(generate_module, "_make_part", make_part)


@pytest.mark.usefixtures("no_work")
def test_an_existing_output_is_refused_and_untouched(tmp_path):
    path = tmp_path / "data.h5"
    path.write_text("precious")
    with pytest.raises(UsageError, match="already exists"):
        generate(tiny_file(), path)
    assert path.read_text() == "precious"
    assert os.listdir(tmp_path) == ["data.h5"]


def test_an_existing_output_is_replaced_only_by_a_whole_one(tmp_path, monkeypatch):
    path = tmp_path / "data.h5"
    path.write_text("precious")
    with pytest.raises(KeyboardInterrupt):
        generate(tiny_file(), path, workers=1, overwrite=True, progress=Interrupting(after=1))
    assert path.read_text() == "precious"
    shutil.rmtree(path.with_name("data.h5.parts"))
    monkeypatch.setattr(generate_module, "_make_part", make_part_from_store(whole_parts(tmp_path)))
    generate(tiny_file(), path, workers=1, overwrite=True)
    assert verify(path).recipe_name == "tiny"


@pytest.mark.usefixtures("no_work")
def test_outputs_that_cannot_be_written_are_refused(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        generate(tiny_file(), tmp_path / "nowhere" / "data.h5")
    with pytest.raises(UsageError, match="is a folder"):
        generate(tiny_file(), tmp_path, overwrite=True)
    (tmp_path / "data.h5.parts").write_text("a file where the folder should be")
    with pytest.raises(UsageError, match="unfinished work"):
        generate(tiny_file(), tmp_path / "data.h5")
    assert os.listdir(tmp_path) == ["data.h5.parts"]


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(
    ("limits", "field", "switch"),
    [
        (Limits(max_runs=1000), "n_trainings", "--max-runs"),
        (Limits(max_bytes=1000), "n_bytes", "--max-bytes"),
        (Limits(max_memory=1000), "memory_bytes", "--max-memory"),
    ],
)
def test_what_is_too_much_is_refused_with_the_figure_and_the_switch(limits, field, switch, tmp_path):
    recipe = tiny_file().recipe
    figure = getattr(compute_cost(recipe, make_plan(recipe)), field)
    with pytest.raises(UsageError) as caught:
        generate(tiny_file(), tmp_path / "data.h5", limits=limits)
    assert f"{figure:,}" in str(caught.value)
    assert "1,000" in str(caught.value)
    assert f"{switch} {figure}" in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_a_limit_itself_is_allowed():
    cost = Cost(n_groups=1, n_runs=2, n_trainings=3, n_updates=4, n_bytes=5, worker_bytes=6, memory_bytes=6)
    check_limits(cost, Limits(max_runs=3, max_bytes=5, max_memory=6))
    for limits in (Limits(2, 5, 6), Limits(3, 4, 6), Limits(3, 5, 5)):
        with pytest.raises(UsageError):
            check_limits(cost, limits)


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("workers", [0, -1])
def test_there_is_no_work_without_workers(workers, tmp_path):
    with pytest.raises(UsageError, match=f"^{workers} workers were asked for; there must be at least one"):
        generate(tiny_file(), tmp_path / "data.h5", workers=workers)
    assert os.listdir(tmp_path) == []


@pytest.mark.usefixtures("no_work")
def test_bad_recipes_and_devices_are_refused(tmp_path):
    with pytest.raises(InputError, match="no recipe"):
        generate("nonsense", tmp_path / "data.h5")
    with pytest.raises(UsageError, match="GPU"):
        generate(tiny_file(), tmp_path / "data.h5", device="cuda:99")
    assert os.listdir(tmp_path) == []


def test_a_recipe_that_keeps_nothing_says_so(tmp_path):
    one = tiny_text(("lr_too_low = 0.5\n", "".join(f"{label} = 1e-12\n" for label in LABELS)))
    start, end = one.index("[[problems]]", one.index("[[problems]]") + 1), one.index("[[networks]]")
    with pytest.raises(InputError, match=r"keeps no run at all.*\[keep\]"):
        generate(parse_recipe(one[:start] + one[end:]), tmp_path / "data.h5", workers=1)
    assert not (tmp_path / "data.h5").exists()


# ------------------------------------------------------------------------------------------------- folders


def test_a_folder_holds_what_the_file_holds(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(generate_module, "_make_part", make_part_from_store(whole_parts(tmp_path)))
    path = tmp_path / "tiny"
    folder = generate_folder(tiny_file(), path, workers=1)
    assert folder.path == path
    assert verify(path).content_sha256 == folder.content_sha256 == content_sha256(whole[0])
    assert load(path).meta == whole[0].meta
    assert sorted(os.listdir(path)) == [*(f"group-{i:06d}.h5" for i in range(N_GROUPS)), "manifest.json"]
    assert sorted(os.listdir(tmp_path)) == ["store", "tiny"], "the parts are gone"


def test_a_folder_appears_whole_and_goes_on_after_an_interruption(whole, tmp_path, monkeypatch):
    worked_on = []

    def watched(recipe_text, folder, device, group) -> None:
        worked_on.append(group.index)
        make_part_from_store(store)(recipe_text, folder, device, group)
        for name in (f"group-{group.index:06d}.h5", "manifest.json"):
            (folder / f".{name}.host.1.{'a' * 32}.tmp").write_bytes(b"of somebody who was killed")

    store, path = whole_parts(tmp_path), tmp_path / "tiny"
    monkeypatch.setattr(generate_module, "_make_part", watched)
    with pytest.raises(KeyboardInterrupt):
        generate_folder(tiny_file(), path, workers=1, progress=Interrupting(after=2))
    assert not path.exists()
    for name in ("describe", "write_manifest", "move_out"):
        with monkeypatch.context() as patch:
            patch.setattr(generate_module, name, interrupted)
            with pytest.raises(KeyboardInterrupt):
                generate_folder(tiny_file(), path, workers=1)
        assert not path.exists()
    generate_folder(tiny_file(), path, workers=1)
    assert sorted(worked_on) == [0, 1, 2], "no shard is made twice"
    assert verify(path).content_sha256 == content_sha256(whole[0])
    assert sorted(os.listdir(tmp_path)) == ["store", "tiny"]


def interrupted(*_):
    raise KeyboardInterrupt


def test_a_folder_that_exists_is_never_replaced(tmp_path, no_work):
    path = tmp_path / "tiny"
    path.mkdir()
    (path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="never replaced"):
        generate_folder(tiny_file(), path, workers=1)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="never replaced"):
        generate_folder(tiny_file(), tmp_path / "file", workers=1)
    with pytest.raises(UsageError, match="does not exist"):
        generate_folder(tiny_file(), tmp_path / "none" / "tiny", workers=1)
    assert os.listdir(path) == ["thesis.txt"]


def test_a_folder_needs_the_memory_of_a_worker_only(tmp_path, no_work):
    cost = compute_cost(tiny_file().recipe, make_plan(tiny_file().recipe))
    with pytest.raises(UsageError, match="--max-memory"):
        generate_folder(tiny_file(), tmp_path / "x", workers=1, limits=Limits(max_memory=cost.worker_bytes - 1))
    assert cost.worker_bytes <= cost.memory_bytes


# ------------------------------------------------------------------------------------- what the world does meanwhile


@pytest.mark.parametrize("fraction", [0, 1, N_GROUPS])
def test_a_folder_that_disappears(fraction, tmp_path, monkeypatch):
    made = whole_parts(tmp_path)

    def make_part(recipe_text, folder, device, group) -> None:
        write(load(part_path(made, group.index)), part_path(folder, group.index), sweep=False)

    monkeypatch.setattr(generate_module, "_make_part", make_part)
    folder = tmp_path / "out"
    folder.mkdir()

    def remove(done, total, group) -> None:
        if len(list(folder.rglob("group-*.h5"))) == fraction:
            shutil.rmtree(folder)

    with pytest.raises(UsageError, match=r"out/.* does not exist|is not in .*out/"):
        generate(tiny_file(), folder / "data.h5", workers=1, progress=remove)
    assert not folder.exists()


def test_a_clock_that_goes_backwards(whole, tmp_path, monkeypatch):
    times = iter(range(2**40, 0, -3600))
    monkeypatch.setattr(time, "time", lambda: float(next(times)))
    monkeypatch.setattr(time, "time_ns", lambda: next(times) * 10**9)
    path = tmp_path / "data.h5"
    with pytest.raises(KeyboardInterrupt):
        generate(tiny_file(), path, workers=1, progress=Interrupting(after=1))
    for part in path.with_name("data.h5.parts").rglob("*"):
        os.utime(part, (2**32, 2**32))
    assert content_sha256(generate(tiny_file(), path, workers=1)) == content_sha256(whole[0])
    assert os.listdir(tmp_path) == ["data.h5"]


def left_by_a_kill(path: Path, dataset) -> None:
    """An output that is whole, and the shards that nobody had the time to remove."""
    with parts_folder(path, generate_module._made_with(tiny_file(), "cpu")) as folder:
        (folder / "group-000000.h5").write_bytes(b"a shard")
    write(dataset, path)
    (path.parent / f".data.h5.host.1.{'0' * 32}.tmp").write_bytes(b"half")


def test_an_output_that_a_killed_call_had_just_finished_is_tidied_up(whole, tmp_path, no_work):
    path = tmp_path / "data.h5"
    left_by_a_kill(path, whole[0])
    before, said = path.read_bytes(), []
    assert content_sha256(generate(tiny_file(), path, workers=1, say=said.append)) == content_sha256(whole[0])
    assert said == [f"{path} was whole already; an earlier call was stopped before it had tidied up."]
    assert (os.listdir(tmp_path), path.read_bytes()) == (["data.h5"], before)
    with pytest.raises(UsageError, match="already exists"):
        generate(tiny_file(), path)


def test_a_folder_that_a_killed_call_had_just_finished_is_tidied_up(tmp_path, monkeypatch):
    monkeypatch.setattr(generate_module, "_make_part", make_part_from_store(whole_parts(tmp_path)))
    path, said = tmp_path / "tiny", []
    with monkeypatch.context() as patch:
        patch.setattr(generate_module, "remove_unfinished", lambda folder: interrupted() if folder == path else None)
        with pytest.raises(KeyboardInterrupt):
            generate_folder(tiny_file(), path, workers=1)
    path.with_name("tiny.parts").mkdir()  # what a kill leaves and an interruption does not
    digest = verify(path).content_sha256
    assert generate_folder(tiny_file(), path, workers=1, say=said.append).content_sha256 == digest
    assert said == [f"{path} was whole already; an earlier call was stopped before it had tidied up."]
    assert sorted(os.listdir(tmp_path)) == ["store", "tiny"]
    with pytest.raises(UsageError, match="never replaced"):
        generate_folder(tiny_file(), path)


@pytest.mark.parametrize("what", ["another recipe", "damage", "other versions", "no data set"])
def test_any_other_output_beside_shards_is_refused_and_untouched(what, whole, tmp_path, monkeypatch, no_work):
    path, recipe = tmp_path / "data.h5", tiny_file()
    left_by_a_kill(path, whole[0])
    match what:
        case "another recipe":
            path.unlink()
            meta = replace(whole[0].meta, recipe_text="other", recipe_sha256=hashlib.sha256(b"other").hexdigest())
            write(Dataset(whole[0].columns, meta), path)
        case "damage":
            path.write_bytes(path.read_bytes()[:-1000])
        case "other versions":
            path.unlink()
            write(Dataset(whole[0].columns, replace(whole[0].meta, package_versions={"numpy": "0.1"})), path)
        case "no data set":
            path.write_text("precious")
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(UsageError, match="already exists"):
        generate(recipe, path)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
