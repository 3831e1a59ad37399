"""Tiny downloads of the sets with boxes, outlines and masks, made by hand for the tests."""

import csv
import json
from pathlib import Path

import numpy as np
from PIL import Image

from sista.datasets import vinbigdata as vinbig
from sista.datasets import vindr_cxr as vindr
from sista.preparation.masks import encode_relative_rle, to_json
from tests.raw_files import FINDINGS, dicom, film, picture, table

BOXES = "image_id,rad_id,class_name,x_min,y_min,x_max,y_max"


def _mask(path: Path, left: int, right: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.zeros((20, 16), dtype=np.uint8)
    mask[4:16, left:right] = 255
    Image.fromarray(mask).save(path)


def vindr_cxr(root: Path) -> Path:
    for part, count in (("train", 8), ("test", 3)):
        readers = ("R1", "R2", "R3") if part == "train" else ("",)
        labels, boxes = [], []
        for i in range(count):
            name = f"{part}{i:02}"
            dicom(root / f"{part}/{name}.dicom", film(i + 50 * (part == "test")))
            for k, reader in enumerate(readers):
                # Two of three see the nodule, one the effusion.
                seen = {"Nodule/Mass"} if i % 2 and k < 2 else set()
                seen |= {"Pleural effusion"} if i % 2 and k == 2 else set()
                marks = ["1" if n in (seen or {"No finding"}) else "0" for n in vindr.LABELS]
                labels.append(",".join((name, *([reader] if reader else []), *marks)))
                for each in sorted(seen) or ["No finding"]:
                    places = f"{2 + k},3,{10 + k},12" if seen else ",,,"
                    boxes.append(",".join((name, *([reader] if reader else []), each, places)))
        reader = "rad_id," if part == "train" else ""
        home = root / "annotations"
        header = f"image_id,{reader}{','.join(vindr.LABELS)}"
        table(home / f"image_labels_{part}.csv", header, *labels)
        table(home / f"annotations_{part}.csv", BOXES.replace("rad_id,", reader), *boxes)
    return root


def vinbigdata(root: Path, ending: str = "dicom", scale: int = 1) -> Path:
    """Films as DICOM, or as pictures of which each pixel was `scale` ones of the original."""
    rows, sizes = [], []
    for i in range(12):
        path = root / f"train/film{i:02}.{ending}"
        dicom(path, film(i)) if ending == "dicom" else picture(path, i)
        sizes.append(f"film{i:02},{20 * scale},{16 * scale}")
        for k in range(3):
            label = vinbig.FINDINGS[i % 3] if i % 2 and k < 2 else "No finding"
            corners = (v * scale for v in (2 + k, 3, 10 + k, 12))
            places = ",".join(map(str, corners)) if label != "No finding" else ",,,"
            rows.append(f"film{i:02},R{k},{label},{places}")
    table(root / "train.csv", BOXES, *rows)
    if scale > 1:
        table(root / "train_meta.csv", "image_id,dim0,dim1", *sizes)
    return root


def tbx11k(root: Path) -> Path:
    kinds = ("health", "sick", "tb")
    names = ("ActiveTuberculosis", "ObsoletePulmonaryTuberculosis", "PulmonaryTuberculosis")
    for part, count in (("train", 12), ("val", 6)):
        images, annotations = [], []
        for i in range(count):
            kind = kinds[i % 3]
            name = f"{kind}/{kind[0]}{i + 100 * (part == 'val'):04}.png"
            picture(root / f"imgs/{name}", i + 40 * (part == "val"), 512, 512)
            images.append({"file_name": name, "id": i, "width": 512, "height": 512})
            if kind == "tb":
                box = {"id": i, "image_id": i, "bbox": [20.5, 30, 100, 120.25]}
                annotations.append({**box, "category_id": 1 + i // 3 % 2})
        categories = [{"id": n, "name": name} for n, name in enumerate(names, start=1)]
        content = {"images": images, "annotations": annotations, "categories": categories}
        file = root / f"annotations/json/TBX11K_{part}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))
    return root


def tbx11k_simplified(root: Path) -> Path:
    """The same films and boxes as Kaggle has them."""
    tbx11k(root)
    kinds = {"health": "healthy", "sick": "sick_but_no_tb", "tb": "tb"}
    types = {1: "active_tb", 2: "latent_tb"}
    rows = [["fname", "image_height", "image_width", "source", "bbox", "target", "tb_type"]]
    rows[0].append("image_type")
    for part in ("train", "val"):
        file = root / f"annotations/json/TBX11K_{part}.json"
        content = json.loads(file.read_text())
        boxes = {each["image_id"]: each for each in content["annotations"]}
        for image in content["images"]:
            kind, name = image["file_name"].split("/")
            (root / "images").mkdir(exist_ok=True)
            (root / "imgs" / image["file_name"]).rename(root / "images" / name)
            box, text, tb_type = boxes.get(image["id"]), "none", "none"
            if box:
                x, y, w, h = box["bbox"]
                text = str({"xmin": x, "ymin": y, "width": w, "height": h})
                tb_type = types[box["category_id"]]
            target = "tb" if kind == "tb" else "no_tb"
            rows.append([name, 512, 512, part, text, target, tb_type, kinds[kind]])
        file.unlink()
    with (root / "data.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    return root


def chestx_det10(root: Path) -> Path:
    for part, count in (("train", 8), ("test", 3)):
        films = []
        for i in range(count):
            name = f"{36200 + i + 100 * (part == 'test')}.png"
            picture(root / f"{part}_data/{name}", i + 30 * (part == "test"), 1024, 1024)
            found = ["Effusion", "Nodule"] if i % 2 else []
            boxes = [[100, 200, 300, 420], [5, 6, 900, 1000]][: len(found)]
            films.append({"file_name": name, "syms": found, "boxes": boxes})
        (root / f"{part}.json").write_text(json.dumps(films))
    return root


def chexlocalize(root: Path) -> Path:
    outlined = np.zeros((20, 16), dtype=np.uint8)
    outlined[3:9, 2:12] = 1
    empty = json.loads(to_json(np.zeros((20, 16), dtype=np.uint8)))
    for part, count in (("val", 4), ("test", 6)):
        rows, outlines = [], {}
        folder = "CheXpert-v1.0/valid" if part == "val" else "test"
        for i in range(count):
            home = f"patient{64000 + i + 100 * (part == 'test')}/study1"
            for view in ("frontal", "lateral") if i % 2 else ("frontal",):
                name = f"{home}/view1_{view}"
                picture(root / f"CheXpert/{part}/{name}.jpg", i + 10 * (part == "test"))
                sick = i % 2
                values = [str(float(sick and n in ("Cardiomegaly", "Edema"))) for n in FINDINGS]
                rows.append(",".join((f"{folder}/{name}.jpg", *values)))
                if sick:
                    found = json.loads(to_json(outlined))
                    outlines[name.replace("/", "_")] = {"Cardiomegaly": found, "Edema": empty}
        table(root / f"CheXpert/{part}_labels.csv", f"Path,{','.join(FINDINGS)}", *rows)
        file = root / f"CheXlocalize/gt_segmentations_{part}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(outlines))
    return root


MS_CXR = "dicom_id,category_name,label_text,path,x,y,w,h,image_width,image_height,split"


def ms_cxr(root: Path, scale: int = 1) -> Path:
    rows = []
    for i in range(8):
        path = f"files/p10/p1000{i:04}/s5000{i:04}/dicom{i}.jpg"
        picture(root / path, i)
        size = f"{16 * scale},{20 * scale}"
        split = ("train", "val", "test")[i % 3]
        for k, label in enumerate(("Edema", "Pneumothorax")[: 1 + i % 2]):
            box = f"{2 * scale},{3 * scale},{(5 + k) * scale},{6 * scale}"
            phrase = f'"{label}, moderate\nand new"'
            rows.append(f"dicom{i},{label},{phrase},{path},{box},{size},{split}")
    table(root / "MS_CXR_Local_Alignment_v1.1.0.csv", MS_CXR, *rows)
    return root


def candid_ptx(root: Path, ending: str = ".dcm") -> Path:
    mask = np.zeros((1024, 1024), dtype=np.uint8)
    mask[100:200, 50:90] = 1
    rows = [["SOPInstanceUID", "filename", "EncodedPixels", "Report"]]
    for i in range(10):
        uid = f"1.2.276.0.{i}"
        dicom(root / f"dataset/{uid}{ending}", film(i, 1024, 1024), PatientID="anonymous")
        report = "Right apical pneumothorax.\nNo other change." if i % 4 else ""
        codes = [encode_relative_rle(mask), "1 5"] if i % 2 else ["-1"]
        rows += [[uid, f"{i // 2}_{i}.dcm", code, report] for code in codes if i != 8]
    rows.append(["1.2.276.0.8", "4_8.dcm", "", "No pneumothorax is seen."])
    with (root / "Pneumothorax_reports.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    header = "anon_SOPUID,annotation,mask_rle"
    table(root / "chest_tube.csv", header, "1.2.276.0.1,line,3 4", "1.2.276.0.77,line,3 4")
    table(root / "acute_rib_fracture.csv", header, "1.2.276.0.2,line,3 4")
    return root


def montgomery_shenzhen(root: Path) -> Path:
    for i in range(8):
        name = f"MCUCXR_{i:04}_{i % 2}"
        picture(root / f"MontgomerySet/CXR_png/{name}.png", i)
        _mask(root / f"MontgomerySet/ManualMask/leftMask/{name}.png", 9, 14)
        _mask(root / f"MontgomerySet/ManualMask/rightMask/{name}.png", 2, 7)
        other = f"CHNCXR_{i:04}_{i % 2}"
        picture(root / f"ChinaSet_AllFiles/CXR_png/{other}.png", i + 20)
        if i > 1:
            _mask(root / f"ChinaSet_AllFiles/mask/{other}_mask.png", 2, 14)
    return root


def both_in_one_folder(root: Path) -> Path:
    """Montgomery and Shenzhen as Kaggle packs them, with one mask for both lungs."""
    montgomery_shenzhen(root)
    for old in sorted(root.glob("*/CXR_png/*.png")):
        (root / "CXR_png").mkdir(exist_ok=True)
        old.rename(root / "CXR_png" / old.name)
        if old.stem.startswith("MCU"):
            both = np.zeros((20, 16), dtype=np.uint8)
            for side in ("leftMask", "rightMask"):
                file = root / f"MontgomerySet/ManualMask/{side}/{old.name}"
                both |= np.asarray(Image.open(file))
                file.unlink()
            (root / "masks").mkdir(exist_ok=True)
            Image.fromarray(both).save(root / "masks" / old.name)
    for old in sorted(root.glob("ChinaSet_AllFiles/mask/*.png")):
        old.rename(root / "masks" / old.name)
    return root


def jsrt(root: Path) -> Path:
    rows = ["subtlety 1 to 5, size in mm"]
    for i in range(8):
        name = f"JPC{'LN' if i % 2 else 'NN'}{i:03}"
        picture(root / f"All247images/{name}.png", i, 64, 64)
        fold = f"fold{1 + i % 2}/masks"
        for side in ("left lung", "right lung", "heart"):
            path = root / f"{fold}/{side}/{name}.gif"
            path.parent.mkdir(parents=True, exist_ok=True)
            mask = np.zeros((32, 32), dtype=np.uint8)
            mask[8:24, 18 if side == "left lung" else 4 :][:, :8] = 255
            Image.fromarray(mask).save(path)
        if i % 2:
            rows.append(
                f"{name}.IMG\t5\t35\t53\tMale\t{200 * i + 300}\t692\tmalignant\tl.upper lobe"
            )
    (root / "CLNDAT_EN.txt").write_text("\n".join(rows) + "\n")
    return root


TREES = {
    "vindr_cxr": vindr_cxr,
    "vinbigdata": vinbigdata,
    "tbx11k": tbx11k,
    "chestx_det10": chestx_det10,
    "chexlocalize": chexlocalize,
    "ms_cxr": ms_cxr,
    "candid_ptx": candid_ptx,
    "montgomery_shenzhen": montgomery_shenzhen,
    "jsrt": jsrt,
}
