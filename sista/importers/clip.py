"""CLIP ViT-B/16 and ViT-B/32, in OpenAI's names (a state dict) or those of transformers."""

from sista.encoders.specs import EncoderSpec
from sista.importers._card import Card, Layout, Source
from sista.importers._keys import CLIP_MEAN, CLIP_STD, openai_clip, transformers_clip


def _layouts() -> tuple[Layout, ...]:
    layouts = []
    for side in (16, 32):
        spec = EncoderSpec(
            "vit_base",
            "vit",
            f"vit_base_patch{side}_clip_quickgelu_224",
            224,
            mean=CLIP_MEAN,
            std=CLIP_STD,
        )
        openai = Layout(
            f"ViT-B/{side}",
            "visual.conv1.weight",
            spec,
            openai_clip(),
            (
                r"visual\.proj",
                r"transformer\..+",
                r"(token_embedding|ln_final)\..+",
                "positional_embedding|text_projection|logit_scale",
                "input_resolution|context_length|vocab_size",
            ),
            side=side,
        )
        hugging_face = Layout(
            f"ViT-B/{side}, transformers",
            "vision_model.embeddings.patch_embedding.weight",
            spec,
            transformers_clip(),
            (
                r"(visual|text)_projection\..+",
                r"text_model\..+",
                "logit_scale",
                r"vision_model\.embeddings\.position_ids",
            ),
            side=side,
        )
        layouts += [openai, hugging_face]
    return tuple(layouts)


clip = Card(
    word="clip",
    title="CLIP ViT-B of OpenAI (photographs, no radiographs)",
    paper="Radford et al., ICML 2021, arXiv 2103.00020",
    licence="MIT",
    corpus="wit_400m",
    layouts=_layouts(),
    sources=(
        Source(
            "rajpurkarlab/CheXzero",
            "model.py",
            "a2eb643d3f660e29c7c2a9ad615375681497d96a",
            "copy of OpenAI's model: visual.*, resblocks, in_proj, quick GELU",
        ),
        Source(
            "openai/CLIP",
            "clip/clip.py",
            "0848ed71e5bb5b4eaaa4048364001877630345dc",
            "mean, std; the downloads are TorchScript archives",
        ),
        Source(
            "openai/CLIP",
            "clip/model.py",
            "ea41722f9fe6bb81189f41ab6c306e77e930c2af",
            "visual.proj, input_resolution, context_length, vocab_size; weights in half precision",
        ),
        Source(
            "huggingface/transformers",
            "src/transformers/models/clip/modeling_clip.py",
            "release 5.23.0",
            "names in transformers",
        ),
    ),
    differs=(
        "OpenAI's downloads are TorchScript and hold code: take the safetensors of transformers",
        "features are taken before the projection into the shared space",
    ),
)
