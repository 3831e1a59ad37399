"""NIH ChestX-ray14: PNG films, the two tables with their odd headers, the two lists."""

from pathlib import Path

from sista.phantom.patients import Patient, Study
from sista.phantom.rasters import save_image
from sista.phantom.render import Film
from sista.phantom.truth import Rows, tight_box, truth_rows

IMAGES = Path("images_001") / "images"
TEST_SHARE = 0.2
BOXED_SHARE = 0.5
ENTRY_HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
)
BOX_HEADER = "Image Index,Finding Label,Bbox [x,y,w,h],,,"
NAMES = {
    "opacity": "Infiltration",
    "consolidation": "Consolidation",
    "effusion": "Effusion",
    "pneumothorax": "Pneumothorax",
    "cardiomegaly": "Cardiomegaly",
    "edema": "Edema",
    "atelectasis": "Atelectasis",
    "nodule": "Nodule",
    "emphysema": "Emphysema",
    "fibrosis": "Fibrosis",
    "pleural_thickening": "Pleural_Thickening",
    "hernia": "Hernia",
}
# The source draws boxes for these only and spells one of them differently.
BOXED = {
    "Infiltration": "Infiltrate",
    **{
        name: name
        for name in ("Atelectasis", "Cardiomegaly", "Effusion", "Mass", "Nodule", "Pneumothorax")
    },
}


def write_patient(patient: Patient, folder: Path) -> Rows:
    """Write the films of one patient; return the lines of tables and lists."""
    part = "test" if patient.rng(3).random() < TEST_SHARE else "train_val"
    rows: Rows = {"entry": [], "box": [], "train_val": [], "test": [], "truth": []}
    a = patient.anatomy
    for study in patient.studies:
        name = f"{patient.number:08d}_{study.number:03d}.png"
        path = IMAGES / name
        film = patient.film(study)
        save_image(folder / path, film.pixels)
        who = f"{study.number},{patient.number},{a.age},{'F' if a.female else 'M'},{study.view}"
        # Of the original film, of which the PNG is a smaller copy.
        size = "2992,2992,0.143,0.143,"
        rows["entry"].append({"line": f"{name},{'|'.join(_labels(study))},{who},{size}"})
        rows[part].append({"line": name})
        if patient.rng(6, study.number).random() < BOXED_SHARE:
            rows["box"] += [{"line": f"{name},{box}"} for box in _boxes(film)]
        identity = name.removesuffix(".png"), name, str(patient.number)
        rows["truth"] += truth_rows(film, *identity, path.as_posix())
    return rows


def finish(folder: Path, rows: Rows) -> None:
    """Write the tables and the lists."""
    files = {
        "Data_Entry_2017.csv": [{"line": ENTRY_HEADER}, *rows["entry"]],
        "BBox_List_2017.csv": [{"line": BOX_HEADER}, *rows["box"]],
        "train_val_list.txt": rows["train_val"],
        "test_list.txt": rows["test"],
    }
    for name, lines in files.items():
        (folder / name).write_text("".join(f"{row['line']}\n" for row in lines))


def _name(kind: str, severity: str) -> str:
    return "Mass" if kind == "nodule" and severity == "severe" else NAMES[kind]


def _labels(study: Study) -> list[str]:
    shown = [finding for finding in study.findings if finding.visible]
    names = {_name(finding.kind, finding.severity) for finding in shown}
    if study.report.labels.get("Pneumonia") and study.shows("opacity", "consolidation"):
        names.add("Pneumonia")
    return sorted(names) or ["No Finding"]


def _boxes(film: Film) -> list[str]:
    """Return "label,x,y,w,h" for each mark of a boxed kind."""
    lines = []
    for mark in film.marks:
        name = _name(mark.finding.kind, mark.finding.severity)
        if name in BOXED:
            lines.append(f"{BOXED[name]},{','.join(f'{v:.1f}' for v in tight_box(mark.mask))}")
    return lines
