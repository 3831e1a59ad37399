import hashlib
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from sista.runs.portable import PINS, bits, exports
from tests.conftest import Project

# Of the image encoder after the budget `tiny`, with the torch of the lock, on an Intel Xeon with
# AVX-512; benchmarks/processor tells what was seen elsewhere.
EXPECTED = {"resnet_tiny": "2199a326b2a30e50", "vit_tiny": "0c655a4f8578171c"}
AVX2 = Path("/proc/cpuinfo").is_file() and " avx2" in Path("/proc/cpuinfo").read_text()
CORPUS = "mimic_cxr@phantom_tiny"


def test_a_process_says_what_it_computes_with(monkeypatch):
    for name in PINS:
        monkeypatch.delenv(name, raising=False)
    assert bits() == "native"
    for name, value in PINS.items():
        assert bits() == "native"
        monkeypatch.setenv(name, value)
    assert bits() == "portable"
    assert exports("native") == ""
    assert [word.split("=")[0] for word in exports("portable").split()] == list(PINS)


@pytest.fixture(scope="module")
def corpus(project: Project) -> Project:
    run = ("python", "-m", "sista")
    project.run(*run, "fetch", CORPUS, "--out", "inventory.parquet")
    project.run(*run, "prepare", CORPUS, "--source", "raw", "--out", "m.parquet")
    return project


@pytest.mark.skipif(not AVX2, reason="portable bits need AVX2")
@pytest.mark.parametrize("encoder", EXPECTED)
def test_pinned_bits_are_those_of_other_processors(corpus, encoder):
    words = {"method": "clip", "encoder": encoder, "corpus": CORPUS, "budget": "tiny"}
    words |= {"manifest": "m.parquet", "split": "m.split.parquet", "device": "cpu"}
    out = f"{encoder}/encoder.safetensors"
    options = [part for k, v in words.items() for part in (f"--{k}", v)]
    corpus.run("python", "-m", "sista", "pretrain", *options, "--out", out, **PINS)
    weights, found = load_file(corpus.folder / out), hashlib.sha256()
    for name in sorted(weights):
        found.update(name.encode() + weights[name].tobytes())
    assert found.hexdigest()[:16] == EXPECTED[encoder]
