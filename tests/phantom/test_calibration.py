"""Report statistics, and the phantom's closeness to Open-i where its reports are installed."""

import importlib.util
import os
from pathlib import Path

import pytest

from sista.errors import UserError
from sista.phantom import calibration
from sista.phantom.calibration import (
    Sections,
    identical_share,
    main,
    near_shares,
    openi_reports,
    phantom_reports,
    report_statistics,
)
from sista.phantom.presets import PRESETS

needs_openi = pytest.mark.skipif(
    importlib.util.find_spec("torchxrayvision") is None,
    reason="torchxrayvision (it carries the Open-i reports) is not installed",
)


def test_repetition_by_hand():
    texts = ["No effusion.", "no effusion", "Large effusion.", "Heart is big."]
    assert identical_share(texts) == 0.5
    near, pairs, mean = near_shares(texts)
    assert near == 0.5
    assert pairs == pytest.approx(2 / 12)
    # One pair at 1 and two pairs at 1/3 (shared "effusion").
    assert mean == pytest.approx((1 + 2 / 3) / 6)


def test_statistics_by_group():
    reports = [
        Sections("The lungs are clear.", "Normal.", True),
        Sections("The lungs are clear.", "Normal.", True),
        Sections("Left effusion is seen here.", "Effusion.", False),
        Sections("Right opacity.", "Opacity.", False),
    ]
    result = report_statistics(reports)
    assert result["share of normal studies"] == 0.5
    assert result["normal: identical report"] == 1.0
    assert result["abnormal: identical report"] == 0.0
    assert result["normal: findings words q50"] == 4


@needs_openi
def test_missing_labels_name_the_file(tmp_path):
    with pytest.raises(UserError, match=r"none\.csv: no such file; get openi_gld_std14"):
        openi_reports(tmp_path / "none.csv")


@needs_openi
def test_phantom_is_close_to_openi():
    root = os.environ.get("SISTA_DATA")
    labels = Path(root) / "openi" / "openi_gld_std14.csv" if root else None
    theirs = report_statistics(openi_reports(labels), 1200)
    ours = report_statistics(phantom_reports(PRESETS["phantom"]), 1200)
    assert abs(ours["all: findings words q50"] - theirs["all: findings words q50"]) <= 6
    assert abs(ours["all: impression words q50"] - theirs["all: impression words q50"]) <= 3
    for name in ("identical report", "near-identical report", "identical impression"):
        assert abs(ours[f"all: {name}"] - theirs[f"all: {name}"]) < 0.12, name
    if labels is not None:
        assert abs(ours["share of normal studies"] - theirs["share of normal studies"]) < 0.06


def test_main_prints_both_sides(capsys, monkeypatch):
    reports = [Sections(f"Lungs are clear {i % 7}.", "Normal.", None) for i in range(30)]
    monkeypatch.setattr(calibration, "openi_reports", lambda labels: reports)
    main(normal_share=0.6)
    printed = capsys.readouterr().out
    assert "phantom" in printed
    assert "Open-i" in printed
