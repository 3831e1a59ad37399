"""The runs of a grid: one encoder to be made, and one encoder adapted to a data set with a head."""

from dataclasses import dataclass
from typing import Any

from sista.files import digest


@dataclass(frozen=True)
class PretrainRun:
    """One encoder to be made."""

    budget: str
    variant: str
    method: str
    settings: dict[str, Any]
    encoder: str
    family: str
    corpus: str
    seed: int

    @property
    def key(self) -> str:
        """Path part that names the run."""
        place = f"{self.budget}/{self.variant}/{self.encoder}/{self.corpus}"
        return f"{place}/seed{self.seed}"

    @property
    def checkpoint(self) -> str:
        """Path of the encoder below the project's root."""
        return f"results/pretrain/{self.key}/encoder.safetensors"

    @property
    def settings_hash(self) -> str:
        """Names method and settings."""
        return digest({"method": self.method, **self.settings})


@dataclass(frozen=True)
class AdaptRun:
    """One job: an encoder on a data set with a head, all label fractions and draws."""

    protocol: str
    dataset: str
    task: str
    head: str
    pretrain: PretrainRun
    draws: tuple[int, ...]
    fractions: tuple[int, ...]

    @property
    def predictions(self) -> str:
        """Path of the predictions below the project's root."""
        place = f"{self.protocol}/{self.dataset}/{self.head}/{self.pretrain.key}"
        return f"results/adapt/{place}/predictions.parquet"

    @property
    def words(self) -> dict[str, str | int]:
        """What the metadata of its predictions must say, by key."""
        own = {"protocol": self.protocol, "dataset": self.dataset, "task": self.task}
        names = ("method", "variant", "encoder", "family", "corpus", "budget", "seed")
        return {**own, "head": self.head, **{n: getattr(self.pretrain, n) for n in names}}

    @property
    def variant(self) -> str:
        """Of the pre-training run."""
        return self.pretrain.variant

    @property
    def encoder(self) -> str:
        """Of the pre-training run."""
        return self.pretrain.encoder

    @property
    def seed(self) -> int:
        """Of the pre-training run."""
        return self.pretrain.seed
