"""States: the same bits and strides again; what is foreign, damaged or made up is ignored."""

import json
import random

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from sista.runs.random_state import check_random_state, random_state, set_random_state
from sista.runs.saved_state import KEY, read_state, write_state

CPU = torch.device("cpu")


def parts(seed):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(
        memory_format=torch.channels_last
    )
    optimiser = torch.optim.AdamW(model.parameters(), 0.01, fused=True)
    return {"model": model, "optimiser": optimiser}


def step(given):
    images = torch.ones(2, 3, 8, 8).to(memory_format=torch.channels_last)
    given["model"](images).square().sum().backward()
    given["optimiser"].step()
    given["optimiser"].zero_grad()


@pytest.fixture
def saved(tmp_path):
    made = parts(1)
    step(made)
    facts = {"n": 3, "best": float("inf"), "by": {1: ["a", None, (1, 2.5)], "b": torch.arange(3)}}
    write_state(tmp_path / "state.safetensors", "me", facts, made)
    return tmp_path / "state.safetensors", made, facts


def test_all_comes_back_with_its_bits_and_strides(saved):
    path, made, facts = saved
    fresh = parts(2)
    back = read_state(path, "me", fresh, CPU, dict)
    assert back["by"].pop("b").equal(facts["by"].pop("b"))
    assert back == facts
    step(made)
    step(fresh)
    for one, other in zip(made["model"].parameters(), fresh["model"].parameters(), strict=True):
        assert torch.equal(one, other)
    moments = [each["optimiser"].state_dict()["state"][0]["exp_avg"] for each in (made, fresh)]
    assert moments[0].stride() == moments[1].stride() != moments[0].contiguous().stride()


def forged(path, change):
    """Write the state with something else in its description."""
    tensors = load_file(path)
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        told = json.loads(file.metadata()[KEY])
    change(told, tensors)
    save_file(tensors, path, metadata={KEY: json.dumps(told)})


def other_strides(told, tensors):
    told["content"]["items"][0][1]["items"][2][1]["items"][1][1]["stride"] = [10**9]


def short_moments(told, tensors):
    moments = dict(dict(told["content"]["items"])["states"]["items"])["optimiser"]["items"]
    first = dict(moments)["state"]["items"][0][1]["items"]
    tensors[dict(first)["exp_avg"]["tensor"]] = torch.zeros(1)
    dict(first)["exp_avg"]["stride"] = [1]


def deep(told, tensors):
    told["content"] = {"list": [{"list": [{"unknown": 1}]}]}


FORGED = {
    "another's": lambda told, _: told.update(identity="you"),
    "no content": lambda told, _: told.pop("content"),
    "strides": other_strides,
    "moments": short_moments,
    "unknown kind": deep,
    "a missing tensor": lambda _, tensors: tensors.pop("0"),
    "more parts": lambda told, _: told["content"]["items"][1][1]["items"].append(["x", None]),
}


@pytest.mark.parametrize("how", FORGED)
def test_what_is_not_this_runs_is_explained_and_ignored(saved, how, capsys):
    path, _, _ = saved
    forged(path, FORGED[how])
    fresh = parts(2)
    before = {k: v.clone() for k, v in fresh["model"].state_dict().items()}
    assert read_state(path, "me", fresh, CPU, dict) is None
    assert "no state of this run, ignored" in capsys.readouterr().err
    assert all(torch.equal(before[k], v) for k, v in fresh["model"].state_dict().items())


@pytest.mark.parametrize("content", [b"", b"\x80\x04N.", b"PK\x03\x04", b"\xff" * 100])
def test_other_formats_are_explained_and_ignored(tmp_path, content, capsys):
    path = tmp_path / "state.safetensors"
    path.write_bytes(content)
    assert read_state(path, "me", parts(2), CPU, dict) is None
    assert f"{path}: no state of this run" in capsys.readouterr().err


def test_a_folder_or_a_pipe_is_no_state(tmp_path, capsys):
    import os

    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("folder", "pipe"):
        assert read_state(tmp_path / name, "me", parts(2), CPU, dict) is None
    assert capsys.readouterr().err.count("no regular file") == 2
    assert read_state(tmp_path / "missing", "me", parts(2), CPU, dict) is None
    assert capsys.readouterr().err == ""


def test_facts_that_are_none_leave_the_parts_alone(saved, capsys):
    def wrong(facts):
        raise ValueError(facts)

    assert read_state(saved[0], "me", parts(2), CPU, wrong) is None


def test_what_cannot_be_read_back_is_not_written(tmp_path):
    with pytest.raises(TypeError, match="not object"):
        write_state(tmp_path / "a.safetensors", "me", {"a": object()}, {})
    assert not list(tmp_path.iterdir())


def draw():
    return torch.rand(3), np.random.rand(3), np.random.standard_normal(), random.gauss(0, 1)


def test_every_generator_goes_on_from_its_state(tmp_path):
    draw()
    kept = random_state()
    write_state(tmp_path / "a.safetensors", "me", {"random": kept}, {})
    first = draw()
    facts = read_state(tmp_path / "a.safetensors", "me", {}, CPU, dict)
    check_random_state(facts["random"])
    set_random_state(facts["random"])
    again = draw()
    assert torch.equal(first[0], again[0])
    assert list(first[1]) == list(again[1])
    assert first[2:] == again[2:]


@pytest.mark.parametrize(
    "change",
    [
        {"numpy_place": [10**6, 0, 0.0]},
        {"numpy_place": [0, 0]},
        {"torch": torch.zeros(3, dtype=torch.uint8)},
        {"numpy": torch.full((624,), -1)},
        {"python": torch.zeros(1, dtype=torch.int64)},
        {"cuda": [torch.zeros(2)]},
    ],
)
def test_a_made_up_random_state_is_refused(change):
    from sista.errors import UserError

    with pytest.raises(UserError, match="random state"):
        check_random_state(random_state() | change)
