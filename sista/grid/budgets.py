"""Budgets: the words that name how long, and with what optimiser, an encoder is pre-trained.

A budget that only shows that everything runs also shortens and narrows the heads.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from sista.errors import UserError, check_range

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
        head_steps: most training steps of a head, in one pass over its images, judged once on the
            validation split where the protocol judges; 0 = what the protocol says.
        head: settings of heads in place of the protocol's, by head.
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
    head_steps: int = 0
    head: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse numbers that would train nothing, or something else than they say.

        Raises:
            UserError: names the number and its range.
        """
        for name in ("epochs", "batch"):
            check_range(f"budget {self.word}: {name}", getattr(self, name), 1)
        # [CLS], one piece and [SEP].
        check_range(f"budget {self.word}: tokens", self.tokens, 3)
        for name in ("chunk", "patience", "pairs", "head_steps", "weight_decay"):
            check_range(f"budget {self.word}: {name}", getattr(self, name), 0)
        check_range(f"budget {self.word}: temperature_rate", self.temperature_rate, 0)
        for name in ("learning_rate", "clip_gradient"):
            if getattr(self, name) == 0:
                raise UserError(f"budget {self.word}: {name}: 0 trains nothing, must be above 0")
            check_range(f"budget {self.word}: {name}", getattr(self, name), 0)
        check_range(f"budget {self.word}: warmup", self.warmup, 0, 1)
        valid = get_args(Precision)
        if self.precision not in valid:
            raise UserError(
                f"budget {self.word}: unknown precision {self.precision!r}; "
                f"valid: {', '.join(valid)}"
            )
        # The record would name what did not happen.
        for name, idle, why in (
            ("patience", self.epochs == 1, "the only epoch is the best"),
            ("chunk", self.chunk >= self.batch, f"a batch has {self.batch} pairs"),
        ):
            if getattr(self, name) and idle:
                raise UserError(
                    f"budget {self.word}: {name} {getattr(self, name)} would change nothing: {why}"
                )


_BUDGETS = (
    # Seconds: only to see that everything runs.
    Budget(
        "tiny",
        epochs=1,
        batch=16,
        learning_rate=1e-3,
        tokens=64,
        temperature_rate=20.0,
        head_steps=3,
        head={
            "unet": {"channels": 32, "steps": 3},
            "setr_pup": {"channels": 16, "steps": 3},
            "yolov3": {"channels": 32, "boxes": 20},
        },
    ),
    # A step or two of everything at full width: whether real encoders and heads fit this machine.
    Budget("once", epochs=1, batch=4, learning_rate=2e-5, tokens=64, pairs=8, head_steps=1),
    # A minute or two for small encoders on one core: the phantom and open suites. Long enough that
    # every method leaves the plateau at its start before 40 % of it (benchmarks/regime).
    Budget(
        "quick",
        epochs=14,
        batch=32,
        learning_rate=1e-3,
        warmup=0.05,
        tokens=96,
        temperature_rate=20.0,
    ),
    # Both towers are pre-trained already: a tenth of the rate, so that it is adapted, not lost.
    Budget(
        "continued",
        epochs=8,
        batch=32,
        learning_rate=1e-4,
        tokens=96,
        temperature_rate=20.0,
    ),
    # What MGCA's code uses (benchmarks/mgca_v1.md says where it differs).
    Budget(
        "paper",
        epochs=50,
        batch=144,
        learning_rate=2e-5,
        warmup=0.4,
        precision="bf16",
        patience=5,
    ),
)
BUDGETS: dict[str, Budget] = {budget.word: budget for budget in _BUDGETS}
# Half as many epochs again: a method at the compute of one that costs half more.
BUDGETS["quick_longer"] = replace(BUDGETS["quick"], word="quick_longer", epochs=21)


def find_budget(word: str) -> Budget:
    """Return the budget of this word; an unknown word is answered with the valid ones."""
    if word not in BUDGETS:
        raise UserError(f"unknown budget {word!r}; valid: {', '.join(BUDGETS)}")
    return BUDGETS[word]
