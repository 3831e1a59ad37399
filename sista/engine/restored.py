"""A pre-trained run put together again from its checkpoint: both encoders, heads and objective."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch.nn import functional

from sista import registry
from sista.encoders.checkpoint import (
    AGAIN,
    check_modules,
    check_weights,
    load_image_encoder,
    load_state,
)
from sista.encoders.text import SMALL, TextEncoder, from_architecture, small_bert
from sista.engine.batches import Batch, token_batch
from sista.engine.interface import Embedded, Objective
from sista.engine.model import PretrainModel
from sista.engine.pairs import Pairs
from sista.engine.views import CROP, centre
from sista.errors import UserError
from sista.files import reading
from sista.grid.budgets import find_budget
from sista.text.findings import stated_spans
from sista.text.tokenizer_file import tokenizer_from
from sista.text.vocabulary import TokenTable, tokenise


@dataclass(frozen=True)
class Restored:
    """A trained model in eval mode, and what it was trained with; `path` is its checkpoint."""

    path: Path
    model: PretrainModel
    objective: Objective
    tokenizer: Tokenizer
    metadata: dict[str, Any]

    def tokens(self, reports: Sequence[str]) -> TokenTable:
        """Return the tokens of texts as training saw those of reports."""
        needs = self.objective.needs
        return tokenise(
            list(reports),
            self.tokenizer,
            longest=find_budget(self.metadata["budget"]).tokens,
            stop_words=needs.stop_words,
            spans=stated_spans if needs.relevant_words == "stated" else None,
        )

    @torch.no_grad()
    def embed_texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Return unit vectors `[N, D]` of texts in the space that films and reports share."""
        if self.model.text is None:
            raise UserError(f"method {self.metadata['method']} has no report encoder")
        table = self.tokens(texts)
        batch = token_batch(table, np.arange(len(texts)), self._device)
        pooled = self.model.text(batch.ids, batch.length, batch.chunks).pooled
        unit: torch.Tensor = functional.normalize(self.model.text_head(pooled), dim=1)
        self.check_finite(unit)
        return unit

    @property
    def _device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def stored_size(self) -> int:
        """Side that images are reduced to, of which training saw crops."""
        return round(self.model.image.size / CROP)

    @torch.no_grad()
    def embed(self, pairs: Pairs, table: TokenTable, batch: int = 64) -> Embedded:
        """Embed all studies in order; tensors are padded to the longest report of all."""
        parts = []
        for start in range(0, len(pairs.frame), batch):
            rows = np.arange(start, min(start + batch, len(pairs.frame)))
            parts.append(self.model(self._batch(pairs, table, rows)))
        whole = Embedded(*(_joined([part[n] for part in parts]) for n in range(len(parts[0]))))
        self.check_finite(*(part for part in whole if part is not None))
        return whole

    def check_finite(self, *made: torch.Tensor) -> None:
        """Refuse vectors of a film or text that hold NaN or infinity; names the checkpoint."""
        if not all(bool(each.isfinite().all()) for each in made if each.is_floating_point()):
            raise UserError(f"{self.path}: its weights give no finite vectors; {AGAIN}")

    def _batch(self, pairs: Pairs, table: TokenTable, rows: np.ndarray[Any, Any]) -> Batch:
        device = self._device
        images = centre(pairs.images, rows, self.model.image.size, device)
        labels = torch.from_numpy(pairs.labels[rows]).float().to(device)
        return Batch(images, *token_batch(table, rows, device), labels, torch.empty(0))


def restore(path: Path, device: torch.device | None = None) -> Restored:
    """Read a checkpoint of a method with a text encoder.

    Args:
        path: of the checkpoint.
        device: to compute on; None = the CPU.

    Raises:
        UserError: the file is no checkpoint, or its method has no text encoder.
    """
    image, metadata = load_image_encoder(path)
    if not metadata.get("tokenizer"):
        raise UserError(f"{path}: method {metadata['method']} has no text encoder")
    objective = _objective(path, metadata)
    with reading(path, AGAIN):
        tokenizer = tokenizer_from(metadata["tokenizer"])
    # Of no labels: nobody asks a restored model for finding logits.
    model = PretrainModel(
        image, _text(path, image.spec.text, tokenizer, metadata), objective.needs, 0
    )
    check_modules(path, [*dict(model.named_children()), "objective"])
    for name, module in model.named_children():
        if name not in ("image", "classifier"):
            state = load_state(path, name)
            check_weights(path, f"its {name}", module.state_dict(), state)
            module.load_state_dict(state)
    state, wanted = load_state(path, "objective"), objective.state_dict()
    missing, unexpected = sorted(set(wanted) - set(state)), sorted(set(state) - set(wanted))
    # Older checkpoints have no cuts of the corpus, and no weight that moves.
    if unexpected or set(missing) - {"threshold", "centre", "w_report"}:
        raise UserError(
            f"{path}: objective does not fit: missing {missing}, unknown {unexpected}; {AGAIN}"
        )
    check_weights(path, "its objective", {key: wanted[key] for key in state}, state)
    objective.load_state_dict(state, strict=False)
    model.to(device or "cpu")
    objective.to(device or "cpu")
    return Restored(path, model.eval(), objective.eval(), tokenizer, metadata)


def _objective(path: Path, metadata: dict[str, Any]) -> Objective:
    """Return the objective that a checkpoint describes, untrained."""
    method, given = metadata["method"], metadata["settings"]
    try:
        registry.check_settings("methods", method, given)
        find_budget(metadata["budget"])
        objective: Objective = registry.find("methods", method)(**given)
    except UserError as error:
        raise UserError(f"{path}: {error}; {AGAIN}") from error
    return objective


def _text(path: Path, name: str, tokenizer: Tokenizer, metadata: dict[str, Any]) -> TextEncoder:
    """Return the report encoder that a checkpoint describes; its name is not looked up anywhere."""
    if name == SMALL:
        return small_bert(tokenizer.get_vocab_size(), find_budget(metadata["budget"]).tokens)
    described = metadata.get("text_encoder")
    if described is None:
        raise UserError(
            f"{path}: does not describe its report encoder, since it is of an older version; "
            "pre-train again"
        )
    try:
        return from_architecture(described, load_state(path, "text"))
    except Exception as error:  # models raise many kinds on what fits nothing
        raise UserError(f"{path}: its report encoder cannot be built ({error}); {AGAIN}") from error


def _joined(parts: list[torch.Tensor | None]) -> torch.Tensor | None:
    """Return the parts of all batches as one tensor, word axes padded with False, 0 or -1."""
    given = [part for part in parts if part is not None]
    if not given or len(given) < len(parts):
        return None
    widest = max(part.shape[1] for part in given) if given[0].ndim > 1 else 0
    padded = []
    for part in given:
        extra = widest - part.shape[1] if part.ndim > 1 else 0
        if extra:
            fill = -1 if part.dtype == torch.long else 0
            tail = part.new_full((len(part), extra, *part.shape[2:]), fill)
            part = torch.cat([part, tail], 1)
        padded.append(part)
    return torch.cat(padded)
