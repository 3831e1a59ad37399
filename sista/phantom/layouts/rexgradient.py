"""ReXGradient-160K: PNG films in deep folders, one JSON object a study."""

from pathlib import Path

from sista.phantom.layouts._films import part_of, write_json
from sista.phantom.patients import Patient
from sista.phantom.rasters import save_image
from sista.phantom.truth import Rows, truth_rows

PARTS = {"train": 0.8, "valid": 0.1, "test": 0.1}
VIEWS = {"PA": "PA", "AP": "ANTERO_POSTERIOR"}


def write_patient(patient: Patient, folder: Path) -> Rows:
    """Write the films of one patient; return the entries of the tables."""
    part, subject = part_of(patient, PARTS), f"GRDN{patient.number:08d}"
    rows: Rows = {**{name: [] for name in PARTS}, "truth": []}
    for study in patient.studies:
        number = f"{patient.number}.{study.number}"
        name = f"{subject}/A{number}/studies/{number}/series/{number}.1/instances/{number}.1.1"
        film = patient.film(study)
        save_image(folder / f"deid_png/{name}.png", film.pixels)
        key = f"p{subject}_A{number}_{number}"
        about = {
            "StudyInstanceUid": number,
            "Indication": study.report.indication,
            "Comparison": study.report.comparison,
            "Findings": study.report.findings,
            "Impression": study.report.impression,
            "ImagePath": [f"../deid_png/{name}.png"],
            "ImageViewPosition": [VIEWS[study.view]],
        }
        rows[part].append({key: about})
        rows["truth"] += truth_rows(film, name, key, f"p{subject}", f"deid_png/{name}.png")
    return rows


def finish(folder: Path, rows: Rows) -> None:
    """Write the three tables."""
    for part in PARTS:
        merged = {key: study for row in rows[part] for key, study in row.items()}
        write_json(folder / f"metadata/{part}_metadata_view_position.json", merged)
