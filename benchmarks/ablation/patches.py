"""What the patches of a frozen encoder tell: the film, the place, or what is there.

`python -m benchmarks.ablation.patches --grid GRID --dataset WORD --out FILE.csv` encodes validation
films with every encoder of a grid that is there (it may be half finished) and splits the variance
of the patches, as in a two-way table of films and places: `film`, what all patches of a film share;
`place`, what one place has in all films; `local`, the rest, which is what a film shows there. The
three add up to 1. Dense tasks and words that point can live on `local` alone.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from sista import tables
from sista.encoders.checkpoint import load_image_encoder
from sista.encoders.features import prepare_images
from sista.errors import UserError
from sista.files import atomic
from sista.grid.grid import Grid
from sista.runs.progress import track

FILMS = 200
# The finest patches that words are aligned with; a ViT has one map.
STRIDE = 8


def shares(patches: NDArray[np.float64]) -> dict[str, float]:
    """Return the shares of the variance of patches `[N, P, D]`, N films and P places.

    `local_rank` is the number of directions that `local` takes: the participation ratio of the
    eigenvalues of its covariance, 1 to D.
    """
    centred = patches - patches.mean((0, 1))
    film, place = centred.mean(1, keepdims=True), centred.mean(0, keepdims=True)
    local = centred - film - place
    parts = {"film": film, "place": place, "local": local}
    squares = {name: float((part**2).sum(-1).mean()) for name, part in parts.items()}
    covariance = np.einsum("npc,npd->cd", local, local)
    rank = np.trace(covariance) ** 2 / (covariance**2).sum()
    total = sum(squares.values())
    return {name: value / total for name, value in squares.items()} | {"local_rank": float(rank)}


def films(folder: Path) -> NDArray[np.uint8]:
    """Return validation films `[N, H, H]` of a prepared data set, at most `FILMS`."""
    manifest, _ = tables.read(folder / "manifest.parquet", "manifest")
    split, _ = tables.read(folder / "manifest.split.parquet", "split")
    chosen = manifest[manifest["image_id"].isin(split.loc[split["subset"] == "val", "image_id"])]
    rows = chosen.sort_values("image_id")["row"].to_numpy()[:FILMS]
    container = np.load(folder / "manifest.images.npy", "r", allow_pickle=False)
    return np.asarray(container[np.sort(rows)])


def table(grid: Grid, results: Path, dataset: str) -> pd.DataFrame:
    """Return a line for each encoder of the grid that is there."""
    runs = {results / "pretrain" / r.key / "encoder.safetensors": r for r in grid.pretrain_runs()}
    there = {path: run for path, run in runs.items() if path.is_file()}
    print(f"{len(there)} of {len(runs)} encoders are there", file=sys.stderr)
    if not there:
        raise UserError(f"{results / 'pretrain'}: no encoder of this grid; run it first")
    pixels = films(results / "prepare" / dataset)
    found = []
    for path, run in track(list(there.items()), "encoders"):
        encoder, _ = load_image_encoder(path)
        with torch.inference_mode():
            maps = encoder(prepare_images(pixels, encoder, encoder.size)).maps
        patches = maps[encoder.patch_map(STRIDE)].flatten(2).transpose(1, 2).double().numpy()
        names = ("variant", "encoder", "seed")
        found.append({name: getattr(run, name) for name in names} | shares(patches))
    return pd.DataFrame(found)


def main() -> None:
    """Write the table and print its means over seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--grid", type=Path, required=True)
    parser.add_argument("--dataset", required=True, help="a prepared data set")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    found = table(Grid.load(given.grid), given.results, given.dataset)
    with atomic(given.out) as temporary:
        found.to_csv(temporary, index=False, float_format="%.4f")
    keys = ["encoder", "variant"]
    print(found.drop(columns="seed").groupby(keys, sort=False).mean().round(2).to_string())


if __name__ == "__main__":
    main()
