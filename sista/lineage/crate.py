"""Verb `crate`: a finished grid as an RO-Crate 1.1, a folder that describes itself in JSON-LD.

Specification: https://www.researchobject.org/ro-crate/specification/1.1/. Encoders, predictions
and prepared images may hold words of reports and ids: they are described, not copied.
"""

import mimetypes
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sista import __version__
from sista.errors import UserError, say
from sista.files import atomic, check_place, remove_leftovers, within, write_json
from sista.grid.file import read_grid
from sista.grid.grid import Grid
from sista.runs.ancestry import Link, follow, resolve, walk
from sista.runs.options import Results
from sista.runs.record import Record

CONTEXT = "https://w3id.org/ro/crate/1.1/context"
PROFILE = "https://w3id.org/ro/crate/1.1"
METADATA = "ro-crate-metadata.json"
LICENCE = "https://spdx.org/licenses/Apache-2.0"
TYPES = {".parquet": "application/vnd.apache.parquet", ".yaml": "application/yaml"}
Entity = dict[str, Any]


def crate(*, grid: Path, out: Path, results: Results = Path("results")) -> None:
    """Write a finished grid as an RO-Crate: scores, tables, page, grid and the record of each run.

    Args:
        grid: the grid file.
        out: folder to make; must not exist.
        results: folder of all results.

    Raises:
        UserError: the grid is not finished, or its page shows real films.
    """
    check_place(out, folder=True)
    if out.exists():
        raise UserError(f"{out}: exists; name a new folder")
    compared = Grid.load(grid)
    scores = results / "score" / f"{grid.stem}.parquet"
    page = results / "report" / grid.stem / "index.html"
    if not scores.is_file() or not page.is_file():
        raise UserError(f"{scores}, {page}: the grid is not finished; run snakemake first")
    links = {link.path: link for start in (page, scores) for link in walk(follow(start))}
    report = links[page].record
    if report is None or links[scores].record is None:
        raise UserError(f"{page.parent}: has no record; run `sista report` again")
    if report.run.get("sheets") != "phantom":
        raise UserError(f"{page}: shows real films; run `sista report` again without --sheets all")
    copied = dict(_copied(links, grid, page, results))
    described = document(compared.title or grid.stem, links, copied, report)
    remove_leftovers(out)
    with atomic(out) as folder:
        for path, name in copied.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / name)
        write_json(folder / METADATA, described)
    say(f"{out}: RO-Crate 1.1 with {len(copied)} files")


def _copied(
    links: dict[Path, Link], grid: Path, page: Path, results: Path
) -> Iterator[tuple[Path, str]]:
    """Yield the files that are passed on and their names in the crate.

    Of what the records name only files below the folder of results, with links followed.

    Raises:
        UserError: a record names another file for the page, or one that is not there.
    """
    for file in read_grid(grid)[1]:
        yield file, f"grid/{file.name}"
    for name in links[page].record.outputs if links[page].record else ():  # type: ignore[union-attr]
        file = within(page.parent, name)
        if not file.is_file():
            raise UserError(f"{file}: no regular file; run `sista report` again")
        yield file, f"report/{name}"
    for path, link in links.items():
        if path.parent == results / "score" and _own(path, results):
            yield path, f"score/{path.name}"
        if link.record_path is not None and _own(link.record_path, results):
            name = link.record_path.relative_to(results).as_posix()
            yield link.record_path, f"records/results/{name}"


def _own(path: Path, results: Path) -> bool:
    """Return whether a path is a file of the results, with links followed too."""
    own = path.is_relative_to(results) and path.is_file()
    return own and path.resolve().is_relative_to(results.resolve())


