import json

import numpy as np
import pandas as pd
import pytest

from sista.errors import UserError
from sista.ground import main, other_studies, summarise
from sista.phantom.truth import encode
from tests.stages.test_pretrain import corpus, run


def test_others_are_of_other_patients_and_spread():
    patients = np.array(["a", "a", "b", "c", "c", "c", "d"])
    others = other_studies(patients, 5)
    assert others.shape == (5, 7)
    assert (patients[others] != patients).all()
    assert all(len(set(column)) > 1 for column in others.T)
    with pytest.raises(UserError, match="two patients"):
        other_studies(np.array(["a", "a"]), 2)


def rows(own, swapped, patients):
    count = len(patients)
    return pd.DataFrame(
        {
            "finding": ["effusion", "nodule"] * (count // 2),
            "patient_id": patients,
            "measure": "mass",
            "own": own,
            "swapped": swapped,
            "chance": 0.1,
        }
    )


def test_a_difference_is_found_and_none_is_not():
    generator = np.random.default_rng(0)
    patients = [f"p{n // 2}" for n in range(80)]
    noise = generator.normal(0, 0.05, 80)
    better = summarise(rows(0.3 + noise, 0.2 + noise[::-1], patients), 500)
    line = better[better["finding"] == "all"].iloc[0]
    assert line["minus_swapped"] == pytest.approx(0.1)
    assert line["swapped_low"] > 0
    assert line["swapped_p"] < 0.01
    assert line["patients"] == 40
    equal = summarise(rows(0.2 + noise, 0.2 + noise[::-1], patients), 500).iloc[0]
    assert equal["swapped_p"] > 0.05
    assert set(better["finding"]) == {"all", "effusion", "nodule"}


def truth(manifest, folder):
    """Mark a corner of every film of a study with an effusion."""
    frame = pd.read_parquet(manifest)
    marked = frame[frame["label.Effusion"] == 1]
    mask = np.zeros((110, 110), bool)
    mask[60:100, 60:100] = True
    table = pd.DataFrame(
        {"image_id": marked["image_id"], "finding": "effusion", "mask": encode(mask)}
    )
    file = folder / "phantom_truth.parquet"
    table.to_parquet(file)
    return file


def test_a_checkpoint_is_scored(tmp_path, capsys):
    manifest, split = corpus(tmp_path)
    encoder = run(tmp_path / "run", manifest, split)
    file = truth(manifest, tmp_path)
    manifest_meta = json.loads((tmp_path / "run" / "run.json").read_text())["run"]
    out = tmp_path / "ground.csv"
    options = {"encoder": encoder, "manifest": manifest, "split": split, "out": out}
    main(**options, truth=file, swaps=2, replicates=50)
    scored = pd.read_csv(out)
    assert set(scored["measure"]) >= {"hit", "precision", "mass", "loss_sta"}
    assert set(scored["variant"]) == {manifest_meta["variant"]}
    pointed = scored[scored["measure"].isin(["hit", "mass"])]
    assert pointed["own"].between(0, 1).all()
    assert (pointed[pointed["finding"] == "effusion"]["rows"] > 0).all()
    assert "own - swapped" in capsys.readouterr().out
    with pytest.raises(UserError, match="only a phantom knows"):
        main(**options, truth=tmp_path / "none.parquet")


def test_a_method_without_words_is_refused(tmp_path):
    manifest, split = corpus(tmp_path)
    encoder = run(tmp_path / "run", manifest, split, method="clip")
    options = {"manifest": manifest, "split": split, "truth": truth(manifest, tmp_path)}
    with pytest.raises(UserError, match="no patch embeddings"):
        main(encoder=encoder, out=tmp_path / "o.csv", **options)
