"""What a file of predictions must agree with, where its data set is prepared here."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from sista import registry, tables
from sista.lineage.annotations_kept import departures, untrue_refusals
from sista.metadata import Meta
from sista.protocols._base import Protocol

# Of classification, segmentation and detection: what was true, as the stage adapt wrote it.
TARGETS = ("label", "target")


@dataclass
class Truth:
    """Splits, true labels and corpora below a folder of results.

    Attributes:
        results: where they lie.
        unknown: what could not be checked, and what it needs.
    """

    results: Path
    unknown: set[str] = field(default_factory=set)

    def faults(self, frame: pd.DataFrame, meta: Meta, task: str) -> Iterator[str]:
        """Yield what of the predictions is not true of the data set.

        Args:
            frame: predictions.
            meta: of their table.
            task: its word.
        """
        run: dict[str, Any] = meta["run"]
        dataset = str(run.get("dataset"))
        split = self._table(dataset, "manifest.split.parquet", "split")
        if split is None:
            self.unknown.add(f"split and test films of {dataset}: it is not prepared here")
        else:
            yield from _of_split(frame, run, *split)
            yield from self._annotations(frame, meta, task, split)
        yield from self._targets(frame, run, task)
        yield from self._seen(frame, str(run.get("corpus")), dataset)

    def _table(self, dataset: str, name: str, kind: str) -> tuple[pd.DataFrame, Meta] | None:
        path = self.results / "prepare" / dataset / name
        return tables.read(path, kind) if path.is_file() else None

    def _annotations(
        self, frame: pd.DataFrame, meta: Meta, task: str, split: tuple[pd.DataFrame, Meta]
    ) -> Iterator[str]:
        """Yield what is otherwise in the manifest, from which every method has its true values."""
        dataset, word = str(meta["run"].get("dataset")), str(meta["run"].get("protocol"))
        manifest = self._table(dataset, "manifest.parquet", "manifest")
        if manifest is None or word not in registry.names("protocols"):
            self.unknown.add(f"annotations of {dataset}: its manifest is not here")
            return
        protocol: Protocol = registry.find("protocols", word)
        if protocol.split_rule(task, dataset) is not None:
            self.unknown.add(f"annotations of {dataset}: {word} has a split of its own")
            return
        if task == "segmentation":
            self.unknown.add(f"true masks of {dataset}: they are cut as the network sees them")
        for each in meta["refused"]:
            if "diverged" in str(each.get("reason")):
                self.unknown.add(f"whether heads on {dataset} diverged, as their authors say")
        yield from departures(frame, manifest, split[0], protocol, task)
        yield from untrue_refusals(meta["refused"], manifest, split, protocol, task)

    def _targets(self, frame: pd.DataFrame, run: Mapping[str, Any], task: str) -> Iterator[str]:
        """Yield whether true labels were changed: they are the same for every method."""
        dataset, place = str(run.get("dataset")), self.results / "adapt" / str(run.get("protocol"))
        others = sorted(place.glob(f"{dataset}/{run.get('head')}/**/predictions.parquet"))
        names = [name for name in TARGETS if name in frame]
        if "target" not in names:
            return
        if not others:
            needed = f"{run.get('head')} of {run.get('protocol')} on {dataset}"
            self.unknown.add(f"true labels of {needed}: no run of it is here")
            return
        theirs, ours = (
            table[table["subset"] == "test"][["image_id", *names]].drop_duplicates()
            for table in (frame, tables.read(others[0], f"predictions_{task}")[0])
        )
        both = theirs.merge(ours, how="outer", indicator=True)
        wrong = both.loc[both["_merge"] == "left_only", "image_id"].nunique()
        if wrong:
            yield f"{wrong} test films have other true labels than {others[0]}"
        if lost := len(set(both["image_id"]) - set(theirs["image_id"])):
            yield f"lacks {lost} test films that {others[0]} has: each counts, also one missed"

    def _seen(self, frame: pd.DataFrame, corpus: str, dataset: str) -> Iterator[str]:
        """Yield how many test films pre-training has trained on, by the hash of their pixels."""
        films = self._table(dataset, "manifest.parquet", "manifest")
        manifest = self._table(corpus, "manifest.parquet", "manifest")
        split = self._table(corpus, "manifest.split.parquet", "split")
        if films is None or manifest is None or split is None:
            self.unknown.add(f"whether {corpus} holds test films of {dataset}: prepare both")
            return
        tested = frame.loc[frame["subset"] == "test", "image_id"]
        hashes = films[0].loc[films[0]["image_id"].isin(tested), "content_hash"]
        trained = split[0].loc[split[0]["subset"] == "train", "image_id"]
        known = manifest[0].loc[manifest[0]["image_id"].isin(trained), "content_hash"]
        if shared := len(set(hashes) & set(known)):
            yield f"{shared} test films are training films of the corpus {corpus}"


def _of_split(
    frame: pd.DataFrame, run: Mapping[str, Any], split: pd.DataFrame, meta: Meta
) -> Iterator[str]:
    """Yield where the predicted films are not the split's."""
    if run.get("split_hash") != meta["hash"]:
        yield f"made with split {run.get('split_hash')}; the one of this data set is {meta['hash']}"
    tested = set(frame.loc[frame["subset"] == "test", "image_id"])
    known = {
        name: set(split.loc[split["subset"] == name, "image_id"]) for name in ("train", "test")
    }
    if leaked := len(tested & known["train"]):
        yield f"{leaked} of its test films are training films"
    if other := len(tested - known["train"] - known["test"]):
        yield f"{other} of its test films are not in the split"
