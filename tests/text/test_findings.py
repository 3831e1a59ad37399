"""What is stated: negation, normality, stability. Every sentence here is made up."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sista.text.findings import NORMAL_STUDY, finding_labels, findings_text, states_finding
from sista.text.lexicon import FINDINGS

NAMES = [name for name in FINDINGS if name != "other"]

STATED = {
    # A stable finding is a finding.
    "small left pleural effusion, unchanged.": "small left pleural effusion",
    "stable cardiomegaly.": "cardiomegaly",
    "there is no change in the small right effusion.": "small right effusion",
    "nodule in the left apex is again seen.": "nodule in left apex",
    # What has not gone is there.
    "the effusion has not completely resolved.": "effusion",
    "partially resolved edema.": "edema",
    "partial resolution of the left effusion.": "left effusion",
    "near complete resolution of edema.": "edema",
    "no evidence of resolution of the pneumonia.": "pneumonia",
    "no interval improvement in the edema.": "edema",
    "edema is not significantly improved.": "edema",
    "no worsening of the effusion.": "effusion",
    "no progression of fibrosis.": "fibrosis",
    "no marked change in the effusion.": "effusion",
    "a new nodule was not seen on the prior film.": "new nodule",
    "effusions have cleared on the left and persist on the right.": "persist on right",
    # Negation ends where another clause begins.
    "there is no pneumothorax and the left effusion persists.": "left effusion persists",
    "no acute findings besides stable cardiomegaly.": "cardiomegaly",
    "interval removal of chest tube and new small pneumothorax.": "new small pneumothorax",
    "no pneumothorax but a large right effusion": "large right effusion",
    "no pneumothorax, large right effusion.": "large right effusion",
    "no pneumothorax with moderate edema.": "moderate edema",
    "no evidence of pneumothorax and the heart is enlarged": "heart enlarged",
    "cardiomegaly without edema.": "cardiomegaly",
    "cardiomegaly without edema, mild effusion": "cardiomegaly . mild effusion",
    # The examination is left out, what it shows is not.
    "portable view shows right lower lobe consolidation": "right lower lobe consolidation",
    "compared to the prior, opacity in the left has improved.": "opacity in left improved",
    # So is what is normal.
    "normal heart size and pulmonary edema.": "pulmonary edema",
    "hyperinflated but clear lungs.": "hyperinflated",
    # Doubt is not absence; what no word list knows is kept.
    "pneumonia cannot be excluded.": "pneumonia",
    "azygos lobe.": "azygos lobe",
}
NOTHING = [
    "no pneumothorax, pleural effusion, or focal consolidation.",
    "no large effusion, pneumothorax.",
    "negative for effusion, edema and pneumothorax.",
    "neither effusion nor pneumothorax is identified.",
    "lungs are clear without effusion.",
    "effusion is not seen.",
    "effusion not present.",
    "no longer any pneumothorax.",
    "no enlargement of the heart.",
    "the effusion has resolved.",
    "interval removal of the catheter.",
    "the heart is not enlarged.",
    "the heart and mediastinum are stable.",
    "heart size is normal, lungs are clear, bones are intact.",
    "pulmonary markings are normal.",
    "no acute disease. stable.",
    "pa and lateral views of the chest. comparison: none.",
    "recommend follow up to ensure resolution of pneumonia.",
    "no opacity to suggest pneumonia.",
]


@pytest.mark.parametrize("report", STATED)
def test_what_is_stated_is_kept(report):
    assert findings_text(report) == STATED[report]
    assert states_finding(report)


@pytest.mark.parametrize("report", NOTHING)
def test_what_is_absent_or_normal_is_not(report):
    assert findings_text(report) == NORMAL_STUDY
    assert not states_finding(report)


def test_sentences_do_not_reach_into_each_other():
    report = "no effusion. large right pneumothorax. heart is normal."
    assert findings_text(report) == "large right pneumothorax"


@settings(deadline=None, max_examples=50)
@given(st.sampled_from(sorted(STATED)), st.sampled_from(NOTHING), st.sampled_from(NOTHING))
def test_normal_sentences_around_a_finding_change_nothing(finding, before, after):
    closed = finding.rstrip(".") + "."
    assert findings_text(f"{before} {closed} {after}") == findings_text(closed)


@settings(deadline=None, max_examples=50)
@given(st.text(alphabet="abcdefgno ,.;:-/1()\n", max_size=80))
def test_any_text_is_taken(text):
    assert findings_text(text)


def test_rule_labels():
    labels = finding_labels(
        [
            "stable cardiomegaly. no effusion.",
            "no cardiomegaly. small effusion with adjacent atelectasis.",
            "lungs are clear.",
            "prominent markings.",
        ]
    )
    named = [{NAMES[i] for i in np.flatnonzero(row[:-1])} for row in labels]
    assert named == [{"cardiomegaly"}, {"effusion", "atelectasis"}, set(), set()]
    assert list(labels[:, -1]) == [0, 0, 0, 1]


def test_what_the_impression_repeats_stands_once():
    assert findings_text("small effusion. no edema. small effusion.") == "small effusion"
