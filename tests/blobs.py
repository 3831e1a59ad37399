"""A data set of bright discs on noise, prepared, with a random encoder: what adapt needs."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from sista import tables
from sista.encoders.checkpoint import save_checkpoint
from sista.encoders.image import ImageEncoder
from sista.encoders.specs import encoder_spec
from sista.files import digest
from sista.preparation.masks import to_json
from sista.preparation.splits import split_hash
from sista.stages import pretrain
from sista.text.vocabulary import train_vocabulary

SIDE = 96
LABELS = ("disc", "large")


def encoder_file(path: Path, word: str, budget: str = "quick", **facts: object) -> Path:
    """Write a random encoder, with more facts about it."""
    torch.manual_seed(0)
    encoder = ImageEncoder(encoder_spec(word))
    metadata = {"word": word, "family": encoder.family, "variant": "random_init"}
    metadata |= {"method": "random_init", "settings": {}, "corpus": "none"}
    metadata |= {"settings_hash": digest({"method": "random_init"})}
    metadata |= {"budget": budget, "seed": 0, "image_encoder": encoder.description()}
    save_checkpoint(path, {"image": encoder}, metadata | facts)
    return path


def blobs(
    folder: Path, n: int = 120, multiclass: bool = False, dataset: str = "blobs@test"
) -> Path:
    """Write manifest, images and split of `n` images; two of three hold a disc."""
    random = np.random.default_rng(0)
    images = random.normal(90, 15, (n, SIDE, SIDE)).clip(0, 255).astype(np.uint8)
    lines, columns = np.mgrid[:SIDE, :SIDE]
    rows = []
    for i in range(n):
        radius = random.integers(9, 22)
        x, y = random.uniform(radius, SIDE - radius, 2)
        disc = (columns - x) ** 2 + (lines - y) ** 2 < radius**2
        there = i % 3 > 0
        if there:
            images[i][disc] = 220
        # Native pixels are twice the prepared ones.
        mask = np.kron(disc & there, np.ones((2, 2), dtype=np.uint8))
        corner = [2 * (x - radius), 2 * (y - radius), 4 * radius, 4 * radius]
        box = {"label": "disc", **dict(zip("xywh", map(float, corner), strict=True))}
        labels = {"label.disc": float(there), "label.large": float(there and radius > 15)}
        if multiclass:
            labels["label.large"] = 1 - labels["label.disc"]
        rows.append(
            _row(i, n) | labels | {"mask": to_json(mask), "boxes": json.dumps([box][:there])}
        )
    frame = pd.DataFrame(rows)
    meta = {"dataset": dataset, "release": "1", "labels": list(LABELS), "mask_label": "disc"}
    meta |= {"box_labels": ["disc"], "prepared_size": SIDE, "multiclass": multiclass, "n": n}
    manifest = folder / "manifest.parquet"
    tables.write(frame, manifest, "manifest", meta)
    np.save(folder / "manifest.images.npy", images)
    _write_split(folder / "manifest.split.parquet", list(frame["image_id"]), dataset)
    return manifest


def _starts(n: int) -> tuple[int, int, int]:
    """Return the first image of training, validation and test."""
    return 0, n // 2, 3 * n // 4


def _row(i: int, n: int) -> dict[str, object]:
    none = dict.fromkeys(("study_id", "view", "report", "official"))
    size = {"height": 2 * SIDE, "width": 2 * SIDE, "scale": 0.5, "pad_x": 0.0, "pad_y": 0.0}
    # Two images a patient, none in two sets.
    start = max(first for first in _starts(n) if first <= i)
    patient = f"patient{(start + (i - start) // 2 * 2) / 2:g}"
    ids = {"image_id": f"image{i}", "patient_id": patient, "path": f"{i}.png", "row": i}
    return {**ids, **none, **size, "spacing": np.nan, "release": "1", "content_hash": str(i)}


def _write_split(path: Path, ids: list[str], dataset: str) -> None:
    n = len(ids)
    half, last = _starts(n)[1:]
    subsets = {"train": ids[:half], "val": ids[half:last], "test": ids[last:]}
    rows = [(s, -1, -1, name) for s in ("val", "test") for name in subsets[s]]
    for draw in (0, 1):
        for fraction, count in ((10, 6), (100, half)):
            rows += [("train", draw, fraction, name) for name in subsets["train"][draw:][:count]]
    frame = pd.DataFrame(rows, columns=["subset", "draw", "fraction", "image_id"])
    refused = [{"draw": d, "fraction": 1, "reason": "too few images"} for d in (0, 1)]
    meta = {"hash": split_hash(frame), "rule": "test", "draws": 2, "fractions": [1, 10, 100]}
    tables.write(frame.assign(dataset=dataset), path, "split", meta | {"refused": refused})


def told(manifest: Path) -> Path:
    """Give the discs reports that call them effusion, a vocabulary and regions."""
    frame, meta = tables.read(manifest, "manifest")
    there = frame["label.disc"] > 0
    report = np.where(there, "there is a right effusion.", "no effusion. the lungs are clear.")
    frame = frame.assign(report=report, study_id=frame["image_id"])
    meta |= {"images": "manifest.images.npy", "vocabulary": "manifest.vocabulary.json"}
    tables.write(frame, manifest, "manifest", meta)
    vocabulary = train_vocabulary(list(report))
    manifest.with_suffix(".vocabulary.json").write_text(vocabulary.to_str())
    regions = frame.loc[there, ["image_id", "mask"]].assign(label="effusion")
    tables.write(regions, manifest.with_suffix(".regions.parquet"), "regions")
    return manifest


def taught(manifest: Path, path: Path, method: str = "sista", encoder: str = "resnet_tiny") -> Path:
    """Pre-train on the discs and their reports for a few steps."""
    words = {"method": method, "encoder": encoder, "corpus": "blobs@test", "budget": "tiny"}
    split = manifest.with_suffix(".split.parquet")
    pretrain.main(manifest=manifest, split=split, out=path, **words)
    return path
