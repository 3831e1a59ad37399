"""Verb `site`: leaderboard and documentation as one static folder that works from a file."""

import importlib.resources
import json
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from markupsafe import escape

from sista import registry
from sista.errors import UserError, printable, say
from sista.files import atomic, check_place, write_json
from sista.lineage.crate import crate
from sista.report.captions import count
from sista.runs.options import Results
from sista.site import board, pages
from sista.site.cards import cards
from sista.site.croissant import croissant
from sista.site.leaderboard import Grid, leaderboard, read_grids
from sista.site.pairs import ACROSS, ALONE, PAIRED, across, pairs
from sista.site.toys import draw

HERE = Path(__file__).parent
ROOT = registry.PACKAGE.parent
MARK = "sista-site.json"
_EXPORT = re.compile(r"export\{[^}]*?(\w+) as default[^}]*\};?")
KINDS = {
    PAIRED: "Paired: both on the same samples of test patients, over the seeds and draws that both "
    "have; the interval covers other patients and, where there are several, seeds and draws.",
    ALONE: "From the scores alone: without predictions the patients of both rows are taken as "
    "different ones, so the interval is too wide rather than too narrow, and there is no p.",
    ACROSS: "From the scores alone, of rows that differ in more than their variant: seeds and "
    "draws of the same number are taken as pairs, patients as different ones; there is no p.",
}


def site(*, out: Path, scores: tuple[Path, ...] = (), results: Results | None = None) -> None:
    """Build the leaderboard and the documentation as one folder; it needs no network and no server.

    Args:
        out: folder to write, with index.html; one that this verb has made is replaced.
        scores: scores tables, one a grid; by default those in results/released.
        results: folder of all results, by default `results`: where the predictions of a grid are
            there, each pair of rows is tested on the same patients, and pages of runs show settings
            and curves.

    Raises:
        UserError: there are no scores, `out` holds something else, or a package is missing.
    """
    check_place(out, folder=True)
    results = results or Path("results")
    if out.exists() and not (out / MARK).is_file() and (out.is_file() or any(out.iterdir())):
        raise UserError(f"{out}: holds something else; name a new folder")
    grids = read_grids(scores or sorted(pages.RELEASED.glob("*/scores.parquet")))
    rows = leaderboard(grids)
    tests = [test for grid in grids for test in pairs(grid, rows, results)]
    tests += across(grids, rows)
    with tempfile.TemporaryDirectory() as folder:
        docs, crates = Path(folder) / "docs", Path(folder) / "crates"
        write_pages(docs, crates, grids, results)
        packed, shown = board.data(rows, tests)
        _script(docs / "assets/rows.js", SISTA_ROWS=packed)
        _script(docs / "assets/pairs.js", SISTA_PAIRS=shown, SISTA_KINDS=KINDS)
        with atomic(out) as made:
            _build(docs, made, grids)
            # As they are: what is Markdown in them becomes no page.
            if crates.is_dir():
                shutil.copytree(crates, made / crates.name)
    told = [f"{out / 'index.html'}: {count(len(rows), 'row')} of {count(len(grids), 'grid')}"]
    tested = sum(test.kind == PAIRED for test in tests)
    say(f"{told[0]}, {tested} paired tests, {len(tests) - tested} comparisons of scores alone")


def write_pages(docs: Path, crates: Path, grids: Iterable[Grid], results: Path) -> None:
    """Write the sources of all pages, of the documentation and made ones, and the RO-Crates."""
    shutil.copytree(HERE / "pages", docs)
    toys = dict(draw(docs / "toys"))
    for page in docs.rglob("*.md"):
        page.write_text(pages.filled(page.read_text(), toys, ROOT), encoding="utf-8")
    assets = docs / "assets"
    shutil.copytree(HERE / "static", assets)
    _table_library(assets)
    for grid in grids:
        page = docs / "grids" / f"{grid.name}.md"
        _write(page, pages.grid_page(grid, page.with_suffix("")))
        place = _crate(grid, crates, results)
        for variant in dict.fromkeys(map(str, grid.scores["variant"])):
            page = docs / "runs" / grid.name / f"{variant}.md"
            _write(page, pages.run_page(grid, variant, results, page.parent, place))
    for kind, text in pages.card_pages():
        _write(docs / "words" / f"{kind}.md", text)
    for card in cards("datasets"):
        write_json(docs / "croissant" / f"{card.word}.json", croissant(card))
    filters = {"filters": board.FILTERS, "columns": board.COLUMNS}
    _write(docs / "index.md", pages.render("index.md.j2", grids=list(grids), **filters))
    for name, source in (("changelog", "CHANGELOG.md"), ("contributing", "CONTRIBUTING.md")):
        if (ROOT / source).is_file():
            _write(docs / f"{name}.md", pages.without_links((ROOT / source).read_text()))


