"""A short form of every campaign, so that none stops working and what they watch over stays watched."""

from __future__ import annotations

import pytest
from campaigns import flips, fuzz, hostile, kills
from oracles.mutations import mutate


@pytest.mark.parametrize("is_folder", [False, True])
def test_flips(is_folder):
    found = flips.changes(n_flips=60, n_cuts=20, seed=1, n_runs=24, is_folder=is_folder)
    assert (found["flips_silent"], found["cuts_silent"], found["cuts_harmless"]) == (0, 0, 0)
    assert found["flips_refused"] + found["flips_harmless"] == 60
    assert found["flips_refused"] > 40
    assert found["cuts_refused"] == 20
    assert not (is_folder and found["flips_harmless"])


def test_disorder():
    found = flips.disorder()
    assert (found.pop("harmless"), found.pop("silent")) == (0, 0)
    refused = found.pop("refused")
    assert refused == sum(found.values()) > 100
    assert set(found) == {"missing", "renamed", "extra", "link", "swapped", "overwritten", "lies"}


def test_a_change_that_nobody_notices_would_be_counted(monkeypatch):
    monkeypatch.setattr(flips.store, "verify", lambda path: None)
    monkeypatch.setattr(flips, "_all_that_is_read", lambda path: path.read_bytes())
    assert flips.changes(n_flips=5, n_cuts=2)["flips_silent"] == 5


def test_hostile():
    found = hostile.run(n_mutants=25, seed=1)
    assert found["refused_by_design"] == found["refused_as_shards"] == found["files_by_design"] == len(hostile.HOSTILE)
    assert (found["accepted_by_design"], found["failed_otherwise"]) == (0, 0)


def is_unharmed(found):
    return not any(found[key] for key in ("half_written", "restart_failed", "other_content", "left_behind"))


@pytest.mark.parametrize("is_folder", [False, True])
def test_kills_at_random_times(is_folder):
    found = kills.at_random_times(n_kills=3, seed=1, is_folder=is_folder)
    assert found["kills"] == 3
    assert is_unharmed(found), found


@pytest.mark.parametrize("is_folder", [False, True])
def test_kills_at_steps(is_folder):
    found = kills.at_every_step(stride=11, is_folder=is_folder)
    assert found["kills"] >= 4
    assert found["shards_left"] > 0
    assert is_unharmed(found), found


def test_a_restart_that_goes_wrong_would_be_counted(monkeypatch):
    true_restart = kills._restart

    def restart(place, digest, figures):
        true_restart(place, digest, figures)
        (place.parent / ".data.h5.host.1.tmp").write_text("half")
        figures["left_behind"] += not place.is_done

    monkeypatch.setattr(kills, "_restart", restart)
    assert not is_unharmed(kills.at_every_step(stride=40))


@pytest.mark.parametrize("name", fuzz.TARGETS)
def test_changes_to_good_files(name):
    assert fuzz.by_changes(name, n_inputs=40, seed=7)["failures"] == []


@pytest.mark.parametrize("name", fuzz.TARGETS)
def test_extremes(name):
    assert fuzz.extremes(name)["failures"] == []


@pytest.mark.parametrize("name", fuzz.TARGETS)
def test_good_files_are_read_or_refused_for_what_they_are(name):
    for content in fuzz.TARGETS[name].seeds():
        fuzz.attempt(name, content)


def test_what_a_reader_must_not_do_would_be_counted(monkeypatch):
    def read(content):
        raise KeyError("loss")

    monkeypatch.setitem(fuzz.TARGETS, "logs", fuzz.Target(read, lambda: [b"loss"]))
    assert fuzz.by_changes("logs", n_inputs=2)["failures"] == ["input 0: KeyError: 'loss'", "input 1: KeyError: 'loss'"]


def test_changes_are_the_same_for_the_same_seed():
    assert mutate(b"epoch,loss\n1,2\n" * 9, 3) == mutate(b"epoch,loss\n1,2\n" * 9, 3)
    assert len({mutate(b"epoch,loss\n1,2\n" * 9, seed) for seed in range(50)}) > 40
