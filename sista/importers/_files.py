"""Reading files of unknown origin: tensors come out, code is never run."""

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from sista.errors import UserError
from sista.files import reading
from sista.importers._inert import stand_ins

MAX_BYTES, LONGEST_KEY = 16 << 30, 500
NOT_TORCH = "damaged, or not a file of torch.save"
# Where training code keeps the weights inside its checkpoints.
WRAPPERS = ("state_dict", "model", "model_state_dict")
REMEDY = (
    "if you trust where it comes from, load it once in a container, save only its weights with "
    "safetensors.torch.save_file(state_dict, FILE) and import that file"
)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a weights file by key, without wrappers and without `module.`.

    safetensors, or a file of `torch.save` read with `weights_only` and without any further class:
    objects that training code has put beside the weights are never made, see `_inert`.

    Raises:
        UserError: there is no such file, it is too large, of another format, damaged, or asks for
            code; says what to do.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; give the file of weights that was downloaded")
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise UserError(f"{path}: {size >> 30} GiB, more than the {MAX_BYTES >> 30} allowed")
    with path.open("rb") as stream:
        start = stream.read(64)
    with reading(path, "download it again"):
        # safetensors: eight bytes of length, then a JSON header.
        if start[8:9] == b"{":
            return _checked(path, _read_safetensors(path))
        # torch.save writes a zip; before version 1.6 it wrote the bare pickle: 0x80 at its start.
        if start.startswith(b"PK\x03\x04"):
            _check_archive(path)
        elif not start.startswith(b"\x80"):
            raise UserError(f"{path}: {_wrong_format(start)}; download it again")
        return _checked(path, _unwrapped(path, _read_pickle(path)))


def _wrong_format(start: bytes) -> str:
    """Return in words what a file is that holds no weights."""
    text = start.lstrip().lower()
    if text.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the file itself: run `git lfs pull`"
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a web page, not weights: the download failed or asked for a login"
    if not start:
        return "the file is empty"
    return "neither safetensors nor a file of torch.save"


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return dict(load_file(path))
    except (SafetensorError, ValueError, OSError) as error:
        raise UserError(f"{path}: damaged safetensors file ({error}); download it again") from error


def _check_archive(path: Path) -> None:
    """Check a zip before torch opens it: names stay inside, nothing is packed or hidden."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: damaged archive ({error}); download it again") from error
    for entry in entries:
        parts = entry.filename.replace("\\", "/").split("/")
        # The colon is that of a Windows drive.
        if ".." in parts or parts[0] == "" or ":" in parts[0]:
            raise UserError(f"{path}: the entry {entry.filename!r} points outside; {REMEDY}")
        if entry.compress_type != zipfile.ZIP_STORED and _is_data(entry.filename):
            raise UserError(f"{path}: packed entries, as torch.save never makes; {REMEDY}")
    if sum(entry.file_size for entry in entries) > MAX_BYTES:
        raise UserError(f"{path}: claims to unpack to more than {MAX_BYTES >> 30} GiB; not opened")
    names = [entry.filename for entry in entries]
    if any("/code/" in f"/{name}" or name.endswith("constants.pkl") for name in names):
        raise UserError(f"{path}: a TorchScript archive, which holds code; {REMEDY}")
    if not any(name.endswith("/data.pkl") for name in names):
        inside = ", ".join(sorted(names)[:3])
        raise UserError(f"{path}: a zip of {inside}; unpack it and import the weights file in it")


def _is_data(name: str) -> bool:
    return name.endswith("data.pkl") or "/data/" in name


def _read_pickle(path: Path) -> Any:
    # Another library of this process may have allowed its own classes.
    if torch.serialization.get_safe_globals():
        torch.serialization.clear_safe_globals()
    try:
        with warnings.catch_warnings():
            # Of pickle protocols; what cannot be read ends in an error all the same.
            warnings.simplefilter("ignore")
            with stand_ins(path):
                return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        wanted = _wanted(path)
        reason = str(error).rpartition("WeightsUnpickler error:")[2].strip().partition("\n")[0]
        why = f"asks for code ({wanted})" if wanted else f"holds more than tensors ({reason})"
        raise UserError(f"{path}: refused, its pickle {why}; {REMEDY}") from error
    except (RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise UserError(f"{path}: {NOT_TORCH} ({reason}); download it again") from error


def _wanted(path: Path) -> str:
    """Return what a pickle would have called, read without running it."""
    try:
        called = torch.serialization.get_unsafe_globals_in_checkpoint(str(path))
    except Exception:
        # Only files of the zip format can be looked through; the caller then quotes the error.
        return ""
    return ", ".join(sorted(called)[:5])


def _unwrapped(path: Path, content: Any) -> dict[str, Tensor]:
    """Return the dictionary of tensors, wherever the training code has put it."""
    for name in ("", *WRAPPERS):
        inner = content.get(name) if name and isinstance(content, Mapping) else content
        if isinstance(inner, Mapping):
            tensors = {str(k): v for k, v in inner.items() if isinstance(v, Tensor)}
            # Tensors beside a wrapper are the training's own, not the model's.
            if tensors and not (name == "" and any(w in content for w in WRAPPERS)):
                return tensors
    wanted = _wanted(path)
    told = f" beside objects of {wanted}" if wanted else ""
    raise UserError(
        f"{path}: no dictionary of tensors in it{told}, nor under {', '.join(WRAPPERS)}; {REMEDY}"
    )


def _checked(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors without the prefix of DataParallel; a key must not stand twice."""
    stripped = {key.removeprefix("module."): value for key, value in tensors.items()}
    if not stripped:
        raise UserError(f"{path}: holds no tensors; download it again")
    if len(stripped) < len(tensors):
        raise UserError(f"{path}: keys stand twice, with and without `module.`; {REMEDY}")
    for key, value in stripped.items():
        if len(key) > LONGEST_KEY or not key.isprintable():
            raise UserError(f"{path}: a key of {len(key)} characters is no name; {REMEDY}")
        plain = value.layout == torch.strided and not (value.is_quantized or value.is_nested)
        # A view of few numbers can claim any number of them.
        if not plain or value.device.type != "cpu" or _claimed(value) > _held(value):
            raise UserError(f"{path}: {key} is no plain tensor; {REMEDY}")
    return stripped


def _claimed(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _held(tensor: Tensor) -> int:
    return tensor.untyped_storage().nbytes()
