"""Limits of STA and SIA that hold exactly, for any input; and gradients of every form."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sista.losses import Form, Pairs, info_nce, sia, sta, sta_batch, sta_images
from sista.losses.contrast import SAFE_TEMPERATURE, contrast_within
from sista.losses.sparsify import sparse_weights

KINDS = ("minmax", "topk", "sparsemax", "entmax15", "softmax")
FORMS = [Form(kind, top_k=2, sigma=0.3) for kind in KINDS] + [
    Form("softmax", attention_temperature=0.3),
    Form("entmax15", attention_temperature=0.5, stop_gradient=True),
]
few = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 2**31 - 1)
sizes = st.tuples(st.integers(1, 5), st.integers(1, 7), st.integers(1, 6), st.integers(1, 5))


def drawn(seed, batch, patches, words, width, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    make = {"generator": generator, "dtype": dtype}
    p, w = torch.randn(batch, patches, width, **make), torch.randn(batch, words, width, **make)
    mask = torch.rand(batch, words, generator=generator) < 0.7
    ids = torch.randint(0, 4, (batch, words), generator=generator)
    return p, w, mask, ids


def losses(p, w, mask, ids, form, temperature=0.07):
    pairs = Pairs(p, w, mask)
    return torch.stack(
        [
            sta(p, w, mask, temperature=temperature, form=form, word_ids=ids),
            sta(p, w, mask, temperature=temperature, form=form, directions=("patch",)),
            sta_images(pairs, ids, form, temperature=temperature),
            sta_batch(pairs, form, temperature=temperature),
        ]
    )


@few
@given(seeds, sizes, st.sampled_from(FORMS))
def test_every_loss_is_finite_and_not_negative(seed, size, form):
    found = losses(*drawn(seed, *size), form)
    assert torch.isfinite(found).all()
    assert (found >= -1e-12).all()


@few
@given(seeds, sizes, st.sampled_from(FORMS), st.sampled_from([1e6, -3.0, 0.0]))
def test_padding_changes_nothing(seed, size, form, garbage):
    p, w, mask, ids = drawn(seed, *size)
    filled = w.masked_fill(~mask.unsqueeze(-1), garbage)
    other_ids = ids.masked_fill(~mask, 99)
    assert torch.equal(losses(p, w, mask, ids, form), losses(p, filled, mask, other_ids, form))
    filled.requires_grad_()
    losses(p, filled, mask, other_ids, form).sum().backward()
    assert (filled.grad[~mask] == 0).all()


@few
@given(seeds, sizes, st.sampled_from(FORMS))
def test_reports_of_at_most_one_word_give_zero_inside_the_report(seed, size, form):
    p, w, *_ = drawn(seed, *size)
    mask = torch.zeros(w.shape[:2], dtype=torch.bool)
    mask[:1, 0] = True
    for direction in ("word", "patch"):
        assert sta(p, w, mask, temperature=0.07, form=form, directions=(direction,)).item() == 0.0


@few
@given(seeds, st.sampled_from(FORMS))
def test_one_study_has_no_other_images(seed, form):
    p, w, mask, ids = drawn(seed, 1, 4, 3, 5)
    assert sta_images(Pairs(p, w, mask), ids, form, temperature=0.07).item() == 0.0
    assert sta_batch(Pairs(p, w, mask), form, temperature=0.07).item() == 0.0


@few
@given(seeds, sizes, st.sampled_from(FORMS))
def test_values_by_study_average_to_the_loss(seed, size, form):
    p, w, mask, ids = drawn(seed, *size)
    options = {"temperature": 0.07, "form": form, "word_ids": ids}
    each = sta(p, w, mask, reduction="study", **options)
    torch.testing.assert_close(each.mean(), sta(p, w, mask, **options))
    pairs, has = Pairs(p, w, mask), mask.any(1)
    each = sta_batch(pairs, form, temperature=0.07, reduction="study")
    total = sta_batch(pairs, form, temperature=0.07)
    torch.testing.assert_close(each.nansum() / has.sum().clamp_min(1), total)
    assert torch.equal(each.isnan(), ~has)
    each = sta_images(pairs, ids, form, temperature=0.07, reduction="study")
    assert each[~has].isnan().all()


@few
@given(seeds, sizes, st.sampled_from(FORMS))
def test_showing_the_own_image_is_the_loss_itself(seed, size, form):
    p, w, mask, ids = drawn(seed, *size)
    plain, shown = Pairs(p, w, mask), Pairs(p, w, mask, p)
    options = {"temperature": 0.07}
    torch.testing.assert_close(
        sta_images(shown, ids, form, **options), sta_images(plain, ids, form, **options)
    )
    torch.testing.assert_close(sta_batch(shown, form, **options), sta_batch(plain, form, **options))


@few
@given(seeds, st.integers(2, 6), st.integers(1, 4))
def test_chunks_do_not_change_the_batch_wise_score(seed, batch, chunk):
    p, w, mask, _ = drawn(seed, batch, 4, 3, 5)
    found = []
    for size in (0, chunk):
        q = p.clone().requires_grad_()
        loss = sta_batch(Pairs(q, w, mask), Form("softmax"), temperature=0.2, chunk=size)
        loss.backward()
        found.append((loss.detach(), q.grad))
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_gradcheck(form):
    p, w, _, ids = drawn(3, 3, 5, 4, 3)
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]], dtype=torch.bool)
    p, w = p.requires_grad_(), w.requires_grad_()
    keep = ~torch.tensor([[0, 1, 0], [1, 0, 0], [0, 0, 0]], dtype=torch.bool)
    weights = torch.rand(3, 4, dtype=torch.float64)
    both = ("word", "patch")

    def every(patches, words):
        pairs = Pairs(patches, words, mask)
        return torch.stack(
            [
                sta(
                    patches,
                    words,
                    mask,
                    temperature=0.5,
                    form=form,
                    directions=both,
                    weights=weights,
                    word_ids=ids,
                ),
                sta_images(pairs, ids, form, temperature=0.5),
                sta_batch(pairs, form, temperature=0.5, keep=keep, weights=weights),
            ]
        )

    if form.stop_gradient:  # then the derivative is not that of the value
        every(p, w).sum().backward()
        assert torch.isfinite(p.grad).all()
        return
    assert torch.autograd.gradcheck(every, (p, w))


@pytest.mark.parametrize("kind", KINDS)
def test_gradcheck_of_the_weights_under_a_mask(kind):
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(3, 4, 6, generator=generator, dtype=torch.float64).requires_grad_()
    mask = torch.arange(6) < torch.tensor([6, 4, 1])[:, None, None]
    assert torch.autograd.gradcheck(
        lambda s: sparse_weights(s, mask, kind=kind, top_k=3, sigma=0.4, width=2), (scores,)
    )


@few
@given(seeds, st.sampled_from([0.05, 1.0, 30.0]), st.integers(1, 300))
def test_entmax_meets_its_definition_at_any_scale(seed, scale, keys):
    generator = torch.Generator().manual_seed(seed)
    scores = scale * torch.randn(5, keys, generator=generator)
    weights = sparse_weights(scores, None, kind="entmax15")
    root = weights.double().sqrt()
    tau = torch.where(weights > 0, scores.double() / 2 - root, -torch.inf)
    top = tau.amax(-1, keepdim=True)
    # One threshold for all keys with weight, and no key above it without.
    spread = torch.where(weights > 1e-6, (tau - top).abs(), 0.0)
    assert spread.max() < 2e-3 * max(scale, 1.0)
    torch.testing.assert_close(weights.sum(-1), torch.ones(5))


def test_the_fast_contrast_equals_the_plain_one():
    _, w, mask, _ = drawn(5, 4, 6, 5, 7)
    share = mask.double() / mask.sum(1, keepdim=True).clamp_min(1)
    allowed = mask[:, None] & mask[:, :, None]
    grouped = torch.randn(4, 5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for among in (allowed, None):
        results = []
        for temperature in (0.07, torch.tensor(0.07, dtype=torch.float64)):
            a, b = grouped.clone().requires_grad_(), w.clone().requires_grad_()
            part = share if among is not None else torch.full_like(share, 0.2)
            loss = contrast_within(a, b, among, part, temperature)
            loss.sum().backward()
            results.append((loss.detach(), a.grad, b.grad))
        torch.testing.assert_close(results[0], results[1])


def test_the_fast_contrast_holds_at_its_lowest_temperature():
    x = torch.nn.functional.normalize(torch.randn(1, 4, 8), dim=-1)
    share = torch.full((1, 4), 0.25)
    worst = contrast_within(-x, x, None, share, SAFE_TEMPERATURE)
    plain = contrast_within(-x, x, None, share, torch.tensor(SAFE_TEMPERATURE))
    torch.testing.assert_close(worst, plain)


@few
@given(seeds, st.integers(1, 6), st.sampled_from(["eliminate", "attract"]))
def test_sia_limits(seed, batch, mode):
    generator = torch.Generator().manual_seed(seed)
    v, t = (torch.randn(batch, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    r = torch.rand(batch, batch, generator=generator, dtype=torch.float64)
    options = {"temperature": 0.07, "mode": mode}
    plain = info_nce(v, t, temperature=0.07)
    torch.testing.assert_close(sia(v, t, r, threshold=1.0, **options), plain)
    assert sia(v, t, r + 2, threshold=1.0, **options).item() == 0.0
    part = sia(v, t, r, threshold=0.5, neutral=0.4, **options)
    assert torch.isfinite(part)
    if mode == "eliminate":
        assert part <= plain + 1e-12
    if batch == 1:
        assert math.isclose(part.item(), 0.0)
