"""Other readings of a data set, and the real tables that a wheel carries."""

import importlib.util
import shutil
from collections import Counter
from pathlib import Path

import pytest

from sista import registry, tables
from sista.datasets._account import read_all
from sista.errors import UserError
from sista.grid.grid import check_dataset
from sista.metadata import data_reading, data_word
from sista.stages.prepare import prepare
from sista.text.openi import REPORTS
from tests import raw_annotated, raw_reports


def wheel() -> Path:
    # Found, not imported: its import costs seconds of torch.
    spec = importlib.util.find_spec("torchxrayvision")
    return Path(spec.origin).parent / "data" if spec and spec.origin else Path("none")


def test_a_reference_has_a_word_a_reading_and_an_origin():
    for reference, parts in {
        "vindr_cxr": ("vindr_cxr", ""),
        "vindr_cxr+any": ("vindr_cxr", "any"),
        "vindr_cxr+any@phantom": ("vindr_cxr", "any"),
        "chexpert@phantom": ("chexpert", ""),
    }.items():
        assert (data_word(reference), data_reading(reference)) == parts
        check_dataset(reference)
    with pytest.raises(UserError, match=r"valid: vindr_cxr\+majority, vindr_cxr\+any"):
        check_dataset("vindr_cxr+most")
    with pytest.raises(UserError, match=r"unknown reading 'any'; valid: none"):
        check_dataset("chexpert+any")


@pytest.mark.parametrize("word", registry.names("datasets"))
def test_readings_are_those_that_a_grid_may_name(word):
    written = registry.constant("datasets", word, "READINGS", ())
    dataset = registry.find("datasets", word)
    assert tuple(dataset.readings) == tuple(written)
    for name in written:
        assert dataset.reading(name).word == word


def test_rules_by_which_three_readers_become_one(tmp_path):
    root = raw_annotated.vindr_cxr(tmp_path / "raw")
    found = {}
    for rule in ("", "+any", "+majority", "+all"):
        out = tmp_path / f"m{rule}.parquet"
        prepare(f"vindr_cxr{rule}", source=root, out=out, size=16, draws=1)
        frame, meta = tables.read(out, "manifest")
        train = frame[frame.official == "train"]
        assert meta["dataset"] == f"vindr_cxr{rule}"
        boxes = train.boxes.map(lambda text: text.count("label")).sum()
        names = ("label.Nodule/Mass", "label.Pleural effusion")
        found[rule] = (*(int(train[name].sum()) for name in names), int(boxes))
        # The readers of the test films agreed before.
        assert frame[frame.official == "test"].boxes.notna().all()
    assert found == {"": (4, 0, 4), "+any": (4, 4, 8), "+majority": (4, 0, 4), "+all": (0, 0, 0)}


def test_the_real_table_of_vinbigdata(tmp_path):
    table = wheel() / "vinbigdata-train.csv.gz"
    if not table.is_file():
        pytest.skip("torchxrayvision is not installed")
    import gzip

    (tmp_path / "train.csv").write_bytes(gzip.decompress(table.read_bytes()))
    dataset = registry.find("datasets", "vinbigdata")
    root, release = dataset.locate(tmp_path)
    account = read_all(dataset, root)
    assert len(account.records) == dataset.counts[release] == 15000
    normal = sum(record.labels["No finding"] for record in account.records)
    # 31,818 of 45,000 readings found nothing; in this set all three of a film always agree on it.
    assert normal == 31818 / 3


def test_real_reports_of_open_i_become_labels(tmp_path):
    archive = wheel() / REPORTS
    if not archive.is_file():
        pytest.skip("torchxrayvision is not installed")
    import tarfile

    with tarfile.open(archive) as packed:
        # Python 3.11.0 to 3.11.3 have no filters; the archive came with this environment.
        safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        packed.extractall(tmp_path, **safe)  # noqa: S202
    dataset = registry.find("datasets", "iu_xray")
    account = read_all(dataset, dataset.locate(tmp_path)[0])
    assert len(account.records) == dataset.counts["Open-i"] == 7470
    assert {"what": "reports", "why": "they name no film", "n": 104} in account.facts()
    reports = {record.study_id: record.labels for record in account.records}
    assert len(reports) == 3851
    positive = Counter(name for found in reports.values() for name, value in found.items() if value)
    # The headings that these come from were counted in the XML: 375 of them say cardiomegaly.
    assert 340 <= positive["Cardiomegaly"] <= 375
    assert positive["Normal"] > 1300


@pytest.mark.slow
def test_the_real_table_of_padchest(tmp_path):
    table = wheel() / "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz"
    if not table.is_file():
        pytest.skip("torchxrayvision is not installed")
    shutil.copy(table, tmp_path)
    dataset = registry.find("datasets", "padchest")
    root, release = dataset.locate(tmp_path)
    account = read_all(dataset, root)
    films = sum(entry.count for entry in account.left_out if entry.what == "films")
    assert len(account.records) == dataset.counts[release]
    assert len(account.records) + films == dataset.published[release]


def test_reports_of_candid_have_no_headers(tmp_path):
    root = raw_annotated.candid_ptx(tmp_path)
    records = {r.image_id: r for r in registry.find("datasets", "candid_ptx").read(root)}
    assert records["1.2.276.0.1"].report == "right apical pneumothorax. no other change."
    assert records["1.2.276.0.1"].labels == {"Pneumothorax": 1, "Chest Tube": 1, "Rib Fracture": 0}
    assert records["1.2.276.0.8"].mask is None
    assert "Pneumothorax" not in records["1.2.276.0.8"].labels


def test_views_labels_and_texts_of_the_sets_with_reports(tmp_path):
    pad = registry.find("datasets", "padchest")
    records = list(pad.read(raw_reports.padchest(tmp_path / "p")))
    assert {r.view for r in records} == {"PA", "AP"}
    assert {n for n, v in records[1].labels.items() if v} == {"cardiomegaly", "nodule"}
    assert records[2].labels == {}
    plus = registry.find("datasets", "chexpert_plus")
    records = list(plus.read(raw_reports.chexpert_plus(tmp_path / "c")))
    assert records[1].report == "1. no change. the lungs are clear of it."[3:]
    assert records[0].report is None
    assert records[3].labels == {}
    rex = registry.find("datasets", "rexgradient")
    records = list(rex.read(raw_reports.rexgradient(tmp_path / "r")))
    assert {r.view for r in records} == {"PA", "AP"}
    assert {r.official for r in records} == {"train", "val", "test"}
    assert any(r.report == "no acute disease. the lungs are clear. no effusion." for r in records)
