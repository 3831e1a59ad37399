"""Splits of protocols: MGCA's own lists of RSNA, as many SIIM films without as with a finding."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import train_test_split

from sista import tables
from sista.adaptation.resplit import resplit, shuffled
from sista.errors import UserError
from sista.preparation import splits
from sista.preparation.split_audit import overlaps
from sista.protocols._base import SplitRule
from sista.protocols.mgca_v1 import mgca_v1
from tests.adapted import adapted
from tests.blobs import blobs, encoder_file

RSNA = 26684
SETS = ("train", "val", "test")


def index(count, share, patients=None, hashes=None):
    """Return a made-up manifest and its split, of one label."""
    draw = np.random.default_rng(0)
    names = [f"{number:08x}-film" for number in draw.permutation(count)]
    frame = pd.DataFrame(
        {
            "image_id": names,
            "patient_id": patients or names,
            "content_hash": hashes or names,
            "official": pd.Series([None] * count, dtype=object),
            "label.Finding": (draw.random(count) < share).astype(float),
        }
    )
    meta = {"dataset": "rsna_pneumonia@made", "labels": ["Finding"], "label_policy": "as_is"}
    labels = {"Finding": frame["label.Finding"].to_numpy()}
    return frame, meta, splits.make(frame, meta["dataset"], labels, draws=2)


def ids(table, subset, draw=-1, fraction=-1):
    chosen = (table.subset == subset) & (table.draw == draw) & (table.fraction == fraction)
    return set(table.image_id[chosen])


def source_sets(frame, held_out):
    """Return what `mgca/preprocess/rsna.py` does: scikit-learn twice, with the films in order."""
    films = pd.DataFrame({"patientId": sorted(frame["image_id"])})
    train, rest = train_test_split(films, test_size=held_out, random_state=0)
    test, val = train_test_split(rest, test_size=0.5, random_state=0)
    return {"train": train, "val": val, "test": test}


@pytest.mark.parametrize(
    ("tasks", "held_out", "sizes"),
    [
        (("segmentation", "detection"), 5337 * 2, [16010, 5337, 5337]),
        (("classification",), 0.15 * 2, [18678, 4003, 4003]),
    ],
)
def test_rsna_is_split_into_the_lists_of_the_source(tasks, held_out, sizes):
    frame, meta, old = index(RSNA, 0.22)
    (rule,) = {mgca_v1.split_rule(task, "rsna_pneumonia@made") for task in tasks}
    made = resplit(frame, meta, old.frame, old.meta, rule).frame
    found = {"train": ids(made, "train", 0, 100)} | {s: ids(made, s) for s in ("val", "test")}
    assert [len(found[name]) for name in SETS] == sizes
    assert {n: set(part["patientId"]) for n, part in source_sets(frame, held_out).items()} == found
    assert len(ids(made, "train", 0, 1)) == round(sizes[0] / 100)


def test_films_of_one_patient_stay_together():
    patients = [f"p{number // 3}" for number in range(600)]
    hashes = [f"h{number}" for number in range(599)] + ["h0"]
    frame, meta, old = index(600, 0.3, patients, hashes)
    made = resplit(frame, meta, old.frame, old.meta, SplitRule("rsna_pneumonia", (), 0.4))
    sets = {"train": list(ids(made.frame, "train", 0, 100))}
    sets |= {name: list(ids(made.frame, name)) for name in ("val", "test")}
    assert overlaps(sets, frame) == []
    assert [len(sets[name]) for name in SETS] == pytest.approx([360, 120, 120], abs=4)
    assert made.meta["hash"] != old.meta["hash"]
    again = resplit(frame.iloc[::-1], meta, old.frame, old.meta, SplitRule("r", (), 0.4))
    assert again.meta["hash"] == made.meta["hash"]


def test_three_films_are_the_fewest():
    assert sorted(shuffled(["a", "b", "c"], 0.4)) == ["test", "train", "val"]


def test_as_many_training_films_without_as_with_a_finding():
    frame, meta, old = index(3000, 0.22)
    meta["dataset"] = "siim_acr"
    rule = mgca_v1.split_rule("segmentation", "siim_acr")
    made = resplit(frame, meta, old.frame, old.meta, rule).frame
    positive = dict(zip(frame["image_id"], frame["label.Finding"] > 0, strict=True))
    before = ids(old.frame, "train", 0, 100)
    there = {name for name in before if positive[name]}
    others = []
    for draw in range(2):
        whole = ids(made, "train", draw, 100)
        assert whole <= before
        assert {name for name in whole if positive[name]} == there
        assert len(whole) == 2 * len(there)
        others.append(whole - there)
        for fraction in (1, 10):
            part = ids(made, "train", draw, fraction)
            assert part < whole
            assert len(part) == int(2 * len(there) * fraction / 100 + 0.5)
            assert sum(positive[name] for name in part) == pytest.approx(len(part) / 2, abs=1)
    assert others[0] != others[1]
    for subset in ("val", "test"):
        assert ids(made, subset) == ids(old.frame, subset)


def test_where_findings_are_the_rule_all_others_are_kept():
    frame, meta, old = index(300, 0.8)
    made = resplit(frame, meta, old.frame, old.meta, SplitRule("x", (), balanced=True)).frame
    assert ids(made, "train", 0, 100) == ids(old.frame, "train", 0, 100)


def test_a_leak_of_the_split_file_is_refused():
    frame, meta, old = index(300, 0.3)
    shared = frame.assign(patient_id="one")
    with pytest.raises(UserError, match="patient"):
        resplit(shared, meta, old.frame, old.meta, SplitRule("x", (), balanced=True))


@pytest.mark.parametrize("head", ["linear", "yolov3"])
def test_a_job_takes_the_split_of_its_protocol(tmp_path, head):
    manifest = blobs(tmp_path / "data", 30, dataset="rsna_pneumonia@test")
    frame, _ = tables.read(manifest, "manifest")
    encoder = encoder_file(tmp_path / "resnet_tiny.safetensors", "resnet_tiny", "tiny")
    words = {"dataset": "rsna_pneumonia@test"}
    tested = {}
    for protocol in ("mgca_v1", "mgca_fixed_v1"):
        out = tmp_path / protocol / "p.parquet"
        found, meta, _ = adapted(manifest, encoder, out, head, protocol=protocol, **words)
        tested[protocol] = set(found.image_id[found.subset == "test"])
        hashes = json.loads(out.with_name("run.json").read_text())["run"]["split_hash"]
        given = tables.read_meta(manifest.with_suffix(".split.parquet"), "split")["hash"]
        assert (hashes == given) == (protocol == "mgca_fixed_v1")
        assert meta["run"]["split_hash"] == hashes
    groups = splits.groups(list(frame["patient_id"]), list(frame["content_hash"]))
    held_out = 0.3 if head == "linear" else 0.4
    expected = frame["image_id"][shuffled(groups, held_out) == "test"]
    assert tested["mgca_v1"] == set(expected)
    assert len(tested["mgca_fixed_v1"]) == 8
