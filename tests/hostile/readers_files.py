"""Readers of what others made: films and masks, weights and checkpoints, downloads."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, RLELossless

from sista import registry, tables
from sista.errors import UserError
from tests.hostile import mutate
from tests.hostile.mutate import seeds_of
from tests.hostile.reader import Reader
from tests.raw_trees import dicom, film


def films(world: Path) -> Iterator[Reader]:
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
    yield Reader("DICOM", prepared, list(dicoms(world)), (), ".dcm", share=24)
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


def prepared(path: Path) -> None:
    """Read a film as `prepare` does, in a process of its own: decoders of DICOM may die."""
    from sista.preparation.films import FilmJob, Unreadable, read_films
    from sista.preparation.image_record import ImageRecord

    container = path.with_name("container")
    container.touch()
    record = ImageRecord("a", "a", path.name, path.name, {})
    with read_films([FilmJob(0, path.parent, container, 0, 16, 0.0, record)], threads=1) as films:
        (film,) = films
    if isinstance(film, Unreadable):
        raise UserError(film.reason)


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


def weights(world: Path) -> Iterator[Reader]:
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


FURTHER = {
    "vindr_cxr": "annotations/annotations_train.csv",
    "vinbigdata": "train.csv",
    "tbx11k": "annotations/json/TBX11K_train.json",
    "chestx_det10": "train.json",
    "chexlocalize": "CheXlocalize/gt_segmentations_test.json",
    "ms_cxr": "MS_CXR_Local_Alignment_v1.1.0.csv",
    "candid_ptx": "Pneumothorax_reports.csv",
    "iu_xray": "ecgen-radiology/3.xml",
    "padchest": "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz",
    "chexpert_plus": "chexbert_labels/report_fixed.json",
    "rexgradient": "metadata/train_metadata_view_position.json",
    "jsrt": "CLNDAT_EN.txt",
}


def downloads(world: Path) -> Iterator[Reader]:
    def reader(word: str, place: str, tree: str = "raw") -> Reader:
        source = world / tree / word
        depth = len(Path(place).parts)

        def read(path: Path) -> None:
            root = path.parents[depth - 1]
            list(registry.find("datasets", word).read(root))

        cells = (mutate.table_cells,) * 2 if place.endswith(".csv") else ()
        if place.endswith(".json"):
            cells = (mutate.json_text,) * 2
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
    for word, place in FURTHER.items():
        yield reader(word, place)
    yield reader("mimic_cxr", "mimic-cxr-reports.zip", "raw_zip")
    yield reader("mimic_cxr", "files/p10/p10000001/s50000001.txt")
