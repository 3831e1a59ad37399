"""Nothing foreign is executed: no code unpickles or starts a shell, planted files do nothing.

`tests/test_quoting.py` runs the real rules in folders of odd names.
"""

import ast
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

from sista import tables
from sista.encoders import checkpoint
from sista.engine.state import StateFile
from sista.errors import UserError
from sista.files import read_json
from sista.grid.grid import Grid
from sista.importers._files import read_tensors
from sista.runs.arrays import read_array, read_arrays
from sista.runs.record import read_record
from tests.openmmlab.test_training import BY_EPOCHS, STATE, train
from tests.test_architecture import ROOT, listed

# Calls, by their last names, that unpickle, run text or start a shell.
FORBIDDEN = {
    *("add_safe_globals", "safe_globals", "allow_resume", "broadcast_object_list"),
    *("all_gather_object", "scatter_object_list", "system", "popen", "eval", "exec"),
    *("unsafe_load", "full_load", "read_pickle", "to_pickle"),
}
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "imp"}
FILES = [path for path in listed("*.py") if not path.is_relative_to(ROOT / "tests")]


def calls(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield node, ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords}


def wrong_calls(path):
    for node, name, keywords in calls(path):
        last = name.rpartition(".")[2]
        where = f"{path.name}:{node.lineno}: {name}"
        # `module.eval()` sets a mode of torch and takes no text.
        harmless = name == "platform.system" or (last == "eval" and not node.args)
        # Names of one empty class, which the tests of importers plant files for.
        harmless |= "safe_globals([(Left, name) for name in" in ast.unparse(node)
        if last in FORBIDDEN and not harmless:
            yield where
        if name in ("np.load", "numpy.load") and keywords.get("allow_pickle") != "False":
            yield f"{where} without allow_pickle=False"
        if name == "torch.load" and keywords.get("weights_only") != "True":
            yield f"{where} without weights_only=True"
        if name == "torch.save":
            yield f"{where}: what it writes is a pickle"
        if last == "from_pretrained" and keywords.get("trust_remote_code") != "False":
            yield f"{where} without trust_remote_code=False"
        if name == "AutoModel.from_pretrained" and keywords.get("weights_only") != "True":
            yield f"{where} without weights_only=True"
        if keywords.get("shell") == "True":
            yield f"{where} with a shell"
        if name == "yaml.load" and keywords.get("Loader") != "_PlainLoader":
            yield where


def wrong_imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        found = {name.partition(".")[0] for name in names} & MODULES
        # Its errors are caught there; nothing else of it is used.
        if found and path.name != "_files.py":
            yield f"{path.name}:{node.lineno}: import {found}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_code_unpickles_or_starts_a_shell(path):
    assert [*wrong_calls(path), *wrong_imports(path)] == []


def test_the_search_finds_what_it_looks_for(tmp_path):
    lines = [
        "import pickle",
        "torch.load(f)",
        "torch.load(f, weights_only=False)",
        "np.load(f)",
        "torch.serialization.add_safe_globals([getattr])",
        "os.system('x')",
        "subprocess.run('x', shell=True)",
        "eval('x')",
        "AutoModel.from_pretrained(n, trust_remote_code=False)",
        "torch.save(a, f)",
        "yaml.load(t, Loader=yaml.Loader)",
    ]
    for line in lines:
        path = tmp_path / "code.py"
        path.write_text(line)
        assert [*wrong_calls(path), *wrong_imports(path)], line


def test_pickle_of_the_importers_only_names_errors():
    text = (ROOT / "sista" / "importers" / "_files.py").read_text()
    used = {n.attr for n in ast.walk(ast.parse(text)) if ast.unparse(n).startswith("pickle.")
            and isinstance(n, ast.Attribute)}  # fmt: skip
    assert used == {"UnpicklingError"}


def test_rules_quote_every_value():
    import re

    for path in (ROOT / "workflow" / "rules").glob("*.smk"):
        for command in re.findall(r"\n    shell:\n((?:        .*\n)+)", path.read_text()):
            values = re.findall(r"\{([^{}]+)\}", command)
            assert values
            assert [value for value in values if not value.endswith(":q")] == [], path


# Planted files.


class Runs:
    """Pickles to a call that makes a folder when it is unpickled."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


class Step:
    """Pickles to a call, and to a state that is given to what it returned."""

    def __init__(self, *reduced):
        self.reduced = reduced

    def __reduce__(self):
        return self.reduced


def chained(target):
    """Return what makes a folder by two harmless names: `getattr` and a class of mmengine.

    Both are in every checkpoint of mmengine's runner, and were allowed for its sake. What has a
    state of somebody else's choice has a `__setstate__` of their choice too.
    """
    module = Step(getattr, (torch._utils._rebuild_tensor_v2, "__globals__"))
    reached = Step(HistoryBuffer, (), module)
    for name in ("torch", "os", "mkdir"):
        reached = Step(getattr, (reached, name))
    armed = Step(HistoryBuffer, (), {"__setstate__": reached})
    holder = Step(HistoryBuffer, (), {"armed": armed})
    return Step(getattr, (holder, "armed"), str(target))


def planted(path, target, how):
    """Write a file that makes a folder when it is unpickled."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if how == "torch":
        torch.save({"state_dict": {"a": torch.zeros(2)}, "x": Runs(target)}, path)
    elif how == "mmengine":
        torch.save({"state_dict": {"a": torch.zeros(2)}, "x": chained(target)}, path)
    elif how == "legacy torch":
        torch.save({"x": Runs(target)}, path, _use_new_zipfile_serialization=False)
    elif how == "numpy":
        with path.open("wb") as stream:
            np.save(stream, np.array([Runs(target)], dtype=object), allow_pickle=True)
    elif how == "npz":
        with path.open("wb") as stream:
            np.savez(stream, scores=np.array([Runs(target)], dtype=object))
    elif how == "pickled npz":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("rows.npy", pickle.dumps(Runs(target)))
    else:
        path.write_bytes(pickle.dumps(Runs(target)))
    return path


