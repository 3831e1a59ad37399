"""Titles and texts of others on the pages of the site: words, and nothing that acts."""

import re
import shutil
from dataclasses import replace

import markdown
import pytest
import yaml

from sista.errors import UserError
from sista.runs.provenance import ROOT
from sista.site import pages
from sista.site.build import HERE
from sista.site.leaderboard import read_grids
from tests.hostile.kinds_parquet import meta

TITLES = (
    "[x](javascript:alert(1))",
    "![x](http://example.org/x.png)",
    "T {: onmouseover=alert(1) }",
    "<img src=x onerror=alert(1)>",
    'x"\n---\n<script>alert(1)</script>',
    "a \\ b",
)
ACTS = re.compile(r"<script|<img|href=.javascript|<[^>]+ on[a-z]+=")


@pytest.fixture(scope="module")
def grid():
    return read_grids([ROOT / "results/released/power/scores.parquet"])[0]


@pytest.mark.parametrize("title", TITLES)
def test_a_title_is_words(grid, tmp_path, monkeypatch, title):
    monkeypatch.chdir(tmp_path)  # so that only what is made of the scores stands there
    page = pages.render(
        "grid.md.j2", grid=replace(grid, title=title), facts=[], tasks=[], others=[], variants=[],
        text="",
    )  # fmt: skip
    _, head, body = page.split("---\n", 2)
    assert not ACTS.search(yaml.safe_load(head)["title"])
    known = yaml.safe_load((HERE / "mkdocs.yml").read_text())["markdown_extensions"]
    names = [name for name in known if isinstance(name, str)]
    assert not ACTS.search(markdown.markdown(body, extensions=names))


def test_what_lies_beside_foreign_scores_is_not_shown(tmp_path):
    path = tmp_path / "scores.parquet"
    shutil.copy(ROOT / "results/released/power/scores.parquet", path)
    path.with_name("README.md").write_text("[a][b]\n\n[b]: javascript:alert(1)\n")
    assert "javascript" not in pages.grid_page(read_grids([path])[0], tmp_path / "out")


def test_the_name_of_a_grid_leads_nowhere(tmp_path):
    path = tmp_path / "scores.parquet"
    shutil.copy(ROOT / "results/released/power/scores.parquet", path)
    meta(lambda known: {**known, "grid": "../../out"})(path)
    with pytest.raises(UserError, match=r"its grid: .* is no word"):
        read_grids([path])
