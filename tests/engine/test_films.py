import mmap

import numpy as np
import pytest

from sista.engine import films as module
from sista.engine import pairs
from sista.engine.films import Films


@pytest.fixture
def container(tmp_path):
    """Six images whose values tell place and image, in a file."""
    down, right = np.mgrid[:10, :10]
    images = (down * 10 + right)[None] + 20 * np.arange(6)[:, None, None]
    np.save(tmp_path / "c.images.npy", images.astype(np.uint8))
    return tmp_path / "c.images.npy"


def test_studies_are_found_in_the_container(container):
    stored = np.load(container, mmap_mode="r")
    films = Films(stored, np.array([4, 1, 5]))
    assert (len(films), films.side) == (3, 10)
    assert np.array_equal(films.take(np.array([2, 0])), stored[[5, 4]])
    assert np.array_equal(Films(stored).take(np.array([3])), stored[[3]])


def test_crops_lie_where_they_were_asked_for(container):
    stored = np.load(container)
    corner, mirrored = np.array([[0, 3], [6, 6]]), np.array([False, True])
    found = Films(stored, np.array([4, 1])).crops(np.array([0, 1]), corner, 4, mirrored)
    assert np.array_equal(found[0], stored[4, :4, 3:7])
    assert np.array_equal(found[1], stored[1, 6:, 6:][:, ::-1])


def test_pages_are_given_back_and_read_again(container, monkeypatch):
    monkeypatch.setattr(module, "RELEASE", 250)
    films, given = Films(np.load(container, mmap_mode="r")), []
    mapped = films._mapped
    assert isinstance(mapped, mmap.mmap)

    class Watched:
        def madvise(self, advice):
            given.append(advice)
            mapped.madvise(advice)

    films._mapped = Watched()
    for _ in range(4):
        assert np.array_equal(films.take(np.array([0, 1])), np.load(container)[:2])
    assert given == [mmap.MADV_DONTNEED] * 2


def test_images_of_the_right_size_stay_in_their_file(container):
    read = pairs.read_images(container, np.array([5, 0]), 10)
    assert isinstance(read.container, np.memmap)
    assert not (container.parent / "reduced").exists()


def test_reduced_images_are_the_same_in_memory_and_in_a_file(container, monkeypatch):
    rows = np.array([5, 0, 2])
    expected = pairs.read_images(container, rows, 6).take(np.arange(3))
    monkeypatch.setattr(pairs, "IN_MEMORY", 0)
    for _ in range(2):
        kept = pairs.read_images(container, rows, 6)
        assert isinstance(kept.container, np.memmap)
        assert np.array_equal(kept.take(np.arange(3)), expected)
    assert len(list((container.parent / "reduced").iterdir())) == 1
    pairs.read_images(container, rows[:2], 6)
    assert len(list((container.parent / "reduced").iterdir())) == 2
