"""Verb `ground`: does an encoder's word-patch attention point at what the word names?

Validation studies of the phantom only, whose true regions are known. Every map is compared with
the maps of the same word on films of other patients, so that a habit ("effusion is at the base")
does not count as looking.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import Tensor

from sista import tables
from sista.engine.interface import Embedded, required
from sista.engine.pairs import Pairs
from sista.engine.restored import Restored, restore
from sista.engine.views import CROP
from sista.errors import UserError
from sista.files import atomic
from sista.metrics.grounding import chance, pointing, region_share
from sista.metrics.intervals import paired_bootstrap_p, patient_weights, percentile_interval
from sista.phantom.terms import TERMS
from sista.phantom.truth import FILE, decode
from sista.preparation.frame import Frame

# Studies in a batch of the losses: what a study is contrasted with must not depend on the corpus.
BATCH = 32
# Points along a side of a patch at which the true region is looked up.
SAMPLES = 16
MEASURES = ("hit", "precision", "mass")


def main(
    *,
    encoder: Path,
    manifest: Path,
    split: Path,
    truth: Path,
    out: Path,
    subset: str = "val",
    swaps: int = 8,
    replicates: int = 2000,
    threads: int = 1,
) -> None:
    """Score where word maps point, own film against other films against chance, as CSV.

    Args:
        encoder: checkpoint of a method with word-patch maps.
        manifest: of a prepared phantom corpus.
        split: its split.
        truth: folder of the raw phantom, or its `phantom_truth.parquet`.
        out: table to write: one row per finding and measure, `all` first, and the STA loss.
        subset: val; train and test are possible, but no choice may rest on test.
        swaps: films of other patients that each word is also shown.
        replicates: of the bootstrap over patients.
        threads: CPU threads.
    """
    torch.set_num_threads(threads)
    run = restore(encoder)
    pairs, table = run.studies(manifest, split, subset)
    e = run.embed(pairs, table)
    _, meta = tables.read(manifest, "manifest")
    prepared = np.load(manifest.with_name(meta["images"]), mmap_mode="r").shape[1]
    shares = _shares(pairs, _truth(truth), e, prepared)
    words = _score_words(run, e, pairs, table.words, shares, swaps)
    losses = _losses(run, e, pairs, swaps)
    summary = pd.concat([summarise(words, replicates), summarise(losses, replicates)])
    for name in ("variant", "method", "encoder", "seed"):
        summary.insert(0, name, run.metadata["word" if name == "encoder" else name])
    with atomic(out) as temporary:
        summary.to_csv(temporary, index=False, float_format="%.4f")
    show(summary)


def other_studies(patients: NDArray[Any], swaps: int) -> NDArray[np.int64]:
    """Return for each study `swaps` studies of other patients, `[swaps, N]`, spread evenly.

    Raises:
        UserError: all studies are of one patient.
    """
    count = len(patients)
    if len(set(patients)) < 2:
        raise UserError("swapping films needs studies of two patients")
    found = np.zeros((swaps, count), np.int64)
    for swap in range(swaps):
        step = 1 + (swap * (count - 1)) // swaps
        place = (np.arange(count) + step) % count
        while (same := patients[place] == patients).any():
            place = np.where(same, (place + 1) % count, place)
        found[swap] = place
    return found


def summarise(rows: pd.DataFrame, replicates: int) -> pd.DataFrame:
    """Return means, differences with 95 % intervals and p, for all findings and each.

    Args:
        rows: columns finding, patient_id, measure, own, swapped, chance; one row per word or study.
        replicates: bootstrap samples over patients.
    """
    lines = []
    names = ["all", *sorted(set(rows["finding"]) - {"all"})]
    for measure, part in rows.groupby("measure", sort=False):
        for finding in names:
            chosen = part if finding == "all" else part[part["finding"] == finding]
            if len(chosen):
                lines.append({"finding": finding, "measure": measure, **_line(chosen, replicates)})
    return pd.DataFrame(lines)


def _line(rows: pd.DataFrame, replicates: int) -> dict[str, Any]:
    patients = rows["patient_id"].astype(str).to_numpy()
    weights = patient_weights(list(patients), replicates)
    total = weights.sum(1)
    line: dict[str, Any] = {"rows": len(rows), "patients": len(set(patients))}
    line |= {name: float(rows[name].mean()) for name in ("own", "swapped", "chance")}
    for other in ("swapped", "chance"):
        difference = (rows["own"] - rows[other]).to_numpy(float)
        with np.errstate(invalid="ignore"):
            drawn = weights @ difference / total
        low, high = percentile_interval(drawn)
        line |= {f"minus_{other}": float(difference.mean()), f"{other}_low": low}
        line |= {f"{other}_high": high, f"{other}_p": paired_bootstrap_p(drawn)}
    return line


def show(summary: pd.DataFrame) -> None:
    """Print the rows over all findings."""
    grid = Table("measure", "rows", "own", "swapped", "chance", "own - swapped", "p", box=None)
    for row in summary[summary["finding"] == "all"].to_dict("records"):
        numbers = [f"{row[name]:.3f}" for name in ("own", "swapped", "chance")]
        span = (
            f"{row['minus_swapped']:+.3f} [{row['swapped_low']:+.3f}, {row['swapped_high']:+.3f}]"
        )
        cells = [row["measure"], str(row["rows"]), *numbers, span, f"{row['swapped_p']:.4f}"]
        grid.add_row(*cells)
    Console(width=160).print(grid)


def _truth(path: Path) -> pd.DataFrame:
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        raise UserError(f"{file}: no such file; only a phantom knows the true regions")
    return pd.read_parquet(file)


def _shares(
    pairs: Pairs, truth: pd.DataFrame, e: Embedded, prepared: int
) -> dict[tuple[int, str], NDArray[np.float64]]:
    """Return for (study, finding) the share of each patch inside the finding's regions."""
    if e.patches is None:
        raise UserError("this method has no patch embeddings, hence no word maps")
    grid = round(e.patches.shape[1] ** 0.5)
    rows = {image: n for n, image in enumerate(pairs.frame["image_id"])}
    regions: dict[tuple[int, str], NDArray[np.bool_]] = {}
    for mark in truth[truth["image_id"].isin(list(rows))].to_dict("records"):
        key = (rows[mark["image_id"]], str(mark["finding"]))
        mask = decode(mark["mask"])
        regions[key] = regions[key] | mask if key in regions else mask
    points = (np.arange(grid * SAMPLES) + 0.5) / (grid * SAMPLES)
    # Of the side, not of whole pixels: half a network pixel off where CROP leaves a fraction.
    square = (0.5 + (points - 0.5) * CROP) * prepared
    found = {}
    for (row, finding), mask in regions.items():
        where = Frame.of(pairs.frame.iloc[row].to_dict(), prepared)
        found[row, finding] = region_share(mask, *where.native_pixels(square), grid)
    return found


