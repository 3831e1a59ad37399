"""Objects of training code beside the weights: the weights are read, nothing is made or run."""

import argparse
import builtins
import enum
import pathlib
import pickle
import shutil
import sys
import types
from collections import OrderedDict, defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from sista.errors import UserError
from sista.importers import _inert
from sista.importers._files import read_tensors
from sista.importers._import import main
from tests.importers.made_up import RELEASES

HERE = Path(__file__).parent
STATE = {"conv1.weight": torch.arange(6.0).reshape(2, 3), "fc.bias": torch.ones(2)}


@pytest.fixture
def foreign(monkeypatch):
    """Classes as those of Lightning and OmegaConf, of a module that can be taken away."""
    module = types.ModuleType("foreign_training")

    class Kind(enum.Enum):
        TRAIN = "train"

    class AttributeDict(dict):
        pass

    class DictConfig:
        def __init__(self, content):
            self.content = {name: AnyNode(value, self) for name, value in content.items()}

        def __getstate__(self):
            return self.__dict__ | {"metadata": [Kind.TRAIN, dict, None]}

    class AnyNode:
        __slots__ = ("parent", "value")

        def __init__(self, value, parent):
            self.value, self.parent = value, parent

    class ModelCheckpoint:
        pass

    for each in (Kind, AttributeDict, DictConfig, AnyNode, ModelCheckpoint):
        each.__module__, each.__qualname__ = module.__name__, each.__name__
        setattr(module, each.__name__, each)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def checkpoint(foreign):
    """What Lightning keeps beside the weights."""
    settings = foreign.AttributeDict(lr=np.float64(0.1), config=foreign.DictConfig({"a": {"b": 1}}))
    settings["path"] = pathlib.PurePosixPath("/a/b")
    return {
        "epoch": 3,
        "state_dict": OrderedDict(STATE),
        "callbacks": {
            foreign.ModelCheckpoint: {"best": np.float32(1), "kinds": {foreign.Kind.TRAIN}}
        },
        "optimizer_states": [{"state": defaultdict(dict, {0: {"step": 1}})}],
        "hyper_parameters": settings,
        "args": argparse.Namespace(gpus=1, table=np.ones(3), kind=np.dtype("<f4")),
        "hparams_name": "kwargs",
    }


def assert_read(path):
    found = read_tensors(path)
    assert {k: v.tolist() for k, v in found.items()} == {k: v.tolist() for k, v in STATE.items()}
    assert torch.serialization.get_safe_globals() == []


@pytest.mark.parametrize("zipped", [True, False])
def test_weights_beside_objects_of_training_code(tmp_path, foreign, monkeypatch, zipped):
    path = tmp_path / "file.ckpt"
    torch.save(checkpoint(foreign), path, _use_new_zipfile_serialization=zipped)
    monkeypatch.delitem(sys.modules, foreign.__name__)
    assert_read(path)
    assert foreign.__name__ not in sys.modules


def test_weights_in_a_dictionary_of_a_foreign_class(tmp_path, foreign):
    path = tmp_path / "file.ckpt"
    torch.save({"state_dict": foreign.AttributeDict(STATE)}, path)
    assert_read(path)


@pytest.mark.parametrize("name", ["mgca resnet", "mgca vit", "gloria"])
def test_a_released_file_with_its_settings_is_imported(tmp_path, foreign, monkeypatch, name):
    release = RELEASES[name]()
    monkeypatch.setattr("sista.registry.find", lambda *_: release.card)
    path, out = tmp_path / "file.ckpt", tmp_path / "out.safetensors"
    torch.save(checkpoint(foreign) | {"state_dict": release.tensors}, path)
    main(name.partition(" ")[0], path, out=out)
    assert load_file(out)


class Calls:
    """Pickles to a call."""

    def __init__(self, function, *arguments):
        self.called = function, arguments

    def __reduce__(self):
        return self.called


PLANTED = {
    "eval": lambda path: Calls(eval, f"__import__('os').mkdir({path!r})"),
    "exec": lambda path: Calls(exec, f"__import__('os').mkdir({path!r})"),
    "copytree": lambda path: Calls(shutil.copytree, str(HERE), path),
    "getattr": lambda path: Calls(getattr, Calls(__import__, "pathlib"), "Path"),
    "a call of what getattr gives": lambda path: Calls(
        builtins.map, Calls(getattr, Calls(__import__, "os"), "mkdir"), [path]
    ),
    "touch": lambda path: Calls(pathlib.Path.touch, Calls(pathlib.Path, path)),
    "numpy": lambda path: Calls(np.save, path, [1]),
    "torch": lambda path: Calls(torch.save, [1], path),
    "a state": lambda path: argparse.Namespace(run=Calls(shutil.copytree, str(HERE), path)),
}


@pytest.mark.parametrize("name", PLANTED)
@pytest.mark.parametrize("zipped", [True, False])
def test_planted_calls_run_nothing(tmp_path, name, zipped):
    canary, path = tmp_path / "canary", tmp_path / "file.ckpt"
    content = {"hyper_parameters": PLANTED[name](str(canary)), "state_dict": STATE}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    if name == "touch":
        # A method is what `getattr` gives; no weights call that.
        with pytest.raises(UserError, match=r"asks for code|more than tensors"):
            read_tensors(path)
    else:
        assert_read(path)
    assert not canary.exists()


@pytest.mark.parametrize("name", ["eval", "copytree", "touch", "numpy"])
def test_the_planted_files_would_run(tmp_path, name):
    path = tmp_path / "file.ckpt"
    torch.save(PLANTED[name](str(tmp_path / "canary")), path)
    torch.load(path, weights_only=False)
    assert list(tmp_path.glob("canary*"))


def test_what_is_called_twice_is_refused(tmp_path):
    """The result of a stand-in is called: no weights need that."""
    path = tmp_path / "file.ckpt"
    # getattr("", "x")(): GLOBAL, its arguments, REDUCE, no arguments, REDUCE.
    data = b"\x80\x02cbuiltins\ngetattr\nX\x00\x00\x00\x00X\x01\x00\x00\x00x\x86R)R."
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"file\.ckpt: "):
        read_tensors(path)


def test_a_file_of_thousands_of_names_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(_inert, "MOST_NAMES", 3)
    path = tmp_path / "file.ckpt"
    torch.save([np.float64(1), argparse.Namespace(), pathlib.PurePosixPath("a")], path)
    with pytest.raises(UserError, match="names more than 3 classes"):
        read_tensors(path)


def test_a_stand_in_is_empty_and_no_key_of_another():
    one, other = _inert.Left(1, 2), _inert.Left()
    assert one != other
    assert len({one: 1, other: 2}) == 2
    assert not one
    assert pickle.loads(pickle.dumps(dict(one))) == {}
