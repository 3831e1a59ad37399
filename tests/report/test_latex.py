"""Tables for papers: marks that a test allows, intervals, numbers printed elsewhere, BibTeX."""

import re
import shutil
import subprocess

import pandas as pd
import pytest

from sista import registry
from sista.errors import UserError
from sista.grid.grid import is_control
from sista.report import latex
from sista.report.cells import task_table
from sista.report.citations import bibliography
from sista.report.escaping import latex_text
from sista.report.published import PUBLISHED, printed_elsewhere
from sista.report.told import told_apart
from sista.scoring.comparisons import GROUP
from sista.scoring.main_rows import main_rows
from tests.conftest import ROOT

NONE = pd.DataFrame()


def rows(values, spread=0.02, **changes):
    """Return rows of two seeds and draws, from {variant: mean}."""
    plain = {"protocol": "mgca_v1", "dataset": "chexpert", "task": "classification"}
    plain |= {"head": "linear", "encoder": "resnet50", "family": "resnet", "corpus": "mimic_cxr"}
    plain |= {"budget": "paper", "subset": "test", "metric": "auroc", "label": "macro", "n": 200}
    plain |= {"plateau": None, "note": None, "method": "clip", "fraction": 1}
    made = []
    for variant, mean in values.items():
        for seed in (0, 1):
            for draw in (0, 1):
                value = mean + 0.001 * (seed - draw)
                row = {"variant": variant, "seed": seed, "draw": draw, "value": value}
                row |= {"low": value - spread, "high": value + spread}
                row["predictions"] = f"results/adapt/{variant}/{seed}.parquet"
                made.append(plain | row | changes)
    return pd.DataFrame(made)


def marks(frame, tests=NONE, controls=()):
    table = told_apart(task_table(frame, "classification"), frame, tests, controls)
    (column,) = table.columns
    return {name: cells[column].told for name, cells in table.blocks[0].rows.items()}


def comparison(variant, baseline, p, frame):
    place = frame[[*GROUP, "fraction"]].iloc[0].to_dict()
    return place | {"variant": variant, "baseline": baseline, "p_holm": p}


def test_best_and_second_are_marked_where_they_are_told_from_all_below():
    far = rows({"a": 0.9, "b": 0.8, "c": 0.7})
    assert marks(far) == {"a": "best", "b": "second", "c": ""}
    near = rows({"a": 0.9, "b": 0.899, "c": 0.7})
    # Nobody knows which of the two is the best, so neither is the second.
    assert marks(near) == {"a": "", "b": "", "c": ""}
    assert marks(rows({"a": 0.9, "b": 0.8, "c": 0.799})) == {"a": "best", "b": "", "c": ""}
    # The best is told from the second, but not from a third that varies more.
    wide = pd.concat([rows({"a": 0.9, "b": 0.8}), rows({"c": 0.79}, spread=0.3)])
    assert marks(wide) == {"a": "", "b": "", "c": ""}


def test_a_paired_test_decides_before_the_intervals_do():
    near = rows({"a": 0.9, "b": 0.899})
    assert marks(near, pd.DataFrame([comparison("a", "b", 0.01, near)])) == {"a": "best", "b": ""}
    assert marks(near, pd.DataFrame([comparison("b", "a", 0.01, near)])) == {"a": "best", "b": ""}
    far = rows({"a": 0.9, "b": 0.7})
    assert marks(far, pd.DataFrame([comparison("a", "b", 0.2, far)])) == {"a": "", "b": ""}


def test_controls_single_seeds_and_late_rows_are_not_marked():
    far = rows({"top": 0.95, "a": 0.9, "b": 0.8})
    assert marks(far, controls={"top"}) == {"top": "", "a": "best", "b": ""}
    assert set(marks(far[far["seed"] == 0]).values()) == {""}
    far.loc[far["variant"] == "top", "plateau"] = "stuck"
    assert marks(far) == {"top": "", "a": "best", "b": ""}


def test_lower_is_better():
    assert marks(rows({"a": 0.2, "b": 0.1}, metric="brier")) == {"a": "", "b": "best"}


def test_marks_and_intervals_stand_in_the_tables():
    frame = rows({"a": 0.9, "b": 0.8, "sista_no_sta": 0.7})
    table = told_apart(task_table(frame, "classification"), frame, NONE, ())
    text = latex.to_latex(table)
    assert r"\texttt{a} & \textbf{90.0 $\pm$ 0.1}" in text
    assert r"\texttt{b} & \underline{80.0 $\pm$ 0.1}" in text
    assert r"\texttt{sista\_no\_sta} & 70.0" in text
    assert r"\texttt{a} & 90.0 [88.0, 92.0]" in latex.to_latex_intervals(table)
    body = text.split("\n", 1)[1].replace("%\n", "\n")
    assert not re.search(r"(?<!\\)[_%]", body)
    assert text.count("{") == text.count("}")


