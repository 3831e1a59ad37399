"""Token tables on disk: made once per corpus, then mapped into memory by every run and process.

A small corpus is tokenised in each run, which takes less than a second.
"""

import hashlib
import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from sista import registry
from sista.errors import UserError
from sista.files import atomic, sha256
from sista.runs.alone import alone
from sista.runs.arrays import read_folder
from sista.runs.progress import track
from sista.text.findings import stated_spans
from sista.text.stored_vectors import texts_hash
from sista.text.vocabulary import TokenTable, tokenise

FOLDER = "tokens"
# Reports from which on the table is kept, and that are tokenised at a time.
KEPT_FROM = 20_000
PART = 10_000
ARRAYS = ("ids", "length", "slot", "word_ids", "sentence", "sentence_pieces", "words", "widths")


def stored_tokens(
    folder: Path,
    reports: Sequence[str],
    tokenizer: Tokenizer,
    *,
    longest: int,
    stop_words: bool,
    relevant_words: str,
    words: Sequence[str] = (),
) -> TokenTable:
    """Return the tokens of reports, from disk where a large corpus was tokenised before.

    Args:
        folder: of the prepared corpus; what is kept lies below it in `tokens`.
        reports: N clean report texts.
        tokenizer: see `tokenise`, as are the arguments that have the same names there.
        longest: see there.
        stop_words: see there.
        relevant_words: `stated`: only words of sentences that state a finding get a slot; or `all`.
        words: see there.
    """
    stated = relevant_words == "stated"
    spans = stated_spans if stated else None
    if len(reports) < KEPT_FROM:
        form = {"longest": longest, "stop_words": stop_words, "words": words, "spans": spans}
        return tokenise(list(reports), tokenizer, **form)  # type: ignore[arg-type]
    root = registry.PACKAGE.parent
    code = [sha256(root / file) for file in registry.module_sources("sista.text.stored_tokens")]
    seen = [texts_hash(reports), tokenizer.to_str(), texts_hash(words)]
    asked = [*seen, longest, stop_words, stated, code, version("tokenizers"), version("numpy")]
    kept = folder / FOLDER / hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]
    table = _read(kept)
    if table is None:
        # All processes of a run come here at the same moment.
        with alone(kept):
            table = _read(kept)
            if table is None:
                with atomic(kept) as temporary:
                    temporary.mkdir()
                    _write(temporary, reports, tokenizer, longest, stop_words, stated, words)
                table = _read(kept)
    if table is None:
        raise UserError(f"{kept}: cannot be read again; delete it")
    return table


def _write(
    folder: Path,
    reports: Sequence[str],
    tokenizer: Tokenizer,
    longest: int,
    stop_words: bool,
    stated: bool,
    words: Sequence[str],
) -> None:
    """Write the table part by part: as long as it is made it need not fit into memory."""
    # No report has more words or sentences than pieces. What stands behind the widest costs room on
    # the disk, where nothing is written to it: a file with holes.
    shape = (len(reports), longest)
    kinds = {"ids": np.int32, "word_ids": np.int32, "slot": np.int16, "sentence": np.int16}
    kinds |= {"sentence_pieces": np.int16}
    out = {
        name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", kind, shape)
        for name, kind in kinds.items()
    }
    length = np.zeros(len(reports), np.int32)
    widths = dict.fromkeys(kinds, 1)
    for start in track(range(0, len(reports), PART), "reading the words of reports"):
        part = reports[start : start + PART]
        spans = stated_spans if stated else None
        form = {"longest": longest, "stop_words": stop_words, "words": words, "spans": spans}
        table = tokenise(list(part), tokenizer, **form)  # type: ignore[arg-type]
        words = table.words
        rows = slice(start, start + len(part))
        length[rows] = table.length
        # Numbers that say "none" are those of a table that is as wide as it can be.
        none = {"ids": 0, "word_ids": -1, "slot": longest, "sentence": longest}
        for name, array in out.items():
            values = getattr(table, name)
            if name in ("slot", "sentence"):
                most = table.word_ids if name == "slot" else table.sentence_pieces
                values = np.where(values == most.shape[1], longest, values)
            array[rows, : values.shape[1]] = values
            if none.get(name, 0):
                array[rows, values.shape[1] :] = none[name]
            widths[name] = max(widths[name], values.shape[1])
    for array in out.values():
        array.flush()
    np.save(folder / "length.npy", length)
    np.save(folder / "widths.npy", np.array(list(widths.values())))
    np.save(folder / "words.npy", np.frombuffer("\n".join(words).encode(), np.uint8))


def _read(folder: Path) -> TokenTable | None:
    try:
        arrays = read_folder(folder, ARRAYS)
    except (OSError, ValueError):
        return None
    ids, words, slot, sentence, pieces = arrays["widths"].tolist()
    wide = max(ids, slot, sentence)
    text = arrays["words"].tobytes().decode()
    return TokenTable(
        arrays["ids"][:, :wide],
        np.asarray(arrays["length"]),
        arrays["slot"][:, :wide],
        arrays["word_ids"][:, :words],
        arrays["sentence"][:, :wide],
        arrays["sentence_pieces"][:, :pieces],
        tuple(text.split("\n")) if text else (),
    )
