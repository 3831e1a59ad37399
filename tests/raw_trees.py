"""Tiny raw downloads, made by hand for the tests (noise instead of films)."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from tests import raw_annotated, raw_reports
from tests.raw_files import FINDINGS, dicom, film, picture, table

REPORT = (
    "                                 FINAL REPORT\n INDICATION:  Cough.\n \n"
    " FINDINGS:  The lungs are clear.\n \n IMPRESSION:  No pneumonia in case {}.\n"
)


def rsna(root: Path, n: int = 20) -> Path:
    rows = []
    for i in range(n):
        dicom(root / f"stage_2_train_images/image{i:02}.dcm", film(i), PatientID=f"image{i:02}")
        rows.append(f"image{i:02},1,2,5,6,1" if i % 2 else f"image{i:02},,,,,0")
        if i % 4 == 1:
            rows.append(f"image{i:02},8,9,4,4,1")
    table(root / "stage_2_train_labels.csv", "patientId,x,y,width,height,Target", *rows)
    links = (f"image{i:02},f{i}.png,{i // 2}" for i in range(n))
    table(root / "nih_patients.csv", "patientId,nih_image,nih_patient_id", *links)
    return root


def chexpert(root: Path, folder: str = "CheXpert-v1.0-small", base: str = "") -> Path:
    header = ",".join(("Path,Sex,Age,Frontal/Lateral,AP/PA", *FINDINGS))
    home = root / base
    for part, count in (("train", 8), ("valid", 2)):
        rows = []
        for i in range(count):
            offset = 100 if part == "valid" else 0
            inner = f"{part}/patient{i + offset:05}/study1"
            views = (("frontal", "Frontal", "AP"), ("lateral", "Lateral", ""))
            for view, name, side in views:
                picture(home / inner / f"view1_{view}.jpg", i + offset, 20, 16 + len(view))
                values = [("", "0.0", "1.0", "-1.0")[(i + k) % 4] for k in range(len(FINDINGS))]
                path = f"{folder}/{inner}/view1_{view}.jpg"
                rows.append(",".join((path, "Male,50", name, side, *values)))
        table(home / f"{part}.csv", header, *rows)
    return root


def mimic(root: Path, n: int = 6) -> Path:
    names = sorted(FINDINGS)
    tables: dict[str, list[str]] = {"metadata": [], "split": [], "chexpert": []}
    for i in range(n):
        subject, study = f"1000{i:04}", f"5000{i:04}"
        place = root / f"files/p10/p{subject}"
        split = ("train", "train", "train", "train", "validate", "test")[i % 6]
        for view in ("PA", "LATERAL"):
            name = f"dicom{i}{view}"
            picture(place / f"s{study}/{name}.jpg", i, 20, 16 + len(view))
            tables["metadata"].append(f"{name},{subject},{study},{view}")
            tables["split"].append(f"{name},{study},{subject},{split}")
        (place / f"s{study}.txt").write_text(REPORT.format(i))
        values = [("", "0.0", "1.0", "-1.0")[(i + k) % 4] for k in range(len(names))]
        tables["chexpert"].append(",".join((subject, study, *values)))
    headers = {
        "metadata": "dicom_id,subject_id,study_id,ViewPosition",
        "split": "dicom_id,study_id,subject_id,split",
        "chexpert": ",".join(("subject_id,study_id", *names)),
    }
    for name, rows in tables.items():
        table(root / f"mimic-cxr-2.0.0-{name}.csv.gz", headers[name], *rows)
    return root


def siim(root: Path, stage: int = 1) -> Path:
    rows = []
    for i in range(6):
        uid = f"1.2.{i}"
        place = root / f"dicom-images-train/study{i}/series{i}/{uid}.dcm"
        dicom(place, film(i), PatientID=f"patient{i // 2}")
        rows += [f"{uid}, 3 4 2 2", f"{uid}, 40 5"] if i % 2 else [f"{uid}, -1"]
    if stage == 1:
        table(root / "train-rle.csv", "ImageId, EncodedPixels", *rows)
    else:
        table(root / "stage_2_train.csv", "ImageId,EncodedPixels", *rows)
    return root


def object_cxr(root: Path) -> Path:
    shapes = ("", "0 1 2 6 8", "1 2 2 9 9;2 1 1 5 2 4 8", "2 3 3 9 3 9 9 3 9")
    for part, count in (("train", 12), ("dev", 4)):
        rows = []
        for i in range(count):
            picture(root / part / f"{part}{i}.jpg", i + (50 if part == "dev" else 0))
            rows.append(f"{part}{i}.jpg,{shapes[i % 4]}")
        table(root / f"{part}.csv", "image_name,annotation", *rows)
    return root


def covidx(root: Path) -> Path:
    kinds = ("normal", "pneumonia", "COVID-19")
    for part, count in (("train", 12), ("test", 3)):
        lines = []
        for i in range(count):
            picture(root / part / f"{part} {i}.png", i + (50 if part == "test" else 0))
            lines.append(f"{part}{i // 2} {part} {i}.png {kinds[i % 3]} cohen")
        (root / f"{part}_COVIDx9A.txt").write_text("\n".join(lines) + "\n")
    return root


def nih(root: Path) -> Path:
    header = (
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,"
        "View Position,OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
    )
    rows = []
    findings = ("No Finding", "Mass|Nodule", "Hernia", "Pneumonia")
    names = [f"{i:08}_000.png" for i in range(12)]
    for i, name in enumerate(names):
        picture(root / f"images_{1 + i % 2:03}/images/{name}", i)
        rows.append(f"{name},{findings[i % 4]},0,{i},50,M,PA,2048,2500,0.2,0.2,")
    table(root / "Data_Entry_2017.csv", header, *rows)
    boxes = (f"{names[1]},Infiltrate,1,2,5,6,,,", f"{names[3]},Mass,0,0,16,20,,,")
    table(root / "BBox_List_2017.csv", "Image Index,Finding Label,Bbox [x,y,w,h],,,", *boxes)
    (root / "train_val_list.txt").write_text("".join(f"{name}\n" for name in names[:9]))
    (root / "test_list.txt").write_text("".join(f"{name}\n" for name in names[9:]))
    return root


def kermany(root: Path) -> Path:
    for i in range(4):
        for part, kind in (("train", "virus"), ("test", "bacteria")):
            sick = root / f"chest_xray/{part}/PNEUMONIA/person{i}_{kind}_{i}.jpeg"
            picture(sick, i + (10 if part == "test" else 20))
        picture(root / f"chest_xray/train/NORMAL/IM-{i:04}-0001.jpeg", i + 40)
        mask = root / f"masks_lung/IM-{i:04}-0001.png"
        mask.parent.mkdir(exist_ok=True)
        Image.fromarray(np.eye(20, 16, dtype=np.uint8) * 255).save(mask)
    return root


def covid(root: Path) -> Path:
    header = ["patientid", "finding", "view", "modality", "folder", "filename", "clinical_notes"]
    views = ("PA", "AP Supine", "L", "AP", "")
    findings = ("COVID-19, ARDS", "todo", "Klebsiella", "Pneumonia/Viral/COVID-19", "No Finding")
    root.mkdir(parents=True, exist_ok=True)
    with (root / "metadata.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([*header, ""])
        for i in range(15):
            name = f"film{i}.png"
            picture(root / f"images/{name}", i)
            note = "Fever, dry\ncough for ___ days." if i % 2 else ""
            row = [i // 2, findings[i % 5], views[i % 5], "X-ray" if i < 14 else "CT", "images"]
            writer.writerow([*row, name, note, ""])
    mask = root / "annotations/lungVAE-masks/film0_mask.png"
    mask.parent.mkdir(parents=True)
    Image.fromarray(np.full((20, 16), 255, dtype=np.uint8)).save(mask)
    return root


TREES = {
    "rsna_pneumonia": rsna,
    "chexpert": chexpert,
    "mimic_cxr": mimic,
    "siim_acr": siim,
    "object_cxr": object_cxr,
    "covidx": covidx,
    "nih_chestxray14": nih,
    "kermany_pneumonia": kermany,
    "covid_chestxray": covid,
    **raw_annotated.TREES,
    **raw_reports.TREES,
}
