"""Tables on the terminal."""

import pytest

from sista.errors import UserError
from sista.report import printing
from sista.report.agreement import agreement
from sista.report.cells import Block, Cell, Column, TaskTable


def test_show_prints_every_table_and_where_the_page_is(project, capsys):
    page = project / "results/report/suite/index.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.touch()
    printing.show(project / "results/score/suite.parquet")
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"HTML report: {page}"
    assert sum("supervised" in line for line in lines) == 6


def test_heads_of_many_columns_stand_whole(tmp_path, capsys):
    words = [("quick_v1", "chexpert@phantom", head) for head in ("linear", "finetune", "zero_shot")]
    columns = tuple(Column(*own, "auroc", f) for own in words for f in (1, 10, 100))
    block = Block("resnet_tiny", "resnet", tuple(head for _, _, head in words))
    block.rows["random_init"] = dict.fromkeys(columns, Cell(0.5, 0.035, 2))
    table = TaskTable("classification", "", columns, (block,), ())
    printing.print_tables([table], tmp_path / "index.html")
    told = capsys.readouterr().out
    assert "…" not in told
    # Line by line of each column, put together again.
    lines = [line.split("┃")[1:-1] for line in told.splitlines() if line.startswith("┃")]
    heads = ["".join(parts[n].strip() for parts in lines) for n in range(1, 10)]
    assert [h.replace(" ", "") for h in heads] == [
        f"{c.group}{c.share}".replace(" ", "") for c in columns
    ]
    assert "50.0 ± 3.5" in told


def test_it_says_whether_the_values_are_the_released_ones(scores):
    frame, meta = scores
    same = agreement(frame, meta, frame, meta)
    assert same.startswith("all ")
    assert same.endswith("to the last bit")
    # One value 30 points off, another by less than a table shows; a seed that was not released.
    main = frame.index[(frame["subset"] == "test") & (frame["metric"] == "auroc")]
    other = frame.assign(value=frame["value"].copy())
    first = frame.loc[main].query("label == 'macro' and value == value").index
    other.loc[first[0], "value"] -= 0.3
    other.loc[first[1], "value"] += 0.0001
    told = agreement(other, meta, frame, meta)
    count = int(same.split()[1])
    assert f"of {count} main values {count - 2} are the released ones to the last bit" in told
    assert f"{count - 1} as printed, {count - 1} inside" in told
    assert "the largest difference is 30.0 points (random_init resnet_tiny" in told
    assert "no value of these settings" in agreement(frame.assign(settings_hash="x"), meta, *scores)


def test_a_table_of_a_report_is_told_from_scores(tmp_path):
    file = tmp_path / "classification.csv"
    file.write_text("Method,AUROC\n")
    with pytest.raises(UserError, match=r"classification\.csv: no table of scores"):
        printing.show(file)
