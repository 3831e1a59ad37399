"""Another packing of the same download gives the same films, labels, boxes, masks and texts.

Archives that were not unpacked are tested in `test_archives`.
"""

import gzip
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sista import tables
from sista.stages.prepare import prepare
from tests import raw_annotated, raw_reports, raw_trees

# Of a manifest: what does not depend on where a film lies and how it is coded.
KEPT = ["image_id", "patient_id", "study_id", "view", "boxes", "mask", "report", "official"]


def manifest(word, root, out):
    """Return what a packing says, by image, and the regions."""
    prepare(word, source=root, out=out / "m.parquet", size=16, draws=1)
    frame, meta = tables.read(out / "m.parquet", "manifest")
    regions, _ = tables.read(out / "m.regions.parquet", "regions")
    columns = KEPT + [name for name in frame if name.startswith("label.")]
    frame = frame[columns].sort_values("image_id", ignore_index=True)
    return frame, regions.sort_values(["image_id", "label"], ignore_index=True), meta["release"]


def numbered(*tables_of):
    """Tables that pandas wrote again, with the numbers of their rows."""

    def packing(root):
        for path in (found for name in tables_of for found in root.rglob(name)):
            pd.read_csv(path, dtype=str).to_csv(path)

    return packing


def moved(*moves):
    """Return a packing that has files and folders elsewhere."""

    def repack(root):
        for old, new in moves:
            (root / new).parent.mkdir(parents=True, exist_ok=True)
            # By way of another name, where a folder moves into itself.
            (root / old).rename(root / "moving")
            (root / new).parent.mkdir(parents=True, exist_ok=True)
            (root / "moving").rename(root / new)

    return repack


def with_ending(old, new, start=""):
    def repack(root):
        for path in list(root.rglob(f"*{old}")):
            if path.relative_to(root).as_posix().startswith(start):
                path.rename(path.with_name(path.name.removesuffix(old) + new))

    return repack


def raw_numbers(root):
    """JSRT's films as downloaded: two bytes a pixel, dark is high."""
    for path in list(root.glob("All247images/*.png")):
        grey = np.asarray(Image.open(path)).astype(int)
        path.with_suffix(".IMG").write_bytes((4095 - 16 * grey).astype(">u2").tobytes())
        path.unlink()


def unzipped_table(root):
    for path in root.glob("*.csv.gz"):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()


def ms_cxr_json(root):
    """Boxes and phrases as the COCO file of MS-CXR has them."""
    table = root / "MS_CXR_Local_Alignment_v1.1.0.csv"
    rows = pd.read_csv(table)
    films = rows.drop_duplicates("dicom_id").reset_index(drop=True)
    names = sorted(set(rows.category_name))
    images = [
        {
            "id": n,
            "path": r.path,
            "width": r.image_width,
            "height": r.image_height,
            "split": r.split,
        }
        for n, r in enumerate(films.itertuples())
    ]
    places = {name: n for n, name in enumerate(films.dicom_id)}
    annotations = [
        {
            "id": n,
            "image_id": places[r.dicom_id],
            "category_id": names.index(r.category_name),
            "bbox": [r.x, r.y, r.w, r.h],
            "label_text": r.label_text.replace("\n", " "),
        }
        for n, r in enumerate(rows.itertuples())
    ]
    categories = [{"id": n, "name": name} for n, name in enumerate(names)]
    content = {"images": images, "categories": categories, "annotations": annotations}
    table.with_suffix(".json").write_text(json.dumps(content))
    table.unlink()


def flat(root):
    """All films of PadChest in one folder."""
    (root / "images").mkdir()
    for path in list(root.glob("[0-9]/*.png")):
        path.rename(root / "images" / path.name)


