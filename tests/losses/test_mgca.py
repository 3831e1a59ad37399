from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from sista.losses import cpa, cta, info_nce, sinkhorn
from sista.losses.mgca import clipped_shares

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "mgca.npz")
EXACT = {"rtol": 1e-9, "atol": 1e-11}
RELEASED = {"pads_in_softmax": True}


def get(name, dtype=torch.float64):
    return torch.tensor(GOLDEN[name], dtype=dtype)


def tokens(dtype=torch.float64):
    mask = torch.arange(11) < torch.tensor(GOLDEN["lens"])[:, None]
    return get("patch", dtype).requires_grad_(), get("word", dtype).requires_grad_(), mask


def attention(family, dtype=torch.float64):
    weights = {"word_attention": get("word_attn", dtype)}
    return weights | ({"patch_attention": get("patch_attn", dtype)} if family == "vit" else {})


def close(found, name, **tolerance):
    np.testing.assert_allclose(found.detach(), GOLDEN[name], **(tolerance or EXACT))


def test_ita_golden():
    image, report = get("img").requires_grad_(), get("report").requires_grad_()
    loss = 2 * info_nce(image, report, temperature=0.07)
    loss.backward()
    close(loss, "ita_loss")
    close(image.grad, "ita_grad_img")
    close(report.grad, "ita_grad_report")


@pytest.mark.parametrize("family", ["vit", "resnet"])
def test_cta_golden_of_the_released_code(family):
    patches, words, mask = tokens()
    parts = cta(
        patches,
        words,
        mask,
        normalise_patch_context=family == "resnet",
        **attention(family),
        **RELEASED,
    )
    total = parts["word"] + parts["patch"]
    total.backward()
    close(parts["word"], "cta_word_loss")
    close(parts["patch"], f"cta_{family}_patch_loss")
    close(total, f"cta_{family}_total")
    close(patches.grad, f"cta_{family}_total_grad_patch")
    close(words.grad, f"cta_{family}_total_grad_word")


def test_cta_golden_word_side():
    patches, words, mask = tokens()
    cta(patches, words, mask, **attention("vit"), **RELEASED)["word"].backward()
    close(patches.grad, "cta_word_grad_patch")
    close(words.grad, "cta_word_grad_word")


def test_cta_golden_with_padding_left_out():
    patches, words, mask = tokens()
    loss = cta(patches, words, mask, **attention("resnet"))["word"]
    close(loss, "cta_word_loss_masked_pads_OWN")
    single = cta(*tokens(torch.float32), **attention("resnet", torch.float32))["word"]
    close(single, "cta_word_loss_masked_pads_OWN", rtol=1e-4, atol=1e-5)


def test_clipped_shares_golden():
    mask = tokens()[2]
    close(clipped_shares(get("word_attn"), mask), "cta_word_weights")
    every = torch.ones(6, 16, dtype=torch.bool)
    close(clipped_shares(get("patch_attn"), every), "cta_vit_patch_weights")


def naive_cta(patches, words, mask, word_attention, patch_attention):
    """Second implementation: one report at a time, one word and one patch at a time."""
    word_side, patch_side = [], []
    for b in range(len(patches)):
        p, w = F.normalize(patches[b], dim=1), F.normalize(words[b][mask[b]], dim=1)
        for mine, other, weight, side in (
            (w, p, word_attention[b][mask[b]], word_side),
            (p, w, patch_attention[b], patch_side),
        ):
            low, high = np.quantile(weight.numpy(), [0.1, 0.9])
            weight = weight.clamp(low, high)
            weight = weight / weight.sum()
            mixes = [F.normalize(torch.softmax(other @ x / 0.1, 0) @ other, dim=0) for x in mine]
            logits = mine @ torch.stack(mixes).T / 0.1
            own = torch.arange(len(mine))
            rows, columns = (F.cross_entropy(x, own, reduction="none") for x in (logits, logits.T))
            side.append((weight * (rows + columns)).sum() / 2)
    return torch.stack(word_side).mean(), torch.stack(patch_side).mean()


def test_naive_loops_agree():
    patches, words, mask = tokens()
    weights = attention("vit")
    parts = cta(patches, words, mask, **weights)
    expected = naive_cta(patches, words, mask, *weights.values())
    torch.testing.assert_close((parts["word"], parts["patch"]), expected)


