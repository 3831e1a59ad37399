"""Means, deviations, bold and footnotes of the main tables."""

import numpy as np
import pandas as pd
import pytest

from sista.protocols.mgca_v1 import mgca_v1
from sista.report import cells
from sista.scoring.main_rows import main_rows
from sista.tasks.classification import OTHER_FILM


def two_seeds(rows):
    """Return the rows twice, the second time as another seed: one seed ranks nothing."""
    return pd.concat([rows, rows.assign(seed=1)], ignore_index=True)


def _rows(values, **changes):
    """Return overall test rows from {(variant, draw, fraction): value}."""
    plain = {"protocol": "quick_v1", "dataset": "d", "task": "classification", "head": "linear"}
    plain |= {"encoder": "resnet_tiny", "family": "resnet", "corpus": "c", "budget": "quick"}
    plain |= {"seed": 0, "subset": "test", "metric": "auroc", "label": "macro", "n": 7}
    plain |= {"plateau": None, "method": "clip", "low": float("nan"), "high": float("nan")}
    plain |= {"predictions": "results/adapt/p.parquet"}
    return pd.DataFrame(
        [
            plain
            | {"variant": variant, "draw": draw, "fraction": fraction, "value": value}
            | {"note": None if not np.isnan(value) else "too few"}
            | changes
            for (variant, draw, fraction), value in values.items()
        ]
    )


def test_mean_deviation_and_best():
    rows = _rows({("a", 0, 1): 0.5, ("a", 1, 1): 0.7, ("b", 0, 1): 0.8, ("b", 1, 1): 0.8})
    table = cells.task_table(rows, "classification")
    (column,) = table.columns
    (block,) = table.blocks
    assert block.rows["a"][column].text == "60.0 ± 14.1"
    assert not any(row[column].best for row in block.rows.values())
    assert "1 pre-training seed; one seed ranks no rows" in table.caption
    (block,) = cells.task_table(two_seeds(rows), "classification").blocks
    assert not block.rows["a"][column].best
    assert block.rows["b"][column].text == "80.0 ± 0.0"
    assert block.rows["b"][column].best
    assert "quick_v1" in table.caption
    assert "2 draws" in table.caption
    assert "7 of d" in table.caption


def test_a_caption_says_how_the_protocol_differs_from_its_source():
    plain = cells.task_table(_rows({("a", 0, 1): 0.5}), "classification").caption
    rows = _rows({("a", 0, 1): 0.5}, protocol="mgca_v1")
    told = cells.task_table(rows, "classification").caption
    for difference in mgca_v1.differs["classification"]:
        assert difference in told
        assert difference not in plain
    assert "mgca_v1 differs from its source: " in told
    assert mgca_v1.differs["detection"][-1] not in told


def test_a_caption_names_no_corpus_for_rows_that_others_pre_trained():
    own = _rows({("a", 0, 1): 0.5})
    theirs = _rows({("theirs", 0, 1): 0.6}, method="released")
    both = cells.task_table(pd.concat([own, theirs]), "classification").caption
    assert "Pre-trained on c, budget quick. Pre-trained by others, on data" in both
    assert both.endswith("of their own: theirs.")
    assert "budget" not in cells.task_table(theirs, "classification").caption


def test_values_that_print_alike_are_both_bold_and_a_single_row_is_not():
    values = {("a", 0, 1): 0.7001, ("b", 0, 1): 0.7003, ("c", 0, 1): 0.6}
    both = cells.task_table(two_seeds(_rows(values)), "classification")
    marks = [row[both.columns[0]].best for row in both.blocks[0].rows.values()]
    assert marks == [True, True, False]
    one = cells.task_table(_rows({("a", 0, 1): 0.7}), "classification")
    cell = one.blocks[0].rows["a"][one.columns[0]]
    assert not cell.best
    assert cell.text == "70.0"


def test_lower_is_better_for_calibration():
    rows = two_seeds(_rows({("a", 0, 1): 0.1, ("b", 0, 1): 0.2}, metric="brier"))
    table = cells.task_table(rows, "classification")
    assert table.blocks[0].rows["a"][table.columns[0]].best


def test_missing_values_have_a_reason():
    nan = float("nan")
    rows = _rows({("a", 0, 1): nan, ("a", 0, 10): 0.6, ("a", 1, 10): nan, ("b", 0, 10): 0.5})
    table = cells.task_table(rows, "classification")
    one, ten = table.columns
    assert table.blocks[0].rows["a"][one].text == "n/a"
    assert table.footnotes == ("too few", "1 of 2 runs; the others: too few", "not run")
    assert [table.mark(table.blocks[0].rows[r][c]) for r, c in (("a", one), ("a", ten))] == [
        "a",
        "b",
    ]
    assert table.mark(table.blocks[0].rows["b"][ten]) == ""


