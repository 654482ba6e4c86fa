"""The page in a real browser: by mouse, by keyboard, on a phone, in the dark, printed, and under attack."""

from __future__ import annotations

import re
import shutil
from contextlib import contextmanager

import numpy as np
import pytest
from oracles.stored_results import write_result

from curvebench.board.render import build
from curvebench.data import store
from curvebench.data.dataset import Dataset

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
PAGES = ("#/", "#/diagnoser/made-up-v1/plateau-watcher", "#/diagnoser/made-up-v1/broken", "#/curves")
EVIL = '"><script>window.hacked=1</script><img src=x onerror="window.hacked=1">javascript:window.hacked=1'


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def address(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    build(made.results, folder, made.data)
    return (folder / "index.html").as_uri()


@contextmanager
def opened(browser, address, route="#/", **options):
    """The page, watched: whatever it asks of a network, complains of or breaks the policy with fails the test."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
    page = context.new_page()
    requests, complaints = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(address + route)
    yield page
    context.close()
    assert set(requests) <= {address, address + route}
    assert complaints == []


def column(page, title, split="test"):
    """Texts of a column of the first table's lines that are shown."""
    titles = [t.inner_text().split("\n")[0] for t in page.locator("table.board").nth(1).locator("thead th").all()]
    at = next(i for i, text in enumerate(titles) if text.startswith(title))
    rows = page.locator("table.board").nth(1).locator(f'tbody[data-split="{split}"] tr:not(.group):visible')
    cell = "th a" if title == "Diagnoser" else f"> :nth-child({at + 1})"
    return [row.locator(cell).inner_text().split("\n")[0] for row in rows.all()]


def as_numbers(texts):
    return [float(text.replace("−", "-")) for text in texts if re.match(r"[−\d]", text)]


# ------------------------------------------------------------------------------------------------- tables


def test_titles_sort_both_ways_and_say_so(browser, address):
    with opened(browser, address) as page:
        table = page.locator("table.board").nth(1)
        before = as_numbers(column(page, "Value"))
        assert before == sorted(before, reverse=True)
        assert len(before) == 4
        for title in ("Value", "Macro F1", "Log loss", "Worst view"):
            header = table.get_by_role("columnheader", name=title)
            for _ in range(2):
                header.get_by_role("button").click()
                direction = header.get_attribute("aria-sort")
                values = as_numbers(column(page, title))
                assert values == sorted(values, reverse=direction == "descending")
                assert column(page, "Diagnoser")[-1] == "broken"
                assert table.locator("th[aria-sort]").count() == 1
        table.get_by_role("columnheader", name="Diagnoser").get_by_role("button").click()
        names = column(page, "Diagnoser")
        assert names == sorted(names)


def test_filters_show_what_they_say(browser, address):
    with opened(browser, address) as page:
        assert page.get_by_role("status").inner_text() == "6 lines"
        page.get_by_label("Track").select_option("telemetry")
        assert column(page, "Diagnoser") == ["zoo/late-slope"]
        page.get_by_label("Track").select_option("")
        page.get_by_label("Kind").select_option("tool")
        assert column(page, "Diagnoser") == ["plateau-watcher"]
        assert column(page, "Diagnoser", "test_ood") == []
        page.get_by_label("Split").select_option("test_ood")
        assert column(page, "Diagnoser", "test_ood") == ["plateau-watcher"]
        page.get_by_label("Kind").select_option("")
        page.get_by_label("Name").fill("SLOPE")
        assert set(column(page, "Diagnoser", "test_ood")) == {"zoo/late-slope"}
        page.get_by_label("Name").fill("nobody")
        assert page.get_by_role("status").inner_text() == "0 lines"


def test_of_the_one_liners_only_the_best_are_shown_at_first(browser, made, tmp_path):
    results = tmp_path / "results"
    for i, skill in enumerate((0.5, 2.0, 1.0)):
        write_result(results, made.dataset, f"zoo/{i}", slug=f"zoo-{i}", kind="one-liner", skill=skill, seed=i)
    write_result(results, made.dataset, "rules", slug="rules", kind="rules", skill=0.1, seed=4)
    build(results, tmp_path)
    with opened(browser, (tmp_path / "index.html").as_uri()) as page:
        assert page.get_by_role("status").inner_text() == "2 lines"
        shown = page.locator('tbody[data-split="test"] tr:not(.group):visible th a').all_inner_texts()
        page.get_by_label("Kind").select_option("")
        assert page.get_by_role("status").inner_text() == "4 lines"
        everybody = page.locator('tbody[data-split="test"] tr:not(.group):visible th a').all_inner_texts()
        assert set(shown) == {"rules", next(name for name in everybody if name.startswith("zoo"))}
        page.get_by_label("Kind").select_option("best")
        page.get_by_label("Name").fill(everybody[-1] if everybody[-1] != "rules" else everybody[-2])
        assert page.get_by_role("status").inner_text() == "1 line"


def test_not_covered_is_told_from_wrong_and_subsets_are_marked(browser, address):
    with opened(browser, address) as page:
        row = page.get_by_role("row", name="plateau-watcher").first
        assert re.search(r"\d+\s% right, \d+\s% not covered, \d+\s% wrong", row.inner_text())
        assert "subset" in row.inner_text()
        others = page.get_by_role("row", name="zoo/late-slope").first.inner_text()
        assert "not covered" not in others
        assert "subset" not in others


def test_the_tables_are_whole_without_scripts(browser, address):
    with opened(browser, address, java_script_enabled=False) as page:
        assert page.locator("tbody tr:not(.group):visible").count() == 10 + 2 + 4
        assert page.locator("noscript").count() == 1
        assert not page.locator("#filters").is_visible()


# ----------------------------------------------------------------------------------------- a diagnoser's page


def test_a_diagnoser_has_a_page(browser, address):
    with opened(browser, address) as page:
        page.locator("table.board").nth(1).get_by_role("link", name="plateau-watcher").first.click()
        assert page.get_by_role("heading", level=1).inner_text() == "plateau-watcher"
        assert page.title().startswith("plateau-watcher")
        matrix = page.get_by_role("table", name="Label in the rows")
        assert matrix.locator("tbody tr").count() == 6
        assert matrix.locator("tbody tr.uncovered").count() == 3
        assert matrix.get_by_role("rowheader", name="output_mismatch not covered").count() == 1
        for name in ("Reliability diagram", "Value against the fraction", "Accuracy against severity"):
            assert page.get_by_role("img", name=name).is_visible()
        assert page.get_by_role("table", name="The same runs, logged differently").get_by_text("worst").count() == 1
        assert page.get_by_role("row", name="loss explodes lr_too_high").is_visible()
        source = page.get_by_role("link", name="https://example.org/paper")
        assert source.get_attribute("rel") == "noopener noreferrer"
        value = page.locator(".tile b").first.inner_text()
        page.locator("#diagnoser").get_by_label("Split").select_option("test_ood")
        assert page.locator(".tile b").first.inner_text() != value
        page.go_back()
        assert page.get_by_role("heading", level=1).inner_text() == "Who can read a loss curve?"


def test_a_failure_says_why_and_has_no_figures(browser, address):
    with opened(browser, address, "#/diagnoser/made-up-v1/broken") as page:
        assert "timed out took longer than 600 s" in page.locator(".note:visible").inner_text().replace("\n", " ")
        assert page.locator(".tile").count() == 0


def test_an_address_that_leads_nowhere_shows_the_board(browser, address):
    for route in ("#/diagnoser/none/none", "#/%E0%A4%A", "#/constructor/__proto__"):
        with opened(browser, address, route) as page:
            assert page.get_by_role("heading", level=1).inner_text() == "Who can read a loss curve?"


# ------------------------------------------------------------------------------------------------- explorer


def test_the_explorer_shows_curves_remedies_and_verdicts(browser, address):
    with opened(browser, address, "#/curves") as page:
        page.get_by_label("Label").select_option("late_lr_too_high")
        labels = page.locator(".strip .diagnosis").all_inner_texts()
        assert set(labels) == {"late_lr_too_high"}
        assert page.get_by_role("status").inner_text() == f"{len(labels)} curves"
        page.get_by_label("Difficulty").select_option("easy")
        assert 0 < page.locator(".strip li").count() < len(labels)
        page.get_by_label("Difficulty").select_option("")
        remedies = page.get_by_label("The same run after")
        assert "resume" in remedies.locator("option:checked").inner_text()
        assert page.locator("figure .after").count() > 0
        remedies.select_option("all")
        assert page.locator("figure svg.plot .after").count() > 3
        assert page.get_by_role("img", name=re.compile("Training loss of .*resume", re.DOTALL)).count() == 1
        assert page.get_by_role("img", name="Gain of each remedy").is_visible()
        verdicts = page.get_by_role("table", name="Verdicts on this curve")
        assert verdicts.locator("tbody tr").count() == 4
        states = verdicts.locator("tbody tr", has_text="plateau-watcher").locator(".mark").inner_text()
        assert states in ("not covered", "not asked", "right", "abstained")
        first = page.locator(".detail code").inner_text()
        page.get_by_role("link", name="Next").click()
        assert page.locator(".detail code").inner_text() != first


def test_the_explorer_finds_where_one_is_right_and_another_wrong(browser, address):
    with opened(browser, address, "#/curves") as page:
        page.get_by_label("Who is right").select_option(label="rules")
        page.get_by_label("Who is wrong").select_option(label="zoo/late-slope (curve)")
        n_fitting = page.locator(".strip li").count()
        assert 0 < n_fitting < 100
        for i in range(min(3, n_fitting)):
            page.locator(".strip a").nth(i).click()
            rows = page.get_by_role("table", name="Verdicts on this curve").locator("tbody tr")
            assert (
                rows.filter(has=page.get_by_role("link", name="rules", exact=True)).locator(".mark").inner_text()
                == "right"
            )
            wrong = rows.filter(has=page.get_by_role("link", name="zoo/late-slope (curve)", exact=True))
            assert wrong.locator(".mark").inner_text() == "wrong"


def test_phenomena_filter_and_a_curve_has_an_address(browser, address):
    with opened(browser, address, "#/curves") as page:
        shows = page.get_by_label("Shows")
        name = shows.locator("option").nth(1).inner_text()
        shows.select_option(index=1)
        page.locator(".strip a").last.click()
        assert name in page.locator(".detail .facts").inner_text()
        there = page.url
        run = page.locator(".detail code").inner_text()
    with opened(browser, address, there[there.index("#") :]) as page:
        assert page.locator(".detail code").inner_text() == run


# ----------------------------------------------------------------------------------- everybody, everywhere

OVERFLOWING = """() => [...document.querySelectorAll("main *, header *, footer *")]
  .filter((e) => e.checkVisibility() && !e.closest(".wide, .strip, .unseen, select, title"))
  .filter((e) => e.getBoundingClientRect().right > innerWidth + 0.5)
  .map((e) => e.outerHTML.slice(0, 120))"""
"""What reaches beyond the right edge, but for what scrolls by itself."""

FAINT = """() => {
  const parse = (text) => {
    const [n, full] = [text.match(/[\\d.]+/g).map(Number), text.startsWith("color(") ? 255 : 1];
    return [...n.slice(0, 3).map((x) => full * x), n[3] ?? 1];
  };
  const over = (top, under) => top.slice(0, 3).map((c, i) => c * top[3] + under[i] * (1 - top[3]));
  const behind = (e) => {
    if (!e) return [255, 255, 255];
    const own = parse(getComputedStyle(e).backgroundColor);
    return own[3] === 1 ? own.slice(0, 3) : over(own, behind(e.parentElement));
  };
  const linear = (x) => x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const hasText = (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  const contrast = (e) => {
    const isDrawn = e instanceof SVGElement;
    const ground = behind(isDrawn ? e.closest("svg").parentElement : e);
    const { color, fill } = getComputedStyle(e);
    const [a, b] = [luminance(over(parse(isDrawn ? fill : color), ground)), luminance(ground)];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  };
  return [...document.querySelectorAll("body *")]
    .filter((e) => e.checkVisibility() && hasText(e) && !e.closest(".off, option, script, style, title, desc"))
    .filter((e) => contrast(e) < 4.5).map((e) => `${contrast(e).toFixed(2)} ${e.outerHTML.slice(0, 100)}`);
}"""
"""Texts whose contrast is below 4.5 (WCAG 2.2, success criterion 1.4.3)."""


@pytest.mark.parametrize("width", [360, 700])
def test_nothing_overflows_a_small_screen(browser, address, width):
    for route in PAGES:
        with opened(browser, address, route, viewport={"width": width, "height": 740}) as page:
            assert page.evaluate("document.documentElement.scrollWidth") <= width, route
            assert page.evaluate(OVERFLOWING) == [], route


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_in_both_schemes(browser, address, scheme):
    for route in PAGES:
        with opened(browser, address, route, color_scheme=scheme) as page:
            red, _, _ = map(
                int, re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor"))[:3]
            )
            assert (red < 60) == (scheme == "dark")
            assert page.evaluate(FAINT) == [], route


def test_everything_works_by_keyboard(browser, address):
    with opened(browser, address) as page:
        focused = "document.activeElement.textContent"
        page.keyboard.press("Tab")
        assert page.evaluate(focused) == "Skip to the content"
        seen = []
        for _ in range(60):
            page.keyboard.press("Tab")
            seen.append(page.evaluate(focused))
            if seen[-1] == "Macro F1":
                break
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
        page.keyboard.press("Enter")
        assert page.locator("th[aria-sort]").first.inner_text().startswith("Macro F1")
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.hash") == "#/diagnoser/made-up-v2/rules":
                break
        page.keyboard.press("Enter")
        page.wait_for_url("**#/diagnoser/made-up-v2/rules")
        page.wait_for_function("document.activeElement.tagName + document.activeElement.textContent === 'H1rules'")


def test_a_screen_reader_finds_names_for_everything(browser, address):
    nameless = """() => [...document.querySelectorAll("select, input, a, button, table, [role=img], [role=region]")]
      .filter((e) => e.checkVisibility()).filter((e) => !(e.textContent.trim() || e.labels?.[0]?.textContent.trim()
        || e.getAttribute("aria-label") || e.caption)).map((e) => e.outerHTML.slice(0, 100))"""
    for route in PAGES:
        with opened(browser, address, route) as page:
            assert page.evaluate(nameless) == []
            assert page.locator("h1:visible").count() == 1
            assert page.locator("table:not(:has(caption))").count() == 0
            ids = page.locator("[id]").evaluate_all("all => all.map((e) => e.id)")
            assert len(set(ids)) == len(ids)


def test_print_leaves_out_what_paper_cannot_do(browser, address):
    with opened(browser, address, color_scheme="dark") as page:
        page.emulate_media(media="print", color_scheme="dark")
        assert not page.locator("#filters").is_visible()
        assert page.locator("table.board").first.is_visible()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.pdf().startswith(b"%PDF")


def test_no_text_of_a_result_or_a_data_set_runs(browser, make_dataset, tmp_path):
    dataset = make_dataset(n_cells=6, n_points=16)
    columns = {
        **dataset.columns,
        "problem_family": np.full(len(dataset), EVIL[:30]),
        "problem": np.full(len(dataset), "p"),
    }
    columns["run"] = np.array([f"{i}<img src=x onerror=a>" for i in range(len(dataset))])
    dataset = Dataset(columns, dataset.meta)
    store.write(dataset, tmp_path / "data.h5")
    slug = re.sub(r"[^a-z0-9._-]", "-", EVIL)[:80]
    keys = ("description", "source", "version", "sha256", "time", "machine", "python", "package", "package_version")
    texts = dict.fromkeys((*keys, "rerun", "message"), EVIL)
    write_result(tmp_path / "results", dataset, EVIL, slug=slug, texts=texts, mapping={EVIL: EVIL}, kind="tool")
    failed = EVIL.replace("1", "2")
    slug_2 = re.sub(r"[^a-z0-9._-]", "-", failed)[:80]
    write_result(tmp_path / "results", dataset, failed, slug=slug_2, texts=texts, status="failed")
    build(tmp_path / "results", tmp_path, tmp_path / "data.h5")
    address = (tmp_path / "index.html").as_uri()
    for route in ("#/", f"#/diagnoser/made-up-v1/{slug}", f"#/diagnoser/made-up-v1/{slug_2}", "#/curves"):
        with opened(browser, address, route, viewport={"width": 360, "height": 740}) as page:
            for details in page.locator("summary:visible").all():
                details.click()
            assert page.evaluate("window.hacked === undefined")
            assert page.locator("img, iframe, object, embed").count() == 0
            assert page.locator("script").count() == 2
            assert page.get_by_text("<img src=x").count() > 0
            assert page.evaluate("document.documentElement.scrollWidth") <= 360
            assert {a[:1] for a in page.locator("a").evaluate_all("all => all.map((a) => a.getAttribute('href'))")} == {
                "#"
            }