PACKINGS = [
    ("vindr_cxr", moved(*((f"annotations/{kind}_{part}.csv", f"{kind}_{part}.csv")
     for kind in ("image_labels", "annotations") for part in ("train", "test")))),
    ("vindr_cxr", with_ending(".dicom", ".dcm")),
    ("vindr_cxr", moved(("train", "films/a"), ("test", "films/b"))),
    ("vinbigdata", moved(("train", "vinbigdata/train"), ("train.csv", "vinbigdata/train.csv"))),
    ("vinbigdata", with_ending(".dicom", ".dcm")),
    ("chestx_det10", moved(("train_data", "train_data/train_data"))),
    ("chestx_det10", moved(("test.json", "test/test.json"))),
    ("chestx_det10", moved(("train_data", "all/one"), ("test_data", "all/two"))),
    ("chexlocalize", moved(("CheXpert/val", "val"), ("CheXpert/val_labels.csv", "val_labels.csv"))),
    ("chexlocalize", moved(*((f"CheXlocalize/gt_segmentations_{part}.json",
     f"gt_segmentations_{part}.json") for part in ("val", "test")))),
    ("ms_cxr", ms_cxr_json),
    ("ms_cxr", moved(("files", "mimic/files"))),
    ("candid_ptx", with_ending(".dcm", "")),
    ("candid_ptx", moved(("dataset", "chest_radiographs"),
     ("acute_rib_fracture.csv", "Rib_fracture_mask_rle.csv"))),
    ("jsrt", moved(("All247images", "images"), ("fold1", "fold2/x"), ("fold2/x/masks", "masks"))),
    ("jsrt", with_ending(".png", ".PNG")),
    ("jsrt", raw_numbers),
    ("padchest", unzipped_table),
    ("padchest", flat),
    ("chexpert_plus", moved(("PNG", "PNG/PNG"), ("chexbert_labels/report_fixed.json",
     "impression_fixed.json"))),
    ("chexpert_plus", moved(("PNG", "CheXpert-v1.0-small"))),
    ("chexpert", moved(("train", "CheXpert-v1.0/train"), ("valid", "CheXpert-v1.0/valid"))),
    ("chexpert", numbered("train.csv", "valid.csv")),
    ("rexgradient", moved(("deid_png", "rexgradient_images/deid_png"))),
    ("rexgradient", moved(*((f"metadata/{part}_metadata_view_position.json",
     f"{part}_metadata_view_position.json") for part in ("train", "valid", "test")))),
    ("iu_xray", moved(("NLMCXR_png", "images"))),
    ("iu_xray", moved(("ecgen-radiology", "NLMCXR_reports/ecgen-radiology"))),
    ("tbx11k", moved(("imgs/tb", "imgs/tuberculosis"), ("imgs/tuberculosis", "tb"))),
    ("montgomery_shenzhen", moved(("ChinaSet_AllFiles", "Shenzhen"), ("Shenzhen/mask", "masks"))),
    ("siim_acr", moved(("dicom-images-train", "dicom-images-test"))),
    ("mimic_cxr", unzipped_table),
]  # fmt: skip


@pytest.mark.parametrize(
    ("word", "repack"), PACKINGS, ids=[f"{w}{n}" for n, (w, _) in enumerate(PACKINGS)]
)
def test_another_packing_gives_the_same(tmp_path, word, repack):
    root = raw_trees.TREES[word](tmp_path / "raw")
    expected, regions, _ = manifest(word, root, tmp_path / "one")
    repack(root)
    found, found_regions, _ = manifest(word, root, tmp_path / "two")
    pd.testing.assert_frame_equal(found, expected)
    pd.testing.assert_frame_equal(found_regions, regions)


def test_boxes_of_a_resized_copy_are_scaled_from_the_size_that_its_table_tells(tmp_path, capsys):
    root = raw_annotated.vinbigdata(tmp_path / "dicom")
    expected, _, _ = manifest("vinbigdata", root, tmp_path / "one")
    root = raw_annotated.vinbigdata(tmp_path / "png", "png", scale=4)
    found, _, _ = manifest("vinbigdata", root, tmp_path / "two")
    pd.testing.assert_frame_equal(found, expected)
    assert (
        "6 films have another size than" not in capsys.readouterr().err.split("vinbigdata: 12")[1]
    )
    # Kaggle's other copy: the size stands in the table, or the boxes were moved with the films.
    table = root / "train.csv"
    text = table.read_text()
    (root / "train_meta.csv").unlink()
    rows = text.splitlines()
    sized = [f"{rows[0]},width,height", *(f"{row},64,80" for row in rows[1:])]
    table.write_text("\n".join(sized) + "\n")
    pd.testing.assert_frame_equal(manifest("vinbigdata", root, tmp_path / "three")[0], expected)


