"""Tiny downloads of the sets with reports, made by hand for the tests."""

import csv
import gzip
import json
from pathlib import Path

from tests.raw_files import FINDINGS, dicom, film, picture, table


def iu_xray(root: Path) -> Path:
    headings = (["normal"], ["Cardiomegaly/mild", "Pleural Effusion/left"], ["No Indexing"], [])
    for i in range(12):
        names = [f"CXR{i}_IM-{i:04}-{view}" for view in (1001, 2001)] if i < 10 else []
        for k, name in enumerate(names):
            picture(root / f"NLMCXR_png/{name}.png", 2 * i + k)
        majors = "".join(f"<major>{text}</major>" for text in headings[i % 4])
        findings = "The heart is large. XXXX." if i % 4 == 1 else ""
        xml = (
            f'<?xml version="1.0"?><eCitation><uId id="CXR{i}"/><MedlineCitation><Abstract>'
            f'<AbstractText Label="FINDINGS">{findings}</AbstractText>'
            f'<AbstractText Label="IMPRESSION">{"No acute disease here." if i % 3 else ""}'
            f"</AbstractText></Abstract></MedlineCitation><MeSH>{majors}</MeSH>"
            + "".join(f'<parentImage id="{name}"/>' for name in names)
            + "</eCitation>"
        )
        path = root / f"ecgen-radiology/{i}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(xml)
    return root


def iu_xray_of_kaggle(root: Path) -> Path:
    """The same films and reports, and views: each second film is a lateral one."""
    iu_xray(root)
    (root / "images").mkdir()
    (root / "NLMCXR_png").rename(root / "images/images_normalized")
    views = []
    for i in range(10):
        for view, kind in ((1001, "Frontal"), (2001, "Lateral")):
            old = f"CXR{i}_IM-{i:04}-{view}.png"
            name = f"{i}_IM-{i:04}-{view}.dcm.png"
            (root / "images/images_normalized" / old).rename(
                root / "images/images_normalized" / name
            )
            views.append(f"{i},{name},{kind}")
    reports = []
    majors = ("normal", "Cardiomegaly/mild;Pleural Effusion/left", "No Indexing", "")
    for i in range(12):
        findings = '"The heart is large.\nXXXX."' if i % 4 == 1 else ""
        reports.append(
            f"{i},{majors[i % 4]},,,,,{findings},{'No acute disease here.' if i % 3 else ''}"
        )
        (root / f"ecgen-radiology/{i}.xml").unlink()
    (root / "ecgen-radiology").rmdir()
    header = "uid,MeSH,Problems,image,indication,comparison,findings,impression"
    table(root / "indiana_reports.csv", header, *reports)
    table(root / "indiana_projections.csv", "uid,filename,projection", *views)
    return root


def padchest(root: Path) -> Path:
    header = (
        ",ImageID,ImageDir,StudyDate_DICOM,StudyID,PatientID,ViewPosition_DICOM,Projection,Report,"
        "MethodLabel,Labels"
    )
    labels = ("['normal']", "['cardiomegaly', ' nodule', ' nodule']", "nan", "['exclude']", "['']")
    projections = ("PA", "AP_horizontal", "AP", "PA", "L", "COSTAL")
    rows = []
    for i in range(18):
        name = f"{1000 + i}_x{i}.png"
        picture(root / f"{i % 3}/{name}", i)
        report = " sin hallazg patolog edad pacient ." if i % 7 else ""
        place = f"{i},{name},{i % 3},20100101,study{i},patient{i // 2},,{projections[i % 6]}"
        rows.append(f'{place},{report},Physician,"{labels[i % 5]}"')
    table(root / "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz", header, *rows)
    return root


def chexpert_plus(root: Path) -> Path:
    names = "path_to_image,path_to_dcm,frontal_lateral,ap_pa,deid_patient_id,report,"
    header = (names + "section_findings,section_impression,split").split(",")
    rows, labels = [], []
    for i in range(14):
        part = "valid" if i > 9 else "train"
        for view in ("frontal", "lateral") if i % 2 else ("frontal",):
            inner = f"{part}/patient{i:05}/study1/view1_{view}"
            picture(root / f"PNG/{inner}.png", i, 20, 16 + (view == "lateral"))
            side = "AP" if view == "frontal" else ""
            text = ["The lungs are\nclear of it.", "1. No change."] if i % 5 else ["nan", ""]
            about = [f"{inner}.jpg", f"{inner}.dcm", view.capitalize(), side, f"patient{i:05}"]
            rows.append([*about, "FINDINGS: ...", *text, part])
            values = {n: (None, 0.0, 1.0, -1.0)[(i + k) % 4] for k, n in enumerate(FINDINGS)}
            if i != 3:
                labels.append(json.dumps({"path_to_image": f"{inner}.jpg", **values}))
    root.mkdir(parents=True, exist_ok=True)
    with (root / "df_chexpert_plus_240401.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
    (root / "chexbert_labels").mkdir()
    (root / "chexbert_labels/report_fixed.json").write_text("\n".join(labels) + "\n")
    return root


def rexgradient(root: Path) -> Path:
    views = ("PA", "LATERAL", "ANTERO_POSTERIOR", None)
    for part, count in (("train", 8), ("valid", 3), ("test", 3)):
        studies = {}
        for i in range(count):
            number = i + {"train": 0, "valid": 20, "test": 40}[part]
            subject, study = f"GRDN{number // 2}", f"{number}.9"
            paths = []
            for k in range(2):
                place = (
                    f"{subject}/A{number}/studies/{study}/series/1.{k}/instances/{number}.{k}.png"
                )
                picture(root / "deid_png" / place, 2 * number + k)
                paths.append(f"../deid_png/{place}")
            studies[f"p{subject}_A{number}_{study}"] = {
                "StudyInstanceUid": study,
                "Indication": "Cough.",
                "Findings": "The lungs are clear.\nNo effusion." if i % 3 else "",
                "Impression": "No acute disease." if i % 2 else None,
                "ImagePath": paths,
                "ImageViewPosition": [views[(i + k) % 4] for k in range(2)],
            }
        file = root / f"metadata/{part}_metadata_view_position.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(studies, indent=1))
    return root


def mimic_as_dicom(root: Path, n: int = 6) -> Path:
    """The DICOM release without the tables of MIMIC-CXR-JPG."""
    rows = []
    for i in range(n):
        subject, study = f"1000{i:04}", f"5000{i:04}"
        place = f"files/p10/p{subject}"
        for k, view in enumerate(("PA", "LATERAL")):
            path = f"{place}/s{study}/dicom{i}{view}.dcm"
            dicom(root / path, film(2 * i + k), PatientID=subject, ViewPosition=view)
            rows.append(f"{subject},{study},dicom{i}{view},{path}")
        (root / f"{place}/s{study}.txt").write_text(
            f" FINAL REPORT\n IMPRESSION:  No pneumonia in case {i}.\n"
        )
    header = "subject_id,study_id,dicom_id,path\n"
    content = header + "\n".join(rows) + "\n"
    (root / "cxr-record-list.csv.gz").write_bytes(gzip.compress(content.encode()))
    return root


TREES = {
    "iu_xray": iu_xray,
    "padchest": padchest,
    "chexpert_plus": chexpert_plus,
    "rexgradient": rexgradient,
}
