"""Image encoder, report encoder and projections, put together for an objective."""

from copy import deepcopy

import torch
from torch import Tensor, nn

from sista.encoders.image import ImageEncoder, ImageFeatures, normalise
from sista.encoders.text import TextEncoder, TextFeatures
from sista.engine.batches import Batch
from sista.engine.interface import Embedded, HeadNorm, Needs
from sista.engine.patches import PatchHead


class PretrainModel(nn.Module):
    """Everything that is trained except the objective's own parameters.

    Args:
        image: image encoder.
        text: report encoder, or None.
        needs: of the objective.
        classes: number of finding labels.
    """

    def __init__(
        self, image: ImageEncoder, text: TextEncoder | None, needs: Needs, classes: int
    ) -> None:
        super().__init__()
        self.needs = needs
        self.image = image
        self.text = text
        width = needs.width
        form = (width, needs.head_norm, needs.projector)
        if text is not None or needs.image:
            self.image_head = _projection(image.dim, *form)
        if text is not None:
            self.text_head = _projection(text.dim, *form)
            text.requires_grad_(not needs.freeze_text)
            if needs.words or needs.sentences or needs.patches:
                patch = (needs.patch_stride, width, needs.top_down, needs.centre_patches)
                self.patch_head = PatchHead(image, *patch)
            if needs.words or needs.sentences:
                self.word_head = nn.Linear(text.dim, width)
        if needs.classifier:
            self.classifier = _classifier(image.dim, classes, needs.head_norm)
        if needs.pixels:
            self.pixel_head = _projection(image.map_channels[-1], width, "none", "mlp")
        if needs.momentum:
            self.target = MomentumTarget(image, self.pixel_head)

    def train(self, mode: bool = True) -> "PretrainModel":
        """Switch between training and evaluation; a frozen text encoder stays in evaluation."""
        super().train(mode)
        if self.text is not None and self.needs.freeze_text:
            self.text.eval()
        return self

    def embed_images(self, images: Tensor) -> Tensor:
        """Return the projected global features `[B, D]` of images `[B, S, S]`."""
        embedding: Tensor = self.image_head(self.image(normalise(images, self.image)).pooled)
        return embedding

    def start_at(self, labels: Tensor) -> None:
        """Start the classifier at the frequency of each label, so that no step is spent on it.

        Args:
            labels: `[N, C]` 1/0/NaN of the training studies.
        """
        if self.needs.classifier:
            known = ~torch.isnan(labels)
            # Laplace's rule of succession: a label that none or all have still has a finite logit.
            positive = labels.nan_to_num().sum(0) + 1.0
            frequency = positive / (known.sum(0) + 2.0)
            with torch.no_grad():
                self.classifier.get_parameter("1.bias").copy_(torch.logit(frequency))

    def forward(self, batch: Batch) -> Embedded:
        """Embed a batch as far as the objective needs it."""
        e = self.project(self.encode(batch))
        return e._replace(similarity=batch.similarity if batch.similarity.numel() else None)

    def encode(self, batch: Batch) -> Embedded:
        """Return what depends on one pair alone; the engine calls this for parts of a batch.

        Global features and the cells of maps are as the encoders give them: `project` maps them.
        What looks at several pairs at once (a norm over the batch, say) belongs into `project`.
        """
        attention = self.needs.attention
        features = self.image(normalise(batch.images, self.image), attention=attention)
        e = Embedded(
            labels=batch.labels if self.needs.labels else None,
            rows=batch.rows,
            features=features.pooled if self.needs.features else None,
            boxes=batch.boxes,
            normal=batch.normal,
        )
        if self.needs.classifier:
            e = e._replace(logits=features.pooled)
        if self.text is not None or self.needs.image:
            e = e._replace(image=features.pooled)
        if batch.second is not None:
            e = self._second_view(e, features, batch.images, batch.second)
        if self.text is not None:
            e = self._report(e, features, batch)
        return Embedded(*(None if part is None else single(part) for part in e))

    def _second_view(
        self, e: Embedded, features: ImageFeatures, images: Tensor, second: Tensor
    ) -> Embedded:
        other = self.image(normalise(second, self.image))
        if self.needs.image:
            e = e._replace(second=other.pooled)
        if self.needs.pixels:
            e = e._replace(pixels=cells(features), second_pixels=cells(other))
        if self.needs.momentum:
            e = e._replace(
                target_pixels=self.target(images), target_second_pixels=self.target(second)
            )
        return e

    def _report(self, e: Embedded, features: ImageFeatures, batch: Batch) -> Embedded:
        assert self.text is not None  # noqa: S101 (tells mypy)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.needs.freeze_text):
            attention = self.needs.attention
            text = self.text(batch.ids, batch.length, batch.chunks, attention=attention)
        e = e._replace(report=text.pooled)
        if self.needs.words or self.needs.sentences or self.needs.patches:
            patches = self.patch_head(features.maps)
            e = e._replace(patches=patches, patch_attention=features.attention)
        if self.needs.words:
            e = e._replace(**self._words(text, batch))
        if self.needs.sentences:
            pieces = batch.sentence_pieces
            total = sum_pieces(single(text.tokens), batch.sentence, pieces.shape[1])
            mean = total / pieces.clamp_min(1).unsqueeze(-1)
            e = e._replace(sentences=self.word_head(mean), sentence_mask=pieces > 0)
        return e

    def _words(self, text: TextFeatures, batch: Batch) -> dict[str, Tensor]:
        ids, mask, count = batch.word_ids, batch.word_ids >= 0, batch.word_count
        # Half precision would round after each piece that is added.
        words = sum_pieces(single(text.tokens), batch.slot, ids.shape[1])
        looks = text.attention
        if looks is not None:
            looks = sum_pieces(looks.unsqueeze(-1), batch.slot, ids.shape[1]).squeeze(-1)
        if self.needs.cls_word:
            words = torch.cat([text.tokens[:, :1], words], 1)
            ids = nn.functional.pad(ids, (1, 0), value=-1)
            mask = nn.functional.pad(mask, (1, 0), value=True)
            count = count + 1
            if looks is not None and text.attention is not None:
                looks = torch.cat([text.attention[:, :1], looks], 1)
        parts = {"words": self.word_head(words), "word_mask": mask, "word_ids": ids}
        parts["word_count"] = count
        return parts if looks is None else parts | {"word_attention": looks}

    def project(self, e: Embedded) -> Embedded:
        """Map global features and cells into the shared space, over all pairs that contrast.

        The engine calls this once a step, with the pairs of all chunks and processes together: so
        batch norm takes its statistics over the whole contrastive batch.
        """
        heads = {
            "logits": "classifier",
            "image": "image_head",
            "second": "image_head",
            "report": "text_head",
            "pixels": "pixel_head",
            "second_pixels": "pixel_head",
        }
        for part, head in heads.items():
            value = getattr(e, part)
            if value is not None:
                e = e._replace(**{part: over_rows(value, getattr(self, head))})
        if e.target_pixels is None or e.target_second_pixels is None:
            return e
        with torch.no_grad():
            first, second = (
                over_rows(v, self.target.pixel_head)
                for v in (e.target_pixels, e.target_second_pixels)
            )
        return e._replace(target_pixels=first, target_second_pixels=second)


