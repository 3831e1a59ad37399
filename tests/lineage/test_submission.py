"""Results of a third party: a sound submission passes, and each planted fault is named."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest
import yaml

from sista import tables
from sista.errors import UserError
from sista.lineage import submission
from sista.stages import score
from tests import made_up_predictions as made

FACTS = {"title": "Mine", "authors": ["A. Author"], "licence": "CC-BY-4.0", "bootstrap": 100}
DATASET, CORPUS = "rsna_pneumonia@phantom", "mimic_cxr@phantom"
TASKS = ("classification", "detection")


def prepared(
    results: Path,
    dataset: str,
    images: list[str],
    train: list[str],
    first: int,
    patients: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Write manifest and split of a data set, films `first`, `first` + 1, ... by content."""
    names = [*images, *train]
    people = [patients.get(name, name) for name in names]
    number = np.arange(len(names))
    text = dict.fromkeys(("study_id", "view", "boxes", "mask", "report", "official"))
    manifest = pd.DataFrame({"image_id": names, "patient_id": people, "path": names, "row": number})
    manifest = manifest.assign(height=8, width=8, scale=1.0, pad_x=0.0, pad_y=0.0, spacing=np.nan)
    manifest = manifest.assign(release="1", content_hash=[f"{first + n}" for n in number], **text)
    folder = results / "prepare" / dataset
    tables.write(manifest, folder / "manifest.parquet", "manifest", {"dataset": dataset})
    rows = [("test", -1, -1, name) for name in images] + [("train", 0, 100, name) for name in train]
    split = pd.DataFrame(rows, columns=["subset", "draw", "fraction", "image_id"])
    meta = {"dataset": dataset, "hash": "abc"}
    path = folder / "manifest.split.parquet"
    tables.write(split.assign(dataset=dataset), path, "split", meta)


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> tuple[Path, Path]:
    """A submission without a fault, and the results of the one who checks it."""
    folder, results = tmp_path_factory.mktemp("theirs"), tmp_path_factory.mktemp("ours")
    runs = made.runs(("sista_no_sta",), TASKS)
    for run in runs:
        made.write(folder, run)
        made.write(results, replace(run, pretrain=replace(run.pretrain, variant="clip")))
    frame = tables.read(folder / runs[0].predictions, "predictions_classification")[0]
    tested = sorted(set(frame.loc[frame["subset"] == "test", "image_id"]))
    for dataset in (DATASET, "chexpert@phantom"):
        patients = dict(zip(frame["image_id"], frame["patient_id"], strict=True))
        prepared(results / "results", dataset, tested, ["t1", "t2"], 0, patients)
    prepared(results / "results", CORPUS, ["c0"], ["c1", "c2"], 1000)
    scored = score.score_runs(runs, results=folder / "results", bootstrap=100)
    claimed = pd.DataFrame([row for pair in scored for row in score.rows(*pair)])
    tables.write(claimed, folder / "scores.parquet", "scores")
    shutil.rmtree(folder / "results" / "score")
    (folder / "submission.yaml").write_text(yaml.safe_dump(FACTS))
    return folder, results / "results"


@pytest.fixture
def theirs(sound, tmp_path) -> Path:
    """A copy of the submission, to plant a fault in."""
    return Path(shutil.copytree(sound[0], tmp_path / "theirs"))


def first_of(folder: Path, task: str = "classification") -> tuple[Path, pd.DataFrame, dict]:
    """Return path, table and metadata of the first predictions of a task."""
    run = next(run for run in made.runs(("sista_no_sta",), TASKS) if run.task == task)
    frame, meta = tables.read(folder / run.predictions, f"predictions_{task}")
    return folder / run.predictions, frame, dict(meta)


def rewrite(change: Callable, task: str = "classification") -> Callable[[Path], None]:
    """Return a fault that changes table and metadata of the first predictions."""

    def plant(folder: Path) -> None:
        path, frame, meta = first_of(folder, task)
        frame = change(frame, meta)
        tables.write(frame, path, f"predictions_{task}", meta)

    return plant


