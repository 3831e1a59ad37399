"""The whole report of a grid: files, a page without external resources, printing."""

import contextlib
import io
import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from sista import tables
from sista.errors import UserError
from sista.report.grid_report import Report
from sista.stages import report as stage


@pytest.fixture(scope="module")
def made(project, tmp_path_factory):
    """The report's folder and what was printed."""
    out = tmp_path_factory.mktemp("report")
    scores = project / "results/score/suite.parquet"
    settings = {"grid": project / "suite.yaml", "scores": scores, "results": project / "results"}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        stage.report(**settings, out=out, show=True)
    return out, printed.getvalue().splitlines()


@pytest.fixture(scope="module")
def folder(made):
    return made[0]


class _Page(HTMLParser):
    """Collects ids, links and sources, and checks that tags are closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.links, self.sources = [], set(), [], []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.ids.add(values.get("id"))
        self.links += [values["href"]] if "href" in values else []
        self.sources += [values["src"]] if "src" in values else []
        if tag not in {"meta", "img", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_files(folder):
    names = {path.name for path in folder.iterdir()}
    assert names == {"index.html", "comparisons.csv", "references.bib", "figures", "run.json"} | {
        f"{task}{suffix}"
        for task in ("classification", "segmentation", "detection")
        for suffix in (".csv", ".md", ".tex", "_intervals.tex", "_preview.tex", ".html")
    }
    figures = {path.name for path in (folder / "figures").iterdir()}
    assert {"detection_efficiency.png", "detection_differences.svg"} <= figures


def test_comparisons_table(folder, scores):
    frame = pd.read_csv(folder / "comparisons.csv")
    assert len(frame) == len(scores[1]["comparisons"])
    assert {"variant", "baseline", "difference", "p", "p_holm", "fraction"} <= set(frame.columns)


def test_the_page_needs_nothing_else(folder):
    text = (folder / "index.html").read_text()
    parsed = _Page()
    parsed.feed(text)
    assert parsed.open == []
    assert all(link.startswith("#") and link[1:] in parsed.ids for link in parsed.links)
    assert len(parsed.sources) == 6
    assert all(source.startswith("data:image/") for source in parsed.sources)
    without_pictures = re.sub(r"data:image/[^\"]+", "", text)
    assert not re.search(r"https?:|//|@import|<script|<link", without_pictures.replace("</", ""))
    for words in ("Made-up suite", "w_sta = 0.0", "prefers-color-scheme: dark", "Paired tests"):
        assert words in text


def test_a_grid_with_too_little_to_rank_says_so(folder):
    assert "No ranks: 2 methods compete (clip, sista_no_sta)" in (folder / "index.html").read_text()
    assert not list((folder / "figures").glob("ranks*"))


def test_ranks_of_three_methods_and_two_seeds(scores, tmp_path):
    frame, meta = scores
    third = frame[frame["variant"] == "clip"].assign(variant="gloria", method="gloria")
    grid = pd.concat([frame, third.assign(value=third["value"] / 2)], ignore_index=True)
    # A refused fraction is a block less.
    both = pd.concat([grid, grid.assign(seed=1)], ignore_index=True)
    made = Report(both, meta | {"controls": ["sista_no_sta"]}, [], tmp_path, tmp_path, "phantom")
    assert made.ranks()[0] is None
    made = Report(both, meta | {"controls": []}, [], tmp_path, tmp_path, "phantom")
    picture, why = made.ranks()
    assert why == ""
    assert "over 17 blocks" in picture.caption
    assert "supervised (control)" in picture.caption
    written = {path.name for path in (tmp_path / "figures").iterdir()}
    assert written == {f"ranks{end}" for end in (".png", ".svg", ".csv", "_3.3in.pdf", "_7in.pdf")}
    table = pd.read_csv(tmp_path / "figures" / "ranks.csv")
    assert table["variant"].tolist()[-1] == "gloria"
    assert table["mean_rank"].is_monotonic_increasing


def test_print_ends_with_the_page(made):
    folder, lines = made
    assert lines[-1] == f"HTML report: {folder / 'index.html'}"
    assert sum("sista_no_sta" in line for line in lines) == 6
    assert any("n/a (a)" in line for line in lines)


def test_scores_of_another_origin_are_refused(project, scores, tmp_path):
    other, out = tmp_path / "x.parquet", tmp_path / "page"
    tables.write(scores[0], other, "scores", meta={})
    with pytest.raises(UserError, match=r"x\.parquet: its metadata lack .main_metrics"):
        stage.report(grid=project / "suite.yaml", scores=other, out=out)


def test_a_folder_of_something_else_is_left_alone(project, tmp_path):
    (tmp_path / "films").mkdir()
    asked = {"grid": project / "suite.yaml", "scores": project / "results/score/suite.parquet"}
    with pytest.raises(UserError, match="holds films, which no report makes; give a folder"):
        stage.report(**asked, out=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["films"]
    # A released folder holds more than tables.
    (tmp_path / "scores.parquet").touch()
    stage.report(**asked, out=tmp_path)
    assert (tmp_path / "index.html").exists()
