"""A newcomer adds a word: one file each, three for a task, and it runs like the others."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from sista import tables
from sista.errors import UserError
from sista.site.skeleton import new
from tests import toy_words
from tests.blobs import blobs, encoder_file
from tests.made_up_corpus import corpus

ROOT = Path(__file__).resolve().parents[1]
NEW = {"method": "toy_method", "head": "toy_head", "dataset": "toy_set"}
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
        "protocols/toy_protocol": toy_words.PROTOCOL,
    }.items():
        file = folder / "sista" / f"{place}.py"
        assert not file.exists()
        file.write_text(text)
    for kind, word in NEW.items():
        sista(folder, "new", kind, word)
    return folder


def sista(project, *words):
    """Run a verb with the code of the copy."""
    command = [sys.executable, "-m", "sista", *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(project)}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def grid(project, name, **changes):
    """Write a grid of one encoder; return its path, its predictions' and its encoders' paths."""
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
        f"for run in Grid.load('{name}.yaml').adapt_runs():\n"
        "    print(run.predictions, run.pretrain.checkpoint)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=True
    )
    runs = [line.split() for line in done.stdout.splitlines()]
    return file, *([project / path for path in paths] for paths in zip(*runs, strict=True))


def options(**values):
    return [word for name, value in values.items() for word in (f"--{name}", value)]


def adapt(project, out, encoder=None, **words):
    dataset = words.setdefault("dataset", DATA)
    place = project / "results/prepare" / dataset
    if not place.is_dir():
        blobs(place, 40, dataset=dataset)
    own = project / "resnet_tiny.safetensors"
    if not own.is_file():
        encoder_file(own, "resnet_tiny", corpus="mimic_cxr@phantom_tiny")
    given = {"protocol": "quick_v1", "draws": 0, "fractions": 100, "out": out, **words}
    given |= {"manifest": place / "manifest.parquet", "split": place / "manifest.split.parquet"}
    sista(project, "adapt", *options(encoder=encoder or own, **given))


def scored(project, file):
    """Return the rows of a grid's scores on the test images."""
    out = project / "results/score" / f"{file.stem}.parquet"
    sista(project, "score", "--grid", file, "--out", out, "--bootstrap", 50)
    frame, _ = tables.read(out, "scores")
    return frame[frame["subset"] == "test"]


def test_skeletons_run_as_they_are(project):
    files = [f"tests/{kind}s/test_{word}.py" for kind, word in NEW.items()]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
    environment = {**os.environ, "PYTHONPATH": str(project)}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "4 passed" in done.stdout


@pytest.mark.parametrize("word", ["Mine", "my-method", "class", "_mine", "clip", "../clip", ""])
def test_a_word_that_is_taken_or_none_is_refused(word):
    with pytest.raises(UserError, match=r"no word|there already"):
        new("method", word)


def test_a_task_is_three_files_and_its_row_stands_everywhere(project):
    entry = {"protocol": "quick_v1", "dataset": DATA, "head": "line"}
    file, (predictions,), _ = grid(project, "bright", adapt=[entry])
    adapt(project, predictions, head="line")
    made = json.loads((predictions.parent / "run.json").read_text())["run"]
    assert made["task"] == "brightness"
    assert set(scored(project, file)["metric"]) == {"mae"}
    scores = project / "results/score/bright.parquet"
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
    assert resolved["iterations"] == 200


def test_a_protocol_is_one_file(project, tmp_path):
    adapt(project, tmp_path / "p.parquet", head="linear", protocol="toy_protocol")
    resolved = json.loads((tmp_path / "run.json").read_text())["run"]["resolved"]["100"]
    assert resolved["iterations"] == 5
    entry = {"protocol": "toy_protocol", "dataset": DATA, "task": "classification"}
    _, (predictions,), _ = grid(project, "toy", adapt=[entry])
    assert "toy_protocol" in str(predictions)


def test_a_method_is_one_file(project, tmp_path):
    corpus_word = "mimic_cxr@phantom_tiny"
    manifest, split = corpus(tmp_path, dataset=corpus_word)
    variants = {"toy_method": {}, "toy_twice": {"method": "toy_method", "weight": 2.0}}
    entry = {"protocol": "quick_v1", "dataset": DATA, "task": "classification"}
    words = {"variants": variants, "budget": "tiny", "adapt": [entry]}
    file, predictions, encoders = grid(project, "method", **words)
    losses = []
    for variant, settings, out, encoder in zip(
        variants, ("{}", '{"weight": 2.0}'), predictions, encoders, strict=True
    ):
        asked = {"method": "toy_method", "variant": variant, "settings": settings}
        asked |= {"encoder": "resnet_tiny", "corpus": corpus_word, "budget": "tiny"}
        files = {"manifest": manifest, "split": split, "out": encoder}
        sista(project, "pretrain", *options(**asked, **files))
        losses.append(pd.read_csv(encoder.with_name("log.csv"))["loss"][0])
        adapt(project, out, encoder, head="linear", budget="tiny")
    # What is logged is the loss times its weight.
    assert losses[1] == pytest.approx(2 * losses[0], rel=0.1)
    rows = scored(project, file).query("metric == 'auroc' and label == 'macro'")
    assert list(rows["variant"]) == ["toy_method", "toy_twice"]
    assert list(rows["method"]) == ["toy_method"] * 2
    assert rows["settings_hash"].nunique() == 2
    assert rows["value"].between(0, 1).all()


def test_a_data_set_is_one_file(project, tmp_path):
    random = np.random.default_rng(0)
    raw = tmp_path / "raw"
    raw.mkdir()
    for n in range(120):
        film = random.integers(0, 120, (40, 32)).astype(np.uint8)
        film[10:30, 8:24] += 100 * (n % 2)
        Image.fromarray(film).save(raw / f"patient{n:03d}_{n % 2}.png")
    manifest = project / "results/prepare/toy_set/manifest.parquet"
    sista(project, "prepare", "toy_set", "--source", raw, "--out", manifest, "--size", 32)
    assert "toy_set" in sista(project, "list", "datasets")
    entry = {"protocol": "quick_v1", "dataset": "toy_set", "task": "classification"}
    file, (predictions,), _ = grid(project, "data", adapt=[entry])
    adapt(project, predictions, head="linear", dataset="toy_set")
    rows = scored(project, file).query("dataset == 'toy_set' and metric == 'auroc'")
    assert {"Bright", "macro"} == set(rows["label"])
    # Films with a bright square are told from those without.
    assert (rows["value"] > 0.9).all()
