"""What the fuzz and the trial have found, by kind: each was a traceback, or was believed."""

import contextlib
import os
import pickle
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from sista import registry, tables
from sista.__main__ import main
from sista.engine.corpus import Corpus
from sista.engine.pairs import load_subsets
from sista.errors import UserError
from sista.files import walk
from sista.grid.grid import Grid
from sista.importers._files import read_tensors
from sista.lineage.address import _split
from sista.lineage.verify import verify
from sista.runs.arrays import read_array, read_arrays
from sista.scoring.evaluate import evaluate
from sista.text.transformer import parse, weights_hash
from tests import made_up_predictions as made
from tests.blobs import blobs
from tests.raw_trees import TREES

PRETRAIN = (
    "pretrain --method clip --encoder resnet_tiny --corpus blobs@test --manifest m.parquet "
    "--split s.parquet --out e.safetensors"
).split()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return blobs(tmp_path_factory.mktemp("blobs"), 12)


def changed(path, change):
    """Write the Parquet file again with a change, its metadata kept."""
    table = pq.read_table(path)
    pq.write_table(change(table).replace_schema_metadata(table.schema.metadata), path)


def nothing(table):
    """Return the table without the values of a column that pre-training does not read."""
    name = next(name for name in table.column_names if name in ("patient_id", "dataset"))
    empty = pa.array([None] * len(table), pa.string())
    return table.set_column(table.column_names.index(name), name, empty)


@pytest.mark.parametrize("file", ["manifest.parquet", "manifest.split.parquet"])
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t.drop_columns([t.column_names[-1]]), "is missing"),
        (lambda t: t.append_column("more", pa.array([1] * len(t))), "'more' is unknown"),
        (lambda t: t.append_column(t.column_names[0], t.column(0)), "twice"),
        (lambda t: t.set_column(0, t.column_names[0], pa.array([[1]] * len(t))), "in place of"),
        (nothing, "has null"),
    ],
)
def test_pre_training_believes_no_column_unread(corpus, tmp_path, file, change, told):
    for path in corpus.parent.glob("manifest.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    # The manifest's last column is a label, whose name its metadata tell.
    changed(tmp_path / file, lambda t: change(t.select(t.column_names[::-1])))
    prepared = Corpus(tmp_path / "manifest.parquet", tmp_path / "manifest.split.parquet")
    with pytest.raises(UserError, match=rf"{file}: .*{told}"):
        load_subsets(prepared, size=16, text=False)


@pytest.mark.parametrize("task", ["detection", "segmentation", "classification"])
def test_an_image_stands_once_in_the_predictions_of_every_task(task):
    run = next(run for run in made.runs(tasks=(task,)))
    frame = pd.DataFrame(made._rows(run, "test", 0, 10, 6))
    rules = {"labels": ["Pneumonia"], "multiclass": False, "dataset": "x", "bootstrap": 2}
    with pytest.raises(UserError, match="two rows of"):
        list(evaluate(task, pd.concat([frame, frame.tail(1)]), **rules))


def test_whatever_a_weights_file_raises_is_one_line(tmp_path):
    path = tmp_path / "small.pt"
    torch.save({"a": torch.zeros(2)}, path)
    whole = path.read_bytes()
    # The name of an entry in the directory of the zip, said to be UTF-8.
    at = whole.rindex(b"PK\x01\x02")
    cut = bytearray(whole)
    cut[at + 8 : at + 10] = (0x800).to_bytes(2, "little")
    cut[at + 46 : at + 48] = b"\xff\xfe"
    path.write_bytes(cut)
    with pytest.raises(UserError, match=r"small\.pt: "):
        read_tensors(path)
    torch.save({"a": torch.zeros(2)}, path, _use_new_zipfile_serialization=False)
    for at in range(20, len(path.read_bytes()), 7):
        path.write_bytes(path.read_bytes()[:-at] or b"\x80")
        with pytest.raises(UserError, match=r"small\.pt: "):
            read_tensors(path)


def test_a_header_that_is_no_python_is_a_damaged_array(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.zeros(3))
    path.write_bytes(path.read_bytes().replace(b"'shape': (3,)", b"'shape': ((((("))
    with pytest.raises(ValueError, match=r"a\.npy"):
        read_array(path)
    np.savez(tmp_path / "b.npz", a=np.zeros(3))
    whole = (tmp_path / "b.npz").read_bytes()
    (tmp_path / "b.npz").write_bytes(whole.replace(b"'shape': (3,)", b"'shape': ((((("))
    with pytest.raises(ValueError, match=r"b\.npz"):
        read_arrays(tmp_path / "b.npz")


def test_a_film_whose_name_is_too_long_has_no_mask(tmp_path):
    TREES["covid_chestxray"](tmp_path)
    table = tmp_path / "metadata.csv"
    table.write_text(table.read_text().replace("film0.png", f"{'n' * 252}.png", 1))
    names = [record.path for record in registry.find("datasets", "covid_chestxray").read(tmp_path)]
    assert any("nnnn" in name for name in names)


@pytest.mark.parametrize("value", ["1.5", "1e3", "nan", "0x10", "９"])
@pytest.mark.parametrize("option", ["--threads", "--draws"])
def test_a_whole_number_is_written_as_one(option, value, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["prepare", "siim_acr", "--out", "m.parquet", option, value])
    assert "is no whole number; give one such as 1" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("file/x.parquet", "is a file; give a place in a folder"),
        ("folder", "is a folder; give the file to write"),
        (f"{'n' * 250}.parquet", "give a shorter name"),
    ],
)
def test_a_place_that_cannot_be_written_is_told_before_any_work(tmp_path, place, told, capsys):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    before = sorted(tmp_path.rglob("*"))
    arguments = ["fetch", "siim_acr", "--source", str(tmp_path), "--out", str(tmp_path / place)]
    assert main(arguments) == 1
    assert told in " ".join(capsys.readouterr().err.split())
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["schema", "--out", "file/x.json"], "--out file/x.json: file is a file"),
        (["crate", "--grid", "g.yaml", "--out", "file/x", "--results", "."], "--out file/x: file"),
        (["site", "--out", "file/x"], "--out file/x: file is a file"),
        (["import", "torchvision", "file", "--out", "file/x"], "--out file/x: file is a file"),
        (["site", "--out", "s", "--results", "file/x"], "no such folder"),
        ([*PRETRAIN, "--variant", "$(touch x)"], "--variant: '$(touch x)' is no word"),
        ([*PRETRAIN, "--variant", "ö"], "--variant: 'ö' is no word"),
        ([*PRETRAIN, "--settings", '{"lr": null}'], "--settings: clip has no setting 'lr'"),
    ],
)
def test_the_option_is_named_before_any_work(tmp_path, monkeypatch, words, told, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with contextlib.suppress(SystemExit):
        assert main(words) == 1
    assert told in " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_part_of_an_address_is_not_empty():
    with pytest.raises(UserError, match=r"^/etc/passwd: must be DATASET/FRACTION$"):
        _split("/etc/passwd", 3, "DATASET/FRACTION")


@pytest.mark.parametrize("word", ["../../etc/passwd", "/etc/passwd", "$(touch x)", "ö"])
def test_what_is_no_name_of_the_hub_is_no_report_encoder(word):
    for asked in (weights_hash, parse):
        with pytest.raises(UserError, match=r"report encoder '.*': no folder and no name"):
            asked(word)


def test_the_errors_of_a_grid_are_short_whatever_it_quotes(tmp_path):
    path = tmp_path / "long.yaml"
    key = "k" * 5000
    for text in (f"{key}: 1\n{key}: 2\n", f"a: !{key} 1\n", f"budget: {key}\n"):
        path.write_text(text)
        with pytest.raises(UserError, match=r"long\.yaml") as caught:
            Grid.load(path)
        assert len(str(caught.value)) < 1500


def test_a_split_is_read_whole_elsewhere(corpus):
    """What pre-training refuses above is valid here as it stands."""
    assert len(tables.read(corpus.with_name("manifest.split.parquet"), "split", ["image_id"])[0])


@contextlib.contextmanager
def closed(folder):
    """A folder that this user may not list; root may list all, so it becomes somebody else."""
    folder.chmod(0)
    root = os.geteuid() == 0
    try:
        if root:
            os.seteuid(65534)
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)


