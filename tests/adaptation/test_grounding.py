"""Maps of phrases in closed form; regions as the encoder sees them; films of other patients."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional

from sista import tables
from sista.adaptation import grounding
from sista.adaptation.grounding import Pointer
from sista.encoders.image import ImageEncoder, ImageFeatures, normalise
from sista.encoders.specs import encoder_spec
from sista.engine.films import Films
from sista.engine.restored import restore
from sista.engine.views import CROP
from sista.errors import UserError
from sista.heads.grounding import PHRASES
from sista.metrics.swaps import other_patients
from sista.preparation.frame import Frame
from sista.preparation.masks import from_json, to_json
from sista.scoring.evaluate import evaluate
from sista.tasks._arrays import unpack
from tests.adapted import adapted
from tests.blobs import blobs, told

# Channel c of the analytic model's map is gain * pixels + offset.
GAIN, OFFSET = torch.tensor([1.0, -0.5, 0.2]), torch.tensor([0.1, 2.0, -1.0])


class Analytic(nn.Module):
    """One map, linear in the mean grey level of each cell of 4 px; pooled by its mean."""

    family, size, mean, std, standardise = "resnet", 16, (0.0,) * 3, (1.0,) * 3, False

    def __init__(self):
        super().__init__()
        # Says where the model is.
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, images):
        cells = functional.avg_pool2d(images[:, :1], 4)
        maps = GAIN.view(1, 3, 1, 1) * cells + OFFSET.view(1, 3, 1, 1)
        return ImageFeatures(maps.mean((2, 3)), (maps,))

    def patch_map(self, stride):
        return {4: 0}[stride]


def test_the_map_of_a_phrase_is_grad_cam_in_closed_form():
    random = np.random.default_rng(0)
    films = random.integers(0, 256, (70, 18, 18)).astype(np.uint8)
    head, texts = nn.Linear(3, 5, bias=False), torch.tensor(random.normal(size=(2, 5))).float()
    nn.init.normal_(head.weight, generator=torch.Generator().manual_seed(0))
    asked = []

    def embed(phrases):
        asked.extend(phrases)
        return texts

    model = SimpleNamespace(image=Analytic(), image_head=head)
    pointer = Pointer(SimpleNamespace(model=model, embed_texts=embed), PHRASES, 4, 1)
    pairs = SimpleNamespace(frame=pd.DataFrame(index=range(70)), images=Films(films))
    found = pointer.phrase_maps(pairs, ["edema"])["edema"]
    assert asked == ["There is edema.", "Findings suggesting edema."]
    phrase = texts.double().mean(0).numpy()
    phrase /= np.linalg.norm(phrase)
    projection = head.weight.detach().double().numpy()
    grey = films[:, 1:17, 1:17].reshape(70, 4, 4, 4, 4).mean((2, 4)) / 255
    maps = GAIN.numpy()[:, None, None] * grey[:, None] + OFFSET.numpy()[:, None, None]
    for film, shown in zip(maps, found, strict=True):
        vector = projection @ film.mean((1, 2))
        unit = vector / np.linalg.norm(vector)
        # The derivative of the cosine, by the mean over 16 cells that every cell is a part of.
        slope = projection.T @ (phrase - (unit @ phrase) * unit) / np.linalg.norm(vector) / 16
        expected = np.maximum((slope[:, None, None] * film).sum(0), 0)
        np.testing.assert_allclose(shown, expected.ravel(), atol=1e-6, rtol=1e-3)
    assert (found > 0).any()


@torch.no_grad()
def test_the_map_of_a_vit_is_grad_cam_at_the_tokens_that_its_last_block_takes():
    """By differences of the cosine, in place of its derivative."""
    torch.manual_seed(0)
    image = ImageEncoder(encoder_spec("vit_tiny")).double().eval()
    head, phrase = nn.Linear(image.dim, 5).double(), functional.normalize(torch.randn(5), dim=0)
    films = np.random.default_rng(0).integers(0, 256, (2, 64, 64)).astype(np.uint8)
    model = SimpleNamespace(image=image, image_head=head)
    run = SimpleNamespace(model=model, embed_texts=lambda texts: phrase.double()[None])
    pairs = SimpleNamespace(frame=pd.DataFrame(index=range(2)), images=Films(films))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grounding, "normalise", lambda films, image: normalise(films, image).double())
        found = Pointer(run, PHRASES, 8, 1).phrase_maps(pairs, ["edema"])["edema"]
    seen = []
    hook = image.body.blocks[-1].register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    image(normalise(torch.from_numpy(films.astype(np.float32)), image).double())
    hook.remove()
    (tokens,) = seen

    def cosine(values):
        pooled = image.body.norm(image.body.blocks[-1](values)).mean(1)
        return functional.normalize(head(pooled), dim=1) @ phrase.double()

    # Only the mean of the slope over the cells counts: all cells are moved at once.
    step, channels = 1e-5, tokens.shape[2]
    moved = step * torch.eye(channels, dtype=torch.float64)[:, None, None]
    slopes = torch.stack([cosine(tokens + m) - cosine(tokens - m) for m in moved], 1) / (2 * step)
    expected = (slopes[:, None] / tokens.shape[1] * tokens).sum(2).relu()
    np.testing.assert_allclose(found, expected, atol=1e-8, rtol=1e-3)
    assert found.shape == (2, 64)
    assert (found > 0).any()


@pytest.fixture(scope="module")
def pointed(discs, checkpoint, tmp_path_factory):
    out = tmp_path_factory.mktemp("grounding") / "p.parquet"
    return adapted(discs, checkpoint, out, "grounding", {"swaps": 3})


def test_regions_lie_where_the_encoder_sees_them(pointed, discs):
    frame, meta, made = pointed
    manifest = tables.read(discs, "manifest")[0].set_index("image_id")
    assert set(frame["label"]) == {"effusion"}
    # As pre-training cut the films, whatever the protocol says.
    assert (meta["zoom"], made["image_size"]) == (1 / CROP, 64)
    for row in frame.to_dict("records"):
        film = manifest.loc[row["image_id"]].to_dict()
        seen = Frame.of(film, 96, 64, 73 / 64).network_mask(from_json(film["mask"]))
        for form, side in (("phrase", 8), ("words", 8)):
            share = unpack(row[f"{form}_region"])
            cells = seen.reshape(side, 64 // side, side, 64 // side).mean((1, 3)).ravel()
            assert np.abs(share - cells).max() < 0.2
            assert share.mean() == pytest.approx(cells.mean(), abs=0.01)
            assert unpack(row[form]).shape[-1] == side**2


def test_every_text_is_shown_films_of_other_patients(pointed, discs, checkpoint):
    frame, _, _ = pointed
    manifest, meta = tables.read(discs, "manifest")
    split, _ = tables.read(discs.with_suffix(".split.parquet"), "split")
    run = restore(checkpoint)
    for subset, part in frame.groupby("subset"):
        wanted = split[split["subset"] == subset]["image_id"]
        films = manifest[manifest["image_id"].isin(wanted)].reset_index(drop=True)
        images = np.load(discs.with_suffix(".images.npy"))[films["row"]]
        shown = torch.from_numpy(images).float()[:, None]
        small = functional.interpolate(shown, (73, 73), mode="bilinear", antialias=True)[:, 0]
        pairs = SimpleNamespace(
            frame=films, images=Films(small.round().clamp(0, 255).byte().numpy())
        )
        maps = Pointer(run, PHRASES, 8, 3).phrase_maps(pairs, ["effusion"])["effusion"]
        patients = films["patient_id"].to_numpy()
        others = other_patients(patients, 3)
        places = {image: n for n, image in enumerate(films["image_id"])}
        for row in part.to_dict("records"):
            place = places[row["image_id"]]
            assert (patients[others[:, place]] != patients[place]).all()
            np.testing.assert_array_equal(unpack(row["phrase"]).astype(np.float32), maps[place])
            expected = maps[others[:, place]]
            np.testing.assert_array_equal(unpack(row["phrase_other"]).astype(np.float32), expected)
    assert meta["labels"] == ["disc", "large"]


def _moved(folder, change):
    """Discs with other regions, and the images they name."""
    manifest = told(blobs(folder, 36))
    place = manifest.with_suffix(".regions.parquet")
    regions, _ = tables.read(place, "regions")
    tables.write(change(regions), place, "regions")
    return manifest


def test_a_region_outside_of_the_view_is_kept_but_not_scored(checkpoint, tmp_path):
    border = np.zeros((192, 192), np.uint8)
    # The crop begins at prepared pixel 5.3, native pixel 10.6.
    border[:, :10] = 1
    manifest = _moved(tmp_path, lambda regions: regions.assign(mask=to_json(border)))
    frame, _, _ = adapted(manifest, checkpoint, tmp_path / "out" / "p.parquet", "grounding")
    assert all(not unpack(text).any() for text in frame["phrase_region"])
    part = frame[frame["subset"] == "test"]
    rules = {"labels": [], "multiclass": False, "dataset": "blobs", "bootstrap": 0, "fraction": 0}
    found = {v.metric: v for v in evaluate("grounding", part, **rules) if v.label == "all"}
    assert found["hit_phrase"].n == 0
    assert np.isnan(found["hit_phrase"].value)


def test_a_subset_without_regions_gives_no_rows(checkpoint, tmp_path):
    names = [f"image{n}" for n in range(27, 36)]
    manifest = _moved(tmp_path, lambda regions: regions[regions["image_id"].isin(names)])
    frame, _, _ = adapted(manifest, checkpoint, tmp_path / "out" / "p.parquet", "grounding")
    assert set(frame["subset"]) == {"test"}


def test_data_without_any_region_are_refused(checkpoint, tmp_path):
    manifest = _moved(tmp_path, lambda regions: regions[:0])
    with pytest.raises(UserError, match="no true region of a finding on these films"):
        adapted(manifest, checkpoint, tmp_path / "out" / "p.parquet", "grounding")
    manifest.with_suffix(".regions.parquet").unlink()
    with pytest.raises(UserError, match=r"manifest.regions.parquet: no such file; run prepare"):
        adapted(manifest, checkpoint, tmp_path / "out" / "p.parquet", "grounding")


def test_a_subset_of_one_patient_has_no_other_film_and_no_rows(checkpoint, tmp_path):
    manifest = told(blobs(tmp_path, 36))
    frame, meta = tables.read(manifest, "manifest")
    frame.loc[18:26, "patient_id"] = "one"
    tables.write(frame, manifest, "manifest", meta)
    found, _, _ = adapted(manifest, checkpoint, tmp_path / "out" / "p.parquet", "grounding")
    assert set(found["subset"]) == {"test"}
