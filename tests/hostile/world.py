"""A small valid world: a file of every format that a verb reads, from real stages where they exist.

    python -m tests.hostile.world FOLDER

Everything lies under FOLDER; paths in `Case`s are relative to it. No record lies beside the inputs
in `discs/`, so that their own checks are met and not the hash of a record.
"""

import argparse
import contextlib
import csv
import shutil
import zipfile
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import save_file

from sista import tables
from sista.stages import fetch, score
from tests import made_up_predictions as made
from tests.adapted import adapted
from tests.blobs import blobs, taught, told
from tests.importers import made_up
from tests.lineage import suite
from tests.raw_trees import REPORT, TREES

GRID = """title: Three tasks
budget: quick
corpus: mimic_cxr@phantom
encoders: [resnet_tiny]
variants: [random_init, clip]
draws: [0]
fractions: [10]
adapt:
  - {protocol: quick_v1, dataset: chexpert@phantom, task: classification}
  - {protocol: quick_v1, dataset: rsna_pneumonia@phantom, task: segmentation}
  - {protocol: quick_v1, dataset: rsna_pneumonia@phantom, task: detection}
"""
DRAWS, FRACTIONS = (0,), (10,)


def build(folder: Path) -> None:
    """Make the world in an empty folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.chdir(folder):
        suite.build()
        _logs()
        _raw()
        _discs()
        _tasks()
        _weights()
        _lists()
        Path("out").mkdir()


def _logs() -> None:
    """Put the log of a training beside each encoder."""
    for folder in Path("results/pretrain").glob("*/*/*/*/*"):
        (folder / "log.csv").write_text("epoch,loss,seconds\n1,2.5,3\n2,2.0,3\n")


def _raw() -> None:
    for word, make in TREES.items():
        make(Path("raw") / word)
    # MIMIC's reports as their zip, too.
    zipped = Path("raw_zip/mimic_cxr")
    shutil.copytree("raw/mimic_cxr", zipped)
    with zipfile.ZipFile(zipped / "mimic-cxr-reports.zip", "w") as archive:
        for path in sorted(zipped.rglob("s5*.txt")):
            archive.writestr(path.relative_to(zipped).as_posix(), REPORT.format(path.stem))
            path.unlink()
    fetch.fetch("rsna_pneumonia", out=Path("listing/inventory.parquet"), source=Path("raw"))
    for name in ("run.json", ".hashes.parquet"):
        Path("listing", name).unlink()


def _discs() -> None:
    folder = Path("discs")
    folder.mkdir()
    manifest = told(blobs(folder, 36))
    encoder = taught(manifest, folder / "encoder.safetensors")
    (folder / "run.json").unlink()
    for head in ("retrieval", "grounding", "zero_shot"):
        out = Path("untrained") / head / "predictions.parquet"
        adapted(manifest, encoder, out, head)


def _tasks() -> None:
    root = Path("tasks")
    root.mkdir()
    (root / "three.yaml").write_text(GRID)
    for run in made.runs(("random_init", "clip"), draws=DRAWS):
        if run.pretrain.encoder == "resnet_tiny":
            made.write(root, run, images=8)
    score.score(
        grid=root / "three.yaml",
        out=root / "results/score/three.parquet",
        results=root / "results",
        bootstrap=10,
    )


def _weights() -> None:
    folder = Path("weights")
    folder.mkdir()
    from torchvision.models import resnet18

    state = {k: v.contiguous() for k, v in resnet18().state_dict().items() if v.numel() < 9999}
    torch.save({"state_dict": state, "epoch": 3}, folder / "small.pt")
    save_file(state, folder / "small.safetensors")
    torch.save({"state_dict": made_up.RELEASES["medclip"]().tensors}, folder / "medclip.pt")
    torch.save(state, folder / "old.pth", _use_new_zipfile_serialization=False)


def _lists() -> None:
    folder = Path("lists")
    folder.mkdir()
    split, _ = tables.read("discs/manifest.split.parquet", "split")
    for subset, part in split.groupby("subset"):
        names = list(dict.fromkeys(part.image_id))
        (folder / f"{subset}.txt").write_text("\n".join(names) + "\n")
        pd.DataFrame({"image": names}).to_csv(folder / f"{subset}.csv", index=False)
    with (folder / "gold.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["filename", "normal"])
        writer.writerows((f"{n}.xml", n % 2) for n in range(9))


def main() -> None:
    """Make a world from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    build(parser.parse_args().folder)


if __name__ == "__main__":
    main()
