"""Words and word pieces of reports: the trained vocabulary, and tables of tokens for a corpus.

Which word a piece belongs to depends on the text alone, so it is worked out once here, never in
the training step.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import (
    Encoding,
    Tokenizer,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)

from sista.errors import UserError
from sista.files import reading, within
from sista.text.cleaning import sentence_ends
from sista.text.tokenizer_file import tokenizer_from

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
# Function words that carry no finding; `no` and `without` stay.
STOP_WORDS = frozenset(
    "a an and are as at be been being by for from has have in is it its of on or that the there "
    "these this to was were which with".split()
)


@dataclass(frozen=True)
class TokenTable:
    """The tokens of N reports, padded to the longest.

    Attributes:
        ids: `[N, T]` word pieces with [CLS] and [SEP]; padding 0.
        length: `[N]` number of real tokens.
        slot: `[N, T]` which word of its report a piece belongs to; W for special tokens, padding
            and words that are left out, so that one indexed add needs no selection.
        word_ids: `[N, W]` number of the word in `words`; -1 at padding.
        sentence: `[N, T]` which sentence of its report a piece belongs to; S for special tokens,
            padding and text without a word.
        sentence_pieces: `[N, S]` pieces of each sentence; 0 at padding.
        words: the distinct words of the corpus.
    """

    ids: NDArray[np.integer]
    length: NDArray[np.integer]
    slot: NDArray[np.integer]
    word_ids: NDArray[np.integer]
    sentence: NDArray[np.integer]
    sentence_pieces: NDArray[np.integer]
    words: tuple[str, ...]


def train_vocabulary(texts: Sequence[str], size: int = 4000) -> Tokenizer:
    """Make a WordPiece vocabulary of reports and return its tokenizer.

    The pieces are the characters and the most frequent words; a rarer word falls into characters.
    (The trainer of `tokenizers` numbers its pieces differently in every process, so equal seeds
    would not give equal bits.)

    Args:
        texts: clean reports of the training split only.
        size: upper bound on the number of word pieces.
    """
    normalise = normalizers.BertNormalizer(lowercase=True)
    divide = pre_tokenizers.BertPreTokenizer()
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(w for w, _ in divide.pre_tokenize_str(normalise.normalize_str(text)))
    characters = sorted({c for word in counts for c in word})
    pieces = [*SPECIAL, *characters, *(f"##{c}" for c in characters)]
    # Ties by alphabet: the numbers of the pieces do not depend on the order of the reports.
    ranked = sorted((w for w, n in counts.items() if n > 1), key=lambda w: (-counts[w], w))
    pieces += [w for w in ranked if len(w) > 1][: max(size - len(pieces), 0)]
    return bert_tokenizer({piece: number for number, piece in enumerate(pieces)})


def bert_tokenizer(vocabulary: Mapping[str, int]) -> Tokenizer:
    """Return BERT's uncased tokenizer with a vocabulary: piece -> number."""
    tokenizer = Tokenizer(models.WordPiece(dict(vocabulary), unk_token="[UNK]"))  # noqa: S106 (a token)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return with_special_tokens(tokenizer)


def load_vocabulary(manifest: Path, meta: Mapping[str, Any]) -> Tokenizer:
    """Return the tokenizer that `prepare` trained on the training reports.

    Args:
        manifest: of the prepared corpus.
        meta: its metadata, which names the file beside it.

    Raises:
        UserError: the corpus was prepared without one, or the file is missing or broken.
    """
    if "vocabulary" not in meta:
        raise UserError(f"{manifest}: names no vocabulary; run prepare again")
    file = within(manifest.parent, str(meta["vocabulary"]))
    with reading(file, "run prepare again"):
        return tokenizer_from(file.read_text(encoding="utf-8"))


def with_special_tokens(tokenizer: Tokenizer) -> Tokenizer:
    """Let the tokenizer put [CLS] first and [SEP] last."""
    numbers = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=numbers
    )
    return tokenizer


