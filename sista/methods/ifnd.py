"""IFND (Chen et al. 2022): SimCLR that leaves out false negatives found by clustering; no reports.

"Incremental False Negative Detection for Contrastive Learning": pseudo labels come from k-means of
all training images before each epoch; as the encoder gets better, more of them are believed.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from sklearn.cluster import KMeans
from torch import Tensor

from sista.engine.interface import Embedded, HeadNorm, Needs, Objective, Temperature, required
from sista.engine.views import ViewPolicy
from sista.errors import check_range
from sista.losses.nt_xent import nt_xent

UNKNOWN = -1
# Settings that act only beside others, see `registry.check_settings`.
ACTS = {
    "clusters": "acceptance",
}


class _Ifnd(Objective):
    pseudo: Tensor

    def __init__(self, needs: Needs, temperature: float, clusters: int, acceptance: float) -> None:
        super().__init__(needs)
        self.temperature = Temperature(temperature, False)
        check_range("clusters", clusters, 1)
        check_range("acceptance", acceptance, 0.0, 1.0)
        self.clusters = clusters
        self.acceptance = acceptance

    def prepare(self, studies: int) -> None:
        """Start without a pseudo label."""
        pseudo = torch.full((studies,), UNKNOWN, device=self.temperature.log.device)
        self.register_buffer("pseudo", pseudo)

    def before_epoch(self, embed: Callable[[], Tensor], progress: float) -> None:
        """Cluster the training images; believe a share of the labels that grows with training."""
        share = self.acceptance * progress
        if share > 0:
            labels = pseudo_labels(embed(), self.clusters, share, float(self.temperature()))
            self.pseudo.copy_(labels)

    def forward(self, e: Embedded) -> dict[str, Tensor]:
        """Return NT-Xent without the false negatives, and the share of pairs left out.

        In evaluation no study has a pseudo label, so this is SimCLR's loss.
        """
        first, second = required(e.image), required(e.second)
        alike = torch.zeros(len(first), len(first), dtype=torch.bool, device=first.device)
        if self.training:
            label = self.pseudo[required(e.rows)]
            alike = (label[:, None] == label) & (label != UNKNOWN)
        loss = nt_xent(first, second, temperature=self.temperature(), eliminate=alike)
        others = max(len(first) * (len(first) - 1), 1)
        left_out = (alike.sum() - alike.diagonal().sum()) / others
        return {"loss": loss, "eliminated": left_out}


def pseudo_labels(embedding: Tensor, clusters: int, share: float, temperature: float) -> Tensor:
    """Cluster unit vectors and keep the labels of the surest.

    The confidence of a label is the softmax of the cosines to the centres over the temperature.

    Args:
        embedding: `[N, D]`, normalised inside.
        clusters: number of clusters, at most N are made.
        share: of the N labels that are kept, in [0, 1].
        temperature: divides the cosines.

    Returns:
        `[N]` cluster of each, -1 where it is not sure enough.
    """
    unit = F.normalize(embedding.float(), dim=-1).cpu()
    count = min(clusters, len(unit))
    means = KMeans(count, n_init=1, random_state=0).fit(unit.numpy())
    centres = F.normalize(torch.from_numpy(means.cluster_centers_).float(), dim=-1)
    label = torch.from_numpy(means.labels_).long()
    confidence = torch.softmax(unit @ centres.T / temperature, 1).gather(1, label[:, None])[:, 0]
    kept = torch.argsort(confidence, descending=True, stable=True)[: round(share * len(unit))]
    believed = torch.full_like(label, UNKNOWN)
    believed[kept] = label[kept]
    return believed.to(embedding.device)


def ifnd(
    *,
    temperature: float = 0.1,
    clusters: int = 50,
    acceptance: float = 1.0,
    crop: float = 0.2,
    flip: bool = True,
    jitter: float = 0.4,
    blur: float = 0.5,
    width: int = 128,
    head_norm: HeadNorm = "batch",
) -> Objective:
    """Return IFND's objective.

    NT-Xent in which images of one pseudo label are no negatives of each other (`L_elim`, the
    source's better strategy). The share of labels that are believed, the surest first, grows
    linearly with the epochs. What differs: negatives are those of the batch, as in `simclr`
    (source: a momentum encoder and a queue); there is one clustering (source: several numbers of
    clusters); the first epoch believes none.

    Args:
        temperature: fixed.
        clusters: of k-means (source: thousands for ImageNet's thousand classes).
        acceptance: share of labels that would be believed after the last epoch.
        crop: smallest share of the image's area in a view.
        flip: mirror half of the views.
        jitter: brightness and contrast change by up to this share.
        blur: share of the views that are blurred.
        width: dimensions of the projection.
        head_norm: norm after the projection.
    """
    views = ViewPolicy(crop, flip, jitter, blur)
    needs = Needs(image=True, views=views, width=width, head_norm=head_norm, projector="mlp")
    return _Ifnd(needs, temperature, clusters, acceptance)
