"""Grounding from packed maps to values, against plain loops."""

import numpy as np
import pandas as pd
import pytest

from sista.errors import UserError
from sista.scoring.evaluate import evaluate
from sista.tasks._arrays import pack

RULES = {"labels": [], "multiclass": False, "dataset": "x", "fraction": 0}
CELLS = 9


def values(frame, **rules):
    found = evaluate("grounding", frame, **{**RULES, "bootstrap": 0, **rules})
    return {(v.metric, v.label): v for v in found}


def row(image, label, phrase, words):
    """A row; each form is own maps, maps of other films, share of the region, or None."""
    place = {"image_id": image, "patient_id": image, "label": label}
    for form, parts in (("phrase", phrase), ("words", words)):
        names = (form, f"{form}_other", f"{form}_region")
        place |= dict(zip(names, map(pack, parts) if parts else ("",) * 3, strict=True))
    return place


@pytest.fixture(scope="module")
def drawn():
    """Forms of ten films: of one map and of two words, some without words, one out of sight."""
    random = np.random.default_rng(0)
    rows = []
    for n in range(10):
        share = random.random(CELLS) * (random.random(CELLS) < 0.4)
        share[n % CELLS] = 0.5
        if n == 7:
            share[:] = 0
        phrase = (random.random(CELLS), random.random((3, CELLS)), share)
        words = (random.random((2, CELLS)), random.random((3, 2, CELLS)), share)
        rows.append((f"i{n}", "edema" if n % 3 else "mass", phrase, words if n % 4 else None))
    # Two cells tie for the largest weight.
    rows[1][2][0][:] = np.arange(CELLS) // 2
    return rows


def measured(share, weights):
    """Hit, precision and mass of one map, by plain loops."""
    share, weights = ([float(np.float32(v)) for v in each] for each in (share, weights))
    top = [n for n in range(CELLS) if weights[n] == max(weights)]
    hit = sum(share[n] > 0 for n in top) / len(top)
    precision = sum(share[n] for n in top) / len(top)
    mass = sum(w * s for w, s in zip(weights, share, strict=True)) / sum(weights)
    return hit, precision, mass


@pytest.mark.parametrize("label", ["all", "edema", "mass"])
@pytest.mark.parametrize("form", ["phrase", "words"])
def test_values_equal_plain_loops(drawn, form, label):
    found = values(pd.DataFrame([row(*each) for each in drawn]))
    own, other, chance = [], [], []
    for _, named, *forms in drawn:
        parts = forms[form == "words"]
        if parts is None or label not in ("all", named) or not parts[2].any():
            continue
        maps, swapped, share = parts
        own.append(np.mean([measured(share, m) for m in maps.reshape(-1, CELLS)], axis=0))
        other.append(np.mean([measured(share, m) for m in swapped.reshape(-1, CELLS)], axis=0))
        chance.append(measured(share, np.ones(CELLS)))
    for ending, each in (("", own), ("_other_film", other), ("_chance", chance)):
        for n, measure in enumerate(("hit", "precision", "mass")):
            value = found[f"{measure}_{form}{ending}", label]
            assert value.value == pytest.approx(np.mean(each, axis=0)[n], abs=1e-6)
            assert value.n == len(own)


def test_a_map_on_the_region_is_perfect_and_other_films_are_not():
    share = np.zeros(CELLS)
    share[4] = 1.0
    beside = np.roll(share, 1)
    frame = pd.DataFrame([row(f"i{n}", "mass", (share, beside[None], share), None) for n in (0, 1)])
    found = values(frame)
    for measure in ("hit", "precision", "mass"):
        assert found[f"{measure}_phrase", "all"].value == 1
        assert found[f"{measure}_phrase_other_film", "all"].value == 0
        assert found[f"{measure}_phrase_chance", "all"].value == pytest.approx(1 / CELLS)
    assert np.isnan(found["hit_words", "all"].value)
    assert found["hit_words", "all"].note == "the method has no such map"


def test_a_region_out_of_sight_is_left_out():
    seen, none = np.ones(CELLS), np.zeros(CELLS)
    maps = (np.arange(CELLS), np.ones((2, CELLS)))
    rows = [row("i0", "mass", (*maps, seen), None), row("i1", "mass", (*maps, none), None)]
    found = values(pd.DataFrame(rows))
    assert found["hit_phrase", "all"].n == 1
    assert found["hit_phrase", "all"].value == 1


def test_an_empty_map_of_one_other_film_does_not_hide_the_rest():
    share = np.arange(CELLS) / CELLS
    other = np.stack([np.zeros(CELLS), np.eye(CELLS)[-1]])
    found = values(pd.DataFrame([row("i0", "mass", (np.ones(CELLS), other, share), None)]))
    assert found["mass_phrase_other_film", "all"].value == pytest.approx(8 / 9)


def test_every_finding_of_a_film_counts_as_often_as_the_film_is_drawn(drawn):
    both = [row("i0", name, drawn[n][2], None) for n, name in ((0, "mass"), (1, "edema"))]
    frame = pd.DataFrame([*both, row("i1", "mass", drawn[2][2], None)])
    found = values(frame, bootstrap=200)
    one, two, three = (measured(drawn[n][2][2], drawn[n][2][0])[2] for n in (0, 1, 2))
    means = [np.mean(each) for each in ([one, two, three], [one, two], [three])]
    replicates = found["mass_phrase", "all"].replicates
    assert np.isclose(replicates[:, None], means, atol=1e-6).any(1).all()
    assert len(np.unique(replicates.round(6))) == 3


def test_maps_of_other_grids_than_the_region_are_refused():
    frame = pd.DataFrame([row("i0", "mass", (np.ones(4), np.ones((1, 4)), np.ones(9)), None)])
    with pytest.raises(UserError, match=r"shapes \(4,\), \(1, 4\) and \(9,\)"):
        values(frame)
