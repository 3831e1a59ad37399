"""The memory that the workflow asks for: by the size of a corpus and its processes."""

from types import SimpleNamespace

from snakemake.resources import Resource

from workflow.planning import corpus_memory, gpus


def asked(path, processes=1, attempt=1):
    return corpus_memory(8000, lambda: processes)(
        wildcards=None, input=SimpleNamespace(manifest=path), attempt=attempt
    )


def test_memory_grows_with_corpus_processes_and_attempt(tmp_path):
    manifest = tmp_path / "manifest.parquet"
    assert asked(manifest) == 8000
    with manifest.open("wb") as stream:
        # As of MIMIC-CXR; with holes.
        stream.truncate(100 << 20)
    assert asked(manifest) == 8800
    assert asked(manifest, 4) == 4 * 8800
    assert asked(manifest, 4, 2) == 8 * 8800


def test_processes_are_those_that_torchrun_starts():
    for given, count in ((0, 1), (1, 1), (4, 4)):
        assert gpus(SimpleNamespace(resources={"gpu": Resource("gpu", given)})) == count
    assert gpus(SimpleNamespace(resources={})) == 1
