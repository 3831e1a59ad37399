"""Small made-up predictions in the layout of a grid's results, for tests of score and report."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from pycocotools import mask as coco_mask

from sista import tables
from sista.grid.runs import AdaptRun, PretrainRun

SKILL = {"random_init": 0.4, "clip": 1.0, "sista_no_sta": 1.3, "supervised": 2.0}
FRACTIONS = (1, 10, 100)
DRAWS = (0, 1)
FINDINGS = ("Edema", "Effusion")
HEADS = {
    "classification": {"resnet": "linear", "vit": "linear"},
    "segmentation": {"resnet": "unet", "vit": "setr_pup"},
    "detection": {"resnet": "yolov3", "vit": "yolov3"},
}


def runs(variants=tuple(SKILL), tasks=tuple(HEADS), draws=DRAWS):
    """Return the runs of a little grid: variants × two encoders × tasks."""
    found = []
    for task in tasks:
        dataset = "chexpert@phantom" if task == "classification" else "rsna_pneumonia@phantom"
        for family, encoder in (("resnet", "resnet_tiny"), ("vit", "vit_tiny")):
            for variant in variants:
                method = variant.removesuffix("_no_sta")
                settings = {"w_sta": 0.0} if variant.endswith("_no_sta") else {}
                pretrain = PretrainRun(
                    "quick", variant, method, settings, encoder, family, "mimic_cxr@phantom", 0
                )
                head = HEADS[task][family]
                found.append(AdaptRun("quick_v1", dataset, task, head, pretrain, draws, FRACTIONS))
    return found


def write(root: Path, run: AdaptRun, *, images=24, refused=(), multiclass=False) -> Path:
    """Write the predictions of one run below `root`/results and return the path."""
    rows = [
        row
        for subset, count in (("val", 8), ("test", images))
        for draw in run.draws
        for fraction in run.fractions
        if fraction not in refused
        for row in _rows(run, subset, draw, fraction, count)
    ]
    meta = {
        "run": {
            **{k: getattr(run.pretrain, k) for k in ("variant", "method", "settings", "encoder")},
            **{k: getattr(run.pretrain, k) for k in ("family", "corpus", "budget", "seed")},
            "dataset": run.dataset,
            "protocol": run.protocol,
            "settings_hash": run.pretrain.settings_hash,
            "head": run.head,
            "task": run.task,
            "release": "1.0",
            "split_hash": "abc",
            "code_version": "0.1.0",
            "lock_hash": "def",
            "threads": 1,
            "device": "cpu",
            "wall_s": {f"{d},{f}": 1.5 for d in run.draws for f in run.fractions},
            "peak_mb": 100.0,
        },
        "refused": [
            {"fraction": f, "draw": d, "reason": "3 positives of Edema, 1 needed per draw"}
            for f in refused
            for d in run.draws
        ],
        "multiclass": multiclass,
        "labels": list(FINDINGS) if run.task == "classification" else ["Pneumonia"],
    }
    path = root / run.predictions
    tables.write(pd.DataFrame(rows), path, f"predictions_{run.task}", meta=meta)
    return path


def _rows(run, subset, draw, fraction, count):
    seed = [len(run.variant), fraction, draw, len(run.encoder)]
    noise = np.random.default_rng(seed)
    truth = np.random.default_rng(7 if subset == "test" else 8)
    skill = SKILL[run.variant] * (0.5 + 0.25 * np.log10(fraction))
    for index in range(count):
        place = {
            "subset": subset,
            "draw": draw,
            "fraction": fraction,
            "image_id": f"{subset}{index:03d}",
            "patient_id": f"{subset}{index // 2:03d}",
        }
        if run.task == "classification":
            for label in FINDINGS:
                target = float(truth.random() < 0.4)
                logit = skill * 2 * (target - 0.5) + noise.normal()
                yield place | {
                    "label": label,
                    "score": float(1 / (1 + np.exp(-logit))),
                    "target": target,
                }
        else:
            box = [*truth.integers(2, 20, 2).tolist(), *truth.integers(12, 20, 2).tolist()]
            boxes = [box] if truth.random() < 0.6 else []
            spread = 3 / (0.3 + skill)
            yield place | _boxes_or_masks(run.task, boxes, noise, spread)


def _boxes_or_masks(task, boxes, noise, spread):
    moved = [
        [v + int(s) for v, s in zip(b, noise.normal(0, spread, 4), strict=True)] for b in boxes
    ]
    moved = [[max(b[0], 0), max(b[1], 0), max(b[2], 2), max(b[3], 2)] for b in moved]
    if task == "detection":
        found = [[*b, round(0.5 + noise.random() / 2, 3), "Pneumonia"] for b in moved]
        found.append([1, 1, 8, 8, round(noise.random() / 2, 3), "Pneumonia"])
        target = [[*b, "Pneumonia"] for b in boxes]
        return {"predicted": json.dumps(found), "target": json.dumps(target)}
    masks = {"prediction": moved, "target": boxes}
    return {"label": "Pneumonia"} | {k: _rle(v) for k, v in masks.items()}


def _rle(boxes):
    mask = np.zeros((48, 48), dtype=np.uint8, order="F")
    for x, y, width, height in boxes:
        mask[y : y + height, x : x + width] = 1
    code = coco_mask.encode(mask)
    return json.dumps({"size": list(code["size"]), "counts": code["counts"].decode()})
