"""Every planted defect is found, and nothing else; a clean set gives no finding."""

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sista.__main__ import main
from sista.audits import shortcuts
from sista.audits.near_duplicates import thumbnails
from sista.audits.run import checks_of, run_checks
from sista.audits.subject import Subject, in_lists, in_split
from sista.preparation.masks import to_json
from tests import raw_trees

N, SIDE = 90, 64


def pattern(seed: int) -> np.ndarray:
    """Return a film of soft spots, unlike any other one."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8)).astype(np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC))


class Set:
    """A clean data set, to be spoilt: films, manifest, subsets and fractions."""

    def __init__(self, folder):
        self.container = folder / "set.images.npy"
        self.films = np.stack([pattern(seed) for seed in range(N)])
        number = np.arange(N)
        sick = number % 3 == 0
        empty = np.zeros((SIDE, SIDE), np.uint8)
        spot = empty.copy()
        spot[20:30, 20:40] = 1
        box = {"label": "Nodule", "x": 9.0, "y": 9.0, "w": 9.0, "h": 9.0}
        self.frame = pd.DataFrame(
            {
                "image_id": [f"i{n}" for n in number],
                "patient_id": [f"p{n}" for n in number],
                "study_id": [f"s{n}" for n in number],
                "view": np.where(number % 2, "PA", "AP"),
                "path": [f"films/{n}.png" for n in number],
                "row": number,
                "height": SIDE,
                "width": SIDE,
                "scale": 1.0,
                "pad_x": 0.0,
                "pad_y": 0.0,
                "boxes": [json.dumps([box] if s else []) for s in sick],
                "mask": [to_json(spot if s else empty) for s in sick],
                "report": ["A shadow on the left." if n % 2 else "Clear lungs." for n in number],
                "content_hash": [f"h{n}" for n in number],
                "label.Nodule": sick.astype(float),
                "label.No Finding": (~sick).astype(float),
            }
        ).astype({"view": object})
        self.subsets = {"train": number[:60], "val": number[60:75], "test": number[75:]}
        self.fractions = {"draw 0": {1: number[:3], 10: number[:6], 100: number[:60]}}
        self.form = {"mask_label": "Nodule"}

    def cell(self, row, column, value):
        self.frame[column] = self.frame[column].astype(object)
        self.frame.at[row, column] = value

    def subject(self) -> Subject:
        np.save(self.container, self.films)
        scanner = (None,) * len(self.frame)
        form = {"scanner": scanner, **self.form}
        return Subject("set", self.frame, self.container, self.subsets, self.fractions, **form)

    def found(self) -> dict[str, list[str]]:
        """Return what the checks found: images by check."""
        subject = self.subject()
        small = thumbnails(subject.frame, self.container)
        return {
            outcome.check: [name for finding in outcome.findings for name, _ in finding.images]
            for outcome in checks_of(subject, small)
            if outcome.findings
        }


def recompressed(film):
    stream = io.BytesIO()
    Image.fromarray(film).save(stream, "JPEG", quality=40)
    return np.asarray(Image.open(stream))


def same_pixels(s, first, second):
    s.films[second] = s.films[first]
    s.cell(second, "content_hash", f"h{first}")


def boxes(**change):
    box = {"label": "Nodule", "x": 9.0, "y": 9.0, "w": 9.0, "h": 9.0} | change
    return lambda s: s.cell(3, "boxes", json.dumps([box]))


def film(change):
    return lambda s: s.films.__setitem__(61, change(s.films[4]))


def filled(height, width, value):
    return to_json(np.full((height, width), value, np.uint8))


def both(*plants):
    return lambda s: [plant(s) for plant in plants]


DEFECTS = {
    "image in two subsets": (
        lambda s: s.subsets.update(val=np.append(s.subsets["val"], 4)),
        {"image_overlap": ["i4"]},
    ),
    "patient in two subsets": (
        lambda s: s.cell(61, "patient_id", "p4"),
        {"patient_overlap": ["i4", "i61"]},
    ),
    "equal pixels in two subsets": (
        lambda s: same_pixels(s, 4, 61),
        {"pixel_overlap": ["i4", "i61"]},
    ),
    "recompressed": (film(recompressed), {"near_overlap": ["i4"]}),
    "brighter, of another gamma": (
        film(lambda f: (255 * (f / 255.0) ** 0.6).astype(np.uint8)),
        {"near_overlap": ["i4"]},
    ),
    "mirrored": (film(lambda f: f[:, ::-1]), {"near_overlap": ["i4"]}),
    "inverted": (film(lambda f: 255 - f), {"near_overlap": ["i4"]}),
    "one film under two patients": (lambda s: same_pixels(s, 4, 5), {"two_patients": ["i4"]}),
    "a film twice": (
        both(lambda s: same_pixels(s, 4, 5), lambda s: s.cell(5, "patient_id", "p4")),
        {"repeated": ["i4"]},
    ),
    "blank": (lambda s: s.films.__setitem__(7, 9), {"blank": ["i7"]}),
    "not nested": (
        lambda s: s.fractions.update({"draw 0": {1: np.array([9]), 10: np.arange(6)}}),
        {"not_nested": ["i9"]},
    ),
    "no positive": (lambda s: s.subsets.update(val=np.array([61, 62])), {"class_missing": []}),
    "equal pixels, other labels": (
        lambda s: same_pixels(s, 3, 4),
        {"two_patients": ["i3"], "label_conflict": ["i3"]},
    ),
    "one study": (lambda s: s.cell(4, "study_id", "s3"), {"label_conflict": ["i3"]}),
    "no finding beside a finding": (
        lambda s: s.cell(3, "label.No Finding", 1.0),
        {"label_conflict": ["i3"]},
    ),
    "label 2": (lambda s: s.cell(3, "label.No Finding", 2.0), {"label_conflict": ["i3"]}),
    "two exclusive classes": (
        both(
            lambda s: s.form.update(multiclass=True),
            lambda s: s.cell(3, "label.No Finding", 1.0),
        ),
        {"label_conflict": ["i3"]},
    ),
    "box beside the film": (boxes(x=60.0), {"box": ["i3"]}),
    "empty box": (boxes(w=0.0), {"box": ["i3"]}),
    "box over all": (boxes(x=0.0, y=0.0, w=64.0, h=64.0), {"box": ["i3"]}),
    "box of a negative class": (
        lambda s: s.cell(4, "boxes", s.frame.boxes[3]),
        {"box": ["i4"]},
    ),
    "positive without a box": (lambda s: s.cell(3, "boxes", "[]"), {"box": ["i3"]}),
    "mask of another size": (
        lambda s: s.cell(4, "mask", filled(32, 32, 0)),
        {"mask": ["i4"]},
    ),
    "mask over all": (lambda s: s.cell(3, "mask", filled(64, 64, 1)), {"mask": ["i3"]}),
    "mask of a negative": (lambda s: s.cell(4, "mask", s.frame["mask"][3]), {"mask": ["i4"]}),
    "mask of run lengths that end early": (
        lambda s: s.cell(3, "mask", '{"size": [64, 64], "counts": "11"}'),
        {"mask": ["i3"]},
    ),
    "report names the label": (
        lambda s: s.frame.__setitem__(
            "report", np.where(s.frame["label.Nodule"] == 1, "Diagnosis: NODULE.", "Clear.")
        ),
        {"text_names_label": []},
    ),
    "folder names the label": (
        lambda s: s.frame.__setitem__(
            "path", np.where(s.frame["label.Nodule"] == 1, "x/NODULE/", "x/none/") + s.frame["path"]
        ),
        {"name_names_label": []},
    ),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_is_found_and_nothing_else(tmp_path, defect):
    plant, expected = DEFECTS[defect]
    spoilt = Set(tmp_path)
    plant(spoilt)
    assert spoilt.found() == expected


def test_a_clean_set_gives_no_finding(tmp_path):
    audited = run_checks([Set(tmp_path).subject()])
    assert [line for line in audited.lines()] == []
    assert {told.what for told in audited.told} == {
        "view",
        "label Nodule",
        "label No Finding",
    }


def test_the_border_tells_a_marked_label(tmp_path):
    spoilt = Set(tmp_path)
    spoilt.films[spoilt.frame["label.Nodule"].to_numpy() == 1, :4, :20] = 255
    subject = spoilt.subject()
    told = shortcuts.shortcuts(subject, thumbnails(subject.frame, spoilt.container).grey)
    shown = {each.what: each.is_shortcut for each in told}
    assert shown["label Nodule"]
    assert not shown["view"]
    nodule = next(each for each in told if each.what == "label Nodule")
    assert nodule.auroc > 0.9
    assert 0.3 < nodule.chance < 0.7


def test_lists_and_splits_lie_on_the_rows_that_they_name(tmp_path):
    subject = replace(Set(tmp_path).subject(), subsets={}, fractions={})
    (tmp_path / "a.csv").write_text("image,label\nfilms/1.png,1\nfilms/2.png,0\nfilms/2.png,0\n")
    (tmp_path / "b.txt").write_text("films/2.png 1\nelsewhere/777.png 0\n")
    lists = {"train": tmp_path / "a.csv", "test": tmp_path / "b.txt"}
    listed = in_lists(subject, lists)
    assert {name: list(rows) for name, rows in listed.subsets.items()} == {
        "train": [1, 2],
        "test": [2],
    }
    found = {o.check: o.found for o in checks_of(listed, None) if o.findings}
    assert found["image_overlap"] == found["listed_twice"] == found["unmatched"] == 1
    split = pd.DataFrame(
        {
            "subset": ["train", "train", "train", "test", "test"],
            "draw": [0, 0, 0, -1, -1],
            "fraction": [100, 100, 1, -1, -1],
            "image_id": ["i5", "i6", "i7", "i8", "gone"],
        }
    )
    ours = in_split(subject, split)
    assert list(ours.subsets["train"]) == [5, 6, 7]
    found = {o.check: o.found for o in checks_of(ours, None) if o.findings}
    assert found["not_nested"] == found["unmatched"] == 1


def test_command_writes_counts_apart_from_names_and_tells_by_its_exit_code(tmp_path, capsys):
    raw = raw_trees.nih(tmp_path / "nih")
    film_file = raw / "images_001/images/00000002_000.png"
    film_file.write_bytes(film_file.read_bytes()[:60])
    boxes_file = raw / "BBox_List_2017.csv"
    boxes_file.write_text(
        boxes_file.read_text().replace("Infiltrate,1,2,5,6", "Infiltrate,1,2,5,90")
    )
    (raw / "annotation_frame.txt").write_text("film")
    out = tmp_path / "audit"
    command = ["audit", "nih_chestxray14", "--source", str(raw), "--out", str(out)]
    assert main(command) == 1
    printed = capsys.readouterr()
    assert "unreadable" in printed.err
    assert "box" in printed.err
    with (out / "images.csv").open() as stream:
        named = {(row["check"], row["image"]) for row in csv.DictReader(stream)}
    assert ("unreadable", "images_001/images/00000002_000.png") in named
    assert ("box", "00000001_000") in named
    for name in ("index.html", "summary.csv", "classes.csv", "shortcuts.csv"):
        text = (out / name).read_text()
        assert "0000000" not in text, name
    assert "0000000" not in printed.out
    accepted = ["--accept", "unreadable", "box", "class_missing", "label_conflict"]
    assert main([*command, *accepted]) == 0
    assert main(["audit", "nih_chestxray14", "--accept", "everything"]) == 1
    assert "valid: unreadable" in capsys.readouterr().err


def test_several_sets_are_compared_with_each_other(tmp_path):
    first, second = Set(tmp_path), Set(tmp_path / "other")
    (tmp_path / "other").mkdir()
    second.films = np.stack([pattern(1000 + seed) for seed in range(N)])
    second.films[:, -6:] //= 8
    second.films[8] = recompressed(first.films[5])
    second.frame["content_hash"] = "x" + second.frame["content_hash"]
    second.frame["patient_id"] = "q" + second.frame["patient_id"]
    second.cell(2, "content_hash", "h2")
    audited = run_checks([first.subject(), replace(second.subject(), name="other")])
    found = {o.check: o for dataset, o in audited.outcomes if dataset == "all" and o.findings}
    assert set(found) == {"shortcut", "pixel_overlap"} | ({"near_overlap"} & set(found))
    assert found["pixel_overlap"].findings[0].images == (("set: i2", ""), ("other: i2", ""))