def test_numbers_printed_elsewhere_stand_beside_the_same_protocol_metric_and_encoder():
    file = ROOT / PUBLISHED
    table = task_table(rows({"a": 0.9}), "classification")
    printed = printed_elsewhere(table, file)
    known = pd.read_csv(file)
    known = known[(known["protocol"] == "mgca_v1") & (known["backbone"] == "R50")]
    known = known[(known["dataset"] == "chexpert") & (known["label_fraction"] == 0.01)]
    assert sum(len(part.rows) for part in printed) == len(known) > 10
    assert all(part.title.startswith("Printed elsewhere, not run here: R50") for part in printed)
    text = latex.to_latex(table, printed)
    assert rf"\emph{{{latex_text(printed[0].title)}}}" in text
    assert text.index("Printed elsewhere") > text.index(r"\texttt{a}")
    for changed in ({"protocol": "quick_v1"}, {"metric": "accuracy"}, {"encoder": "resnet_tiny"}):
        assert (
            printed_elsewhere(task_table(rows({"a": 0.9}, **changed), "classification"), file) == ()
        )
    other = {"dataset": "chexpert@phantom"}
    assert printed_elsewhere(task_table(rows({"a": 0.9}, **other), "classification"), file) == ()


def test_every_printed_number_has_a_metric_and_a_data_set_of_the_suite():
    known = pd.read_csv(ROOT / PUBLISHED).query("protocol == 'mgca_v1'")
    assert set(known["dataset"]) <= set(registry.names("datasets"))
    metrics = {m.word for t in registry.names("tasks") for m in registry.find("tasks", t).metrics}
    assert set(known["metric"]) <= metrics


def test_a_number_that_is_none_is_refused(tmp_path):
    file = tmp_path / "printed.csv"
    file.write_text((ROOT / PUBLISHED).read_text().replace("56.1", "fifty", 1))
    with pytest.raises(UserError, match="row 2: not a printed result"):
        printed_elsewhere(task_table(rows({"a": 0.9}), "classification"), file)


HEADS = {"linear": "vit_base", "unet": "resnet_tiny", "setr_pup": "vit_tiny", "yolov3": "resnet50"}


def test_everything_used_has_an_entry():
    methods = registry.names("methods")
    frame = pd.concat(rows({word: 0.5}, method=word) for word in methods)
    sets = registry.names("datasets")
    frame = pd.concat([frame, *(rows({"clip": 0.5}, dataset=word) for word in sets)])
    frame = pd.concat([frame, rows({"clip": 0.5}, dataset="iu_xray@phantom", protocol="quick_v1")])
    text = bibliography(frame)
    keys = re.findall(r"^@misc\{(\w+|package_[\w-]+),$", text, re.M)
    assert len(keys) == len(set(keys))
    assert {f"data_{word}" for word in sets} <= set(keys)
    assert {f"method_{w}" for w in methods if not is_control(w) and w != "released"} <= set(keys)
    assert {"protocol_mgca_v1", "protocol_quick_v1", "package_torch", "sista_bench"} <= set(keys)
    assert "author = {Huang and others}" in text
    assert "680fe4a" in text
    heads = [rows({"clip": 0.5}, head=word, encoder=e) for word, e in HEADS.items()]
    text = bibliography(pd.concat(heads))
    for title in (
        "U-Net",
        "SETR",
        "YOLOv3",
        "ResNet",
        "Vision Transformer",
        "BERT",
        "ClinicalBERT",
    ):
        assert re.search(rf"title = \{{\{{{title}", text), title
    assert "head_linear" not in text
    only = bibliography(rows({"a": 0.5}, dataset="iu_xray@phantom", corpus="mimic_cxr@phantom"))
    assert "data_" not in only


@pytest.mark.skipif(shutil.which("bibtex") is None, reason="LaTeX is not installed")
@pytest.mark.parametrize("task", ["classification", "detection"])
def test_the_preview_compiles_in_two_columns(scores, task, tmp_path):
    """As a paper takes them in: table, supplement and literature, without a warning."""
    frame, meta = scores
    made = main_rows(frame, meta["main_metrics"])
    if task == "classification":
        made = pd.concat([rows({"a": 0.9, "b": 0.8}), rows({"a": 0.9, "b": 0.8}, fraction=10)])
    table = told_apart(task_table(made, task), made, NONE, ())
    (tmp_path / "t.tex").write_text(
        latex.to_latex(table, printed_elsewhere(table, ROOT / PUBLISHED))
    )
    (tmp_path / "t_intervals.tex").write_text(latex.to_latex_intervals(table))
    (tmp_path / "t_preview.tex").write_text(latex.to_latex_preview(table, "t"))
    (tmp_path / "references.bib").write_text(bibliography(made))
    tex = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t_preview.tex"]
    for command in (tex, ["bibtex", "t_preview"], tex, tex):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:]
        assert b"Warning--" not in done.stdout
    assert b"Overfull" not in done.stdout
    assert b"undefined" not in done.stdout
