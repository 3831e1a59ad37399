"""IU X-Ray (Open-i; Demner-Fushman et al., JAMIA 2016): films with reports and MeSH headings."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from sista.datasets._card import Dataset
from sista.datasets._download import RemoteFile
from sista.datasets._films import Films
from sista.datasets._source import Row, checked, first_existing, once, rows
from sista.errors import UserError
from sista.files import reading
from sista.preparation.image_record import ImageRecord, LeftOut, only_records
from sista.text.cleaning import MINIMUM_TOKENS, of_parts
from sista.text.openi import OpeniReport, parse

# The headings by which the gold labels of NegBio (14 findings and normal) were made.
HEADINGS = {
    "Pulmonary Atelectasis": "Atelectasis",
    "Cardiomegaly": "Cardiomegaly",
    "Pleural Effusion": "Effusion",
    "Infiltrate": "Infiltration",
    "Mass": "Mass",
    "Nodule": "Nodule",
    "Pneumonia": "Pneumonia",
    "Pneumothorax": "Pneumothorax",
    "Consolidation": "Consolidation",
    "Pulmonary Edema": "Edema",
    "Emphysema": "Emphysema",
    "Pulmonary Emphysema": "Emphysema",
    "Pulmonary Fibrosis": "Fibrosis",
    "normal": "Normal",
}
LABELS = tuple(dict.fromkeys(HEADINGS.values()))
# Reports that nobody indexed have no label.
NOT_INDEXED = "No Indexing"
XML = ("ecgen-radiology", "NLMCXR_reports/ecgen-radiology")
# Kaggle's packing.
REPORTS, VIEWS = "indiana_reports.csv", "indiana_projections.csv"
FILMS = ("", "NLMCXR_png/", "images/", "images/images_normalized/")
# More than any report of the collection has.
MOST_BYTES = 1 << 20
NO_TEXT = f"the report has no impression or findings of at least {MINIMUM_TOKENS} words"


def release(folder: Path) -> str | None:
    """Return the packing in a folder, None without reports."""
    if first_existing(folder, (REPORTS,)) and first_existing(folder, (VIEWS,)):
        return "Kaggle"
    return "Open-i" if any((folder / place).is_dir() for place in XML) else None


def read(folder: Path) -> Iterator[ImageRecord]:
    """Yield one record per film; each report is one patient.

    Kaggle's table tells the views, and lateral films are left out; the XML of Open-i does not, and
    all films of a report share its text.
    """
    return only_records(entries(folder))


def entries(folder: Path) -> Iterator[ImageRecord | LeftOut]:
    """Yield what `read` does, and films and texts that are left out."""
    films = Films(folder)
    kaggle = release(folder) == "Kaggle"
    seen: set[str] = set()
    without = 0
    for row, report, names in _from_tables(folder) if kaggle else _from_xml(folder):
        without += not names
        text = of_parts(report.impression, report.findings)
        for name, view in names:
            path = films.path(row, name, *(f"{place}{name}" for place in FILMS))
            if view == "Lateral":
                yield LeftOut("films", "lateral view", row.where, path)
                continue
            once(seen, name, row)
            if text is None:
                yield LeftOut("report texts of films", NO_TEXT, row.where)
            yield ImageRecord(
                image_id=name.partition(".")[0],
                patient_id=report.report_id,
                study_id=report.report_id,
                path=path,
                where=row.where,
                labels=labels(report.headings),
                report=text,
            )
    if without:
        yield LeftOut("reports", "they name no film", count=without)


def labels(headings: Sequence[str]) -> dict[str, float]:
    """Return the labels of the MeSH headings of a report; none where it was not indexed."""
    if not headings or NOT_INDEXED in headings:
        return {}
    given = {HEADINGS.get(heading) for heading in headings}
    return {label: float(label in given) for label in LABELS}


Found = Iterator[tuple[Row, OpeniReport, list[tuple[str, str]]]]


def _from_xml(folder: Path) -> Found:
    home = next(folder / place for place in XML if (folder / place).is_dir())
    files = sorted(home.glob("*.xml"))
    if not files:
        raise UserError(f"{home}: holds no report (*.xml); unpack NLMCXR_reports.tgz again")
    for number, file in enumerate(files, start=1):
        with reading(checked(file)):
            if file.stat().st_size > MOST_BYTES:
                raise UserError(f"{file}: more than {MOST_BYTES >> 20} MiB; get it again")
            report = parse(file.read_bytes(), str(file))
        if not report.report_id:
            raise UserError(f"{file}: has no uId, the name of the report; get it again")
        row = Row(file, number, {})
        yield row, report, [(f"{film}.png", "") for film in report.films]


def _from_tables(folder: Path) -> Found:
    views: dict[str, list[tuple[str, str]]] = {}
    for row in rows(folder / VIEWS, ("uid", "filename", "projection")):
        view = row.text("projection")
        if view not in ("Frontal", "Lateral"):
            raise row.error("column 'projection' must hold Frontal or Lateral")
        views.setdefault(row.text("uid"), []).append((row.text("filename"), view))
    prose = ("findings", "impression")
    for row in rows(folder / REPORTS, ("uid", "MeSH", *prose), prose=prose):
        name = row.text("uid")
        headings = (part.partition("/")[0].strip() for part in row.values["MeSH"].split(";"))
        report = OpeniReport(
            f"CXR{name}",
            row.values["findings"],
            row.values["impression"],
            headings=tuple(heading for heading in headings if heading),
        )
        yield row, report, views.pop(name, [])
    if views:
        raise UserError(
            f"{folder / VIEWS}: {len(views)} reports (first: {next(iter(views))}) are not in "
            f"{REPORTS}; get both files again"
        )


iu_xray = Dataset(
    word="iu_xray",
    title="IU X-Ray (Indiana University, Open-i)",
    release=release,
    read=read,
    entries=entries,
    layout=(
        "NLMCXR_reports.tgz, or ecgen-radiology/*.xml out of it",
        "NLMCXR_png.tgz, or its *.png",
        f"or {REPORTS}, {VIEWS} and images/images_normalized/*.png (Kaggle's packing)",
    ),
    licence="CC BY-NC-ND 4.0 (in the files of the reports)",
    access="open download",
    url="https://openi.nlm.nih.gov/faq#collection",
    citation="Demner-Fushman et al., Preparing a collection of radiology examinations for "
    "distribution and retrieval, JAMIA 2016",
    files=tuple(
        RemoteFile(name, (f"https://openi.nlm.nih.gov/imgs/collections/{name}",))
        for name in ("NLMCXR_reports.tgz", "NLMCXR_png.tgz")
    ),
    # Kaggle's table lists 7,466 films, of which 3,818 are frontal.
    counts={"Open-i": 7470, "Kaggle": 3818},
    published={"Kaggle": 7466},
    labels=LABELS,
)