def document(
    title: str, links: dict[Path, Link], copied: dict[Path, str], report: Record
) -> dict[str, Any]:
    """Return the JSON-LD: descriptor, root, files, data sets, software, and an action a run."""
    # An id with `#` is described only; files of the crate go by their relative path, as an address.
    names = {path: f"#{_address(path.as_posix())}" for path in links}
    names |= {path: _address(name) for path, name in copied.items()}
    files = [_file(path, names[path], links.get(path)) for path in copied]
    parts = [{"@id": each["@id"]} for each in files]
    others = [_described(link, names[path]) for path, link in links.items() if path not in copied]
    actions, raw = {}, {}
    for link in links.values():
        if link.record is not None and link.record_path is not None:
            actions[link.record_path] = _action(link, names)
            if link.record.stage == "fetch":
                raw[str(link.record.run["dataset"])] = _raw(link.record)
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"SISTA-Bench: {title}",
        "description": "Scores, tables and page of a benchmark grid, with the record of every run "
        "from the raw data on. Encoders and predictions are described by their hashes only.",
        "datePublished": report.started.date().isoformat(),
        "license": {"@id": LICENCE},
        "hasPart": parts,
        "mentions": [{"@id": each["@id"]} for each in actions.values()],
    }
    descriptor = {
        "@id": METADATA,
        "@type": "CreativeWork",
        "conformsTo": {"@id": PROFILE},
        "about": {"@id": "./"},
    }
    licence = {"@id": LICENCE, "@type": "CreativeWork", "name": "Apache License 2.0"}
    code = {
        "@id": "#code",
        "@type": "SoftwareApplication",
        "name": "SISTA-Bench",
        "version": __version__,
        "softwareVersion": report.code_version,
        "softwareRequirements": f"envs/requirements.lock, sha256 {report.lock_hash}",
    }
    graph: list[Entity] = [descriptor, root, licence, code, *files, *others]
    graph += [*actions.values(), *raw.values()]
    return {"@context": CONTEXT, "@graph": [_compact(entity) for entity in graph]}


def _compact(entity: Entity) -> Entity:
    """Return an entity with lists of one value as that value, as the specification recommends."""
    lists = {k: v[0] for k, v in entity.items() if isinstance(v, list) and len(v) == 1}
    return {**entity, **lists}


def _address(name: str) -> str:
    """Return a path as part of an address: a blank becomes `%20`, an umlaut two bytes."""
    return quote(name, safe="/@+=,:", errors="surrogateescape")


def _file(path: Path, name: str, link: Link | None) -> Entity:
    kind = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    entity: Entity = {"@id": name, "@type": "File", "name": path.name}
    entity |= {"contentSize": str(path.stat().st_size)}
    entity |= {"encodingFormat": kind or "application/octet-stream"}
    return entity | ({"identifier": f"sha256:{link.sha256}"} if link and link.sha256 else {})


def _described(link: Link, name: str) -> Entity:
    """Return a file that is not in the crate."""
    text = "not in this crate"
    entity: Entity = {"@id": name, "@type": "CreativeWork", "name": link.path.as_posix()}
    return entity | {"identifier": f"sha256:{link.sha256}", "description": text}


def _action(link: Link, names: dict[Path, str]) -> Entity:
    """Return the run that made a file."""
    record, record_path = link.record, link.record_path
    if record is None or record_path is None:
        raise UserError(f"{link.path}: has no record")
    outputs = [resolve(record_path, name) for name in record.outputs]
    try:
        ended = record.started + timedelta(seconds=record.wall_s)
    except OverflowError as error:
        raise UserError(f"{record_path}: ends in no year; delete it and run again") from error
    return {
        "@id": f"#run/{_address(record_path.parent.as_posix())}",
        "@type": "CreateAction",
        "name": f"{record.stage} {record_path.parent.name}",
        "instrument": {"@id": "#code"},
        "startTime": record.started.isoformat(),
        "endTime": ended.isoformat(),
        "object": [{"@id": names[each.path]} for each in link.below if each.path in names]
        + ([{"@id": f"#raw/{record.run['dataset']}"}] if record.stage == "fetch" else []),
        "result": [{"@id": names[path]} for path in outputs if path in names],
        "description": names.get(record_path, record_path.as_posix()),
    }


def _raw(record: Record) -> Entity:
    word = str(record.run["dataset"])
    return {
        "@id": f"#raw/{word}",
        "@type": "Dataset",
        "name": word,
        "version": str(record.facts["release"]),
        "description": f"Raw data, not in this crate. Licence: {record.facts['licence']}",
        "identifier": f"sha256:{record.facts['raw_sha256']}",
    }