def facts(**values: object) -> Callable[[Path], None]:
    """Return a fault of submission.yaml."""
    return lambda folder: (folder / "submission.yaml").write_text(yaml.safe_dump(FACTS | values))


def of_run(**values: object) -> Callable[[Path], None]:
    """Return a fault of the metadata."""
    return rewrite(lambda frame, meta: (meta["run"].update(values), frame)[1])


def based(folder: Path) -> None:
    """Let submission.yaml take its facts from another file."""
    (folder / "submission.yaml").rename(folder / "more.yaml")
    (folder / "submission.yaml").write_text("base: more.yaml\n")


def turned(frame: pd.DataFrame, meta: dict) -> pd.DataFrame:
    """Return a table whose true labels of the test films are turned round."""
    test = frame["subset"] == "test"
    return frame.assign(target=frame["target"].where(~test, 1 - frame["target"]))


def leaking(frame: pd.DataFrame, meta: dict) -> pd.DataFrame:
    """Return a table that tests on a training film too."""
    own = frame[(frame["subset"] == "test") & (frame["image_id"] == frame["image_id"].iloc[-1])]
    return pd.concat([frame, own.assign(image_id="t1", patient_id="t1")])


def better(folder: Path) -> None:
    """Claim a point more than the predictions give."""
    claimed, _ = tables.read(folder / "scores.parquet", "scores")
    claimed.loc[claimed["value"].notna().idxmax(), "value"] += 0.01
    tables.write(claimed, folder / "scores.parquet", "scores")


def copied(folder: Path) -> None:
    """Hand the same predictions in under another seed."""
    path, *_ = first_of(folder)
    other = Path(str(path).replace("seed0", "seed1"))
    other.parent.mkdir(parents=True)
    other.write_bytes(path.read_bytes())


def disguised(folder: Path) -> None:
    """Hand the same predictions in under another seed, with metadata that say so."""
    path, frame, meta = first_of(folder)
    meta["run"] |= {"seed": 1, "peak_mb": 99.0}
    other = Path(str(path).replace("seed0", "seed1"))
    tables.write(frame.iloc[::-1], other, "predictions_classification", meta)


def missed(frame: pd.DataFrame, meta: dict) -> pd.DataFrame:
    """Return a table without a film in which nothing was found."""
    lost = frame.loc[frame["subset"] == "test", "image_id"].iloc[0]
    return frame[frame["image_id"] != lost]


def seen(folder: Path) -> None:
    """Name a corpus that was trained on test films."""
    path, frame, meta = first_of(folder)
    meta["run"]["corpus"] = "padded@phantom"
    place = Path(str(path).replace(CORPUS, "padded@phantom"))
    tables.write(frame, place, "predictions_classification", meta)


