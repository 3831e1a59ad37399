"""Named sizes of the phantom. A preset with the same values always gives the same files."""

from collections.abc import Mapping
from dataclasses import dataclass

# The order fixes each layout's own random stream and its own range of patient numbers: append only.
LAYOUTS = (
    "mimic_cxr",
    "chexpert",
    "rsna_pneumonia",
    "siim_acr",
    "object_cxr",
    "covidx",
    "nih_chestxray14",
    "vindr_cxr",
    "vinbigdata",
    "iu_xray",
    "ms_cxr",
    "padchest",
    "chexpert_plus",
    "chexlocalize",
    "tbx11k",
    "chestx_det10",
    "candid_ptx",
    "montgomery_shenzhen",
    "jsrt",
    "rexgradient",
)
# Sets that show their layout; the seven before them are those that the suites train and test on.
FURTHER = LAYOUTS[7:]


@dataclass(frozen=True)
class Preset:
    """What one phantom release holds.

    Args:
        word: the origin in a data set reference such as `rsna_pneumonia@phantom`.
        seed: start of every random stream.
        size: shorter side of a film in pixels, at least 320.
        normal_share: share of studies without a finding, 0 to 1.
        studies: number of studies per layout.
    """

    word: str
    seed: int
    size: int
    normal_share: float
    studies: Mapping[str, int]

    def __post_init__(self) -> None:
        """Refuse values that the generator was not made for."""
        if self.size < 320:
            raise ValueError(f"size {self.size}: films are at least 320 px")
        if not 0 <= self.normal_share < 1:
            raise ValueError(f"normal_share {self.normal_share}: must lie in [0, 1)")
        unknown = sorted(set(self.studies) - set(LAYOUTS))
        if unknown:
            raise ValueError(f"unknown layouts {unknown}; known: {', '.join(LAYOUTS)}")


def _preset(word: str, normal_share: float = 0.35, seed: int = 20261122, **studies: int) -> Preset:
    # A plain dict: worker processes get a copy, and a mapping proxy cannot be sent to them.
    return Preset(word, seed=seed, size=320, normal_share=normal_share, studies=studies)


PRESETS: dict[str, Preset] = {
    "phantom": _preset(
        "phantom",
        mimic_cxr=1500,
        chexpert=1400,
        rsna_pneumonia=1000,
        siim_acr=600,
        object_cxr=500,
        covidx=500,
        nih_chestxray14=600,
        **dict.fromkeys(FURTHER, 400),
    ),
    "phantom_tiny": _preset(
        "phantom_tiny",
        mimic_cxr=160,
        chexpert=120,
        rsna_pneumonia=120,
        siim_acr=100,
        object_cxr=80,
        covidx=90,
        nih_chestxray14=120,
        **dict.fromkeys(FURTHER, 80),
    ),
    # Corpora with few and with many normal studies, for the ablation: false negatives are mostly
    # pairs of normal studies.
    "phantom_normal10": _preset("phantom_normal10", 0.10, mimic_cxr=1500),
    "phantom_normal60": _preset("phantom_normal60", 0.60, mimic_cxr=1500),
    # Studies that no encoder is trained on: small effects (where words look) need many patients.
    "phantom_fresh": _preset("phantom_fresh", seed=20261123, mimic_cxr=1500),
}
