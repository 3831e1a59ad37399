"""Tables on the terminal."""

from sista.report import printing
from sista.report.cells import Block, Cell, Column, TaskTable


def test_show_prints_every_table_and_where_the_page_is(project, capsys):
    printing.show(project / "results/score/suite.parquet")
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"HTML report: {project / 'results/report/suite/index.html'}"
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
