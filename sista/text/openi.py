"""Reports of Open-i: the XML of one, and all, read in place from the torchxrayvision wheel.

Nothing of them is stored. Source: Demner-Fushman et al., JAMIA 2016; CC BY-NC-ND 4.0.
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
    """One report: its id, such as CXR10, and two sections, empty where it has none.

    `films` are the names of its images without an ending, `headings` the MeSH headings that were
    given by hand, without what qualifies them.
    """

    report_id: str
    findings: str
    impression: str
    films: tuple[str, ...] = ()
    headings: tuple[str, ...] = ()


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
                yield parse(source.read())


def parse(xml: bytes, file: str = REPORTS) -> OpeniReport:
    """Return one report.

    Args:
        xml: the content of its file.
        file: its name for messages.

    Raises:
        UserError: it is no XML, or names no report.
    """
    try:
        root = ElementTree.fromstring(xml)  # noqa: S314 (expat stops at entities that multiply)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise UserError(f"{file}: a report is no XML ({error}); get it again") from error
    texts = {
        node.get("Label"): " ".join((node.text or "").split()) for node in root.iter("AbstractText")
    }
    key = root.find("uId")
    films = (node.get("id", "").strip() for node in root.iter("parentImage"))
    majors = ((node.text or "").partition("/")[0].strip() for node in root.iter("major"))
    return OpeniReport(
        key.get("id", "") if key is not None else "",
        texts.get("FINDINGS", ""),
        texts.get("IMPRESSION", ""),
        tuple(film for film in films if film),
        tuple(heading for heading in majors if heading),
    )