def tokenise(
    texts: Sequence[str],
    tokenizer: Tokenizer,
    *,
    longest: int,
    stop_words: bool = False,
    words: Sequence[str] = (),
    spans: Callable[[str], Sequence[tuple[int, int]]] | None = None,
) -> TokenTable:
    """Turn reports into arrays.

    Args:
        texts: clean reports.
        tokenizer: fast tokenizer with special tokens.
        longest: longest sequence in tokens; longer reports are cut.
        stop_words: give function words a slot too; else only the text encoder sees them.
        words: words that already have a number (of the training reports).
        spans: gives for a report the stretches (first character, past the last) whose words get a
            slot; None = all of it.
    """
    tokenizer.enable_truncation(max_length=longest)
    tokenizer.no_padding()
    encodings = tokenizer.encode_batch(list(texts))
    numbers = {word: n for n, word in enumerate(words)}
    rows = []
    for encoding, text in zip(encodings, texts, strict=True):
        where = [(0, len(text))] if spans is None else spans(text)
        rows.append(_words(encoding, text, stop_words, numbers, where))
    wide = max((len(e.ids) for e in encodings), default=1)
    most = max((len(word_numbers) for _, word_numbers in rows), default=0) or 1
    ids = np.zeros((len(rows), wide), np.int32)
    slot = np.full((len(rows), wide), most, np.int32)
    word_ids = np.full((len(rows), most), -1, np.int32)
    for n, (encoding, (slots, word_numbers)) in enumerate(zip(encodings, rows, strict=True)):
        ids[n, : len(encoding.ids)] = encoding.ids
        slot[n, : len(slots)] = [most if s is None else s for s in slots]
        word_ids[n, : len(word_numbers)] = word_numbers
    length = np.array([len(e.ids) for e in encodings], np.int32)
    sentence, pieces = _sentence_table(encodings, texts, wide)
    return TokenTable(ids, length, slot, word_ids, sentence, pieces, tuple(numbers))


def _sentence_table(
    encodings: Sequence[Encoding], texts: Sequence[str], wide: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the sentence of each piece, and the pieces of each sentence."""
    rows = [_sentences(e, text) for e, text in zip(encodings, texts, strict=True)]
    most = max((int(row.max(initial=-1)) for row in rows), default=0) + 1 or 1
    sentence = np.full((len(rows), wide), most, np.int32)
    pieces = np.zeros((len(rows), most), np.int32)
    for n, row in enumerate(rows):
        sentence[n, : len(row)] = np.where(row < 0, most, row)
        pieces[n] = np.bincount(row[row >= 0], minlength=most)
    return sentence, pieces


def _sentences(encoding: Encoding, text: str) -> NDArray[np.int64]:
    """Return the sentence of each token of one report, -1 for none.

    What closes a sentence belongs to it; a stretch without a word is no sentence.
    """
    real = np.array([word is not None for word in encoding.word_ids], bool)
    starts = np.array([start for start, _ in encoding.offsets], np.int64)
    named = np.array([any(c.isalnum() for c in text[a:b]) for a, b in encoding.offsets], bool)
    # On the right: a token that starts where a sentence ends belongs to the next one.
    stretch = np.searchsorted(np.array(sentence_ends(text)), starts, side="right")
    used = np.unique(stretch[real & named])
    number = np.searchsorted(used, stretch)
    return np.where(real & np.isin(stretch, used), number, -1)


def _words(
    encoding: Encoding,
    text: str,
    stop_words: bool,
    numbers: dict[str, int],
    spans: Sequence[tuple[int, int]],
) -> tuple[list[int | None], list[int]]:
    """Return the slot of each token of one report, and the numbers of its words in order."""
    slot_of: dict[int, int | None] = {}
    word_numbers: list[int] = []
    slots: list[int | None] = []
    for word in encoding.word_ids:
        if word is None:
            slots.append(None)
            continue
        if word not in slot_of:
            start, end = encoding.word_to_chars(word) or (0, 0)
            name = text[start:end].lower()
            # Punctuation is no word, and function words show nothing in the image.
            counts = any(c.isalnum() for c in name) and (stop_words or name not in STOP_WORDS)
            counts = counts and any(first <= start < last for first, last in spans)
            slot_of[word] = len(word_numbers) if counts else None
            if counts:
                word_numbers.append(numbers.setdefault(name, len(numbers)))
        slots.append(slot_of[word])
    return slots, word_numbers
