"""Determinism, layouts as downloaded, patients kept apart."""

import gzip
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest
from PIL import Image

from sista import registry
from sista.datasets._account import read_all
from sista.errors import UserError
from sista.phantom.layouts.siim_acr import EMPTY, relative_rle
from sista.phantom.patients import make_patient, roster
from sista.phantom.presets import FURTHER, LAYOUTS, PRESETS
from sista.phantom.truth import FILE, decode
from sista.phantom.write import write
from sista.preparation.radiograph import film_size

STUDIES = 10


@pytest.fixture(scope="module")
def trees(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("phantom")
    preset = replace(PRESETS["phantom_tiny"], studies=dict.fromkeys(LAYOUTS, STUDIES))
    for layout in LAYOUTS:
        write(layout, preset, root / layout)
    return {layout: root / layout for layout in LAYOUTS}


def hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_bytes_whatever_the_number_of_processes(tmp_path):
    for layout in ("mimic_cxr", "rsna_pneumonia"):
        preset = replace(PRESETS["phantom_tiny"], studies={layout: 5})
        write(layout, preset, tmp_path / "one" / layout)
        write(layout, preset, tmp_path / "two" / layout, threads=2)
        assert hashes(tmp_path / "one" / layout) == hashes(tmp_path / "two" / layout)


def test_a_patient_does_not_depend_on_the_number_of_studies():
    preset = PRESETS["phantom"]
    few, many = make_patient(preset, "chexpert", 5, 1), make_patient(preset, "chexpert", 5, 2)
    assert few.studies[0] == many.studies[0]
    np.testing.assert_array_equal(
        few.film(few.studies[0]).pixels, many.film(many.studies[0]).pixels
    )


def test_another_seed_gives_other_films():
    preset = PRESETS["phantom"]
    first = make_patient(preset, "chexpert", 0, 1)
    second = make_patient(replace(preset, seed=1), "chexpert", 0, 1)
    assert first.anatomy != second.anatomy


def test_unknown_layout_names_the_valid_ones(tmp_path):
    with pytest.raises(UserError, match="choose one of: mimic_cxr"):
        write("moon", PRESETS["phantom_tiny"], tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_counts_and_patients_do_not_overlap():
    preset = PRESETS["phantom"]
    seen: set[int] = set()
    for layout in LAYOUTS:
        entries = list(roster(preset, layout))
        assert sum(count for _, count in entries) == preset.studies[layout]
        last = make_patient(preset, layout, *entries[-1])
        numbers = set(range(last.number - last.index, last.number + 1))
        assert not seen & numbers
        seen |= numbers


def test_truth_masks_fit_boxes_and_films(trees):
    total = 0
    for layout, folder in trees.items():
        truth = pd.read_parquet(folder / FILE)
        assert len(truth), layout
        for row in truth.itertuples():
            mask = decode(row.mask)
            x, y, w, h = map(int, row.box.strip("[]").split(","))
            assert mask.shape == (row.height, row.width)
            assert 0 <= x < x + w <= row.width
            assert 0 <= y < y + h <= row.height
            assert mask[y : y + h, x : x + w].sum() == mask.sum() > 0
            inner = mask[y : y + h, x : x + w]
            assert inner[0].any()
            assert inner[-1].any()
            assert inner[:, 0].any()
            assert inner[:, -1].any()
            assert (folder / row.path).is_file()
            total += 1
    assert total > 30


def test_mimic_cxr(trees):
    folder = trees["mimic_cxr"]
    split = pd.read_csv(folder / "mimic-cxr-2.0.0-split.csv.gz")
    assert list(split) == ["dicom_id", "study_id", "subject_id", "split"]
    assert split.groupby("subject_id")["split"].nunique().max() == 1
    views = pd.read_csv(folder / "mimic-cxr-2.0.0-metadata.csv.gz")
    assert set(views.ViewPosition) <= {"PA", "AP", "LATERAL"}
    labels = pd.read_csv(folder / "mimic-cxr-2.0.0-chexpert.csv.gz")
    assert labels.shape == (STUDIES, 16)
    assert set(np.unique(labels.iloc[:, 2:].stack().dropna())) <= {-1.0, 0.0, 1.0}
    for row in split.itertuples():
        home = folder / "files" / f"p{str(row.subject_id)[:2]}" / f"p{row.subject_id}"
        with Image.open(home / f"s{row.study_id}" / f"{row.dicom_id}.jpg") as image:
            assert image.mode == "L"
            assert min(image.size) >= 320
        text = (home / f"s{row.study_id}.txt").read_text()
        assert all(line.startswith(" ") for line in text.splitlines())
        assert " FINDINGS:" in text or " IMPRESSION:" in text
    header = gzip.decompress((folder / "mimic-cxr-2.0.0-split.csv.gz").read_bytes())
    assert header.startswith(b"dicom_id,study_id,subject_id,split\n")


def test_chexpert(trees):
    root = trees["chexpert"] / "CheXpert-v1.0-small"
    train, valid = pd.read_csv(root / "train.csv"), pd.read_csv(root / "valid.csv")
    assert list(train)[:6] == ["Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", "No Finding"]
    assert train.shape[1] == 19
    assert train.iloc[:, 5:].isna().any().any()
    assert valid.iloc[:, 5:].isin([0.0, 1.0]).all().all()
    for path in [*train.Path, *valid.Path]:
        assert (trees["chexpert"] / path).is_file()


def test_rsna_pneumonia(trees):
    folder = trees["rsna_pneumonia"]
    labels = pd.read_csv(folder / "stage_2_train_labels.csv")
    classes = pd.read_csv(folder / "stage_2_detailed_class_info.csv")
    assert list(labels) == ["patientId", "x", "y", "width", "height", "Target"]
    assert (labels.patientId == classes.patientId).all()
    assert ((classes["class"] == "Lung Opacity") == (labels.Target == 1)).all()
    assert (labels.x.notna() == (labels.Target == 1)).all()
    assert labels.patientId.nunique() == STUDIES


def test_siim_masks_survive_the_round_trip(trees):
    folder = trees["siim_acr"]
    table = pd.read_csv(folder / "train-rle.csv")
    assert list(table) == ["ImageId", " EncodedPixels"]
    truth = pd.read_parquet(folder / FILE)
    truth = truth[truth.finding == "pneumothorax"].set_index("image_id")
    for name, code in zip(table.ImageId, table[" EncodedPixels"], strict=True):
        assert (code == EMPTY) == (name not in truth.index)
        if code != EMPTY:
            mask = decode(truth.loc[name, "mask"])
            np.testing.assert_array_equal(from_relative(code, mask.shape), mask)
    assert (table[" EncodedPixels"] != EMPTY).any()


def from_relative(code: str, shape: tuple[int, int]) -> np.ndarray:
    """Decode as the challenge's own script does: position moves on by each start."""
    flat = np.zeros(shape[0] * shape[1], dtype=bool)
    numbers, position = np.array(code.split(), dtype=int), 0
    for start, length in numbers.reshape(-1, 2):
        position += start
        flat[position : position + length] = True
        position += length
    return flat.reshape(shape[1], shape[0]).T


def test_relative_rle_of_random_masks():
    rng = np.random.default_rng(0)
    for _ in range(5):
        mask = rng.random((13, 9)) > 0.5
        np.testing.assert_array_equal(from_relative(relative_rle(mask), mask.shape), mask)


def test_dicom_flavours_show_the_same_film(tmp_path):
    from sista.phantom.rasters import FLAVOURS, save_dicom, to_bytes, uid

    patient = make_patient(PRESETS["phantom"], "siim_acr", 0, 1)
    pixels = patient.film(patient.studies[0]).pixels
    start = 0.0
    for i, ((photometric, bits, compressed), share) in enumerate(FLAVOURS):
        path = tmp_path / f"{i}.dcm"
        save_dicom(path, pixels, {"PatientID": "x"}, (uid(1), uid(2), uid(3)), start + share / 2)
        start += share
        data = pydicom.dcmread(path)
        assert (data.PhotometricInterpretation, data.BitsStored) == (photometric, bits)
        assert data.file_meta.TransferSyntaxUID.is_compressed == compressed
        shown = data.pixel_array.astype(float)
        if bits > 8:
            width, centre = float(data.WindowWidth), float(data.WindowCenter)
            shown = ((shown - (centre - 0.5)) / (width - 1) + 0.5) * 255
        shown = 255 - shown if photometric == "MONOCHROME1" else shown
        assert np.abs(shown - to_bytes(pixels)).mean() < (4 if compressed else 0.6)


def test_object_cxr(trees):
    folder = trees["object_cxr"]
    shapes = 0
    for part in ("train", "dev"):
        table = pd.read_csv(folder / f"{part}.csv", keep_default_na=False)
        assert list(table) == ["image_name", "annotation"]
        for row in table.itertuples():
            with Image.open(folder / part / row.image_name) as image:
                width, height = image.size
            for shape in filter(None, row.annotation.split(";")):
                kind, *numbers = map(int, shape.split())
                assert kind in {0, 1, 2}
                assert len(numbers) == 4 if kind < 2 else len(numbers) >= 6
                assert all(0 <= x < width for x in numbers[::2])
                assert all(0 <= y < height for y in numbers[1::2])
                shapes += 1
    assert shapes > 3


def test_covidx_and_nih(trees):
    folder = trees["covidx"]
    for part in ("train", "test"):
        for line in (folder / f"{part}_COVIDx9A.txt").read_text().splitlines():
            _, name, kind, _ = line.split(" ")
            assert kind in {"normal", "pneumonia", "COVID-19"}
            assert (folder / part / name).is_file()
    folder = trees["nih_chestxray14"]
    entry = (folder / "Data_Entry_2017.csv").read_text().splitlines()
    assert len(entry[0].split(",")) == len(entry[1].split(",")) == 12
    boxes = (folder / "BBox_List_2017.csv").read_text().splitlines()
    assert boxes[0] == "Image Index,Finding Label,Bbox [x,y,w,h],,,"
    assert all(len(line.split(",")) == 6 for line in boxes[1:])
    names = {line.split(",")[0] for line in entry[1:]}
    lists = [
        (folder / name).read_text().split() for name in ("train_val_list.txt", "test_list.txt")
    ]
    assert names == set(lists[0]) | set(lists[1])
    assert len(names) == len(lists[0]) + len(lists[1]) == STUDIES


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_reader_of_the_download_reads_the_phantom(trees, layout):
    dataset = registry.find("datasets", layout)
    root, release = dataset.locate(trees[layout])
    account = read_all(dataset, root)
    assert release
    films = {r.image_id: r for r in account.records}
    assert all((root / record.path).is_file() for record in account.records)
    truth = pd.read_parquet(root / FILE)
    if layout in FURTHER:
        assert set(truth.image_id) <= set(films)
    if layout not in ("iu_xray", "ms_cxr", "mimic_cxr", "chexpert"):
        assert len(films) == STUDIES
    for row in truth.drop_duplicates("image_id").itertuples():
        if row.image_id in films:
            assert films[row.image_id].path == row.path
            assert layout not in FURTHER or films[row.image_id].patient_id in (None, row.patient_id)
    for record in account.records:
        width, height = film_size(root / record.path)
        for source in filter(None, (record.mask, *record.regions.values())):
            drawn = source.draw(root, height, width)
            assert drawn.shape == (height, width)
            # Lungs are on every film.
            assert drawn.any() or dataset.mask_label != "Lung"
