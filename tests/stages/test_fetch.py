import os

import pytest

from sista import tables
from sista.errors import UserError
from sista.files import sha256
from sista.runs.record import read_record
from sista.stages import fetch
from tests import raw_trees


def test_inventory_lists_every_file_and_the_second_run_hashes_none(tmp_path, monkeypatch):
    root = raw_trees.rsna(tmp_path / "data/rsna_pneumonia")
    monkeypatch.setenv("SISTA_DATA", str(tmp_path / "data"))
    out = tmp_path / "fetch/inventory.parquet"
    fetch.fetch("rsna_pneumonia", out=out, threads=2)
    frame, meta = tables.read(out, "inventory")
    assert list(frame.path) == sorted(frame.path)
    assert len(frame) == 22
    assert (meta["release"], meta["n"]) == ("stage 2", 22)
    row = frame.set_index("path").loc["stage_2_train_labels.csv"]
    assert row.sha256 == sha256(root / "stage_2_train_labels.csv")
    first = out.read_bytes()

    hashed = []
    monkeypatch.setattr(fetch, "sha256", lambda path: hashed.append(path.name) or "0" * 64)
    fetch.fetch("rsna_pneumonia", out=out)
    assert (out.read_bytes(), hashed) == (first, [])
    (root / "nih_patients.csv").write_text("changed")
    fetch.fetch("rsna_pneumonia", out=out)
    assert hashed == ["nih_patients.csv"]


def test_a_change_is_seen_in_a_file_that_got_its_old_time_back(tmp_path):
    root = raw_trees.rsna(tmp_path / "rsna_pneumonia")
    out = tmp_path / "fetch/inventory.parquet"
    fetch.fetch("rsna_pneumonia", source=tmp_path, out=out)
    file = root / "stage_2_train_labels.csv"
    state = file.stat()
    file.write_bytes(file.read_bytes().swapcase())
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    fetch.fetch("rsna_pneumonia", source=tmp_path, out=out)
    frame, _ = tables.read(out, "inventory")
    assert frame.set_index("path").loc[file.name].sha256 == sha256(file)
    record = read_record(out.with_name("run.json"))
    assert record.facts["raw_sha256"] == fetch.listing_hash(frame)


def test_missing_data_is_explained(tmp_path, monkeypatch):
    monkeypatch.delenv("SISTA_DATA", raising=False)
    out = tmp_path / "out/inventory.parquet"
    with pytest.raises(UserError, match="SISTA_DATA is not set") as caught:
        fetch.fetch("mimic_cxr", out=out)
    for word in ("PhysioNet", "Licence", "metadata.csv.gz", "/path/to/data/mimic_cxr"):
        assert word in str(caught.value)
    with pytest.raises(UserError, match="is not there"):
        fetch.fetch("mimic_cxr", out=out, source=tmp_path / "nowhere")
    with pytest.raises(UserError, match="unknown dataset"):
        fetch.fetch("mimic", out=out)
    assert not out.exists()


def test_link_out_of_the_data_is_refused_and_link_to_the_data_is_not(tmp_path):
    root = raw_trees.rsna(tmp_path / "elsewhere")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/rsna_pneumonia").symlink_to(root)
    fetch.fetch("rsna_pneumonia", source=tmp_path / "data", out=tmp_path / "i.parquet")
    (tmp_path / "secret").write_text("x")
    (root / "link.csv").symlink_to(tmp_path / "secret")
    with pytest.raises(UserError, match=r"link\.csv: a symbolic link out"):
        fetch.fetch("rsna_pneumonia", source=tmp_path / "data", out=tmp_path / "i.parquet")


def test_phantom_is_made_beside_the_inventory(tmp_path, monkeypatch):
    pytest.importorskip("sista.phantom.write")
    from dataclasses import replace

    from sista.phantom import presets

    tiny = replace(presets.PRESETS["phantom_tiny"], studies={"covidx": 4})
    monkeypatch.setitem(presets.PRESETS, "phantom_tiny", tiny)
    fetch.fetch("covidx@phantom_tiny", out=tmp_path / "inventory.parquet")
    frame, meta = tables.read(tmp_path / "inventory.parquet", "inventory")
    assert "train_COVIDx9A.txt" in set(frame.path)
    assert meta["release"] == "V9A"
    assert all(os.path.isfile(tmp_path / "raw" / path) for path in frame.path)
    with pytest.raises(UserError, match="unknown origin"):
        fetch.fetch("covidx@moon", out=tmp_path / "inventory.parquet")


def test_published_checksums_are_compared(tmp_path, capsys):
    root = raw_trees.mimic(tmp_path / "mimic_cxr")
    out = tmp_path / "fetch/inventory.parquet"
    names = ["mimic-cxr-2.0.0-split.csv.gz", "mimic-cxr-2.0.0-metadata.csv.gz"]
    lines = [f"{sha256(root / name)} {name}" for name in names]
    (root / "SHA256SUMS.txt").write_text("\n".join([*lines, f"{'0' * 64} LICENSE.txt"]) + "\n")
    fetch.fetch("mimic_cxr", source=tmp_path, out=out)
    told = capsys.readouterr().err
    assert "2 of 3 files of SHA256SUMS.txt are here; 1 are missing (first: LICENSE.txt)" in told
    facts = read_record(out.with_name("run.json")).facts
    assert (facts["published"], facts["missing"]) == (3, 1)
    out.unlink()
    (root / names[0]).write_bytes(b"cut")
    with pytest.raises(UserError, match=r"split\.csv\.gz: differs from its checksum"):
        fetch.fetch("mimic_cxr", source=tmp_path, out=out)
    assert not out.exists()
    (root / "SHA256SUMS.txt").write_text("<html>\n")
    with pytest.raises(UserError, match="row 1: expected `SHA-256 path`"):
        fetch.fetch("mimic_cxr", source=tmp_path, out=out)


def test_only_open_sets_are_downloaded(tmp_path, monkeypatch):
    out = tmp_path / "inventory.parquet"
    with pytest.raises(UserError, match=r"(?s)nothing can be downloaded.*PhysioNet cred"):
        fetch.fetch("mimic_cxr", source=tmp_path, out=out, download=True)
    with pytest.raises(UserError, match="the phantom is made here"):
        fetch.fetch("covidx@phantom_tiny", out=out, download=True)
    asked = []
    monkeypatch.setattr(fetch, "download_files", lambda *given: asked.append(given))
    raw_trees.TREES["iu_xray"](tmp_path / "data/iu_xray")
    fetch.fetch("iu_xray", source=tmp_path / "data", out=out, download=True)
    ((files, folder, word),) = asked
    assert [file.path for file in files] == ["NLMCXR_reports.tgz", "NLMCXR_png.tgz"]
    assert (folder, word) == (tmp_path / "data/iu_xray", "iu_xray")
