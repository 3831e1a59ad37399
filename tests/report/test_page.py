"""Texts and rows of the page."""

import base64

import pytest

from sista.report import page
from sista.report.runs import run_rows


def test_picture_holds_the_file(tmp_path):
    (tmp_path / "a.png").write_bytes(b"pixels")
    shown = page.picture(tmp_path / "a.png", "title", "caption")
    kind, _, data = shown.uri.partition(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(data) == b"pixels"


@pytest.mark.parametrize(("seconds", "text"), [(3.21, "3.2 s"), (600, "10.0 min"), (9000, "2.5 h")])
def test_duration(seconds, text):
    assert page.duration(seconds) == text


def test_tests_are_in_percentage_points():
    row = {"dataset": "d", "encoder": "e", "fraction": 1, "variant": "v", "baseline": "b"}
    row |= {"difference": 0.051, "low": -0.01, "high": 0.1, "p": 0.0412, "p_holm": 0.3}
    assert page.test_rows([row])[0][3:] == (
        "v − b",
        "+5.1",
        "-1.0 to +10.0",
        "0.041",
        "0.300",
    )


def test_provenance_rows(scores):
    frame, _ = scores
    facts = dict(page.fact_rows(frame, 100))
    assert facts["Lock of the environment"] == "def"
    # 24 runs with 2 draws × 3 fractions, 1.5 s each.
    assert facts["Adaptation, all runs"] == page.duration(24 * 6 * 1.5)
    assert len(run_rows(frame)) == 24
    assert page.dataset_rows(frame)[0] == ("chexpert@phantom", "1.0", "quick_v1", "abc", "24")


def test_variants_show_what_differs(scores):
    rows = page.variant_rows(scores[0], {"sista_no_sta": ("sista", {"w_sta": 0.0})})
    assert rows[2][:3] == ("sista_no_sta", "sista", "w_sta = 0.0")
    assert rows[1][:3] == ("clip", "clip", "none")


def test_other_metrics_leave_out_the_main_one(scores):
    others = page.other_tables(scores[0], "detection", ["map_40_75"])
    titles = [page.other_title(metric) for metric in others]
    assert titles == ["mAP 50–95", "AP50", "mAP (MGCA filter)"]
