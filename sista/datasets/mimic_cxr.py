"""MIMIC-CXR-JPG 2.0.0 / 2.1.0 with the MIMIC-CXR reports (Johnson et al., 2019): frontal pairs."""

import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from sista.datasets._card import Dataset
from sista.datasets._source import Row, first_existing, inside, once, relative, rows
from sista.errors import UserError
from sista.preparation.image_record import ImageRecord
from sista.text.cleaning import for_pretraining

VERSIONS = ("2.0.0", "2.1.0")
FINDINGS = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Enlarged Cardiomediastinum",
    "Fracture",
    "Lung Lesion",
    "Lung Opacity",
    "No Finding",
    "Pleural Effusion",
    "Pleural Other",
    "Pneumonia",
    "Pneumothorax",
    "Support Devices",
)
ARCHIVE = "mimic-cxr-reports.zip"
REPORT_FOLDERS = ("", "mimic-cxr-reports/", "reports/")
SUBSETS = {"train": "train", "validate": "val", "test": "test"}
VIEWS = ("PA", "AP")
IDS = ("subject_id", "study_id")


def release(folder: Path) -> str | None:
    """Return the release in a folder, None without the metadata table."""
    if _table(folder, "metadata") is None:
        return None
    # What 2.1.0 adds; its other tables may still carry the names of 2.0.0.
    later = (folder / "mimic-cxr-2.1.0-test-set-labeled.csv", folder / "mimic-cxr-2.1.0-split.csv")
    newer = any(p.is_file() or p.with_name(f"{p.name}.gz").is_file() for p in later)
    return "2.1.0" if newer else "2.0.0"


def _table(folder: Path, name: str) -> Path | None:
    stems = [f"mimic-cxr-{version}-{name}.csv" for version in reversed(VERSIONS)]
    return first_existing(folder, [f"{stem}{end}" for stem in stems for end in (".gz", "")])


def _required(folder: Path, name: str) -> Path:
    table = _table(folder, name)
    return table or folder / f"mimic-cxr-2.0.0-{name}.csv.gz"


def read(folder: Path) -> Iterator[ImageRecord]:
    """Yield one record per PA or AP film with its report and the CheXpert labels of its study."""
    subsets = _subsets(_required(folder, "split"))
    findings = dict(_findings(_required(folder, "chexpert")))
    reports = _report_reader(folder)
    texts: dict[str, str | None] = {}
    seen: set[str] = set()
    table = _required(folder, "metadata")
    for row in rows(table, ("dicom_id", *IDS, "ViewPosition")):
        if row.values["ViewPosition"] not in VIEWS:
            continue
        name, subject, study = (row.text(key) for key in ("dicom_id", *IDS))
        once(seen, name, row)
        if name not in subsets:
            raise row.error("this image has no row in the split table; get that file again")
        study_folder = f"files/p{subject[:2]}/p{subject}/s{study}"
        if study not in texts:
            # Of rows sorted by study each report is read once, and none is kept in memory.
            texts = {study: reports(relative(folder, f"{study_folder}.txt", row), row)}
        yield ImageRecord(
            image_id=name,
            patient_id=subject,
            study_id=study,
            path=relative(folder, f"{study_folder}/{name}.jpg", row),
            where=row.where,
            view=row.values["ViewPosition"],
            labels=findings.get(study, {}),
            report=texts[study],
            official=subsets[name],
        )


def _subsets(table: Path) -> dict[str, str]:
    subsets: dict[str, str] = {}
    for row in rows(table, ("dicom_id", *IDS, "split"), known=()):
        split = row.text("split")
        if split not in SUBSETS:
            raise row.error("column 'split' must hold train, validate or test")
        subsets[row.text("dicom_id")] = SUBSETS[split]
    return subsets


def _findings(table: Path) -> Iterator[tuple[str, dict[str, float]]]:
    for row in rows(table, (*IDS, *FINDINGS), known=()):
        values = {name: row.finding(name) for name in FINDINGS}
        yield row.text("study_id"), {n: v for n, v in values.items() if v is not None}


def _report_reader(folder: Path) -> Callable[[str, Row], str | None]:
    """Return a function that gives the clean report of a study from the archive or from files."""
    archive = folder / ARCHIVE
    members: dict[str, str] = {}
    opened: zipfile.ZipFile | None = None
    if archive.is_file():
        try:
            opened = zipfile.ZipFile(archive)
        except zipfile.BadZipFile as error:
            raise UserError(f"{archive}: not a readable zip file; download it again") from error
        # Archives differ in the folder above `files/`.
        members = {n[n.find("files/") :]: n for n in opened.namelist() if n.endswith(".txt")}

    def text_of(path: str, row: Row) -> str | None:
        if opened is not None and path in members:
            try:
                return _checked(opened.read(members[path]), f"{archive}:{path}", row)
            except (zipfile.BadZipFile, zlib.error, EOFError) as error:
                raise UserError(f"{archive}: damaged at {path}; download it again") from error
        for start in REPORT_FOLDERS:
            file = folder / f"{start}{path}"
            if file.is_file() and inside(folder, file):
                return _checked(file.read_bytes(), str(file), row)
        raise row.error(f"its report {path} is neither in {ARCHIVE} nor a file; get the reports")

    return text_of


def _checked(content: bytes, file: str, row: Row) -> str | None:
    # UTF-16 and damaged files hold zero bytes; no report in UTF-8 does.
    if b"\0" in content:
        raise UserError(f"{file}: not UTF-8 text (study of {row.where}); get the reports again")
    # A stray byte costs a character, not the corpus; `clean` removes the mark it leaves.
    text = content.decode("utf-8", "replace")
    if not text.strip():
        raise UserError(
            f"{file}: the report is empty (study of {row.where}); get the reports again"
        )
    return for_pretraining(text)


mimic_cxr = Dataset(
    word="mimic_cxr",
    title="MIMIC-CXR-JPG with the reports of MIMIC-CXR",
    release=release,
    read=read,
    layout=(
        "mimic-cxr-2.0.0-metadata.csv.gz",
        "mimic-cxr-2.0.0-split.csv.gz",
        "mimic-cxr-2.0.0-chexpert.csv.gz",
        "files/p10/p10000032/s50414267/*.jpg",
        f"{ARCHIVE} or files/p10/p10000032/s50414267.txt",
    ),
    licence="PhysioNet Credentialed Health Data License 1.5.0",
    access="PhysioNet credentialed access (training course and data use agreement)",
    url="https://physionet.org/content/mimic-cxr-jpg/",
    citation="Johnson et al., MIMIC-CXR, a de-identified publicly available database of chest "
    "radiographs with free-text reports, Scientific Data 2019",
    counts={"2.0.0": 243334, "2.1.0": 243334},
    labels=FINDINGS,
    label_policy="mixed",
    credentialed=True,
)
