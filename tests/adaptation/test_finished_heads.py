"""What lies in the place of an unfinished job's heads, and is none of ours."""

import os
import signal
from contextlib import contextmanager

import pytest

from sista.adaptation.finished_heads import FinishedHeads


@contextmanager
def within(seconds):
    """Interrupt what waits for ever."""

    def stop(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_heads_are_found_again(tmp_path):
    out = tmp_path / "predictions.parquet"
    FinishedHeads(out, {"seed": 0}, []).put(0, 10, None, "too few", 1.0)
    assert FinishedHeads(out, {"seed": 0}, []).has(0, 10)
    assert not FinishedHeads(out, {"seed": 1}, []).has(0, 10)


@pytest.mark.parametrize("kind", ["pipe", "file", "link to a folder", "link to nothing"])
def test_what_is_no_folder_is_put_aside_and_what_it_leads_to_stays(tmp_path, kind):
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "a").write_text("a")
    place = tmp_path / ".predictions.parts"
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "file":
        place.write_text("x")
    else:
        place.symlink_to(kept if kind == "link to a folder" else tmp_path / "nothing")
    with within(10):
        heads = FinishedHeads(tmp_path / "predictions.parquet", {"seed": 0}, [])
    assert heads.folder.is_dir()
    assert not heads.folder.is_symlink()
    assert (kept / "a").read_text() == "a"
