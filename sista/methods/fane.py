"""FaNe: sigmoid pairs in which similar reports are positives, sparse pooling, hard negatives.

`L = w_global L_global + w_intra L_intra + w_local L_local + w_sparse L_sparse`, formulas in
`sista.losses.fane`. Read from its public code (Aventador8/FaNe); the paper is not at hand.
"""

import math

import torch
from torch import Tensor, nn

from sista.engine.interface import Embedded, HeadNorm, Needs, Objective, required
from sista.losses.fane import fane_global, fane_intra, masked_mean, similarity_centre, within_report
from sista.text.similarity import ReportEncoder, ReportText

# Share of a new batch in the running centre of the similarities.
UPDATE = 0.05
# Settings that act only beside others, see `registry.check_settings`.
ACTS = {
    "published_bias": "w_global",
    "theta similarity r_text head_norm": "w_global or w_intra",
    "r_text": "similarity!=labels & similarity!=rule_labels",
}


class SparsePooling(nn.Module):
    """What each sentence finds in the image, through a learned mask over the patches.

    `M = sigmoid(gate([q; k]))` with one hidden layer, attention = `sigmoid(M q.k / sqrt(D))` (rows
    do not sum to one), context = layer norm of a projection of attention times values.

    Args:
        width: dimensions of patches and sentences.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.gate_hidden, self.gate_out = nn.Linear(2 * width, width), nn.Linear(width, 1)
        self.out = nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width))

    def forward(self, patches: Tensor, sentences: Tensor) -> tuple[Tensor, Tensor]:
        """Return contexts `[B, S, D]` and masks `[B, S, P]` in (0, 1).

        Args:
            patches: `[B, P, D]`.
            sentences: `[B, S, D]`.
        """
        query, key, value = self.query(sentences), self.key(patches), self.value(patches)
        # The first layer of the gate on [q; k] is a sum of two parts, so that pairs of sentence
        # and patch meet only after it.
        ours, theirs = self.gate_hidden.weight.chunk(2, dim=1)
        pairs = (query @ ours.T)[:, :, None] + (key @ theirs.T)[:, None] + self.gate_hidden.bias
        mask = torch.sigmoid(self.gate_out(pairs.relu()).squeeze(-1))
        scores = mask * (query @ key.transpose(1, 2)) / query.shape[-1] ** 0.5
        context: Tensor = self.out(torch.sigmoid(scores) @ value)
        return context, mask


class _Fane(Objective):
    centre: Tensor
    started: Tensor

    def __init__(self, needs: Needs, weights: dict[str, float], theta: float, bias: float) -> None:
        super().__init__(needs)
        self.weights = weights
        self.theta = theta
        self.scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        self.bias = nn.Parameter(torch.tensor(bias))
        self.pooling = SparsePooling(needs.width)
        self.register_buffer("centre", torch.zeros(()))
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))

    def forward(self, e: Embedded) -> dict[str, Tensor]:
        """Return the four parts and their weighted sum."""
        image, report = required(e.image), required(e.report)
        positive = self.recentred(required(e.similarity)) > self.theta
        sentences, mask = required(e.sentences), required(e.sentence_mask)
        context, gates = self.pooling(required(e.patches), sentences)
        parts = {
            "global": fane_global(
                image, report, positive, temperature=0.1, scale=self.scale, bias=self.bias
            ),
            "intra": fane_intra(image, report, positive, temperature=0.07, sharpness=0.07),
            "local": within_report(context, sentences, mask, temperature=0.07),
            "sparse": masked_mean(gates.mean(2), mask).mean(),
        }
        total = torch.stack([self.weights[name] * part for name, part in parts.items()]).sum()
        return {"loss": total, **parts}

    def recentred(self, similarity: Tensor) -> Tensor:
        """Return `(S - o) / (1 - o + 1e-6)` with o the running centre; training moves it."""
        new = similarity_centre(similarity)
        kept = self.centre.to(new.dtype)
        if self.training:
            moved = torch.where(self.started, (1 - UPDATE) * kept + UPDATE * new, new)
            self.centre.copy_(moved)
            self.started.fill_(True)
        else:
            moved = torch.where(self.started, kept, new)
        return (similarity - moved) / (1 - moved + 1e-6)


def fane(
    *,
    theta: float = 0.95,
    w_global: float = 1.0,
    w_intra: float = 1.0,
    w_local: float = 1.0,
    w_sparse: float = 1.0,
    similarity: ReportEncoder = "tfidf",
    r_text: ReportText = "cleaned",
    published_bias: bool = False,
    width: int = 128,
    head_norm: HeadNorm = "batch",
) -> Objective:
    """Return FaNe's objective.

    What differs: the source's bias starts at -10 with a sign that makes every negative start at a
    loss of 10; here it starts at +10, which is SigLIP's form. The similarity comes from an encoder
    that is at hand offline (source: pooled Bio_ClinicalBERT, raw text). The report embedding is
    that of every row (source: attention over sentences).

    Args:
        theta: re-centred similarity above which two reports say the same.
        w_global: weight of the sigmoid pairs.
        w_intra: weight of the hard negatives inside each modality.
        w_local: weight of the contrast between sentences and what they find in the image.
        w_sparse: weight of the mean mask.
        similarity: frozen encoder of the reports.
        r_text: what it looks at.
        published_bias: compatibility: the bias starts at -10 as in the public code.
        width: dimensions of the shared space.
        head_norm: norm after the global projections (source: none).
    """
    needs = Needs(
        text=True,
        sentences=True,
        similarity=similarity,
        r_text=r_text,
        width=width,
        head_norm=head_norm,
    )
    weights = {"global": w_global, "intra": w_intra, "local": w_local, "sparse": w_sparse}
    return _Fane(needs, weights, theta, -10.0 if published_bias else 10.0)
