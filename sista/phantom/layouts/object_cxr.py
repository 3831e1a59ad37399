"""Object-CXR: JPEG films and foreign objects as rectangles, ellipses and polygons."""

from pathlib import Path

import numpy as np
import pandas as pd

from sista.phantom.devices import Shape
from sista.phantom.patients import Patient
from sista.phantom.rasters import save_image
from sista.phantom.truth import Rows, truth_rows

DEV_SHARE = 0.2


def annotation(shapes: tuple[Shape, ...], height: int, width: int) -> str:
    """Return shapes as "type x1 y1 x2 y2;..." in whole pixels inside the film."""
    texts = []
    for shape in shapes:
        points = np.clip(np.rint(shape.points), 0, [width - 1, height - 1]).astype(int)
        texts.append(" ".join(map(str, [shape.form, *points.ravel().tolist()])))
    return ";".join(texts)


def write_patient(patient: Patient, folder: Path) -> Rows:
    """Write the film of one patient; return the rows of the tables."""
    part = "dev" if patient.rng(3).random() < DEV_SHARE else "train"
    rows: Rows = {"train": [], "dev": [], "truth": []}
    for study in patient.studies:
        name = f"{patient.number:06d}"
        film = patient.film(study)
        path = f"{part}/{name}.jpg"
        save_image(folder / path, film.pixels)
        text = annotation(film.objects, *film.pixels.shape)
        rows[part].append({"image_name": f"{name}.jpg", "annotation": text})
        rows["truth"] += truth_rows(film, f"{part}/{name}", name, name, path)
    return rows


def finish(folder: Path, rows: Rows) -> None:
    """Write train.csv and dev.csv."""
    for part in ("train", "dev"):
        (folder / part).mkdir(exist_ok=True)
        frame = pd.DataFrame(rows[part], columns=["image_name", "annotation"])
        frame.to_csv(folder / f"{part}.csv", index=False)
