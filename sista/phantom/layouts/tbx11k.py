"""TBX11K: PNG films by class, COCO files; lesions of the upper lung stand for tuberculosis."""

from pathlib import Path

from sista.phantom.layouts._films import part_of, write_json
from sista.phantom.patients import Patient
from sista.phantom.rasters import save_image
from sista.phantom.truth import Rows, tight_box, truth_rows

PARTS = {"train": 0.75, "val": 0.25}
CATEGORIES = ("ActiveTuberculosis", "ObsoletePulmonaryTuberculosis", "PulmonaryTuberculosis")
# Kind of a mark that is boxed, and its category.
BOXED = {"opacity": 1, "consolidation": 1, "nodule": 2, "fibrosis": 2}


def write_patient(patient: Patient, folder: Path) -> Rows:
    """Write the film of one patient; return images and annotations."""
    part = part_of(patient, PARTS)
    rows: Rows = {f"{kind}_{p}": [] for kind in ("images", "boxes") for p in PARTS}
    rows["truth"] = []
    for study in patient.studies:
        film = patient.film(study)
        marks = [mark for mark in film.marks if mark.finding.kind in BOXED]
        kind = "tb" if marks else ("sick" if film.marks else "health")
        name = f"{kind}/{kind[0]}{patient.number:06d}.png"
        save_image(folder / f"imgs/{name}", film.pixels)
        height, width = film.pixels.shape
        image = {"file_name": name, "id": patient.number, "width": width, "height": height}
        rows[f"images_{part}"].append(image)
        for mark in marks:
            box = {"bbox": list(tight_box(mark.mask)), "category_id": BOXED[mark.finding.kind]}
            rows[f"boxes_{part}"].append({"image_id": patient.number, "iscrowd": 0, **box})
        rows["truth"] += truth_rows(film, name[:-4], name[:-4], name[:-4], f"imgs/{name}")
    return rows


def finish(folder: Path, rows: Rows) -> None:
    """Write the COCO file of each part."""
    categories = [{"id": n, "name": name} for n, name in enumerate(CATEGORIES, start=1)]
    for part in PARTS:
        boxes = [{"id": n, **box} for n, box in enumerate(rows[f"boxes_{part}"])]
        content = {"images": rows[f"images_{part}"], "annotations": boxes, "categories": categories}
        write_json(folder / f"annotations/json/TBX11K_{part}.json", content)