def single(value: Tensor) -> Tensor:
    """Return half precision as single: losses and norms are computed in at least that."""
    return value.float() if value.dtype in (torch.float16, torch.bfloat16) else value


class MomentumTarget(nn.Module):
    """A copy of image encoder and pixel projection that has no gradient and follows slowly.

    Args:
        image: encoder that it follows.
        pixel_head: projection that it follows.
    """

    def __init__(self, image: ImageEncoder, pixel_head: nn.Module) -> None:
        super().__init__()
        self.image = deepcopy(image).requires_grad_(False)
        self.pixel_head = deepcopy(pixel_head).requires_grad_(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Return the cells `[B, P, F]` of images `[B, S, S]`, which `pixel_head` has to map."""
        return cells(self.image(normalise(images, self.image)))

    @torch.no_grad()
    def follow(self, image: nn.Module, pixel_head: nn.Module, momentum: float) -> None:
        """Move each parameter to `momentum` times its own value plus the rest of the followed one.

        The running statistics of norms are its own, since it sees every batch too.
        """
        for ours, theirs in ((self.image, image), (self.pixel_head, pixel_head)):
            for own, other in zip(ours.parameters(), theirs.parameters(), strict=True):
                # Momentum contrast (He et al. 2020, equation 2).
                own.lerp_(other, 1.0 - momentum)


def sum_pieces(tokens: Tensor, slot: Tensor, words: int) -> Tensor:
    """Sum the pieces of each word by one indexed add (GLoRIA sums them by a Python loop).

    Args:
        tokens: `[B, T, D]` embeddings of word pieces.
        slot: `[B, T]` word of each piece; `words` for a piece that is dropped.
        words: number of word slots.

    Returns:
        `[B, words, D]`, 0 at unused slots.
    """
    batch, _, width = tokens.shape
    offset = torch.arange(batch, device=tokens.device)[:, None] * (words + 1)
    out = tokens.new_zeros(batch * (words + 1), width)
    # In place: the copy of the zeros would take half the time.
    out.index_add_(0, (slot + offset).flatten(), tokens.flatten(0, 1))
    return out.view(batch, words + 1, width)[:, :words]


def cells(features: ImageFeatures) -> Tensor:
    """Return the cells `[B, P, F]` of the last feature map, row by row."""
    return features.maps[-1].flatten(2).transpose(1, 2)


def over_rows(value: Tensor, head: nn.Module) -> Tensor:
    """Return `head` of the vectors `[..., F]`, all of them as one batch."""
    projected: Tensor = head(value.flatten(0, -2))
    return projected.view(*value.shape[:-1], -1)


def _classifier(inputs: int, classes: int, norm: HeadNorm) -> nn.Sequential:
    """Return a classifier under the same norm as the projections of the other methods."""
    linear = nn.Linear(inputs, classes)
    # Small, so that the first logits are the frequencies that `start_at` writes into the bias.
    nn.init.normal_(linear.weight, std=0.01)
    return nn.Sequential(_norm(inputs, norm), linear)


def _projection(inputs: int, width: int, norm: HeadNorm, projector: str) -> nn.Sequential:
    linear: nn.Module = nn.Linear(inputs, width)
    if projector == "mlp":
        linear = nn.Sequential(nn.Linear(inputs, inputs), nn.BatchNorm1d(inputs), nn.ReLU(), linear)
    return nn.Sequential(linear, _norm(width, norm))


def _norm(width: int, norm: HeadNorm) -> nn.Module:
    """Return a norm without learned parameters."""
    if norm == "batch":
        return nn.BatchNorm1d(width, affine=False)
    if norm == "layer":
        return nn.LayerNorm(width, elementwise_affine=False)
    return nn.Identity()
