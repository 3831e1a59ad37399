"""What a run trains on: the studies of both subsets with their tokens and report vectors."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from tokenizers import Tokenizer
from torch import Tensor

from sista import tables
from sista.encoders.text import SMALL, TextEncoder, load_pretrained, small_bert
from sista.engine.batches import Batch, token_batch
from sista.engine.corpus import Corpus
from sista.engine.interface import Needs
from sista.engine.pairs import Pairs, load_subsets
from sista.engine.views import CROP, Views
from sista.errors import UserError
from sista.grid.budgets import Budget
from sista.runs.feeding import moved
from sista.text.similarity import Matrix, ReportText, similarity
from sista.text.stored_tokens import stored_tokens
from sista.text.stored_vectors import stored_vectors
from sista.text.vocabulary import TokenTable, load_vocabulary


@dataclass(frozen=True)
class Source:
    """One subset of the corpus, ready for batches."""

    pairs: Pairs
    tokens: TokenTable | None
    vectors: sparse.csr_matrix | None

    def __len__(self) -> int:
        """Return the number of studies."""
        return len(self.pairs.frame)

    def batch(
        self,
        rows: NDArray[np.int64],
        views: Views,
        device: torch.device,
        policy: Tensor,
        among: NDArray[np.int64] | None = None,
        packed: bool | None = None,
    ) -> Batch:
        """Put the parts of a batch on the device.

        Args:
            rows: studies.
            views: of their images, on the device.
            device: of the model.
            policy: `[N, C]` labels after the policy for uncertain ones.
            among: the whole contrastive batch where `rows` are a part of it: then padded for it,
                and without similarity.
            packed: see `token_batch`.
        """
        return Batch(
            views.first,
            *token_batch(self.tokens, rows, device, among, packed),
            labels=moved(policy[torch.from_numpy(rows)].numpy(), device),
            similarity=self.alike(rows, device) if among is None else torch.empty(0, device=device),
            rows=moved(rows, device),
            second=views.second,
            boxes=views.boxes,
            normal=moved(self.pairs.normal[rows], device),
        )

    def alike(self, rows: NDArray[np.int64], device: torch.device) -> Tensor:
        """Return the similarity `[B, B]` of reports; empty where the method needs none."""
        if self.vectors is None:
            return torch.empty(0, device=device)
        return moved(similarity(self.vectors, rows), device)


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


def load_sources(corpus: Corpus, *, side: int, needs: Needs, budget: Budget, text: str) -> Sources:
    """Read what a method needs of a prepared corpus.

    Args:
        corpus: prepared; the vectors of its reports are kept beside it.
        side: of the encoder's input in pixels.
        needs: of the method.
        budget: says how many studies train, and how long a report may be.
        text: word, folder or hub id of the report encoder.

    Raises:
        UserError: a subset is empty or smaller than a batch, or a file is missing.
    """
    # A seventh larger than the input, as 256 px for 224: room for the random crop.
    size = round(side / CROP)
    train, val = load_subsets(corpus, size=size, text=needs.text, limit=budget.pairs)
    if len(train.frame) < budget.batch:
        raise UserError(
            f"{corpus.manifest}: {len(train.frame)} studies to train on, fewer than the batch of "
            f"{budget.batch} pairs of budget {budget.word}; take a smaller budget or more studies"
        )
    encoder: TextEncoder | None = None
    tokenizer: Tokenizer | None = None
    tokens: list[TokenTable | None] = [None, None]
    if needs.text:
        if text == SMALL:
            tokenizer = load_vocabulary(
                corpus.manifest, tables.read_meta(corpus.manifest, "manifest")
            )
            encoder = small_bert(tokenizer.get_vocab_size(), budget.tokens)
        else:
            encoder, tokenizer = load_pretrained(text)
        form: dict[str, Any] = {"longest": budget.tokens, "stop_words": needs.stop_words}
        form["relevant_words"] = needs.relevant_words
        folder = corpus.manifest.parent
        first = stored_tokens(folder, list(train.frame["report"]), tokenizer, **form)
        # With the numbers of the training words: equal numbers mean equal words in both subsets.
        form["words"] = first.words
        second = stored_tokens(folder, list(val.frame["report"]), tokenizer, **form)
        tokens = [first, second]
    # Words are counted in the training reports, so that a cut means the same in both subsets.
    counted = list(train.frame["report"])
    folder = corpus.manifest.parent
    vectors = [_vectors(folder, pairs, needs, counted) for pairs in (train, val)]
    return Sources(
        Source(train, tokens[0], vectors[0]), Source(val, tokens[1], vectors[1]), encoder, tokenizer
    )


def _vectors(folder: Path, pairs: Pairs, needs: Needs, counted: list[str]) -> Matrix | None:
    if not needs.similarity:
        return None
    text: ReportText = "raw" if needs.r_text == "raw" else "cleaned"
    reports = list(pairs.frame["report"])
    return stored_vectors(folder, reports, pairs.labels, needs.similarity, text, counted)


def known_labels(pairs: Pairs) -> Tensor:
    """Return training labels `[N, C]`, 1/0/NaN.

    Uncertain counts as present; what is not mentioned as absent where the study has any label.
    """
    labels = np.where(pairs.labels == -1, 1.0, pairs.labels)
    some = ~np.isnan(labels).all(axis=1, keepdims=True)
    return torch.from_numpy(np.where(np.isnan(labels) & some, 0.0, labels)).float()
