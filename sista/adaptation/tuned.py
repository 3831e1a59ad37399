"""Heads whose encoder is trained too: every head starts from its own copy of the encoder."""

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.model import BaseModel
from timm.optim import param_groups_layer_decay
from torch import Tensor, nn

from sista.adaptation import frozen
from sista.adaptation.job import Job, Outcome
from sista.encoders.features import check_size, half_on_gpu, prepare_images
from sista.encoders.image import ImageEncoder
from sista.errors import UserError
from sista.openmmlab.training import PassThrough
from sista.protocols._base import Settings
from sista.runs.container import read_container
from sista.runs.record import known


class ImageStore:
    """The images of a job as the encoder takes them, scaled once.

    Attributes:
        levels: maps that the head takes; none = the pooled feature.
        device: where images are given.

    Args:
        job: the job.
        zoom: see `Settings`.
    """

    def __init__(self, job: Job, zoom: float) -> None:
        container = job.asked.manifest.with_suffix(".images.npy")
        # Its hash is checked against its record: a damaged file is refused.
        known(container)
        check_size(job.encoder, job.task.size)
        self.levels: tuple[int, ...] = ()
        self.maps = None
        self.device, self._encoder = job.device, job.encoder
        self._rows = [int(row) for row in job.task.frame["row"]]
        self._images = read_container(container, max(self._rows))
        self._sides = (job.task.size, round(job.task.size * zoom))

    def inputs(self, positions: Sequence[int]) -> Tensor:
        """Return images `[B, 3, S, S]` at these positions of the task's frame."""
        pixels = self._images[[self._rows[i] for i in positions]]
        return prepare_images(pixels, self._encoder, *self._sides, self.device)


class TunedModel(BaseModel):  # type: ignore[misc]
    """An encoder under a head of its pooled feature.

    Args:
        encoder: trained too.
        head: takes pooled features `[B, D]`.
        settings: decide the learning rates of the layers, and the batch norms.
    """

    def __init__(self, encoder: ImageEncoder, head: BaseModel, settings: Settings) -> None:
        super().__init__(data_preprocessor=PassThrough())
        self.encoder, self.head, self.settings = encoder, head, settings

    def train(self, mode: bool = True) -> "TunedModel":
        """Switch the mode; frozen batch norms stay with the statistics of pre-training."""
        super().train(mode)
        if self.settings.batch_norms == "frozen":
            for module in self.encoder.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self

    def forward(self, inputs: Tensor, data_samples: Any = None, mode: str = "tensor") -> Any:
        """Encode images `[B, 3, S, S]` and give the head their pooled features."""
        with half_on_gpu(inputs.device):
            pooled = self.encoder(inputs).pooled
        # The head and its loss stay in single precision.
        return self.head(pooled.float(), data_samples, mode=mode)

    def parameter_groups(self) -> Iterator[dict[str, Any]]:
        """Yield the groups of the optimiser, each layer with its own learning rate.

        The head learns at the full rate; the encoder's last layer at `layer_decay` of it, the one
        below at its square, and so on (timm's rule). Biases, norms and what timm's model names
        (positions and class token of a ViT, as in MAE's recipe) have no weight decay there.
        """
        settings, body = self.settings, self.encoder.body
        yield {"params": list(self.head.parameters()), "lr": settings.learning_rate}
        groups = param_groups_layer_decay(
            body,
            settings.weight_decay,
            no_weight_decay_list=tuple(getattr(body, "no_weight_decay", tuple)()),
            layer_decay=settings.layer_decay,
        )
        for group in groups:
            scale = group["lr_scale"] * settings.layer_decay
            decay = group["weight_decay"]
            trained = [p for p in group["params"] if p.requires_grad]
            if trained:
                rate = settings.learning_rate * scale
                yield {"params": trained, "lr": rate, "weight_decay": decay}


def features(job: Job, levels: Sequence[int], zoom: float) -> ImageStore:
    """Return the job's images: features of a trained encoder cannot be kept."""
    if levels:
        raise UserError(f"head {job.asked.head}: a tuned head takes the pooled feature, no maps")
    return ImageStore(job, zoom)


def adapt(job: Job, draw: int, fraction: int, folder: Path) -> Outcome:
    """Train one head and its copy of the encoder, and predict; see `Job.adapt`."""
    rows, reason = job.training_rows(draw, fraction)
    if reason:
        return None, reason

    def make(settings: Settings) -> TunedModel:
        head = frozen.build(job, settings, fraction)
        encoder = copy.deepcopy(job.encoder).requires_grad_(True)
        model = TunedModel(encoder, head, settings)
        model.to(memory_format=torch.channels_last)
        return model

    return frozen.fit(job, draw, fraction, folder, rows, make)
