import numpy as np

from sista.text.similarity import label_vectors, similarity, tfidf_vectors

REPORTS = [
    "no pleural effusion. the heart is normal in size.",
    "lungs are clear. no acute process.",
    "large left pleural effusion.",
    "large left pleural effusion. no pneumothorax.",
    "right upper lobe consolidation.",
]


def test_cleaned_text_tells_presence_from_absence():
    every = np.arange(len(REPORTS))
    cleaned = similarity(tfidf_vectors(REPORTS, "cleaned"), every)
    raw = similarity(tfidf_vectors(REPORTS, "raw"), every)
    np.testing.assert_allclose(np.diag(cleaned), 1.0, atol=1e-6)
    assert cleaned[0, 1] > 0.99
    assert cleaned[2, 3] > 0.99
    assert cleaned[0, 2] == 0.0 < raw[0, 2]
    assert cleaned[2, 4] < 0.5


def test_label_vectors_join_normal_studies():
    labels = np.array([[0, 0], [np.nan, 0], [1, 0], [1, 1], [-1, 0]])
    r = similarity(label_vectors(labels), np.arange(5))
    assert r[0, 1] == 1.0
    assert r[0, 2] == 0.0
    assert r[2, 4] == 1.0
    np.testing.assert_allclose(r[2, 3], 1 / np.sqrt(2), rtol=1e-6)
