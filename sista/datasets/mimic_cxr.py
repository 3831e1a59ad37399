"""MIMIC-CXR 2.0.0 / 2.1.0, JPG or DICOM, with its reports (Johnson et al., 2019): frontal pairs."""

import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from os.path import isfile
from pathlib import Path, PurePosixPath

from sista.datasets._card import Dataset
from sista.datasets._inside import inside
from sista.datasets._source import Row, first_existing, once, relative, rows
from sista.errors import UserError
from sista.preparation.image_record import ImageRecord, LeftOut, only_records
from sista.text.cleaning import MINIMUM_TOKENS, for_pretraining

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
# Of one report, and of all; the release has 227,835.
MOST_BYTES, MOST_REPORTS = 1 << 20, 1_000_000
# An entry that is encrypted, or packed in an unknown way.
NOT_READ = (RuntimeError, NotImplementedError, OSError)
# A pointer of Git LFS, a page to log in.
NO_REPORT = (b"version https://git-lfs", b"<!DOCTYPE", b"<!doctype", b"<html")
IDS = ("subject_id", "study_id")
NO_TEXT = (
    f"the report has no impression, findings or last paragraph of at least {MINIMUM_TOKENS} words"
)


def release(folder: Path) -> str | None:
    """Return the release in a folder, None without the table of its films."""
    if _table(folder, "metadata") is None:
        if _records(folder) is None:
            return None
        # What 2.1.0 of the DICOM release adds.
        added = first_existing(folder, ("cxr-provider-list.csv.gz", "cxr-provider-list.csv"))
        return f"{VERSIONS[added is not None]} DICOM"
    # What 2.1.0 adds; its other tables may still carry the names of 2.0.0.
    later = (folder / "mimic-cxr-2.1.0-test-set-labeled.csv", folder / "mimic-cxr-2.1.0-split.csv")
    newer = any(p.is_file() or p.with_name(f"{p.name}.gz").is_file() for p in later)
    return "2.1.0" if newer else "2.0.0"


def _table(folder: Path, name: str) -> Path | None:
    stems = [f"mimic-cxr-{version}-{name}.csv" for version in reversed(VERSIONS)]
    return first_existing(folder, [f"{stem}{end}" for stem in stems for end in (".gz", "")])


def _records(folder: Path) -> Path | None:
    """Return the table of films of the DICOM release, which tells no views."""
    return first_existing(folder, ("cxr-record-list.csv.gz", "cxr-record-list.csv"))


def _required(folder: Path, name: str) -> Path:
    table = _table(folder, name)
    return table or folder / f"mimic-cxr-2.0.0-{name}.csv.gz"


def read(folder: Path) -> Iterator[ImageRecord]:
    """Yield one record per PA or AP film with its report and the CheXpert labels of its study."""
    return only_records(entries(folder))


def entries(folder: Path) -> Iterator[ImageRecord | LeftOut]:
    """Yield what `read` does, and the films, labels and texts that are left out."""
    metadata = _table(folder, "metadata")
    # The tables of MIMIC-CXR-JPG fit the DICOM release too, but do not come with it.
    alone = metadata is None and _table(folder, "split") is None
    subsets = {} if alone else _subsets(_required(folder, "split"))
    labelled = None if alone else _required(folder, "chexpert")
    findings = dict(_findings(labelled)) if labelled else {}
    films = _films(folder, metadata)
    reports = _report_reader(folder)
    texts: dict[str, str | None] = {}
    seen: set[str] = set()
    frontal: set[str] = set()
    others: set[str] = set()
    for row, view, path in films:
        name, subject, study = (row.text(key) for key in ("dicom_id", *IDS))
        once(seen, name, row)
        if view not in VIEWS:
            others.add(study)
            why = f"the view is {view or 'not told'}, neither PA nor AP"
            yield LeftOut("films", why, row.where, path)
            continue
        frontal.add(study)
        if subsets and name not in subsets:
            raise row.error("this image has no row in the split table; get that file again")
        if study not in texts:
            # Of rows sorted by study each report is read once, and none is kept in memory.
            texts = {study: reports(f"{path.rpartition('/')[0]}.txt", row)}
        if texts[study] is None:
            yield LeftOut("report texts of films", NO_TEXT, row.where)
        if study not in findings:
            yield LeftOut("films' labels", "their study has no row in the label table", row.where)
        yield ImageRecord(
            image_id=name,
            patient_id=subject,
            study_id=study,
            path=path,
            where=row.where,
            view=view,
            labels=findings.get(study, {}),
            report=texts[study],
            official=subsets.get(name),
        )
    for what, names, why in (
        ("studies with their reports", others - frontal, "no film of them is PA or AP"),
        ("rows of the split table", set(subsets) - seen, "their films have no metadata"),
        ("rows of the label table", set(findings) - frontal - others, "no film is of their study"),
    ):
        if names:
            yield LeftOut(what, why, count=len(names))


