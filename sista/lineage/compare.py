"""Verb `compare`: two scores tables, value by value."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from sista import tables
from sista.errors import UserError, say
from sista.lineage.paired import paired, print_tests

# Differ between two equal runs, or name what they were made with.
MADE_WITH = ("code_version", "lock_hash", "device")
ALONE = ("only in the first", "only in the second")
# Scores of an older version do not say whether pre-training left its plateau.
NOT_COMPARED = (*MADE_WITH, "wall_s", "peak_mb", "predictions_sha256", "plateau")


def compare(
    a: Path,
    b: Path,
    *,
    shared: bool = False,
    row: str | None = None,
    against: str | None = None,
) -> None:
    """Compare the values of two scores tables; exit with 1 and list the differences.

    Times, memory and file hashes are not compared. Another code version, environment lock or device
    is told, and is no difference. With --row and --against: test one row against another instead,
    paired on test patients, seeds and draws; the predictions of both must be there.

    Args:
        a: a scores table.
        b: another one.
        shared: rows that only one of them has are counted and are no difference: one grid has
            more rows than the other.
        row: variant of the first table to test.
        against: variant of the second table to test it against.
    """
    if (row is None) != (against is None):
        raise UserError("--row and --against belong together: give both")
    if row is not None and against is not None:
        print_tests(paired(a, b, row, against))
        return
    first, second = (tables.read(path, "scores")[0] for path in (a, b))
    for name in MADE_WITH:
        values = [", ".join(sorted(map(str, table[name].unique()))) for table in (first, second)]
        if values[0] != values[1]:
            say(f"{name}: {values[0]} and {values[1]}")
    differences = list(differing(first, second))
    alone = [line for line in differences if line.endswith(ALONE)]
    values = [line for line in differences if not line.endswith(ALONE)]
    say(
        f"{len(first)} and {len(second)} rows: {len(alone)} of them in one table only, "
        f"{len(values)} values differ"
    )
    # What differs in both comes first: it is what one looks for.
    differences = values if shared else [*values, *alone]
    for line in differences[:50]:
        say(line)
    if len(differences) > 50:
        say(f"... and {len(differences) - 50} more")
    if differences:
        raise SystemExit(1)
    say(f"{a} and {b}: equal values")


def differing(first: pd.DataFrame, second: pd.DataFrame) -> Iterator[str]:
    """Yield a line for every value that is not bit-identical in two scores tables."""
    numbers = ["value", "low", "high", "n", "note"]
    keys = [c for c in first.columns if c not in (*NOT_COMPARED, *numbers)]
    both = first[keys + numbers].merge(
        second[keys + numbers], on=keys, how="outer", indicator=True, suffixes=("_a", "_b")
    )
    for record in both.to_dict("records"):
        row = {str(name): value for name, value in record.items()}
        template = (
            "{protocol} {dataset} {head} {variant} {encoder} seed {seed} {fraction} % draw {draw} "
        )
        text = (template + "{subset} {metric} {label}").format(**row)
        if row["_merge"] != "both":
            yield f"{text}: {ALONE[row['_merge'] != 'left_only']}"
            continue
        for name in numbers:
            left, right = row[f"{name}_a"], row[f"{name}_b"]
            # NaN differs from everything, itself too; two of them are no difference.
            if left != right and not (pd.isna(left) and pd.isna(right)):
                yield f"{text}: {name} {left!r} and {right!r}"
