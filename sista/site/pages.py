"""The pages that are made: leaderboard, grids, runs and cards, as Markdown for the theme."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup, escape

from sista.errors import UserError, printable
from sista.grid.grid import Grid as GridFile
from sista.report.alternatives import LOSSES, curves_told, tests_told
from sista.report.curves import learning_curves
from sista.report.escaping import markdown_text
from sista.report.figures import differences, efficiency, looks, save
from sista.report.grid_report import DIFFERENCE, EFFICIENCY, LEARNING, UNTRAINED
from sista.report.page import baseline_title, duration, fact_rows, host_rows
from sista.report.runs import run_rows
from sista.report.templates import environment
from sista.scoring.main_rows import control_rows, main_rows
from sista.site.cards import KINDS, cards, datasets
from sista.site.leaderboard import Grid
from sista.site.made_by import histories, planned_settings
from sista.tasks._base import find_task

RELEASED = Path("results/released")
# Figures that `sista report` leaves beside released scores, with what they show.
FIGURES = {"efficiency": EFFICIENCY, "untrained": UNTRAINED, "differences": DIFFERENCE}


def render(template: str, **values: Any) -> str:
    """Return a template of this folder filled with `values`, as Markdown."""
    made = environment("sista.site", "templates")
    made.filters |= {"prose": prose, "literal": literal, "front": front}
    return made.get_template(template).render(**values).lstrip()


def grid_page(grid: Grid, out: Path) -> str:
    """Return the page of a grid, its figures copied or drawn beside it."""
    shown = []
    macros = environment("sista.report", "html").get_template("macros.html.j2").module
    rows = main_rows(grid.scores, grid.meta["main_metrics"])
    for task, table in grid.tables.items():
        pictures = list(_figures(grid, task, rows[rows["task"] == task], out))
        shown.append((find_task(task).title, macros.main_table(table), pictures))  # type: ignore[attr-defined]
    others = list(_other_figures(grid, out))
    text = grid.path.with_name("README.md")
    own = text.is_file() and _reviewed(grid)
    return render(
        "grid.md.j2",
        grid=grid,
        facts=[*fact_rows(grid.scores, grid.meta["bootstrap"]), *host_rows(grid.meta)],
        tasks=shown,
        others=others,
        variants=list(dict.fromkeys(map(str, grid.scores["variant"]))),
        text=without_links(text.read_text(), 1) if own else "",
    )


Figure = tuple[str, str, str]


def _figures(grid: Grid, task: str, rows: pd.DataFrame, out: Path) -> Iterator[Figure]:
    """Yield name, text alternative and caption of the figures of a task."""
    folder = grid.path.with_name("figures")
    for kind, caption in FIGURES.items():
        name = f"{task}_{kind}.svg"
        tests = pd.DataFrame(grid.meta.get("comparisons", []))
        tests = tests[tests["task"] == task] if len(tests) else tests
        baseline = str(tests["baseline"].iloc[0]) if len(tests) else ""
        tests = tests[tests["baseline"] == baseline] if len(tests) else tests
        if (folder / name).is_file() and _reviewed(grid):
            _copy(folder / name, out / name)
        elif kind != "untrained" and not _drawn(grid, kind, rows, tests, out / name):
            continue
        if (out / name).is_file():
            told = curves_told(rows) if kind != "differences" else tests_told(tests)
            yield name, told, caption.format(baseline=baseline_title(baseline))


def _drawn(grid: Grid, kind: str, rows: pd.DataFrame, tests: pd.DataFrame, path: Path) -> bool:
    """Draw a figure; return whether there is anything to draw."""
    variants = list(map(str, dict.fromkeys(rows["variant"])))
    styles = looks(variants, control_rows(grid.scores, grid.meta))
    if kind == "differences":
        if tests.empty:
            return False
        tests = tests.assign(off_plateau=tests.get("off_plateau", False))
        figure = differences(tests, styles, baseline_title(str(tests["baseline"].iloc[0])))
    else:
        trained = rows[(rows["fraction"] > 0) & rows["value"].notna()]
        if trained.empty:
            return False
        figure = efficiency(trained, styles)
    save(figure, path.with_suffix(""), (".svg",))
    return True


def _other_figures(grid: Grid, out: Path) -> Iterator[Figure]:
    """Yield the figures of a grid that belong to no task."""
    folder = grid.path.with_name("figures")
    for name, alternative, caption in (
        ("learning_curves.svg", LOSSES, LEARNING),
        ("ranks.svg", "Mean ranks; the numbers are in ranks.csv beside the scores.", "Mean ranks."),
    ):
        if (folder / name).is_file() and _reviewed(grid):
            _copy(folder / name, out / name)
            yield name, alternative, caption


def _reviewed(grid: Grid) -> bool:
    """Return whether what lies beside the scores is of this project: pages and pictures may act."""
    return grid.path.resolve().is_relative_to(RELEASED.resolve())


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source.read_bytes())


def run_page(grid: Grid, variant: str, results: Path, out: Path, crate: str) -> str:
    """Return the page of a variant's runs: settings, curves, provenance.

    Args:
        grid: the grid.
        variant: one of its variants.
        results: folder of all results: records and logs that are there are read.
        out: folder of the page, for its figures.
        crate: place of the grid's RO-Crate from the page on; "" = there is none.
    """
    scores = grid.scores[grid.scores["variant"] == variant]
    settings, losses = histories(scores, results)
    logs = {(variant, name): log for name, log in losses.items()}
    if logs:
        save(learning_curves(logs, looks([variant])), out / f"{variant}_curves", (".svg",))
    # Without records the columns that these fill are empty.
    facts_of = (row.facts for row in run_rows(scores, results))
    listed = [{name: text for name, text in each.items() if text} for each in facts_of]
    once = scores.drop_duplicates(["predictions", "fraction", "draw"])
    facts = [
        (name, ", ".join(dict.fromkeys(map(str, scores[column]))))
        for name, column in (
            ("Encoders", "encoder"),
            ("Corpus", "corpus"),
            ("Budget", "budget"),
            ("Settings hash", "settings_hash"),
            ("Code version", "code_version"),
            ("Lock of the environment", "lock_hash"),
            ("Device", "device"),
        )
    ]
    facts += [
        *host_rows(grid.meta),
        ("Adaptation, all runs", duration(float(once["wall_s"].sum()))),
    ]
    return render(
        "run.md.j2",
        grid=grid,
        variant=variant,
        method=str(scores["method"].iloc[0]),
        facts=facts,
        settings=settings,
        planned=planned_settings(scores, _own_grid(grid)),
        released=_curves_of(grid, out.parent.parent / "grids"),
        curves=bool(logs),
        runs=listed,
        crate=crate,
    )


def _own_grid(grid: Grid) -> GridFile | None:
    """Return the project's own grid of this name, None where it has none that can be read."""
    file = Path("benchmarks") / f"{grid.name}.yaml"
    try:
        return GridFile.load(file) if file.is_file() and _reviewed(grid) else None
    except UserError:
        return None


