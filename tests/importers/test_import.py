"""The verb `import`, and imported encoders as rows of a grid and in `adapt`."""

import json
from dataclasses import replace

import pytest
import torch

from sista import __main__, registry
from sista.encoders.checkpoint import load_image_encoder, load_state, read_metadata
from sista.errors import UserError
from sista.files import read_json, sha256
from sista.grid import plan
from sista.grid.grid import Grid
from sista.importers import _import as importing
from sista.importers.mgca import mgca
from sista.stages import adapt, pretrain
from tests.blobs import blobs
from tests.importers import made_up
from tests.made_up_corpus import corpus


@pytest.fixture
def small(monkeypatch, tmp_path):
    """A file of a made-up small release; its card expects that size."""

    def make(name, change=None):
        release = made_up.RELEASES[name]()
        monkeypatch.setattr(registry, "find", lambda *_: release.card)
        tensors = change(dict(release.tensors)) if change else release.tensors
        path = tmp_path / f"{release.card.word}.ckpt"
        torch.save({"state_dict": tensors}, path)
        return release, path

    return make


def run(word, path, out, **options):
    importing.main(word, path, out=out, **options)
    return out


def test_a_file_becomes_an_encoder_with_its_provenance(small, tmp_path, capsys):
    release, path = small("medclip")
    out = run("medclip", path, tmp_path / "weights" / "medclip.safetensors")
    encoder, metadata = load_image_encoder(out)
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        pooled, _ = release.reference(images)
        torch.testing.assert_close(encoder(images).pooled, pooled, rtol=1e-5, atol=1e-5)
    assert encoder.mean == (0.5862785803043838,) * 3
    assert metadata["method"] == metadata["budget"] == "released"
    assert metadata["variant"] == "medclip"
    assert metadata["released"]["sha256"] == sha256(path)
    assert metadata["released"]["licence"] == "MIT"
    account = read_json(tmp_path / "weights" / "medclip.safetensors.import.json")
    assert account["complete"]
    assert account["renamed"]["vision_model.model.conv1.weight"] == "conv1.weight"
    assert account["left_out"] == ["vision_model.model.fc.bias", "vision_model.model.fc.weight"]
    told = capsys.readouterr().out
    assert "medclip, layout resnet50" in told
    assert "missing: 0" in told
    assert "differs: the download is a zip" in told


def test_the_same_file_gives_the_same_bytes(small, tmp_path):
    _, path = small("rad_dino")
    first = run("rad_dino", path, tmp_path / "a.safetensors")
    assert sha256(first) == sha256(run("rad_dino", path, tmp_path / "b.safetensors"))


def test_channels_and_size_survive_the_checkpoint(small, tmp_path):
    _, path = small("clip 16")
    out = run("clip", path, tmp_path / "clip.safetensors", size=64)
    encoder, _ = load_image_encoder(out)
    assert encoder.mean == (0.48145466, 0.4578275, 0.40821073)
    assert encoder.size == 64
    assert load_state(out, "image")["body.pos_embed"].shape == (1, 17, 48)


def test_an_incomplete_encoder_is_not_written_but_accounted_for(small, tmp_path):
    def change(tensors):
        del tensors["img_encoder.model.layer2.0.conv2.weight"]
        return tensors | {"img_encoder.model.layer3.5.bn1.bias": torch.zeros(1), "x": torch.ones(1)}

    _, path = small("convirt", change)
    out = tmp_path / "convirt.safetensors"
    with pytest.raises(
        UserError, match=r"nothing written but .*convirt\.safetensors\.import\.json"
    ):
        run("convirt", path, out)
    assert not out.exists()
    account = read_json(out.with_name("convirt.safetensors.import.json"))
    assert account["missing"] == ["layer2.0.conv2.weight"]
    assert account["surplus"] == ["layer3.5.bn1.bias"]
    assert account["unexpected"] == ["x"]


def test_another_release_is_refused_with_the_file_named(small, tmp_path, monkeypatch):
    _, path = small("mrm")
    monkeypatch.setattr(registry, "find", lambda *_: mgca)
    with pytest.raises(UserError, match=rf"{path}: not a file of mgca"):
        run("mgca", path, tmp_path / "out.safetensors")


def test_the_command_line(tmp_path, capsys):
    path = tmp_path / "page.pth"
    path.write_text("<html>")
    out = tmp_path / "o.safetensors"
    assert __main__.main(["import", "mgca", str(path), "--out", str(out)]) == 1
    assert "a web page, not weights" in capsys.readouterr().err
    assert __main__.main(["import", "mga", str(path), "--out", str(out)]) == 1
    assert "unknown importer 'mga'; valid: biomedclip" in capsys.readouterr().err


def pretrained(tmp_path, weights, encoder="resnet50"):
    out = tmp_path / "run" / "encoder.safetensors"
    manifest, split = corpus(tmp_path)
    pretrain.main(
        method="released",
        encoder=encoder,
        corpus="made",
        manifest=manifest,
        split=split,
        out=out,
        budget="tiny",
        variant="theirs",
        settings=json.dumps({"weights": str(weights)}),
    )
    return out


