from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from sista.losses.gloria import gloria_attention, gloria_global, gloria_local, gloria_similarity

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "gloria.npz")
EXACT = {"rtol": 1e-9, "atol": 1e-11}
CASES = ["main", "short"]


def inputs(case, dtype=torch.float64):
    patches = torch.tensor(GOLDEN[f"{case}_img"], dtype=dtype).flatten(2).transpose(1, 2)
    words = torch.tensor(GOLDEN[f"{case}_words"], dtype=dtype).transpose(1, 2)
    mask = torch.arange(words.shape[1]) < torch.tensor(GOLDEN[f"{case}_lens"])[:, None]
    return patches.contiguous().requires_grad_(), words.contiguous().requires_grad_(), mask


def both_ways(scores):
    own = torch.arange(len(scores))
    return F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own)


def naive(patches, words, mask):
    """Second implementation: one pair, one word at a time, softmax over patches and all."""
    size = len(patches)
    z = torch.zeros(size, size, dtype=patches.dtype)
    for i in range(size):
        for j in range(size):
            valid = words[j][mask[j]]
            over_words = (valid @ patches[i].T).softmax(0)
            terms = []
            for w, row in zip(valid, over_words, strict=True):
                context = (torch.softmax(4 * row, 0)[:, None] * patches[i]).sum(0)
                terms.append(torch.exp(5 * F.cosine_similarity(context, w, dim=0)))
            z[i, j] = torch.stack(terms).sum().log()
    return z


@pytest.mark.parametrize("chunk", [1, 2, 16])
@pytest.mark.parametrize("aggregate", ["sum", "mean"])
@pytest.mark.parametrize("case", CASES)
def test_golden_value_and_gradient(case, aggregate, chunk):
    patches, words, mask = inputs(case)
    loss = gloria_local(patches, words, mask, aggregate=aggregate, chunk=chunk)
    loss.backward()
    name = f"{case}_local_{aggregate}"
    expected = GOLDEN[f"{name}_loss0"] + GOLDEN[f"{name}_loss1"]
    np.testing.assert_allclose(loss.item(), expected, **EXACT)
    to_img = GOLDEN[f"{name}_grad_img"].reshape(*GOLDEN[f"{case}_img"].shape[:2], -1)
    np.testing.assert_allclose(patches.grad.transpose(1, 2), to_img, **EXACT)
    np.testing.assert_allclose(words.grad.transpose(1, 2), GOLDEN[f"{name}_grad_words"], **EXACT)
    assert words.grad[~mask].abs().sum() == 0


@pytest.mark.parametrize("case", CASES)
def test_golden_similarity_and_global_loss(case):
    z = gloria_similarity(*inputs(case))
    np.testing.assert_allclose(z.detach(), GOLDEN[f"{case}_sim"], **EXACT)
    image = torch.tensor(GOLDEN[f"{case}_gimg"]).requires_grad_()
    report = torch.tensor(GOLDEN[f"{case}_gtxt"]).requires_grad_()
    loss = gloria_global(image, report)
    loss.backward()
    expected = GOLDEN[f"{case}_global_loss0"] + GOLDEN[f"{case}_global_loss1"]
    np.testing.assert_allclose(loss.item(), expected, **EXACT)
    np.testing.assert_allclose(image.grad, GOLDEN[f"{case}_global_grad_img"], **EXACT)
    np.testing.assert_allclose(report.grad, GOLDEN[f"{case}_global_grad_txt"], **EXACT)


@pytest.mark.parametrize("case", CASES)
def test_golden_attention(case):
    patches, words, mask = inputs(case)
    attention = gloria_attention(patches, words, mask).detach()
    expected = GOLDEN[f"{case}_attention_own_pair"]
    np.testing.assert_allclose(
        attention[mask], expected.reshape(*expected.shape[:2], -1)[mask], **EXACT
    )


def test_single_precision_is_close():
    patches, words, mask = inputs("main", torch.float32)
    loss = gloria_local(patches, words, mask)
    expected = GOLDEN["main_local_sum_loss0"] + GOLDEN["main_local_sum_loss1"]
    np.testing.assert_allclose(loss.item(), expected, rtol=1e-4, atol=1e-5)


def test_naive_loops_agree():
    patches, words, mask = inputs("main")
    torch.testing.assert_close(gloria_similarity(patches, words, mask), naive(patches, words, mask))
    both = (patches, words)
    ours = torch.autograd.grad(gloria_local(*both, mask), both)
    theirs = torch.autograd.grad(both_ways(10 * naive(*both, mask)), both)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(("chunk", "images"), [(1, 1), (2, 3), (4, None), (100, 100)])
def test_chunks_change_nothing(chunk, images):
    patches, words, mask = inputs("main")
    z = gloria_similarity(patches, words, mask, chunk=chunk, images=images)
    torch.testing.assert_close(z, gloria_similarity(patches, words, mask, chunk=3, images=2))
    counts = mask.sum(1).tolist()
    given = gloria_similarity(patches, words, mask, counts=counts, chunk=chunk, images=images)
    assert torch.equal(z, given)


@pytest.mark.parametrize("keep", [True, False])
def test_gradcheck(keep):
    torch.manual_seed(0)
    # As a feature map gives them: not contiguous.
    cells = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    words = torch.randn(3, 4, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.arange(4) < torch.tensor([4, 1, 2])[:, None]
    assert torch.autograd.gradcheck(
        lambda c, w: gloria_similarity(c.transpose(1, 2), w, mask, chunk=2, images=1, keep=keep),
        (cells, words),
    )


def test_padding_never_leaks():
    patches, words, mask = inputs("main")
    noisy = torch.where(mask.unsqueeze(2), words, 1e3 * torch.randn_like(words))
    assert torch.equal(gloria_local(patches, noisy, mask), gloria_local(patches, words, mask))
    wide = torch.cat([words, torch.randn(6, 4, 32, dtype=words.dtype)], 1)
    longer = torch.cat([mask, torch.zeros(6, 4, dtype=torch.bool)], 1)
    assert torch.equal(gloria_local(patches, wide, longer), gloria_local(patches, words, mask))


def test_half_precision_inputs_under_autocast():
    patches, words, mask = inputs("main", torch.float32)
    expected = gloria_local(patches, words, mask)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = gloria_local(patches.bfloat16(), words.bfloat16(), mask)
    loss.backward()
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, expected, rtol=0.02, atol=0.02)
    assert torch.isfinite(patches.grad).all()


def test_one_pair_and_a_report_without_words():
    patches, words, mask = inputs("main")
    assert gloria_local(patches[:1], words[:1], mask[:1]).item() == 0.0
    assert gloria_global(patches[:1, 0], words[:1, 0]).item() == 0.0
    with pytest.raises(ValueError, match="every report needs a word"):
        gloria_local(patches, words, mask & (torch.arange(6) > 0)[:, None])