def _curves_of(grid: Grid, pages: Path) -> str:
    """Return the place of the released learning curves of a grid from a run's page on, if any."""
    name = f"{grid.name}/learning_curves.svg"
    return f"../../grids/{name}" if (pages / name).is_file() else ""


def card_pages() -> Iterator[tuple[str, str]]:
    """Yield the kind of each page of cards and the page."""
    for kind in KINDS:
        yield kind, render("cards.md.j2", kind=kind, cards=list(cards(kind)))


_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?://)[^)]*\)")


def without_links(text: str, deeper: int = 0) -> str:
    """Return a Markdown text of the project without links to its files and without pictures.

    Args:
        text: the Markdown.
        deeper: headings move down by so many levels.
    """
    plain = _LINK.sub(lambda found: "" if found[1] else found[2], text)
    # No tag of it becomes one of the page.
    plain = re.sub(r"<(?=[A-Za-z/!?])", "&lt;", plain)
    return re.sub(r"^(#+ )", "#" * deeper + r"\1", plain, flags=re.MULTILINE)


def filled(text: str, toys: Mapping[str, str], root: Path) -> str:
    """Return a page of the documentation with its toy figures, lists of words and shown code.

    Args:
        text: with `<!-- toy NAME -->`, `<!-- cards datasets -->` and `<!-- code FILE -->`.
        toys: text alternative of each toy figure.
        root: of the project; a file that an installed package lacks is left out.
    """

    def found(place: "re.Match[str]") -> str:
        kind, name = place.groups()
        if kind == "toy":
            return f'<figure><img src="toys/{name}.svg" alt="{escape(toys[name])}"></figure>'
        if kind == "cards":
            return render("words.md.j2", kind=name, table=datasets())
        file = root / name
        return f"```python\n{file.read_text()}```" if file.is_file() else ""

    return re.sub(r"<!-- (toy|cards|code) (\S+) -->", found, text)


def literal(text: str) -> Markup:
    """Return a title of others as Markdown that means itself; braces would be attributes."""
    safe = markdown_text(text).replace("{", "&#123;").replace("}", "&#125;")
    return Markup(safe)  # noqa: S704 (escaped before)


def front(text: str) -> Markup:
    """Return a title for the head of a page, which is YAML; the theme shows it as HTML."""
    return Markup(json.dumps(str(escape(printable(text)))))  # noqa: S704 (as above)


def prose(text: str) -> Markup:
    """Return a paragraph of a docstring as HTML, backticks as code."""
    # Escaped before: the only tags are those that are put in here.
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704