def test_boxes_of_a_film_from_mimic_are_scaled(tmp_path):
    root = raw_annotated.ms_cxr(tmp_path / "whole")
    expected, regions, _ = manifest("ms_cxr", root, tmp_path / "one")
    root = raw_annotated.ms_cxr(tmp_path / "resized", scale=8)
    found, found_regions, _ = manifest("ms_cxr", root, tmp_path / "two")
    pd.testing.assert_frame_equal(found, expected)
    pd.testing.assert_frame_equal(found_regions, regions)
    assert set(regions.label) == {"Edema", "Pneumothorax"}


def test_kaggles_packing_of_tuberculosis_has_the_same_films(tmp_path):
    expected, _, official = manifest("tbx11k", raw_annotated.tbx11k(tmp_path / "a"), tmp_path / "1")
    root = raw_annotated.tbx11k_simplified(tmp_path / "b")
    found, _, simplified = manifest("tbx11k", root, tmp_path / "2")
    assert (official, simplified) == ("official", "simplified")
    names = ["boxes", "official", *(name for name in found if name.startswith("label."))]
    order = expected.image_id.str.rpartition("/")[2].argsort()
    other = found.image_id.str.rpartition("/")[2].argsort()
    pd.testing.assert_frame_equal(
        found[names].iloc[other].reset_index(drop=True),
        expected[names].iloc[order].reset_index(drop=True),
    )


def test_montgomery_and_shenzhen_in_one_folder(tmp_path):
    word = "montgomery_shenzhen"
    expected, _, _ = manifest(
        word, raw_annotated.montgomery_shenzhen(tmp_path / "a"), tmp_path / "1"
    )
    found, _, release = manifest(
        word, raw_annotated.both_in_one_folder(tmp_path / "b"), tmp_path / "2"
    )
    pd.testing.assert_frame_equal(found, expected)
    assert release == "Montgomery and Shenzhen"
    assert found["mask"].notna().sum() == 8 + 6


def test_reports_of_open_i_in_kaggles_tables(tmp_path):
    expected, _, _ = manifest("iu_xray", raw_reports.iu_xray(tmp_path / "a"), tmp_path / "1")
    found, _, release = manifest(
        "iu_xray", raw_reports.iu_xray_of_kaggle(tmp_path / "b"), tmp_path / "2"
    )
    assert (len(expected), len(found), release) == (20, 10, "Kaggle")
    first = expected.drop_duplicates("patient_id").reset_index(drop=True)
    names = ["patient_id", "report", *(name for name in found if name.startswith("label."))]
    pd.testing.assert_frame_equal(
        found.sort_values("patient_id", ignore_index=True)[names],
        first.sort_values("patient_id", ignore_index=True)[names],
    )


def test_mimic_as_dicom_beside_its_tables_and_alone(tmp_path):
    root = raw_trees.mimic(tmp_path / "jpg")
    expected, _, _ = manifest("mimic_cxr", root, tmp_path / "1")
    films = raw_reports.mimic_as_dicom(tmp_path / "dicom")
    for path in root.rglob("*.jpg"):
        path.unlink()
    shutil.copytree(films / "files", root / "files", dirs_exist_ok=True)
    for number in range(6):
        place = f"files/p10/p1000{number:04}/s5000{number:04}.txt"
        (root / place).write_text(raw_trees.REPORT.format(number))
    found, _, release = manifest("mimic_cxr", root, tmp_path / "2")
    pd.testing.assert_frame_equal(found, expected)
    assert release == "2.0.0"
    alone, _, release = manifest("mimic_cxr", films, tmp_path / "3")
    assert release == "2.0.0 DICOM"
    assert list(alone["view"]) == ["PA"] * 6
    assert list(alone.report) == [f"no pneumonia in case {i}." for i in range(6)]
    assert alone.official.isna().all()
    (films / "cxr-provider-list.csv.gz").touch()
    assert manifest("mimic_cxr", films, tmp_path / "4")[2] == "2.1.0 DICOM"
