"""The whole report of a grid: files, a page without external resources, printing."""

import contextlib
import io
import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from sista import tables
from sista.errors import UserError
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
    assert names == {"index.html", "comparisons.csv", "figures", "run.json"} | {
        f"{task}.{suffix}"
        for task in ("classification", "segmentation", "detection")
        for suffix in ("csv", "md", "tex", "html")
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


def test_print_ends_with_the_page(made):
    folder, lines = made
    assert lines[-1] == f"HTML report: {folder / 'index.html'}"
    assert sum("sista_no_sta" in line for line in lines) == 6
    assert any("n/a (a)" in line for line in lines)


def test_scores_of_another_origin_are_refused(project, scores, tmp_path):
    tables.write(scores[0], tmp_path / "x.parquet", "scores", meta={})
    with pytest.raises(UserError, match=r"x\.parquet: not made by"):
        stage.report(grid=project / "suite.yaml", scores=tmp_path / "x.parquet", out=tmp_path)
