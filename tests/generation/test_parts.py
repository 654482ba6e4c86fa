"""The folder of unfinished work: in one hand at a time, whatever happens to the hand."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

from curvebench.generation import parts
from curvebench.generation.parts import part_path, parts_folder, remove_parts
from curvebench.spec import UsageError

WITH = {"recipe": "a", "device": "cpu"}

needs_locks = pytest.mark.skipif(not parts.HAS_LOCKS, reason="this system has no such locks")


@pytest.fixture
def output(tmp_path):
    return tmp_path / "data.h5"


def test_what_was_made_with_the_same_lies_in_the_same_folder(output):
    def folder_of(made_with):
        with parts_folder(output, made_with) as folder:
            assert folder.is_dir()
        return folder

    assert folder_of(WITH) == folder_of(dict(reversed(WITH.items())))
    others = [folder_of({**WITH, **other}) for other in ({"recipe": "b"}, {"device": "cuda"}, {"numpy": "1"})]
    assert len({folder_of(WITH), *others}) == 4
    assert os.listdir(output.parent) == [], "what is empty is removed"


def test_parts_stay_until_they_are_removed_and_then_all_of_them(output):
    for made_with in ({}, WITH):
        with parts_folder(output, made_with) as folder:
            part_path(folder, 3).write_text("shard")
            (folder / ".group-000004.h5.host.1.a.tmp").write_text("half a shard")
            (folder / "manifest.json").write_text("of a folder that was never moved out")
        assert part_path(folder, 3).exists()
    with parts_folder(output, WITH) as folder:
        remove_parts(folder)
    assert os.listdir(output.parent) == []


@needs_locks
def test_only_one_has_it_at_a_time(output):
    with parts_folder(output, WITH):
        for made_with in (WITH, {}):
            with pytest.raises(UsageError, match="in use by another call"), parts_folder(output, made_with):
                pytest.fail("two have it")
        with parts_folder(output.with_name("other.h5"), WITH):
            pass
    with parts_folder(output, WITH):
        pass
    assert os.listdir(output.parent) == []


@needs_locks
def test_another_process_is_noticed_and_forgotten_when_it_is_killed(output):
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from curvebench.generation.parts import parts_folder\n"
        "with parts_folder(Path(sys.argv[1]), {}):\n"
        "    print('mine', flush=True)\n"
        "    time.sleep(100)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", code, output], stdout=subprocess.PIPE, env=environment)
    with process:
        assert process.stdout.readline() == b"mine\n"
        with pytest.raises(UsageError, match="in use"), parts_folder(output, {}):
            pytest.fail("two have it")
        process.kill()
    with parts_folder(output, {}):
        pass
    assert os.listdir(output.parent) == []


@needs_locks
def test_a_lock_on_a_file_that_its_last_holder_removed_is_none(output, monkeypatch):
    """Between opening and locking, the other call may have ended."""
    true_flock = parts.fcntl.flock

    def flock_after_the_end_of_the_other(descriptor, operation):
        (output.with_name("data.h5.parts") / parts.LOCK).unlink()
        true_flock(descriptor, operation)

    monkeypatch.setattr(parts.fcntl, "flock", flock_after_the_end_of_the_other)
    with pytest.raises(UsageError, match="in use"), parts_folder(output, {}):
        pytest.fail("somebody else may have it")


@needs_locks
def test_a_file_system_without_locks_lets_everybody_in(output, monkeypatch):
    def flock(descriptor, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(parts.fcntl, "flock", flock)
    with parts_folder(output, {}), parts_folder(output, {}) as folder:
        assert folder.is_dir()
    assert os.listdir(output.parent) == []


def test_a_system_without_locks_imports_it_and_leaves_nothing_behind(output):
    code = (
        "import sys\n"
        "sys.modules['fcntl'] = None\n"
        "from pathlib import Path\n"
        "from curvebench.generation.parts import HAS_LOCKS, parts_folder\n"
        "with parts_folder(Path(sys.argv[1]), {}) as folder:\n"
        "    sys.exit(HAS_LOCKS or not folder.is_dir())\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code, output], env=environment).returncode == 0
    assert os.listdir(output.parent) == []


def test_a_folder_that_cannot_be_made_is_a_sentence(output):
    output.with_name("data.h5.parts").write_text("a file")
    with pytest.raises(UsageError, match=r"unfinished work cannot be made: File exists\.$"), parts_folder(output, {}):
        pytest.fail("there is none")
    assert output.with_name("data.h5.parts").read_text() == "a file"
