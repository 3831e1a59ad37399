"""Captions of the main tables: what stands in them, how it was made, how it may be read."""

import pandas as pd

from sista import registry
from sista.scoring.main_rows import off_plateau
from sista.tasks._base import find_metric, find_task

BOLD = "best of each block in bold, controls aside"
# The method of weights that others have trained.
IMPORTED = "released"
ONE_SEED = "one seed ranks no rows, so none is in bold and none is tested against another"


def caption(rows: pd.DataFrame, task: str) -> str:
    """Return what the table shows: protocol, metric, sizes, draws and seeds."""
    protocols = ", ".join(map(str, dict.fromkeys(rows["protocol"])))
    # Titles of metrics may hold commas.
    metrics = "; ".join(find_metric(m).title for m in dict.fromkeys(rows["metric"]))
    sizes = rows[rows["n"] > 0].groupby("dataset", sort=False)["n"].max()
    tested = ", ".join(f"{int(n)} of {dataset}" for dataset, n in sizes.items()) or "none"
    fractions = _training(rows)
    draws, seeds = rows["draw"].nunique(), rows["seed"].nunique()
    encoders = rows.drop_duplicates(["variant", "encoder", "corpus", "budget", "seed"])
    kinds = encoders[off_plateau(encoders)]["plateau"].value_counts()
    left = f" Of {len(encoders)} encoders {kinds.get('late', 0)} left the plateau of pre-training "
    left += f"late and {kinds.get('stuck', 0)} never: their rows are marked and not ranked."
    return (
        f"{find_task(task).title}, protocol {protocols}, in percent: {metrics} on test "
        f"(images: {tested}){fractions}. Mean ± standard "
        f"deviation over {count(draws, 'draw')} of the label subset and "
        f"{count(seeds, 'pre-training seed')}; {BOLD if seeds > 1 else ONE_SEED}."
        f"{_pretrained(rows)}{left if len(kinds) else ''}"
        f"{_differences(rows, task)}"
    )


def _training(rows: pd.DataFrame) -> str:
    """Return on which shares of the labels heads were trained, and which heads used none."""
    shares = [str(f) for f in sorted(rows["fraction"].unique()) if f]
    if not shares:
        return ""
    untrained = ", ".join(dict.fromkeys(rows.loc[rows["fraction"] == 0, "head"]))
    none = f" ({untrained}: no labels)" if untrained else ""
    return f" after training on {', '.join(shares)} % of the labels{none}"


def _differences(rows: pd.DataFrame, task: str) -> str:
    """Return how the protocols differ from those they are named after, as sentences."""
    texts, known = [], registry.names("protocols")
    # Scores may be of a protocol that this version does not have.
    for word in dict.fromkeys(rows["protocol"]):
        differs = registry.find("protocols", word).differs.get(task, ()) if word in known else ()
        texts += [f" {word} differs from its source: {'; '.join(differs)}."] if differs else []
    return "".join(texts)


def _pretrained(rows: pd.DataFrame) -> str:
    """Return what rows were pre-trained on; imported ones were not on the grid's corpus."""
    imported = rows["method"] == IMPORTED
    parts = []
    if not imported.all():
        corpora = ", ".join(map(str, dict.fromkeys(rows.loc[~imported, "corpus"])))
        parts.append(f" Pre-trained on {corpora}, budget {_budgets(rows[~imported])}.")
    if imported.any():
        names = ", ".join(map(str, dict.fromkeys(rows.loc[imported, "variant"])))
        parts.append(f" Pre-trained by others, on data and for a time of their own: {names}.")
    return "".join(parts)


def _budgets(rows: pd.DataFrame) -> str:
    """Return the budget of most rows, and which others have another one."""
    of = rows.groupby("variant", sort=False)["budget"].first()
    usual = str(of.mode().iloc[0])
    others = [f"{word} of {variant}" for variant, word in of.items() if word != usual]
    return ", ".join([usual, *others])


def count(number: int, word: str) -> str:
    """Return a number with its word, in the plural where there are several."""
    return f"{number} {word}{'' if number == 1 else 's'}"
