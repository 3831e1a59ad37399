"""ImageNet weights from a local file: timm's keys, all of them, and nothing else."""

import json

import pytest
import torch
from safetensors.torch import save_file

from sista.encoders.checkpoint import load_image_encoder, read_metadata
from sista.encoders.image import ImageEncoder
from sista.encoders.specs import encoder_spec
from sista.errors import UserError
from sista.files import read_json, sha256
from sista.importers._timm_weights import encoder_of_file
from sista.runs.record import read_record
from sista.stages import pretrain
from tests.made_up_corpus import corpus

WORDS = {"resnet_tiny": "fc", "vit_tiny_224": "head"}


def state(word):
    """Return random weights as timm gives them, with a classifier."""
    torch.manual_seed(7)
    body = ImageEncoder(encoder_spec(word)).body
    found = {
        key: torch.randn_like(v) if v.is_floating_point() else v + 5
        for key, v in body.state_dict().items()
    }
    classifier = {"weight": torch.ones(10, body.num_features), "bias": torch.ones(10)}
    return found, {f"{WORDS[word]}.{key}": value for key, value in classifier.items()}


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("ending", ["safetensors", "pth"])
def test_every_key_arrives_and_only_the_classifier_is_left_out(tmp_path, word, ending):
    own, classifier = state(word)
    path = tmp_path / f"imagenet_{word}.{ending}"
    (save_file if ending == "safetensors" else torch.save)(own | classifier, path)
    encoder, facts = encoder_of_file(
        str(tmp_path / f"imagenet_{{encoder}}.{ending}"), encoder_spec(word)
    )
    assert all(torch.equal(value, own[key]) for key, value in encoder.body.state_dict().items())
    assert facts["left_out"] == sorted(classifier)
    assert facts["sha256"] == sha256(path)
    assert not encoder.training


def test_half_precision_and_absent_counters_are_taken(tmp_path):
    own, _ = state("resnet_tiny")
    kept = {k: v.half() for k, v in own.items() if not k.endswith("num_batches_tracked")}
    assert len(kept) < len(own)
    save_file(kept, tmp_path / "w.safetensors")
    encoder, _ = encoder_of_file(str(tmp_path / "w.safetensors"), encoder_spec("resnet_tiny"))
    assert encoder.body.conv1[0].weight.dtype == torch.float32
    torch.testing.assert_close(encoder.body.conv1[0].weight, kept["conv1.0.weight"].float())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.pop("conv1.0.weight"), ["conv1.0.weight: missing", "1 keys"]),
        (lambda s: s.update({"extra.weight": torch.ones(1)}), ["extra.weight: not a key of it"]),
        (lambda s: s.update({"fc2.weight": torch.ones(1)}), ["fc2.weight: not a key of it"]),
        (
            lambda s: s.update({"bn1.bias": torch.ones(3)}),
            ["bn1.bias: (3,), needed (32,)", "sista import"],
        ),
        (lambda s: s["bn1.bias"].fill_(float("nan")), ["bn1.bias: holds NaN"]),
    ],
)
def test_a_file_that_is_not_this_encoder_is_refused(tmp_path, change, words):
    own, _ = state("resnet_tiny")
    change(own)
    path = tmp_path / "w.safetensors"
    save_file(own, path)
    with pytest.raises(UserError) as error:
        encoder_of_file(str(path), encoder_spec("resnet_tiny"))
    for word in [str(path), "resnet10t", *words]:
        assert word in str(error.value)


class Runs:
    def __reduce__(self):
        return exec, ("raise SystemExit('ran')",)


def test_code_in_a_file_is_not_run(tmp_path):
    torch.save({"state_dict": Runs()}, tmp_path / "w.pth")
    with pytest.raises(UserError, match=r"no dictionary of tensors .*builtins\.exec"):
        encoder_of_file(str(tmp_path / "w.pth"), encoder_spec("resnet_tiny"))


def made(folder, weights, word="resnet_tiny"):
    manifest, split = corpus(folder)
    out = folder / "run" / "encoder.safetensors"
    pretrain.main(
        method="imagenet",
        encoder=word,
        corpus="made",
        manifest=manifest,
        split=split,
        out=out,
        budget="tiny",
        settings=json.dumps({"weights": weights}),
    )
    return out


def test_the_control_is_made_from_the_file_and_says_so(tmp_path):
    own, classifier = state("resnet_tiny")
    path = tmp_path / "imagenet_resnet_tiny.safetensors"
    save_file(own | classifier, path)
    out = made(tmp_path, str(tmp_path / "imagenet_{encoder}.safetensors"))
    encoder, _ = load_image_encoder(out)
    assert torch.equal(encoder.body.conv1[0].weight, own["conv1.0.weight"])
    assert read_metadata(out)["weights"]["sha256"] == sha256(path)
    assert read_json(out.with_name("run.json"))["facts"]["weights"]["left_out"] == sorted(
        classifier
    )
    inputs = read_record(out.with_name("run.json")).inputs
    assert inputs["../imagenet_resnet_tiny.safetensors"].sha256 == sha256(path)


def test_a_missing_file_says_what_to_put_there(tmp_path):
    with pytest.raises(UserError, match=r"imagenet_resnet50\.pth: no such file; .*a1_in1k"):
        made(tmp_path, str(tmp_path / "imagenet_{encoder}.pth"), "resnet50")
