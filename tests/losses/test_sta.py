from pathlib import Path

import numpy as np
import pytest
import torch

from sista.losses import Form, Pairs, sta, sta_batch, sta_images
from sista.losses.sparsify import sparse_weights
from sista.losses.sta import alignment

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "sparc.npz")
KINDS = ["minmax", "topk", "sparsemax", "entmax15", "softmax"]


def inputs(padded, dtype=torch.float64):
    words = torch.tensor(GOLDEN["words"], dtype=dtype).requires_grad_()
    patches = torch.tensor(GOLDEN["patches"], dtype=dtype).requires_grad_()
    lens = torch.tensor(GOLDEN["lens"]) if padded else torch.full((5,), 9)
    return patches, words, torch.arange(9) < lens[:, None]


@pytest.mark.parametrize("case", ["full", "padded"])
def test_golden_value_and_gradient(case):
    patches, words, mask = inputs(case == "padded")
    loss = sta(patches, words, mask, temperature=float(GOLDEN["tau"]))
    loss.backward()
    tolerance = {"rtol": 1e-9, "atol": 1e-11}
    np.testing.assert_allclose(loss.item(), GOLDEN[f"{case}_loss"], **tolerance)
    np.testing.assert_allclose(words.grad, GOLDEN[f"{case}_grad_words"], **tolerance)
    np.testing.assert_allclose(patches.grad, GOLDEN[f"{case}_grad_patches"], **tolerance)


def test_golden_single_precision():
    patches, words, mask = inputs(True, torch.float32)
    loss = sta(patches, words, mask, temperature=float(GOLDEN["tau"]))
    np.testing.assert_allclose(loss.item(), GOLDEN["padded_loss"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("sigma", [0.0, 0.2, 0.5, 1.0])
def test_golden_sigma(sigma):
    patches, words, mask = inputs(True)
    loss = sta(patches, words, mask, temperature=float(GOLDEN["tau"]), form=Form(sigma=sigma))
    name = f"padded_sigma{sigma:g}"
    np.testing.assert_allclose(loss.item(), GOLDEN[f"{name}_loss"], rtol=1e-9)
    kept = (alignment(words, patches, torch.ones(5, 25, dtype=bool), Form(sigma=sigma)) > 0).sum(-1)
    expected = GOLDEN[f"{name}_kept"]
    if sigma > 0:  # at 0 the smallest value is kept with weight 0
        np.testing.assert_array_equal(np.where(mask, kept, 0), expected)


def test_golden_alignment_and_constant_row():
    patches, words, _ = inputs(False)
    every = torch.ones(5, 25, dtype=torch.bool)
    np.testing.assert_allclose(
        alignment(words, patches, every, Form()).detach(),
        GOLDEN["full_align"],
        rtol=1e-9,
        atol=1e-11,
    )
    constant = torch.tensor(GOLDEN["const_words"])
    row = alignment(constant, patches[:2], every[:2], Form())[0, 2]
    np.testing.assert_allclose(row.detach(), GOLDEN["const_align_row"], rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("directions", [("word",), ("patch",), ("word", "patch")])
def test_padding_never_leaks(kind, directions):
    patches, words, mask = inputs(True)
    ids = torch.arange(9).expand(5, 9) % 4
    other = words.detach().clone()
    other[~mask] = 1e3 * torch.randn(int((~mask).sum()), 32, dtype=other.dtype)
    settings = {"temperature": 0.07, "form": Form(kind), "directions": directions, "word_ids": ids}
    first = sta(patches, words, mask, **settings)
    assert torch.equal(first, sta(patches, other, mask, **settings))
    first.backward()
    assert words.grad[~mask].abs().max() == 0.0
    longer = torch.cat([words, torch.randn(5, 3, 32, dtype=words.dtype)], 1)
    wide = torch.cat([mask, torch.zeros(5, 3, dtype=torch.bool)], 1)
    settings["word_ids"] = torch.cat([ids, torch.zeros(5, 3, dtype=torch.long)], 1)
    torch.testing.assert_close(sta(patches, longer, wide, **settings), first)


def test_repeated_words_are_no_negatives_of_each_other():
    patches, words, _ = inputs(False)
    mask = torch.ones(5, 2, dtype=torch.bool)
    twice = words[:, :1].expand(-1, 2, -1)
    ids = torch.zeros(5, 2, dtype=torch.long)
    assert sta(patches, twice, mask, temperature=0.07, word_ids=ids).item() == 0.0
    assert sta(patches, twice, mask, temperature=0.07).item() == pytest.approx(np.log(2))
    different = torch.arange(2).expand(5, 2)
    torch.testing.assert_close(
        sta(patches, words[:, :2], mask, temperature=0.07, word_ids=different),
        sta(patches, words[:, :2], mask, temperature=0.07),
    )


def test_one_word_and_no_word_give_zero():
    patches, words, mask = inputs(False)
    for length in (0, 1):
        few = mask & (torch.arange(9) < length)
        assert sta(patches, words, few, temperature=0.07).item() == 0.0


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_a_distribution_over_valid_keys(kind):
    torch.manual_seed(0)
    scores = 5 * torch.randn(3, 4, 7, dtype=torch.float64)
    mask = torch.arange(7) < torch.tensor([7, 5, 1])[:, None, None]
    weights = sparse_weights(scores, mask, kind=kind, top_k=3)
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 4, dtype=torch.float64))
    assert (weights >= 0).all()
    assert weights.masked_select(~mask.expand_as(weights)).abs().sum() == 0


@pytest.mark.parametrize("kind", ["sparsemax", "entmax15"])
def test_sparse_projections_meet_their_optimality_conditions(kind):
    """Second implementation: bisection on the threshold of the definition."""
    torch.manual_seed(1)
    scores = 3 * torch.randn(6, 11, dtype=torch.float64)
    mask = torch.ones(6, 11, dtype=torch.bool)
    found = sparse_weights(scores, mask, kind=kind)
    for row, weights in zip(scores.numpy(), found.numpy(), strict=True):
        scaled, power = (row, 1) if kind == "sparsemax" else (row / 2, 2)
        low, high = scaled.max() - 2, scaled.max()
        for _ in range(200):
            middle = (low + high) / 2
            total = (np.clip(scaled - middle, 0, None) ** power).sum()
            low, high = (middle, high) if total > 1 else (low, middle)
        np.testing.assert_allclose(weights, np.clip(scaled - low, 0, None) ** power, atol=1e-9)


@pytest.mark.parametrize("kind", ["sparsemax", "entmax15", "softmax"])
def test_gradcheck(kind):
    torch.manual_seed(2)
    patches = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    words = torch.randn(2, 3, 3, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True], [True, True, False]])
    ids = torch.tensor([[0, 1, 2], [3, 1, 0]])
    assert torch.autograd.gradcheck(
        lambda p, w: (
            sta(p, w, mask, temperature=0.5, form=Form(kind), directions=("word", "patch"))
            + sta_images(Pairs(p, w, mask), ids, Form(kind), temperature=0.5)
            + sta_batch(Pairs(p, w, mask), Form(kind), temperature=0.5)
        ),
        (patches, words),
    )


