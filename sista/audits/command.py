"""`sista audit DATASET`: all checks of data sets, prepared, raw or in anybody's lists."""

from pathlib import Path
from typing import TYPE_CHECKING

from sista.errors import UserError, say
from sista.runs.options import Threads

if TYPE_CHECKING:
    from sista.audits.subject import Subject

CHECKS = (
    "unreadable mask_unusable annotation_frame listed_twice unmatched image_overlap "
    "patient_overlap pixel_overlap near_overlap two_patients repeated blank not_nested "
    "class_missing label_conflict box mask text_names_label name_names_label shortcut"
).split()


def audit_datasets(
    *datasets: str,
    source: Path | None = None,
    lists: tuple[str, ...] = (),
    out: Path = Path("audit"),
    accept: tuple[str, ...] = (),
    threads: Threads = 1,
) -> None:
    """Audit data sets: overlaps, copies, labels, boxes, masks, texts, shortcuts; a page and tables.

    Several data sets are also compared with each other. The page and all tables but `images.csv`
    hold counts alone: that one names images, for the owner of the data.

    Args:
        datasets: words of raw data sets, e.g. `rsna_pneumonia`, or manifests of prepared ones,
            FILE.parquet.
        source: the folder of a raw download, or the folder that holds them under their words; by
            default the environment variable SISTA_DATA.
        lists: anybody's list files in place of the split of one data set, NAME=FILE; `train_1`,
            `train_10` ... are label fractions.
        out: folder to write; an older audit there is replaced.
        accept: words of checks that may find something.
        threads: films of raw data sets read at the same time.

    Raises:
        UserError: a check that is not accepted has found something, or something cannot be read.
    """
    # Here: the command line is read without pandas and scikit-learn.
    from tempfile import TemporaryDirectory

    from sista.audits.report import write_audit
    from sista.audits.run import run_checks

    files = _list_files(datasets, lists)
    if wrong := sorted(set(accept) - set(CHECKS)):
        raise UserError(f"--accept {wrong[0]}: no check; valid: {', '.join(CHECKS)}")
    if out.exists() and not (out / "summary.csv").is_file():
        raise UserError(f"{out}: is there and holds no audit; name another folder with --out")
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.", suffix=".tmp") as scratch:
        subjects = [_subject(name, source, Path(scratch), threads, files) for name in datasets]
        if len({subject.name for subject in subjects}) < len(subjects):
            raise UserError("a data set is named twice; each may stand once")
        audited = run_checks(subjects)
    write_audit(audited, out)
    for line in audited.lines():
        say(line)
    say(f"{out / 'index.html'}: the page; images.csv beside it names images")
    if refused := audited.refused(accept):
        raise UserError(
            f"{len(refused)} of {len(audited.outcomes)} checks found something: "
            f"{', '.join(sorted(set(refused)))}; mend the data, or allow a check with --accept"
        )


def _list_files(datasets: tuple[str, ...], lists: tuple[str, ...]) -> dict[str, Path]:
    if not datasets:
        raise UserError("name a data set (`sista list datasets`) or a manifest, FILE.parquet")
    pairs = [entry.partition("=") for entry in lists]
    if bad := [name for name, equals, file in pairs if not (equals and file)]:
        raise UserError(f"--lists {bad[0]}: expected NAME=FILE, e.g. train=train.txt")
    if lists and len(datasets) > 1:
        raise UserError("--lists: lists are of one data set; name one")
    return {name: Path(file) for name, _, file in pairs}


def _subject(
    name: str, source: Path | None, scratch: Path, threads: int, lists: dict[str, Path]
) -> "Subject":
    from sista.audits.subject import downloaded, prepared

    if name.endswith(".parquet"):
        return prepared(Path(name), lists)
    folder = scratch / name.replace("/", "_")
    folder.mkdir(exist_ok=True)
    return downloaded(name, source, folder, threads, lists)
