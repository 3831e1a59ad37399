"""Report encoders: a small BERT with random weights, or any transformers folder or hub id."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoTokenizer, BertConfig, BertModel

from sista.encoders.chunks import ReportChunk
from sista.encoders.packing import NAME, PACKS, Packed, positions, spread
from sista.errors import UserError
from sista.text.hub import reach
from sista.text.transformer import MINILM, parse

Pool = Literal["mean", "cls"]
SMALL = "bert_tiny"
# Kinds of models that a checkpoint may describe.
RESTORED = tuple(
    "albert bert camembert deberta deberta-v2 distilbert electra modernbert mpnet roberta "
    "xlm-roberta".split()
)
# What in a transformers configuration names code, kernels or files that lie elsewhere.
FOREIGN = frozenset(
    "auto_map name_or_path _name_or_path attn_implementation _attn_implementation "
    "_attn_implementation_internal experts_implementation _experts_implementation "
    "quantization_config custom_pipelines _commit_hash".split()
)


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
        chunks: Sequence[ReportChunk] | Packed = (),
        *,
        attention: bool = False,
    ) -> TextFeatures:
        """Encode reports of very different lengths without computing most of the padding.

        Args:
            ids: `[B, T]` token ids.
            length: `[B]` real tokens of each row.
            chunks: how the reports, sorted by length, are cut into what is encoded together, or
                where their tokens lie in one row; empty: neither. What is computed for a report
                does not depend on it.
            attention: also return the attention of [CLS].

        Raises:
            UserError: attention is asked of a model that is not built like BERT.
        """
        if isinstance(chunks, Packed):
            tokens, looks = self._encode_packed(ids, length, chunks, attention)
        elif not chunks:
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
        config: Any = self.body.config
        if config._attn_implementation in ("sdpa", NAME):
            # With four dimensions the model takes it as it is; of two it would ask the device
            # whether all are True, and wait.
            given = None if full else mask[:, None, None]
        out = self.body(input_ids=ids, attention_mask=given, output_hidden_states=attention)
        looks = self._cls_attention(out.hidden_states[-2], mask) if attention else None
        return out.last_hidden_state, looks

    def _encode_packed(
        self, ids: Tensor, length: Tensor, packed: Packed, attention: bool
    ) -> tuple[Tensor, Tensor | None]:
        body: Any = self.body
        if body.config.model_type not in PACKS:
            return self._encode(ids, length, attention, False)
        if body.config._attn_implementation != NAME:
            body.set_attn_implementation(NAME)
        # RoBERTa's models number positions from behind that of padding.
        padding = body.embeddings.position_embeddings.padding_idx
        out = body(
            input_ids=ids.flatten().index_select(0, packed.where)[None],
            position_ids=positions(packed, 0 if padding is None else padding + 1),
            output_hidden_states=attention,
            packed=packed,
        )
        states = out.hidden_states[-2] if attention else None
        looks = None if states is None else spread(states[0].detach(), packed)
        looks = None if looks is None else self._cls_attention(looks, packed.real)
        return spread(out.last_hidden_state[0], packed), looks

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
    """Return a transformers model and its fast tokenizer: `minilm`, a folder or a hub id.

    Raises:
        UserError: it cannot be loaded.
    """
    # Sentence encoders were trained on the mean of all tokens, BERT and its kin on [CLS].
    pool: Pool = "mean" if name == MINILM else "cls"
    name = parse(name)[0] if name == MINILM else name
    if not os.path.isdir(name):
        reach()
    try:
        # A model that is no safetensors file is read without any class but torch's own tensors.
        body = AutoModel.from_pretrained(name, weights_only=True, trust_remote_code=False)
        tokenizer = AutoTokenizer.from_pretrained(
            name, use_fast=True, trust_remote_code=False
        ).backend_tokenizer
    except (OSError, ValueError) as error:
        raise UserError(
            f"text encoder {name!r} could not be loaded ({type(error).__name__}): give a folder "
            "that holds a transformers model, or download the hub id once with network access"
        ) from error
    return TextEncoder(body, pool), tokenizer


def architecture(encoder: TextEncoder) -> dict[str, Any]:
    """Return what `from_architecture` makes the encoder of again, as JSON values."""
    config = encoder.body.config.to_dict()  # type: ignore[union-attr, operator]
    return {"config": {k: v for k, v in config.items() if k not in FOREIGN}, "pool": encoder.pool}


def from_architecture(described: Mapping[str, Any], weights: Mapping[str, Tensor]) -> TextEncoder:
    """Return the report encoder of a checkpoint; no file is read and no network asked.

    Args:
        described: what `architecture` gave.
        weights: of the encoder.

    Raises:
        ValueError: the description is none of a report encoder, or of another one than the weights.
    """
    values = {k: v for k, v in described["config"].items() if k not in FOREIGN}
    kind = values.pop("model_type")
    if kind not in RESTORED:
        raise ValueError(f"model type {kind!r}; there are: {', '.join(RESTORED)}")
    config = AutoConfig.for_model(kind, **values)
    # A layer has several tensors.
    if config.num_hidden_layers > len(weights):
        raise ValueError(f"{config.num_hidden_layers} layers")

    def made() -> TextEncoder:
        body = AutoModel.from_config(config, trust_remote_code=False)
        return TextEncoder(body, pool="cls" if described["pool"] == "cls" else "mean")

    # First without memory: what a file describes must not be larger than what it holds.
    with torch.device("meta"):
        wanted = made().state_dict()
    odd = set(wanted) ^ set(weights)
    odd |= {k for k in set(wanted) & set(weights) if wanted[k].shape != weights[k].shape}
    if odd:
        raise ValueError(f"weights of another form: {sorted(odd)[:3]}")
    encoder = made()
    encoder.load_state_dict(dict(weights))
    return encoder
