"""Control: CLIP with a token level that reads no report: fixed random queries pick patches.

What it gains over `clip` comes from pushing the patches of a film apart, not from words.
"""

from typing import Literal

import torch
from torch import Tensor

from sista.engine.interface import Embedded, HeadNorm, Needs, required
from sista.losses.sparsify import Sparsify
from sista.losses.sta import Form, sta
from sista.methods.clip import Contrastive

CONTROL = True
ACTS = {"queries local_temperature sparsify patch_stride": "w_sta"}
RANGES = {"queries": (2, 4096), "local_temperature": (1e-6, 1e6)}


class _RandomQueries(Contrastive):
    queries: Tensor

    def __init__(
        self, needs: Needs, temperature: float, w_sta: float, queries: int, local: float, form: Form
    ) -> None:
        super().__init__(needs, temperature, learned=True)
        self.w_sta, self.local, self.form = w_sta, local, form
        # Of the run's seed, but not of its stream: the encoder starts as that of `clip` does.
        generator = torch.Generator().manual_seed(torch.initial_seed())
        self.register_buffer("queries", torch.randn(queries, needs.width, generator=generator))

    def forward(self, e: Embedded) -> dict[str, Tensor]:
        """Return the instance level, the token level and their weighted sum."""
        parts = super().forward(e)
        parts["sia"] = parts["loss"]
        parts["sta"] = self._tokens(required(e.patches))
        return parts | {"loss": parts["sia"] + self.w_sta * parts["sta"]}

    def _tokens(self, patches: Tensor) -> Tensor:
        queries = self.queries.expand(len(patches), -1, -1)
        every = queries.new_ones(queries.shape[:2], dtype=torch.bool)
        return sta(patches, queries, every, temperature=self.local, form=self.form)


def random_queries(
    *,
    w_sta: float = 1.0,
    queries: int = 24,
    temperature: float = 0.07,
    local_temperature: float = 0.07,
    sparsify: Sparsify = "minmax",
    patch_stride: Literal[8, 16] = 16,
    width: int = 128,
    head_norm: HeadNorm = "batch",
) -> Contrastive:
    """Return the objective of the control.

    `L = L_CLIP + w_sta L_STA`, where STA is the literal form (`sista_literal` of the grids) on
    queries that are drawn once and are the same for every film.

    Args:
        w_sta: weight of the token level.
        queries: their number; 24 is about the number of words of a report.
        temperature: first value of the instance level, learned.
        local_temperature: of the token level, fixed.
        sparsify: how a query's scores become few patches.
        patch_stride: pixels a patch: a ResNet map of this stride (a ViT has one patch size).
        width: dimensions of the shared space.
        head_norm: norm after the global projections.
    """
    needs = Needs(
        text=True, patches=True, patch_stride=patch_stride, width=width, head_norm=head_norm
    )
    return _RandomQueries(needs, temperature, w_sta, queries, local_temperature, Form(sparsify))
