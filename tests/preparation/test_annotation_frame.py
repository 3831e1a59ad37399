"""Films that were resized: boxes and run lengths are scaled, kept, or refused by file and row."""

import json
from itertools import cycle

import numpy as np
import pytest
from PIL import Image

from sista import tables
from sista.errors import UserError
from sista.preparation import masks
from sista.preparation.annotation_extent import is_declared
from sista.preparation.annotation_frame import DECLARED
from sista.preparation.masks import MaskFile, encode_relative_rle
from sista.stages.prepare import prepare
from tests import raw_trees

HEADER = "Image Index,Finding Label,Bbox [x,y,w,h],,,"


def nih(root, side, boxes):
    """Twelve films of side x side, the first of them boxed; more boxes begin again."""
    raw_trees.nih(root)
    names = sorted(path.name for path in root.rglob("*.png"))
    for i, path in enumerate(sorted(root.rglob("*.png"))):
        raw_trees.picture(path, i, side, side)
    rows = (f"{name},Mass,{box}" for name, box in zip(cycle(names), boxes, strict=False))
    raw_trees.table(root / "BBox_List_2017.csv", HEADER, *rows)
    return root


def boxes_of(word, root, tmp_path):
    prepare(word, source=root, out=tmp_path / "m.parquet", size=16, draws=1)
    frame = tables.read(tmp_path / "m.parquet", "manifest")[0]
    rows = frame[frame.boxes.notna() & (frame.boxes != "[]")].sort_values("image_id")
    return [list(json.loads(text)[0].values())[1:] for text in rows.boxes]


FULL = ["100,200,300,400", "500,600,100,80", "900,10,100,200"]
INNER = ["10,20,30,40", "50,60,10,8", "90,1,10,20", "20,20,20,20", "5,5,60,60", "70,80,9,9"]


@pytest.mark.parametrize("side", [128, 256, 512, 832])
def test_boxes_of_the_published_frame_are_scaled(tmp_path, side, capsys):
    found = boxes_of("nih_chestxray14", nih(tmp_path / "raw", side, FULL), tmp_path)
    expected = [[float(n) * side / 1024 for n in box.split(",")] for box in FULL]
    np.testing.assert_allclose(found, expected)
    assert "3 resized films were scaled from the frame of 1024 x 1024 px" in capsys.readouterr().err


def test_boxes_on_films_that_were_enlarged(tmp_path):
    """All 12 in the smaller frame: on films of twice the size that is no chance."""
    some = [f"{100 + 70 * i},{50 + 60 * i},90,80" for i in range(12)]
    found = boxes_of("nih_chestxray14", nih(tmp_path / "raw", 2048, some), tmp_path)
    np.testing.assert_allclose(found[3], [620, 460, 180, 160])
    more = [*some[:11], "1536,1600,200,300"]
    found = boxes_of("nih_chestxray14", nih(tmp_path / "raw2", 2048, more), tmp_path)
    np.testing.assert_allclose(found[3], [310, 230, 90, 80])


def test_boxes_that_were_resized_with_the_films_are_kept(tmp_path, capsys):
    found = boxes_of("nih_chestxray14", nih(tmp_path / "raw", 128, INNER), tmp_path)
    assert found == [[float(n) for n in box.split(",")] for box in INNER]
    assert "6 resized films count in their own pixels" in capsys.readouterr().err


def test_films_of_the_published_size_are_left_alone(tmp_path, capsys):
    assert boxes_of("nih_chestxray14", nih(tmp_path / "raw", 1024, FULL), tmp_path)[0][2] == 300
    assert "resized" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("side", "boxes"), [(224, ["10,20,100,90", "40,60,80,80"]), (512, INNER[:3]), (1536, INNER)]
)
def test_what_fits_both_frames_is_refused_until_it_is_declared(tmp_path, side, boxes):
    root = nih(tmp_path / "raw", side, boxes)
    with pytest.raises(UserError, match=rf"BBox_List_2017\.csv row 2: .*{side} x {side}.*1024"):
        boxes_of("nih_chestxray14", root, tmp_path)
    first = [float(n) for n in boxes[0].split(",")]
    for text, factor in (("film", 1), ("1024\n", side / 1024), ("2048", side / 2048)):
        (root / DECLARED).write_text(text)
        found = boxes_of("nih_chestxray14", root, tmp_path)
        np.testing.assert_allclose(found[0], np.array(first) * factor)
    (root / DECLARED).write_text("big")
    with pytest.raises(UserError, match=f"{DECLARED}: must hold `film` or a side"):
        boxes_of("nih_chestxray14", root, tmp_path)


@pytest.mark.parametrize("box", ["2000,10,50,50", "-90,10,50,50", "100,100,0,5"])
def test_a_box_of_neither_frame_is_named_by_its_own_file_and_row(tmp_path, box):
    root = nih(tmp_path / "raw", 128, [*INNER[:4], box])
    with pytest.raises(UserError, match=r"BBox_List_2017\.csv row 6: a box .*not resized"):
        boxes_of("nih_chestxray14", root, tmp_path)