def _films(folder: Path, metadata: Path | None) -> Iterator[tuple[Row, str, str]]:
    """Yield the row, view and path of every film; without a table of views the headers say it."""
    table = metadata or _records(folder) or _required(folder, "metadata")
    needed = ("dicom_id", *IDS, *(("ViewPosition",) if metadata else ()))
    for row in rows(table, needed):
        name, subject, study = (row.text(key) for key in ("dicom_id", *IDS))
        stem = f"files/p{subject[:2]}/p{subject}/s{study}/{name}"
        # The JPG films, unless the DICOM ones stand in their place.
        is_dicom = not metadata or (
            not isfile(f"{folder}/{stem}.jpg") and isfile(f"{folder}/{stem}.dcm")
        )
        path = relative(folder, f"{stem}.dcm" if is_dicom else f"{stem}.jpg", row)
        yield row, row.values["ViewPosition"] if metadata else _view(folder / path), path


def _view(film: Path) -> str:
    # Here: to import the reader of headers takes long, and planning looks at every card.
    from sista.preparation.radiograph import view_of

    view = view_of(film)
    return "in a header that cannot be read" if view is None else view


def _subsets(table: Path) -> dict[str, str]:
    subsets: dict[str, str] = {}
    seen: set[str] = set()
    for row in rows(table, ("dicom_id", *IDS, "split"), known=()):
        split = row.text("split")
        once(seen, row.text("dicom_id"), row)
        if split not in SUBSETS:
            raise row.error("column 'split' must hold train, validate or test")
        subsets[row.text("dicom_id")] = SUBSETS[split]
    return subsets


def _findings(table: Path) -> Iterator[tuple[str, dict[str, float]]]:
    seen: set[str] = set()
    for row in rows(table, (*IDS, *FINDINGS), known=()):
        once(seen, row.text("study_id"), row)
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
        except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError) as error:
            raise UserError(f"{archive}: not a readable zip file; download it again") from error
        # Archives differ in the folder above `files/`.
        entries = opened.infolist()
        if len(entries) > MOST_REPORTS:
            raise UserError(f"{archive}: {len(entries)} entries, more than {MOST_REPORTS}")
        names = (entry.filename for entry in entries)
        members = {n[n.find("files/") :]: n for n in names if n.endswith(".txt")}

    def text_of(path: str, row: Row) -> str | None:
        if opened is not None and path in members:
            # What it says is what is read at most, whatever is packed in it.
            if opened.getinfo(members[path]).file_size > MOST_BYTES:
                raise UserError(f"{archive}: {path} unpacks to more than {MOST_BYTES >> 20} MiB")
            try:
                return _checked(opened.read(members[path]), f"{archive}:{path}", row, path)
            except (zipfile.BadZipFile, zlib.error, EOFError, *NOT_READ) as error:
                raise UserError(f"{archive}: damaged at {path}; download it again") from error
        for start in REPORT_FOLDERS:
            file = folder / f"{start}{path}"
            if isfile(file) and inside(folder, file):
                if file.stat().st_size > MOST_BYTES:
                    raise UserError(
                        f"{file}: more than {MOST_BYTES >> 20} MiB; get the reports again"
                    )
                return _checked(file.read_bytes(), str(file), row, path)
        raise row.error(f"its report {path} is neither in {ARCHIVE} nor a file; get the reports")

    return text_of


def _checked(content: bytes, file: str, row: Row, path: str) -> str | None:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{file}: not UTF-8 text at byte {error.start} (study of {row.where}); get the reports "
            "again, or save this one as UTF-8"
        ) from error
    if content.startswith(NO_REPORT) or any(_is_control(char) for char in set(text)):
        raise UserError(
            f"{file}: no text of a report, or with control characters (study of {row.where}); get "
            "the reports again"
        )
    if not text.strip():
        raise UserError(
            f"{file}: the report is empty (study of {row.where}); get the reports again"
        )
    return for_pretraining(text, PurePosixPath(path).stem)


def _is_control(char: str) -> bool:
    return unicodedata.category(char) == "Cc" and not char.isspace()


mimic_cxr = Dataset(
    word="mimic_cxr",
    title="MIMIC-CXR-JPG, or MIMIC-CXR as DICOM, with the reports",
    release=release,
    read=read,
    entries=entries,
    published={f"{version}{kind}": 377110 for version in VERSIONS for kind in ("", " DICOM")},
    layout=(
        "mimic-cxr-2.0.0-metadata.csv.gz",
        "mimic-cxr-2.0.0-split.csv.gz",
        "mimic-cxr-2.0.0-chexpert.csv.gz",
        "files/p10/p10000032/s50414267/*.jpg, or *.dcm",
        f"{ARCHIVE} or files/p10/p10000032/s50414267.txt",
        "or cxr-record-list.csv.gz and *.dcm alone: views come from the headers, no labels",
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
    reads_archives=(ARCHIVE,),
)
