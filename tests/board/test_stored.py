import contextlib
import json
import os
import shutil
import zipfile
from typing import get_args

import numpy as np
import pytest
from oracles.stored_results import write_result

from curvebench.board.stored import DiagnosisName, Kind, Split, Status, Track, View, read_answers, read_results
from curvebench.data.views import VIEWS
from curvebench.diagnosers import KINDS
from curvebench.evaluation.report import OWN, STATUSES, slug
from curvebench.evaluation.reporting import make_report
from curvebench.evaluation.stored_results import store_report
from curvebench.spec import DIAGNOSES, SPLITS, TRACKS, InputError


@pytest.fixture(scope="module")
def written(make_dataset, tmp_path_factory):
    return write_result(tmp_path_factory.mktemp("stored"), make_dataset(n_cells=6), "mine", slug="mine")


@pytest.fixture
def path(written, tmp_path):
    shutil.copytree(written.parent, tmp_path / written.parent.name)
    return tmp_path / written.parent.name / written.name


def changed(path, change):
    result = json.loads(path.read_text())
    change(result)
    path.write_text(json.dumps(result))


def test_data_sets_come_with_the_newest_version_first(made):
    assert [d.folder for d in read_results(made.results)] == ["made-up-v2", "made-up-v1"]


def test_no_results_is_a_sentence(tmp_path):
    with pytest.raises(InputError, match="There are no results"):
        read_results(tmp_path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda r: r.update(version=2), "'version'"),
        (lambda r: r.pop("diagnoser"), "'diagnoser': Field required"),
        (lambda r: r["diagnoser"].update(name=["x"]), r"'diagnoser\.name'"),
        (lambda r: r["diagnoser"].update(kind="<b>"), r"'diagnoser\.kind'"),
        (lambda r: r["diagnoser"].update(name="other"), "asks for the file other.json"),
        (lambda r: r["data_set"].update(version=7), "a folder of that name"),
        (lambda r: r["data_set"].update(name="../../etc"), r"'data_set\.name'"),
        (lambda r: r["evaluations"][0].update(track="all"), r"'evaluations\.0\.track'"),
        (lambda r: r["evaluations"][0].update(confusion=[[1, 2], [3, 4]]), r"'evaluations\.0\.confusion\.0'"),
        (lambda r: r["evaluations"][0]["scores"].update(value="1"), r"'evaluations\.0\.scores\.value'"),
        (lambda r: r["evaluations"].append(r["evaluations"][0]), "two evaluations of the same"),
    ],
)  # fmt: skip
def test_what_is_no_result_is_refused_in_a_sentence(path, change, sentence):
    changed(path, change)
    with pytest.raises(InputError, match=sentence):
        read_results(path.parents[1])


@pytest.mark.parametrize("text", ["", "[]", '{"format": NaN}', "[" * 100_000, "\xff", '{"format": 1e999}'])
def test_what_is_no_json_object_is_refused(path, text):
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match="is no result"):
        read_results(path.parents[1])


def test_nan_is_refused(path):
    path.write_text(path.read_text().replace('"microseconds_per_curve": 18.3', '"microseconds_per_curve": NaN'))
    with pytest.raises(InputError, match="microseconds_per_curve"):
        read_results(path.parents[1])


def test_two_contents_under_one_name_are_refused(path):
    other = path.with_name("other.json")
    shutil.copy(path, other)
    changed(other, lambda r: (r["diagnoser"].update(name="other"), r["data_set"].update(content_sha256="0" * 64)))
    with pytest.raises(InputError, match="different contents"):
        read_results(path.parents[1])


# ---------------------------------------------------------------------------------------------------- answers


def answers_of(path):
    file = path.with_name("mine.predictions.npz")
    with np.load(file) as stored:
        return file, dict(stored)


