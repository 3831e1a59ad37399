"""Budgets: the words that name how long, and with what optimiser, an encoder is pre-trained."""

from dataclasses import dataclass
from typing import Literal

from sista.files import UserError

Precision = Literal["no", "bf16", "fp16"]


@dataclass(frozen=True)
class Budget:
    """Training length and optimiser, the same for every method.

    Attributes:
        word: its name in grids and paths.
        epochs: passes over the corpus.
        batch: image-report pairs that contrast with each other.
        learning_rate: peak of the cosine schedule of AdamW.
        weight_decay: of AdamW, not on biases, norms and temperatures.
        warmup: share of the steps with a linear warm-up.
        tokens: longest report in word pieces, with [CLS] and [SEP].
        temperature_rate: factor on the learning rate of an objective's scalars: temperatures, and
            the biases of SigLIP and FaNe. Over a few hundred steps 1 leaves CLIP's 0.07 where it
            started, too sharp for untrained encoders.
        clip_gradient: largest norm of the gradient of encoders and projections; an objective's own
            parameters (attention of PRIOR, prototypes of MGCA, temperatures) are not counted.
        precision: of the encoders; `no` is float32, as losses and norms over the batch always are.
        chunk: pairs that one process embeds at a time, to bound memory; 0 = its whole share of the
            batch. Which pairs contrast does not depend on it.
        patience: stop after so many epochs without a lower validation loss, and keep the best
            epoch; 0 = train all epochs and keep the last.
        pairs: use at most this many training pairs (0 = all).
        flip: mirror images at random; off, since reports say left and right.
    """

    word: str
    epochs: int
    batch: int
    learning_rate: float
    weight_decay: float = 0.05
    warmup: float = 0.1
    tokens: int = 112
    temperature_rate: float = 1.0
    clip_gradient: float = 1.0
    precision: Precision = "no"
    chunk: int = 0
    patience: int = 0
    pairs: int = 0
    flip: bool = False


_BUDGETS = (
    # Seconds: only to see that everything runs.
    Budget("tiny", epochs=1, batch=16, learning_rate=1e-3, tokens=64, temperature_rate=20.0),
    # A minute or two for small encoders on one core: the phantom and open suites.
    Budget("quick", epochs=10, batch=32, learning_rate=1e-3, tokens=96, temperature_rate=20.0),
    # PROTOCOLS.md section 3: what the family of papers uses. Early stopping as its linear probes.
    Budget("paper", epochs=50, batch=144, learning_rate=2e-5, precision="bf16", patience=10),
)
BUDGETS: dict[str, Budget] = {budget.word: budget for budget in _BUDGETS}


def find_budget(word: str) -> Budget:
    """Return the budget of this word; an unknown word is answered with the valid ones."""
    if word not in BUDGETS:
        raise UserError(f"unknown budget {word!r}; valid: {', '.join(BUDGETS)}")
    return BUDGETS[word]
