"""PRIOR's alignment (Cheng et al. 2023, ICCV): whole reports, and sentences with patches.

`L = L_global + L_text + L_image` (the first stage of its released training): InfoNCE; each
sentence against the others of its report, by what it saw in the image through sigmoid attention;
each patch against what it saw in the text, SimSiam without negatives.

What differs from the source, and why: the reconstruction of masked images and of sentence
prototypes, which need decoders, are left out, so this is its local part with a global anchor; the
report embedding is that of all rows of a table (source: attention over sentences), as is the head
norm; temperatures stay within [0.01, 1] (source: no bounds).
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sista.engine.interface import Embedded, HeadNorm, Needs, Objective, Temperature, required
from sista.losses.info_nce import info_nce
from sista.losses.prior import patch_agreement, sentence_contrast, sigmoid_attention

# Settings that act only beside others, see `registry.check_settings`.
ACTS = {
    "temperature head_norm": "w_global",
    "local_temperature": "w_text",
    "learn_temperature": "w_global or w_text",
}


class LocalAlignment(nn.Module):
    """Sigmoid attention between patches and sentences, and the predictor of the image side.

    Args:
        width: dimensions of patches and sentences.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        sides = ("image", "text")
        self.query, self.key, self.value = (
            nn.ModuleDict({side: nn.Linear(width, width) for side in sides}) for _ in range(3)
        )
        half = max(width // 2, 1)
        self.predictor = nn.Sequential(nn.Linear(width, half), nn.ReLU(), nn.Linear(half, width))

    def contexts(self, patches: Tensor, sentences: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return what each sentence saw in the image `[B, S, D]`, and each patch in the text.

        Args:
            patches: `[B, P, D]`.
            sentences: `[B, S, D]`.
            mask: `[B, S]` bool.
        """
        query, key, value = self.query, self.key, self.value
        seen = sigmoid_attention(
            query["text"](sentences), key["image"](patches), value["image"](patches)
        )
        read = sigmoid_attention(
            query["image"](patches), key["text"](sentences), value["text"](sentences), mask
        )
        return seen, read

    def forward(
        self, patches: Tensor, sentences: Tensor, mask: Tensor, temperature: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the losses of the text side and of the image side, one per report `[B]`."""
        seen, read = self.contexts(patches, sentences, mask)
        text = sentence_contrast(seen, sentences, mask, temperature=temperature)
        return text, patch_agreement(patches, read, self.predictor)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of `prior`.

    Attributes:
        w_global: weight of the image-report level.
        w_text: weight of the contrast among sentences.
        w_image: weight of the agreement of patches.
        temperature: first value of the global level (0.01 in the source's configuration, 0.1 in
            its class).
        local_temperature: first value of the contrast among sentences, likewise.
        learn_temperature: whether both are learned (source: yes).
        width: dimensions of the shared space (source: 768).
        head_norm: norm after the global projections (source: none).
    """

    w_global: float = 1.0
    w_text: float = 1.0
    w_image: float = 1.0
    temperature: float = 0.01
    local_temperature: float = 0.01
    learn_temperature: bool = True
    width: int = 128
    head_norm: HeadNorm = "batch"


class _Prior(Objective):
    def __init__(self, settings: Settings) -> None:
        s = self.settings = settings
        super().__init__(Needs(text=True, sentences=True, width=s.width, head_norm=s.head_norm))
        self.global_temperature = Temperature(s.temperature, s.learn_temperature)
        self.local_temperature = Temperature(s.local_temperature, s.learn_temperature)
        self.local = LocalAlignment(s.width)

    def forward(self, e: Embedded) -> dict[str, Tensor]:
        """Return the three losses and their weighted sum."""
        whole = info_nce(
            required(e.image), required(e.report), temperature=self.global_temperature()
        )
        mask = required(e.sentence_mask)
        text, image = self.local(
            required(e.patches), required(e.sentences), mask, self.local_temperature()
        )
        # A report without a sentence has nothing that its patches could read.
        image = torch.where(mask.any(1), image, 0.0)
        parts = {"global": whole, "text": text.mean(), "image": image.mean()}
        s = self.settings
        levels = zip((s.w_global, s.w_text, s.w_image), parts.values(), strict=True)
        return {"loss": sum((w * part for w, part in levels), whole.new_zeros(())), **parts}


def prior(**settings: Any) -> Objective:
    """Return the objective of PRIOR's alignment stage; `Settings` lists the settings."""
    return _Prior(Settings(**settings))
