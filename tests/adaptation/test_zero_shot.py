"""Zero-shot prompts: what is asked of the text encoder, and scores against plain arithmetic."""

import numpy as np
import pytest
import torch

from sista import tables
from sista.encoders.features import prepare_images
from sista.engine.restored import Restored, restore
from sista.heads import zero_shot as head
from sista.protocols._base import FAMILY_ZOOM, Settings
from sista.protocols.quick_v1 import quick_v1
from tests.adapted import adapted
from tests.blobs import blobs, encoder_file, told

PROMPTS = {
    "chexzero": [["{}"], ["no {}"]],
    "biovil": [["Findings suggesting {}."], ["No evidence of {}."]],
    "ensemble": [["{}", "Findings suggesting {}."], ["no {}", "No evidence of {}."]],
}


@pytest.fixture(scope="module")
def run(checkpoint):
    return restore(checkpoint)


@pytest.fixture(scope="module")
def exclusive(tmp_path_factory):
    """Discs whose two labels exclude each other."""
    return told(blobs(tmp_path_factory.mktemp("exclusive"), 36, multiclass=True))


@torch.no_grad()
def films(run, manifest):
    """Return unit vectors of films by id, worked out image by image."""
    frame, _ = tables.read(manifest, "manifest")
    images = np.load(manifest.with_suffix(".images.npy"))[frame["row"]]
    shown = prepare_images(images, run.model.image, 64, 73)
    vectors = [run.model.image_head(run.model.image(film[None]).pooled)[0] for film in shown]
    unit = [np.asarray(v, dtype=float) / np.linalg.norm(v) for v in vectors]
    return dict(zip(frame["image_id"], unit, strict=True))


def prompt(run, texts):
    """Return the unit vector of the mean of several texts."""
    vectors = np.asarray(run.embed_texts(texts), dtype=float)
    mean = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).mean(0)
    return mean / np.linalg.norm(mean)


@pytest.mark.parametrize("prompts", PROMPTS)
def test_scores_of_labels_that_may_hold_together(run, discs, checkpoint, tmp_path, prompts):
    changes = {"prompts": prompts, "temperature": 0.5}
    frame, meta, _ = adapted(discs, checkpoint, tmp_path / "p.parquet", "zero_shot", changes)
    vectors = films(run, discs)
    assert not meta["multiclass"]
    for label, part in frame.groupby("label"):
        yes, no = (prompt(run, [t.format(label) for t in side]) for side in PROMPTS[prompts])
        for image, score in zip(part["image_id"], part["score"], strict=True):
            cosines = np.array([vectors[image] @ yes, vectors[image] @ no]) / 0.5
            expected = np.exp(cosines[0]) / np.exp(cosines).sum()
            assert score == pytest.approx(expected, abs=1e-5)
    assert set(frame["label"]) == {"disc", "large"}


def test_scores_of_classes_that_exclude_each_other(run, exclusive, checkpoint, tmp_path):
    frame, meta, _ = adapted(exclusive, checkpoint, tmp_path / "p.parquet", "zero_shot")
    vectors = films(run, exclusive)
    assert meta["multiclass"]
    names = ["disc", "large"]
    yes = [prompt(run, [t.format(name) for t in PROMPTS["ensemble"][0]]) for name in names]
    for image, part in frame.groupby("image_id"):
        cosines = np.array([vectors[image] @ each for each in yes]) / 0.07
        expected = np.exp(cosines) / np.exp(cosines).sum()
        scores = part.set_index("label")["score"][names]
        np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_ranks_do_not_depend_on_the_temperature(discs, checkpoint, tmp_path):
    orders = []
    for temperature in (0.05, 0.07, 2.0):
        changes = {"temperature": temperature}
        out = tmp_path / str(temperature) / "p.parquet"
        frame, _, _ = adapted(discs, checkpoint, out, "zero_shot", changes)
        orders.append(frame.groupby("label")["score"].rank(method="min").tolist())
    assert orders[0] == orders[1] == orders[2]


def test_a_protocol_may_name_settings_of_a_head_that_is_not_trained(
    discs, checkpoint, tmp_path, monkeypatch
):
    plain, _, _ = adapted(discs, checkpoint, tmp_path / "a" / "p.parquet", "zero_shot")
    own = Settings(1.0, 0.0, 1, zoom=FAMILY_ZOOM, head={"zero_shot": {"temperature": 2.0}})
    monkeypatch.setitem(quick_v1.settings, "zero_shot", own)
    named, _, made = adapted(discs, checkpoint, tmp_path / "b" / "p.parquet", "zero_shot")
    options = {"prompts": "ensemble", "temperature": 2.0, "exclusive": False}
    assert made["resolved"] == {"0": {"zoom": FAMILY_ZOOM, "head": {"zero_shot": options}}}
    logits = [np.log(frame["score"] / (1 - frame["score"])) for frame in (plain, named)]
    np.testing.assert_allclose(0.07 * logits[0], 2.0 * logits[1], atol=1e-5)


@pytest.mark.parametrize("label", ["No Finding", "Normal"])
def test_a_normal_film_is_not_asked_for_by_a_double_negation(run, label, monkeypatch):
    asked = []
    embed = Restored.embed_texts

    def told_texts(self, texts):
        asked.extend(texts)
        return embed(self, texts)

    monkeypatch.setattr(Restored, "embed_texts", told_texts)
    head.zero_shot(run, [label, "Edema"], prompts="chexzero")
    normal = {"No acute cardiopulmonary process.", "Abnormal chest."}
    assert set(asked) == normal | {"edema", "no edema"}


@pytest.mark.parametrize("word", ["zero_shot", "retrieval", "grounding"])
def test_a_method_without_text_is_not_applicable_and_says_why(discs, tmp_path, word):
    encoder = encoder_file(tmp_path / "e.safetensors", "resnet_tiny", "tiny")
    frame, meta, made = adapted(discs, encoder, tmp_path / "out" / "p.parquet", word)
    reason = "method random_init has no report encoder"
    assert frame.empty
    assert meta["refused"] == [{"draw": 0, "fraction": 0, "reason": reason}]
    assert made["adapts"] == "untrained"
