"""The formats of a table: same numbers, escaped words, marked footnotes."""

import csv
import io
import re

import pandas as pd
import pytest

from sista.report import cells, formats
from sista.scoring.main_rows import main_rows


@pytest.fixture(scope="module")
def table(scores):
    frame, meta = scores
    rows = main_rows(frame, meta["main_metrics"])
    # A second seed: one ranks nothing, so nothing would be bold.
    return cells.task_table(pd.concat([rows, rows.assign(seed=1)]), "detection")


def test_csv(table):
    rows = list(csv.DictReader(io.StringIO(formats.to_csv(table))))
    assert len(rows) == 8
    assert rows[0]["method"] == "random_init"
    name = "quick_v1 rsna_pneumonia@phantom map_40_75"
    assert rows[4][f"{name} 1%"] == "n/a"
    assert rows[4]["notes"].startswith("rsna_pneumonia@phantom 1%: 3 positives")
    cell = table.blocks[1].rows["supervised"][table.columns[2]]
    assert float(rows[7][f"{name} 100%"]) == pytest.approx(100 * cell.mean, abs=0.05)
    assert float(rows[7][f"{name} 100% std"]) == pytest.approx(100 * cell.std, abs=0.05)


def test_markdown(table):
    text = formats.to_markdown(table)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in lines}) == 1
    assert len({len(line) for line in lines}) == 1
    assert "n/a (a)" in text
    assert "- a: 3 positives" in text
    assert text.count("**") == 2 * 5
    assert text.endswith("\n")


def test_html_is_a_page_of_its_own(table):
    text = formats.to_html(table)
    assert text.lstrip().startswith("<!DOCTYPE html>")
    assert not re.search(r"(?:src|href)\s*=|url\(|@import|http", text)
    assert text.count('class="best"') == 5
    assert "n/a<sup>a</sup>" in text
    assert "<li>3 positives" in text


def test_html_escapes_words(table):
    block = cells.Block("e", "resnet", ("h",), {"<script>": table.blocks[0].rows["clip"]})
    odd = cells.TaskTable("detection", "a < b", table.columns, (block,), ())
    text = formats.to_html(odd)
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
