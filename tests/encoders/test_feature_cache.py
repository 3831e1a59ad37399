"""Shared features: encoded once by concurrent jobs, equal to unshared ones, robust to kills."""

import hashlib
import multiprocessing
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from sista.encoders.feature_cache import FeatureCache, discard, map_name
from sista.encoders.features import FeatureStore
from sista.encoders.image import ImageEncoder
from sista.encoders.specs import encoder_spec

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return ImageEncoder(encoder_spec("resnet_tiny")).eval()


def store(encoder, cache, levels=(1, 3), **budgets):
    pixels = np.random.default_rng(0).integers(0, 255, (5, 64, 64), dtype=np.uint8)
    options = {"size": 64, "folder": Path("unused"), "batch": 2, "cache": cache}
    return FeatureStore(encoder, pixels, [4, 0, 2], levels=levels, **options, **budgets)


def equal(left, right):
    assert torch.equal(left.pooled, right.pooled)
    assert all(torch.equal(a, b) for a, b in zip(left.maps, right.maps, strict=True))


def test_a_second_head_reads_what_the_first_encoded(encoder, tmp_path, monkeypatch):
    cache = FeatureCache(tmp_path, {"encoder": "a"}, also=(0, 1, 2, 3))
    alone = store(encoder, None)
    equal(store(encoder, cache), alone)

    def again(*_):
        raise AssertionError("encoded again")

    monkeypatch.setattr(FeatureStore, "_encode_all", again)
    equal(store(encoder, cache), alone)
    assert len(store(encoder, cache, levels=(0, 1, 2, 3)).maps) == 4
    assert store(encoder, cache, levels=()).maps is None
    equal(store(encoder, cache, memory_bytes=0), alone)


def test_other_levels_are_kept_only_where_there_is_room(encoder, tmp_path):
    cache = FeatureCache(tmp_path, {"encoder": "a"}, also=(0, 1, 2, 3))
    store(encoder, cache, memory_bytes=0)
    assert {p.name for p in cache.folder.glob("map*")} == {map_name(1), map_name(3)}


def test_the_key_names_the_features(tmp_path):
    folders = {FeatureCache(tmp_path, key).folder for key in ({"a": 1}, {"a": 2}, {"a": 1})}
    assert len(folders) == 2


def test_a_full_disk_costs_the_sharing_not_the_job(encoder, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    alone = store(encoder, None)
    monkeypatch.setattr("sista.encoders.features.new_array", full)
    cache = FeatureCache(tmp_path, {"encoder": "a"})
    equal(store(encoder, cache), alone)
    assert [p.name for p in cache.folder.iterdir()] == ["lock"]


def test_discard_spares_features_in_use(encoder, tmp_path):
    checkpoint = tmp_path / "encoder.safetensors"
    used = FeatureCache(tmp_path / ".features", {"a": 1})
    idle = FeatureCache(tmp_path / ".features", {"a": 2})
    store(encoder, idle)
    with used.locked():
        discard(checkpoint)
        assert used.folder.is_dir()
    assert not idle.folder.exists()
    discard(checkpoint)
    assert not (tmp_path / ".features").exists()


def bits(made):
    return [
        hashlib.sha256(each.numpy().tobytes()).hexdigest() for each in (made.pooled, *made.maps)
    ]


def encode_at_once(encoder, folder, both_ready, told):
    """Play one of two jobs: encode or read, slowly enough that the other comes meanwhile."""
    torch.set_num_threads(1)
    plain, encoded = FeatureStore._encode_all, []

    def slowly(*arguments):
        encoded.append(arguments)
        time.sleep(0.5)
        return plain(*arguments)

    FeatureStore._encode_all = slowly
    both_ready.wait()
    made = store(encoder, FeatureCache(folder, {"encoder": "a"}))
    told.put((len(encoded), bits(made)))


def test_two_jobs_at_once_encode_once_and_have_equal_features(encoder, tmp_path):
    wanted = bits(store(encoder, None))
    system = multiprocessing.get_context("fork")
    both_ready, told = system.Barrier(2), system.SimpleQueue()
    given = (encoder, tmp_path, both_ready, told)
    jobs = [system.Process(target=encode_at_once, args=given) for _ in range(2)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(60)
        job.kill()
    assert [job.exitcode for job in jobs] == [0, 0]
    assert sorted([told.get(), told.get()]) == [(0, wanted), (1, wanted)]


HOLDER = """
import sys, time
from pathlib import Path
from sista.encoders.feature_cache import FeatureCache
cache = FeatureCache(Path(sys.argv[1]), {"a": 1})
with cache.locked():
    done = cache.has(())
    with cache.filling() as folder:
        (folder / "pooled.npy").write_text("half")
        print("encoded" if not done else "read", flush=True)
        time.sleep(float(sys.argv[2]))
"""


def holder(folder, seconds):
    command = [sys.executable, "-c", HOLDER, str(folder), str(seconds)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_of_concurrent_jobs_one_encodes(tmp_path):
    first = holder(tmp_path, 1.0)
    assert first.stdout.readline() == "encoded\n"
    second = holder(tmp_path, 0.0)
    assert second.stdout.readline() == "read\n"
    for process in (first, second):
        process.stdout.close()
        assert process.wait() == 0


def test_a_killed_job_blocks_nobody_and_leaves_nothing_half_done(tmp_path):
    first = holder(tmp_path, 60.0)
    assert first.stdout.readline() == "encoded\n"
    first.kill()
    first.stdout.close()
    first.wait()
    cache = FeatureCache(tmp_path, {"a": 1})
    with cache.locked():
        assert not cache.has(())
        assert [p.name for p in cache.folder.iterdir()] == ["lock"]
