"""Pairs found by parts of a hash are those that comparing all films finds."""

import numpy as np

from sista.audits import near_duplicates as near
from sista.audits.near_duplicates import Thumbnails, descriptors, near_pairs


def test_hashes_find_what_comparing_all_finds(monkeypatch):
    chance = np.random.default_rng(1)
    films = chance.integers(0, 256, (600, 8, 8)).astype(np.float32).repeat(4, 1).repeat(4, 2)
    films[300:400] = films[:100] + chance.normal(0, 3, (100, 32, 32))
    films[400:450] = films[100:150, :, ::-1] + chance.normal(0, 3, (50, 32, 32))
    films[450:480] = 255 - films[150:180]
    films[599] = 40
    thumbs = Thumbnails(films.clip(0, 255).astype(np.uint8))
    assert list(np.flatnonzero(thumbs.blank)) == [599]
    vectors = descriptors(thumbs)
    expected = near_pairs(vectors)
    numbers = np.arange(100)
    assert expected["near copy"].tolist() == np.stack((numbers, numbers + 300), 1).tolist()
    assert {tuple(pair) for pair in expected["mirrored"]} >= {(n + 100, n + 400) for n in range(50)}
    assert {tuple(pair) for pair in expected["inverted"]} >= {(n + 150, n + 450) for n in range(30)}
    monkeypatch.setattr(near, "COMPARED", 0)
    found = near_pairs(vectors)
    for form, pairs in expected.items():
        assert found[form].tolist() == pairs.tolist(), form
