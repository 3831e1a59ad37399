"""What is logged about a model on validation batches: geometry of the embeddings, gradients."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from sista.encoders.image import ImageFeatures
from sista.engine.batches import Batch
from sista.engine.gradients import Differentiator
from sista.engine.interface import Embedded


def geometry(e: Embedded) -> dict[str, Tensor]:
    """Return scalars about the global embeddings of a batch; none where there are no two sides.

    `spread_*`: mean standard deviation of the unit vectors, 0 for a collapse; `alignment`: mean
    squared distance of the pairs, and `uniformity_*`: log of the mean of exp(-2 squared distance)
    of different studies (Wang & Isola 2020); `modality_gap`: distance of the two means (Liang et
    al. 2022).
    """
    if e.image is None or e.report is None:
        return {}
    image, report = F.normalize(e.image, dim=1), F.normalize(e.report, dim=1)
    return {
        "spread_image": image.std(0).mean(),
        "spread_report": report.std(0).mean(),
        "alignment": (image - report).square().sum(1).mean(),
        "uniformity_image": _uniformity(image),
        "uniformity_report": _uniformity(report),
        "modality_gap": torch.linalg.vector_norm(image.mean(0) - report.mean(0)),
    }


def pair_auroc(e: Embedded) -> Tensor:
    """Return how often an image is nearer to its own report than to another's; 0.5 is chance.

    Of image-only methods the second view takes the report's place. Of classifiers: how often a
    study with a finding is above one without it, mean over the findings.
    """
    if e.logits is not None and e.labels is not None:
        higher = (e.logits[:, None] > e.logits[None]).float()
        compared = ((e.labels[:, None] == 1) & (e.labels[None] == 0)).float()
        return ((higher * compared).sum((0, 1)) / compared.sum((0, 1))).nanmean()
    image, other = e.image, e.second if e.report is None else e.report
    if e.pixels is not None and e.second_pixels is not None:
        image, other = e.pixels.mean(1), e.second_pixels.mean(1)
    if image is None or other is None:
        return torch.tensor(torch.nan)
    cosines = F.normalize(image, dim=1) @ F.normalize(other, dim=1).T
    own = cosines.diagonal()[:, None]
    wins = (own > cosines).float() + 0.5 * (own == cosines).float()
    count = len(cosines)
    return (wins.sum() - 0.5 * count) / (count * (count - 1))


def _uniformity(unit: Tensor) -> Tensor:
    oneself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    # |a - b|^2 = 2 - 2 a.b for unit vectors; infinite for oneself, whose exponential is then 0.
    squared = (2.0 - 2.0 * unit @ unit.T).masked_fill(oneself, torch.inf)
    others = max(len(unit) * (len(unit) - 1), 1)
    return ((-2.0 * squared).exp().sum() / others).log()


def token_gradients(trained: Differentiator, batch: Batch) -> dict[str, Tensor]:
    """Return the norms of the gradients of an objective's levels at the image tokens.

    The tokens are what global feature and patches are made of: the last block's tokens of a ViT,
    the map of a ResNet that the patches come from. `gradient_<level>` is the norm of the weighted
    level's gradient; `gradient_ratio` that of the last level over that of the first.
    """
    model, objective = trained.model, trained.objective
    if len(objective.levels) < 2:
        return {}
    seen: list[Tensor] = []

    def keep(_: object, __: object, features: ImageFeatures) -> None:
        level = model.image.patch_map(model.needs.patch_stride)
        seen.append(features.maps[level] if features.tokens is None else features.tokens)

    handle = model.image.register_forward_hook(keep)
    try:
        with torch.enable_grad():
            parts = objective(trained.embed(batch))
            norms = {
                f"gradient_{name}": weight
                * torch.linalg.vector_norm(
                    torch.autograd.grad(parts[name], seen[0], retain_graph=True)[0]
                )
                for name, weight in objective.levels.items()
            }
    finally:
        handle.remove()
    # A first gradient of 0 (a collapse) gives a large ratio, no NaN.
    first, *_, last = norms.values()
    return norms | {"gradient_ratio": last / first.clamp_min(torch.finfo(first.dtype).tiny)}
