"""Reports say what the findings say: stated, denied, doubted; side, zone and severity agree."""

import numpy as np
import pytest

from sista.phantom import phrases
from sista.phantom.findings import Finding
from sista.phantom.patients import make_patient, roster
from sista.phantom.presets import PRESETS
from sista.phantom.reports import CHEXPERT_LABELS, write_report

# Words that only a statement about the finding uses.
NAMES = {
    "effusion": ("effusion", "pleural fluid"),
    "pneumothorax": ("pneumothorax",),
    "consolidation": ("consolidation",),
    "edema": ("edema",),
}
NEGATIONS = ("no ", "without", "negative for", "not ", "clear")


@pytest.fixture(scope="module")
def studies():
    preset = PRESETS["phantom"]
    entries = list(roster(preset, "mimic_cxr"))[:500]
    patients = [make_patient(preset, "mimic_cxr", *entry) for entry in entries]
    return [study for patient in patients for study in patient.studies]


def sentences(text: str) -> list[str]:
    return [part.strip().lower() for part in text.split(".") if part.strip()]


def test_absent_findings_are_only_denied(studies):
    for study in studies:
        kinds = {finding.kind for finding in study.findings}
        for kind, names in NAMES.items():
            if kind in kinds:
                continue
            for sentence in sentences(study.report.findings):
                if any(name in sentence for name in names):
                    assert any(word in sentence for word in NEGATIONS), (kind, sentence)


def test_present_findings_are_stated_and_never_denied(studies):
    for study in studies:
        for finding in study.findings:
            if finding.kind in NAMES and study.report.findings:
                told = [
                    sentence
                    for sentence in sentences(study.report.findings)
                    if any(name in sentence for name in NAMES[finding.kind])
                ]
                assert told
                denied = [s for s in told if any(s.startswith(w) for w in ("no ", "there is no"))]
                assert not denied, denied
                if finding.side in {"right", "left"}:
                    assert any(finding.side in sentence for sentence in told)


def test_labels_follow_certainty(studies):
    for study in studies:
        labels = study.report.labels
        assert set(labels) <= set(CHEXPERT_LABELS)
        assert set(labels.values()) <= {-1, 0, 1}
        assert ("No Finding" in labels) == (not study.findings)
        for finding in study.findings:
            for label in phrases.LABELS[finding.kind]:
                assert labels[label] in ({1} if finding.certain else {-1, 1})


def test_severity_words():
    for severity, words in (("mild", "small|tiny"), ("moderate", "moderate"), ("severe", "large")):
        finding = Finding("effusion", "left", "lower", severity)
        seen = set()
        for seed in range(60):
            report = write_report(np.random.default_rng(seed), (finding,), (), "PA", False)
            seen |= set(report.findings.lower().replace(".", "").split())
        others = {"small", "tiny", "moderate", "large"} - set(words.split("|"))
        assert seen & set(words.split("|"))
        # "large pleural effusion" is never used to deny here: the effusion is present.
        assert not seen & others


def test_text_has_sections_and_marks():
    report = write_report(np.random.default_rng(3), (), ("pacemaker",), "AP", True)
    text = report.text()
    assert text.splitlines()[0].strip() == "FINAL REPORT"
    for header in ("EXAMINATION", "INDICATION", "COMPARISON", "FINDINGS", "IMPRESSION"):
        assert f" {header}:" in text
    assert "___" in text


@pytest.mark.parametrize("share", [0.10, 0.35, 0.60])
def test_share_of_normal_studies_is_a_parameter(share):
    from dataclasses import replace

    preset = replace(PRESETS["phantom"], normal_share=share)
    entries = list(roster(preset, "mimic_cxr"))[:600]
    found = [
        not study.findings
        for entry in entries
        for study in make_patient(preset, "mimic_cxr", *entry).studies
    ]
    assert abs(np.mean(found) - share) < 0.05


def test_every_competition_label_is_common(studies):
    for label in ("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Pleural Effusion"):
        assert np.mean([study.report.labels.get(label) == 1 for study in studies]) >= 0.10
