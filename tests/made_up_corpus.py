"""A small prepared corpus on disk, for tests of pre-training."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from sista import tables
from sista.text.vocabulary import train_vocabulary

WORDS = ["left effusion", "right effusion", "no acute process", "cardiomegaly with edema"]


def corpus(
    folder: Path,
    count: int = 40,
    reports: Sequence[str] | None = None,
    dataset: str = "made",
) -> tuple[Path, Path]:
    """Write a small prepared corpus."""
    reports = reports or [f"there is {WORDS[n % 4]}. number {n} of many." for n in range(count)]
    generator = np.random.default_rng(0)
    manifest = folder / "manifest.parquet"
    np.save(folder / "manifest.images.npy", generator.integers(0, 255, (count, 110, 110), np.uint8))
    ids = [f"i{n:03}" for n in range(count)]
    frame = pd.DataFrame(
        {
            "image_id": ids,
            "patient_id": ids,
            "study_id": ids,
            "view": None,
            "path": ids,
            "row": range(count),
            "height": 110,
            "width": 110,
            "scale": 1.0,
            "pad_x": 0.0,
            "pad_y": 0.0,
            "spacing": np.nan,
            "boxes": None,
            "mask": None,
            "report": list(reports),
            "release": "1",
            "content_hash": ids,
            "official": None,
            "label.Effusion": [float(n % 4 < 2) for n in range(count)],
        }
    )
    meta = {
        "dataset": dataset,
        "labels": ["Effusion"],
        "prepared_size": 110,
        "images": "manifest.images.npy",
        "vocabulary": "manifest.vocabulary.json",
    }
    tables.write(frame, manifest, "manifest", meta)
    subset = np.where(np.arange(count) < count * 0.8, "train", "val")
    vocabulary = train_vocabulary(list(frame["report"][subset == "train"]))
    (folder / "manifest.vocabulary.json").write_text(vocabulary.to_str())
    place = np.where(subset == "train", 100, -1)
    rows = {"dataset": dataset, "subset": subset, "draw": np.minimum(place, 0), "fraction": place}
    split = folder / "manifest.split.parquet"
    tables.write(pd.DataFrame({**rows, "image_id": ids}), split, "split", {"hash": "h"})
    return manifest, split


def varied_reports() -> list[str]:
    """Reports that are equal, nearly equal, alike and not; all but equal only where cleaned."""
    findings = ["effusion", "opacity", "edema", "cardiomegaly", "pneumothorax", "consolidation"]
    months = ["march", "april", "may", "june"]
    texts = []
    for n in range(24):
        first, second, third = (findings[(n // d + d) % 6] for d in (1, 3, 6))
        long = "".join(f"there is {name} of the left lung. " for name in findings[:5])
        texts.append(
            (
                f"the lungs are clear. no {findings[n // 4 % 6]}. comparison with the last film.",
                f"{long}{second} of the right lung. {first} and {first} of the left lung.",
                f"there is {first} on the left. {second} and {first} of the right lung. {third}.",
                f"{second} is seen. the film of {months[n // 4 % 4]} is not at hand.",
            )[n % 4]
        )
    generator = np.random.default_rng(3)
    return [texts[n] for n in generator.permutation(len(texts))]
