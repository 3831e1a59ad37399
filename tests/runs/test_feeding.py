import threading
import time
from contextlib import closing, nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from sista.engine.films import Films
from sista.engine.views import augment
from sista.runs.feeding import fed, moved

CPU = torch.device("cpu")


def drawn(number):
    images = Films(np.random.default_rng(0).integers(0, 255, (8, 20, 20), np.uint8))
    return augment(images, np.arange(8), side=16, seed=1, epoch=number, flip=True)


@pytest.mark.parametrize("ahead", [0, 1, 3, 20])
def test_batches_come_in_order_and_with_the_same_bits(ahead):
    expected = [drawn(number) for number in range(2, 9)]
    found = list(fed(drawn, range(2, 9), CPU, ahead))
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_no_more_are_made_than_asked_for():
    made = []
    with closing(fed(made.append, range(100), CPU, 2)) as batches:
        for _ in range(3):
            next(batches)
        time.sleep(0.1)
        assert len(made) <= 3 + 2
    count = len(made)
    time.sleep(0.1)
    assert len(made) == count
    assert not any(thread.name.startswith("feeding") for thread in threading.enumerate())


def test_an_error_comes_where_its_batch_would():
    def make(number):
        if number == 2:
            raise ValueError("damaged")
        return number

    batches = fed(make, range(5), CPU, 2)
    assert [next(batches), next(batches)] == [0, 1]
    with pytest.raises(ValueError, match="damaged"):
        next(batches)


def test_what_is_moved_keeps_its_values():
    values = np.arange(12).reshape(3, 4)[:, ::2]
    assert torch.equal(moved(values, CPU), torch.from_numpy(values.copy()))


def test_the_thread_takes_the_gpu_of_its_stream(monkeypatch):
    """`cuda` alone names no GPU, and `set_device` wants one."""
    taken = []
    stream = SimpleNamespace(device=torch.device("cuda", 1), record_event=lambda: None)
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: taken.append(device.index))
    assert list(fed(lambda number: number, range(3), torch.device("cuda"), 1)) == [0, 1, 2]
    assert taken == [1]
