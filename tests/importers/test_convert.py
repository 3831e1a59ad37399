"""Every release: its keys become an encoder that gives the original architecture's features."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from sista import registry
from sista.errors import UserError
from sista.importers._convert import convert, recognise
from tests.importers import made_up

WORDS = registry.names("importers")


def images(layout, count=2):
    size = layout.spec.size
    grey = torch.rand(count, 1, size, size, generator=torch.Generator().manual_seed(5))
    return (grey * 2 - 1).expand(-1, 3, -1, -1)


@torch.no_grad()
def check_same_features(release, tolerance=1e-5):
    layout = recognise(release.card, release.tensors)
    encoder, report = convert(release.tensors, release.card, layout)
    assert report.complete, report.summary()
    assert report.unexpected == []
    inputs = images(layout)
    features = encoder(inputs)
    pooled, grid = release.reference(inputs)
    scale = max(1.0, float(grid.abs().max()))
    assert float(pooled.std()) > 1e-3
    torch.testing.assert_close(features.pooled, pooled, rtol=tolerance, atol=tolerance * scale)
    torch.testing.assert_close(features.maps[-1], grid, rtol=tolerance, atol=tolerance * scale)
    return report


@pytest.mark.parametrize("name", made_up.RELEASES)
def test_an_import_gives_the_features_of_the_original(name):
    release = made_up.RELEASES[name]()
    report = check_same_features(release)
    told = [
        *report.renamed,
        *report.left_out,
        *(k for keys in report.joined.values() for k in keys),
    ]
    assert sorted(told) == sorted(release.tensors)


def test_a_vit_with_joined_projections_keeps_their_order():
    report = check_same_features(made_up.RELEASES["rad_dino"]())
    joined = report.joined["blocks.0.attn.qkv.weight"]
    assert [key.split(".")[-2] for key in joined] == ["query", "key", "value"]


def test_resnet50_at_its_real_size():
    release = made_up.of_resnet("mgca", "resnet50", "img_encoder_q.model.", small=False)
    report = check_same_features(release)
    assert len(report.renamed) == 318
    assert len(report.left_out) == 2


@pytest.mark.slow
def test_vit_base_at_its_real_size():
    release = made_up.of_timm_vit("mgca", "vit_base", "img_encoder_q.model.", small=False)
    report = check_same_features(release)
    assert len(report.renamed) == 150


def test_every_card_has_a_made_up_release():
    tested = {name.split()[0] for name in made_up.RELEASES}
    assert tested == set(WORDS)


@pytest.mark.parametrize("word", WORDS)
def test_a_card_says_where_its_facts_are_from(word):
    card = registry.find("importers", word)
    assert card.word == word
    assert card.title
    assert card.licence
    assert card.sources
    for source in card.sources:
        assert source.repository.count("/") == 1
        assert len(source.commit) == 40 or source.commit.startswith("release ")
    for layout in card.layouts:
        assert layout.refusal or layout.spec.word in ("resnet50", "vit_base")


# Keys of the other parts of each model, as its source names them.
OTHERS = {
    "mgca resnet": (
        "img_encoder_q.global_embed.head.0.weight",
        "img_encoder_q.local_embed.head.1.running_mean",
        "text_encoder_q.model.embeddings.word_embeddings.weight",
        "patch_local_atten_layer.in_proj_weight",
        "prototype_layer.weight",
    ),
    "gloria": (
        "gloria.img_encoder.global_embedder.weight",
        "gloria.img_encoder.local_embedder.weight",
        "gloria.text_encoder.model.pooler.dense.weight",
    ),
    "convirt": ("img_encoder.global_embed.head.0.weight", "text_encoder.model.x.weight"),
    "medklip": ("res_l1.weight", "decoder.layers.0.norm1.weight", "cl_fc.bias"),
    "medclip": ("vision_model.model.fc.weight", "text_model.projection_head.weight", "logit_scale"),
    "mflag total": ("proj_v.0.weight", "proj_t.4.running_var", "lm_model.embeddings.x.weight"),
    "mrm": ("decoder_pos_embed", "decoder_blocks.0.attn.qkv.weight", "mask_token", "bert_mlp.bias"),
    "prior": (
        "image_encoder.atten_pool.k_proj.weight",
        "prototype_queries",
        "local_logit_scale",
        "global_image_projection.weight",
        "sentence_bank.embed",
    ),
    "biovil": (
        "projector.model.0.weight",
        "encoder.backbone_to_vit.weight",
        "encoder.vit_pooler.blocks.0.norm1.weight",
        "encoder.missing_previous_emb",
    ),
    "biomedclip": ("visual.head.proj.weight", "text.transformer.x.weight", "logit_scale"),
    "clip 16": ("transformer.resblocks.0.ln_1.weight", "input_resolution"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_parts_are_left_out_and_strangers_named(name):
    release = made_up.RELEASES[name]()
    tensors = {**release.tensors, **dict.fromkeys(OTHERS[name], torch.zeros(1))}
    tensors["a.stranger"] = torch.zeros(1)
    _, report = convert(tensors, release.card, release.layout)
    assert report.complete
    assert set(OTHERS[name]) <= set(report.left_out)
    assert report.unexpected == ["a.stranger"]
    assert "unexpected: 1: a.stranger" in report.summary()


def test_a_missing_key_is_named():
    release = made_up.RELEASES["rad_dino"]()
    dropped = "encoder.layer.1.attention.attention.key.bias"
    tensors = {key: value for key, value in release.tensors.items() if key != dropped}
    _, report = convert(tensors, release.card, release.layout)
    assert not report.complete
    assert report.missing == ["blocks.1.attn.qkv.bias"]
    # The two thirds that are there have no place.
    assert report.surplus == ["blocks.1.attn.q.bias", "blocks.1.attn.v.bias"]
    assert dropped not in report.renamed


def test_a_deeper_model_is_not_cut_to_size():
    release = made_up.RELEASES["mgca resnet"]()
    tensors = dict(release.tensors)
    tensors["img_encoder_q.model.layer3.22.conv1.weight"] = torch.zeros(1)
    _, report = convert(tensors, release.card, release.layout)
    assert not report.complete
    assert report.surplus == ["layer3.22.conv1.weight"]


def test_a_wider_model_and_broken_numbers_do_not_fit():
    release = made_up.RELEASES["timm vit"]()
    tensors = dict(release.tensors)
    tensors["norm.weight"] = torch.ones(64)
    tensors["norm.bias"] = torch.full((48,), torch.nan)
    _, report = convert(tensors, release.card, release.layout)
    assert report.unfitting == {
        "norm.weight": "(64,), needed (48,)",
        "norm.bias": "holds NaN or infinity",
    }


def test_three_channels_are_not_taken_for_one():
    grey = made_up.RELEASES["prior"]()
    key = "image_encoder.encoder.conv1.weight"
    tensors = {**grey.tensors, key: torch.zeros(64, 3, 7, 7)}
    assert "conv1.weight" in convert(tensors, grey.card, grey.layout)[1].unfitting
    colour = made_up.RELEASES["torchvision"]()
    tensors = {**colour.tensors, "conv1.weight": torch.zeros(64, 1, 7, 7)}
    assert "conv1.weight" in convert(tensors, colour.card, colour.layout)[1].unfitting


def test_half_precision_and_old_batch_norms_are_told():
    release = made_up.RELEASES["mflag encoder"]()
    tensors = {
        key: value.half() if value.is_floating_point() else value
        for key, value in release.tensors.items()
        if not key.endswith("num_batches_tracked")
    }
    encoder, report = convert(tensors, release.card, release.layout)
    assert report.complete
    assert report.changed["conv1.weight"] == "float16 to float32"
    assert "kept at 0" in report.changed["bn1.num_batches_tracked"]
    assert encoder.body.conv1.weight.dtype == torch.float32


@torch.no_grad()
def test_a_position_embedding_is_resampled_for_another_size():
    release = made_up.RELEASES["mgca vit"]()
    larger = 96
    encoder, report = convert(release.tensors, release.card, release.layout, size=larger)
    assert report.complete
    assert report.changed["pos_embed"] == "resampled from 4×4 to 6×6 patches"
    old = release.tensors["img_encoder_q.model.pos_embed"]
    grid = old[:, 1:].reshape(1, 4, 4, -1).permute(0, 3, 1, 2)
    new = nn.functional.interpolate(grid, size=(6, 6), mode="bicubic", align_corners=False)
    wanted = torch.cat([old[:, :1], new.permute(0, 2, 3, 1).flatten(1, 2)], dim=1)
    torch.testing.assert_close(encoder.body.pos_embed.data, wanted, rtol=1e-5, atol=1e-5)
    assert encoder.size == encoder.spec.size == larger
    assert encoder(torch.zeros(1, 3, larger, larger)).maps[0].shape[-1] == 6


@torch.no_grad()
@pytest.mark.parametrize("size", [28, 84, 98])
def test_resampling_gives_the_features_of_transformers_at_that_size(size):
    release = made_up.of_dinov2("transformers", 56)
    encoder, _ = convert(release.tensors, release.card, release.layout, size=size)
    layout = replace(release.layout, spec=replace(release.layout.spec, size=size))
    inputs = images(layout)
    # transformers resamples the 4×4 embedding while it runs.
    pooled, grid = release.reference(inputs)
    features = encoder(inputs)
    torch.testing.assert_close(features.pooled, pooled, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(features.maps[0], grid, rtol=1e-5, atol=1e-5)


def test_a_size_that_patches_do_not_tile_is_refused():
    release = made_up.RELEASES["rad_dino"]()
    with pytest.raises(UserError, match="--size 225: needs a multiple of 14"):
        convert(release.tensors, release.card, release.layout, size=225)


def test_layouts_are_told_apart_by_key_and_patch_side():
    card = registry.find("importers", "clip")
    for side in (16, 32):
        tensors = {"visual.conv1.weight": torch.zeros(4, 3, side, side)}
        assert recognise(card, tensors).spec.timm_name.startswith(f"vit_base_patch{side}_")
    with pytest.raises(UserError, match=r"looked for visual\.conv1\.weight of 16 px"):
        recognise(card, {"visual.conv1.weight": torch.zeros(4, 3, 14, 14)})
    chexzero = registry.find("importers", "chexzero")
    sizes = {
        side: recognise(chexzero, {"visual.conv1.weight": torch.zeros(4, 3, side, side)}).spec.size
        for side in (16, 32)
    }
    assert sizes == {16: 320, 32: 224}


def test_medclip_vit_is_a_swin_and_says_so():
    key = "vision_model.model.embeddings.patch_embeddings.projection.weight"
    with pytest.raises(UserError, match="Swin-T"):
        recognise(registry.find("importers", "medclip"), {key: torch.zeros(96, 3, 4, 4)})


def test_a_file_of_another_release_is_answered_with_what_was_looked_for():
    release = made_up.RELEASES["convirt"]()
    with pytest.raises(UserError, match=r"not a file of mgca: looked for img_encoder_q\.model"):
        recognise(registry.find("importers", "mgca"), release.tensors)


def test_normalisation_of_each_channel_is_kept():
    release = made_up.RELEASES["biomedclip"]()
    encoder, _ = convert(release.tensors, release.card, release.layout)
    assert encoder.mean == (0.48145466, 0.4578275, 0.40821073)
    grey = replace(release.layout.spec, mean=0.25)
    assert grey.means == (0.25, 0.25, 0.25)
