"""What is fuzzed: each reader of the package with its valid files and the mutations that fit.

A reader may return or raise `UserError`; one whose documentation names another error says so.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, RLELossless

from sista import registry, tables
from tests.hostile import mutate
from tests.hostile.mutate import Mutation, seeds_of
from tests.hostile.targets import PREDICTIONS
from tests.raw_trees import dicom, film

TASKS = ("classification", "segmentation", "detection", "retrieval", "grounding")


@dataclass(frozen=True)
class Reader:
    """A reader.

    Attributes:
        word: its name.
        read: takes the path of a mutated file.
        seeds: contents of valid files.
        mutations: beside those of bytes.
        suffix: of the file.
        place: of the file in a folder of its neighbours; "" = alone.
        allowed: errors that its documentation names beside `UserError`.
        share: of the inputs, relative to others.
    """

    word: str
    read: Callable[[Path], Any]
    seeds: list[bytes]
    mutations: tuple[Mutation, ...] = ()
    suffix: str = ""
    tree: Path | None = None
    place: str = ""
    allowed: tuple[type[Exception], ...] = ()
    share: int = 6

    def home(self, folder: Path) -> Path:
        """Return where the mutated file is written, its valid neighbours beside it."""
        if self.tree is None:
            return folder / f"{self.word.replace(' ', '_')}{self.suffix}"
        copy = folder / self.word.replace(" ", "_")
        if not copy.is_dir():
            shutil.copytree(self.tree, copy)
        return copy / self.place


def readers(world: Path) -> list[Reader]:
    """Return all readers with their seeds from a world."""
    return [*_tables(world), *_texts(world), *_films(world), *_weights(world), *_downloads(world)]


def _tables(world: Path) -> Iterator[Reader]:
    from sista.scoring.cached import _load, score_file

    def table(kind: str, paths: list[Path]) -> Reader:
        return Reader(
            f"table {kind}",
            lambda path: tables.read(path, kind),
            seeds_of(paths),
            (mutate.parquet,),
            ".parquet",
            share=2,
        )

    def scored(task: str) -> Callable[[Path], Any]:
        main = registry.find("tasks", task).metrics[0].word
        return lambda path: score_file(
            path, task, main=main, bootstrap=3, cache_folder=path.parent / "none"
        )

    yield table("manifest", [world / "discs/manifest.parquet"])
    yield table("split", [world / "discs/manifest.split.parquet"])
    yield table("regions", [world / "discs/manifest.regions.parquet"])
    yield table("inventory", [world / "listing/inventory.parquet"])
    yield table("scores", [world / "results/score/suite.parquet"])
    for task in TASKS:
        folder = PREDICTIONS.get(task, f"untrained/{task}")
        paths = [world / folder / "predictions.parquet"]
        yield table(f"predictions_{task}", paths)
        yield Reader(
            f"scores of {task}",
            scored(task),
            seeds_of(paths),
            (mutate.parquet,),
            ".parquet",
            share=1,
        )
    cached = sorted(world.rglob("cache/*.npz"))
    yield Reader("cached scores", lambda path: _load(path, "x"), seeds_of(cached), (), ".npz")


def _texts(world: Path) -> Iterator[Reader]:
    from sista.adaptation.settings import read_changes
    from sista.grid.grid import Grid
    from sista.preparation.split_audit import read_list
    from sista.runs.heartbeat import state_of
    from sista.runs.record import read_record
    from sista.text import cleaning, findings, openi, sections
    from sista.text.vocabulary import load_vocabulary

    def report(path: Path) -> None:
        text = path.read_text(errors="replace")
        sections.choose(sections.parse(text))
        cleaning.for_pretraining(text)
        findings.findings_text(text)
        findings.stated_spans(text)

    grids = [world / "suite.yaml", world / "tasks/three.yaml"]
    grids += sorted((Path(__file__).parents[2] / "benchmarks").glob("*.yaml"))
    yield Reader("grid", Grid.load, seeds_of(grids), (), ".yaml", share=12)
    records = sorted(world.rglob("run.json"))
    yield Reader("record", read_record, seeds_of(records), (mutate.json_text,) * 2, ".json")
    state = json.dumps(
        {
            "stage": "adapt",
            "pid": 1,
            "machine": "x",
            "process_started": 1.0,
            "started": 1.0,
            "job": "",
        }
    ).encode()
    yield Reader(
        "state of a job",
        lambda path: state_of(path.with_name("a.parquet")),
        [state],
        (mutate.json_text,),
        tree=_folder(world, ".a.state.json", state),
        place=".a.state.json",
    )
    lists = sorted((world / "lists").iterdir())
    yield Reader("list", read_list, seeds_of(lists), (mutate.table_cells,), ".csv")
    reports = seeds_of(sorted(world.rglob("s5*.txt")))
    long = (
        b"\n FINDINGS:  The heart is normal. No effusion [**Name**].\n \n IMPRESSION: Edema.\n" * 9
    )
    yield Reader("report", report, [*reports, long], (), ".txt", share=12)
    xml = (
        b'<eCitation><uId id="CXR1"/><AbstractText Label="FINDINGS">Clear.</AbstractText>'
        b'<AbstractText Label="IMPRESSION">No edema.</AbstractText></eCitation>'
    )
    yield Reader("report of Open-i", lambda path: openi._parse(path.read_bytes()), [xml])
    vocabulary = world / "discs/manifest.vocabulary.json"
    yield Reader(
        "vocabulary",
        lambda path: load_vocabulary(path, {"vocabulary": path.name}),
        [vocabulary.read_bytes()],
        (mutate.json_text,),
        ".json",
    )
    settings = [b'{"lr": 0.01}', b'{"batch": 8, "epochs": 3}', b'{"exclusive": true}', b"{}"]
    yield Reader(
        "settings",
        lambda path: read_changes(path.read_text(errors="replace"), "linear"),
        settings,
        (mutate.json_text,),
    )


def _folder(world: Path, name: str, content: bytes) -> Path:
    folder = world / "state"
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    return folder


def _films(world: Path) -> Iterator[Reader]:
    from sista.engine.pairs import read_images
    from sista.preparation.masks import MaskFile, decode_relative_rle, from_json
    from sista.preparation.radiograph import load
    from sista.tasks._arrays import pack, unpack

    pictures = []
    for form in ("PNG", "JPEG", "TIFF", "BMP", "GIF"):
        stream = BytesIO()
        Image.fromarray(film(1, 40, 30)).save(stream, form)
        pictures.append(stream.getvalue())
    stream = BytesIO()
    Image.fromarray(film(1).astype(np.uint16) * 200).save(stream, "PNG")
    pictures.append(stream.getvalue())
    yield Reader("picture", load, pictures, (), ".png", share=18)
    yield Reader("DICOM", load, list(dicoms(world)), (), ".dcm", share=24)
    mask = BytesIO()
    Image.fromarray(np.eye(20, 16, dtype=np.uint8) * 255).save(mask, "PNG")
    yield Reader(
        "mask",
        lambda path: MaskFile(path.name).draw(path.parent, 20, 16),
        [mask.getvalue()],
        (),
        ".png",
        allowed=(ValueError,),
    )
    runs = [b"3 4 2 2", b"40 5", b"-1", b"0 320"]
    yield Reader(
        "run lengths",
        lambda path: decode_relative_rle(path.read_text(errors="replace"), 20, 16),
        runs,
        allowed=(ValueError,),
    )
    frame, _ = tables.read(world / "discs/manifest.parquet", "manifest")
    coded = [text.encode() for text in frame["mask"][:20]]
    yield Reader(
        "mask in JSON",
        lambda path: from_json(path.read_text(errors="replace")),
        coded,
        (mutate.json_text,),
        share=12,
    )
    packed = [pack(np.arange(n).reshape(shape)).encode() for n, shape in ((6, (2, 3)), (4, (4,)))]
    yield Reader("packed array", lambda path: unpack(path.read_text(errors="replace")), packed)
    images = world / "discs/manifest.images.npy"
    yield Reader(
        "prepared images",
        lambda path: read_images(path, np.arange(36), 96),
        [images.read_bytes()],
        (mutate.array,),
        ".npy",
    )


def dicoms(world: Path) -> Iterator[bytes]:
    """Yield DICOM files of each transfer syntax that the decoders know."""
    path = world / "seed.dcm"
    smooth = np.add.outer(np.arange(64), np.arange(48)).astype(np.uint8)
    yield dicom(path, film(1), PatientID="a", ViewPosition="PA").read_bytes()
    wide = film(2).astype(np.uint16) * 16
    header = {"WindowCenter": 2000, "WindowWidth": 1000, "BitsStored": 12, "HighBit": 11}
    yield dicom(path, wide, **header, RescaleSlope=1, RescaleIntercept=0).read_bytes()
    for form, syntax in (("JPEG", JPEGBaseline8Bit), ("JPEG2000", JPEG2000Lossless)):
        stream = BytesIO()
        Image.fromarray(smooth).save(stream, form)
        data = pydicom.dcmread(dicom(path, smooth))
        data.file_meta.TransferSyntaxUID = syntax
        data.PixelData = encapsulate([stream.getvalue()])
        data["PixelData"].is_undefined_length = True
        data.save_as(path, enforce_file_format=True)
        yield path.read_bytes()
    for syntax in (JPEGLSLossless, RLELossless):
        data = pydicom.dcmread(dicom(path, smooth))
        data.compress(syntax)
        data.save_as(path, enforce_file_format=True)
        yield path.read_bytes()


def _weights(world: Path) -> Iterator[Reader]:
    from sista.encoders.checkpoint import load_image_encoder, read_metadata
    from sista.engine.restored import restore
    from sista.importers._files import read_tensors

    checkpoint = [(world / "discs/encoder.safetensors").read_bytes()]
    form = (mutate.safetensors,) * 2
    yield Reader("checkpoint's metadata", read_metadata, checkpoint, form, ".safetensors", share=1)
    yield Reader("checkpoint", load_image_encoder, checkpoint, form, ".safetensors", share=1)
    yield Reader("checkpoint with texts", restore, checkpoint, form, ".safetensors", share=1)
    zipped = seeds_of([world / "weights/small.pt"])
    yield Reader("weights", read_tensors, zipped, (), ".pt", share=12)
    yield Reader(
        "weights, old form", read_tensors, seeds_of([world / "weights/old.pth"]), (), ".pth"
    )
    yield Reader(
        "weights, safetensors",
        read_tensors,
        seeds_of([world / "weights/small.safetensors"]),
        form,
        ".safetensors",
    )


def _downloads(world: Path) -> Iterator[Reader]:
    def reader(word: str, place: str, tree: str = "raw") -> Reader:
        source = world / tree / word
        depth = len(Path(place).parts)

        def read(path: Path) -> None:
            root = path.parents[depth - 1]
            list(registry.find("datasets", word).read(root))

        cells = (mutate.table_cells,) * 2 if place.endswith(".csv") else ()
        return Reader(
            f"{word} {Path(place).name}",
            read,
            [(source / place).read_bytes()],
            cells,
            tree=source,
            place=place,
        )

    yield reader("rsna_pneumonia", "stage_2_train_labels.csv")
    yield reader("rsna_pneumonia", "nih_patients.csv")
    yield reader("chexpert", "train.csv")
    yield reader("siim_acr", "train-rle.csv")
    yield reader("object_cxr", "train.csv")
    yield reader("covidx", "train_COVIDx9A.txt")
    yield reader("nih_chestxray14", "Data_Entry_2017.csv")
    yield reader("nih_chestxray14", "BBox_List_2017.csv")
    yield reader("nih_chestxray14", "test_list.txt")
    yield reader("covid_chestxray", "metadata.csv")
    yield reader("mimic_cxr", "mimic-cxr-2.0.0-split.csv.gz")
    yield reader("mimic_cxr", "mimic-cxr-reports.zip", "raw_zip")
    yield reader("mimic_cxr", "files/p10/p10000001/s50000001.txt")