def test_an_imported_encoder_is_a_row_of_a_grid(small, tmp_path, monkeypatch):
    _, path = small("biovil")
    made = run("biovil", path, tmp_path / "biovil_resnet50.safetensors")
    monkeypatch.undo()
    out = pretrained(tmp_path, tmp_path / "biovil_{encoder}.safetensors")
    first, second = load_state(made, "image"), load_state(out, "image")
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    metadata = read_metadata(out)
    assert metadata["variant"] == "theirs"
    assert metadata["word"] == "resnet50"
    assert metadata["budget"] == "tiny"
    assert metadata["image_encoder"]["mean"] == 0.0
    assert metadata["released"]["word"] == "biovil"
    assert metadata["released"]["encoder_sha256"] == sha256(made)
    assert read_json(out.with_name("run.json"))["facts"]["released"]["sha256"] == sha256(path)


def test_a_row_without_its_file_says_how_to_make_it(small, tmp_path, monkeypatch):
    with pytest.raises(
        UserError, match=r"absent\.safetensors: no such file; make it with `sista im"
    ):
        pretrained(tmp_path, tmp_path / "absent.safetensors")
    _, path = small("mgca vit")
    made = run("mgca", path, tmp_path / "mgca.safetensors")
    monkeypatch.undo()
    with pytest.raises(UserError, match=r"is a vit_base, the grid asks for resnet50"):
        pretrained(tmp_path, made)
    own = pretrained(tmp_path, made, "vit_base")
    assert read_metadata(own)["released"]["layout"] == "vit_base"


def test_weights_of_our_own_training_are_no_release(small, tmp_path, monkeypatch):
    _, path = small("torchvision")
    made = run("torchvision", path, tmp_path / "a.safetensors")
    monkeypatch.undo()
    from sista.encoders.checkpoint import save_checkpoint

    encoder, metadata = load_image_encoder(made)
    other = tmp_path / "own.safetensors"
    facts = {k: v for k, v in metadata.items() if k not in ("released", "settings_hash")}
    facts |= {"method": "clip"}
    save_checkpoint(other, {"image": encoder}, facts)
    with pytest.raises(UserError, match="not made by `sista import`, but by method clip"):
        pretrained(tmp_path, other)


@pytest.mark.parametrize(
    ("name", "head", "size"),
    [
        ("medklip", "linear", None),
        pytest.param("medklip", "unet", None, marks=pytest.mark.slow),
        ("medklip", "yolov3", None),
        ("chexzero", "linear", 64),
        ("rad_dino", "setr_pup", 56),
        ("rad_dino", "yolov3", 56),
    ],
)
def test_heads_are_trained_on_imported_encoders(small, tmp_path, monkeypatch, name, head, size):
    release, path = small(name)
    encoder = run(release.card.word, path, tmp_path / "encoder.safetensors", size=size)
    monkeypatch.undo()
    manifest = blobs(tmp_path, 24)
    out = tmp_path / "adapt" / "predictions.parquet"
    adapt.adapt(
        protocol="quick_v1",
        dataset="blobs@test",
        head=head,
        manifest=manifest,
        split=manifest.with_suffix(".split.parquet"),
        encoder=encoder,
        out=out,
        draws=[0],
        fractions=[100],
        budget="released",
        settings='{"iterations": 2}',
    )
    made = read_json(out.with_name("run.json"))["run"]
    assert made["variant"] == release.card.word
    assert made["encoder"] == load_image_encoder(encoder)[0].word
    assert made["corpus"] == release.card.corpus


GRID = """
budget: tiny
corpus: mimic_cxr@phantom
encoders: [resnet50]
variants:
  random_init:
  mgca_released: {method: released, weights: "weights/mgca_{encoder}.safetensors"}
adapt:
  - {protocol: mgca_v1, dataset: rsna_pneumonia@phantom, task: classification}
"""


def test_a_grid_plans_without_the_file_and_depends_on_it_once_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "grid.yaml").write_text(GRID)
    grid = Grid.load(tmp_path / "grid.yaml")
    settings = grid.settings_of("mgca_released")[1]
    assert plan.weights(settings, "resnet50") == []
    file = tmp_path / "weights" / "mgca_resnet50.safetensors"
    file.parent.mkdir()
    file.touch()
    assert plan.weights(settings, "resnet50") == ["weights/mgca_resnet50.safetensors"]
    assert plan.weights(grid.settings_of("random_init")[1], "resnet50") == []
    other = replace(next(grid.pretrain_runs()), settings={"weights": "b"}, method="released")
    assert other.settings_hash != replace(other, settings={"weights": "c"}).settings_hash


def test_a_released_row_needs_its_path(tmp_path):
    (tmp_path / "grid.yaml").write_text(
        GRID.replace(', weights: "weights/mgca_{encoder}.safetensors"', "")
    )
    with pytest.raises(
        UserError, match="variant mgca_released: released needs the setting 'weights'"
    ):
        Grid.load(tmp_path / "grid.yaml")
