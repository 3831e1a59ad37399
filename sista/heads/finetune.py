"""Fine-tuning: the encoder and a linear layer on its pooled feature are trained together."""

from sista.heads.linear import linear

TASK = "classification"
ADAPTS = "tuned"
LEVELS: dict[str, tuple[int, ...]] = {"resnet": (), "vit": ()}
# MAE's recipe (He et al. 2022, table 9) in small; a protocol may name its own. Images are cut as
# those of the protocol's other heads.
TRAINING = {
    "learning_rate": 5e-4,
    "weight_decay": 0.05,
    "batch": 48,
    "iterations": 100,
    "cosine": True,
    "clip_gradient": 1.0,
    "layer_decay": 0.75,
}

# The same layer; what differs is what is trained below it.
finetune = linear