def test_answers_are_read_as_they_were_stored(path):
    file, stored = answers_of(path)
    answers = read_answers(file, 96).of(0, len(stored["prediction_0"]), 9)
    assert np.array_equal(answers.prediction, stored["prediction_0"])
    assert np.array_equal(answers.probabilities, stored["probabilities_0"])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"run": np.array([0.5])}, "numbers of rows"),
        ({"run": np.array([1, 1])}, "numbers of rows"),
        ({"run": np.array([10**6])}, "rows, has not"),
        ({"run": np.array([-1])}, "rows, has not"),
        ({"run": np.array([{}], dtype=object)}, "cannot be read"),
        ({"prediction_0": np.full(3, 1, dtype=np.uint8)}, "have the shapes"),
        ({"prediction_0": None}, "does not hold the answers of evaluation 0"),
        ({"prediction_0": 9}, "that there is not"),
        ({"remedy_0": 99}, "that there is not"),
    ],
)  # fmt: skip
def test_answers_that_do_not_fit_are_refused_in_a_sentence(path, change, sentence):
    file, stored = answers_of(path)
    n = len(stored["prediction_0"])
    for name, value in change.items():
        if value is None:
            del stored[name]
        else:
            stored[name] = np.full_like(stored[name], value) if isinstance(value, int) else value
    np.savez(file, **stored)
    with pytest.raises(InputError, match=sentence):
        read_answers(file, 96).of(0, n, 9)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"x" * 1000])
def test_damaged_answers_are_refused(path, content):
    file, _ = answers_of(path)
    file.write_bytes(content)
    with pytest.raises(InputError, match="cannot be read as stored answers"):
        read_answers(file, 96)


def npy(header: str) -> bytes:
    """An array that begins with a header of one's own."""
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(8)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1152921504606846976,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,), }",
        "(" * 5000,
        "-" * 9000 + "1",
        "{[]: 1}",
    ],
    ids=lambda header: header[:60],
)
def test_arrays_that_would_trouble_a_parser_are_refused(path, header):
    file, stored = answers_of(path)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("prediction_99.npy", npy(header))  # a number that no evaluation has
    with pytest.raises(InputError, match=r"cannot be read as stored answers|does not hold|have the shapes"):
        read_answers(file, 96).of(99, len(stored["prediction_0"]), 9)


def test_answers_are_refused_whatever_byte_is_changed(path):
    file, stored = answers_of(path)
    image, n = file.read_bytes(), len(stored["prediction_0"])
    for place in range(0, len(image), 7):
        mutant = bytearray(image)
        mutant[place] ^= 0x55
        file.write_bytes(mutant)
        with contextlib.suppress(InputError):
            read_answers(file, 96).of(0, n, 9)


def test_a_pipe_is_not_waited_for(path):
    file, _ = answers_of(path)
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(InputError, match="not a plain file"):
        read_answers(file, 96)


# --------------------------------------------------------------------------------- what is really stored


def test_it_knows_every_word_that_a_result_may_hold():
    words = {View: tuple(VIEWS), Status: STATUSES, Kind: (*KINDS, OWN), Track: tuple(TRACKS), Split: SPLITS}
    for known, held in {**words, DiagnosisName: DIAGNOSES}.items():
        assert set(get_args(known)) == set(held)


def test_what_an_evaluation_stores_is_read_here_as_it_is_there(make_dataset, tmp_path):
    dataset = make_dataset(n_cells=12, n_points=16)
    report = make_report(dataset, "rules")
    path = store_report(report, tmp_path)
    ((data_set, (submission,)),) = read_results(tmp_path).items()
    assert (data_set.folder, submission.slug) == (report.data_set.folder, slug(report.diagnoser.name))
    stored = json.loads(path.read_bytes())
    left_out = {"worst_view", "transfer", "predictions_sha256"}
    assert json.loads(submission.result.model_dump_json()) == {k: v for k, v in stored.items() if k not in left_out}
    answers = read_answers(submission.answers_path, len(dataset))
    n_runs = report.evaluation("test").counts.n_runs
    np.testing.assert_array_equal(
        answers.of(0, n_runs, len(dataset.meta.remedies)).probabilities, report.answers[0].probabilities
    )
