"""Kinds of files that archives hold: each gives the film of its plain form."""

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless

from sista.preparation.radiograph import film_size, load
from tests.raw_trees import dicom

SLOPE = np.add.outer(np.arange(80), np.arange(70))
GREY = SLOPE.astype(np.uint8)
DEEP = SLOPE.astype(np.uint16) * 60
ORIENTATION = 0x0112


def packed(path, values, syntax):
    data = pydicom.dcmread(dicom(path, values))
    data.compress(syntax, generate_instance_uid=False)
    data.save_as(path)
    return path


def big_endian(path, values):
    data = pydicom.dcmread(dicom(path, values))
    data.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    data.PixelData = values.astype(values.dtype.newbyteorder(">")).tobytes()
    data["PixelData"].VR = "OB" if values.dtype == np.uint8 else "OW"
    pydicom.dcmwrite(path, data, implicit_vr=False, little_endian=False)
    return path


@pytest.mark.parametrize("values", [GREY, DEEP], ids=["8 bits", "16 bits"])
@pytest.mark.parametrize(
    "syntax",
    [RLELossless, JPEGLSLossless, JPEG2000Lossless],
    ids=["RLE", "JPEG-LS", "JPEG 2000"],
)
def test_packed_pixels_are_those_of_the_plain_film(tmp_path, values, syntax):
    plain = load(dicom(tmp_path / "plain.dcm", values))
    assert load(packed(tmp_path / "a.dcm", values, syntax)).content_hash == plain.content_hash


@pytest.mark.parametrize("values", [GREY, DEEP], ids=["8 bits", "16 bits"])
def test_big_endian_pixels_are_those_of_the_plain_film(tmp_path, values):
    plain = load(dicom(tmp_path / "plain.dcm", values))
    assert load(big_endian(tmp_path / "a.dcm", values)).content_hash == plain.content_hash


@pytest.mark.parametrize(
    ("photometric", "shape", "inverted"),
    [
        ("MONOCHROME2", "IDENTITY", False),
        ("MONOCHROME2", "INVERSE", True),
        ("MONOCHROME1", "INVERSE", True),
        ("MONOCHROME1", "IDENTITY", True),
        ("MONOCHROME2", "", False),
    ],
)
def test_presentation_look_up_shape(tmp_path, photometric, shape, inverted):
    header = {"PhotometricInterpretation": photometric, "PresentationLUTShape": shape}
    pixels = load(dicom(tmp_path / "a.dcm", GREY, **header)).pixels
    assert np.array_equal(pixels, 255 - GREY if inverted else GREY)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_presentation_look_up_table_gives_grey_as_it_is_seen(tmp_path, photometric):
    item = pydicom.Dataset()
    item.LUTDescriptor = [256, 0, 8]
    item.LUTData = bytes(range(255, -1, -1))
    header = {
        "PhotometricInterpretation": photometric,
        "PresentationLUTSequence": Sequence([item]),
    }
    pixels = load(dicom(tmp_path / "a.dcm", GREY, **header)).pixels
    assert pixels[0, 0] == 255
    # pydicom spreads the film's own range over the table and cuts the last place off.
    assert pixels[-1, -1] <= 1


def test_an_empty_presentation_look_up_is_ignored(tmp_path):
    path = dicom(tmp_path / "a.dcm", GREY, PresentationLUTSequence=Sequence([]))
    assert np.array_equal(load(path).pixels, GREY)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_followed(tmp_path, orientation):
    turns = {
        1: GREY,
        2: GREY[:, ::-1],
        3: GREY[::-1, ::-1],
        4: GREY[::-1],
        5: GREY.T,
        6: GREY[::-1].T,
        7: GREY[::-1, ::-1].T,
        8: GREY[:, ::-1].T,
    }
    path = tmp_path / "a.png"
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(GREY).save(path, exif=exif)
    assert np.array_equal(load(path).pixels, turns[orientation])
    height, width = turns[orientation].shape
    assert film_size(path) == (width, height)


def test_a_cmyk_picture_is_as_bright_as_it_is_shown(tmp_path):
    path = tmp_path / "a.jpg"
    # Ink is dark: CMYK of nothing is white.
    ink = np.zeros((16, 16, 4), np.uint8)
    ink[8:, :, 3] = 255
    Image.fromarray(ink, "CMYK").save(path, quality=95)
    pixels = load(path).pixels
    assert pixels[2, 2] > 240
    assert pixels[-2, -2] < 15
