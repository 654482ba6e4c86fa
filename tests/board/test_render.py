import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from command import command
from oracles.answers_on_cases import made_up_cases_report
from oracles.stored_results import write_result

from curvebench.board.render import CASES_FILE, MAX_PAGE_BYTES, build, json_block, render
from curvebench.board.stored import DataSet, read_results
from curvebench.cases.scores import agreement
from curvebench.data import store
from curvebench.data.dataset import Dataset, content_sha256
from curvebench.spec import InputError, UsageError


@pytest.fixture(scope="module")
def folder(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rendered")
    build(made.results, folder, made.data)
    return folder


@pytest.fixture(scope="module")
def page(folder):
    return (folder / "index.html").read_text(encoding="utf-8")


class Elements(HTMLParser):
    """Tags with their attributes, and what stands between the tags of scripts and styles."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.tags, self.inside, self.open = [], [], None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.open = (tag, dict(attrs))
        self.tags.append(self.open)

    def handle_endtag(self, tag):
        self.open = None

    def handle_data(self, data):
        if self.open and self.open[0] in ("script", "style"):
            self.inside.append((*self.open, data))


def test_another_process_renders_the_same_bytes_from_files_in_another_order(made, folder, tmp_path):
    results = tmp_path / "results"
    for path in sorted(made.results.glob("*/*"), reverse=True):
        (results / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, results / path.parent.name)
    shutil.copy(made.results.parent / CASES_FILE, tmp_path)
    (tmp_path / "out").mkdir()
    arguments = ["leaderboard", "build", "--results", results, "-o", tmp_path / "out", "--data", made.data]
    subprocess.run(
        [sys.executable, "-m", "curvebench", *map(str, arguments)],
        check=True, capture_output=True, timeout=100, env={**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"},
    )  # fmt: skip
    for name in ("index.html", "README.md"):
        assert (tmp_path / "out" / name).read_bytes() == (folder / name).read_bytes()


def test_the_policy_allows_our_script_and_style_and_nothing_else(page):
    elements = Elements(page)
    policy = next(a["content"] for t, a in elements.tags if t == "meta" and "http-equiv" in a)
    hashes = {}
    for tag, attributes, text in elements.inside:
        if attributes.get("type") != "application/json":
            hashes[tag] = "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; script-src '{hashes['script']}'; style-src '{hashes['style']}'; "
        "base-uri 'none'; form-action 'none'"
    )
    names = {name for _, attributes in elements.tags for name in attributes}
    assert not {name for name in names if name.startswith("on")} | names & {"src", "style", "srcdoc", "action"}
    assert {a["href"][0] for t, a in elements.tags if "href" in a} == {"#"}


def test_our_scripts_never_make_markup_of_text(page):
    script = next(text for tag, a, text in Elements(page).inside if tag == "script" and not a)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|Function\(|setTimeout", script)


def test_a_json_block_cannot_be_left():
    texts = ["</script>", "<!--", "<script", "]]>", "&lt;", "\u2028"]
    block = json_block(texts)
    assert not set("<>&\u2028") & set(block)
    assert json.loads(block) == texts


def test_a_table_for_each_version_the_newest_first(page):
    assert re.findall(r'data-set="([^"]+)"', page) == ["made-up-v2", "made-up-v1"]


def test_no_text_of_a_result_becomes_markup(made, tmp_path):
    evil = '"><script>window.hacked=1</script><img src=x onerror=alert(1)>{{ 7 * 7 }}|`[x](http://e.vil)'
    slug = re.sub(r"[^a-z0-9._-]", "-", evil)[:80]
    keys = ("description", "source", "message", "version", "sha256", "time", "machine", "python", "package", "rerun")
    write_result(
        tmp_path, made.dataset, evil, slug=slug, texts=dict.fromkeys((*keys, "package_version"), evil),
        mapping={evil: evil}, kind="tool",
    )  # fmt: skip
    clean = Elements(render(read_results(made.results)).page)
    board = render(read_results(tmp_path))
    dirty = Elements(board.page)
    assert {t for t, _ in dirty.tags} <= {t for t, _ in clean.tags} | {"span"}
    assert sum(t == "script" for t, _ in dirty.tags) == sum(t == "script" for t, _ in clean.tags) == 2
    assert "49" not in re.sub(r"[0-9a-f]{20,}|[0-9]+\.[0-9]+", "", board.page[board.page.index("<tbody") :][:2000])
    for sign in ("<script", "<img", "](http"):
        assert sign not in board.readme.replace("](../docs", "").replace("](index", "")


def test_a_board_without_a_data_set_has_no_curves(made):
    board = render(read_results(made.results))
    assert board.n_curves == 0
    assert 'href="#/curves"' not in board.page


def test_the_page_stays_small_with_many_diagnosers(made, tmp_path):
    """Thirty with three tracks each, from the difference that one makes, beside three hundred curves of 128 points."""
    for name in ("a", "b"):
        write_result(tmp_path, made.dataset, name, slug=name, tracks=("curve", "telemetry", "config"))
    ((data_set, submissions),) = read_results(tmp_path).items()
    one, two = (render({data_set: submissions[:n]}, made.dataset) for n in (1, 2))
    n_bytes = len(one.page) * (128 / 32) * (300 / one.n_curves) + 29 * (len(two.page) - len(one.page))
    assert n_bytes < MAX_PAGE_BYTES


def test_the_readme_has_every_line_of_the_tables(made, folder):
    readme, _, real = (folder / "README.md").read_text(encoding="utf-8").partition("## On real runs")
    lines = [line for line in readme.splitlines() if line.startswith("| ") and "diagnoser |" not in line]
    assert {line.count("|") - line.count("\\|") for line in lines} == {10}
    n_whole = sum(
        e.view == "whole" for s in read_results(made.results).values() for one in s for e in one.result.evaluations
    )
    assert len(lines) == n_whole
    assert "| broken | own | curve | timed out |" in readme
    assert "plateau-watcher (subset: " in readme
    rows = [line for line in real.splitlines() if line.startswith("| ") and "diagnoser |" not in line]
    assert [line.split(" | ")[0] for line in rows] == ["| constant", "| rules", "| half-seeing", "| broken"]
    assert {line.count("|") for line in rows} == {7}


# ---------------------------------------------------------------------------------------------- command, errors


def test_the_command_says_what_it_made(made, tmp_path):
    done = command("leaderboard", "build", "--results", made.results, "-o", tmp_path, "--json")
    assert (done.code, done.err) == (0, "")
    assert done.json["results"] == 5
    assert {path.name for path in tmp_path.iterdir()} == {"README.md", "index.html"}


def test_help_has_an_example():
    done = command("leaderboard", "build", "--help")
    assert "Example: curvebench leaderboard build" in done.out


def test_another_data_set_is_refused(made, make_dataset, tmp_path):
    store.write(make_dataset(n_cells=6), tmp_path / "other.h5")
    done = command("leaderboard", "build", "--results", made.results, "-o", tmp_path, "--data", tmp_path / "other.h5")
    assert done.code == 3
    assert "No result is about the data set that was given" in done.err
    assert not (tmp_path / "index.html").exists()


def test_a_folder_that_is_not_there_is_a_sentence(made, tmp_path):
    with pytest.raises(UsageError, match="There is no folder"):
        build(tmp_path / "none", tmp_path)
    with pytest.raises(UsageError, match="There is no folder"):
        build(made.results, tmp_path / "none")


def test_a_page_that_is_too_large_is_refused(made, monkeypatch):
    monkeypatch.setattr("curvebench.board.render.MAX_PAGE_BYTES", 1000)
    with pytest.raises(InputError, match="render fewer results"):
        render(read_results(made.results))


def test_hostile_texts_of_a_data_set_stay_texts(made):
    evil = "</script><b>x"
    columns = {**made.dataset.columns, "problem_family": np.full(len(made.dataset), evil)}
    dataset = Dataset(columns, made.dataset.meta)
    about = DataSet(name="made-up", version=1, content_sha256=content_sha256(dataset), n_points=dataset.n_points)
    page = render({about: []}, dataset).page
    assert "\\u003c/script\\u003e\\u003cb\\u003ex" in page
    assert evil not in page


# --------------------------------------------------------------------------------------------------- real cases


def test_shares_on_real_cases_are_those_of_the_stored_answers(made, page):
    found = agreement(made.cases.cases.cases, made.cases.verdicts[0].said, made.cases.verdicts[0].abstained)
    table = page[page.index('<table class="real">') : page.index("</table>", page.index('<table class="real">'))]
    line = next(row for row in table.split("<tr>") if 'row">rules' in row)
    low, high = found.right_of_answered.interval
    assert f">{100 * found.right_of_answered.value:.0f} <small>[{100 * low:.0f}, {100 * high:.0f}]" in line
    assert f"30 of {found.n_sources} sources" in table
    assert "50 % abstained" in table
    assert '<span class="mark bad">failed</span>' in table


def test_a_board_without_real_cases_has_no_section_on_them(made):
    board = render(read_results(made.results))
    assert "On real runs" not in board.page + board.readme


def test_names_on_real_cases_stay_texts(made):
    evil = '"><script>window.hacked=1</script>|`[x](http://e.vil){{ 7 * 7 }}'
    clean, dirty = (
        render(read_results(made.results), cases=made_up_cases_report(name)) for name in ("half-seeing", evil)
    )
    assert [t for t, _ in Elements(dirty.page).tags] == [t for t, _ in Elements(clean.page).tags]
    assert "{{ 7" in dirty.page
    assert "<script" not in dirty.readme
    assert "](http" not in dirty.readme.replace("](../docs", "").replace("](index", "")


def test_a_file_on_cases_that_was_named_must_be_one(made, tmp_path):
    (tmp_path / "x.json").write_text("{}")
    done = command("leaderboard", "build", "--results", made.results, "-o", tmp_path, "--cases", tmp_path / "x.json")
    assert done.code == 3
    assert "lacks the key" in done.err
