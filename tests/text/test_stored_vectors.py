"""Report vectors on disk."""

import mmap
from multiprocessing import get_context

import numpy as np
import pytest

from sista.text import stored_vectors as stored
from sista.text.similarity import label_vectors, tfidf_vectors
from sista.text.stored_vectors import stored_vectors

REPORTS = ["large left effusion", "no acute process", "right lower lobe opacity"]
LABELS = np.array([[1.0, 0.0], [0.0, 0.0], [np.nan, -1.0]])


def files(folder):
    return sorted((folder / stored.FOLDER).glob("[!.]*"))


def test_what_is_read_has_the_bits_of_what_was_made(tmp_path):
    made = {"tfidf": tfidf_vectors(REPORTS), "labels": label_vectors(LABELS)}
    for encoder, expected in made.items():
        for _ in range(2):
            got = stored_vectors(tmp_path, REPORTS, LABELS, encoder)
            assert got.dtype == np.float32
            assert (got != expected).nnz == 0
    assert [f.name.split(".")[0] for f in files(tmp_path)] == ["labels", "tfidf"]


def test_another_content_has_another_file(tmp_path, monkeypatch):
    stored_vectors(tmp_path, REPORTS, LABELS, "tfidf")
    stored_vectors(tmp_path, REPORTS[::-1], LABELS, "tfidf")
    stored_vectors(tmp_path, REPORTS, LABELS, "tfidf", "raw")
    stored_vectors(tmp_path, REPORTS, LABELS, "labels")
    stored_vectors(tmp_path, REPORTS, 1 - LABELS, "labels")
    assert len(files(tmp_path)) == 5
    stored_vectors(tmp_path, REPORTS, 1 - LABELS, "tfidf")
    stored_vectors(tmp_path, REPORTS[::-1], LABELS, "labels")
    assert len(files(tmp_path)) == 5
    monkeypatch.setattr(stored, "version", lambda _: "0")
    stored_vectors(tmp_path, REPORTS, LABELS, "tfidf")
    assert len(files(tmp_path)) == 6


def test_a_broken_file_is_made_again(tmp_path):
    expected = stored_vectors(tmp_path, REPORTS, LABELS, "tfidf")
    expected = expected.copy()
    (kept,) = files(tmp_path)
    for name in stored.PARTS:
        whole = (kept / f"{name}.npy").read_bytes()
        (kept / f"{name}.npy").write_bytes(whole[: len(whole) // 2])
        assert (stored_vectors(tmp_path, REPORTS, LABELS, "tfidf") != expected).nnz == 0
        assert (kept / f"{name}.npy").read_bytes() == whole
    np.save(kept / "indices.npy", np.full_like(expected.indices, 10**6))
    assert (stored_vectors(tmp_path, REPORTS, LABELS, "tfidf") != expected).nnz == 0


def test_processes_share_what_is_kept(tmp_path):
    stored_vectors(tmp_path, REPORTS, LABELS, "tfidf")
    read = stored_vectors(tmp_path, REPORTS, LABELS, "tfidf")
    for part in (read.data, read.indices, read.indptr):
        owner = part
        while isinstance(owner.base, np.ndarray):
            owner = owner.base
        assert isinstance(owner.base, mmap.mmap)


def test_a_folder_that_cannot_be_written_costs_only_time(tmp_path):
    (tmp_path / stored.FOLDER).write_text("in the way")
    with pytest.warns(UserWarning, match="not kept"):
        got = stored_vectors(tmp_path, REPORTS, LABELS, "tfidf")
    assert (got != tfidf_vectors(REPORTS)).nnz == 0


def test_two_processes_make_the_same_file(tmp_path):
    context = get_context("spawn")
    arguments = (tmp_path, REPORTS, LABELS, "tfidf")
    running = [context.Process(target=stored_vectors, args=arguments) for _ in range(2)]
    for process in running:
        process.start()
    for process in running:
        process.join()
        assert process.exitcode == 0
    (kept,) = files(tmp_path)
    before = [file.read_bytes() for file in sorted(kept.iterdir())]
    assert (stored_vectors(*arguments) != tfidf_vectors(REPORTS)).nnz == 0
    assert [file.read_bytes() for file in sorted(kept.iterdir())] == before
