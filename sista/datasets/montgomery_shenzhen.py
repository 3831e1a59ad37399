"""Montgomery County and Shenzhen (Jaeger et al., 2014): tuberculosis, lung masks."""

import re
from collections.abc import Iterator
from pathlib import Path

from sista.datasets._card import Dataset
from sista.datasets._download import RemoteFile
from sista.datasets._lungs import listed, lungs
from sista.errors import UserError
from sista.preparation.image_record import ImageRecord, LeftOut, only_records
from sista.preparation.masks import MaskFile

SETS = {"MCUCXR": "Montgomery", "CHNCXR": "Shenzhen"}
# NLM's archives, and Kaggle's packings of both.
FILMS = ("MontgomerySet", "ChinaSet_AllFiles", "Montgomery", "Shenzhen", "")
# What a folder holds by its name.
PLACES = {"ChinaSet_AllFiles": "Shenzhen", "": "Montgomery and Shenzhen"}
NAME = re.compile(r"(MCUCXR|CHNCXR)_(\d{4})_([01])")
# NLM has a mask for each lung of Montgomery; those of Shenzhen came later, one for both lungs.
LEFT = ("MontgomerySet/ManualMask/leftMask/{}.png", "ManualMask/leftMask/{}.png")
BOTH = tuple(
    f"{place}{folder}/{{}}{end}.png"
    for place in ("", "ChinaSet_AllFiles/", "Shenzhen/")
    for folder in ("masks", "mask")
    for end in ("_mask", "")
)
LABEL = "Tuberculosis"


def release(folder: Path) -> str | None:
    """Return which of the two sets a folder holds, None without a folder of their films."""
    found: set[str] = set()
    for place in FILMS:
        films = folder / place / "CXR_png"
        if films.is_dir():
            named = {word for word in SETS if next(films.glob(f"{word}_*.png"), None)}
            # Where archives are only listed their films are not there, but the folders are.
            found |= named or {word for word in SETS if SETS[word] in PLACES.get(place, place)}
    return " and ".join(SETS[word] for word in SETS if word in found) or None


def read(folder: Path) -> Iterator[ImageRecord]:
    """Yield one record per film; no patient is named, each film becomes one of its own."""
    return only_records(entries(folder))


def entries(folder: Path) -> Iterator[ImageRecord | LeftOut]:
    """Yield what `read` does, and how many films have no mask."""
    patterns = [f"{place}/CXR_png/*.png".lstrip("/") for place in FILMS]
    without: dict[str, int] = {}
    for path, row in listed(folder, patterns):
        named = NAME.fullmatch(row.file.stem)
        if named is None:
            raise UserError(f"{row.file}: not a file name of this data set; remove the file")
        mask = _mask(folder, row.file.stem)
        if mask is None:
            without[SETS[named[1]]] = without.get(SETS[named[1]], 0) + 1
        yield ImageRecord(
            image_id=row.file.stem,
            patient_id=None,
            path=path,
            where=str(row.file),
            labels={LABEL: float(named[3])},
            mask=mask,
        )
    for name, count in without.items():
        yield LeftOut("masks of the lungs", f"these films of {name} have none", count=count)


def _mask(folder: Path, stem: str) -> MaskFile | None:
    sides = [[place.format(stem) for place in LEFT]]
    sides.append([place.replace("left", "right") for place in sides[0]])
    return lungs(folder, *sides) or lungs(folder, [place.format(stem) for place in BOTH])


montgomery_shenzhen = Dataset(
    word="montgomery_shenzhen",
    title="the tuberculosis sets of Montgomery County and Shenzhen (NLM)",
    release=release,
    read=read,
    entries=entries,
    layout=(
        "MontgomerySet/CXR_png/*.png or ChinaSet_AllFiles/CXR_png/*.png, or both",
        "MontgomerySet/ManualMask/{leftMask,rightMask}/*.png",
        "ChinaSet_AllFiles/mask/*_mask.png (optional, from Kaggle)",
        "or CXR_png/*.png and masks/*.png (Kaggle's packing of both)",
    ),
    licence="NLM: research use with citation of both papers",
    access="open download",
    url="https://openi.nlm.nih.gov/faq#collection",
    citation="Jaeger et al., Two public chest X-ray datasets for computer-aided screening of "
    "pulmonary diseases, Quant Imaging Med Surg 2014; masks of Shenzhen: Stirenko et al., 2018",
    files=(
        RemoteFile(
            "NLM-MontgomeryCXRSet.zip",
            ("https://openi.nlm.nih.gov/imgs/collections/NLM-MontgomeryCXRSet.zip",),
            "sha256:54601e952315d8f67383e9202a6e145997ade429f54f7e0af44b4e158714f424",
        ),
        RemoteFile(
            "ChinaSet_AllFiles.zip",
            ("https://openi.nlm.nih.gov/imgs/collections/ChinaSet_AllFiles.zip",),
        ),
    ),
    counts={"Montgomery": 138, "Shenzhen": 662, "Montgomery and Shenzhen": 800},
    labels=(LABEL,),
    mask_label="Lung",
)
