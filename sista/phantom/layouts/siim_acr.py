"""SIIM-ACR Pneumothorax Segmentation: DICOM films and relative, column-major run lengths."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sista.phantom.patients import Patient
from sista.phantom.rasters import save_dicom, uid
from sista.phantom.truth import Rows, truth_rows

EMPTY = " -1"


def relative_rle(mask: NDArray[np.bool_]) -> str:
    """Return the runs of a mask `[H, W]` as SIIM writes them.

    Pixels are counted down the columns. Each pair is the number of empty pixels since the end of
    the last run (for the first pair: since the start) and the run's length.
    """
    flat = np.concatenate([[False], mask.ravel(order="F"), [False]])
    # Every second edge begins a run, the others end one.
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    starts, ends = edges[::2], edges[1::2]
    gaps = starts - np.concatenate([[0], ends[:-1]])
    return " ".join(map(str, np.stack([gaps, ends - starts], axis=1).ravel()))


def write_patient(patient: Patient, folder: Path) -> Rows:
    """Write the films of one patient; return the rows of the tables."""
    rows: Rows = {"rle": [], "truth": []}
    person = f"person{patient.number:06d}"
    for study in patient.studies:
        film = patient.film(study)
        key = (patient.seed, patient.layout, patient.index, study.number)
        uids = uid(*key, "study"), uid(*key, "series"), uid(*key, "image")
        path = f"dicom-images-train/{uids[0]}/{uids[1]}/{uids[2]}.dcm"
        header = {
            "PatientID": person,
            "PatientSex": "F" if patient.anatomy.female else "M",
            "PatientAge": f"{patient.anatomy.age:03d}Y",
            "ViewPosition": study.view,
        }
        flavour = patient.rng(4, study.number).random()
        save_dicom(folder / path, film.pixels, header, uids, flavour)
        masks = [mark.mask for mark in film.marks if mark.finding.kind == "pneumothorax"]
        # One row per mask; films without one have a single row.
        for code in [f" {relative_rle(mask)}" for mask in masks] or [EMPTY]:
            rows["rle"].append({"ImageId": uids[2], " EncodedPixels": code})
        rows["truth"] += truth_rows(film, uids[2], uids[0], person, path)
    return rows


def finish(folder: Path, rows: Rows) -> None:
    """Write train-rle.csv; a blank stands before the second column, as in the download."""
    pd.DataFrame(rows["rle"]).to_csv(folder / "train-rle.csv", index=False)
