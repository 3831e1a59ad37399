"""Files of unknown origin: tensors come out, nothing runs, and what is wrong is said."""

import os
import pickle
import struct
import subprocess
import types
import zipfile
from collections import OrderedDict

import pytest
import torch
from safetensors.torch import save_file

from sista.errors import UserError
from sista.importers import _files
from sista.importers._files import read_tensors

STATE = {"conv1.weight": torch.arange(6.0).reshape(2, 3), "fc.bias": torch.ones(2)}


def assert_read(path):
    found = read_tensors(path)
    assert {key: value.tolist() for key, value in found.items()} == {
        key: value.tolist() for key, value in STATE.items()
    }


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model", "model_state_dict"])
def test_weights_are_found_wherever_training_code_puts_them(tmp_path, wrapper):
    path = tmp_path / "file.pth"
    content = STATE if wrapper is None else {wrapper: OrderedDict(STATE), "epoch": 3, "lr": 0.1}
    torch.save(content, path)
    assert_read(path)


def test_both_formats_of_torch_and_safetensors(tmp_path):
    path = tmp_path / "file"
    torch.save(STATE, path, _use_new_zipfile_serialization=False)
    assert_read(path)
    save_file(STATE, path)
    assert_read(path)


def test_the_prefix_of_data_parallel_is_taken_off(tmp_path):
    path = tmp_path / "file.pth"
    torch.save({"model": {f"module.{k}": v for k, v in STATE.items()}}, path)
    assert_read(path)
    torch.save({"a": torch.ones(1), "module.a": torch.ones(1)}, path)
    with pytest.raises(UserError, match="stand twice"):
        read_tensors(path)


class WritesFile:
    """Pickles to a call that writes a file when it is unpickled."""

    def __init__(self, target, how):
        self.target, self.how = str(target), how

    def __reduce__(self):
        if self.how == "os.system":
            return os.system, (f"touch {self.target}",)
        if self.how == "subprocess":
            return subprocess.call, (["touch", self.target],)
        if self.how == "eval":
            return eval, (f"__import__('os').mkdir({self.target!r})",)
        return os.mkdir, (self.target,)


HOSTILE = ["os.system", "subprocess", "eval", "os.mkdir"]


@pytest.mark.parametrize("how", HOSTILE)
@pytest.mark.parametrize("kind", ["zip", "legacy", "plain pickle"])
def test_a_hostile_pickle_writes_nothing(tmp_path, how, kind):
    target, path = tmp_path / "written", tmp_path / "weights.ckpt"
    content = {"state_dict": STATE, "hyper_parameters": WritesFile(target, how)}
    if kind == "plain pickle":
        path.write_bytes(pickle.dumps({"a": WritesFile(target, how)}))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=kind == "zip")
    # torch itself blocks `os`; a function of another module is a name like any other.
    if how in ("os.system", "os.mkdir") or kind == "plain pickle":
        with pytest.raises(UserError, match=r"weights\.ckpt: "):
            read_tensors(path)
    else:
        assert_read(path)
    assert not target.exists()
    # The pickle is a real one: plain unpickling writes.
    pickle.loads(pickle.dumps(WritesFile(target, how)))
    assert target.exists()


def test_a_refusal_names_the_code_and_the_way_out(tmp_path):
    path = tmp_path / "weights.ckpt"
    torch.save({"state_dict": STATE, "x": WritesFile(tmp_path / "w", "os.system")}, path)
    with pytest.raises(UserError, match=r"posix\.system.*save_file"):
        read_tensors(path)


def test_what_another_library_has_allowed_is_not_allowed_here(tmp_path):
    path = tmp_path / "file.ckpt"
    torch.save({"state_dict": STATE, "x": types.SimpleNamespace(a=1)}, path)
    torch.serialization.add_safe_globals([types.SimpleNamespace, getattr])
    assert_read(path)
    assert torch.serialization.get_safe_globals() == []


