"""Which file of which valid command is made bad: verbs, their inputs and the kinds for each."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from tests.hostile import (
    kinds_arrays,
    kinds_checkpoint,
    kinds_grid,
    kinds_json,
    kinds_prepared,
    kinds_tokenizer,
)
from tests.hostile import kinds_csv as kinds_tables
from tests.hostile import kinds_parquet as parquet
from tests.hostile.kinds_files import BYTES, PLACES, TEXTS, Damage
from tests.hostile.kinds_scores import PLACE, SCORES, VALUES
from tests.hostile.kinds_weights import WEIGHTS

RUN = "mimic_cxr@phantom/seed0"
_QUICK = f"quick/random_init/resnet_tiny/{RUN}"
SUITE_RUN = f"results/adapt/quick_v1/chexpert@phantom/linear/{_QUICK}/run.json"
LOG = f"results/pretrain/{_QUICK}/log.csv"
PREDICTIONS = {
    "classification": f"tasks/results/adapt/quick_v1/chexpert@phantom/linear/{_QUICK}",
    "segmentation": f"tasks/results/adapt/quick_v1/rsna_pneumonia@phantom/unet/{_QUICK}",
    "detection": f"tasks/results/adapt/quick_v1/rsna_pneumonia@phantom/yolov3/{_QUICK}",
}
_DISCS = "--manifest discs/manifest.parquet --split discs/manifest.split.parquet"
_ADDRESS = "--row clip/resnet_tiny --column chexpert@phantom/10"
_ADAPT = f"adapt --protocol quick_v1 --dataset blobs@test {_DISCS} --encoder discs/encoder.safetensors --out out/predictions.parquet --budget tiny"  # noqa: E501
COMMANDS: dict[str, str] = {
    "fetch": "fetch rsna_pneumonia --source raw --out out/inventory.parquet",
    "prepare": "prepare rsna_pneumonia --source raw --out out/manifest.parquet --size 16 --inventory listing/inventory.parquet",  # noqa: E501
    "pretrain": f"pretrain --method clip --encoder resnet_tiny --corpus blobs@test {_DISCS} --out out/encoder.safetensors --budget tiny",  # noqa: E501
    "adapt": f"{_ADAPT} --head linear --draws 0 --fractions 10",
    "adapt boxes": f"{_ADAPT} --head yolov3 --draws 0 --fractions 10",
    "adapt masks": f"{_ADAPT} --head unet --draws 0 --fractions 10",
    "adapt words": f"{_ADAPT} --head zero_shot --draws 0 --fractions 0",
    "adapt regions": f"{_ADAPT} --head grounding --draws 0 --fractions 0",
    "score": "score --grid tasks/three.yaml --out out/three.parquet --results tasks/results --bootstrap 10",  # noqa: E501
    "report": "report --grid suite.yaml --scores results/score/suite.parquet --out out/page",
    "import": "import torchvision weights/small.pt --out out/e.safetensors",
    "list": "list",
    "status": "status suite.yaml",
    "watch": "watch suite.yaml --every 0.1",
    "show": "show results/score/suite.parquet",
    "compare": "compare results/score/suite.parquet tasks/results/score/three.parquet --shared",
    "similarity": "similarity discs/manifest.parquet discs/manifest.split.parquet --out out/s.csv",
    "trace": f"trace results/report/suite/classification.csv {_ADDRESS}",
    "verify": "verify",
    "schema": "schema",
    "reproduce": f"reproduce results/score/suite.parquet {_ADDRESS} --grid suite.yaml --folder out/again --cores 1",  # noqa: E501
    "crate": "crate --grid suite.yaml --out out/crate",
    "curves": "curves --out out/curves",
    "site": "site --scores results/score/suite.parquet --out out/site",
    "audit split": "audit split discs/manifest.parquet",
    "audit phantom": "audit phantom",
}


@dataclass(frozen=True)
class Target:
    """One input of a command.

    Attributes:
        command: a key of `COMMANDS`, or a whole command.
        path: of the input.
        kinds: damages by word.
        accepts: kinds that may be valid here; "*" = all.
        names: texts that an error may name instead of the file.
        told: what must be said of a kind where it is valid.
    """

    command: str
    path: str
    kinds: Mapping[str, Damage]
    accepts: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    unreadable: bool = True
    told: Mapping[str, str] = field(default_factory=dict)


FILE = {**PLACES, **BYTES}
# Nobody reads the first four bytes of a Parquet file.
_TABLE = {**{k: v for k, v in FILE.items() if k not in ("a zip", "a gzip")}, **parquet.ANY}
_NEEDED = {**_TABLE, **parquet.NEEDS_META}
_MANIFEST = (
    *("image_id", "patient_id", "row", "height", "scale", "spacing", "boxes", "mask", "report"),
    *("label.disc",),
)
_CHECKPOINT = {**FILE, **kinds_checkpoint.CONTAINER, **kinds_checkpoint.CHECKPOINT}
_WORDS = {**kinds_checkpoint.TEXT, **kinds_tokenizer.TOKENIZER}
_GRID = {**FILE, **TEXTS, **kinds_grid.VALUES}
_RECORD = {**FILE, **kinds_json.ANY, **kinds_json.RECORD}
_RUNS = {
    "counts too long": '{"size": [48, 48], "counts": "' + "o" * 4000 + '"}',
    "counts negative": '{"size": [48, 48], "counts": "OOOOOOOO"}',
    "counts a list": '{"size": [48, 48], "counts": [1, 2]}',
    "counts a number": '{"size": [48, 48], "counts": 7}',
    "counts not ASCII": '{"size": [48, 48], "counts": "ä€"}',
    "counts empty": '{"size": [48, 48], "counts": ""}',
    "size huge": '{"size": [1000000, 1000000], "counts": "0"}',
    "size negative": '{"size": [-48, 48], "counts": "PT1"}',
    "size another": '{"size": [47, 48], "counts": "PT1"}',
    "size of texts": '{"size": ["a", "b"], "counts": "PT1"}',
    "size of one": '{"size": [48], "counts": "PT1"}',
    "no size": '{"counts": "PT1"}',
    "no JSON": "{",
    "a list": "[1]",
    "nested deeply": "[" * 50_000,
}
_BOXES = {
    "no JSON": "{",
    "an object": "{}",
    "a number": "7",
    "null": "null",
    "lists too short": "[[1, 2]]",
    "lists of texts": '[["a", "b", "c", "d", 0.5, "Pneumonia"]]',
    "lists of null": "[[null, null, null, null, null, null]]",
    "NaN": '[[NaN, 1, 2, 3, 0.5, "Pneumonia"]]',
    "infinity": '[[Infinity, 1, 2, 3, 0.5, "Pneumonia"]]',
    "a negative width": '[[1, 1, -2, 3, 0.5, "Pneumonia"]]',
    "an unknown label": '[[1, 1, 2, 3, 0.5, "Elephant"]]',
    "a score of 9": '[[1, 1, 2, 3, 9.0, "Pneumonia"]]',
    "numbers of 400 digits": f'[[{"9" * 400}, 1, 2, 3, 0.5, "Pneumonia"]]',
    "nested deeply": "[" * 50_000,
}


def _cells(column: str, texts: Mapping[str, object]) -> dict[str, Damage]:
    return {f"{column}: {kind}": parquet.cell(column, value) for kind, value in texts.items()}


def _every(column: str, texts: Mapping[str, str]) -> dict[str, Damage]:
    """In all rows, where which of them are read is a matter of the split."""
    return {
        f"{column}: {kind}": parquet.typed(column, pa.string(), value)
        for kind, value in texts.items()
    }


_BY_TASK = {
    "classification": {**SCORES, "label unknown": parquet.cell("label", "Elephant")},
    "segmentation": {**_cells("prediction", _RUNS), **_cells("target", _RUNS)},
    "detection": {**_cells("predicted", _BOXES), **_cells("target", _BOXES)},
}
# A table is shown as it stands, its names are words and nothing is opened by them.
_HARMLESS = (
    *("label a tag", "note of a tag", "title a tag"),
    *("metric unknown", "task unknown", "grid a path"),
)
# What nothing reads: names that are not looked up, what has a default, a run's own account.
_UNREAD = ("initial weights of a hub", "a report encoder of a hub", "a report encoder of a folder")
_WITHOUT = ("version missing", "facts empty", "run empty", "cpu_s infinite")
# An encoder without words has no zero-shot predictions, and the table says why.
_NO_WORDS = ("no tokenizer",)
# Nothing is taken from it there.
_NO_META = ("no metadata", "metadata empty")
_PREPARED = {**FILE, **kinds_arrays.IMAGES}
TARGETS: list[Target] = [
    # Stages.
    Target("prepare", "listing/inventory.parquet", _TABLE),
    *(
        Target(verb, path, kinds, accepts)
        for verb in ("pretrain", "adapt", "similarity")
        for path, kinds, accepts in (
            (
                "discs/manifest.parquet",
                {**_NEEDED, **parquet.columns(_MANIFEST)},
                (
                    *(_NO_META if verb == "similarity" else ()),
                    "column spacing all null",
                    "column boxes all null",
                    "column mask all null",
                    "column report all null",
                    "column label.disc all null",
                ),
            ),
            (
                "discs/manifest.split.parquet",
                {**_NEEDED, **parquet.columns(("subset", "draw", "image_id"))},
                _NO_META,
            ),
        )
    ),
    *(
        Target(verb, f"discs/manifest.{file}", kinds, names=("manifest",), unreadable=False)
        for verb, file, kinds in (
            ("pretrain", "parquet", kinds_prepared.MANIFEST),
            ("pretrain", "split.parquet", kinds_prepared.SPLIT),
            ("adapt", "parquet", {**kinds_prepared.MANIFEST, **kinds_prepared.FRAMES}),
            ("adapt", "split.parquet", {**kinds_prepared.SPLIT, **kinds_prepared.FRACTIONS}),
            ("adapt boxes", "parquet", kinds_prepared.BOXES),
            ("adapt masks", "parquet", kinds_prepared.MASKS),
        )
    ),
    Target("pretrain", "discs/manifest.images.npy", _PREPARED, ("other order in memory",)),
    Target("adapt", "discs/manifest.images.npy", _PREPARED, ("other order in memory",)),
    Target(
        "pretrain",
        "discs/manifest.vocabulary.json",
        {**FILE, **TEXTS, **kinds_json.ANY, **kinds_tokenizer.VOCABULARY},
    ),
    Target("adapt", "discs/encoder.safetensors", _CHECKPOINT, _UNREAD),
    Target("adapt words", "discs/encoder.safetensors", _WORDS, _NO_WORDS),
    Target(
        "adapt regions",
        "discs/manifest.regions.parquet",
        {**_TABLE, **parquet.columns(("image_id", "label", "mask")), **_every("mask", _RUNS)},
    ),
    Target("score", "tasks/three.yaml", FILE),
    *(
        Target(
            "score",
            f"{folder}/predictions.parquet",
            {**_NEEDED, **(PLACE if task == "classification" else {}), **_BY_TASK[task]},
        )
        for task, folder in PREDICTIONS.items()
    ),
    Target("report", "results/score/suite.parquet", {**_NEEDED, **VALUES}, _HARMLESS),
    Target("report", "suite.yaml", {**PLACES, **BYTES}),
    Target("import", "weights/small.pt", {**FILE, **WEIGHTS}),
    Target(
        "import torchvision weights/small.safetensors --out out/e.safetensors",
        "weights/small.safetensors",
        {**BYTES, **kinds_checkpoint.CONTAINER},
    ),
    Target("import torchvision weights/old.pth --out out/e.safetensors", "weights/old.pth", BYTES),
    # What looks and passes on.
    Target("status", "suite.yaml", _GRID, kinds_grid.ACCEPTED),
    Target("watch", "suite.yaml", {**PLACES, **BYTES}),
    Target("show", "results/score/suite.parquet", {**_NEEDED, **VALUES}, _HARMLESS),
    Target("compare", "results/score/suite.parquet", _TABLE),
    Target("trace", "results/score/suite.parquet", {**_NEEDED, **VALUES}, ("*",), ("results",)),
    Target("trace", "results/report/suite/run.json", _RECORD, ("*",)),
    # A fault is told of what the record is of, and of what has read it.
    Target("verify", SUITE_RUN, _RECORD, _WITHOUT, names=("predictions", "results")),
    *(
        Target(
            verb,
            "results/fetch/chexpert@phantom/run.json",
            {"facts empty": kinds_json.put("facts", {}), "run empty": kinds_json.put("run", {})},
            unreadable=False,
        )
        for verb in ("trace", "crate")
    ),
    Target("crate", "suite.yaml", {**PLACES, **BYTES}),
    Target("crate", "results/report/suite/run.json", _RECORD, ("*",), names=("report/suite",)),
    Target("crate", SUITE_RUN, _RECORD, ("*",), names=("results",)),
    Target("crate", "results/score/suite.parquet", PLACES, names=("results",)),
    Target("curves", LOG, {**FILE, **kinds_tables.STRUCTURE}, ("*",), names=("results",)),
    Target("reproduce", "results/score/suite.parquet", {**_TABLE}),
    Target("audit split", "discs/manifest.parquet", {**_TABLE, **parquet.columns(("image_id",))}),
    Target("audit split", "discs/manifest.split.parquet", _TABLE),
    *(
        Target(
            "audit split discs/manifest.parquet --lists train=lists/train.txt test=lists/test.txt",
            "lists/test.txt",
            {**FILE, **TEXTS},
            ("a line of 2 MB",),
        )
        for _ in (0,)
    ),
    Target(
        "audit phantom --openi-labels lists/gold.csv",
        "lists/gold.csv",
        {**FILE, **TEXTS, **kinds_tables.STRUCTURE},
        ("a column twice",),
    ),
]