def test_letters_go_on_after_z():
    assert [cells._letter(k) for k in (0, 25, 26, 27, 52)] == ["a", "z", "aa", "ab", "ba"]


def test_two_protocols_never_share_a_column():
    rows = pd.concat([_rows({("a", 0, 1): 0.5}), _rows({("a", 0, 1): 0.9}, protocol="other")])
    table = cells.task_table(rows, "classification")
    texts = [table.blocks[0].rows["a"][column].text for column in table.columns]
    assert [column.protocol for column in table.columns] == ["other", "quick_v1"]
    assert texts == ["90.0", "50.0"]


def test_two_heads_of_one_data_set_are_two_columns():
    rows = pd.concat([_rows({("a", 0, 1): 0.5}), _rows({("a", 0, 1): 0.9}, head="mlp")])
    table = cells.task_table(rows, "classification")
    assert [column.head for column in table.columns] == ["linear", "mlp"]


def test_a_caption_tells_metrics_apart_and_who_used_no_label():
    zero = [
        _rows({("a", 0, 0): 0.5}, head="zero_shot", metric=m)
        for m in ("auroc", f"auroc{OTHER_FILM}")
    ]
    table = cells.task_table(pd.concat([_rows({("a", 0, 10): 0.5}), *zero]), "classification")
    assert "in percent: AUROC; AUROC, other film on test (images: 7 of d)" in table.caption
    assert "after training on 10 % of the labels (zero_shot: no labels). Mean" in table.caption
    assert "labels. Mean" in cells.task_table(_rows({("a", 0, 1): 1.0}), "classification").caption
    assert "training on" not in cells.task_table(pd.concat(zero), "classification").caption


def test_blocks_of_a_grid(scores):
    frame, meta = scores
    rows = main_rows(frame, meta["main_metrics"])
    table = cells.task_table(rows, "segmentation")
    assert [block.title for block in table.blocks] == [
        "ResNet (resnet_tiny; head unet)",
        "ViT (vit_tiny; head setr_pup)",
    ]
    assert list(table.blocks[0].rows) == ["random_init", "clip", "sista_no_sta", "supervised"]
    assert [column.fraction for column in table.columns] == [1, 10, 100]
    assert table.groups() == [("rsna_pneumonia@phantom · Dice (images with a lesion)", 3)]
    values = rows.query("task == 'segmentation' and variant == 'clip' and fraction == 10")
    mean = values[values["encoder"] == "vit_tiny"]["value"].mean()
    cell = table.blocks[1].rows["clip"][table.columns[1]]
    assert cell.mean == pytest.approx(mean)


def test_a_control_is_never_the_best():
    rows = two_seeds(_rows({("a", 0, 1): 0.5, ("b", 0, 1): 0.6, ("top", 0, 1): 0.9}))
    table = cells.task_table(rows, "classification", {"top"})
    marks = {name: row[table.columns[0]].best for name, row in table.blocks[0].rows.items()}
    assert marks == {"a": False, "b": True, "top": False}
    # One row that competes is best of nothing.
    alone = cells.task_table(rows, "classification", {"top", "a"})
    assert not any(row[alone.columns[0]].best for row in alone.blocks[0].rows.values())


def test_a_row_off_its_plateau_is_marked_counted_and_not_the_best():
    rows = two_seeds(_rows({("a", 0, 1): 0.5, ("b", 0, 1): 0.6, ("c", 0, 1): 0.9}))
    rows.loc[(rows["variant"] == "c") & (rows["seed"] == 1), "plateau"] = "stuck"
    rows.loc[rows["variant"] == "a", "plateau"] = "left"
    table = cells.task_table(rows, "classification")
    cells_of = {name: row[table.columns[0]] for name, row in table.blocks[0].rows.items()}
    assert {name: cell.best for name, cell in cells_of.items()} == {"a": 0, "b": 1, "c": 0}
    assert table.mark(cells_of["c"]) == "a"
    assert table.footnotes == ("plateau of pre-training: 1 stuck of 2 seeds; not ranked",)
    assert "Of 6 encoders 0 left the plateau of pre-training late and 1 never" in table.caption
    fine = cells.task_table(rows.assign(plateau="left"), "classification")
    assert "plateau" not in fine.caption
    assert fine.footnotes == ()