@pytest.fixture
def open_folder():
    """A folder that others may look into, as pytest's own are not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_what_a_closed_folder_holds_is_not_left_out_in_silence(open_folder):
    root = open_folder / "results"
    TREES["kermany_pneumonia"](root / "films")
    masks = root / "films/masks_lung"
    masks.mkdir(exist_ok=True)
    with closed(masks), pytest.raises(UserError, match=r"masks_lung: permission denied; give"):
        list(walk(root))
    with closed(masks), pytest.raises(UserError, match="masks_lung: permission denied"):
        verify(results=root)
    shutil.rmtree(root)
    assert list(walk(root)) == []


def test_a_row_of_empty_cells_that_is_shorter_than_the_others_is_cut(tmp_path):
    TREES["nih_chestxray14"](tmp_path)
    boxes = tmp_path / "BBox_List_2017.csv"
    whole = boxes.read_text().rstrip()
    assert whole.endswith(",,,")
    boxes.write_text(whole)
    read = registry.find("datasets", "nih_chestxray14").read
    assert list(read(tmp_path))
    boxes.write_text(whole[:-1])
    with pytest.raises(UserError, match=r"BBox_List_2017\.csv row .* may be cut"):
        list(read(tmp_path))


def test_a_message_of_any_length_keeps_its_file_and_its_remedy():
    error = UserError(f"a.yaml: damaged ({'x' * 10**6}); download it again")
    assert str(error).startswith("a.yaml: damaged (xxx")
    assert str(error).endswith("xxx); download it again")
    assert len(str(error)) <= 1500
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert str(UserError("short; stays")) == "short; stays"
