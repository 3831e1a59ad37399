import json
from pathlib import Path

import numpy as np
import torch

from sista.engine.model import sum_pieces

GOLDEN = Path(__file__).parents[1] / "golden"


def test_words_are_the_sum_of_their_pieces():
    golden = np.load(GOLDEN / "word_aggregation.npz")
    slot = torch.tensor(golden["word_index"])
    most = golden["gloria_words"].shape[2]
    slot = torch.where(slot < 0, most, slot)
    layers = torch.tensor(golden["embeddings"])
    for layer in range(layers.shape[1]):
        found = sum_pieces(layers[:, layer], slot, most)
        np.testing.assert_allclose(found, golden["gloria_words"][:, layer], atol=1e-13)
    assert json.loads((GOLDEN / "word_aggregation.json").read_text())


def test_dropped_pieces_get_no_gradient():
    tokens = torch.randn(2, 3, 4, requires_grad=True)
    slot = torch.tensor([[0, 0, 2], [2, 1, 2]])
    sum_pieces(tokens, slot, 2).sum().backward()
    assert torch.equal(tokens.grad.sum(-1) > 0, slot < 2)
