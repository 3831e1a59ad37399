"""Cards of the words: what each method, head, task, protocol, data set and encoder is.

Everything comes from the files of the words: docstrings, signatures, constants and cards. Nothing
is imported that needs torch.
"""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import griffe

from sista import registry
from sista.encoders.specs import ENCODERS
from sista.grid.budgets import BUDGETS
from sista.grid.grid import is_control
from sista.protocols._base import Protocol, Settings
from sista.report.captions import count
from sista.tasks._base import find_task

KINDS = ("methods", "heads", "tasks", "protocols", "datasets", "encoders", "budgets")
_ADAPTS = {
    "frozen": "the encoder is frozen",
    "tuned": "the encoder is trained too",
    "untrained": "nothing is trained and no label is used",
}


@dataclass(frozen=True)
class Table:
    """A table of a card: a caption, headings, rows of text."""

    caption: str
    head: tuple[str, ...]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Card:
    """What a word is.

    Attributes:
        word: as in grids.
        title: one line.
        text: further paragraphs of its docstring.
        facts: name and text of what is known about it.
        tables: its settings, metrics or counts.
    """

    word: str
    title: str
    text: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    tables: tuple[Table, ...] = ()


def cards(kind: str) -> Iterator[Card]:
    """Yield the card of each word of a kind (see `KINDS`)."""
    made = {
        "methods": _method,
        "heads": _head,
        "tasks": _task,
        "protocols": _protocol,
        "datasets": _dataset,
    }
    if kind in made:
        yield from map(made[kind], registry.names(kind))
    elif kind == "encoders":
        for word, spec in ENCODERS.items():
            arguments = ", ".join(f"{k}={v!r}" for k, v in spec.arguments.items()) or "none"
            facts: tuple[tuple[str, str], ...] = (
                ("Family", spec.family),
                ("Model of timm", spec.timm_name),
                ("Arguments", arguments),
                ("Input", f"{spec.size} × {spec.size} pixels"),
                ("Starts from", spec.initial_weights or "random weights"),
                ("Report encoder", spec.text),
            )
            yield Card(word, f"{spec.family}, {spec.size} px", facts=facts)
    else:
        for word, budget in BUDGETS.items():
            title = f"{budget.epochs} epochs, batch {budget.batch}, rate {budget.learning_rate:g}"
            facts = tuple((name, str(value)) for name, value in asdict(budget).items())
            yield Card(word, title, facts=facts)


def _docstring(kind: str, word: str) -> tuple[str, tuple[str, ...]]:
    """Return the first line and the other paragraphs of a word's docstring."""
    text = ast.get_docstring(ast.parse(registry.path(kind, word).read_text())) or word
    title, *paragraphs = text.split("\n\n")
    return " ".join(title.split()), tuple(paragraphs)


def _settings(kind: str, word: str) -> tuple[Table, ...]:
    """Return the settings of a word: name, type, default and meaning."""
    known = registry.settings(kind, word)
    if not known:
        return ()
    meant = _meanings(kind, word)
    rows = [(s.name, s.annotation, repr(s.default), meant.get(s.name, "")) for s in known.values()]
    caption = f"Settings of {word}"
    return (Table(caption, ("Setting", "Type", "Default", "Meaning"), rows),)


def _meanings(kind: str, word: str) -> dict[str, str]:
    """Return what the docstrings of a word's files say of arguments and attributes."""
    found: dict[str, str] = {}
    file = registry.path(kind, word)
    # A word may have the settings of another one of its kind.
    others = [registry.PACKAGE.parent / name for name in registry.sources(kind, word)]
    others = [path for path in others if path.parent == file.parent]
    for path in dict.fromkeys((file, registry.settings_file(file), *others)):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.FunctionDef | ast.ClassDef):
                continue
            parts = griffe.parse_google(
                griffe.Docstring(ast.get_docstring(node) or ""), warnings=False
            )
            for part in parts:
                if part.kind.value in ("parameters", "attributes"):
                    for item in part.value:
                        found.setdefault(item.name, " ".join(item.description.split()))
    return found


def _method(word: str) -> Card:
    title, text = _docstring("methods", word)
    control = "control: never the best, not ranked" if is_control(word) else "competes"
    return Card(word, title, text, (("Stands as", control),), _settings("methods", word))


