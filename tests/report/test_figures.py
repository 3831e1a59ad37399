"""Figures: one panel per data set and encoder, stable looks, the same bytes each time."""

import re
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from sista.report import figures, paper_figures
from sista.report.paper_figures import for_paper
from sista.scoring.main_rows import main_rows


@pytest.fixture(scope="module")
def rows(scores):
    frame, meta = scores
    return main_rows(frame, meta["main_metrics"])


def test_looks_are_distinct_and_do_not_depend_on_later_variants():
    few = figures.looks(["random_init", "clip", "sista"])
    more = figures.looks(["random_init", "clip", "sista", "gloria", "supervised"])
    assert all(more[name] == few[name] for name in few)
    assert len({look.colour for look in more.values()}) == 5
    assert more["supervised"].dash != "-"
    assert more["sista"].dash == "-"


def test_efficiency_curves(rows):
    part = rows[rows["task"] == "detection"]
    styles = figures.looks(list(part["variant"].unique()))
    figure = figures.efficiency(part, styles)
    assert [axis.get_title() for axis in figure.axes] == [
        "ResNet (resnet_tiny) · rsna_pneumonia@phantom",
        "ViT (vit_tiny) · rsna_pneumonia@phantom",
    ]
    line = figure.axes[0].lines[1]
    wanted = part.query("variant == 'clip' and encoder == 'resnet_tiny'")
    wanted = 100 * wanted.groupby("fraction")["value"].mean()
    np.testing.assert_allclose(line.get_ydata(), wanted)
    # The refused fraction is a gap.
    assert len(figure.axes[1].lines[1].get_xdata()) == 2
    assert [text.get_text() for text in figure.legends[0].texts] == list(styles)


def test_differences(scores, rows):
    tests = pd.DataFrame(scores[1]["comparisons"]).assign(off_plateau=False)
    tests = tests.query("task == 'classification' and baseline == 'random_init'")
    styles = figures.looks(list(rows["variant"].unique()))
    figure = figures.differences(tests, styles, "random_init")
    assert len(figure.axes) == 2
    assert "minus random_init" in figure.axes[0].get_xlabel()
    shown = np.concatenate(
        [c.get_offsets() for c in figure.axes[0].collections if len(c.get_offsets())]
    )
    wanted = 100 * tests[tests["encoder"] == "resnet_tiny"]["difference"]
    assert set(np.round(wanted, 6)) <= set(np.round(np.ma.getdata(shown)[:, 0], 6))


def test_a_figure_is_written_twice_with_the_same_bytes(rows, tmp_path):
    part = rows[rows["task"] == "classification"]
    styles = figures.looks(list(part["variant"].unique()))
    for name in ("a", "b"):
        figures.save(figures.efficiency(part, styles), tmp_path / name)
    for suffix in (".svg", ".png"):
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
    assert b"<dc:date>" not in (tmp_path / "a.svg").read_bytes()


def test_paper_figures_are_as_wide_as_a_column_and_can_be_read(rows, tmp_path):
    part = rows[rows["task"] == "detection"]
    styles = figures.looks(list(part["variant"].unique()))
    figure = figures.efficiency(part, styles)
    for_paper(figure, tmp_path / "curves")
    for name, width in (("curves_3.3in.pdf", 3.3), ("curves_7in.pdf", 7.0)):
        text = (tmp_path / name).read_bytes()
        (box,) = re.findall(rb"/MediaBox \[ 0 0 ([0-9.]+) [0-9.]+ \]", text)
        assert float(box) == pytest.approx(72 * width)
    shown = [text for text in figure.findobj(Text) if text.get_text()]
    assert min(text.get_fontsize() for text in shown) >= 6.5
    # All of it lies on the page, the legend too.
    (legend,) = figure.legends
    figure.draw_without_rendering()
    for part in (legend, *figure.axes):
        box = part.get_tightbbox().transformed(figure.transFigure.inverted())
        assert box.x0 > -0.01
        assert box.x1 < 1.01
        assert box.y0 > -0.01
    assert [text.get_text() for text in legend.texts] == list(styles)


@pytest.mark.parametrize("widths", [{7.0: 8.0}, {7.0: 8.0, 3.3: 6.5}])
@pytest.mark.filterwarnings("error")
def test_many_panels_take_more_lines_in_a_column(tmp_path, monkeypatch, widths):
    monkeypatch.setattr(paper_figures, "WIDTHS", widths)
    figure = Figure(figsize=(8, 4), layout="constrained")
    for number, axis in enumerate(figure.subplots(2, 4).flatten()):
        axis.set(title="resnet_tiny", xlabel="epoch", ylabel="loss", ylim=(1000, 2000))
        if number > 5:
            axis.set_axis_off()
    for_paper(figure, tmp_path / "panels")
    figure.draw_without_rendering()
    # No line is kept for panels that are off.
    shown = [axis for axis in figure.axes if axis.axison]
    shapes = {axis.get_subplotspec().get_gridspec().get_geometry() for axis in shown}
    assert shapes == {(3, 2) if 3.3 in widths else (2, 4)}
    boxes = [axis.get_tightbbox() for axis in shown]
    assert not any(one.overlaps(two) for one, two in combinations(boxes, 2))


def test_a_name_with_a_dot_is_kept_whole(tmp_path):
    """Variants are called `theta_0.5` and `theta_0.7`: their figures must not meet."""
    figure = Figure(figsize=(1, 1))
    for name in ("words_theta_0.5", "words_theta_0.7"):
        figures.save(figure, tmp_path / name)
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == [f"words_theta_0.{n}.{s}" for n in (5, 7) for s in ("png", "svg")]


def daggers(figure):
    return [sum(text.get_text() == "†" for text in axis.texts) for axis in figure.axes]


def test_rows_off_their_plateau_have_a_dagger(scores, rows):
    part = rows[rows["task"] == "classification"].copy()
    late = (part["variant"] == "clip") & (part["encoder"] == "vit_tiny")
    part.loc[late & (part["draw"] == 1), "plateau"] = "late"
    styles = figures.looks(list(part["variant"].unique()))
    assert daggers(figures.efficiency(part, styles)) == [0, 3]
    assert daggers(figures.efficiency(part.assign(plateau=None), styles)) == [0, 0]
    free = part[part["fraction"] == 1].assign(fraction=0)
    assert daggers(figures.untrained(free, free.iloc[:0], styles)) == [0, 1]
    tests = pd.DataFrame(scores[1]["comparisons"])
    tests = tests.query("task == 'classification' and baseline == 'random_init'")
    off = (tests["variant"] == "clip") & (tests["encoder"] == "vit_tiny")
    figure = figures.differences(tests.assign(off_plateau=off), styles, "random_init")
    assert daggers(figure) == [0, 3]


def test_every_control_is_grey_and_broken():
    styles = figures.looks(["clip", "swapped", "sista", "random_init"], {"swapped"})
    assert styles["swapped"].dash != "-"
    assert styles["swapped"].colour in figures.GREYS
    assert styles["sista"] == figures.looks(["clip", "x", "sista"], {"x"})["sista"]
    assert styles["sista"].dash == "-"
