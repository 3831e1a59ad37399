"""The real Open-i reports, read in place. No test prints or stores their text."""

import pytest

from sista.text.cleaning import for_pretraining
from sista.text.findings import NORMAL_STUDY, findings_text
from sista.text.openi import read_reports


@pytest.fixture(scope="module")
def reports():
    pytest.importorskip("torchxrayvision")
    return list(read_reports())


def test_counts_are_those_of_the_release(reports):
    assert len({report.report_id for report in reports}) == len(reports) == 3955
    assert sum(bool(report.findings) for report in reports) == 3425
    assert sum(bool(report.impression) for report in reports) == 3921


def test_share_of_reports_without_a_finding_is_plausible(reports):
    """A third of Open-i is coded normal; rules that see all or nothing would be far from it."""
    every = (f"\n FINDINGS: {r.findings}\n IMPRESSION: {r.impression}\n" for r in reports[::8])
    texts = [text for text in map(for_pretraining, every) if text]
    normal = sum(findings_text(text) == NORMAL_STUDY for text in texts)
    assert 0.28 < normal / len(texts) < 0.42
