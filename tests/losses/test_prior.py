from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from sista.losses.info_nce import info_nce
from sista.losses.prior import patch_agreement, sentence_contrast, sigmoid_attention
from sista.methods.prior import LocalAlignment

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "prior.npz")
EXACT = {"rtol": 1e-9, "atol": 1e-11}
TEMPERATURES = {"t001": 0.01, "t01": 0.1}


def inputs(dtype=torch.float64):
    patches, sentences = (torch.tensor(GOLDEN[k], dtype=dtype) for k in ("img", "sentences"))
    mask = torch.arange(6) < torch.tensor(GOLDEN["n_sentences"])[:, None]
    return patches.requires_grad_(), sentences.requires_grad_(), mask


def alignment(dtype=torch.float64):
    module = LocalAlignment(32).to(dtype)
    state = {}
    for role in ("query", "key", "value"):
        for number, side in ((1, "image"), (2, "text")):
            for kind in ("weight", "bias"):
                name = f"w.local_cross_attention.{role}{number}.{kind}"
                state[f"{role}.{side}.{kind}"] = torch.tensor(GOLDEN[name])
    for layer in (0, 2):
        for kind in ("weight", "bias"):
            state[f"predictor.{layer}.{kind}"] = torch.tensor(GOLDEN[f"w.predictor.{layer}.{kind}"])
    module.load_state_dict(state)
    return module


@pytest.mark.parametrize("side", ["text", "image"])
@pytest.mark.parametrize("name", list(TEMPERATURES))
def test_golden_value_and_gradient(name, side):
    patches, sentences, mask = inputs()
    text, image = alignment()(
        patches, sentences, mask, torch.tensor(TEMPERATURES[name], dtype=torch.float64)
    )
    np.testing.assert_allclose(text.detach(), GOLDEN[f"{name}_text_loss_per_report"], **EXACT)
    loss = {"text": text, "image": image}[side].mean()
    loss.backward()
    np.testing.assert_allclose(loss.item(), GOLDEN[f"{name}_local_{side}_loss"], **EXACT)
    to_img = GOLDEN[f"{name}_local_{side}_grad_img"]
    np.testing.assert_allclose(patches.grad, to_img, **EXACT)
    to_sentences = GOLDEN[f"{name}_local_{side}_grad_sentences"]
    # The image side stops the gradient of the text it read in one of its two terms only.
    np.testing.assert_allclose(sentences.grad, to_sentences, **EXACT)
    assert text[0].item() == 0.0


@pytest.mark.parametrize("name", list(TEMPERATURES))
def test_global_golden(name):
    image, report = (torch.tensor(GOLDEN[k]).requires_grad_() for k in ("gimg", "gtxt"))
    loss = info_nce(image, report, temperature=TEMPERATURES[name])
    loss.backward()
    np.testing.assert_allclose(loss.item(), GOLDEN[f"{name}_global_loss"], **EXACT)
    norms = [x.grad.norm() for x in (image, report)]
    np.testing.assert_allclose(norms, GOLDEN[f"{name}_global_gradnorm"], **EXACT)


@pytest.mark.parametrize(("name", "rtol"), [("t001", 1e-3), ("t01", 1e-4)])
def test_single_precision_is_close(name, rtol):
    module = alignment(torch.float32)
    text, image = module(*inputs(torch.float32), torch.tensor(TEMPERATURES[name]))
    for found, side in ((text, "text"), (image, "image")):
        expected = GOLDEN[f"{name}_local_{side}_loss"]
        np.testing.assert_allclose(found.mean().item(), expected, rtol=rtol, atol=1e-5)


def test_contexts_golden_and_naive_loops():
    patches, sentences, mask = inputs()
    module = alignment()
    seen, read = module.contexts(patches, sentences, mask)
    np.testing.assert_allclose(read.detach(), GOLDEN["context_patches"], **EXACT)
    text, image = module(patches, sentences, mask, torch.tensor(0.1, dtype=torch.float64))
    for b in range(len(patches)):
        valid = sentences[b][mask[b]]
        context = []
        for y in valid:
            query = module.query["text"](y)
            context.append(
                sum(
                    torch.sigmoid(query @ module.key["image"](x) / 32**0.5)
                    * module.value["image"](x)
                    for x in patches[b]
                )
            )
        context = torch.stack(context)
        torch.testing.assert_close(seen[b][mask[b]], context)
        logits = F.normalize(context, dim=1) @ F.normalize(valid, dim=1).T / 0.1
        own = torch.arange(len(valid))
        expected = (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
        torch.testing.assert_close(text[b], expected)
        pairs = [
            F.cosine_similarity(module.predictor(x), e, dim=0)
            + F.cosine_similarity(module.predictor(e), x, dim=0)
            for x, e in zip(patches[b], read[b], strict=True)
        ]
        torch.testing.assert_close(image[b], -torch.stack(pairs).mean() / 2)


def test_padding_never_leaks():
    patches, sentences, mask = inputs()
    module, temperature = alignment(), torch.tensor(0.1, dtype=torch.float64)
    first = module(patches, sentences, mask, temperature)
    noisy = torch.where(mask.unsqueeze(2), sentences, 1e3 * torch.randn_like(sentences))
    second = module(patches, noisy, mask, temperature)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    sum(part.sum() for part in module(patches, sentences, mask, temperature)).backward()
    assert sentences.grad[~mask].abs().sum() == 0


def test_gradcheck():
    torch.manual_seed(0)
    mask = torch.arange(3) < torch.tensor([3, 2])[:, None]

    def draw(*shape):
        return torch.randn(*shape, dtype=torch.float64, requires_grad=True)

    parts = (draw(2, 3, 4), draw(2, 3, 4))
    assert torch.autograd.gradcheck(
        lambda c, s: sentence_contrast(c, s, mask, temperature=0.5), parts
    )
    attended = (draw(2, 2, 4), draw(2, 3, 4), draw(2, 3, 4))
    assert torch.autograd.gradcheck(lambda q, k, v: sigmoid_attention(q, k, v, mask), attended)
    predictor = torch.nn.Linear(4, 4, dtype=torch.float64)
    x, e = draw(2, 3, 4), draw(2, 3, 4)
    # The stopped terms as constants: what is left must have the numerical gradient.
    x0, e0 = x.detach().clone(), e.detach().clone()

    def kept(a, b):
        forth = F.cosine_similarity(predictor(a), e0, dim=-1)
        return -(forth + F.cosine_similarity(predictor(b), x0, dim=-1)).mean(1) / 2

    assert torch.autograd.gradcheck(kept, (x, e))
    ours = torch.autograd.grad(patch_agreement(x, e, predictor).sum(), (x, e))
    torch.testing.assert_close(ours, torch.autograd.grad(kept(x, e).sum(), (x, e)))
