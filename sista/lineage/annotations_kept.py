"""Predictions against the annotations of a prepared data set: each test film, its true values."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pandas as pd

from sista.errors import UserError
from sista.metadata import Meta
from sista.preparation.labels import apply_policy
from sista.preparation.masks import from_json
from sista.protocols._base import Protocol

# Pixels by which a written number may differ.
ROUNDED = 3
# Tasks whose test films are those with an annotation of their own.
ANNOTATED = ("segmentation", "detection")


def departures(
    frame: pd.DataFrame,
    manifest: tuple[pd.DataFrame, Meta],
    split: pd.DataFrame,
    protocol: Protocol,
    task: str,
) -> Iterator[str]:
    """Yield what of the predictions is not so in the data set.

    Args:
        frame: predictions of the task.
        manifest: of the data set, with its metadata.
        split: of the data set.
        protocol: that the head follows; one with a split of its own is not compared.
        task: word of the task.

    Raises:
        UserError: the predictions hold true boxes that are none.
    """
    films, meta = manifest
    dataset = str(meta["dataset"])
    if protocol.split_rule(task, dataset) is not None:
        return
    films = films[films["image_id"].isin(split.loc[split["subset"] == "test", "image_id"])]
    tested = frame[frame["subset"] == "test"]
    asked = set(films.loc[_annotated(films, meta, task), "image_id"])
    heads = [name for name in ("draw", "fraction", "label") if name in tested]
    there = [set(part["image_id"]) for _, part in tested.groupby(heads)]
    # Without any head what is missing are heads, which their own rule tells.
    if there and (lost := len(asked - set.intersection(*there))):
        yield f"lacks {lost} test films of {dataset} that are annotated: each counts in each head"
    if asked and task in ANNOTATED and (more := len(set().union(*there) - asked)):
        yield f"has {more} test films of {dataset} that are not annotated for {task}"
    yield from _patients(tested, films)
    values = {"classification": _labels, "detection": _boxes}.get(task)
    if values is None or not len(asked):
        return
    true = values(films, meta, protocol.options_for(dataset))
    ours = _written(tested, task).drop_duplicates()
    if task == "classification" and (other := set(true["label"]) ^ set(ours["label"])):
        known = true["label"].nunique()
        yield f"its labels are not the {known} of {dataset}: {len(other)} are missing or invented"
    both = ours.merge(true, on=[name for name in true if name != "target"], suffixes=("", "_true"))
    wrong = both["target"].ne(both["target_true"]) & ~(
        both["target"].isna() & both["target_true"].isna()
    )
    if n := both.loc[wrong, "image_id"].nunique():
        yield f"{n} test films have other true values than the manifest of {dataset}"


def _patients(tested: pd.DataFrame, films: pd.DataFrame) -> Iterator[str]:
    """Yield how many films stand under another patient: intervals are over patients."""
    if "patient_id" not in tested:
        return
    said = tested[["image_id", "patient_id"]].drop_duplicates()
    both = said.merge(films[["image_id", "patient_id"]], on="image_id", suffixes=("", "_true"))
    if n := int((both["patient_id"] != both["patient_id_true"]).sum()):
        yield f"{n} test films stand under another patient than in the manifest"


def untrue_refusals(
    refused: Iterable[Mapping[str, Any]],
    manifest: tuple[pd.DataFrame, Meta],
    split: tuple[pd.DataFrame, Meta],
    protocol: Protocol,
    task: str,
) -> Iterator[str]:
    """Yield heads that were not trained although their training films are annotated.

    Args:
        refused: draw, fraction and reason of each, as the predictions say.
        manifest: of the data set, with its metadata.
        split: of the data set, with its metadata.
        protocol: that the head follows.
        task: word of the task.
    """
    (films, meta), (sets, facts) = manifest, split
    known = {(int(r["draw"]), int(r["fraction"])) for r in facts.get("refused", [])}
    if protocol.split_rule(task, str(meta["dataset"])) is not None:
        return
    trained = sets[sets["subset"] == "train"]
    for each in refused:
        # Of all draws or fractions at once the split itself speaks; and a training that was tried
        # and diverged, or had nothing to be judged by, is no matter of annotations.
        if each.get("draw") is None or re.search("diverged|validation", str(each.get("reason"))):
            continue
        cell = int(each["draw"]), int(each["fraction"])
        part = trained[(trained["draw"] == cell[0]) & (trained["fraction"] == cell[1])]
        rows = films[films["image_id"].isin(part["image_id"])]
        if cell not in known and (n := _positive(rows, meta, protocol, task)):
            yield (
                f"says that draw {cell[0]} at {cell[1]} % cannot be trained, where {n} of its "
                "training films are annotated: adapt it too"
            )


def _positive(rows: pd.DataFrame, meta: Meta, protocol: Protocol, task: str) -> int:
    """Return how many films give a head something to learn."""
    if task == "classification":
        true = _labels(rows, meta, protocol.options_for(str(meta["dataset"])))
        return int(true.loc[true["target"].notna(), "image_id"].nunique())
    if task == "detection":
        return int((rows["boxes"].notna() & (rows["boxes"] != "[]")).sum())
    if task == "segmentation":
        return sum(bool(from_json(text).any()) for text in rows["mask"].dropna())
    return 0


def _annotated(films: pd.DataFrame, meta: Meta, task: str) -> "pd.Series[bool]":
    # As the tasks themselves choose them.
    if task == "detection":
        return films["boxes"].notna()
    if task == "segmentation":
        return films["mask"].notna()
    return pd.Series(task == "classification" and bool(meta.get("labels")), index=films.index)


def _written(tested: pd.DataFrame, task: str) -> pd.DataFrame:
    if task == "classification":
        return tested[["image_id", "label", "target"]]
    try:
        return tested[["image_id"]].assign(target=[_plain(json.loads(t)) for t in tested["target"]])
    except (ValueError, TypeError, LookupError, RecursionError, OverflowError) as error:
        raise UserError("its column target holds no boxes; adapt again") from error


def _labels(films: pd.DataFrame, meta: Meta, options: Mapping[str, Any]) -> pd.DataFrame:
    names = [name for name in options["labels"] or meta["labels"] if f"label.{name}" in films]
    policy = str(options["label_policy"] or meta.get("label_policy") or "as_is")
    values = apply_policy(films[[f"label.{n}" for n in names]].to_numpy(float), names, policy)
    wide = pd.DataFrame(values, columns=names).assign(image_id=films["image_id"].to_numpy())
    return wide.melt("image_id", var_name="label", value_name="target")


def _boxes(films: pd.DataFrame, _meta: Meta, _options: Mapping[str, Any]) -> pd.DataFrame:
    known = films[films["boxes"].notna()]
    keys = ("x", "y", "w", "h", "label")
    texts = [_plain([[b[k] for k in keys] for b in json.loads(t)]) for t in known["boxes"]]
    return known[["image_id"]].assign(target=texts)


def _plain(boxes: list[list[Any]]) -> str:
    """Return boxes as a text that depends neither on their order nor on the last digits."""
    rounded = [[*(round(float(v), ROUNDED) for v in box[:4]), str(box[4])] for box in boxes]
    return json.dumps(sorted(rounded, key=str))
