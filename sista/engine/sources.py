"""What a run trains on: the studies of both subsets with their tokens and report vectors."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from sista import tables
from sista.budgets import Budget
from sista.encoders.text import SMALL, TextEncoder, load_pretrained, small_bert
from sista.engine.batches import Source
from sista.engine.corpus import CROP, Pairs, load_pairs
from sista.engine.interface import Needs
from sista.reports.findings import stated_spans
from sista.reports.similarity import Matrix, ReportText
from sista.reports.stored import stored_vectors
from sista.reports.vocabulary import TokenTable, load_vocabulary, tokenise


@dataclass(frozen=True)
class Sources:
    """Both subsets, and the report encoder where the method has one.

    Attributes:
        train: training studies.
        val: validation studies.
        text: report encoder as it starts.
        tokenizer: of the report encoder.
    """

    train: Source
    val: Source
    text: TextEncoder | None
    tokenizer: Tokenizer | None


def load_sources(
    manifest: Path, split: Path, *, side: int, needs: Needs, plan: Budget, text: str
) -> Sources:
    """Read what a method needs of a prepared corpus.

    Args:
        manifest: of the corpus; images, vocabulary and report vectors lie beside it.
        split: of the same data set.
        side: of the encoder's input in pixels.
        needs: of the method.
        plan: the budget.
        text: word, folder or hub id of the report encoder.

    Raises:
        UserError: a subset is empty, or a file is missing.
    """
    size = round(side / CROP)
    train = load_pairs(
        manifest, split, subset="train", size=size, text=needs.text, limit=plan.pairs
    )
    val = load_pairs(manifest, split, subset="val", size=size, text=needs.text)
    encoder: TextEncoder | None = None
    tokenizer: Tokenizer | None = None
    tokens: list[TokenTable | None] = [None, None]
    if needs.text:
        if text == SMALL:
            tokenizer = load_vocabulary(manifest, tables.read_meta(manifest))
            encoder = small_bert(tokenizer.get_vocab_size(), plan.tokens)
        else:
            encoder, tokenizer = load_pretrained(text)
        form: dict[str, Any] = {"longest": plan.tokens, "stop_words": needs.stop_words}
        form["spans"] = stated_spans if needs.relevant_words == "stated" else None
        first = tokenise(list(train.frame["report"]), tokenizer, **form)
        second = tokenise(list(val.frame["report"]), tokenizer, words=first.words, **form)
        tokens = [first, second]
    # Words are counted in the training reports, so that a cut means the same in both subsets.
    counted = list(train.frame["report"])
    vectors = [_vectors(manifest.parent, pairs, needs, counted) for pairs in (train, val)]
    return Sources(
        Source(train, tokens[0], vectors[0]), Source(val, tokens[1], vectors[1]), encoder, tokenizer
    )


def _vectors(folder: Path, pairs: Pairs, needs: Needs, corpus: list[str]) -> Matrix | None:
    if not needs.similarity:
        return None
    text: ReportText = "raw" if needs.r_text == "raw" else "cleaned"
    reports = list(pairs.frame["report"])
    return stored_vectors(folder, reports, pairs.labels, needs.similarity, text, corpus)