def _head(word: str) -> Card:
    title, text = _docstring("heads", word)
    adapts = str(registry.constant("heads", word, "ADAPTS"))
    facts = (
        ("Task", str(registry.constant("heads", word, "TASK"))),
        ("Adapts", f"{adapts}: {_ADAPTS[adapts]}"),
    )
    return Card(word, title, text, facts, _settings("heads", word))


def _task(word: str) -> Card:
    title, text = _docstring("tasks", word)
    task = find_task(word)
    metrics = [
        (
            m.word,
            m.title,
            "lower" if m.lower_is_better else "higher",
            "percent" if m.percent else "as it is",
            "control" if m.control else ", ".join(m.controls),
        )
        for m in task.metrics
    ]
    head = ("Metric", "Title", "Better", "Shown", "Compared with")
    columns = [(name, str(column.description)) for name, column in task.columns.items()]
    tables = (
        Table(f"Metrics of {word}", head, metrics),
        Table(f"Columns of the predictions of {word}", ("Column", "Content"), columns),
    )
    return Card(word, title, text, (("Value over all classes", task.overall),), tables)


def _protocol(word: str) -> Card:
    title, text = _docstring("protocols", word)
    protocol: Protocol = registry.find("protocols", word)
    heads = [
        (task, family, head)
        for task, by_family in protocol.heads.items()
        for family, head in by_family.items()
    ]
    names = [field.name for field in fields(Settings) if field.name != "head"]
    training = [
        (name, *(str(getattr(each, name)) for each in protocol.settings.values())) for name in names
    ]
    differs = [(task, point) for task, points in protocol.differs.items() for point in points]
    tables = [
        Table(f"Heads of {word}", ("Task", "Encoder", "Head"), heads),
        Table(f"Training of the heads of {word}", ("Setting", *protocol.settings), training),
    ]
    if protocol.exceptions:
        rows = [
            (
                each.task,
                each.dataset or "all",
                f"{each.fraction} %" if each.fraction else "all",
                ", ".join(f"{k}={v}" for k, v in each.changes.items()),
            )
            for each in protocol.exceptions
        ]
        head = ("Task or head", "Data set", "Labels", "Changed")
        tables.append(Table(f"Exceptions of {word}", head, rows))
    if differs:
        caption = f"How {word} differs from its source"
        tables.append(Table(caption, ("Task", "Difference"), differs))
    size = f"{protocol.image_size} pixels" if protocol.image_size else "the encoder's own"
    return Card(word, title, text, (("Side of the image", size),), tuple(tables))


def _dataset(word: str) -> Card:
    _, text = _docstring("datasets", word)
    card: Any = registry.find("datasets", word)
    facts = (
        ("Licence", card.licence),
        ("Access", card.access + (", to named persons only" if card.credentialed else "")),
        ("Address", card.url),
        ("To cite", card.citation),
        ("Layout", ", ".join(card.layout)),
        ("Findings", ", ".join(card.labels)),
        ("Boxes", ", ".join(card.box_labels) or "none"),
        ("Masks", card.mask_label or "none"),
        ("Classes", "exclude each other" if card.multiclass else "independent"),
        ("Uncertain and blank labels", f"policy {card.label_policy}"),
    )
    counts = [(release, f"{n:,}") for release, n in card.counts.items()]
    tables = (Table(f"Images of {word}", ("Release", "Images"), counts),) if counts else ()
    return Card(word, card.title, text, facts, tables)


def datasets() -> Table:
    """Return all data sets in one table: access, licence and what their films carry."""
    known: list[Any] = [registry.find("datasets", word) for word in registry.names("datasets")]
    head = ("Data set", "Access", "Licence", "Films read", "Annotated")
    rows = [
        (
            card.word,
            card.title,
            card.access,
            card.licence,
            " or ".join(dict.fromkeys(f"{n:,}" for n in card.counts.values())) or "not fixed",
            _annotated(card),
        )
        for card in known
    ]
    return Table(f"All {len(known)} data sets", head, rows)


def _annotated(card: Any) -> str:
    """Return what the films of a data set carry, in words."""
    parts = [count(len(card.labels), "finding")] if card.labels else []
    parts += [f"boxes of {count(len(card.box_labels), 'kind')}"] if card.box_labels else []
    parts += [f"masks ({card.mask_label})"] if card.mask_label else []
    return ", ".join(parts) or "reports alone"
