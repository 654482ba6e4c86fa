"""`curvebench diagnose` and `curvebench calibrate`, as a person and as a program meet them."""

from __future__ import annotations

import json
import re
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from command import command

FILES = Path(__file__).parents[1] / "logs" / "files"


def write_log(path: Path, losses, name: str = "loss") -> Path:
    path.write_text(f"epoch,{name}\n" + "".join(f"{i},{loss}\n" for i, loss in enumerate(losses)))
    return path


@pytest.fixture
def exploding(tmp_path) -> Path:
    return write_log(tmp_path / "log.csv", [*np.geomspace(2.3, 90, 12), *[np.nan] * 20])


def test_a_verdict_in_words(exploding):
    done = command("diagnose", exploding, "--diagnoser", "rules")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == "The run: lr_too_high"
    said = {line[:15].strip(): line[17:] for line in lines[1:]}
    assert said["remedy"].startswith("Start again with the learning rate times 0.0")
    assert re.match(
        r"of the (\d+) most similar runs where it was tried it helped \d+%, median gain 0\.\d\d ", said["precedents"]
    )
    assert said["read"] == "Not finite, and left as logged: 20 of 32 loss values."


def test_several_runs_are_several_verdicts():
    (first, second) = command("diagnose", FILES / "keras.csv", "--json").json
    assert first["run"] == "(start 1 of 2)"
    assert first["likeliest"] == max(first["probabilities"], key=first["probabilities"].get)
    assert (first["diagnosis"] is None) == bool(first["abstains_because"])
    assert second["n_points"] == 8
    assert "The loss is 'loss'; there is also 'mae'." in first["notes"]
    assert sum(first["probabilities"].values()) == pytest.approx(1)


def test_several_logs(exploding):
    assert len(command("diagnose", exploding, FILES / "keras.csv", "--json").json) == 3


def test_names_are_given_as_for_logs():
    done = command("diagnose", FILES / "keras.csv", "--y", "mae", "--json")
    assert done.json[0]["loss_name"] == "mae"


def test_a_picture(exploding, tmp_path):
    picture = tmp_path / "verdict.png"
    assert command("diagnose", exploding, "--plot", picture).code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    done = command("diagnose", exploding, "--plot", picture)
    assert (done.code, done.out) == (2, "")


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["no-such-log"], 3, "no such file"),
        (["LOG", "-d", "boosting"], 2, "was not fitted yet"),
        (["LOG", "-d", "rulez"], 2, "Did you mean 'rules'"),
        (["LOG", "-d", "published/plateau-val"], 2, "this log has no val_loss"),
        (["LOG", "--plot", "verdict.txt"], 2, "must end in"),
        (["LOG", "LOG", "--watch"], 2, "One log is watched at a time"),
    ],
)
def test_mistakes_are_sentences(exploding, arguments, code, sentence):
    done = command("diagnose", *[exploding if word == "LOG" else word for word in arguments])
    assert (done.code, done.out) == (code, "")
    assert sentence in done.err
    assert done.err.count("\n") == 1


def test_watching_a_log_that_grows(tmp_path):
    log = tmp_path / "log.csv"
    losses = [*np.geomspace(2.3, 90, 12), *[np.nan] * 62]
    started = time.monotonic()

    def train():
        write_log(log, losses[:14])
        for n in range(14, len(losses), 4):
            time.sleep(0.1)
            with log.open("a") as file:
                file.writelines(f"{i},{losses[i]}\n" for i in range(n, n + 4))

    training = threading.Thread(target=train)
    training.start()
    done = command("diagnose", log, "--watch", "--every", "0.05", "--patience", "20", "-d", "rules", "--json")
    training.join()
    assert (done.code, done.err) == (0, "")
    (verdict,) = done.json
    assert verdict["diagnosis"] == "lr_too_high"
    assert 14 < verdict["n_points"] <= len(losses)
    assert time.monotonic() - started < 20, "it spoke before its patience ended"


def test_watching_a_log_that_ends(tmp_path):
    done = command(
        "diagnose", write_log(tmp_path / "log.csv", [2.0, 1.5]), "--watch", "--every", "0.05", "--patience", "0.2"
    )
    assert (done.code, done.out) == (1, "")
    assert "silent for 0.2 seconds before the verdict was firm" in done.err
    done = command("diagnose", tmp_path / "none.csv", "--watch", "--every", "0.05", "--patience", "0.2")
    assert done.code == 1
    assert "Nothing that can be read" in done.err
    assert done.err.count("There is no such file or folder") == 2, "at once, and at the end"


def test_a_wrong_name_is_told_at_once_when_watching(tmp_path):
    log = write_log(tmp_path / "log.csv", [2.0, 1.5])
    done = command("diagnose", log, "--watch", "--every", "0.05", "--patience", "0.2", "--y", "los")
    assert done.code == 1
    assert done.err.startswith(f"waiting: {log}: There is no 'los' to take for the loss. Did you mean 'loss'?")


def test_calibrating(tmp_path):
    done = command("calibrate", "mini", "-q", "--json", "-o", tmp_path / "limits.json")
    assert done.code == 0, done.err
    said = done.json
    assert json.loads((tmp_path / "limits.json").read_text()) == said["limits"]
    assert said["chosen"]["test"]["accuracy"] >= 0.8
    points = said["curves"]["test"]
    assert [p["coverage"] for p in points] == sorted((p["coverage"] for p in points), reverse=True)
    shown = command("calibrate", "mini", "-q").out
    assert shown.startswith("least probability")
    assert "by the points of the log" in shown
