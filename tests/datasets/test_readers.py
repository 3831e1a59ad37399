"""What each reader makes of a tiny hand-made download, and of the versions of its layout."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from sista import registry
from sista.datasets import covidx
from sista.datasets.covid_chestxray import findings
from sista.errors import UserError
from sista.phantom.presets import LAYOUTS
from tests import raw_trees


def records(word, root):
    dataset = registry.find("datasets", word)
    folder, _ = dataset.locate(root)
    return {record.image_id: record for record in dataset.read(folder)}


@pytest.mark.parametrize("word", registry.names("datasets"))
def test_card_is_complete_and_reader_gives_unique_images(word, tmp_path):
    dataset = registry.find("datasets", word)
    assert dataset.word == word
    texts = (dataset.title, dataset.licence, dataset.access, dataset.url, dataset.citation)
    assert all(texts)
    assert dataset.layout
    found = list(dataset.read(raw_trees.TREES[word](tmp_path)))
    # Some sets are pairs alone.
    assert dataset.labels or any(record.report for record in found)
    assert len({record.image_id for record in found}) == len(found) > 0
    assert all((tmp_path / record.path).is_file() for record in found)
    assert all(set(r.labels) <= set(dataset.columns_of("")) for r in found)


def test_every_set_stands_in_the_table_of_the_documentation():
    table = (Path(__file__).parents[2] / "data/README.md").read_text()
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| `")]
    assert [row[1].strip(" `") for row in rows] == registry.names("datasets")
    for row in rows:
        dataset = registry.find("datasets", row[1].strip(" `"))
        numbers = {f"{count:,}" for count in dataset.counts.values()}
        assert all(number in row[2] for number in numbers)
        assert (row[4].strip() == "yes") == bool(dataset.files)
        assert (row[5].strip() == "yes") == (dataset.word in LAYOUTS)


@pytest.mark.parametrize("word", registry.names("datasets"))
def test_missing_download_is_explained(word, tmp_path):
    dataset = registry.find("datasets", word)
    with pytest.raises(UserError, match="Licence") as caught:
        dataset.locate(tmp_path / "nowhere")
    assert dataset.layout[0] in str(caught.value)
    assert dataset.url in str(caught.value)


def test_rsna_groups_boxes_and_finds_the_patient(tmp_path):
    found = records("rsna_pneumonia", raw_trees.rsna(tmp_path))
    assert [len(found[f"image{i:02}"].boxes) for i in range(4)] == [0, 2, 0, 1]
    assert found["image00"].patient_id == found["image01"].patient_id == "nih0"
    assert found["image01"].mask.draw(tmp_path, 20, 16).sum() == 5 * 6 + 4 * 4
    (tmp_path / "nih_patients.csv").unlink()
    assert records("rsna_pneumonia", tmp_path)["image01"].patient_id == "image01"


@pytest.mark.parametrize(
    ("folder", "base", "release"),
    [
        ("CheXpert-v1.0-small", "", "v1.0 small"),
        ("CheXpert-v1.0-small", "CheXpert-v1.0-small", "v1.0 small"),
        ("CheXpert-v1.0", "CheXpert-v1.0", "v1.0 full"),
        ("CheXpert-v1.0", "", "v1.0 full"),
    ],
)
def test_chexpert_reads_either_nesting(tmp_path, folder, base, release):
    raw_trees.chexpert(tmp_path, folder, base)
    found = records("chexpert", tmp_path)
    assert registry.find("datasets", "chexpert").release(tmp_path) == release
    assert len(found) == 10
    assert all((tmp_path / r.path).is_file() for r in found.values())
    assert {r.official for r in found.values()} == {"train", "test"}
    assert found["patient00003/study1/view1_frontal"].labels["No Finding"] == -1.0
    assert "No Finding" not in found["patient00000/study1/view1_frontal"].labels


def test_mimic_reads_reports_from_files_and_from_the_archive(tmp_path):
    raw_trees.mimic(tmp_path)
    found = records("mimic_cxr", tmp_path)
    assert [r.official for r in found.values()] == ["train"] * 4 + ["val", "test"]
    assert {r.view for r in found.values()} == {"PA"}
    assert found["dicom0PA"].report == "no pneumonia in case 0. the lungs are clear."
    with zipfile.ZipFile(tmp_path / "mimic-cxr-reports.zip", "w") as archive:
        for path in tmp_path.glob("files/p10/*/*.txt"):
            archive.write(path, f"mimic-cxr-reports/{path.relative_to(tmp_path)}")
            path.unlink()
    assert records("mimic_cxr", tmp_path) == found
    mimic = registry.find("datasets", "mimic_cxr")
    assert mimic.release(tmp_path) == "2.0.0"
    (tmp_path / "mimic-cxr-2.1.0-test-set-labeled.csv").touch()
    assert mimic.release(tmp_path) == "2.1.0"


@pytest.mark.parametrize("stage", [1, 2])
def test_siim_joins_rows_and_reads_both_tables(tmp_path, stage):
    found = records("siim_acr", raw_trees.siim(tmp_path, stage))
    assert [r.labels["Pneumothorax"] for r in found.values()] == [0, 1, 0, 1, 0, 1]
    assert found["1.2.0"].mask.draw(tmp_path, 20, 16).sum() == 0
    assert found["1.2.1"].mask.draw(tmp_path, 20, 16).sum() == 4 + 2 + 5


def test_object_cxr_puts_boxes_around_shapes(tmp_path):
    found = records("object_cxr", raw_trees.object_cxr(tmp_path))
    boxes = [(b.x, b.y, b.w, b.h) for b in found["train/train2"].boxes]
    assert boxes == [(2, 2, 7, 7), (1, 1, 4, 7)]
    assert found["train/train0"].boxes == ()
    assert found["dev/dev1"].official == "test"


def test_covidx_reads_both_releases(tmp_path):
    found = records("covidx", raw_trees.covidx(tmp_path))
    assert found["train/train 2.png"].labels == {"Normal": 0, "Pneumonia": 0, "COVID-19": 1}
    assert found["train/train 2.png"].patient_id == "cohen:train1"
    (tmp_path / "train_COVIDx9A.txt").unlink()
    for part in ("train", "test"):
        (tmp_path / f"{part}.txt").write_text(f"p1 {part} 0.png positive x\n")
    binary = records("covidx", tmp_path)
    assert binary["train/train 0.png"].labels == {"COVID-19": 1.0}


def test_nih_reads_labels_boxes_and_lists(tmp_path):
    found = records("nih_chestxray14", raw_trees.nih(tmp_path))
    one = found["00000001_000"]
    assert [name for name, value in one.labels.items() if value] == ["Mass", "Nodule"]
    assert (one.boxes[0].label, one.boxes[0].w, one.width_mm) == ("Infiltration", 5, 409.6)
    assert found["00000000_000"].boxes is None
    assert [r.official for r in found.values()] == ["train"] * 9 + ["test"] * 3


def test_kermany_without_table_reads_names(tmp_path):
    found = records("kermany_pneumonia", raw_trees.kermany(tmp_path))
    assert found["person1_virus_1"].patient_id == found["person1_bacteria_1"].patient_id
    assert found["IM-0002-0001"].labels["Normal"] == 1
    assert found["IM-0002-0001"].mask.draw(tmp_path, 20, 16).sum() == 16
    assert all(record.official is None for record in found.values())


def test_covid_keeps_frontal_films_with_notes(tmp_path):
    found = records("covid_chestxray", raw_trees.covid(tmp_path))
    assert {r.view for r in found.values()} == {"PA", "AP", "AP Supine"}
    assert found["film1.png"].report == "fever, dry cough for days."
    assert found["film0.png"].report is None
    assert found["film0.png"].mask is not None
    assert found["film1.png"].labels == {}


@pytest.mark.parametrize(
    ("text", "positive"),
    [
        ("COVID-19, ARDS", {"COVID-19", "Viral", "Pneumonia", "ARDS"}),
        ("Pneumonia/Bacterial/E.Coli", {"Bacterial", "Pneumonia"}),
        ("Mycoplasma Bacterial Pneumonia", {"Bacterial", "Pneumonia"}),
        ("Pneumocystis", {"Fungal", "Pneumonia"}),
        ("No Finding", {"No Finding"}),
        ("ARDS", {"ARDS"}),
        ("Unknown", set()),
    ],
)
def test_covid_findings_become_labels(text, positive):
    labels = findings(text)
    assert {name for name, value in labels.items() if value} == positive
    assert not np.isnan(list(labels.values())).any()


SICK = ("covid-19", "positive")


@pytest.mark.parametrize(
    ("name", "kinds", "release", "labels"),
    [
        ("{}_COVIDx7A.txt", "normal pneumonia COVID-19", "V7A", covidx.THREE),
        ("labels/{}_COVIDx8B.txt", "negative positive", "V8B", ("COVID-19",)),
        ("{}_COVIDx10.txt", "positive negative", "two classes", ("COVID-19",)),
        ("{}.txt", "pneumonia covid-19 Normal", "three classes", covidx.THREE),
        ("{}_split_v3.txt", "normal pneumonia COVID-19", "three classes", covidx.THREE),
        ("{}.txt", "negative positive", "CXR-4", ("COVID-19",)),
    ],
)
@pytest.mark.parametrize("place", ["{part}", "data/{part}", "images"])
def test_covidx_of_any_release_and_packing(tmp_path, name, kinds, release, labels, place):
    for part in ("train", "test"):
        lines = []
        for i, kind in enumerate(kinds.split()):
            raw_trees.picture(tmp_path / place.format(part=part) / f"{part}{i}.png", i)
            lines.append(f"p{i} {part}{i}.png {kind} rsna")
        raw_trees.table(tmp_path / name.format(part), *lines)
    dataset = registry.find("datasets", "covidx")
    assert dataset.locate(tmp_path) == (tmp_path, release)
    assert dataset.labels_of(release) == labels
    found = records("covidx", tmp_path)
    assert len(found) == 2 * len(kinds.split())
    assert all((tmp_path / record.path).is_file() for record in found.values())
    assert all(tuple(record.labels) == labels for record in found.values())
    sick = {f"test/test{i}.png" for i, kind in enumerate(kinds.lower().split()) if kind in SICK}
    assert sick == {k for k, r in found.items() if r.official == "test" and r.labels["COVID-19"]}


@pytest.mark.parametrize("inner", ["{part}/", ""])
def test_chexpert_in_batches(tmp_path, inner):
    """Tables in the first of four folders, patients spread over the others."""
    raw_trees.chexpert(tmp_path / "whole", "CheXpert-v1.0")
    root = tmp_path / "chexpertchestxrays-u20210408"
    first = root / "CheXpert-v1.0 batch 1 (validate & csv)"
    first.mkdir(parents=True)
    for part in ("train", "valid"):
        for number, patient in enumerate(sorted((tmp_path / f"whole/{part}").iterdir())):
            batch = root / f"CheXpert-v1.0 batch {2 + number % 3} (train {1 + number % 3})"
            place = (batch / inner.format(part=part)) if part == "train" else first / part
            place.mkdir(parents=True, exist_ok=True)
            patient.rename(place / patient.name)
        (tmp_path / f"whole/{part}.csv").rename(first / f"{part}.csv")
    found = records("chexpert", tmp_path)
    assert len(found) == 10
    assert all((root / record.path).is_file() for record in found.values())
    assert registry.find("datasets", "chexpert").locate(tmp_path) == (root, "v1.0 full")


def test_columns_of_another_release_or_mirror_are_found(tmp_path):
    """Other spellings, names that a release gave, and a column that is nowhere used."""
    expected = records("chexpert", raw_trees.chexpert(tmp_path / "chexpert"))
    for table in ("train.csv", "valid.csv"):
        path = tmp_path / "chexpert" / table
        text = path.read_text().replace("Lung Opacity", "Airspace Opacity").replace("Sex", "Gender")
        path.write_text(text.replace("Pleural Other", "pleural_other"))
    assert records("chexpert", tmp_path / "chexpert") == expected

    expected = records("nih_chestxray14", raw_trees.nih(tmp_path / "nih"))
    table = tmp_path / "nih/Data_Entry_2017.csv"
    header, rest = table.read_text().split("\n", 1)
    header = header.replace("Image Index", "image_index").replace("Patient ID", "Patient_Id")
    header = header.replace("[Width,Height]", "Width,OriginalImageHeight").replace("[x,y]", "_x,_y")
    table.rename(tmp_path / "nih/Data_Entry_2017_v2020.csv").write_text(f"{header}\n{rest}")
    table = tmp_path / "nih/BBox_List_2017.csv"
    rows = table.read_text().split("\n", 1)[1]
    table.unlink()
    header = "Image Index,Finding Label,x,y,width,height"
    (tmp_path / "nih/BBox_List_2017_Official_NIH.csv").write_text(f"{header}\n{rows}")
    found = records("nih_chestxray14", tmp_path / "nih")
    assert {key: (r.boxes, r.labels, r.width_mm, r.view) for key, r in found.items()} == {
        key: (r.boxes, r.labels, r.width_mm, r.view) for key, r in expected.items()
    }

    expected = records("rsna_pneumonia", raw_trees.rsna(tmp_path / "rsna"))
    table = tmp_path / "rsna/stage_2_train_labels.csv"
    table.write_text(table.read_text().replace("patientId,x,y", "patient_id,X,Y"))
    assert records("rsna_pneumonia", tmp_path / "rsna") == expected
