"""Progress in a log file: lines, the last one with the count."""

from sista.runs import progress


def test_a_log_gets_a_line_at_the_end_and_items_pass_through(capsys):
    assert list(progress.track([1, 2], "work")) == [1, 2]
    assert list(progress.track(iter("ab"), "stream")) == ["a", "b"]
    assert capsys.readouterr().err == "work: 2/2 done\nstream: 2 done\n"


def test_slow_work_is_reported_now_and_then(capsys, monkeypatch):
    monkeypatch.setattr(progress, "LOG_EVERY_SECONDS", -1.0)
    assert list(progress.track(iter("ab"), "slow", total=2)) == ["a", "b"]
    assert capsys.readouterr().err == "slow: 1/2\nslow: 2/2\nslow: 2/2 done\n"
