"""The page on other tools: its commands and its code are run as printed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from command import command
from extras import REASONS

from curvebench.interchange import FORMATS

PAGE = (Path(__file__).parents[2] / "docs" / "interchange.md").read_text(encoding="utf-8")
CODE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What the commands of the page leave behind."""
    pytest.importorskip("pyarrow")
    folder = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for line in re.search(r"```bash\n(.*?)```", PAGE, re.DOTALL)[1].splitlines():
            name, *arguments = shlex.split(line)
            assert (name, command(*arguments).code) == ("curvebench", 0)
    return folder


@pytest.mark.parametrize("code", CODE, ids=lambda code: code.splitlines()[1])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_the_code_runs(folder, monkeypatch, code):
    for package in re.findall(r"^(?:from|import) (\w+)", code, re.MULTILINE):
        pytest.importorskip(package, reason=REASONS.get(package))
        if package == "datasets":
            monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
            monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", folder / "cache")
    monkeypatch.chdir(folder)
    exec(compile(code, "interchange.md", "exec"), {})


def test_every_format_is_on_the_page():
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == set(FORMATS)
