import json
from pathlib import Path

import numpy as np
import torch

from sista.encoders.image import ImageEncoder
from sista.encoders.specs import EncoderSpec
from sista.encoders.text import small_bert
from sista.engine.batches import Batch
from sista.engine.interface import Needs
from sista.engine.model import PretrainModel, sum_pieces
from sista.engine.views import ViewPolicy
from sista.text.vocabulary import bert_tokenizer, tokenise

GOLDEN = Path(__file__).parents[1] / "golden"
RESNET = EncoderSpec("r", "resnet", "resnet10t", 32, {"channels": (8, 8, 8, 8), "stem_width": 8})


def test_words_are_the_sum_of_their_pieces():
    golden = np.load(GOLDEN / "word_aggregation.npz")
    slot = torch.tensor(golden["word_index"])
    most = golden["gloria_words"].shape[2]
    slot = torch.where(slot < 0, most, slot)
    layers = torch.tensor(golden["embeddings"])
    for layer in range(layers.shape[1]):
        found = sum_pieces(layers[:, layer], slot, most)
        np.testing.assert_allclose(found, golden["gloria_words"][:, layer], atol=1e-13)


def test_pieces_belong_to_the_words_of_the_golden():
    """Our own way from text to slots, for the golden's reports of known words."""
    told = json.loads((GOLDEN / "word_aggregation.json").read_text())
    index = np.load(GOLDEN / "word_aggregation.npz")["word_index"]
    vocabulary = {piece: n for n, piece in enumerate(told["vocabulary"])}
    tokenizer = bert_tokenizer(vocabulary)
    for row in (0, 2, 3):
        pieces = [p for p in told["token_strings"][row] if p not in ("[CLS]", "[SEP]", "[PAD]")]
        text = " ".join(pieces).replace(" ##", "")
        table = tokenise([text], tokenizer, longest=16, stop_words=True)
        # The golden counts [CLS] as a word, we do not.
        np.testing.assert_array_equal(table.slot[0, 1:-1], index[row, 1 : len(pieces) + 1] - 1)


def test_dropped_pieces_get_no_gradient():
    tokens = torch.randn(2, 3, 4, requires_grad=True)
    slot = torch.tensor([[0, 0, 2], [2, 1, 2]])
    sum_pieces(tokens, slot, 2).sum().backward()
    assert torch.equal(tokens.grad.sum(-1) > 0, slot < 2)


def test_a_momentum_target_follows_and_has_no_gradient():
    image = ImageEncoder(RESNET)
    needs = Needs(pixels=True, momentum=True, width=4, views=ViewPolicy())
    model = PretrainModel(image, None, needs, 0)
    assert not any(p.requires_grad for p in model.target.parameters())
    with torch.no_grad():
        for parameter in model.pixel_head.parameters():
            parameter.add_(1.0)
    before = [p.clone() for p in model.target.pixel_head.parameters()]
    model.target.follow(model.image, model.pixel_head, 0.9)
    for old, new in zip(before, model.target.pixel_head.parameters(), strict=True):
        torch.testing.assert_close(new, old + 0.1)
    for own, other in zip(model.target.image.parameters(), image.parameters(), strict=True):
        torch.testing.assert_close(own, other)


def test_a_frozen_text_encoder_stays_as_it_starts():
    needs = Needs(text=True, freeze_text=True, width=4)
    model = PretrainModel(ImageEncoder(RESNET), small_bert(20, 8), needs, 0).train()
    assert model.image.training
    assert not model.text.training
    ids = torch.randint(5, 20, (3, 6))
    empty = torch.empty(0)
    full = torch.full((3,), 6)
    slot = torch.zeros(3, 6, dtype=torch.long)
    images = torch.rand(3, 32, 32)
    one = slot[:, :1]
    e = model(Batch(images, ids, full, (), slot, one, full, slot, one, empty, empty))
    (e.report.sum() + e.image.sum()).backward()
    assert all(p.grad is None for p in model.text.parameters())
    assert all(p.grad is not None for p in model.text_head.parameters())


def test_the_classifier_starts_at_the_frequency_of_each_label():
    torch.manual_seed(0)
    model = PretrainModel(ImageEncoder(RESNET), None, Needs(classifier=True), 2).eval()
    labels = torch.tensor([[1.0, float("nan")], [0.0, 0.0], [0.0, 0.0]])
    model.start_at(labels)
    with torch.no_grad():
        frequency = model.classifier(torch.randn(4, model.image.dim)).sigmoid()
    # Two more studies, one with and one without the finding, keep it within (0, 1).
    expected = torch.tensor([2 / 5, 1 / 4]).expand(4, 2)
    torch.testing.assert_close(frequency, expected, atol=0.02, rtol=0.0)
