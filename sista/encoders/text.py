"""Report encoders: a small BERT with random weights, or any transformers folder or hub id."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel

from sista.encoders.chunks import ReportChunk
from sista.encoders.specs import ENCODERS
from sista.errors import UserError

Pool = Literal["mean", "cls"]
SMALL = "bert_tiny"


class TextFeatures(NamedTuple):
    """What a report encoder gives.

    Attributes:
        pooled: `[B, D]`.
        tokens: `[B, T, D]` last hidden states.
        attention: `[B, T]` attention of [CLS] to each token in the last layer, mean over heads, 0
            at padding, without gradient and dropout; None where not asked for.
    """

    pooled: Tensor
    tokens: Tensor
    attention: Tensor | None = None


class TextEncoder(nn.Module):
    """A transformer over word pieces.

    Args:
        body: a transformers model with `last_hidden_state`.
        pool: `mean` over the real tokens, or the [CLS] token.
    """

    def __init__(self, body: nn.Module, pool: Pool = "mean") -> None:
        super().__init__()
        self.body = body
        self.pool = pool
        self.dim: int = body.config.hidden_size  # type: ignore[union-attr, assignment]

    def forward(
        self,
        ids: Tensor,
        length: Tensor,
        chunks: Sequence[ReportChunk] = (),
        *,
        attention: bool = False,
    ) -> TextFeatures:
        """Encode reports of very different lengths without computing most of the padding.

        Args:
            ids: `[B, T]` token ids.
            length: `[B]` real tokens of each row.
            chunks: how the reports, sorted by length, are cut into what is encoded together;
                empty: not at all. What is computed for a report does not depend on it.
            attention: also return the attention of [CLS].

        Raises:
            UserError: attention is asked of a model that is not built like BERT.
        """
        if not chunks:
            tokens, looks = self._encode(ids, length, attention, False)
        else:
            order = torch.argsort(length, stable=True)
            parts = []
            seen = []
            groups = torch.split(order, [chunk.reports for chunk in chunks])
            for rows, (_, width, full) in zip(groups, chunks, strict=True):
                part, look = self._encode(ids[rows, :width], length[rows], attention, full)
                parts.append(nn.functional.pad(part, (0, 0, 0, ids.shape[1] - width)))
                if look is not None:
                    seen.append(nn.functional.pad(look, (0, ids.shape[1] - width)))
            back = torch.argsort(order)
            tokens = torch.cat(parts)[back]
            looks = torch.cat(seen)[back] if attention else None
        if self.pool == "cls":
            return TextFeatures(tokens[:, 0], tokens, looks)
        real = torch.arange(ids.shape[1], device=ids.device) < length[:, None]
        weight = real.to(tokens.dtype).unsqueeze(-1)
        return TextFeatures((tokens * weight).sum(1) / weight.sum(1), tokens, looks)

    def _encode(
        self, ids: Tensor, length: Tensor, attention: bool, full: bool
    ) -> tuple[Tensor, Tensor | None]:
        mask = torch.arange(ids.shape[1], device=ids.device) < length[:, None]
        given: Tensor | None = mask.long()
        if self.body.config._attn_implementation == "sdpa":  # type: ignore[union-attr]
            # With four dimensions the model takes it as it is; of two it would ask the device
            # whether all are True, and wait.
            given = None if full else mask[:, None, None]
        out = self.body(input_ids=ids, attention_mask=given, output_hidden_states=attention)
        looks = self._cls_attention(out.hidden_states[-2], mask) if attention else None
        return out.last_hidden_state, looks

    @torch.no_grad()
    def _cls_attention(self, states: Tensor, mask: Tensor) -> Tensor:
        """Work out one row of the last layer's attention; the layer itself stays fused."""
        try:
            last: Any = self.body.encoder.layer[-1].attention.self  # type: ignore[union-attr, index]
            query, key = last.query(states[:, :1]), last.key(states)
        except AttributeError as error:
            raise UserError(
                f"text encoder {type(self.body).__name__}: its [CLS] attention cannot be read; "
                "methods that need it (mgca) work with BERT and RoBERTa models"
            ) from error
        heads = last.num_attention_heads
        query, key = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (query, key))
        scores: Tensor = (query @ key.transpose(2, 3)).squeeze(2).float() * query.shape[-1] ** -0.5
        return scores.masked_fill(~mask[:, None], -torch.inf).softmax(-1).mean(1)


def small_bert(vocabulary: int, longest: int) -> TextEncoder:
    """Return a BERT of one layer and 128 dimensions with random weights (0.2 M parameters)."""
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=128,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=256,
        max_position_embeddings=longest,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    body = BertModel(config, add_pooling_layer=False)
    # BERT's 0.02 is meant for 768 dimensions; small nets then start on a plateau, and the
    # residual branches hardly speak at first (benchmarks/regime).
    nn.init.normal_(body.embeddings.word_embeddings.weight, std=0.5)
    for layer in body.encoder.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
    return TextEncoder(body)


def load_pretrained(name: str) -> tuple[TextEncoder, Tokenizer]:
    """Return a transformers model and its fast tokenizer, from a folder or a hub id.

    Raises:
        UserError: it cannot be loaded.
    """
    try:
        # A name that stands in a foreign checkpoint alone must not make anyone ask the network.
        here = {"local_files_only": name not in {spec.text for spec in ENCODERS.values()}}
        body = AutoModel.from_pretrained(
            name, use_safetensors=None, trust_remote_code=False, **here
        )
        tokenizer = AutoTokenizer.from_pretrained(name, use_fast=True, **here).backend_tokenizer
    except (OSError, ValueError) as error:
        raise UserError(
            f"text encoder {name!r} could not be loaded ({type(error).__name__}): give a folder "
            "that holds a transformers model, or download the hub id once with network access"
        ) from error
    return TextEncoder(body, pool="cls"), tokenizer
