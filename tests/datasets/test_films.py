"""Where the films of a download are looked for."""

import pytest

from sista import registry
from sista.datasets._films import Films
from sista.datasets._source import Row
from sista.errors import UserError
from tests import raw_trees


@pytest.mark.parametrize("home", ["", "Images/", "CXR8/images/images_001/", "data/images/"])
def test_nih_films_lie_where_a_mirror_put_them(tmp_path, home):
    root = raw_trees.nih(tmp_path / "raw")
    for path in sorted(root.rglob("*.png")):
        target = root / home / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    records = list(registry.find("datasets", "nih_chestxray14").read(root))
    assert [record.path for record in records] == [f"{home}{i:08}_000.png" for i in range(12)]


def test_a_missing_film_is_not_replaced_by_one_of_another_set(tmp_path):
    (tmp_path / "test").mkdir()
    (tmp_path / "test/1.png").write_bytes(b"")
    row = Row(tmp_path / "t.csv", 2, {})
    assert Films(tmp_path).path(row, "1.png", "train/1.png") == "train/1.png"
    (tmp_path / "more").mkdir()
    (tmp_path / "more/1.png").write_bytes(b"")
    assert Films(tmp_path).path(row, "1.png", "train/1.png") == "more/1.png"


def test_a_film_in_two_places_is_refused(tmp_path):
    for folder, name in (("a", "1.png"), ("b", "1.jpg")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(folder)
    row = Row(tmp_path / "t.csv", 2, {})
    with pytest.raises(UserError, match=r"t\.csv row 2: its film lies in 2 places"):
        Films(tmp_path).path(row, "1", "1.dcm")
    (tmp_path / "b/1.jpg").write_text("a")
    assert Films(tmp_path).path(row, "1", "1.dcm") == "a/1.png"
