"""A download whose archives were not unpacked gives what the unpacked one gives."""

import hashlib
import io
import shutil
import tarfile
import zipfile

import pytest

from sista import registry, tables
from sista.datasets import _archives
from sista.datasets._archives import opened
from sista.errors import UserError
from sista.stages.fetch import fetch
from sista.stages.prepare import prepare
from tests import raw_trees


def pack(folder, archive, *, inside=True):
    """Move a folder into an archive beside it; `inside`: its members keep the folder's name."""
    start = folder.parent if inside else folder
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as packed:
            for path in files:
                packed.write(path, path.relative_to(start))
            packed.writestr("__MACOSX/._shadow.png", b"no film")
    else:
        with tarfile.open(archive, "w:gz" if archive.suffix != ".tar" else "w") as packed:
            for path in files:
                packed.add(path, path.relative_to(start).as_posix())
    shutil.rmtree(folder)


def whole_zip(root):
    pack(root, root.parent / "all.zip", inside=False)
    root.mkdir()
    (root.parent / "all.zip").rename(root / "archive.zip")


def each_folder(ending, inside):
    def packing(root):
        for folder in [path for path in root.iterdir() if path.is_dir()]:
            pack(folder, root / f"{folder.name}{ending}", inside=inside)

    return packing


def zip_of_zips(root):
    each_folder(".zip", True)(root)
    whole_zip(root)


PACKINGS = {
    "one zip": whole_zip,
    "a zip for each folder": each_folder(".zip", True),
    "a tar.gz for each folder": each_folder(".tar.gz", True),
    "a tar for each folder": each_folder(".tar", True),
    "zips in a zip": zip_of_zips,
}


def snapshot(root):
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def prepared(word, source, out, **more):
    prepare(word, source=source, out=out / "m.parquet", size=16, draws=1, **more)
    assert not [path for path in out.iterdir() if path.name.startswith(".")]
    return {path.name: path.read_bytes() for path in out.iterdir() if path.name != "run.json"}


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("word", sorted(raw_trees.TREES))
def test_packed_and_unpacked_give_the_same(tmp_path, word, packing):
    root = raw_trees.TREES[word](tmp_path / "raw")
    expected = prepared(word, root, tmp_path / "plain")
    PACKINGS[packing](root)
    before = snapshot(root)
    fetch(word, source=root, out=tmp_path / "inventory.parquet")
    listed = tables.read(tmp_path / "inventory.parquet", "inventory")[0]
    assert dict(zip(listed.path, listed.sha256, strict=True)) == before
    found = prepared(word, root, tmp_path / "packed", inventory=tmp_path / "inventory.parquet")
    assert found == expected
    assert snapshot(root) == before


@pytest.mark.parametrize("word", ["rsna_pneumonia", "object_cxr", "covidx"])
def test_films_at_the_top_of_an_archive_belong_into_its_folder(tmp_path, word):
    root = raw_trees.TREES[word](tmp_path / "raw")
    expected = prepared(word, root, tmp_path / "plain", threads=2)
    each_folder(".zip", False)(root)
    assert prepared(word, root, tmp_path / "packed", threads=2) == expected


def test_the_archive_itself_can_be_named(tmp_path):
    root = raw_trees.nih(tmp_path / "raw")
    expected = prepared("nih_chestxray14", root, tmp_path / "plain")
    pack(root, tmp_path / "nih.zip")
    assert prepared("nih_chestxray14", tmp_path / "nih.zip", tmp_path / "packed") == expected


@pytest.mark.parametrize("ending", [".zip", ".tar.gz"])
def test_half_unpacked_files_are_not_replaced(tmp_path, ending):
    root = raw_trees.nih(tmp_path / "raw")
    expected = prepared("nih_chestxray14", root, tmp_path / "plain")
    kept = tmp_path / "kept"
    shutil.copytree(root / "images_002", kept)
    each_folder(ending, True)(root)
    shutil.copytree(kept, root / "images_002")
    assert prepared("nih_chestxray14", root, tmp_path / "packed") == expected


