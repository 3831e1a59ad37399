import cv2
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit

from sista.errors import UserError
from sista.preparation.radiograph import fit, load
from tests.raw_trees import dicom, film


def test_8_bit_dicom_is_taken_as_it_is(tmp_path):
    found = load(dicom(tmp_path / "a.dcm", film(1), PixelSpacing=[0.5, 0.5], ViewPosition="PA"))
    np.testing.assert_array_equal(found.pixels, film(1))
    assert (found.spacing, found.view, found.patient_id) == (0.5, "PA", None)


def test_monochrome1_is_inverted(tmp_path):
    path = dicom(tmp_path / "a.dcm", film(1), PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(load(path).pixels, 255 - film(1))


def test_16_bit_with_window_and_rescale_becomes_8_bit(tmp_path):
    values = np.linspace(0, 4000, 320).reshape(20, 16).astype(np.uint16)
    header = {"WindowCenter": 2000, "WindowWidth": 1000, "BitsStored": 12, "HighBit": 11}
    slope = {"RescaleSlope": 1, "RescaleIntercept": 0}
    pixels = load(dicom(tmp_path / "a.dcm", values, **header, **slope)).pixels
    assert (pixels.dtype, pixels.min(), pixels.max()) == (np.uint8, 0, 255)
    assert (pixels[values < 1490] == 0).all()
    assert (pixels[values > 2510] == 255).all()
    assert abs(int(pixels.flat[np.abs(values.astype(int) - 2000).argmin()]) - 127) < 6


def test_jpeg_inside_dicom_is_decoded_and_its_truncation_seen(tmp_path):
    smooth = np.add.outer(np.arange(64), np.arange(48)).astype(np.uint8)
    Image.fromarray(smooth).save(tmp_path / "a.jpg", quality=95)
    code = (tmp_path / "a.jpg").read_bytes()
    path = dicom(tmp_path / "a.dcm", smooth)
    data = pydicom.dcmread(path)
    data.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    data.PixelData = encapsulate([code])
    data["PixelData"].is_undefined_length = True
    data.save_as(path, enforce_file_format=True)
    assert np.abs(load(path).pixels.astype(int) - smooth).max() < 6
    data.PixelData = encapsulate([code[: len(code) // 2]])
    data.save_as(path, enforce_file_format=True)
    with pytest.raises(UserError, match=r"a\.dcm"):
        load(path)


@pytest.mark.parametrize("keep", [0, 50, 200, 500, -1])
def test_truncated_dicom_is_named(tmp_path, keep):
    path = dicom(tmp_path / "a.dcm", film(1))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"a\.dcm.*again"):
        load(path)


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_truncated_picture_is_named(tmp_path, name):
    Image.fromarray(film(1, 200, 200)).save(tmp_path / name)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:3000])
    with pytest.raises(UserError, match=name):
        load(tmp_path / name)
    with pytest.raises(UserError, match="no such file"):
        load(tmp_path / "b.png")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "1"])
def test_colour_and_palette_become_grey(tmp_path, mode):
    Image.fromarray(film(1)).convert(mode).save(tmp_path / "a.png")
    assert load(tmp_path / "a.png").pixels.shape == (20, 16)


@pytest.mark.parametrize("shape", [(1, 1), (7, 2503), (301, 2502), (90, 33)])
@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_grey_pictures_are_read_as_opencv_reads_them(tmp_path, shape, ending):
    path = tmp_path / f"a.{ending}"
    Image.fromarray(film(1, *shape)).save(path)
    read = [load(path) for _ in range(2)]
    assert np.array_equal(read[0].pixels, cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))
    assert read[0].content_hash == read[1].content_hash


def test_a_picture_that_pillow_holds_in_pieces_is_read(tmp_path):
    """More than its block of 16 MB."""
    pixels = np.tile(film(1, 50, 40), (100, 100))
    Image.fromarray(pixels).save(tmp_path / "a.png", compress_level=1)
    assert np.array_equal(load(tmp_path / "a.png").pixels, pixels)


def test_16_bit_png_is_scaled(tmp_path):
    values = np.arange(320, dtype=np.uint16).reshape(20, 16) * 100
    Image.fromarray(values).save(tmp_path / "a.png")
    pixels = load(tmp_path / "a.png").pixels
    assert (pixels.min(), pixels.max()) == (0, 255)


def test_content_hash_is_of_pixels_not_of_files(tmp_path):
    Image.fromarray(film(1)).save(tmp_path / "a.png", compress_level=1)
    Image.fromarray(film(1)).save(tmp_path / "b.png", compress_level=9)
    Image.fromarray(film(1).T).save(tmp_path / "c.png")
    a, b, c = (load(tmp_path / f"{name}.png").content_hash for name in "abc")
    assert a == b == load(dicom(tmp_path / "a.dcm", film(1))).content_hash
    assert a != c


@given(st.integers(1, 60), st.integers(1, 60), st.integers(8, 40))
@settings(max_examples=60, deadline=None)
def test_fit_pads_to_the_centre_and_tells_where(height, width, size):
    square, place = fit(np.full((height, width), 200, np.uint8), size)
    assert square.shape == (size, size)
    ys, xs = np.nonzero(square)
    assert (xs.min(), ys.min()) == (place.pad_x, place.pad_y)
    assert abs((xs.max() + 1) - (width * place.scale + place.pad_x)) <= 1
    assert abs((ys.max() + 1) - (height * place.scale + place.pad_y)) <= 1
    assert (square[ys, xs] == 200).all()
