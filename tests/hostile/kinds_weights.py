"""Files of weights of others that are none: pickles that run code, archives that bite."""

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tests.hostile.kinds_files import Damage

COMMAND = "touch CANARY ../CANARY"


class _Runs:
    """Pickles as a call of some function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


def _opcodes(module: str, name: str, argument: str) -> bytes:
    return f"c{module}\n{name}\n(S'{argument}'\ntR.".encode()


def _getattr(path: Path) -> None:
    """Reach the system by `getattr`, which lists of allowed names tend to hold."""
    code = b"cbuiltins\ngetattr\n(cos\n\nS'system'\ntR(S'" + COMMAND.encode() + b"'\ntR."
    _zip(path, {"archive/data.pkl": code, "archive/version": b"3\n"})


def _zip(path: Path, entries: dict[str, bytes], packed: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", packed) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)


def _archive(entries: dict[str, bytes], packed: int = zipfile.ZIP_STORED) -> Damage:
    return lambda path: _zip(path, entries, packed)


def _pickled(code: bytes) -> Damage:
    return _archive({"archive/data.pkl": code, "archive/version": b"3\n"})


def _torch(content: Any, new: bool = True) -> Damage:
    return lambda path: torch.save(content, path, _use_new_zipfile_serialization=new)


def _script(path: Path) -> None:
    data = io.BytesIO()
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), data)
    path.write_bytes(data.getvalue())


def _huge(path: Path) -> None:
    """A tensor that says it has 2^40 numbers."""
    torch.save({"state_dict": {"conv1.weight": torch.zeros(4)}}, path)
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    name = next(n for n in entries if n.endswith("data.pkl"))
    # BININT1 4 is the length of the storage; BININT takes its place.
    entries[name] = entries[name].replace(b"K\x04t", b"J\xff\xff\xff\x7ft")
    _zip(path, entries)


WEIGHTS: dict[str, Damage] = {
    "os.system": _pickled(_opcodes("os", "system", COMMAND)),
    "posix.system": _pickled(_opcodes("posix", "system", COMMAND)),
    "eval": _pickled(_opcodes("builtins", "eval", "__import__('os').system('touch CANARY')")),
    "exec of Python 2": _pickled(_opcodes("__builtin__", "eval", "open('CANARY','w')")),
    "getattr": _getattr,
    "a bare pickle": lambda path: (
        (path.write_bytes(pickle.dumps(_Runs(eval, "open('CANARY', 'w')"))) and None) or None
    ),
    "a bare pickle, protocol 2": lambda path: (
        (path.write_bytes(b"\x80\x02" + _opcodes("posix", "system", COMMAND)) and None) or None
    ),
    "a whole module": _torch(torch.nn.Linear(2, 2)),
    "a whole module, old": _torch(torch.nn.Linear(2, 2), new=False),
    "TorchScript": _script,
    "no dictionary": _torch([torch.zeros(2)]),
    "a dictionary of texts": _torch({"a": "x"}),
    "an empty dictionary": _torch({}),
    "keys of numbers": _torch({1: torch.zeros(2)}),
    "keys twice": _torch({"a": torch.zeros(2), "module.a": torch.zeros(2)}),
    "keys of control characters": _torch({"\x1b[2J\x07": torch.zeros(2)}),
    "keys of 1 MB": _torch({"k" * 1_000_000: torch.zeros(2)}),
    "20,000 keys": _torch({f"k{n}": torch.zeros(1) for n in range(20_000)}),
    "sparse tensors": _torch({"conv1.weight": torch.eye(3).to_sparse()}),
    "complex tensors": _torch({"conv1.weight": torch.zeros(2, dtype=torch.complex64)}),
    "wrong shapes": _torch({"conv1.weight": torch.zeros(2), "bn1.weight": torch.zeros(3, 3)}),
    "a storage that claims more": _huge,
    "an entry that climbs": _archive({"../../evil/data.pkl": b"x"}),
    "an absolute entry": _archive({"/tmp/evil/data.pkl": b"x"}),
    "an entry of a drive": _archive({"C:/evil/data.pkl": b"x"}),
    "packed entries": _archive({"archive/data.pkl": bytes(100_000)}, zipfile.ZIP_DEFLATED),
    "a zip of others": _archive({"readme.txt": b"x"}),
    "a zip of nothing": _archive({}),
    "a bomb": lambda path: _zip(path, {"archive/data/0": bytes(100_000_000)}, zipfile.ZIP_DEFLATED),
    "deep opcodes": _pickled(b"(" * 100_000 + b"l." * 10),
    "a memo that grows": _pickled(b"\x80\x02]" + b"(ee" * 50_000 + b"."),
}
