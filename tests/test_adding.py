"""A newcomer adds a word: one file each, three for a task, and it runs like the others."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from tests import toy_words
from tests.blobs import blobs, encoder_file
from tests.made_up_corpus import corpus

ROOT = Path(__file__).resolve().parents[1]
DATA = "rsna_pneumonia@phantom_tiny"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the package with the new words in it, and what `git` would call changed."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "sista", folder / "sista", ignore=shutil.ignore_patterns("__pycache__"))
    for place, text in {
        "tasks/brightness": toy_words.TASK,
        "adaptation/brightness": toy_words.ADAPTATION,
        "heads/line": toy_words.TASK_HEAD,
        "methods/toy_method": toy_words.METHOD,
        "heads/toy_head": toy_words.HEAD,
        "protocols/toy_protocol": toy_words.PROTOCOL,
        "datasets/toy_set": toy_words.DATASET,
    }.items():
        file = folder / "sista" / f"{place}.py"
        assert not file.exists()
        file.write_text(text)
    return folder


def sista(project, *words):
    """Run a verb with the code of the copy."""
    command = [sys.executable, "-m", "sista", *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(project)}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def grid(project, name, **changes):
    """Write a grid of one encoder and return its path and first prediction's path."""
    values = {
        "budget": "quick",
        "corpus": "mimic_cxr@phantom_tiny",
        "encoders": ["resnet_tiny"],
        "variants": ["random_init"],
        "draws": [0],
        "fractions": [100],
        **changes,
    }
    file = project / f"{name}.yaml"
    file.write_text(yaml.safe_dump(values, sort_keys=False))
    code = (
        "from sista.grid.grid import Grid\n"
        f"print(next(Grid.load('{name}.yaml').adapt_runs()).predictions)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=True
    )
    return file, project / done.stdout.strip()


def adapt(project, out, **words):
    place = project / "results/prepare" / DATA
    if not place.is_dir():
        blobs(place, 40, dataset=DATA)
        encoder_file(place / "resnet_tiny.safetensors", "resnet_tiny")
    options = {"protocol": "quick_v1", "dataset": DATA, "draws": 0, "fractions": 100, **words}
    options |= {"manifest": place / "manifest.parquet", "split": place / "manifest.split.parquet"}
    options |= {"encoder": place / "resnet_tiny.safetensors", "out": out}
    sista(project, "adapt", *(word for k, v in options.items() for word in (f"--{k}", v)))


def test_a_task_is_three_files_and_its_row_stands_everywhere(project):
    entry = {"protocol": "quick_v1", "dataset": DATA, "head": "line"}
    file, predictions = grid(project, "bright", adapt=[entry])
    adapt(project, predictions, head="line")
    scores = project / "results/score/bright.parquet"
    made = json.loads((predictions.parent / "run.json").read_text())["run"]
    assert made["task"] == "brightness"
    sista(project, "score", "--grid", file, "--out", scores, "--bootstrap", 50)
    report = project / "results/report/bright"
    told = sista(project, "report", "--grid", file, "--scores", scores, "--out", report, "--print")
    assert "Mean absolute error" in told
    assert re.search(r"random_init.* 0\.\d{3}", told)
    page = (report / "index.html").read_text()
    assert "<h2>Brightness</h2>" in page
    assert "Mean absolute error" in (report / "brightness.md").read_text()
    address = ("--row", "random_init/resnet_tiny", "--column", f"{DATA}/100")
    traced = sista(project, "trace", report / "brightness.csv", *address)
    assert "mae, line: " in traced
    assert "sha256" in traced
    assert "brightness" in sista(project, "list", "tasks")


def test_a_head_is_one_file(project, tmp_path):
    adapt(project, tmp_path / "p.parquet", head="toy_head")
    resolved = json.loads((tmp_path / "run.json").read_text())["run"]["resolved"]["100"]
    # Of the protocol, since it knows the head's task.
    assert resolved["iterations"] == 400


def test_a_protocol_is_one_file(project, tmp_path):
    adapt(project, tmp_path / "p.parquet", head="linear", protocol="toy_protocol")
    resolved = json.loads((tmp_path / "run.json").read_text())["run"]["resolved"]["100"]
    assert resolved["iterations"] == 5
    entry = {"protocol": "toy_protocol", "dataset": DATA, "task": "classification"}
    _, predictions = grid(project, "toy", adapt=[entry])
    assert "toy_protocol" in str(predictions)


def test_a_method_is_one_file(project, tmp_path):
    manifest, split = corpus(tmp_path)
    words = {"method": "toy_method", "encoder": "resnet_tiny", "corpus": "made", "budget": "tiny"}
    words |= {"manifest": manifest, "split": split, "out": tmp_path / "run/encoder.safetensors"}
    words |= {"settings": '{"weight": 2.0}'}
    sista(project, "pretrain", *(w for k, v in words.items() for w in (f"--{k}", v)))
    assert (tmp_path / "run/encoder.safetensors").is_file()
    entry = {"protocol": "quick_v1", "dataset": DATA, "task": "classification"}
    _, predictions = grid(project, "method", variants=["toy_method"], adapt=[entry])
    assert "/toy_method/" in str(predictions)


def test_a_data_set_is_one_file(project, tmp_path):
    random = np.random.default_rng(0)
    raw = tmp_path / "raw"
    raw.mkdir()
    for n in range(24):
        film = random.integers(0, 120 + 100 * (n % 2), (40, 32)).astype(np.uint8)
        Image.fromarray(film).save(raw / f"patient{n:02d}_{n % 2}.png")
    out = tmp_path / "toy/manifest.parquet"
    sista(project, "prepare", "toy_set", "--source", raw, "--out", out, "--size", 32)
    assert out.is_file()
    assert "toy_set" in sista(project, "list", "datasets")
