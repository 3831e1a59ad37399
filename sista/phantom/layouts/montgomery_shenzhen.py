"""Montgomery and Shenzhen: PNG films that say their class, masks of the lungs."""

from pathlib import Path

import numpy as np

from sista.phantom.patients import Patient
from sista.phantom.rasters import save_image
from sista.phantom.truth import Rows, truth_rows

MONTGOMERY_SHARE = 0.4
# What stands for tuberculosis.
KINDS = ("opacity", "consolidation", "nodule", "fibrosis")


def write_patient(patient: Patient, folder: Path) -> Rows:
    """Write the film of one patient and the masks of its lungs."""
    rows: Rows = {"truth": []}
    first = patient.rng(3).random() < MONTGOMERY_SHARE
    for study in patient.studies:
        film = patient.film(study)
        word, home = ("MCUCXR", "MontgomerySet") if first else ("CHNCXR", "ChinaSet_AllFiles")
        name = f"{word}_{patient.number % 10000:04d}_{int(study.shows(*KINDS))}"
        path = f"{home}/CXR_png/{name}.png"
        save_image(folder / path, film.pixels)
        if first:
            for side, mask in film.lungs.items():
                file = folder / f"{home}/ManualMask/{side}Mask/{name}.png"
                save_image(file, mask.astype(np.float32))
        else:
            both = np.logical_or.reduce(list(film.lungs.values()))
            save_image(folder / f"{home}/mask/{name}_mask.png", both.astype(np.float32))
        rows["truth"] += truth_rows(film, name, name, name, path)
    return rows


def finish(folder: Path, rows: Rows) -> None:
    """Write nothing: there is no table."""
