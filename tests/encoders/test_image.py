import numpy as np
import pytest
import torch

from sista.encoders.checkpoint import load_image_encoder, read_metadata, save_checkpoint
from sista.encoders.features import prepare_images
from sista.encoders.image import ImageEncoder, normalise
from sista.encoders.specs import ENCODERS, EncoderSpec, encoder_spec
from sista.errors import UserError
from sista.grid.grid import Grid


@pytest.mark.parametrize("word", ["resnet_tiny", "vit_tiny"])
def test_features_have_the_stated_shapes(word):
    encoder = ImageEncoder(encoder_spec(word)).eval()
    features = encoder(torch.zeros(2, 3, encoder.size, encoder.size))
    assert features.pooled.shape == (2, encoder.dim)
    assert tuple(m.shape[1] for m in features.maps) == encoder.map_channels
    assert tuple(encoder.size // m.shape[-1] for m in features.maps) == encoder.map_strides


def test_cls_attention_is_that_of_the_last_block():
    arguments = {"patch_size": 8, "depth": 2, "embed_dim": 16, "num_heads": 2, "qk_norm": True}
    spec = EncoderSpec("v", "vit", "vit_tiny_patch16_224", 32, arguments)
    encoder = ImageEncoder(spec).eval()
    images = torch.randn(2, 3, 32, 32)
    last, seen = encoder.body.blocks[-1].attn, []
    last.fused_attn = False
    hook = last.attn_drop.register_forward_hook(lambda *a: seen.append(a[2]))
    encoder(images)
    hook.remove()
    found = encoder(images, attention=True)
    torch.testing.assert_close(found.attention, seen[0][:, :, 0, 1:].mean(1))
    assert not found.attention.requires_grad
    assert found.pooled.requires_grad
    assert encoder(images).attention is None
    without = ImageEncoder(encoder_spec("vit_tiny"))
    assert without(torch.zeros(1, 3, 64, 64), attention=True).attention is None


@pytest.mark.parametrize("word", ["resnet_tiny", "vit_tiny"])
def test_a_checkpoint_gives_the_same_features(word, tmp_path):
    encoder = ImageEncoder(encoder_spec(word)).eval()
    path = tmp_path / "encoder.safetensors"
    facts = {"image_encoder": encoder.description(), "word": word}
    save_checkpoint(path, {"image": encoder}, facts)
    first = path.read_bytes()
    loaded, metadata = load_image_encoder(path)
    images = torch.randn(2, 3, encoder.size, encoder.size)
    assert torch.equal(encoder(images).pooled, loaded(images).pooled)
    assert metadata["word"] == read_metadata(path)["word"] == word
    assert not loaded.training
    save_checkpoint(path, {"image": encoder}, facts)
    assert path.read_bytes() == first, "equal runs give equal files"


def test_the_map_of_a_vit_keeps_the_places_of_its_patches():
    """Only the token of the changed patch may change, before attention mixes them."""
    encoder = ImageEncoder(encoder_spec("vit_tiny")).eval()
    encoder.body.blocks = torch.nn.Identity()
    images = torch.zeros(1, 3, 64, 64)
    changed = images.clone()
    changed[:, :, 39:42, 7:10] = 3.0
    difference = (encoder(images).maps[0] - encoder(changed).maps[0]).abs().sum(1)[0]
    assert np.unravel_index(int(difference.argmax()), difference.shape) == (5, 1)


def test_normalise_maps_grey_to_the_encoders_range():
    spec = EncoderSpec("r", "resnet", "resnet10t", 32, {"channels": (8, 8, 8, 8), "stem_width": 8})
    encoder = ImageEncoder(spec)
    out = normalise(torch.tensor([[[0, 255]]], dtype=torch.uint8), encoder)
    torch.testing.assert_close(out[0, :, 0], torch.tensor([[-1.0, 1.0]] * 3))


def test_exposure_does_not_reach_an_encoder_that_standardises():
    encoder = ImageEncoder(encoder_spec("vit_tiny"))
    images = torch.randint(40, 200, (2, 64, 64)).float()
    out = normalise(images, encoder)
    torch.testing.assert_close(normalise(0.5 * images + 30.0, encoder), out)
    torch.testing.assert_close(out.mean((2, 3)), torch.zeros(2, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.std((2, 3)), torch.ones(2, 3))
    assert not normalise(torch.full((1, 64, 64), 90.0), encoder).any()
    stored = images.to(torch.uint8)
    torch.testing.assert_close(prepare_images(stored.numpy(), encoder, 64), out)


@pytest.mark.parametrize(("word", "branches"), [("resnet_tiny", 4), ("vit_tiny", 4)])
def test_residual_branches_of_small_encoders_start_awake(word, branches):
    torch.manual_seed(0)
    encoder = ImageEncoder(encoder_spec(word)).train()
    last = {"resnet_tiny": ("bn2",), "vit_tiny": ("attn.proj", "mlp.fc2")}[word]
    spread = []
    for name, module in encoder.body.named_modules():
        if name.endswith(last):
            module.register_forward_hook(
                lambda _, __, out: spread.append(float(out.detach().std()))
            )
    encoder(torch.randn(8, 3, 64, 64))
    assert len(spread) == branches
    assert min(spread) > 0.1


def test_foreign_files_are_refused(tmp_path):
    path = tmp_path / "encoder.safetensors"
    path.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(UserError, match="damaged, or of another format"):
        load_image_encoder(path)
    with pytest.raises(UserError, match="no such file"):
        read_metadata(tmp_path / "missing.safetensors")


@pytest.mark.parametrize(
    ("name", "family", "size", "dim"),
    [
        ("resnet18", "resnet", 224, 512),
        ("convnext_atto", "resnet", 224, 320),
        ("swin_tiny_patch4_window7_224", "resnet", 224, 768),
        ("vit_tiny_patch16_224", "vit", 224, 192),
        ("mobilenetv3_small_050.lamb_in1k", "resnet", 224, 288),
    ],
)
def test_any_model_of_timm_is_an_encoder(name, family, size, dim, tmp_path):
    """Family, strides and input are timm's; nothing is downloaded."""
    spec = encoder_spec(name)
    assert (spec.word, spec.family, spec.size) == (name, family, size)
    assert spec.initial_weights == name.partition(".")[2]
    encoder = ImageEncoder(spec).eval()
    assert encoder.dim == dim
    assert encoder.map_strides == ((4, 8, 16, 32) if family == "resnet" else (16,))
    grey = torch.rand(2, size, size) * 255
    with torch.no_grad():
        images = normalise(grey, encoder)
        features = encoder(images)
        assert features.pooled.shape == (2, dim)
        for found, channels, stride in zip(
            features.maps, encoder.map_channels, encoder.map_strides, strict=True
        ):
            assert found.shape == (2, channels, size // stride, size // stride)
        path = tmp_path / "encoder.safetensors"
        facts = {"image_encoder": encoder.description(), "word": name}
        save_checkpoint(path, {"image": encoder}, facts)
        loaded, _ = load_image_encoder(path)
        assert torch.equal(loaded(images).pooled, features.pooled)


def test_models_of_timm_that_do_not_fit_are_refused_before_any_job(tmp_path):
    grid = (
        "corpus: mimic_cxr@phantom\nencoders: [{}]\nvariants: [clip]\nbudget: tiny\n"
        "adapt: [{{protocol: quick_v1, dataset: chexpert@phantom, task: classification}}]\n"
    )
    for word, reason in (
        ("xcit_nano_12_p16_224", "neither a plain ViT nor a pyramid"),
        ("resnet18.nothing", "no such weights; valid: resnet18.a1_in1k"),
        ("resnet51", "and names of timm's models"),
    ):
        (tmp_path / "g.yaml").write_text(grid.format(word))
        with pytest.raises(UserError, match=reason):
            Grid.load(tmp_path / "g.yaml")
    (tmp_path / "g.yaml").write_text(grid.format("convnext_atto"))
    (run,) = Grid.load(tmp_path / "g.yaml").adapt_runs()
    assert run.head == "linear"
    assert "/convnext_atto/" in run.predictions


def test_unknown_words_are_answered_with_the_valid_ones():
    with pytest.raises(UserError, match="valid: efficientnet_lite0, resnet50"):
        encoder_spec("resnet51")
    assert all(word == spec.word for word, spec in ENCODERS.items())
