"""The frozen encoder as a backbone: found by both registries, never trained, fed either way."""

import torch

from sista.encoders.features import FeatureStore
from sista.encoders.image import ImageEncoder
from sista.encoders.specs import encoder_spec
from sista.openmmlab.backbone import FrozenEncoder, SimplePyramid, feature_shape
from sista.openmmlab.loading import load_mmdet, load_mmseg


def test_registered_once_for_both():
    load_mmseg()
    load_mmdet()
    from mmdet.registry import MODELS as MMDET
    from mmseg.registry import MODELS as MMSEG

    for registry in (MMDET, MMSEG):
        assert isinstance(registry.build({"type": "FrozenEncoder"}), FrozenEncoder)


def test_encoder_is_no_part_of_the_head():
    backbone = FrozenEncoder(pyramid=8)
    backbone.attach(ImageEncoder(encoder_spec("resnet_tiny")).eval(), (3,))
    backbone.train()
    assert not backbone._encoder[0].training
    assert all(name.startswith("pyramid.") for name in backbone.state_dict())


def test_images_and_cached_maps_give_the_same(tmp_path):
    torch.manual_seed(0)
    encoder = ImageEncoder(encoder_spec("resnet_tiny")).eval()
    pixels = torch.randint(0, 255, (3, 128, 128), dtype=torch.uint8).numpy()
    options = {"levels": (1, 3), "size": 96, "folder": tmp_path}
    kept = FeatureStore(encoder, pixels, [2, 0], **options)
    on_disk = FeatureStore(encoder, pixels, [2, 0], **options, memory_bytes=0)
    anew = FeatureStore(encoder, pixels, [2, 0], **options, memory_bytes=0, disk_bytes=0)
    backbone = FrozenEncoder()
    backbone.attach(encoder, (1, 3))
    assert isinstance(anew.inputs([1]), torch.Tensor)
    assert (tmp_path / "map1.npy").is_file()
    maps = [backbone(store.inputs([1])) for store in (kept, on_disk, anew)]
    for left, middle, right in zip(*maps, strict=True):
        assert torch.equal(left, middle)
        torch.testing.assert_close(left, right, atol=1e-3, rtol=1e-3)
    assert [tuple(each.shape[1:]) for each in maps[0]] == [(64, 12, 12), (256, 3, 3)]


def test_pyramid_has_the_shape_it_states():
    encoder = ImageEncoder(encoder_spec("vit_tiny")).eval()
    size = encoder.size
    shape = feature_shape(encoder, (0,), size).pyramid()
    maps = SimplePyramid(encoder.dim)(encoder(torch.randn(2, 3, size, size)).maps[0])
    assert [each.shape[1] for each in maps] == list(shape.channels)
    assert [size // each.shape[-1] for each in maps] == list(shape.strides)
