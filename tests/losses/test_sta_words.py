"""Words that a report has against words that it lacks, on one image."""

import pytest
import torch

from sista.losses import Form, Pairs, sta_words

IDS = torch.tensor([[0, 1, 2], [0, 3, 4], [5, 6, 7], [1, 8, 9]])
MASK = torch.tensor([[1, 1, 1], [1, 1, 0], [1, 1, 1], [1, 1, 1]], dtype=torch.bool)


def made():
    generator = torch.Generator().manual_seed(3)
    return torch.randn(4, 5, 6, generator=generator), torch.randn(4, 3, 6, generator=generator)


def score(patches, word):
    dots = patches @ word
    scaled = (dots - dots.min()) / (dots.max() - dots.min())
    kept = torch.where(scaled >= 0.5, scaled, 0.0)
    return torch.cosine_similarity((kept / kept.sum()) @ patches, word, dim=0) / 0.2


@pytest.mark.parametrize("reports", [1, 2, 9])
def test_it_equals_a_plain_loop(reports):
    patches, words = made()
    losses, places = [], []
    for b in range(4):
        others = [(b + step) % 4 for step in range(1, min(reports, 3) + 1)]
        stated = IDS[b][MASK[b]]
        absent = [
            score(patches[b], words[j, m])
            for j in others
            for m in range(3)
            if MASK[j, m] and IDS[j, m] not in stated
        ]
        for w in range(3):
            if MASK[b, w]:
                own = score(patches[b], words[b, w])
                losses.append(torch.logsumexp(torch.stack([own, *absent]), 0) - own)
                places.append((b, w))
    options = {"temperature": 0.2, "reports": reports}
    pairs = Pairs(patches, words, MASK)
    torch.testing.assert_close(
        sta_words(pairs, IDS, Form(sigma=0.5), **options), torch.stack(losses).mean()
    )
    weights = torch.rand(4, 3)
    share = torch.tensor([weights[place] for place in places])
    torch.testing.assert_close(
        sta_words(pairs, IDS, Form(sigma=0.5), weights=weights, **options),
        (share * torch.stack(losses)).sum() / share.sum(),
    )
    each = sta_words(pairs, IDS, Form(sigma=0.5), reduction="study", **options)
    of_first = torch.stack([x for x, (b, _) in zip(losses, places, strict=True) if b == 0]).mean()
    torch.testing.assert_close(each[0], of_first)


def test_where_nothing_is_absent_it_is_zero_and_has_a_finite_gradient():
    patches, words = (x.requires_grad_() for x in made())
    same = torch.zeros(4, 3, dtype=torch.long)
    loss = sta_words(Pairs(patches, words, MASK), same, Form(), temperature=0.07)
    assert loss.item() == 0.0
    loss.backward()
    assert torch.isfinite(patches.grad).all()
    alone = Pairs(patches[:1], words[:1], MASK[:1])
    assert sta_words(alone, IDS[:1], Form(), temperature=0.07).item() == 0.0
    assert sta_words(alone, IDS[:1], Form(), temperature=0.07, reduction="study").isnan().all()


def test_what_stands_at_padding_does_not_matter():
    patches, words = made()
    other = words.masked_fill(~MASK[..., None], 1e6)
    both = [
        sta_words(Pairs(patches, each, MASK), IDS, Form(), temperature=0.07)
        for each in (words, other)
    ]
    torch.testing.assert_close(*both)


def test_an_image_that_is_shown_takes_the_place_of_the_own_one():
    patches, words = made()
    shown = sta_words(Pairs(patches, words, MASK, patches.roll(1, 0)), IDS, Form(), temperature=0.2)
    moved = sta_words(Pairs(patches.roll(1, 0), words, MASK), IDS, Form(), temperature=0.2)
    torch.testing.assert_close(shown, moved)


def test_gradcheck():
    patches, words = (x.double().requires_grad_() for x in made())
    assert torch.autograd.gradcheck(
        lambda p, w: sta_words(Pairs(p, w, MASK), IDS, Form("entmax15"), temperature=0.5),
        (patches, words),
    )
