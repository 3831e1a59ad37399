"""The random states of a process (torch, NumPy, Python) as tensors and numbers, and back."""

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from sista.errors import UserError
from sista.runs.saved_state import alike

MERSENNE_WORDS = 624


def random_state() -> dict[str, Any]:
    """Return the states of all generators that code may draw from without naming one."""
    # Of the old interface, which libraries share: the others have no state of the whole process.
    _, words, place, has_gauss, gauss = np.random.get_state(legacy=True)
    version, python, python_gauss = random.getstate()
    started = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    cuda = torch.cuda.get_rng_state_all() if started else []
    return {
        "torch": torch.get_rng_state(),
        "cuda": list(cuda),
        "numpy": torch.from_numpy(np.asarray(words, np.int64)),
        "numpy_place": [int(place), int(has_gauss), float(gauss)],
        "python": torch.tensor(python, dtype=torch.int64),
        "python_version": int(version),
        # NaN for none: of the same type in every state.
        "python_gauss": float("nan") if python_gauss is None else float(python_gauss),
    }


def check_random_state(state: Mapping[str, Any]) -> None:
    """Refuse what is no state of this process's generators.

    Raises:
        UserError: says so.
    """
    fits = alike(random_state(), state)
    if fits:
        place, words = state["numpy_place"][0], state["numpy"]
        # NumPy's C code believes both.
        fits = 0 <= place <= MERSENNE_WORDS
        fits = fits and int(words.min()) >= 0 and int(words.max()) < 2**32
    if not fits:
        raise UserError("its random state is of another form")


def set_random_state(state: Mapping[str, Any]) -> None:
    """Let all generators go on from a state that `check_random_state` has passed."""
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
    place, has_gauss, gauss = state["numpy_place"]
    words = state["numpy"].numpy().astype(np.uint32)
    np.random.set_state(("MT19937", words, place, has_gauss, gauss))
    python_gauss = None if state["python_gauss"] != state["python_gauss"] else state["python_gauss"]
    random.setstate((state["python_version"], tuple(state["python"].tolist()), python_gauss))