def _crate(grid: Grid, crates: Path, results: Path) -> str:
    """Write the RO-Crate of a grid that was run here; return its place from a run's page on."""
    file = Path("benchmarks") / f"{grid.name}.yaml"
    if not file.is_file() or not (results / "report" / grid.name / "run.json").is_file():
        return ""
    try:
        crate(grid=file, out=crates / grid.name, results=results)
    except UserError as error:
        say(f"{grid.name}: no RO-Crate: {error}")
        return ""
    return f"../../crates/{grid.name}/ro-crate-metadata.json"


def _table_library(assets: Path) -> None:
    """Put DataTables beside the pages, as a plain script: a module is not loaded from a file.

    Raises:
        UserError: the package that carries it is missing or another one than this code knows.
    """
    try:
        carried = importlib.resources.files("itables")
    except ModuleNotFoundError as error:
        raise UserError("the package itables is missing; run `make env`") from error
    script = (carried / "html/dt_bundle.js").read_text("utf-8")
    found = _EXPORT.findall(script)
    if len(found) != 1:
        raise UserError("this version of itables exports its tables in another way; run `make env`")
    script = _EXPORT.sub(f"window.DataTable={found[0]};", script)
    _write(assets / "datatables.js", f"(()=>{{{script}\n}})();\n")
    _write(assets / "datatables.css", (carried / "html/dt_bundle.css").read_text("utf-8"))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _script(path: Path, **values: Any) -> None:
    """Write values as a script: a page that was opened from a file may fetch nothing else."""
    # What looks like the end of a script or of a comment ends nothing inside of a file of its own.
    lines = (f"window.{name} = {json.dumps(v, allow_nan=False)};\n" for name, v in values.items())
    _write(path, "".join(lines))


def _build(docs: Path, out: Path, grids: Iterable[Grid]) -> None:
    """Turn the sources into pages.

    Raises:
        UserError: the packages are missing.
    """
    os.environ["NO_MKDOCS_2_WARNING"] = "1"
    try:
        from mkdocs.commands.build import build
        from mkdocs.config import load_config
        from mkdocs.exceptions import MkDocsException
    except ModuleNotFoundError as error:
        raise UserError(f"{error.name} is missing; run `make env`") from error
    settings = yaml.safe_load((HERE / "mkdocs.yml").read_text())
    # The theme writes a title as it stands.
    named = [{str(escape(printable(grid.title))): f"grids/{grid.name}.md"} for grid in grids]
    settings["nav"] += [{"Grids": named}]
    settings["nav"] = [entry for entry in settings["nav"] if _there(entry, docs)]
    for plugin in settings["plugins"]:
        if isinstance(plugin, dict) and "mkdocstrings" in plugin:
            plugin["mkdocstrings"]["handlers"]["python"]["paths"] = [str(ROOT)]
    file = docs.parent / "mkdocs.yml"
    file.write_text(yaml.safe_dump(settings, sort_keys=False))
    told = _Told()
    logging.getLogger("mkdocs").addHandler(told)
    try:
        build(load_config(str(file), docs_dir=str(docs), site_dir=str(out.absolute())))
    except MkDocsException as error:
        raise RuntimeError(f"{error}: {'; '.join(told.lines)}") from error
    finally:
        logging.getLogger("mkdocs").removeHandler(told)
    if told.lines:
        raise RuntimeError("; ".join(told.lines))
    # Its addresses begin at the root of a server; this folder may lie anywhere.
    (out / "404.html").unlink(missing_ok=True)
    (out / MARK).write_text(json.dumps({"grids": [grid.name for grid in grids]}) + "\n")


class _Told(logging.Handler):
    """Keeps the warnings: a link that leads nowhere is a fault of the pages."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def _there(entry: dict[str, Any], docs: Path) -> bool:
    """Return whether a single page of the menu is there: an installed package has no changelog."""
    (place,) = entry.values()
    return not isinstance(place, str) or (docs / place).is_file()