@pytest.mark.parametrize("family", ["vit", "resnet"])
def test_padding_never_leaks(family):
    patches, words, mask = tokens()
    weights = attention(family)
    first = cta(patches, words, mask, **weights)
    (first["word"] + first["patch"]).backward()
    assert words.grad[~mask].abs().sum() == 0
    noisy = torch.where(mask.unsqueeze(2), words, 1e3 * torch.randn_like(words))
    weights["word_attention"] = torch.where(mask, weights["word_attention"], 7.0)
    second = cta(patches, noisy, mask, **weights)
    assert all(torch.equal(first[side], second[side]) for side in first)


def test_reports_of_one_word_and_of_none():
    patches, words, mask = tokens()
    patches = patches.detach().requires_grad_()
    for count in (0, 1):
        few = mask & (torch.arange(11) < count)
        parts = cta(patches, words, few, **attention("vit"))
        assert parts["word"].item() == 0.0
        assert (parts["patch"].item() == 0.0) == (count == 0)
        gradient = torch.autograd.grad(sum(parts.values()), patches)[0]
        assert torch.isfinite(gradient).all()


def test_cta_gradcheck():
    torch.manual_seed(0)
    patches = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    words = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.arange(3) < torch.tensor([3, 2])[:, None]
    looks = torch.rand(2, 3, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda p, w: sum(
            cta(p, w, mask, temperature=0.5, word_attention=looks, patch_attention=looks).values()
        ),
        (patches, words),
    )


def test_cpa_golden():
    image, report = get("img").requires_grad_(), get("report").requires_grad_()
    prototypes = F.normalize(get("proto"), dim=1)
    close(prototypes, "cpa_proto_after")
    prototypes.requires_grad_()
    loss = cpa(image, report, prototypes)
    loss.backward()
    close(loss, "cpa_loss")
    close(image.grad, "cpa_grad_img")
    close(report.grad, "cpa_grad_report")
    close(prototypes.grad, "cpa_grad_proto")
    close(loss, "cpa_loss_peer_float32_Q", rtol=1e-6)
    close(sinkhorn(F.normalize(image, dim=1) @ prototypes.T), "cpa_Q_img")


def test_cpa_gradcheck_through_the_softmax_alone():
    """The codes carry no gradient: a constant copy of them gives the same one."""
    image, report = get("img").requires_grad_(), get("report").requires_grad_()
    prototypes = F.normalize(get("proto"), dim=1)
    codes = [sinkhorn(F.normalize(x, dim=1) @ prototypes.T) for x in (image, report)]

    def fixed(a, b):
        scores = [F.normalize(x, dim=1) @ prototypes.T / 0.2 for x in (b, a)]
        return sum(F.cross_entropy(s, q) for s, q in zip(scores, codes, strict=True)) / 2

    assert torch.autograd.gradcheck(fixed, (image, report))
    both = (image, report)
    torch.testing.assert_close(
        torch.autograd.grad(cpa(*both, prototypes), both), torch.autograd.grad(fixed(*both), both)
    )


@pytest.mark.parametrize("case", range(4))
def test_sinkhorn_golden(case):
    close(sinkhorn(get(f"sk{case}_scores")), f"sk{case}_Q")


def test_sinkhorn_against_its_definition():
    scores = get("sk0_scores")
    close(sinkhorn(scores, iterations=10), "sk0_Q_iters10")
    plan = np.exp(GOLDEN["sk0_scores"].T / 0.05)
    plan /= plan.sum()
    for _ in range(500):
        for k in range(len(plan)):
            plan[k] *= 1 / len(plan) / plan[k].sum()
        for b in range(plan.shape[1]):
            plan[:, b] *= 1 / plan.shape[1] / plan[:, b].sum()
    found = sinkhorn(scores, iterations=500)
    np.testing.assert_allclose(found, (plan / plan.sum(0)).T, atol=1e-9)
    np.testing.assert_allclose(found.mean(0), 1 / 24, rtol=1e-6)
    large = sinkhorn(100 * scores.float())
    assert torch.isfinite(large).all(), "no overflow"
