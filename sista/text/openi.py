"""The real Open-i reports, read in place from the torchxrayvision wheel; nothing of them is stored.

Source: Demner-Fushman et al., JAMIA 2016; CC BY-NC-ND 4.0.
"""

import importlib.util
import tarfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sista.errors import UserError

REPORTS = "NLMCXR_reports.tgz"


class OpeniReport(NamedTuple):
    """One report: its id, such as CXR10, and two sections, empty where it has none."""

    report_id: str
    findings: str
    impression: str


def read_reports() -> Iterator[OpeniReport]:
    """Yield the 3,955 reports.

    Raises:
        UserError: torchxrayvision is not installed.
    """
    # Found, not imported: its import costs seconds of torch.
    spec = importlib.util.find_spec("torchxrayvision")
    if spec is None or spec.origin is None:
        raise UserError("torchxrayvision is not installed; it carries the Open-i reports")
    with tarfile.open(Path(spec.origin).parent / "data" / REPORTS) as archive:
        for member in archive:
            source = archive.extractfile(member) if member.name.endswith(".xml") else None
            if source is not None:
                yield _parse(source.read())


def _parse(xml: bytes) -> OpeniReport:
    try:
        root = ElementTree.fromstring(xml)  # noqa: S314 (of an installed package)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise UserError(
            f"{REPORTS}: a report is no XML ({error}); install the wheel again"
        ) from error
    texts = {
        node.get("Label"): " ".join((node.text or "").split()) for node in root.iter("AbstractText")
    }
    key = root.find("uId")
    report_id = key.get("id", "") if key is not None else ""
    return OpeniReport(report_id, texts.get("FINDINGS", ""), texts.get("IMPRESSION", ""))
