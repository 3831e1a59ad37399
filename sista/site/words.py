"""What there is and what is to do: words of the registry, files of a grid, schema of grids."""

import ast
import json
import sys
from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sista import registry
from sista.encoders.specs import ENCODERS
from sista.files import atomic, check_place
from sista.grid.budgets import BUDGETS
from sista.grid.grid import Grid
from sista.runs.record import Record

Kind = Literal[
    "datasets", "methods", "tasks", "heads", "protocols", "encoders", "budgets", "importers"
]
KINDS: tuple[Kind, ...] = get_args(Kind)


def list_words(kind: Kind | None = None) -> None:
    """Print the words that a grid or `sista import` may use, each with what it is.

    Args:
        kind: only this kind of word.
    """
    # In a pipe there is no width to wrap at.
    console = Console(width=None if sys.stdout.isatty() else 160)
    for one in KINDS if kind is None else (kind,):
        table = Table(title=one, title_justify="left", show_header=False, box=None)
        for word, text in words(one).items():
            table.add_row(word, Text(text))
        console.print(table)


def words(kind: Kind) -> dict[str, str]:
    """Return the words of a kind with one line about each."""
    if kind == "encoders":
        return {
            word: f"{spec.family}, {spec.timm_name}, {spec.size} px, text {spec.text}"
            for word, spec in ENCODERS.items()
        }
    if kind == "budgets":
        return {
            word: f"{budget.epochs} epochs, batch {budget.batch}, lr {budget.learning_rate:g}"
            for word, budget in BUDGETS.items()
        }
    if kind == "importers":
        cards = {word: registry.find(kind, word) for word in registry.names(kind)}
        return {
            word: f"{card.title}. {card.paper} [{card.licence}]" for word, card in cards.items()
        }
    lines = {word: _first_line(registry.path(kind, word)) for word in registry.names(kind)}
    if kind == "datasets":
        return {word: f"{line} [{_terms(word)}]" for word, line in lines.items()}
    return lines


def _first_line(file: Path) -> str:
    """Return the first line of a module's docstring without importing the module."""
    text = ast.get_docstring(ast.parse(file.read_text())) or ""
    return text.partition("\n")[0]


def _terms(dataset: str) -> str:
    """Return access and licence of a data set from its card."""
    card = registry.find("datasets", dataset)
    return f"{card.access}; {card.licence}"


def schema(out: Path | None = None, *, of: Literal["grid", "run", "metrics"] = "grid") -> None:
    """Print the JSON schema of grids, run records or main scores, or write it to a file.

    Args:
        out: file to write, e.g. workflow/schemas/grid.schema.json.
        of: `grid` files, `run` records (run.json) or the main scores (GRID.metrics.json).
    """
    # Here, so that lists of words cost no statistics.
    from sista.scoring.summary import Metrics

    models: dict[str, type[BaseModel]] = {"grid": Grid, "run": Record, "metrics": Metrics}
    model = models[of]
    text = json.dumps(model.model_json_schema(), indent=1, sort_keys=True) + "\n"
    if out is None:
        print(text, end="")
        return
    check_place(out)
    with atomic(out) as temporary:
        temporary.write_text(text)
