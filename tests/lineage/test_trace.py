"""From a number of a table to the raw data, over every record on the way."""

import re

import pytest

from sista import tables
from sista.errors import UserError
from sista.files import sha256
from sista.lineage.trace import trace
from sista.report.runs import RUN_COLUMNS, run_rows
from sista.runs.record import read_record

CELL = {"row": "clip/resnet_tiny", "column": "chexpert@phantom/10"}


@pytest.mark.parametrize("ending", ["csv", "md", "html"])
def test_a_number_is_followed_to_the_raw_data(tree, capsys, ending):
    trace(tree.page / f"classification.{ending}", **CELL)
    told = capsys.readouterr().out
    line = next(
        x for x in (tree.page / "classification.csv").read_text().splitlines() if ",clip," in x
    )
    shown = re.search(r"linear: (\S+) ± (\S+)", told).groups()
    assert f",{shown[0]},{shown[1]}," in line
    for pattern in (
        "score/suite.parquet",
        "adapt/**/clip/resnet_tiny/**/predictions.parquet",
        "pretrain/**/clip/resnet_tiny/**/encoder.safetensors",
        "prepare/chexpert@phantom/manifest.parquet",
        "prepare/mimic_cxr@phantom/manifest.parquet",
    ):
        assert sha256(tree.find(pattern)) in told
    for word in ("chexpert@phantom", "mimic_cxr@phantom"):
        record = read_record(tree.results / "fetch" / word / "run.json")
        assert f"raw sha256 {record.facts['raw_sha256']}" in told
    assert "altered" not in told
    assert "vit_tiny" not in told


def test_the_scores_table_itself_and_another_metric(tree, capsys):
    scores = tree.results / "score" / "suite.parquet"
    trace(scores, row="clip/vit_tiny", column="chexpert@phantom/1/accuracy")
    assert "accuracy, linear" in capsys.readouterr().out


def test_an_altered_encoder_is_seen_on_the_way(tree, capsys):
    tree.find("pretrain/**/clip/resnet_tiny/**/encoder.safetensors").write_text("other")
    trace(tree.page / "classification.csv", **CELL)
    assert capsys.readouterr().out.count("(altered)") == 1


def test_without_the_runs_the_scores_tell_what_they_know(tree, capsys, tmp_path):
    trace(tree.results / "score/suite.parquet", **CELL, results=tmp_path / "elsewhere")
    told = capsys.readouterr().out
    assert "(not here)" in told
    assert sha256(tree.find("adapt/**/clip/resnet_tiny/**/predictions.parquet")) in told


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ({"row": "clop/resnet_tiny"}, "no variant 'clop' there; valid: random_init, clip"),
        ({"row": "clip"}, "must be VARIANT/ENCODER"),
        ({"column": "chexpert@phantom/50"}, "no fraction '50' there; valid: 1, 10, 100"),
        ({"column": "chexpert@phantom/10/map"}, "no metric 'map' there; valid: .*auroc"),
    ],
)
def test_a_wrong_address_is_answered_with_the_valid_ones(tree, cell, message):
    with pytest.raises(UserError, match=message):
        trace(tree.page / "classification.csv", **{**CELL, **cell})


def test_the_page_names_records_from_the_results_folder_on_wherever_it_is(tree):
    scores, _ = tables.read(tree.results / "score" / "suite.parquet", "scores")
    here = [row.values for row in run_rows(scores, tree.results)]
    assert [row.values for row in run_rows(scores, tree.results.absolute())] == here
    for values in here:
        predictions, record = (
            values[RUN_COLUMNS.index(name)] for name in ("Predictions", "Record")
        )
        assert record == predictions.replace("predictions.parquet", "run.json")


def test_every_number_of_the_page_leads_to_its_run(tree):
    for page in ("index.html", "classification.html"):
        text = (tree.page / page).read_text()
        wanted = re.findall(r'href="#(run-[0-9a-f]{12})"', text)
        there = re.findall(r'id="(run-[0-9a-f]{12})"', text)
        # Four runs; every cell of the main table is a link.
        assert len(set(wanted)) == len(there) == 4
        assert set(wanted) == set(there)
        cells = re.findall(r"<td(?: class=\"best\")?>(.*?)</td>", text.split("</table>")[0])
        assert len(cells) == 12
        assert all(cell.startswith("<a href") for cell in cells)
        encoder = tree.find("pretrain/**/clip/resnet_tiny/**/encoder.safetensors")
        assert sha256(encoder)[:12] in text
        assert "http" not in text.replace("http://www.w3.org", "")