FAULTS = {
    "no licence of open data": (facts(licence="all rights reserved"), "licence: Input should be"),
    "no author": (facts(authors=[]), "authors: List should have at least 1"),
    "weights that may run code": (
        lambda folder: (folder / "head.pt").write_bytes(b"\x80\x04."),
        "head.pt: is no data",
    ),
    "a link out of the folder": (
        lambda folder: (folder / "more.csv").symlink_to("/etc/hostname"),
        "more.csv: is a link",
    ),
    "another split": (of_run(split_hash="fff"), "made with split fff"),
    "another data set than its place says": (
        of_run(dataset="siim_acr"),
        "its place says dataset chexpert@phantom, its metadata siim_acr",
    ),
    # Names of folders, of which one would be searched from the root of the disk.
    "a data set that is a path": (of_run(dataset="/etc", protocol="/"), "its metadata /etc"),
    "a base": (based, "base: a submission has none"),
    "a folder in place of the claimed scores": (
        lambda folder: ((folder / "scores.parquet").unlink(), (folder / "scores.parquet").mkdir()),
        "scores.parquet: ",
    ),
    "settings that were not hashed": (
        of_run(settings={"w_sta": 0.5}),
        "its settings_hash is not that of its method and settings",
    ),
    "a fraction left out": (
        rewrite(lambda frame, meta: frame[frame["fraction"] != 1]),
        "lacks 2 of 6 heads (draw 0 at 1 %, draw 1 at 1 %)",
    ),
    "other true labels": (rewrite(turned), "test films have other true labels than"),
    "a training film tested": (rewrite(leaking), "1 of its test films are training films"),
    "a film without a finding left out": (
        rewrite(missed, "detection"),
        "lacks 1 test films that",
    ),
    "test films trained on": (seen, "test films are training films of the corpus padded@phantom"),
    "scores that are not those of the predictions": (better, "1 values are not those of the"),
    "the same twice": (copied, "is a copy of results/adapt"),
    "the same twice under other metadata": (disguised, "is a copy of results/adapt"),
    "heads of another length": (
        of_run(settings_adapt={"iterations": 99999}),
        "its heads had settings of their own ({'iterations': 99999})",
    ),
    "larger images": (of_run(image_size=999), "made at 999 px; quick_v1 is at 64 px"),
    "the first draw left out": (
        rewrite(lambda frame, meta: frame[frame["draw"] != 0]),
        "lacks 3 of 6 heads (draw 0 at 1 %",
    ),
    "the last draw left out of one file": (
        rewrite(lambda frame, meta: frame[frame["draw"] != 1]),
        "hand in the same of all",
    ),
    "the test films of a bad draw left out": (
        rewrite(
            lambda frame, meta: frame[
                (frame["subset"] != "test") | (frame["draw"] != 1) | (frame["fraction"] != 1)
            ]
        ),
        "lacks 1 of 6 heads (draw 1 at 1 %)",
    ),
    "a damaged table": (
        lambda folder: first_of(folder)[0].write_bytes(b"PAR1" + bytes(40) + b"PAR1"),
        "predictions.parquet: ",
    ),
    "an unknown protocol": (
        lambda folder: (folder / "results/adapt/quick_v1").rename(folder / "results/adapt/mine_v1"),
        "unknown protocol 'mine_v1'; valid:",
    ),
}


def test_a_sound_submission_is_scored_and_shown(sound, theirs, tmp_path, capsys):
    submission.check(theirs, results=sound[1], out=tmp_path / "preview")
    told = capsys.readouterr().out
    assert "4 predictions of 'Mine', scored again, no fault" in told
    assert "not checked" not in told
    # A second look finds the folder as it was.
    submission.check(theirs, results=sound[1])
    assert "sista_no_sta" in (tmp_path / "preview" / "classification.md").read_text()
    assert (tmp_path / "preview" / "detection.html").is_file()


@pytest.mark.parametrize("name", FAULTS)
def test_each_planted_fault_is_named(sound, theirs, tmp_path, capsys, name):
    plant, wanted = FAULTS[name]
    results = sound[1]
    if plant is seen:
        # A corpus whose training films are those of the test set.
        results = Path(shutil.copytree(results, tmp_path / "ours"))
        prepared(results, "padded@phantom", ["x"], [f"c{n}" for n in range(24)], -1)
    plant(theirs)
    with pytest.raises(UserError, match="faults, see above; nothing of it is taken"):
        submission.check(theirs, results=results, out=tmp_path / "preview")
    faults = [x for x in capsys.readouterr().out.splitlines() if x.startswith("fault: ")]
    assert any(wanted in line for line in faults), faults
    assert not (tmp_path / "preview").exists()


def test_what_cannot_be_checked_is_said(theirs, tmp_path, capsys):
    submission.check(theirs, results=tmp_path / "nothing")
    told = capsys.readouterr().out
    assert "not checked: split and test films of chexpert@phantom" in told
    assert "not checked: true labels of linear of quick_v1 on chexpert@phantom" in told
    assert "not checked: whether mimic_cxr@phantom holds test films" in told