HOW = ("torch", "mmengine", "legacy torch", "numpy", "npz", "pickled npz", "pickle")
READERS = {
    "weights": read_tensors,
    "checkpoint": checkpoint.load_image_encoder,
    "metadata": checkpoint.read_metadata,
    "array": read_array,
    "mapped array": lambda path: read_array(path, "r"),
    "arrays": read_arrays,
    "packed arrays": lambda path: read_arrays(path, 1 << 20),
    "record": read_record,
    "json": read_json,
    "scores": lambda path: tables.read(path, "scores"),
    "metadata of a table": lambda path: tables.read_meta(path, "scores"),
    "grid": Grid.load,
}


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("reader", READERS)
def test_a_planted_file_runs_nothing(tmp_path, how, reader):
    target = tmp_path / "made"
    path = planted(tmp_path / "file.npz", target, how)
    if (reader, how) == ("weights", "mmengine"):
        # What is no tensor is stood in for, and the tensors beside it are taken.
        READERS[reader](path)
    else:
        with pytest.raises((UserError, ValueError)):
            READERS[reader](path)
    assert not target.exists()


@pytest.mark.parametrize("how", HOW)
def test_a_planted_state_of_a_head_runs_nothing_and_is_ignored(tmp_path, how, capsys):
    """Under the names of today and of the versions before, which read `last_checkpoint`."""
    whole = train(BY_EPOCHS, tmp_path / "whole")
    target, folder = tmp_path / "made", tmp_path / "part"
    planted(folder / STATE, target, how)
    old = planted(folder / "epoch_3.pth", target, how)
    (folder / "last_checkpoint").write_text(str(old))
    made = train(BY_EPOCHS, folder)
    assert not target.exists()
    assert all(torch.equal(whole[name], made[name]) for name in whole)
    assert "no state of this run, ignored" in capsys.readouterr().err


def test_no_class_is_allowed_by_training_a_head(tmp_path):
    """What is allowed once is allowed for every file that the process reads later."""
    # Parts of torch allow classes of their own when they are imported; readers clear the list.
    before = torch.serialization.get_safe_globals()
    train(BY_EPOCHS, tmp_path)
    assert torch.serialization.get_safe_globals() == before


@pytest.mark.parametrize("how", HOW)
def test_a_planted_state_of_pre_training_runs_nothing_and_is_ignored(tmp_path, how, capsys):
    target = tmp_path / "made"
    for name in ("resume.safetensors", "resume.pt"):
        planted(tmp_path / name, target, how)
    state = StateFile(tmp_path / "resume.safetensors", "me", {"model": torch.nn.Linear(2, 2)})
    assert state.load(torch.device("cpu")).epoch == 0
    assert "no state of this run, ignored" in capsys.readouterr().err
    assert not target.exists()


# Words.

GRID = """
budget: tiny
corpus: mimic_cxr@phantom_tiny
encoders: [resnet_tiny]
variants: {"%s": {method: clip}}
adapt:
  - {protocol: quick_v1, dataset: chexpert@phantom_tiny, task: classification}
"""
ODD = [
    *("$(touch X)", "a&touch X&b", "a;b", "a b", "a'b", "-x", ".hidden", "..", "a/b", "`x`", "a|b"),
    *("<b>", "=1+1", "@sum", "+x", "é", "a\\tb", "x" * 101, "", "{a}", "a\\u202eb", "%x", "~", "*"),
]


@pytest.mark.parametrize("word", ODD)
def test_a_variant_must_be_a_word(tmp_path, word):
    file = tmp_path / "grid.yaml"
    file.write_text(GRID % word)
    with pytest.raises(UserError, match="is no word"):
        Grid.load(file)


@pytest.mark.parametrize("word", ["$(touch X)", "a&touch X&b", "a b", "-x", "=1", "<b>", "ä"])
def test_the_name_of_a_grid_must_be_a_word(tmp_path, word):
    file = tmp_path / f"{word}.yaml"
    file.write_text(GRID % "clip")
    with pytest.raises(UserError, match="is no word"):
        Grid.load(file)


@pytest.mark.parametrize("word", ["sista_no_sta", "a.b", "x+y", "a-b", "a@b", "7", "_a", "x" * 100])
def test_usual_words_pass(tmp_path, word):
    file = tmp_path / "my.grid-2+x.yaml"
    file.write_text(GRID % word)
    assert list(Grid.load(file).variants) == [word]
