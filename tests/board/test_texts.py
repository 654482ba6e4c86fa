import re

from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from curvebench.board.texts import clean, link_target, to_markdown

EVIL = "<script>alert(1)</script> [a](javascript:b) ![x](http://y) `c` | **d** | www.e.com https://f.g @h {{ 1 }} &lt;"


@given(st.text(max_size=300), st.integers(1, 100))
def test_clean_is_one_short_line_and_clean_twice_is_clean_once(text, limit):
    line = clean(text, limit)
    assert len(line) <= limit
    assert len(line.splitlines()) <= 1
    assert not re.search("[\x00-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]", line)
    assert clean(line, limit) == line


def test_what_is_plain_stays():
    assert clean("zoo/late-slope (größte Änderung) 曲線", 60) == "zoo/late-slope (größte Änderung) 曲線"


def test_letters_do_not_become_towers():
    assert clean("a" + "\u0301" * 50 + "b", 60) == "a" + "\u0301" * 2 + "b"


@given(st.text(max_size=80))
@example(EVIL)
@example("a_b_ *c* ~~d~~ <!-- e --> \\| \\")
def test_markdown_shows_the_text_and_nothing_else(text):
    shown = clean(text, 200)
    table = f"| a | b |\n|---|---|\n| {to_markdown(shown)} | end |\n"
    html = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(table)
    cells = re.findall(r"<td>(.*?)</td>", html)
    assert set(re.findall(r"</?([a-z0-9]+)", html)) <= {"table", "thead", "tbody", "tr", "th", "td"}
    entities = {"&lt;": "<", "&gt;": ">", "&quot;": '"', "&amp;": "&"}
    assert re.sub("&[a-z]+;", lambda found: entities[found[0]], cells[0]) == shown.strip()
    assert cells[1:] == ["end"]


def test_bare_addresses_do_not_become_links():
    for start in ("www.", "http://", "https://", "a@b."):
        assert start not in to_markdown(f"{start}example.org")


def test_only_web_addresses_become_links():
    good = ["https://arxiv.org/abs/1506.01186", "http://a.b:80/c?d=e&f=g#h", "https://example.org"]
    bad = [
        "javascript:alert(1)",
        "data:text/html,x",
        "https://",
        "see https://a.b",
        "https://a.b/ c",
        'https://a/"x',
        "",
    ]
    assert [link_target(text) for text in good] == good
    assert [link_target(text) for text in bad] == [None] * len(bad)
