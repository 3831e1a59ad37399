import numpy as np
import pytest

from sista.errors import UserError
from sista.preparation.radiograph import film_size, load


def write(path, values):
    path.write_bytes(np.asarray(values).astype(">u2").tobytes())
    return path


def test_high_numbers_are_dark_and_the_least_and_greatest_set_the_scale(tmp_path):
    path = write(tmp_path / "JPCLN001.IMG", [[0, 4095], [2048, 9999]])
    assert load(path).pixels.tolist() == [[255, 0], [127, 0]]
    assert film_size(path) == (2, 2)


@pytest.mark.parametrize("size", [0, 3, 12, 2 * 2049**2])
def test_a_file_of_another_size_is_damaged(tmp_path, size):
    (tmp_path / "film.img").write_bytes(bytes(size))
    with pytest.raises(UserError, match=r"film\.img: .*no square film.*download it again"):
        load(tmp_path / "film.img")
    assert film_size(tmp_path / "film.img") is None