def test_a_whole_module_instead_of_its_weights_is_refused(tmp_path):
    path = tmp_path / "file.pth"
    torch.save(torch.nn.Linear(2, 2), path)
    with pytest.raises(UserError, match=r"torch\.nn\.modules\.linear\.Linear"):
        read_tensors(path)


def archive(path, entries, pack=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", pack) as made:
        for name, content in entries.items():
            made.writestr(name, content)
    return path


@pytest.mark.parametrize("name", ["../../evil", "/etc/evil", "a\\..\\..\\evil", "C:/evil"])
def test_names_that_point_outside_are_refused(tmp_path, name):
    path = archive(tmp_path / "file.pth", {"archive/data.pkl": b"", name: b"x"})
    with pytest.raises(UserError, match="points outside"):
        read_tensors(path)


def test_packed_entries_are_refused(tmp_path):
    bomb = {"archive/data.pkl": b"\x80\x02}.", "archive/data/0": b"\0" * 10_000_000}
    path = archive(tmp_path / "file.pth", bomb, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 100_000
    with pytest.raises(UserError, match="packed entries"):
        read_tensors(path)


def test_a_file_above_the_limit_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "file.pth"
    torch.save(STATE, path)
    monkeypatch.setattr(_files, "MAX_BYTES", 100)
    with pytest.raises(UserError, match="more than"):
        read_tensors(path)


def test_torchscript_is_code_and_refused(tmp_path):
    path = archive(
        tmp_path / "ViT.pt", {"ViT/data.pkl": b"", "ViT/code/model.py": b"", "ViT/v": b""}
    )
    with pytest.raises(UserError, match="TorchScript archive, which holds code"):
        read_tensors(path)


def test_a_zip_around_the_weights_is_named(tmp_path):
    path = archive(tmp_path / "medclip.zip", {"pytorch_model.bin": b"x"})
    with pytest.raises(UserError, match=r"a zip of pytorch_model\.bin; unpack it"):
        read_tensors(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"<!DOCTYPE html><html>sign in</html>", "a web page, not weights"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "git lfs pull"),
        (b"\x89PNG\r\n\x1a\n" + b"0" * 60, "neither safetensors nor"),
        (struct.pack("<Q", 10**9) + b'{"a"', "damaged safetensors"),
        (struct.pack("<Q", 4) + b"{xx}", "damaged safetensors"),
        (b"PK\x03\x04 and nothing else", "damaged archive"),
        (b"\x80\x02garbage that is no pickle", "refused, its pickle holds more"),
    ],
)
def test_files_that_are_no_weights(tmp_path, content, message):
    path = tmp_path / "file.bin"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_tensors(path)


def test_a_cut_off_download_is_named(tmp_path):
    path = tmp_path / "file.pth"
    torch.save({"a": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(UserError, match="damaged"):
        read_tensors(path)


@pytest.mark.parametrize("content", [{"epoch": 1}, [1, 2], {"model": {"a": 1}}, torch.zeros(2)])
def test_a_file_without_weights(tmp_path, content):
    path = tmp_path / "file.pth"
    torch.save(content, path)
    with pytest.raises(UserError, match="no dictionary of tensors"):
        read_tensors(path)


def test_a_missing_file_and_a_folder(tmp_path):
    for path in (tmp_path / "absent.pth", tmp_path):
        with pytest.raises(UserError, match="no such file"):
            read_tensors(path)


@pytest.mark.parametrize(
    "odd",
    [
        torch.zeros(1).expand(2**40),
        torch.zeros(1, dtype=torch.uint8).expand(2**33),
        torch.empty(2, 3, device="meta"),
    ],
    ids=["2^40 numbers", "2^33 bytes", "no values"],
)
def test_a_tensor_that_claims_more_than_the_file_holds_is_refused(tmp_path, odd):
    path = tmp_path / "file.pt"
    torch.save({"a": odd}, path)
    with pytest.raises(UserError, match=r"file\.pt"):
        read_tensors(path)
