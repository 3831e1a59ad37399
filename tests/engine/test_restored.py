"""A checkpoint is put together from itself: no name in it is looked up, no network asked."""

import json
import shutil
import socket
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertModel, BertTokenizerFast

from sista.encoders import specs
from sista.encoders.checkpoint import load_image_encoder, read_metadata
from sista.encoders.text import load_pretrained
from sista.engine.restored import restore
from sista.errors import UserError
from sista.stages import pretrain
from tests.made_up_corpus import corpus

WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] there is left right effusion number many . no edema"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return an encoder that was trained with a transformers folder which is gone since."""
    folder = tmp_path_factory.mktemp("trained")
    text = folder / "text"
    form = {"num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 128}
    config = BertConfig(vocab_size=len(WORDS.split()), hidden_size=16, intermediate_size=16, **form)
    torch.manual_seed(5)
    BertModel(config).save_pretrained(text)
    (text / "vocab.txt").write_text("\n".join(WORDS.split()))
    BertTokenizerFast(str(text / "vocab.txt")).save_pretrained(text)
    spec = replace(specs.ENCODERS["resnet_tiny"], text=str(text))
    manifest, split = corpus(folder)
    out = folder / "encoder.safetensors"
    asked = {"method": "clip", "encoder": "resnet_tiny", "corpus": "made", "budget": "tiny"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(specs.ENCODERS, "resnet_tiny", spec)
        pretrain.main(manifest=manifest, split=split, out=out, **asked)
    shutil.move(text, folder / "kept")
    return out


@pytest.fixture
def _no_network(monkeypatch):
    def refused(*_, **__):
        raise AssertionError("asks the network")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)


def changed(trained, out, **metadata):
    """Write the checkpoint with other metadata."""
    text = json.dumps(read_metadata(trained) | metadata)
    save_file(load_file(trained), out, metadata={"sista": text})
    return out


@pytest.mark.usefixtures("_no_network")
def test_a_report_encoder_is_made_from_the_checkpoint_alone(trained):
    run = restore(trained)
    stored = load_file(trained)
    own = run.model.text.state_dict()
    assert own
    assert all(torch.equal(value, stored[f"text.{key}"]) for key, value in own.items())
    assert run.model.text.pool == "cls"
    # As it was trained: the same architecture, with the same way of attention.
    first, _ = load_pretrained(str(trained.parent / "kept"))
    assert type(run.model.text.body) is type(first.body)
    implementation = [e.body.config._attn_implementation for e in (run.model.text, first)]
    assert implementation[0] == implementation[1]
    first.load_state_dict(own)
    ids, length = torch.arange(12).view(2, 6), torch.tensor([6, 4])
    with torch.no_grad():
        assert torch.equal(run.model.text(ids, length).pooled, first.eval()(ids, length).pooled)


@pytest.mark.usefixtures("_no_network")
@pytest.mark.parametrize(
    "change",
    [
        {"model_type": "timm_wrapper", "architecture": "hf-hub:some/model"},
        {"auto_map": {"AutoModel": "some/repo--modeling.Evil"}, "model_type": "evil"},
        {"num_hidden_layers": 10**9},
        {"vocab_size": 10**12},
        {"hidden_size": "many"},
        {"model_type": None},
    ],
)
def test_another_architecture_than_that_of_the_weights_is_refused(trained, tmp_path, change):
    described = read_metadata(trained)["text_encoder"]
    odd = {**described, "config": {**described["config"], **change}}
    path = changed(trained, tmp_path / "odd.safetensors", text_encoder=odd)
    with pytest.raises(UserError, match="its report encoder cannot be built"):
        restore(path)


@pytest.mark.usefixtures("_no_network")
def test_a_name_alone_is_not_looked_up(trained, tmp_path):
    spec = read_metadata(trained)["image_encoder"] | {"text": "some/model"}
    path = changed(trained, tmp_path / "a.safetensors", text_encoder=None, image_encoder=spec)
    with pytest.raises(UserError, match="pre-train again"):
        restore(path)


@pytest.mark.usefixtures("_no_network")
@pytest.mark.parametrize(
    "change",
    [
        {"timm_name": "hf-hub:some/model"},
        {"timm_name": "local-dir:/tmp"},
        {"timm_name": 3},
        {"arguments": {"checkpoint_path": "/tmp/file.pth"}},
        {"arguments": {"pretrained": True}},
        {"arguments": {"pretrained_cfg": {"url": "http://example.org/w.pth"}}},
        {"arguments": {"channels": [10**9] * 4}},
        {"family": "other"},
        {"size": 10**12},
        {"unknown": 1},
    ],
)
def test_an_image_encoder_that_names_something_else_is_refused(trained, tmp_path, change):
    spec = read_metadata(trained)["image_encoder"] | change
    path = changed(trained, tmp_path / "odd.safetensors", image_encoder=spec)
    with pytest.raises(
        UserError, match=r"odd\.safetensors: (its image encoder|weights do not fit)"
    ):
        load_image_encoder(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("method", "no_such"),
        ("method", "../os"),
        ("settings", {"no_such": 1}),
        ("settings", {"temperature": "x"}),
        ("settings", {"temperature": float("nan")}),
        ("settings", {"temperature": -1.0}),
        ("budget", "no_such"),
    ],
)
def test_what_a_checkpoint_says_of_its_method_is_checked_and_named(trained, tmp_path, name, value):
    file = changed(trained, tmp_path / "a.safetensors", **{name: value})
    with pytest.raises(
        UserError, match=r"a\.safetensors: .*(unknown|setting|expected|must be|should match)"
    ):
        restore(file)


@pytest.mark.parametrize("name", ["evil.more", "more"])
def test_weights_of_an_unknown_module_are_refused(trained, tmp_path, name):
    file = changed(trained, tmp_path / "a.safetensors")
    state = load_file(file) | {name: torch.zeros(2)}
    save_file(state, file, {"sista": json.dumps(dict(read_metadata(file)))})
    with pytest.raises(UserError, match=r"a\.safetensors: weights of unknown modules"):
        restore(file)


def test_finite_weights_whose_vectors_are_not_are_named(trained, tmp_path):
    file = changed(trained, tmp_path / "a.safetensors")
    state = load_file(file)
    # Else an integer, the counter of a norm.
    head = {k: v for k, v in state.items() if k.startswith("text_head.") and v.is_floating_point()}
    huge = {k: torch.full_like(v, 3e38) for k, v in head.items()}
    save_file(state | huge, file, {"sista": json.dumps(dict(read_metadata(file)))})
    with pytest.raises(UserError, match=r"a\.safetensors: its weights give no finite vectors"):
        restore(file).embed_texts(["effusion"])


def test_weights_of_another_type_are_refused(trained, tmp_path):
    file = changed(trained, tmp_path / "a.safetensors")
    state = {key: value.to(torch.uint8) for key, value in load_file(file).items()}
    save_file(state, file, {"sista": json.dumps(dict(read_metadata(file)))})
    with pytest.raises(UserError, match="holds no finite numbers of 32 bits"):
        load_image_encoder(file)
