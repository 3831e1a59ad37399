"""Verb `trace`: from a number in a table down to the hash of the raw data."""

from pathlib import Path

from sista.errors import say
from sista.lineage.address import find
from sista.runs.ancestry import Link, follow, hash_of, result_path
from sista.runs.options import Results


def trace(
    table: Path,
    *,
    row: str,
    column: str,
    head: str | None = None,
    results: Results = Path("results"),
) -> None:
    """Print what a number was made from, run by run, down to the hash of the raw data.

    Every file is hashed and compared with the records on the way.

    Args:
        table: a table of a report (TASK.csv, .md, .tex, .html) or a scores table.
        row: VARIANT/ENCODER, e.g. `sista/resnet_tiny`.
        column: DATASET/FRACTION, e.g. `chexpert@phantom/10`, or DATASET/FRACTION/METRIC.
        head: where a data set has several heads.
        results: folder of all results.
    """
    address = find(table, row, column, head)
    say(f"{table}: {address.text}")
    say(f"scores      {address.scores}  sha256 {hash_of(address.scores)}")
    for predictions, part in address.rows.groupby("predictions", sort=False):
        for one in part.to_dict("records"):
            say(f"  value     {one['value']!r}  draw {one['draw']}, seed {one['seed']}")
        first = part.iloc[0]
        say(
            f"  made by   code {first['code_version']}, lock {first['lock_hash']}, settings "
            f"{first['settings_hash']}, split {first['split_hash']}"
        )
        path = result_path(str(predictions), results)
        _print(follow(path), 1, str(first["predictions_sha256"]), set())


def _print(link: Link, depth: int, expected: str | None, seen: set[Path]) -> None:
    """Print a file, the run that made it, and what that run read."""
    known = link.sha256 or expected or "unknown"
    state = link.state
    if expected and link.sha256 and link.sha256 != expected:
        state = "made again since"
    indent = "  " * depth
    say(f"{indent}{link.path}\n{indent}  sha256 {known}  ({state})")
    record = link.record
    # A file that several runs read is followed once.
    if record is None or link.path in seen:
        return
    seen.add(link.path)
    told = f"by {record.stage}, {record.started:%Y-%m-%d %H:%M} UTC, code {record.code_version}"
    say(f"{indent}  {told}, lock {record.lock_hash}, {record.wall_s:.1f} s: {link.record_path}")
    if record.seeds:
        say(f"{indent}  seeds {', '.join(f'{k}: {v}' for k, v in record.seeds.items())}")
    if record.stage == "fetch":
        facts = record.facts
        say(
            f"{indent}  raw data {record.run['dataset']}, release {facts['release']}, "
            f"{facts.get('n')} files\n{indent}  raw sha256 {facts['raw_sha256']}"
        )
    for each in link.below:
        _print(each, depth + 1, None, seen)
