from dataclasses import replace

import numpy as np
import pytest

from sista.errors import UserError
from sista.retrieve import Gallery, score


def gallery(noise, count=60, seed=0):
    """Films and reports of made-up studies: the same vector with noise, half of them normal."""
    generator = np.random.default_rng(seed)
    normal = np.arange(count) % 2 == 0
    labels = np.where(normal[:, None], 0.0, np.eye(4)[generator.integers(0, 4, count)])
    report = labels @ generator.normal(size=(4, 16)) * 3 + generator.normal(size=(count, 16))
    film = report + noise * generator.normal(size=report.shape)
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (film, report)]
    names = np.array([f"s{n}" for n in range(count)])
    patients = np.array([f"p{n // 2}" for n in range(count)])
    return Gallery(unit[0] @ unit[1].T, names, patients, labels, normal)


def value(scored, **chosen):
    rows = scored
    for name, wanted in chosen.items():
        rows = rows[rows[name] == wanted]
    assert len(rows) == 1
    return rows.iloc[0]


def test_perfect_embeddings_find_everything():
    scored = score(gallery(0.0), replicates=50)
    assert (scored["value"] == 1.0).all()
    assert (scored["chance_p"] < 0.05).sum() > 0
    assert len(scored) == 2 * 2 * 3 * 3


def test_noise_finds_what_chance_finds():
    scored = score(gallery(1e6), replicates=300)
    exact = scored[(scored["relevance"] == "exact") & (scored["group"] == "all")]
    assert ((exact["low"] <= exact["chance"] + 0.02) & (exact["value"] < 0.4)).all()


def test_a_report_with_the_same_findings_counts():
    scored = score(gallery(2.0), replicates=50)
    wanted = {"direction": "image_to_report", "group": "normal", "k": 1}
    exact, aware = (value(scored, relevance=r, **wanted) for r in ("exact", "same_findings"))
    assert aware["value"] > exact["value"]
    assert aware["chance"] > exact["chance"]
    assert exact["n"] == 30


def test_two_encoders_are_compared_pair_by_pair():
    good, bad = gallery(0.3), gallery(1e6)
    row = value(
        score(good, bad, replicates=200),
        relevance="exact",
        direction="report_to_image",
        group="all",
        k=5,
    )
    assert row["difference"] == pytest.approx(row["value"] - row["against"])
    assert row["difference_p"] < 0.02
    same = value(
        score(good, good, replicates=50),
        relevance="exact",
        direction="report_to_image",
        group="all",
        k=5,
    )
    assert same["difference_p"] == 1.0


def test_other_studies_are_refused():
    other = replace(gallery(0.1), study=np.array([f"t{n}" for n in range(60)]))
    with pytest.raises(UserError, match="same studies"):
        score(gallery(0.1), other)