def _score_words(
    run: Restored,
    e: Embedded,
    pairs: Pairs,
    names: tuple[str, ...],
    shares: dict[tuple[int, str], NDArray[np.float64]],
    swaps: int,
) -> pd.DataFrame:
    """Return one row per study, finding and measure: means over the words that name it."""
    others = other_studies(pairs.frame["patient_id"].to_numpy(), swaps)
    own, patches = _maps(run, e), required(e.patches)
    swapped = [_maps(run, e._replace(patches=patches[torch.from_numpy(o)])) for o in others]
    ids = required(e.word_ids).numpy()
    rows: list[dict[str, Any]] = []
    for (study, finding), share in shares.items():
        if share.max() == 0:
            continue
        wanted = [n for n, word in enumerate(names) if word in TERMS[finding]]
        places = np.flatnonzero(np.isin(ids[study], wanted))
        if not len(places):
            continue
        mine = pointing(own[study, places], share)
        theirs = pointing(np.stack([maps[study, places] for maps in swapped]), share)
        none = chance(share)
        known = {"finding": finding, "patient_id": pairs.frame["patient_id"].iloc[study]}
        for measure in MEASURES:
            values = {"own": getattr(mine, measure).mean()}
            values |= {"swapped": getattr(theirs, measure).mean()}
            rows.append({**known, "measure": measure, **values, "chance": getattr(none, measure)})
    return pd.DataFrame(rows)


@torch.no_grad()
def _losses(run: Restored, e: Embedded, pairs: Pairs, swaps: int) -> pd.DataFrame:
    """Return the token level's loss of studies that have one, own film and others."""
    others = other_studies(pairs.frame["patient_id"].to_numpy(), swaps)
    own: dict[str, list[Tensor]] = {}
    swapped: dict[str, list[Tensor]] = {}
    for rows in torch.split(torch.arange(len(pairs.frame)), BATCH):
        part = _part(e, rows)
        for name, value in run.objective.token_losses(part, None).items():
            own.setdefault(name, []).append(value)
        for place in torch.from_numpy(others):
            other = required(e.patches)[place[rows]]
            for name, value in run.objective.token_losses(part, other).items():
                swapped.setdefault(name, []).append(value / swaps)
    frames = [
        pd.DataFrame(
            {
                "finding": "all",
                "patient_id": pairs.frame["patient_id"],
                "measure": f"loss_{name}",
                "own": torch.cat(values).double().numpy(),
                "swapped": _totals(swapped[name], swaps),
                "chance": np.nan,
            }
        )
        for name, values in own.items()
    ]
    if not frames:
        return pd.DataFrame(columns=["finding", "measure"])
    return pd.concat(frames).dropna(subset=["own", "swapped"])


def _part(e: Embedded, rows: Tensor) -> Embedded:
    """Return some studies of what was embedded."""
    chosen = {k: v[rows] for k, v in e._asdict().items() if v is not None and k != "similarity"}
    alike = None if e.similarity is None else e.similarity[rows][:, rows]
    return Embedded(**chosen, similarity=alike)


def _totals(parts: list[Tensor], swaps: int) -> NDArray[np.float64]:
    """Sum the swaps of each batch and join the batches."""
    batches = [torch.stack(parts[i : i + swaps]).sum(0) for i in range(0, len(parts), swaps)]
    return torch.cat(batches).double().numpy()


@torch.no_grad()
def _maps(run: Restored, e: Embedded) -> NDArray[np.float64]:
    weights = run.objective.word_patch_weights(e)
    if weights is None:
        raise UserError(f"method {run.metadata['method']} with these settings has no word maps")
    return weights.double().numpy()
