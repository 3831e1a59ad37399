"""The tables and the page of an audit."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from sista.audits.run import Audit
from sista.files import atomic
from sista.report.escaping import csv_row
from sista.report.templates import render

SUMMARY = ("dataset", "check", "looks for", "films looked at", "found", "what")
SHORTCUTS = ("dataset", "tells", "films", "auroc", "chance", "chance sd", "shortcut")
IMAGES = ("dataset", "check", "what", "image", "beside")
CLASSES = ["dataset", "subset", "films", "class", "positive", "negative", "uncertain", "blank"]


def write_audit(audit: Audit, folder: Path) -> None:
    """Write `index.html` and the tables; all but `images.csv` are without names of images."""
    summary = list(_summary(audit))
    told = [
        (
            each.dataset,
            each.what,
            each.films,
            f"{each.auroc:.3f}",
            f"{each.chance:.3f}",
            f"{each.spread:.3f}",
            "yes" if each.is_shortcut else "no",
        )
        for each in audit.told
    ]
    counts = pd.concat(audit.classes)[CLASSES]
    images = (
        (dataset, each.check, finding.text, image, beside)
        for dataset, each in audit.outcomes
        for finding in each.findings
        for image, beside in finding.images
    )
    page = render(
        "audit.html.j2",
        sizes=audit.sizes,
        found=[row for row in summary if row[4]],
        clean=[row[:4] for row in summary if not row[4]],
        columns=SUMMARY,
        shortcut_columns=SHORTCUTS,
        shortcuts=told,
        class_columns=CLASSES,
        classes=counts.to_numpy(dtype=object).tolist(),
    )
    with atomic(folder) as temporary:
        temporary.mkdir()
        _write(temporary / "summary.csv", SUMMARY, summary)
        _write(temporary / "shortcuts.csv", SHORTCUTS, told)
        _write(temporary / "images.csv", IMAGES, images)
        _write(temporary / "classes.csv", CLASSES, counts.to_numpy(dtype=object).tolist())
        (temporary / "index.html").write_text(page, encoding="utf-8")


def _summary(audit: Audit) -> Iterable[tuple[str, str, str, int, int, str]]:
    for dataset, each in audit.outcomes:
        if not each.findings:
            yield dataset, each.check, each.title, each.looked, 0, ""
        for finding in each.findings:
            yield dataset, each.check, each.title, each.looked, finding.count, finding.text


def _write(path: Path, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(head)
        writer.writerows(csv_row(row) for row in rows)
