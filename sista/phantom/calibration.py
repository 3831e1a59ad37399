"""Report statistics of the phantom beside those of the real Open-i reports.

The Open-i reports (Demner-Fushman et al., JAMIA 2016) are read in place from the torchxrayvision
wheel; nothing of their text is stored or printed.
"""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from sista.errors import UserError
from sista.files import reading
from sista.phantom.patients import make_patient, roster
from sista.phantom.presets import PRESETS, Preset
from sista.runs.options import Share
from sista.text.openi import read_reports

NEAR = 0.9


@dataclass(frozen=True)
class Sections:
    """FINDINGS and IMPRESSION of one report and whether it is normal (None: not known)."""

    findings: str
    impression: str
    normal: bool | None


def words(text: str) -> list[str]:
    """Return the lower-case alphanumeric tokens of a text."""
    return re.findall(r"[a-z0-9]+", text.lower())


def report_statistics(reports: Sequence[Sections], sample: int = 1500) -> dict[str, float]:
    """Return lengths in words and rates of repeated reports.

    Args:
        reports: reports with both sections.
        sample: number of reports, drawn with a fixed seed, that repetition is counted among; the
            rates depend on it, so both sides of a comparison use the same number.

    Returns:
        Name of each statistic -> value. "near" counts reports with another one at a token Jaccard
        above 0.9; shares are of the reports named.
    """
    known = [report.normal for report in reports if report.normal is not None]
    result = {"share of normal studies": float(np.mean(known)) if known else float("nan")}
    # Repeats grow with the number of reports: both sides are counted among equally many.
    order = np.random.default_rng(0).permutation(len(reports))[:sample]
    drawn = [reports[i] for i in order]
    groups = {
        "all": drawn,
        "normal": [report for report in drawn if report.normal],
        "abnormal": [report for report in drawn if report.normal is False],
    }
    for name, group in groups.items():
        if len(group) < 2:
            continue
        for section in ("findings", "impression"):
            lengths = [len(words(getattr(report, section))) for report in group]
            for quantile in (10, 50, 90):
                key = f"{name}: {section} words q{quantile}"
                result[key] = float(np.percentile(lengths, quantile))
        texts = [f"{report.impression} {report.findings}" for report in group]
        result[f"{name}: identical report"] = identical_share(texts)
        near, pairs, mean = near_shares(texts)
        result[f"{name}: near-identical report"] = near
        result[f"{name}: near-identical pairs"] = pairs
        result[f"{name}: mean token Jaccard"] = mean
        impressions = [report.impression for report in group]
        result[f"{name}: identical impression"] = identical_share(impressions)
        counts = Counter(" ".join(words(text)) for text in impressions)
        result[f"{name}: commonest impression"] = counts.most_common(1)[0][1] / len(group)
    return result


def identical_share(texts: Sequence[str]) -> float:
    """Return the share of texts whose tokens equal another text's."""
    counts = Counter(" ".join(words(text)) for text in texts)
    return sum(count for count in counts.values() if count > 1) / len(texts)


def near_shares(texts: Sequence[str]) -> tuple[float, float, float]:
    """Return share of texts with a near-identical other, share of such pairs, mean Jaccard."""
    sets = [set(words(text)) for text in texts]
    index = {word: i for i, word in enumerate(sorted(set().union(*sets)))}
    bags = np.zeros((len(sets), len(index)), dtype=np.float32)
    for row, bag in enumerate(sets):
        # Sets as rows of 0 and 1: one product counts the shared words of all pairs.
        bags[row, [index[word] for word in bag]] = 1
    shared = bags @ bags.T
    size = bags.sum(1)
    jaccard = shared / np.maximum(size[:, None] + size[None] - shared, 1)
    np.fill_diagonal(jaccard, 0)
    pairs = len(sets) * (len(sets) - 1)
    near = jaccard > NEAR
    return float(near.any(1).mean()), float(near.sum() / pairs), float(jaccard.sum() / pairs)


def phantom_reports(preset: Preset) -> list[Sections]:
    """Return the phantom's MIMIC-CXR reports that have both sections; no film is drawn."""
    reports = []
    for index, count in roster(preset, "mimic_cxr"):
        for study in make_patient(preset, "mimic_cxr", index, count).studies:
            report = study.report
            normal = "No Finding" in report.labels
            if report.findings and report.impression:
                reports.append(Sections(report.findings, report.impression, normal))
    return reports


def openi_reports(labels: Path | None) -> list[Sections]:
    """Return the Open-i reports with both sections.

    Args:
        labels: `openi_gld_std14.csv` with the column `normal`, or None: then whether a report is
            normal is not known.

    Raises:
        UserError: torchxrayvision or the label file is missing.
    """
    normal = {} if labels is None else _gold(labels)
    return [
        Sections(report.findings, report.impression, normal.get(report.report_id))
        for report in read_reports()
        if report.findings and report.impression
    ]


def _gold(labels: Path) -> dict[str, bool]:
    """Return which reports of the gold file are normal."""
    remedy = "get openi_gld_std14.csv of the NegBio repository again"
    normal: dict[str, bool] = {}
    with reading(labels, remedy), labels.open(encoding="utf-8", newline="") as stream:
        for number, row in enumerate(csv.DictReader(stream, strict=True), start=2):
            name, value = row.get("filename"), row.get("normal")
            # Under None: what is more than the header has.
            whole = None not in row and None not in row.values() and str(name).isprintable()
            if not name or value not in ("0", "1") or name in normal or not whole:
                raise UserError(f"{labels} row {number}: not the gold labels of Open-i; {remedy}")
            normal[name] = value == "1"
    if not normal:
        raise UserError(f"{labels}: no label in it; {remedy}")
    return normal


def main(*, openi_labels: Path | None = None, normal_share: Share | None = None) -> None:
    """Print the report statistics of the phantom and of Open-i side by side.

    Args:
        openi_labels: gold labels of Open-i; without them the rows of normal and abnormal reports
            stand for the phantom alone.
        normal_share: another share of normal studies than the preset's.
    """
    preset = PRESETS["phantom"]
    if normal_share is not None:
        preset = replace(preset, normal_share=normal_share)
    ours = phantom_reports(preset)
    theirs = openi_reports(openi_labels)
    sample = min(1500, len(ours), len(theirs))
    left, right = (report_statistics(reports, sample) for reports in (ours, theirs))
    table = Table(title=f"Reports: phantom and Open-i ({sample} each)")
    for column in ("statistic", "phantom", "Open-i"):
        table.add_column(column, justify="left" if column == "statistic" else "right")
    for name, value in left.items():
        table.add_row(name, f"{value:.3g}", f"{right.get(name, float('nan')):.3g}")
    Console(width=100).print(table)
