"""IU X-Ray as Open-i has it: PNG films and one XML file a report, some with a lateral film."""

from pathlib import Path
from xml.sax.saxutils import escape

from sista.phantom.anatomy import sample_view
from sista.phantom.lateral import render_lateral
from sista.phantom.patients import Patient, Study
from sista.phantom.rasters import save_image
from sista.phantom.truth import Rows, truth_rows

HEADINGS = {
    "opacity": "Opacity",
    "covid": "Opacity",
    "consolidation": "Consolidation",
    "effusion": "Pleural Effusion",
    "pneumothorax": "Pneumothorax",
    "cardiomegaly": "Cardiomegaly",
    "edema": "Pulmonary Edema",
    "atelectasis": "Pulmonary Atelectasis",
    "nodule": "Nodule",
    "emphysema": "Pulmonary Emphysema",
    "fibrosis": "Pulmonary Fibrosis",
    "pleural_thickening": "Thickening",
    "hernia": "Hernia, Hiatal",
    "foreign_object": "Foreign Bodies",
}
LATERAL_SHARE = 0.4


def write_patient(patient: Patient, folder: Path) -> Rows:
    """Write the films and the report of one patient."""
    rows: Rows = {"truth": []}
    (folder / "ecgen-radiology").mkdir(exist_ok=True)
    for study in patient.studies:
        name = f"CXR{patient.number}"
        films = [f"{name}_IM-{patient.number % 10000:04d}-1001"]
        film = patient.film(study)
        save_image(folder / f"NLMCXR_png/{films[0]}.png", film.pixels)
        rows["truth"] += truth_rows(film, films[0], name, name, f"NLMCXR_png/{films[0]}.png")
        if patient.rng(5, study.number).random() < LATERAL_SHARE:
            films.append(films[0].replace("-1001", "-2001"))
            rng = patient.rng(2, study.number, 1)
            pixels = render_lateral(sample_view(rng, patient.size, False), patient.anatomy, rng)
            save_image(folder / f"NLMCXR_png/{films[1]}.png", pixels)
        text = _xml(name, study, films)
        (folder / f"ecgen-radiology/{patient.number}.xml").write_text(text)
    return rows


def finish(folder: Path, rows: Rows) -> None:
    """Write nothing: there is no table."""


def _xml(name: str, study: Study, films: list[str]) -> str:
    shown = [HEADINGS[finding.kind] for finding in study.findings if finding.visible]
    majors = "".join(f"<major>{heading}</major>" for heading in sorted(set(shown)) or ["normal"])
    images = "".join(f'<parentImage id="{film}"/>' for film in films)
    sections = (("FINDINGS", study.report.findings), ("IMPRESSION", study.report.impression))
    texts = "".join(
        f'<AbstractText Label="{label}">{escape(text)}</AbstractText>' for label, text in sections
    )
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n<eCitation><uId id="{name}"/>'
        f"<Abstract>{texts}</Abstract><MeSH>{majors}</MeSH>{images}</eCitation>\n"
    )
