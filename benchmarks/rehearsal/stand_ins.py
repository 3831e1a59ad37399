"""What a rehearsal of the paper grid has in place of licensed data and downloads.

    python -m benchmarks.rehearsal.stand_ins --out FOLDER

writes FOLDER/data, phantom films in the raw layouts of the six licensed data sets under their own
words (`export SISTA_DATA=FOLDER/data`), and FOLDER/imagenet_ENCODER.safetensors, random weights
with timm's keys. Files that are there are kept.
"""

import argparse
from pathlib import Path

import torch
from safetensors.torch import save_file

from sista.encoders.image import ImageEncoder
from sista.encoders.specs import encoder_spec
from sista.files import atomic
from sista.phantom.presets import Preset
from sista.phantom.write import write

# As many as it takes for 1 % of the training films to hold what a head needs.
STUDIES = {
    "mimic_cxr": 160,
    "chexpert": 600,
    "rsna_pneumonia": 280,
    "siim_acr": 480,
    "object_cxr": 260,
    "covidx": 420,
}
ENCODERS = ("resnet_tiny", "vit_tiny_224")


def write_trees(folder: Path, threads: int = 1) -> None:
    """Write the raw trees.

    Args:
        folder: for SISTA_DATA.
        threads: processes.
    """
    preset = Preset("rehearsal", seed=20261124, size=320, normal_share=0.35, studies=STUDIES)
    for layout in STUDIES:
        if not (folder / layout).is_dir():
            write(layout, preset, folder / layout, threads)


def write_weights(path: Path, word: str, seed: int = 1) -> None:
    """Write random weights of an encoder as timm would give them, with its classifier.

    Args:
        path: file to write.
        word: of the encoder.
        seed: of the weights.
    """
    torch.manual_seed(seed)
    encoder = ImageEncoder(encoder_spec(word))
    state = {key: value.contiguous() for key, value in encoder.body.state_dict().items()}
    name = encoder.body.default_cfg["classifier"]
    state |= {f"{name}.weight": torch.randn(1000, encoder.dim), f"{name}.bias": torch.zeros(1000)}
    with atomic(path) as temporary:
        save_file(state, temporary)


def main() -> None:
    """Write everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    write_trees(given.out / "data", given.threads)
    for word in ENCODERS:
        write_weights(given.out / f"imagenet_{word}.safetensors", word)


if __name__ == "__main__":
    main()
