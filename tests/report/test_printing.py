"""Tables on the terminal."""

from sista.report import printing


def test_show_prints_every_table_and_where_the_page_is(project, capsys):
    printing.show(project / "results/score/suite.parquet")
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"HTML report: {project / 'results/report/suite/index.html'}"
    assert sum("supervised" in line for line in lines) == 6
