"""Damaged tokenizers, as a vocabulary beside a manifest and inside a checkpoint."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.hostile.kinds_checkpoint import meta
from tests.hostile.kinds_files import Damage

Described = dict[str, Any]
# Each e becomes 3,000, three times over.
_MUCH = {"type": "Replace", "pattern": {"String": "e"}, "content": "e" * 3000}
_SPLIT = {
    **{"type": "Split", "behavior": "Isolated", "invert": False},
    "pattern": {"Regex": "(a*)*(a|b|[^c])*(.*)*$z"},
}


def _step(name: str, value: Any) -> Callable[[Described], Described]:
    return lambda described: {**described, name: value}


def _numbers(change: Callable[[str, int], int | None]) -> Callable[[Described], Described]:
    """Return a change of the vocabulary's numbers; None takes a piece out."""

    def changed(described: Described) -> Described:
        pieces = described["model"]["vocab"].items()
        made = {piece: change(piece, number) for piece, number in pieces}
        kept = {piece: number for piece, number in made.items() if number is not None}
        return {**described, "model": {**described["model"], "vocab": kept}}

    return changed


def _special(piece: str) -> bool:
    return piece.startswith("[")


CHANGES: dict[str, Callable[[Described], Described]] = {
    "numbers beyond": _numbers(lambda p, n: n if _special(p) else n + 10**6),
    "numbers with gaps": _numbers(lambda _, n: 2 * n),
    "numbers twice": _numbers(lambda p, n: n if _special(p) else 7),
    "a number of 2^32": _numbers(lambda p, n: n if _special(p) else 2**32 - 1),
    "no special tokens": _numbers(lambda p, n: None if _special(p) else n),
    "pairs of letters": _step("model", {"type": "BPE", "vocab": {"a": 0}, "merges": []}),
    "no token at the start": _step("post_processor", None),
    "a step that multiplies": _step(
        "normalizer", {"type": "Sequence", "normalizers": [_MUCH, _MUCH, _MUCH]}
    ),
    "a step that never ends": _step("pre_tokenizer", _SPLIT),
    "a step of no kind": _step("normalizer", {"type": "Elephant"}),
    "steps of a number": _step("normalizer", 7),
}


def _of_file(change: Callable[[Described], Described]) -> Damage:
    def damage(path: Path) -> None:
        path.write_text(json.dumps(change(json.loads(path.read_text()))))

    return damage


def _of_checkpoint(change: Callable[[Described], Described]) -> Damage:
    return meta(
        lambda known: {**known, "tokenizer": json.dumps(change(json.loads(known["tokenizer"])))}
    )


VOCABULARY = {f"vocabulary: {name}": _of_file(change) for name, change in CHANGES.items()}
TOKENIZER = {f"tokenizer: {name}": _of_checkpoint(change) for name, change in CHANGES.items()}
