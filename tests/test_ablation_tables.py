"""The tables that explain an ablation: paired differences over seeds, false negatives a batch."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks.ablation.explain import by_variant
from benchmarks.ablation.patches import shares
from benchmarks.retrieval.false_negatives import per_batch
from sista.metrics.retrieval import cut_quality


def test_differences_are_paired_by_seed():
    values = np.random.default_rng(0).normal(size=(2, 4))
    rows = [
        {"variant": variant, "encoder": "e", "corpus": "c", "seed": seed, "measure": "m"}
        | {"value": values[n, seed]}
        for n, variant in enumerate(("clip", "sista"))
        for seed in (3, 1, 0, 2)
    ]
    table = by_variant(pd.DataFrame(rows), "clip").set_index("variant")
    test = stats.ttest_rel(values[1], values[0])
    span = test.confidence_interval()
    found = table.loc["sista", ["difference", "low", "high", "p"]].astype(float)
    expected = [(values[1] - values[0]).mean(), span.low, span.high, test.pvalue]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert np.isnan(table.loc["clip", "difference"])


def test_false_negatives_of_a_batch_are_what_random_batches_hold():
    generator = np.random.default_rng(1)
    findings = generator.integers(0, 3, 60)
    same = findings[:, None] == findings
    similarity = np.where(same, 0.6, 0.3) + generator.uniform(0, 0.4, same.shape)
    (quality,) = cut_quality(similarity, same, 0.65, {"all": np.ones(60, bool)}).values()
    found = per_batch(quality, 8)
    counts = []
    for _ in range(4000):
        own, *others = generator.choice(60, 8, replace=False)
        cut, alike = similarity[own, others] > 0.65, same[own, others]
        counts.append([alike.sum(), (cut & alike).sum(), (cut & ~alike).sum()])
    names = ("false_negatives", "removed", "wrongly_removed")
    assert [found[n] for n in names] == pytest.approx(np.mean(counts, 0), rel=0.08)


def test_patches_are_split_into_film_place_and_what_is_there():
    rng = np.random.default_rng(0)
    # Orthogonal directions, so that the variances of the three add up as drawn.
    film = rng.normal(size=(300, 1, 1)) * np.eye(6)[0]
    place = 2 * rng.normal(size=(1, 300, 1)) * np.eye(6)[1]
    local = rng.normal(size=(300, 300, 2)) @ np.eye(6)[2:4]
    found = shares(film + place + local)
    assert [found[name] for name in ("film", "place", "local")] == pytest.approx(
        [1 / 7, 4 / 7, 2 / 7], abs=0.05
    )
    assert found["local_rank"] == pytest.approx(2.0, abs=0.01)
    assert shares(np.broadcast_to(film, (300, 300, 6)) + 1e-9 * local)["film"] > 0.999