def test_image_negatives_equal_a_plain_loop():
    torch.manual_seed(3)
    patches, words = torch.randn(4, 5, 6), torch.randn(4, 3, 6)
    ids = torch.tensor([[0, 1, 2], [0, 3, 4], [5, 6, 7], [1, 8, 9]])
    mask = torch.tensor([[1, 1, 1], [1, 1, 0], [1, 1, 1], [1, 1, 1]], dtype=torch.bool)
    found = sta_images(
        Pairs(patches, words, mask), ids, Form(sigma=0.5), temperature=0.2, negatives=9
    )
    losses, places = [], []
    for b in range(4):
        for w in range(3):
            if not mask[b, w]:
                continue
            scores = []
            for j in [b] + [i for i in range(4) if i != b and ids[b, w] not in ids[i][mask[i]]]:
                dots = patches[j] @ words[b, w]
                scaled = (dots - dots.min()) / (dots.max() - dots.min())
                kept = torch.where(scaled >= 0.5, scaled, 0.0)
                mix = (kept / kept.sum()) @ patches[j]
                scores.append(torch.cosine_similarity(mix, words[b, w], dim=0) / 0.2)
            if len(scores) > 1:
                losses.append(torch.logsumexp(torch.stack(scores), 0) - scores[0])
                places.append((b, w))
    torch.testing.assert_close(found, torch.stack(losses).mean())
    weights = torch.rand(4, 3)
    weighted = sta_images(
        Pairs(patches, words, mask),
        ids,
        Form(sigma=0.5),
        temperature=0.2,
        negatives=9,
        weights=weights,
    )
    share = torch.tensor([weights[b, w] for b, w in places])
    torch.testing.assert_close(weighted, (share * torch.stack(losses)).sum() / share.sum())
