"""Retrieval from packed vectors to values, against plain loops."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from sista.errors import UserError
from sista.metrics.swaps import other_patients
from sista.scoring.evaluate import evaluate
from sista.tasks._arrays import pack
from sista.tasks._base import Subset
from sista.tasks.retrieval import SWAPS, _cosines, retrieval

RULES = {"labels": [], "multiclass": False, "dataset": "x", "fraction": 0}


def table(films, reports, studies=None, patients=None, findings=None, normal=None):
    count = len(films)
    studies = studies or [f"s{n:02}" for n in range(count)]
    return pd.DataFrame(
        {
            "image_id": [f"i{n:02}" for n in range(count)],
            "patient_id": patients or studies,
            "study_id": studies,
            "film": [pack(v) for v in films],
            "report": [pack(v) for v in reports],
            "findings": [json.dumps(f) for f in findings or [[float(n)] for n in range(count)]],
            "normal": normal or [float(n % 2) for n in range(count)],
        }
    )


def values(frame, **rules):
    found = evaluate("retrieval", frame, **{**RULES, "bootstrap": 0, **rules})
    return {(v.metric, v.label): v for v in found}


def unit(random, *shape):
    vectors = random.normal(size=shape)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def studies():
    """Thirteen films of eleven studies of nine patients, with findings of five kinds."""
    random = np.random.default_rng(0)
    names = [f"s{n}" for n in (0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)]
    patients = [f"p{n}" for n in (0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 7, 8)]
    findings = [[1.0, 0.0], [1.0, 0.0], [0.0, 0.0], [0.0, 0.0], [-1.0, 0.0], [0.0, 1.0]]
    findings += [[None, None], [None, None], [None, 1.0], [1.0, 1.0], [0.0, 0.0], [1.0, 0.0]]
    findings += [[0.0, 0.0]]
    normal = [float(f == [0.0, 0.0]) for f in findings]
    reports = unit(random, 13, 4)
    films = reports + 0.7 * unit(random, 13, 4)
    films /= np.linalg.norm(films, axis=1, keepdims=True)
    return table(films, reports, names, patients, findings, normal), films, reports


def rank(scores, relevant):
    """Rank of the first relevant item, items that tie with it and are not relevant before it."""
    best = max(score for score, wanted in zip(scores, relevant, strict=True) if wanted)
    return 1 + sum(s >= best and not w for s, w in zip(scores, relevant, strict=True))


def alike(frame, i, j, exact):
    if frame["study_id"][i] == frame["study_id"][j]:
        return True
    one, other = (json.loads(frame["findings"][n]) for n in (i, j))
    if exact or all(v is None for v in one) or all(v is None for v in other):
        return False
    return [bool(v) for v in one] == [bool(v) for v in other]


def ranks(frame, films, reports, exact):
    """Ranks of both directions, `[2][N]`, by plain loops."""
    n = range(len(films))
    same = [[alike(frame, i, j, exact) for j in n] for i in n]
    films = [[float(np.float32(x)) for x in v] for v in films]
    reports = [[float(np.float32(x)) for x in v] for v in reports]
    score = [[sum(a * b for a, b in zip(f, r, strict=True)) for r in reports] for f in films]
    forward = [rank(score[i], same[i]) for i in n]
    back = [rank([score[i][j] for i in n], [same[i][j] for i in n]) for j in n]
    return forward, back, same


@pytest.mark.parametrize("group", ["all", "normal", "abnormal"])
@pytest.mark.parametrize("k", [1, 5, 10])
def test_values_equal_plain_loops(studies, group, k):
    frame, films, reports = studies
    found = values(frame)
    n = range(len(frame))
    chosen = [i for i in n if group == "all" or (frame["normal"][i] > 0) == (group == "normal")]
    forward, back, same = ranks(frame, films, reports, exact=True)
    hits = [(float(forward[i] <= k), float(back[i] <= k)) for i in n]
    expected = {
        f"film_to_report_{k}": [h[0] for h in hits],
        f"report_to_film_{k}": [h[1] for h in hits],
        f"recall_{k}": [sum(h) / 2 for h in hits],
        f"recall_{k}_chance": [chance(len(frame), sum(same[i]), k) for i in n],
    }
    ahead, behind, close = ranks(frame, films, reports, exact=False)
    expected[f"same_findings_{k}"] = [((ahead[i] <= k) + (behind[i] <= k)) / 2 for i in n]
    expected[f"same_findings_{k}_chance"] = [chance(len(frame), sum(close[i]), k) for i in n]
    swapped = []
    for other in other_patients(frame["patient_id"].to_numpy(), SWAPS):
        there, again, _ = ranks(frame, films[other], reports, exact=True)
        swapped.append([((there[i] <= k) + (again[i] <= k)) / 2 for i in n])
    expected[f"recall_{k}_other_film"] = np.mean(swapped, axis=0)
    for metric, each in expected.items():
        wanted = np.mean([each[i] for i in chosen])
        assert found[metric, group].value == pytest.approx(wanted, abs=1e-9), metric
        assert found[metric, group].n == len(chosen)


def chance(items, wanted, k):
    k = min(k, items)
    return 1 - math.comb(items - wanted, k) / math.comb(items, k)


def test_perfect_vectors_find_everything_and_other_films_nothing():
    found = values(table(np.eye(12), np.eye(12)))
    assert found["recall_1", "all"].value == found["same_findings_1", "all"].value == 1
    assert found["recall_1_other_film", "all"].value == 0
    assert found["recall_1_chance", "all"].value == pytest.approx(1 / 12)
    assert found["recall_5_chance", "all"].value == pytest.approx(5 / 12)


def test_equal_vectors_find_nothing():
    same = np.tile([0.6, 0.8], (12, 1))
    found = values(table(same, same))
    assert found["recall_10", "all"].value == 0


def test_a_study_counts_as_often_as_the_bootstrap_draws_it(studies):
    frame, films, reports = studies
    weights = np.random.default_rng(1).integers(0, 3, (4, len(frame))).astype(float)
    weights[0] = 1
    subset = Subset(frame, (), False, "x", 0, weights, only="film_to_report_1")
    (found,) = [v for v in retrieval.evaluate(subset) if v.label == "all"]
    forward, _, _ = ranks(frame, films, reports, exact=True)
    hits = np.array(forward) <= 1
    np.testing.assert_allclose(found.replicates, [np.average(hits, weights=w) for w in weights[1:]])


def test_films_of_one_patient_have_no_control():
    frame = table(np.eye(3), np.eye(3), patients=["p"] * 3)
    found = values(frame)
    assert found["recall_1", "all"].value == 1
    assert np.isnan(found["recall_1_other_film", "all"].value)


def test_groups_without_a_study_say_so():
    found = values(table(np.eye(3), np.eye(3), normal=[0.0] * 3))
    assert np.isnan(found["recall_5", "normal"].value)
    assert found["recall_5", "normal"].note == "no normal study"


def test_vectors_of_different_width_are_refused():
    frame = table(np.eye(3), np.eye(3)).assign(report=[pack(np.ones(4))] * 3)
    with pytest.raises(UserError, match="shapes"):
        values(frame)


def test_two_runs_give_equal_bits(studies):
    frame, _, _ = studies
    first, second = values(frame, bootstrap=50), values(frame.iloc[::-1], bootstrap=50)
    assert first.keys() == second.keys()
    for key, value in first.items():
        np.testing.assert_array_equal(value.replicates, second[key].replicates)


def test_equal_reports_tie_wherever_they_stand():
    random = np.random.default_rng(0)
    films = random.normal(size=(107, 128))
    reports = random.normal(size=(107, 128))
    reports[[3, 50, 106]] = reports[20]
    films[104] = films[1]
    cosines = _cosines(films, reports)
    np.testing.assert_allclose(cosines, films @ reports.T, atol=1e-12)
    for place in (3, 50, 106):
        np.testing.assert_array_equal(cosines[:, place], cosines[:, 20])
    np.testing.assert_array_equal(cosines[104], cosines[1])
