"""Ids, names, dates and sentences of patients stay where they belong: in data and predictions.

Planted into the raw files of a run, they are looked for in all that is shown or passed on.
"""

import gzip
import io
import json
import tarfile
import zipfile

import numpy as np
import pandas as pd
import pydicom
import pytest
from PIL import Image, PngImagePlugin

from sista import tables
from sista.phantom.presets import PRESETS
from sista.phantom.write import write
from tests.conftest import Project
from tests.inside import found
from tests.test_dvc import under_git

WORD = "Quillfeather"
SENTENCE = "Zymurgy of the left hemithorax"
PLANTED = [WORD, "Ottoline", "1923-05-17", "19230517", SENTENCE, "Saint Wolfram"]
GRID = """
budget: tiny
corpus: mimic_cxr
encoders: [resnet_tiny]
variants: [clip, sista]
draws: [0]
fractions: [100]
adapt:
  - {protocol: quick_v1, dataset: chexpert, task: classification}
  - {protocol: quick_v1, dataset: rsna_pneumonia, task: segmentation}
  - {protocol: quick_v1, dataset: rsna_pneumonia, task: detection}
  - {protocol: quick_v1, dataset: mimic_cxr, head: retrieval}
"""
# What holds patients by its nature: it stays on the machine, see dvc.yaml and CONTRIBUTING.
PRIVATE = (
    "data/**",
    # The code: an example in a docstring may be an id that the phantom drew too.
    "sista/**",
    ".git/**",
    ".dvc/cache/**",
    ".dvc/tmp/**",
    "results/fetch/*/inventory.parquet",
    "results/fetch/*/.hashes.parquet",
    "results/prepare/*/manifest*",
    "results/prepare/*/similarity/**",
    "results/pretrain/**/encoder.safetensors",
    "results/pretrain/**/word_maps.npz",
    "results/adapt/**/predictions.parquet",
    "results/**/.features/**",
    "audit/images.csv",
)


def _picture(info):
    stream = io.BytesIO()
    Image.new("L", (4, 4)).save(stream, "PNG", pnginfo=info)
    return stream.getvalue()


def _text_chunk():
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", WORD, zip=True)
    return _picture(info)


def _exif():
    exif = Image.Exif()
    exif[0x013B] = WORD
    stream = io.BytesIO()
    Image.new("L", (4, 4)).save(stream, "JPEG", exif=exif)
    return stream.getvalue()


def _zipped(content, name="a.txt"):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return stream.getvalue()


def _tar():
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        info = tarfile.TarInfo("a")
        info.size = len(WORD)
        tar.addfile(info, io.BytesIO(WORD.encode()))
    return stream.getvalue()


def _parquet(meta=False):
    stream = io.BytesIO()
    frame = pd.DataFrame({"a": ["x" if meta else f"Dr {WORD}"]})
    frame.attrs = {"who": WORD} if meta else {}
    frame.to_parquet(stream)
    return stream.getvalue()


def _array():
    stream = io.BytesIO()
    np.savez_compressed(stream, words=np.array(["a", WORD]))
    return stream.getvalue()


def _page():
    import base64

    return b'<img src="data:image/png;base64,' + base64.b64encode(_text_chunk()) + b'">'


@pytest.mark.parametrize(
    "content",
    {
        "plain": lambda: f"seen by {WORD.upper()}".encode(),
        "JSON": lambda: json.dumps({"a": WORD}).replace("Q", "\\u0051").encode(),
        "gzip": lambda: gzip.compress(WORD.encode()),
        "zip": lambda: _zipped(WORD),
        "name in a zip": lambda: _zipped("", f"{WORD}.txt"),
        "zip in a zip": lambda: _zipped(_zipped(WORD)),
        "tar": _tar,
        "PNG": _text_chunk,
        "EXIF": _exif,
        "parquet": _parquet,
        "parquet's metadata": lambda: _parquet(meta=True),
        "npz": _array,
        "picture in a page": _page,
    }.values(),
)
def test_a_planted_word_is_seen_wherever_it_is_packed(tmp_path, content):
    (tmp_path / "file").write_bytes(content())
    (tmp_path / "other").write_text("nothing")
    assert found(tmp_path, [WORD]) == {"file": [WORD.lower()]}
    assert found(tmp_path, [WORD], ("fi*",)) == {}


def test_a_planted_name_of_a_file_is_seen(tmp_path):
    (tmp_path / f"a{WORD}").mkdir()
    assert found(tmp_path, [WORD]) == {f"a{WORD}": [WORD.lower()]}


def plant(data) -> None:
    """Put names, dates and a sentence into the raw files of three phantom layouts."""
    for report in data.glob("mimic_cxr/files/*/*/*.txt"):
        text = f"{SENTENCE}, told Dr {WORD} on 1923-05-17."
        report.write_text(report.read_text().replace("FINDINGS:", f"FINDINGS: {text}"))
    exif = Image.Exif()
    exif[0x013B] = f"Ottoline {WORD}"
    for path in [*data.glob("chexpert/**/*.jpg"), *data.glob("mimic_cxr/**/*.jpg")]:
        with Image.open(path) as image:
            image.load()
            image.save(path, quality=95, exif=exif)
    for path in data.glob("rsna_pneumonia/**/*.dcm"):
        header = pydicom.dcmread(path)
        header.PatientName = f"{WORD}^Ottoline"
        header.PatientBirthDate = "19230517"
        header.InstitutionName = "Saint Wolfram"
        header.save_as(path)


def ids(project) -> set[str]:
    """Return all ids that tell a patient or a film; short ones stand in any number."""
    known: set[str] = set()
    for manifest in project.folder.glob("results/prepare/*/manifest.parquet"):
        frame, _ = tables.read(manifest, "manifest")
        for column in ("image_id", "patient_id", "study_id"):
            known |= {name for name in frame[column].dropna() if len(name) > 6}
    return known


@pytest.mark.slow
def test_nothing_of_a_patient_is_shown_or_passed_on(tmp_path):
    project = Project(tmp_path / "project")
    data = project.folder / "data"
    for word in ("mimic_cxr", "chexpert", "rsna_pneumonia"):
        write(word, PRESETS["phantom_tiny"], data / word, 2)
    plant(data)
    (project.folder / "benchmarks" / "private.yaml").write_text(GRID)
    under_git(project, "private")
    store = tmp_path / "store"
    project.run("dvc", "remote", "add", "--default", "store", str(store))
    printed = project.run("dvc", "repro", SISTA_DATA=str(data))
    grid = "benchmarks/private.yaml"
    printed += project.snakemake(grid, SISTA_DATA=str(data))
    project.run("dvc", "push")
    for command in (
        ("status", "--grid", grid),
        ("show", "results/score/private.parquet"),
        ("verify",),
        ("crate", "--grid", grid, "--out", "crate"),
        ("audit", "results/prepare/chexpert/manifest.parquet"),
    ):
        printed += project.run("sista", *command, check=command[0] != "audit")
    words = [*PLANTED, *sorted(ids(project))]
    assert len(words) > 300
    # They are there to be found: the manifests hold them.
    everything = found(project.folder / "results" / "prepare", words)
    assert SENTENCE.lower() in everything["mimic_cxr/manifest.parquet"]
    assert found(project.folder, words, PRIVATE) == {}
    assert found(store, words) == {}
    assert [word for word in words if word.lower() in printed.lower()] == []
