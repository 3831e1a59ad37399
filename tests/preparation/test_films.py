"""Foreign films: each is read rightly, refused with its name, or put into the quarantine table."""

import csv
import json

import cv2
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless

from sista import tables
from sista.errors import UserError
from sista.preparation import films, masks
from sista.preparation.radiograph import load
from sista.stages.prepare import prepare
from tests import raw_trees


def deep(path, values):
    """Write a colour picture of 16 bits."""
    cv2.imwrite(str(path), np.repeat(values[..., None], 3, axis=2).astype(np.uint16))
    return path


def test_colours_of_16_bits_are_scaled_like_grey_ones(tmp_path):
    # Twelve bits in sixteen: the upper eight hold hardly anything.
    values = np.arange(256, dtype=np.uint16).reshape(16, 16) * 16
    grey = tmp_path / "grey.png"
    Image.fromarray(values).save(grey)
    expected = load(grey).pixels.astype(int)
    assert np.abs(load(deep(tmp_path / "colour.png", values)).pixels - expected).max() <= 1
    path = tmp_path / "colour.dcm"
    raw_trees.dicom(path, values)
    assert np.abs(load(path).pixels - expected).max() <= 1


def test_pixels_that_are_no_numbers_are_refused(tmp_path):
    path = tmp_path / "nan.tif"
    values = np.ones((4, 4), np.float32)
    values[1, 1] = np.nan
    Image.fromarray(values).save(path)
    with pytest.raises(UserError, match=r"nan\.tif: pixels that are no finite numbers"):
        load(path)


@pytest.mark.parametrize("name", ["a.png", "a.dcm"])
def test_too_many_pixels_name_the_limit(tmp_path, monkeypatch, name):
    monkeypatch.setenv("SISTA_MAX_PIXELS", "100")
    path = tmp_path / name
    (raw_trees.dicom if name.endswith("dcm") else lambda p, v: Image.fromarray(v).save(p))(
        path, raw_trees.film(1)
    )
    with pytest.raises(UserError, match=rf"{name}: 320 pixels.* set SISTA_MAX_PIXELS"):
        load(path)


def test_formats_that_pillow_calls_programs_for_are_refused(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    with pytest.raises(UserError, match=r"a\.png: holds no picture of a known kind"):
        load(path)


def test_a_mask_of_another_size_is_not_unpacked(tmp_path, monkeypatch):
    Image.new("L", (3000, 2000)).save(tmp_path / "m.png")
    monkeypatch.setattr(Image.Image, "convert", lambda *_: pytest.fail("unpacked"))
    with pytest.raises(ValueError, match=r"m\.png is 3000 x 2000 px"):
        masks.MaskFile("m.png").draw(tmp_path, 20, 16)


def test_a_film_in_place_of_a_mask_is_refused(tmp_path):
    Image.fromarray(raw_trees.film(1)).save(tmp_path / "m.png")
    with pytest.raises(ValueError, match=r"m\.png is a picture in grey and no mask"):
        masks.MaskFile("m.png").draw(tmp_path, 20, 16)


@pytest.mark.parametrize("form", ["GIF", "TIFF"])
def test_a_picture_of_several_frames_is_refused(tmp_path, form):
    pages = [Image.fromarray(raw_trees.film(n)) for n in range(3)]
    pages[0].save(tmp_path / "a.png", form, save_all=True, append_images=pages[1:])
    with pytest.raises(UserError, match=r"a\.png: a picture of several frames"):
        load(tmp_path / "a.png")
    with pytest.raises(ValueError, match="cannot be read"):
        masks.MaskFile("a.png").draw(tmp_path, 20, 16)


@pytest.mark.parametrize("patient", ["\x1b[2Jevil", "x" * 10_000])
def test_a_patient_that_is_no_name_is_refused_by_its_tag(tmp_path, patient):
    with pydicom.config.disable_value_validation():
        path = raw_trees.dicom(tmp_path / "a.dcm", raw_trees.film(1), PatientID=patient)
    with pytest.raises(UserError, match=r"a\.dcm: its tag PatientID"):
        load(path)


def test_a_jpeg_2000_box_without_a_length_is_refused_at_once(tmp_path):
    path = raw_trees.dicom(tmp_path / "a.dcm", raw_trees.film(1))
    data = pydicom.dcmread(path)
    data.file_meta.TransferSyntaxUID = JPEG2000Lossless
    data.PixelData = encapsulate([b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(64)])
    data["PixelData"].is_undefined_length = True
    data.save_as(path, enforce_file_format=True)
    with pytest.raises(UserError, match=r"a\.dcm: a damaged JPEG 2000 image"):
        load(path)


# Run lengths


@given(st.integers(1, 12), st.integers(1, 12), st.data())
@settings(max_examples=200, deadline=None)
def test_masks_come_back_as_they_were(height, width, data):
    bits = st.lists(st.integers(0, 1), min_size=height * width, max_size=height * width)
    mask = np.array(data.draw(bits), np.uint8).reshape(height, width)
    assert (masks.from_json(masks.to_json(mask)) == mask).all()


@given(st.text(alphabet="0123456789:;<=>?@ABOPQRSTUV_`no", max_size=12), st.integers(1, 9))
@settings(max_examples=500, deadline=None)
def test_any_run_lengths_fill_the_mask_or_are_refused(counts, side):
    try:
        mask = masks.from_json(json.dumps({"size": [side, side], "counts": counts}))
    except UserError:
        return
    assert mask.shape == (side, side)
    # What was believed is what pycocotools writes for this mask, or other words for it.
    assert (masks.from_json(masks.to_json(mask)) == mask).all()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "[" * 100000,
        '{"size": [4, 4], "counts": "PPPPPPPPPP0"}',
        '{"size": [4, 4], "counts": "o"}',
        '{"size": [4, 4], "counts": 5}',
        '{"size": [4, 4], "counts": "\\u00e9"}',
        '{"size": [4.5, 4], "counts": "`0"}',
        '{"size": [-4, -4], "counts": "`0"}',
        '{"size": [4, 4], "counts": "`0`0"}',
        '{"size": [1000000, 1000000], "counts": "`0"}',
        '{"size": [true, true], "counts": "1"}',
    ],
)
def test_run_lengths_that_do_not_fill_the_mask_are_refused(text):
    with pytest.raises(UserError, match=r"mask|run lengths"):
        masks.from_json(text)