def test_one_wrong_row_does_not_scale_the_others(tmp_path):
    root = nih(tmp_path / "raw", 128, [*INNER, "600,600,50,50"])
    with pytest.raises(UserError, match=r"BBox_List_2017\.csv row 8: a box"):
        boxes_of("nih_chestxray14", root, tmp_path)


def test_rsna_masks_are_scaled_with_the_boxes(tmp_path):
    root = raw_trees.rsna(tmp_path / "raw")
    for i in range(20):
        raw_trees.dicom(root / f"stage_2_train_images/image{i:02}.dcm", raw_trees.film(i, 64, 64))
    table = root / "stage_2_train_labels.csv"
    table.write_text(table.read_text().replace("1,2,5,6,1", "256,512,160,320,1"))
    table.write_text(table.read_text().replace("8,9,4,4,1", "800,80,160,160,1"))
    assert boxes_of("rsna_pneumonia", root, tmp_path)[1] == [16, 32, 10, 20]
    frame = tables.read(tmp_path / "m.parquet", "manifest")[0].set_index("image_id")
    assert masks.from_json(frame["mask"]["image03"])[32:52, 16:26].all()
    assert masks.from_json(frame["mask"]["image03"]).sum() == 200


def test_run_lengths_of_the_published_frame_are_drawn_there(tmp_path):
    root = raw_trees.siim(tmp_path / "raw")
    for i in range(6):
        place = root / f"dicom-images-train/study{i}/series{i}/1.2.{i}.dcm"
        raw_trees.dicom(place, raw_trees.film(i, 64, 64), PatientID=f"patient{i // 2}")
    full = np.zeros((1024, 1024), np.uint8)
    full[320:640, 160:480] = 1
    code = encode_relative_rle(full)
    rows = [f"1.2.{i}, {code if i % 2 else -1}" for i in range(6)]
    raw_trees.table(root / "train-rle.csv", "ImageId, EncodedPixels", *rows)
    prepare("siim_acr", source=root, out=tmp_path / "m.parquet", size=16)
    frame = tables.read(tmp_path / "m.parquet", "manifest")[0].set_index("image_id")
    expected = np.zeros((64, 64), np.uint8)
    expected[20:40, 10:30] = 1
    np.testing.assert_array_equal(masks.from_json(frame["mask"]["1.2.1"]), expected)


@pytest.mark.parametrize(("size", "fits"), [((16, 20), True), ((33, 41), True), ((20, 20), False)])
def test_a_mask_file_of_another_size_needs_the_same_proportions(tmp_path, size, fits):
    mask = np.zeros(size[::-1], np.uint8)
    mask[: size[1] // 2] = 255
    Image.fromarray(mask).save(tmp_path / "m.png")
    if fits:
        drawn = MaskFile("m.png").draw(tmp_path, 40, 32)
        assert drawn.shape == (40, 32)
        assert abs(int(drawn.sum()) - 20 * 32) <= 32
    else:
        with pytest.raises(ValueError, match="other proportions"):
            MaskFile("m.png").draw(tmp_path, 40, 32)


SHARES = [f"{0.1 * i:.2f},0.2,0.3,0.4" for i in range(6)]
CENTS = [f"{3 * i},20,30,40" for i in range(21)]
HALVES = [f"{15 * i},{10 * i},90,180" for i in range(24)]


@pytest.mark.parametrize(
    ("side", "boxes", "says"),
    [
        (1024, SHARES, "row 2: .*inside the first pixel.*in shares of the sides"),
        (128, SHARES, "row 2: .*in shares of the sides"),
        (1024, [*FULL, SHARES[0]], "row 5: .*in shares of the sides"),
        (1024, CENTS, "row 2: of 21 boxes hardly any reaches beyond .%.*per cent"),
        (1024, HALVES, "row 2: of 24 boxes hardly any reaches beyond 4.%.*another size"),
    ],
)
def test_boxes_of_a_frame_that_nobody_named_are_refused(tmp_path, side, boxes, says):
    root = nih(tmp_path / "raw", side, boxes)
    with pytest.raises(UserError, match=rf"BBox_List_2017\.csv {says}"):
        boxes_of("nih_chestxray14", root, tmp_path)
    assert not (tmp_path / "m.parquet").exists()


def test_boxes_that_keep_to_a_corner_are_kept_where_that_is_declared(tmp_path):
    root = nih(tmp_path / "raw", 1024, HALVES)
    (root / DECLARED).write_text("film")
    found = boxes_of("nih_chestxray14", root, tmp_path)
    assert found[0] == [0, 0, 90, 180]


def test_few_boxes_in_one_half_are_no_proof_but_told(tmp_path, capsys):
    assert boxes_of("nih_chestxray14", nih(tmp_path / "raw", 1024, HALVES[:12]), tmp_path)
    assert "of 12 boxes hardly any reaches beyond" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["200", "400x400", ""])
def test_a_declaration_that_would_not_be_applied_is_refused(tmp_path, text):
    (tmp_path / DECLARED).write_text(text)
    with pytest.raises(UserError, match=f"{DECLARED}: must hold `film`;"):
        is_declared(tmp_path, None)
    (tmp_path / DECLARED).write_text("film\n")
    assert is_declared(tmp_path, None)
    (tmp_path / DECLARED).write_text("200")
    assert is_declared(tmp_path, 1024)
