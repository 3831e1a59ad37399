"""States that a killed run resumes from: arrays as safetensors, all else as JSON in the same file.

Nothing is unpickled. A file that is no state of the run that asks is explained and ignored.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sista.errors import UserError, warn
from sista.files import atomic, regular

T = TypeVar("T")
KEY = "sista_state"
# What a damaged file, or one that somebody made up, raises while it is taken apart.
_DAMAGED = (
    *(SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError, IndexError),
    *(AttributeError, RecursionError, MemoryError, OverflowError),
)


class Stateful(Protocol):
    """What has a state: modules, optimisers, scalers."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any:
        """Take over a state."""


def write_state(
    path: Path, identity: str, facts: Mapping[str, Any], parts: Mapping[str, Stateful]
) -> None:
    """Write the states of all parts and the facts beside them, atomically.

    Args:
        path: file to write.
        identity: of the run; another run will not take the state over.
        facts: tensors, numbers, texts and None in dictionaries, lists and tuples.
        parts: what has a state, by name.
    """
    tensors: dict[str, Tensor] = {}
    states = {name: dict(part.state_dict()) for name, part in parts.items()}
    content = _packed({"facts": dict(facts), "states": states}, tensors)
    text = json.dumps({"identity": identity, "content": content})
    with atomic(path) as temporary:
        save_file(tensors, temporary, metadata={KEY: text})


def read_state(
    path: Path,
    identity: str,
    parts: Mapping[str, Stateful],
    device: torch.device,
    checked: Callable[[dict[str, Any]], T],
) -> T | None:
    """Let the parts take their states over and return the facts; None where there is no state.

    Either all parts take theirs over or none does.

    Args:
        path: file to read.
        identity: of the run.
        parts: what had a state when it was written, by name.
        device: of the tensors among the facts.
        checked: turns the facts into what is returned; an error says that they are none.
    """
    if not path.exists():
        return None
    try:
        content = _read(path, identity, device)
        states, facts = dict(content["states"]), checked(dict(content["facts"]))
        if set(states) != set(parts):
            raise UserError("of other parts")
        for name, part in parts.items():
            check_form(name, part, states[name])
    except UserError as error:
        ignore(path, str(error))
        return None
    except _DAMAGED as error:
        ignore(path, f"damaged, or not written by this project ({type(error).__name__})")
        return None
    for name, part in parts.items():
        # The part's own dictionary knows the versions of its modules.
        own = part.state_dict()
        own.update(states[name])
        part.load_state_dict(own)
    return facts


def ignore(path: Path, why: str) -> None:
    """Say that a state is not used, and why."""
    told = f"{path}: no state of this run, ignored: {why}; it begins at its start"
    warn(told)


def check_form(name: str, part: Stateful, state: Mapping[str, Any]) -> None:
    """Refuse a state whose tensors do not fit: what runs on them would read beyond their ends.

    Raises:
        UserError: names the part.
    """
    own = part.state_dict()
    fits = isinstance(state, dict) and set(own) == set(state)
    if isinstance(part, torch.optim.Optimizer) and fits:
        of_params = state["state"].items()
        params = [p for group in part.param_groups for p in group["params"]]
        fits = all(_moves(params[index], moments) for index, moments in of_params)
        own, state = ({**each, "state": None} for each in (own, state))
    if not fits or not alike(own, state):
        raise UserError(f"its {name} is of another form")


def _moves(parameter: Tensor, moments: Mapping[str, Any]) -> bool:
    """Return whether an optimiser's tensors are those of this parameter."""
    return all(
        isinstance(value, Tensor)
        and value.shape == (() if name == "step" else parameter.shape)
        and value.is_floating_point()
        for name, value in moments.items()
    )


def alike(one: Any, other: Any) -> bool:
    """Return whether two values have the same types, keys, lengths, and shapes of tensors."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.shape == other.shape and one.dtype == other.dtype
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return set(one) == set(other) and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and type(one) is type(other):
        return len(one) == len(other) and all(map(alike, one, other))
    return type(one) is type(other)


def _read(path: Path, identity: str, device: torch.device) -> dict[str, Any]:
    with safe_open(regular(path), framework="pt") as file:
        told = json.loads((file.metadata() or {})[KEY])
        if told["identity"] != identity:
            raise UserError("of a run with other settings, data or code")
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
    content: dict[str, Any] = _unpacked(told["content"], tensors, device)
    return content


def _packed(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Return a value as JSON; its tensors go into `tensors` and leave their numbers."""
    if isinstance(value, Tensor):
        key = str(len(tensors))
        # safetensors takes neither shared memory nor other strides (channels last).
        tensors[key] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        return {"tensor": key, "stride": list(value.stride())}
    if isinstance(value, Mapping):
        # Not as an object: keys of optimisers are numbers.
        return {"items": [[key, _packed(each, tensors)] for key, each in value.items()]}
    if isinstance(value, list | tuple):
        return {type(value).__name__: [_packed(each, tensors) for each in value]}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a state holds tensors, numbers and texts, not {type(value).__name__}")


def _unpacked(value: Any, tensors: Mapping[str, Tensor], device: torch.device) -> Any:
    """Return what `_packed` was given."""
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        return _strided(tensors[value["tensor"]], value["stride"]).to(device)
    if "items" in value:
        return {key: _unpacked(each, tensors, device) for key, each in value["items"]}
    (kind,) = value
    return {"list": list, "tuple": tuple}[kind](_each(value[kind], tensors, device))


def _each(values: Iterable[Any], tensors: Mapping[str, Tensor], device: torch.device) -> list[Any]:
    return [_unpacked(value, tensors, device) for value in values]


def _strided(tensor: Tensor, stride: list[int]) -> Tensor:
    """Return a tensor as it lay in memory: fused optimisers go through memory, not by index."""
    if list(tensor.stride()) == stride or tensor.numel() == 0:
        return tensor
    last = sum((size - 1) * step for size, step in zip(tensor.shape, stride, strict=True))
    # As many places as numbers: no file asks for more memory than it fills.
    if min(stride) < 0 or last + 1 != tensor.numel():
        raise ValueError("strides with holes")
    return torch.empty_strided(tensor.shape, stride, dtype=tensor.dtype).copy_(tensor)
