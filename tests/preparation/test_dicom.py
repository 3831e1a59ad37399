"""DICOM headers as archives hold them: what a viewer opens is read, else the tag is named."""

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.datadict import dictionary_VR
from pydicom.uid import MPEG2MPML, JPEGLSLossless

from sista.errors import UserError
from sista.preparation.radiograph import load
from tests.raw_trees import dicom

SLOPE = np.add.outer(np.arange(40), np.arange(30))
GREY = SLOPE.astype(np.uint8) * 3
DEEP = SLOPE.astype(np.uint16) * 60
EXPECTED = np.rint(SLOPE * 255.0 / SLOPE.max()).astype(np.uint8)


def edited(path, edit, **save):
    data = pydicom.dcmread(path)
    edit(data)
    data.save_as(path, **save)
    return path


def padded(values, value):
    values = values.copy()
    values[:, :5] = value
    return values


@pytest.mark.parametrize(
    ("values", "header"),
    [
        (padded(DEEP, 65535), {"PixelPaddingValue": 65535}),
        (padded(DEEP, 0) + np.uint16(9), {"PixelPaddingValue": 9}),
        (padded(DEEP, 40000), {"PixelPaddingValue": 39000, "PixelPaddingRangeLimit": 41000}),
        (padded(DEEP, 40000), {"PixelPaddingValue": 41000, "PixelPaddingRangeLimit": 39000}),
        (padded(DEEP, 65535), {"PixelPaddingValue": 65535, "RescaleSlope": 2}),
        (
            padded(DEEP, 60000),
            {"PixelPaddingValue": 60000, "WindowCenter": 2040, "WindowWidth": 4082},
        ),
    ],
)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_sets_no_scale(tmp_path, values, header, photometric):
    header = header | {"PhotometricInterpretation": photometric}
    pixels = load(dicom(tmp_path / "a.dcm", values, **header)).pixels
    assert (pixels[:, :5] == 0).all()
    part = SLOPE[:, 5:].astype(float)
    expected = (part - part.min()) * 255 / (part.max() - part.min())
    expected = 255 - expected if photometric == "MONOCHROME1" else expected
    assert np.abs(pixels[:, 5:] - expected).max() < 3


@pytest.mark.parametrize(("kind", "vr", "value"), [("i2", "US", 63536), ("u2", "SS", -2000)])
def test_padding_of_the_other_sign_is_understood(tmp_path, kind, vr, value):
    def edit(data):
        data.PixelRepresentation = int(kind == "i2")
        data.add_new("PixelPaddingValue", vr, value)

    values = padded(DEEP, 63536).view(kind)
    pixels = load(edited(dicom(tmp_path / "a.dcm", values), edit)).pixels
    assert (pixels[:, :5] == 0).all()
    assert (pixels[:, 5:].min(), pixels[:, 5:].max()) == (0, 255)


def test_8_bit_padding_is_black_and_the_film_as_stored(tmp_path):
    pixels = load(dicom(tmp_path / "a.dcm", padded(GREY, 255), PixelPaddingValue=255)).pixels
    assert (pixels[:, :5] == 0).all()
    np.testing.assert_array_equal(pixels[:, 5:], GREY[:, 5:])


@pytest.mark.parametrize("value", [0, 7])
def test_a_film_of_padding_alone_is_shown(tmp_path, value):
    path = dicom(tmp_path / "a.dcm", np.full((4, 5), value, np.uint16), PixelPaddingValue=value)
    assert load(path).pixels.shape == (4, 5)


EMPTY = (
    "RescaleSlope RescaleIntercept RescaleType WindowCenter WindowWidth VOILUTFunction BitsStored "
    "HighBit SamplesPerPixel PixelRepresentation PhotometricInterpretation NumberOfFrames "
    "PixelPaddingValue PixelPaddingRangeLimit PixelSpacing PixelAspectRatio PlanarConfiguration "
    "VOILUTSequence ModalityLUTSequence ViewPosition PatientID LossyImageCompression"
).split()