# The whole data set


@pytest.fixture
def raw(tmp_path):
    raw_trees.rsna(tmp_path / "raw")
    path = tmp_path / "raw/stage_2_train_images/image03.dcm"
    path.write_bytes(path.read_bytes()[:300])
    return tmp_path / "raw"


def quarantine(out):
    with out.with_name("m.quarantine.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("threads", [1, 2])
def test_films_that_cannot_be_read_are_listed_and_left_out_on_request(tmp_path, raw, threads):
    out = tmp_path / "out/m.parquet"
    settings = {"out": out, "source": raw, "size": 16, "threads": threads}
    with pytest.raises(UserError, match=r"image03\.dcm.*row.*--leave-out 1"):
        prepare("rsna_pneumonia", **settings)
    assert not out.exists()
    assert [row["path"] for row in quarantine(out)] == ["stage_2_train_images/image03.dcm"]
    prepare("rsna_pneumonia", **settings, leave_out=1)
    frame, meta = tables.read(out, "manifest")
    assert "image03" not in set(frame["image_id"])
    assert meta["n"] == len(frame)
    assert len(quarantine(out)) == 1


def abort(job):
    """Stand in for a decoder that ends its process at one film."""
    import os

    if "image03" in job.record.path:
        os.abort()
    return films.read_film(job)


def test_a_decoder_that_dies_is_named_with_its_film(tmp_path, monkeypatch):
    raw_trees.rsna(tmp_path / "raw")
    real = films.isolated_map
    monkeypatch.setattr(films, "isolated_map", lambda _, *rest: real(abort, *rest))
    out = tmp_path / "out/m.parquet"
    with pytest.raises(UserError, match=r"image03\.dcm: its decoder died \(SIGABRT\)"):
        prepare("rsna_pneumonia", out=out, source=tmp_path / "raw", size=16)
    assert [path.name for path in out.parent.iterdir()] == ["m.quarantine.csv"]


def test_a_box_that_stands_twice_counts_once_and_is_told(tmp_path, capsys):
    raw_trees.rsna(tmp_path / "raw")
    table = tmp_path / "raw/stage_2_train_labels.csv"
    lines = table.read_text().splitlines()
    positive = next(line for line in lines[1:] if line.endswith(",1"))
    table.write_text("\n".join([*lines, positive]) + "\n")
    prepare("rsna_pneumonia", out=tmp_path / "m.parquet", source=tmp_path / "raw", size=16)
    frame, _ = tables.read(tmp_path / "m.parquet", "manifest")
    boxes = json.loads(frame.set_index("image_id").loc[positive.split(",")[0], "boxes"])
    assert len(boxes) == len({json.dumps(box) for box in boxes})
    told = capsys.readouterr().err
    assert "1 boxes stand twice and count once" in told
    assert "26664 too few" in told
