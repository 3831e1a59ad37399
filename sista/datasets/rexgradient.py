"""ReXGradient-160K (Zhang et al., 2025): studies of 79 sites with sectioned reports."""

from collections.abc import Iterator
from pathlib import Path

from sista.datasets._card import Dataset
from sista.datasets._films import Films
from sista.datasets._json import Node
from sista.datasets._json import entries as json_entries
from sista.datasets._source import first_existing, once
from sista.errors import UserError
from sista.preparation.image_record import ImageRecord, LeftOut, only_records
from sista.text.cleaning import MINIMUM_TOKENS, of_parts

# The tables with one view for each film; the CSV files have one row a study and no views.
TABLES = ("metadata/{}_metadata_view_position.json", "{}_metadata_view_position.json")
SUBSETS = {"train": "train", "valid": "val", "test": "test"}
VIEWS = {
    "PA": "PA",
    "POSTERO_ANTERIOR": "PA",
    "AP": "AP",
    "ANTERO_POSTERIOR": "AP",
    "AP AXIAL": "AP",
}
FILMS = ("", "rexgradient_images/", "images/")
PARTS = "deid_png.part*"
NO_TEXT = f"the report has no impression or findings of at least {MINIMUM_TOKENS} words"


def release(folder: Path) -> str | None:
    """Return the release in a folder, None without the table of training studies."""
    return "160K" if _table(folder, "train") else None


def _table(folder: Path, part: str) -> Path | None:
    return first_existing(folder, [place.format(part) for place in TABLES])


def read(folder: Path) -> Iterator[ImageRecord]:
    """Yield one record per film that is told to be PA or AP. The source has no labels."""
    return only_records(entries(folder))


def entries(folder: Path) -> Iterator[ImageRecord | LeftOut]:
    """Yield what `read` does, and other views and texts that are left out."""
    films = Films(folder)
    if next(folder.glob(PARTS), None) and not any(
        (folder / f"{p}deid_png").is_dir() for p in FILMS
    ):
        raise UserError(
            f"{folder}: the films are packed; unpack them there with "
            f"`cat {PARTS} | tar -I zstd -xf -`"
        )
    seen: set[str] = set()
    for part, subset in SUBSETS.items():
        table = _table(folder, part)
        if table is None:
            lacking = folder / TABLES[0].format(part)
            raise UserError(f"{lacking}: no such file; complete the download")
        for node in json_entries(table):
            yield from _study(node, films, seen, subset)


def _study(
    node: Node, films: Films, seen: set[str], subset: str
) -> Iterator[ImageRecord | LeftOut]:
    paths, views = node.need("ImagePath").each(), node.need("ImageViewPosition").each()
    if len(paths) != len(views):
        raise node.error(f"{len(paths)} images and {len(views)} views; get the file again")
    given = (node.get(section) for section in ("Impression", "Findings"))
    text = of_parts(*(str(part.value) for part in given if part))
    study = node.place.removeprefix(".")
    for named, view in zip(paths, views, strict=True):
        # The table lies in a folder beside that of the films.
        inner = named.text().removeprefix("../")
        once(seen, inner, named)
        position = view.value if isinstance(view.value, str) else "not told"
        path = films.path(named, inner, *(f"{place}{inner}" for place in FILMS))
        if position not in VIEWS:
            shown = position if position.isprintable() else "unreadable"
            why = f"the view is {shown[:40]}, neither PA nor AP"
            yield LeftOut("films", why, named.where, path)
            continue
        if text is None:
            yield LeftOut("report texts of films", NO_TEXT, node.where)
        yield ImageRecord(
            image_id=inner.removeprefix("deid_png/").rsplit(".", 1)[0],
            patient_id=study.partition("_")[0],
            study_id=study,
            path=path,
            where=named.where,
            view=VIEWS[position],
            report=text,
            official=subset,
        )


rexgradient = Dataset(
    word="rexgradient",
    title="ReXGradient-160K",
    release=release,
    read=read,
    entries=entries,
    layout=(
        "metadata/train_metadata_view_position.json (and valid, test)",
        "deid_png/ (unpacked: `cat deid_png.part* | tar -I zstd -xf -`)",
    ),
    licence="agreement on its page: non-commercial research",
    access="Hugging Face account and acceptance of the agreement",
    url="https://huggingface.co/datasets/rajpurkarlab/ReXGradient-160K",
    citation="Zhang et al., ReXGradient-160K: A Large-Scale Publicly Available Dataset of Chest "
    "Radiographs with Free-text Reports, arXiv:2505.00228",
    # How many are PA or AP no source that we could read says.
    published={"160K": 273004},
    labels=(),
)