def test_messages_name_the_download_not_the_view(tmp_path, capsys):
    root = raw_trees.nih(tmp_path / "raw")
    raw_trees.picture(root / "images_001/images/extra.png", 1)
    box = root / "BBox_List_2017.csv"
    box.write_text(box.read_text().replace("Infiltrate", "Spot"))
    each_folder(".zip", True)(root)
    with pytest.raises(UserError, match=rf"^{box} row 2: unknown finding"):
        prepared("nih_chestxray14", root, tmp_path / "packed")
    assert not [*tmp_path.glob("packed/*"), *tmp_path.glob("packed/.*")]
    box.write_text(box.read_text().replace("Spot", "Mass"))
    prepared("nih_chestxray14", root, tmp_path / "packed")
    assert (
        "left out: 1 image files: no table names them (below images_001)" in capsys.readouterr().err
    )


@pytest.mark.parametrize("content", [b"PK no zip", b""])
@pytest.mark.parametrize("name", ["images_003.zip", "images_003.tar.gz"])
def test_a_damaged_archive_is_named(tmp_path, name, content):
    root = raw_trees.nih(tmp_path / "raw")
    (root / name).write_bytes(content)
    with pytest.raises(UserError, match=rf"{name}: .*download it again"):
        prepared("nih_chestxray14", root, tmp_path / "packed")
    assert not [*tmp_path.glob("packed/*"), *tmp_path.glob("packed/.*")]


def test_nothing_is_unpacked_outside(tmp_path):
    root = raw_trees.nih(tmp_path / "a/raw")
    with zipfile.ZipFile(root / "more.zip", "w") as packed:
        packed.writestr("../../escaped.png", b"x")
        packed.writestr("/absolute.png", b"x")
        packed.writestr("images_001/images/new.png", b"x")
    with opened(registry.find("datasets", "nih_chestxray14"), root, tmp_path / "a") as download:
        assert (download.root / "images_001/images/new.png").is_file()
        assert not list(tmp_path.rglob("escaped.png"))
    assert not list(tmp_path.rglob("new.png"))


def test_links_out_of_a_packed_download_are_refused(tmp_path):
    root = raw_trees.object_cxr(tmp_path / "raw")
    pack(root / "dev", root / "dev.zip")
    outside = raw_trees.picture(tmp_path / "outside.jpg", 1)
    (root / "train/train1.jpg").unlink()
    (root / "train/train1.jpg").symlink_to(outside)
    with pytest.raises(UserError, match=r"train\.csv row 3: .*symbolic link"):
        prepared("object_cxr", root, tmp_path / "packed")


def refused(root, told):
    """Open a download that must not be read."""
    card = registry.find("datasets", "siim_acr")
    with pytest.raises(UserError, match=told), opened(card, root):
        pass


def test_a_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(_archives, "SMALL", 1 << 20)
    root = raw_trees.TREES["siim_acr"](tmp_path)
    with zipfile.ZipFile(root / "more.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("zeros.csv", bytes(8 << 20))
    refused(root, r"zeros\.csv: \d+ times its own size .* set SISTA_MAX_UNPACKED")
    assert not list(tmp_path.rglob(".unpacked*"))


def test_archives_in_archives_end(tmp_path):
    root = raw_trees.TREES["siim_acr"](tmp_path)
    inner = b"nothing"
    for depth in range(5):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as packed:
            packed.writestr(f"inner{depth}.zip" if depth else "a.csv", inner)
        inner = file.getvalue()
    (root / "outer.zip").write_bytes(inner)
    refused(root, r"outer\.zip: archives in archives")


def test_archives_may_lie_some_folders_down(tmp_path):
    root = raw_trees.nih(tmp_path / "raw")
    each_folder(".tar.gz", True)(root)
    home = root / "download/CXR8/images"
    home.mkdir(parents=True)
    for archive in root.glob("*.tar.gz"):
        archive.rename(home / archive.name)
    with opened(registry.find("datasets", "nih_chestxray14"), root) as download:
        records = list(registry.find("datasets", "nih_chestxray14").read(download.root))
        assert sum((download.root / record.path).is_file() for record in records) == 12
        assert download.listed_as(records[0].path) == "download/CXR8/images/images_001.tar.gz"
    assert not list(root.rglob("*.png"))


def test_a_broken_archive_of_others_deep_down_stops_nothing(tmp_path, capsys):
    root = raw_trees.nih(tmp_path / "raw")
    (root / "notes/old/x").mkdir(parents=True)
    (root / "notes/old/x/weights.zip").write_bytes(b"PK no archive")
    with opened(registry.find("datasets", "nih_chestxray14"), root) as download:
        assert len(list(registry.find("datasets", "nih_chestxray14").read(download.root))) == 12
    assert "weights.zip: not a readable archive, left out" in capsys.readouterr().err
