import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModel

from sista.encoders.packing import PACKS, gather, pack, padded_width, spread
from sista.encoders.text import TextEncoder

LENGTH = np.array([9, 20, 3, 16, 1, 7])


def places(length=LENGTH, width=32):
    return pack(length, width, torch.from_numpy)


def encoder(kind, pool="mean"):
    torch.manual_seed(0)
    values = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    values |= {"vocab_size": 50, "intermediate_size": 64, "max_position_embeddings": 40}
    config = AutoConfig.for_model(kind, **values)
    return TextEncoder(AutoModel.from_config(config).eval(), pool).double()


def reports(width):
    real = torch.arange(width) < torch.from_numpy(LENGTH)[:, None]
    return torch.randint(5, 50, (len(LENGTH), width)) * real, real


@pytest.mark.parametrize("kind", [*sorted(PACKS), "distilbert"])
def test_a_row_of_tokens_gives_the_values_and_gradients_of_padded_reports(kind):
    both = [encoder(kind) for _ in range(2)]
    length = torch.from_numpy(LENGTH)
    ids, real = reports(32)
    found = []
    for made, chunks in zip(both, ((), places()), strict=True):
        out = made(ids, length, chunks, attention=kind != "distilbert")
        (out.pooled.square().sum() + out.tokens[real].sum(1).sin().sum()).backward()
        found.append((out, {n: p.grad for n, p in made.named_parameters() if p.grad is not None}))
    (padded, gradients), (packed, others) = found
    torch.testing.assert_close(packed.pooled, padded.pooled)
    torch.testing.assert_close(packed.tokens[real], padded.tokens[real])
    if padded.attention is not None:
        torch.testing.assert_close(packed.attention, padded.attention)
    assert gradients.keys() == others.keys()
    assert len(gradients) > 10
    for name, gradient in gradients.items():
        torch.testing.assert_close(others[name], gradient, msg=name)


def test_values_in_single_precision_agree_to_a_hundred_thousandth():
    made = encoder("bert").float()
    ids, real = reports(32)
    length = torch.from_numpy(LENGTH)
    padded, packed = made(ids, length), made(ids, length, places())
    torch.testing.assert_close(packed.tokens[real], padded.tokens[real], rtol=1e-5, atol=1e-5)
    # An encoder that has seen a row leaves padding out all the same.
    torch.testing.assert_close(made(ids, length).pooled, padded.pooled)


def test_padding_is_computed_in_the_attention_alone():
    made, rows = encoder("bert"), []
    made.body.encoder.layer[0].intermediate.register_forward_hook(
        lambda _, __, out: rows.append(out.shape[:2].numel())
    )
    ids, _ = reports(32)
    packed = places()
    made(ids, torch.from_numpy(LENGTH), packed)
    # Six reports of at most 32 tokens go up in steps of 16.
    assert rows == [len(packed.where)] == [64]
    assert LENGTH.sum() == 56


def test_places_there_and_back():
    packed = places()
    assert packed.real.sum() == LENGTH.sum() == (~packed.filling).sum()
    values = torch.randn(len(packed.where), 3, dtype=torch.double, requires_grad=True)
    padded = spread(values, packed)
    assert padded.shape == (6, 32, 3)
    again = gather(padded, packed)
    torch.testing.assert_close(again[~packed.filling], values[~packed.filling])
    # As an index would, apart from what nobody reads.
    weight = torch.randn(6, 32, 3, dtype=torch.double) * packed.real[..., None]
    (padded * weight).sum().backward()
    expected = weight.flatten(0, 1)[packed.where].masked_fill(packed.filling[:, None], 0.0)
    torch.testing.assert_close(values.grad, expected)


@pytest.mark.parametrize("length", [[32] * 6, [1] * 6, [5]])
def test_full_and_single_reports(length):
    packed = places(np.array(length))
    assert len(packed.where) >= sum(length)
    assert torch.equal(packed.row[packed.where][~packed.filling], torch.arange(sum(length)))


def test_widths_are_whole_tiles():
    assert [padded_width(n) for n in (1, 16, 17, 112)] == [16, 16, 32, 112]
