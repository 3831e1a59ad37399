"""Tables, masks and archives of a download: no pipe stops a reader, no link and no bomb is used."""

import os
import zipfile

import numpy as np
import pytest
from PIL import Image

from sista import registry
from sista.datasets._source import rows
from sista.errors import UserError
from sista.preparation.masks import MaskFile
from sista.stages.prepare import prepare
from tests.raw_trees import TREES


@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
def test_a_table_is_a_regular_file(tmp_path, ending):
    os.mkfifo(tmp_path / f"pipe{ending}")
    (tmp_path / f"folder{ending}").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(UserError, match="no regular file"):
            list(rows(tmp_path / f"{name}{ending}", ["a"]))


def test_a_table_is_no_link_out_of_its_folder(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "secret.csv").write_text("a\n1\n")
    (tmp_path / "data" / "table.csv").symlink_to(tmp_path / "secret.csv")
    with pytest.raises(UserError, match="a link out of the data folder"):
        list(rows(tmp_path / "data" / "table.csv", ["a"]))


def test_a_data_folder_may_be_a_link_as_a_whole(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "table.csv").write_text("a\n1\n")
    (tmp_path / "link").symlink_to(tmp_path / "data")
    assert [row.values["a"] for row in rows(tmp_path / "link" / "table.csv", ["a"])] == ["1"]


def test_a_mask_that_is_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "mask.png")
    with pytest.raises(ValueError, match="cannot be read"):
        MaskFile("mask.png").draw(tmp_path, 4, 4)


@pytest.mark.parametrize("word", sorted(TREES))
def test_every_file_of_a_download_may_be_a_pipe(tmp_path, word):
    """Readers of tables, one file after the other; films and masks are opened later."""
    root = tmp_path / word
    TREES[word](root)
    dataset = registry.find("datasets", word)
    small = (".csv", ".txt", ".gz", ".zip", ".json", ".xlsx")
    for path in [p for p in sorted(root.rglob("*")) if p.is_file() and p.suffix in small]:
        content = path.read_bytes()
        path.unlink()
        os.mkfifo(path)
        try:
            folder, _ = dataset.locate(root)
            list(dataset.read(folder))
        except UserError:
            pass
        path.unlink()
        path.write_bytes(content)
    folder, _ = dataset.locate(root)
    assert list(dataset.read(folder))


def test_a_report_that_unpacks_to_more_than_a_report_is_refused(tmp_path):
    root = tmp_path / "mimic_cxr"
    TREES["mimic_cxr"](root)
    report = next(root.rglob("s*.txt"))
    name = report.relative_to(root).as_posix()
    report.unlink()
    archive = root / "mimic-cxr-reports.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr(name[name.find("files/") :], b" " * (64 << 20))
    assert archive.stat().st_size < 1 << 20
    with pytest.raises(UserError, match="unpacks to more than 1 MiB"):
        list(registry.find("datasets", "mimic_cxr").read(root))


def folder(path):
    path.unlink()
    path.mkdir()


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def nowhere(path):
    path.unlink()
    path.symlink_to("nowhere.png")


def endless(path):
    """Put a mask whose values are infinite."""
    Image.fromarray(np.full((20, 16), np.inf, np.float32)).save(path, "TIFF")


@pytest.mark.parametrize("damage", [folder, pipe, nowhere, endless])
@pytest.mark.parametrize(
    ("word", "mask"),
    [
        ("kermany_pneumonia", "masks_lung/IM-0001-0001.png"),
        ("covid_chestxray", "annotations/lungVAE-masks/film0_mask.png"),
    ],
)
def test_a_mask_that_is_no_picture_is_not_taken_for_none(tmp_path, word, mask, damage):
    root = TREES[word](tmp_path / "raw")
    damage(root / mask)
    with pytest.raises(UserError, match=f"{mask} cannot be read"):
        prepare(word, source=root, out=tmp_path / "m.parquet", size=16, draws=1)
