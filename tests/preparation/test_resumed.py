"""A killed `prepare` goes on where it was, to the same bits; changed sources begin anew."""

from contextlib import contextmanager

import numpy as np
import pytest

from sista import tables
from sista.preparation import films
from sista.preparation.resumed import work_folder
from sista.stages.prepare import prepare
from tests import raw_trees

WORK = ".m.partial"


class Killed(BaseException):
    """As hard as a signal: nothing tidies up behind it."""


@pytest.fixture
def reading(monkeypatch):
    """Count the films that are read; die before one."""
    read, state = films.read_film, {"names": [], "dies_at": None}

    def counted(job):
        if len(state["names"]) == state["dies_at"]:
            raise Killed
        state["names"].append(job.record.image_id)
        return read(job)

    @contextmanager
    def here(function, items, processes, module):
        # In this process, where what is read can be counted.
        yield map(counted, items)

    monkeypatch.setattr(films, "isolated_map", here)
    return state


def made(raw, out):
    prepare("nih_chestxray14", source=raw, out=out / "m.parquet", size=24)
    frame, meta = tables.read(out / "m.parquet", "manifest")
    return frame, meta, np.load(out / "m.images.npy")


def killed_at(reading, raw, out, number):
    reading.update(names=[], dies_at=number)
    with pytest.raises(Killed):
        made(raw, out)
    assert (out / WORK / "done.jsonl").is_file()
    reading.update(names=[], dies_at=None)


@pytest.mark.parametrize("torn", [False, True])
def test_a_killed_run_reads_only_the_others(tmp_path, reading, torn):
    raw = raw_trees.nih(tmp_path / "raw")
    killed_at(reading, raw, tmp_path / "out", 7)
    if torn:
        with (tmp_path / "out" / WORK / "done.jsonl").open("a") as stream:
            stream.write('{"image_id": "half')
    resumed = made(raw, tmp_path / "out")
    assert len(reading["names"]) == 12 - 7
    assert not (tmp_path / "out" / WORK).exists()
    whole = made(raw, tmp_path / "other")
    assert resumed[0].equals(whole[0])
    assert resumed[1] == whole[1]
    assert np.array_equal(resumed[2], whole[2])


@pytest.mark.parametrize("change", ["film", "table", "container"])
def test_what_has_changed_begins_anew(tmp_path, reading, change):
    raw = raw_trees.nih(tmp_path / "raw")
    killed_at(reading, raw, tmp_path / "out", 7)
    if change == "film":
        raw_trees.picture(raw / "images_001/images/00000000_000.png", 99, 30, 30)
    elif change == "table":
        table = raw / "Data_Entry_2017.csv"
        table.write_text(table.read_text().replace("Mass|Nodule", "Mass"))
    else:
        (tmp_path / "out" / WORK / "images.npy").unlink()
    made(raw, tmp_path / "out")
    assert len(reading["names"]) == 12


def test_an_error_leaves_no_work_behind(tmp_path):
    with pytest.raises(ValueError, match="no"), work_folder(tmp_path / "m.parquet"):
        raise ValueError("no")
    assert list(tmp_path.iterdir()) == []