@pytest.mark.parametrize("name", EMPTY)
@pytest.mark.parametrize("values", [GREY, DEEP], ids=["8 bits", "16 bits"])
def test_an_empty_optional_tag_counts_as_absent(tmp_path, name, values):
    path = dicom(tmp_path / "a.dcm", values)
    without = load(path).pixels
    empty = [] if name.endswith("Sequence") else None
    vr = "US" if name.startswith("PixelPadding") else dictionary_VR(name)
    edited(path, lambda data: data.add_new(name, vr, empty))
    np.testing.assert_array_equal(load(path).pixels, without)


@pytest.mark.parametrize(
    "header",
    [
        {"RescaleSlope": 2},
        {"RescaleIntercept": -100},
        {"RescaleSlope": 0, "RescaleIntercept": 0},
        {"WindowCenter": 100},
        {"WindowCenter": 100, "WindowWidth": 0},
        {"WindowCenter": 2040, "WindowWidth": 4082, "VOILUTFunction": "SMOOTH"},
        {"VOILUTSequence": [pydicom.Dataset()]},
        {"ModalityLUTSequence": [pydicom.Dataset()]},
        {"PhotometricInterpretation": "monochrome2"},
        {"NumberOfFrames": 0},
        {"BitsStored": 99},
        {"SamplesPerPixel": 3},
        {"PhotometricInterpretation": "YBR_FULL"},
        {"PhotometricInterpretation": "RGB"},
    ],
)
def test_what_a_viewer_ignores_is_ignored(tmp_path, header):
    with pydicom.config.disable_value_validation():
        path = dicom(tmp_path / "a.dcm", DEEP, **header)
    assert np.abs(load(path).pixels.astype(int) - EXPECTED).max() <= 1


