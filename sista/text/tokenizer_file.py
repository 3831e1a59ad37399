"""Stored tokenizers, read again: a vocabulary or a checkpoint may be of others."""

import json
from collections.abc import Iterator
from typing import Any

from tokenizers import Tokenizer

# Steps whose cost and length follow the text. Not among them: replacements, which can multiply a
# text until memory ends, and divisions by a regular expression of the file, which can take hours.
STEPS = (
    *("Sequence", "BertNormalizer", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "StripAccents"),
    *("BertPreTokenizer", "ByteLevel", "Digits", "Metaspace", "Punctuation", "Whitespace"),
    "WhitespaceSplit",
)
# Letters and a sign that no vocabulary of words has.
PROBE = "A film \u2603"


def tokenizer_from(text: str) -> Tokenizer:
    """Return the tokenizer of a JSON text.

    Raises:
        ValueError: the text is none, or it is one with other steps than `STEPS`, numbers with
            gaps or twice, or no token at its start.
        Exception: what `tokenizers` raises of a text that is none; it has no kind of its own.
    """
    described = json.loads(text)
    for name in ("normalizer", "pre_tokenizer"):
        for kind in _kinds(described.get(name)):
            if kind not in STEPS:
                raise ValueError(f"a tokenizer with the step {str(kind)[:40]!r}, which is not read")
    tokenizer = Tokenizer.from_str(text)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    numbers = sorted(tokenizer.get_vocab().values())
    if numbers != list(range(len(numbers))):
        raise ValueError("a vocabulary whose numbers have gaps or stand twice")
    if tokenizer.num_special_tokens_to_add(False) < 1:
        raise ValueError("a tokenizer that puts no token before a text")
    if max(tokenizer.encode(PROBE).ids) >= len(numbers):
        raise ValueError("a tokenizer with numbers beyond its vocabulary")
    return tokenizer


def _kinds(step: Any) -> Iterator[Any]:
    """Yield the kind of a step and of the steps inside it."""
    if step is None:
        return
    yield step["type"]
    for name in ("normalizers", "pretokenizers"):
        for each in step.get(name, ()):
            yield from _kinds(each)
