"""The pictures: what is in them, read off the figure, and the files that they become."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import xml.etree.ElementTree as ET
import zlib

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from curvebench import plots
from curvebench.data.counterfactuals import curve_after
from curvebench.data.dataset import Dataset
from curvebench.data.neighbours import lookalikes
from curvebench.data.phenomena import PHENOMENA, find_phenomena
from curvebench.generation.label import Thresholds
from curvebench.plots.injected import count_injected
from curvebench.spec import DIAGNOSES, InputError, UsageError


@pytest.fixture(scope="module")
def dataset(make_dataset):
    made = make_dataset(n_cells=24, n_points=12)
    return Dataset(made.columns, dataclasses.replace(made.meta, thresholds=Thresholds().to_dict()))


def changed(dataset, **columns):
    return Dataset({**dataset.columns, **columns}, dataset.meta)


def lines(axes, style):
    """Lines of a style with something to see; the thin ones that lie faintly behind left out."""
    return [
        line
        for line in axes.lines
        if line.get_linestyle() == style and np.isfinite(line.get_ydata()).sum() > 1 and line.get_linewidth() > 1
    ]


def rendered(figure):
    """Draw it, as a file or a screen would; everything that is wrong with a figure shows then."""
    FigureCanvasAgg(figure).draw()
    return figure


# ---------------------------------------------------------------------------------------------- gallery


def test_the_gallery_has_a_panel_per_diagnosis_with_curves_and_what_the_remedy_made_of_them(dataset):
    figure = rendered(plots.draw_gallery(dataset))
    assert [axes.get_title(loc="left") for axes in figure.axes] == list(DIAGNOSES)
    for axes, diagnosis in zip(figure.axes, DIAGNOSES, strict=True):
        assert axes.get_yscale() == "log"
        assert plots.MEANING[diagnosis] in {text.get_text() for text in axes.texts}
        assert len(lines(axes, "-")) == plots.EXAMPLES
        labels = [text.get_text() for text in axes.get_legend().get_texts()]
        assert len(labels) == plots.EXAMPLES
        if diagnosis == "healthy":
            assert all(label.endswith("nothing helps") for label in labels)
        else:
            assert all("loss −" in label for label in labels)
            assert len([line for line in axes.lines if line.get_marker() == "o"]) == plots.EXAMPLES
        if diagnosis.startswith("late"):
            assert len(lines(axes, "--")) == plots.EXAMPLES


def test_nothing_in_the_gallery_lies_on_anything_else(dataset):
    figure = rendered(plots.draw_gallery(dataset))
    renderer = figure.canvas.get_renderer()
    boxes = []
    for axes in figure.axes:
        legend = axes.get_legend().get_window_extent(renderer)
        assert not legend.overlaps(axes.get_window_extent(renderer)), "the legend covers no curve"
        title, meaning = (text.get_window_extent(renderer) for text in (axes._left_title, axes.texts[0]))
        assert not title.overlaps(meaning)
        boxes.append(axes.get_tightbbox(renderer))
    _, height = figure.canvas.get_width_height()
    for i, box in enumerate(boxes):
        assert box.y0 >= 0
        assert box.y1 <= height
        assert sum(box.overlaps(other) for other in boxes[i + 3 :: 3]) == 0, "no panel reaches into the one below"


def test_the_dashed_line_is_the_remedied_run(dataset):
    row = plots.choose_examples(dataset, "late_lr_too_low")[0]
    axes = plots.draw_gallery(dataset, {"late_lr_too_low": [row]}).axes[DIAGNOSES.index("late_lr_too_low")]
    (drawn,) = lines(axes, "--")
    best = int(np.nanargmax(np.where(_is_resume_up(dataset), dataset["remedy_gain"][row], np.nan)))
    wanted = plots.smooth(curve_after(dataset, row, best).astype(float) / float(dataset["loss_cap"][row]))
    np.testing.assert_array_equal(drawn.get_ydata(), wanted)


def _is_resume_up(dataset):
    return np.array([r.action == "resume" and r.factor > 1 and r.at >= 0.5 for r in dataset.meta.remedies])


def test_examples_have_the_label_come_from_different_families_and_are_the_same_at_every_call(dataset):
    for diagnosis in DIAGNOSES:
        rows = plots.choose_examples(dataset, diagnosis)
        assert len(set(rows)) == plots.EXAMPLES
        assert set(dataset["diagnosis"][rows]) == {diagnosis}
        assert len(set(dataset["problem_family"][rows])) == plots.EXAMPLES
        assert rows == plots.choose_examples(dataset, diagnosis)
    too_high = plots.choose_examples(dataset, "lr_too_high")
    assert 0 < dataset["diverged"][too_high].sum() < plots.EXAMPLES


def test_labels_that_are_missing_leave_a_panel_that_says_so(dataset):
    figure = rendered(plots.draw_gallery(dataset.select(dataset["diagnosis"] == "healthy")))
    for axes, diagnosis in zip(figure.axes, DIAGNOSES, strict=True):
        says_so = "no such run in this data set" in {text.get_text() for text in axes.texts}
        assert says_so == (diagnosis != "healthy")


def _all_nan(dataset):
    names = ("train_loss", "val_loss", "grad_norm", "resumed_train_loss", "final_loss", "remedy_final_loss")
    return changed(dataset, **{name: np.full_like(dataset[name], np.nan) for name in names})


def _all_inf(dataset):
    return changed(dataset, **{name: np.full_like(dataset[name], np.inf) for name in ("train_loss", "val_loss")})


def _zero(dataset):
    return changed(dataset, **{name: np.zeros_like(dataset[name]) for name in ("train_loss", "val_loss")})


def _largest(dataset):
    largest = np.finfo(np.float32).max
    return changed(
        dataset, train_loss=np.full_like(dataset["train_loss"], largest), loss_cap=dataset["loss_cap"] * 1e-30
    )


def _nothing_tried(dataset):
    return changed(dataset, remedy_gain=np.full_like(dataset["remedy_gain"], np.nan))


def _one_run(dataset):
    return dataset.select([0])


@pytest.mark.parametrize("odd", [_all_nan, _all_inf, _zero, _largest, _nothing_tried, _one_run])
def test_odd_data_are_drawn_all_the_same(dataset, odd):
    strange = odd(dataset)
    rendered(plots.draw_gallery(strange))
    rendered(plots.draw_run(strange, 0))


def test_curves_of_one_point_are_drawn_as_dots(make_dataset):
    figure = rendered(plots.draw_gallery(make_dataset(n_cells=12, n_points=1)))
    assert sum(line.get_marker() == "." for line in figure.axes[0].lines) >= plots.EXAMPLES


def test_what_explodes_does_not_squash_the_rest(dataset):
    loss = dataset["train_loss"].copy()
    loss[:, 3:] = 1e30
    exploding = changed(dataset, train_loss=loss)
    for axes in [*plots.draw_gallery(exploding).axes, plots.draw_run(exploding, 0).axes[0]]:
        cap = 1.0 if axes.get_title(loc="left") else float(dataset["loss_cap"][0])
        low, high = axes.get_ylim()
        assert high <= plots.SHOWN_RANGE[1] * cap * (1 + 1e-6)
        assert low >= plots.SHOWN_RANGE[0] * cap * (1 - 1e-6)


def test_a_cross_marks_where_a_run_died(dataset):
    row = int(np.flatnonzero((dataset["diverged"] == 1) & (dataset["diagnosis"] == "lr_too_high"))[0])
    axes = plots.draw_gallery(dataset, {"lr_too_high": [row]}).axes[0]
    (cross,) = [line for line in axes.lines if line.get_marker() == "x"]
    last = np.flatnonzero(np.isfinite(dataset["train_loss"][row]))[-1]
    assert cross.get_xdata()[0] == dataset["step"][row, last] / dataset["step"][row, -1]
    low, high = axes.get_ylim()
    assert low < cross.get_ydata()[0] < high


def test_ticks_are_plain_numbers(dataset):
    for axes in rendered(plots.draw_gallery(dataset)).axes:
        low, high = axes.get_ylim()
        ticks = [
            t.get_text() for t, y in zip(axes.get_yticklabels(), axes.get_yticks(), strict=True) if low <= y <= high
        ]
        assert len(ticks) >= 2
        assert all(float(tick) > 0 for tick in ticks)


def test_smoothing_is_a_running_median_of_what_is_finite():
    rng = np.random.default_rng(1)
    curve = rng.lognormal(size=40)
    curve[[5, 30]] = np.nan, np.inf
    smoothed = plots.smooth(curve)
    finite = [i for i in range(40) if i not in (5, 30)]
    for place, i in enumerate(finite):
        assert smoothed[i] == np.median([curve[j] for j in finite[max(0, place - 3) : place + 4]])
    assert np.isnan(smoothed[5])
    assert np.isinf(smoothed[30])


# ----------------------------------------------------------------------------------------------- one run


@pytest.mark.parametrize("label", ["lr_too_high", "late_lr_too_low", "healthy", "other", "indeterminate"])
def test_a_run_with_every_resumption_and_every_gain(dataset, label):
    row = int(np.flatnonzero(dataset["diagnosis"] == label)[0])
    curves, gains = rendered(plots.draw_run(dataset, row)).axes
    resumed = [line for line in curves.lines if line.get_linestyle() == "--" and line.get_color() in plots.COLOURS[:2]]
    assert len(resumed) == len(dataset.meta.resumes)
    assert {"training loss", "validation loss"} <= set(curves.get_legend_handles_labels()[1])
    tried = ~np.isnan(dataset["remedy_gain"][row])
    assert len(gains.patches) == tried.sum() - 1
    names = [text.get_text() for text in gains.get_yticklabels()]
    assert names == [str(r) for r, is_tried in zip(dataset.meta.remedies, tried, strict=True) if is_tried][1:]
    np.testing.assert_allclose([bar.get_width() for bar in gains.patches], dataset["remedy_gain"][row][tried][1:])


def test_the_title_names_the_run_the_label_and_what_is_accepted_beside(dataset):
    accepted = dataset["accepted"].copy()
    row = int(np.flatnonzero(dataset["diagnosis"] == "lr_too_low")[0])
    accepted[row, DIAGNOSES.index("late_lr_too_low")] = 1
    title = plots.draw_run(changed(dataset, accepted=accepted), row).get_suptitle()
    assert title.startswith(f"{dataset['run'][row]}: lr_too_low (also accepted: late_lr_too_low)\n")
    assert dataset["problem"][row] in title


def test_runs_are_found_by_name(dataset):
    assert plots.find_run(dataset, str(dataset["run"][7])) == 7
    with pytest.raises(UsageError, match=r"There is no run '0-0-0' in the data set\. Runs are named like 0-"):
        plots.find_run(dataset, "0-0-0")


# ------------------------------------------------------------------------------------------- lookalikes


@pytest.fixture(scope="module")
def flat(make_dataset):
    """Plateaus of one shape whatever the label."""
    made = make_dataset(n_cells=48, n_points=24)
    shape = 0.2 + 0.8 * np.exp(-30 * np.linspace(0, 1, 24))
    noise = np.random.default_rng(0).normal(0, 0.02, (len(made), 24))
    return changed(
        made, train_loss=shape * np.exp(noise), loss_floor=np.where(made.cell_rate % 2, made["final_loss"], np.nan)
    )


def test_lookalikes_have_a_panel_for_every_two_causes_with_the_closest_pair(flat):
    found = lookalikes(flat)
    figure = rendered(plots.draw_lookalikes(flat, found))
    assert [tuple(axes.get_title(loc="left").split("\n")) for axes in figure.axes] == list(found)
    for axes, pairs in zip(figure.axes, found.values(), strict=True):
        assert len(pairs.rows) > 1
        assert axes.get_yscale() == "log"
        assert axes.texts[0].get_text() == f"{len(pairs.rows)} pairs"
        for line, row in zip(lines(axes, "-"), pairs.rows[0], strict=True):
            loss = flat["train_loss"][row].astype(float)
            np.testing.assert_allclose(line.get_ydata(), loss / np.exp(np.log(loss).mean()))
            low, high = axes.get_ylim()
            assert low < line.get_ydata().min() < line.get_ydata().max() < high
        labels = [text.get_text() for text in axes.get_legend().get_texts()]
        families = flat["problem_family"][pairs.rows[0]]
        assert labels == [f"{cause}: {family}" for cause, family in zip(pairs.causes, families, strict=True)]


def test_causes_without_lookalikes_leave_an_empty_panel(dataset):
    figure = rendered(plots.draw_lookalikes(dataset.select(dataset.labels == "lr_too_low")))
    assert [axes.texts[0].get_text() for axes in figure.axes] == ["0 pairs"] * 10
    assert all(axes.get_legend() is None for axes in figure.axes)


def test_lookalikes_become_a_file(flat, tmp_path):
    runs = plots.save_plot(flat, None, tmp_path / "a.png", lookalikes=True)
    assert len(runs) == 20
    assert _png_chunks((tmp_path / "a.png").read_bytes())
    with pytest.raises(UsageError, match="ask for one of them"):
        plots.save_plot(flat, runs[0], tmp_path / "b.png", lookalikes=True)


# --------------------------------------------------------------------------------------- causes and labels


def texts_by_place(axes):
    """The number in each field of a table: (row, column) -> text."""
    return {(round(text.get_position()[1]), round(text.get_position()[0])): text.get_text() for text in axes.texts}


def test_causes_and_labels_are_counted_run_by_run_and_framed_where_they_agree(dataset):
    injected = np.roll(dataset["injected"], 7)
    mixed = changed(dataset, injected=injected)
    expected = dict.fromkeys(np.ndindex(6, 6), 0)
    for cause, label in zip(injected.tolist(), dataset.labels.tolist(), strict=True):
        if label in DIAGNOSES:
            expected[DIAGNOSES.index(cause), DIAGNOSES.index(label)] += 1
    assert {place: int(n) for place, n in np.ndenumerate(count_injected(mixed))} == expected
    agree, n_scored = sum(expected[i, i] for i in range(6)), sum(expected.values())
    assert 0 < agree < n_scored < len(dataset), "some agree, some do not, and some have no diagnosis"

    figure = rendered(plots.draw_injected(mixed))
    (axes,) = figure.axes
    assert texts_by_place(axes) == {place: f"{n:,}" for place, n in expected.items()}
    framed = {(round(p.get_y() + p.get_height() / 2), round(p.get_x() + p.get_width() / 2)) for p in axes.patches}
    assert framed == {(i, i) for i in range(6)}
    assert [tick.get_text() for tick in axes.get_xticklabels()] == list(DIAGNOSES)
    rows = [f"{name}\n{sum(expected[i, j] for j in range(6)):,} runs" for i, name in enumerate(DIAGNOSES)]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == rows
    assert figure.get_supxlabel() == f"framed: both agree, as in {agree / n_scored:.0%} of {n_scored:,} scored runs"


def test_a_data_set_without_scored_runs_has_an_empty_table(dataset):
    unscored = dataset.select(~np.isin(dataset.labels, DIAGNOSES))
    assert len(unscored) > 0
    figure = rendered(plots.draw_injected(unscored))
    assert set(texts_by_place(figure.axes[0]).values()) == {"0"}
    assert "0% of 0 scored runs" in figure.get_supxlabel()


def test_causes_and_labels_become_a_file(dataset, tmp_path):
    assert plots.save_plot(dataset, None, tmp_path / "a.png", injected=True) == []
    assert _png_chunks((tmp_path / "a.png").read_bytes())
    for others in ({"run": str(dataset["run"][0])}, {"run": None, "lookalikes": True}):
        with pytest.raises(UsageError, match="ask for one of them"):
            plots.save_plot(dataset, path=tmp_path / "b.png", injected=True, **others)
    assert not (tmp_path / "b.png").exists()


# ------------------------------------------------------------------------------------------------- files


def _png_chunks(image):
    """Types of the chunks of a PNG file; their checksums are compared."""
    assert image.startswith(b"\x89PNG\r\n\x1a\n")
    place, kinds = 8, []
    while place < len(image):
        length = int.from_bytes(image[place : place + 4])
        body, checksum = image[place + 4 : place + 8 + length], image[place + 8 + length : place + 12 + length]
        assert zlib.crc32(body) == int.from_bytes(checksum)
        kinds.append(body[:4])
        place += 12 + length
    return kinds


def test_png(dataset, tmp_path):
    runs = plots.save_plot(dataset, None, tmp_path / "a.png")
    kinds = _png_chunks((tmp_path / "a.png").read_bytes())
    assert (kinds[0], kinds[-1]) == (b"IHDR", b"IEND")
    assert len(runs) == plots.EXAMPLES * len(DIAGNOSES)
    assert set(runs) <= set(dataset["run"])


@pytest.mark.parametrize("ending", ["svg", "pdf", "png"])
def test_the_same_picture_has_the_same_bytes(dataset, tmp_path, ending):
    run = str(dataset["run"][0])
    for name in ("a", "b"):
        assert plots.save_plot(dataset, run, tmp_path / f"{name}.{ending}") == [run]
    one, other = ((tmp_path / f"{name}.{ending}").read_bytes() for name in ("a", "b"))
    assert one == other
    if ending == "svg":
        assert ET.fromstring(one).tag == "{http://www.w3.org/2000/svg}svg"
    if ending == "pdf":
        assert one.startswith(b"%PDF-")


def test_every_phenomenon_has_its_panel_and_only_its_own_runs(dataset):
    figure = plots.draw_phenomena(dataset)
    panels = [axes for axes in figure.axes if axes.get_title(loc="left")]
    assert [axes.get_title(loc="left") for axes in panels] == list(PHENOMENA)
    for axes, is_shown in zip(panels, find_phenomena(dataset).values(), strict=True):
        shown = np.flatnonzero(is_shown)
        curves = [line.get_ydata() for line in axes.lines if len(line.get_ydata()) == dataset["train_loss"].shape[1]]
        assert len(curves) == min(plots.EXAMPLES, len(shown))
        relative = dataset["train_loss"][shown].astype(float) / dataset["loss_cap"][shown, None]
        for curve in curves:
            visible = ~np.isnan(curve)
            assert any(np.array_equal(row[visible], curve[visible]) for row in relative)
        texts = [text.get_text() for text in axes.texts]
        assert ("no such run in this data set" in texts) == (len(shown) == 0)


@pytest.mark.parametrize("name", ["picture", "picture.jpg", "picture.h5", ".png"])
def test_unknown_endings_are_refused(dataset, tmp_path, name):
    with pytest.raises(UsageError, match=r"must end in \.png, \.svg, \.pdf"):
        plots.save_plot(dataset, None, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_data_set_has_nothing_to_draw(dataset, tmp_path):
    with pytest.raises(InputError, match="nothing to draw"):
        plots.save_plot(dataset.select([]), None, tmp_path / "a.png")


def test_a_file_that_exists_is_kept_unless_asked(dataset, tmp_path):
    (tmp_path / "a.png").write_text("precious")
    with pytest.raises(UsageError, match="already exists"):
        plots.save_plot(dataset, None, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_text() == "precious"


def test_global_state_of_matplotlib_is_left_alone(dataset, tmp_path):
    before = dict(mpl.rcParams)
    plots.save_plot(dataset, str(dataset["run"][0]), tmp_path / "a.svg")
    assert dict(mpl.rcParams) == before


def test_pyplot_is_never_imported(dataset, tmp_path):
    from curvebench.data.store import write

    write(dataset, tmp_path / "d.h5")
    code = (
        "import sys; from curvebench.plots import save_plot; from curvebench import load\n"
        f"assert 'matplotlib' not in sys.modules\nsave_plot(load({str(tmp_path / 'd.h5')!r}), None, 'a.svg')\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=100)