def test_overlay_in_the_unused_bits_is_not_part_of_the_film(tmp_path):
    values = DEEP.copy()
    values[3:9, 4:8] |= 0x1000

    def overlay(data):
        data.BitsStored, data.HighBit = 12, 11
        data.add_new(0x60000100, "US", 16)
        data.add_new(0x60000102, "US", 12)

    pixels = load(edited(dicom(tmp_path / "a.dcm", values), overlay)).pixels.astype(int)
    assert np.abs(pixels - np.rint((DEEP & 0xFFF) * 255.0 / (DEEP & 0xFFF).max())).max() <= 1


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_colour_of_any_depth_becomes_grey(tmp_path, photometric, kind):
    grey = GREY.astype(kind) * (257 if kind is np.uint16 else 1)
    neutral = np.full_like(grey, np.iinfo(kind).max // 2 + 1)
    colours = [grey, neutral, neutral] if photometric == "YBR_FULL" else [grey] * 3
    header = {
        "SamplesPerPixel": 3,
        "PhotometricInterpretation": photometric,
        "PlanarConfiguration": 0,
    }
    path = dicom(tmp_path / "a.dcm", grey, **header)
    edited(path, lambda data: setattr(data, "PixelData", np.stack(colours, -1).tobytes()))
    pixels = load(path).pixels.astype(float)
    assert np.corrcoef(pixels.ravel(), SLOPE.ravel())[0, 1] > 0.999


def test_a_file_without_preamble_or_syntax_is_read(tmp_path):
    path = dicom(tmp_path / "a.dcm", GREY)
    edited(path, lambda data: data.file_meta.clear(), implicit_vr=True, little_endian=True)
    np.testing.assert_array_equal(load(path).pixels, GREY)
    path.write_bytes(path.read_bytes()[132:])
    np.testing.assert_array_equal(load(path).pixels, GREY)


def test_the_first_bytes_tell_the_kind_of_file(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.png")
    np.testing.assert_array_equal(
        load((tmp_path / "a.png").rename(tmp_path / "a.dcm")).pixels, GREY
    )
    (tmp_path / "b.png").write_bytes(b"<html>Please log in</html>")
    with pytest.raises(UserError, match="no picture of a known kind"):
        load(tmp_path / "b.png")


def compressed(data, syntax):
    data.file_meta.TransferSyntaxUID = syntax
    data.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xf7 no code \xff\xd9 "])
    data["PixelData"].is_undefined_length = True


@pytest.mark.parametrize(
    ("tag", "edit"),
    [
        ("Rows", lambda data: setattr(data, "Rows", None)),
        ("Columns", lambda data: delattr(data, "Columns")),
        ("BitsAllocated", lambda data: setattr(data, "BitsAllocated", 0)),
        ("PhotometricInterpretation", lambda d: setattr(d, "PhotometricInterpretation", "HSV")),
        ("BitsAllocated", lambda data: setattr(data, "BitsAllocated", 12)),
        ("SamplesPerPixel", lambda data: setattr(data, "SamplesPerPixel", 2)),
        (
            "PhotometricInterpretation",
            lambda d: setattr(d, "PhotometricInterpretation", "PALETTE COLOR"),
        ),
        ("RescaleSlope", lambda data: data.add_new(0x00281053, "LO", "steep")),
        ("NumberOfFrames", lambda data: setattr(data, "NumberOfFrames", 2)),
        ("NumberOfFrames", lambda data: data.add_new(0x00280008, "LO", "many")),
        ("TransferSyntaxUID", lambda data: compressed(data, MPEG2MPML)),
        ("PixelData", lambda data: delattr(data, "PixelData")),
    ],
)
def test_the_tag_in_the_way_is_named_and_nothing_is_called_damaged(tmp_path, tag, edit):
    path = edited(dicom(tmp_path / "a.dcm", GREY), edit)
    with pytest.raises(UserError, match=rf"a\.dcm.*{tag}") as caught:
        load(path)
    assert "damaged" not in str(caught.value)
    assert "truncated" not in str(caught.value)


@pytest.mark.parametrize("films", [0.01, 0.5, 1, 2, 7])
def test_bytes_behind_the_film_are_left_out(tmp_path, films):
    def edit(data):
        data.PixelData += bytes(int(films * len(data.PixelData)) // 2 * 2)

    path = edited(dicom(tmp_path / "a.dcm", DEEP), edit)
    np.testing.assert_array_equal(load(path).pixels, EXPECTED)


@pytest.mark.parametrize(
    "header",
    [
        {"SamplesPerPixel": 1},
        {"SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2"},
        {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "SamplesPerPixel": 1},
    ],
)
def test_bytes_of_other_samples_are_not_scrambled(tmp_path, header):
    """Colour without its samples is colour; grey of three times the bytes is refused by its tag."""

    def edit(data):
        data.PixelData = np.repeat(GREY[..., None], 3, 2).tobytes()
        data.PhotometricInterpretation = "RGB"
        for name, value in header.items():
            setattr(data, name, value)

    path = edited(dicom(tmp_path / "a.dcm", GREY), edit)
    if "PhotometricInterpretation" in header:
        with pytest.raises(UserError, match="SamplesPerPixel, BitsAllocated or NumberOfFrames"):
            load(path)
    else:
        assert np.abs(load(path).pixels.astype(int) - GREY).max() <= 1


def test_damage_is_called_damage(tmp_path):
    path = dicom(tmp_path / "a.dcm", GREY)
    edited(path, lambda data: setattr(data, "PixelData", data.PixelData[:-200]))
    with pytest.raises(UserError, match=r"a\.dcm.*truncated"):
        load(path)

    edited(dicom(path, GREY), lambda data: compressed(data, JPEGLSLossless))
    with pytest.raises(UserError, match=r"a\.dcm.*damaged"):
        load(path)


@pytest.mark.parametrize(("stored", "high"), [(12, 15), (10, 15), (12, 13), (8, 15)])
def test_left_justified_values_are_read(tmp_path, stored, high):
    """Bits below the value may hold anything; padding counts in the value itself."""
    values = (SLOPE * (2**stored - 1) // SLOPE.max()).astype(np.uint16)
    header = {"BitsStored": stored, "HighBit": stored - 1, "PixelPaddingValue": 0}
    right = load(dicom(tmp_path / "right.dcm", values, **header)).pixels
    shift = high + 1 - stored
    moved = (values << shift) | ((1 << shift) - 1)
    left = load(dicom(tmp_path / "left.dcm", moved.astype(np.uint16), **header | {"HighBit": high}))
    assert np.array_equal(left.pixels, right)


def test_left_justified_negative_values_are_read(tmp_path):
    values = (SLOPE - 40).astype(np.int16)
    header = {"BitsStored": 12, "HighBit": 11, "PixelRepresentation": 1}
    right = load(dicom(tmp_path / "right.dcm", values, **header)).pixels
    moved = (values << 4).astype(np.int16)
    left = load(dicom(tmp_path / "left.dcm", moved, **header | {"HighBit": 15})).pixels
    assert np.array_equal(left, right)
