"""`curvebench logs`, as a person and as a program meets it."""

from __future__ import annotations

from pathlib import Path

from command import command

FILES = Path(__file__).parent / "files"


def test_a_table_and_what_had_to_be_decided():
    done = command("logs", FILES / "keras.csv")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0].split() == ["run", "format", "points", "steps", "loss", "also", "logged"]
    assert lines[1].startswith("(start 1 of 2)")
    assert "2.083 to 1.427" in lines[1]
    assert "331.2 to nan" in lines[2]
    assert "The loss is 'loss'; there is also 'mae'." in lines
    place = lines.index("(start 2 of 2):")
    assert lines[place + 1] == "  Not finite, and left as logged: 7 of 8 loss values."


def test_json():
    (first, second) = command("logs", FILES / "keras.csv", "--json").json
    assert (first["run"], first["format"], first["n_points"]) == ("(start 1 of 2)", "keras-csv", 6)
    assert (first["first_step"], first["last_step"], first["grad_norm"]) == (0, 5, None)
    assert second["train_loss"] == {"first": 331.1636047363281, "last": "nan"}
    assert any("7 of 8" in note for note in second["notes"])


def test_names_and_their_absence():
    done = command("logs", FILES / "keras.csv", "--y", "mae", "--json")
    assert done.json[0]["train_loss"]["first"] == 1.0625715255737305
    done = command("logs", FILES / "keras.csv", "--y", "val_los")
    assert (done.code, done.out) == (3, "")
    assert "Did you mean 'val_loss'?" in done.err
    assert done.err.count("\n") == 1


def test_no_log():
    done = command("logs", FILES / "no-such-log")
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith("error: ")
    assert "no such file or folder" in done.err
