"""Token tables of large corpora: on disk, and equal to what a small one is given."""

import numpy as np
import pytest
import torch

from sista.engine.batches import token_batch
from sista.text import stored_tokens as stored
from sista.text.findings import stated_spans
from sista.text.stored_tokens import stored_tokens
from sista.text.vocabulary import tokenise, train_vocabulary
from tests.made_up_pairs import reports

TEXTS = [*reports(11), "", "no acute process. unremarkable."]
FORM = {"longest": 40, "stop_words": False, "relevant_words": "stated"}


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(stored, "KEPT_FROM", 5)
    monkeypatch.setattr(stored, "PART", 4)


def test_what_is_kept_gives_the_batches_of_what_is_tokenised(tmp_path, small_parts):
    tokenizer = train_vocabulary(TEXTS)
    expected = tokenise(TEXTS, tokenizer, longest=40, spans=stated_spans, words=("seen",))
    for _ in range(2):
        table = stored_tokens(tmp_path, TEXTS, tokenizer, words=("seen",), **FORM)
        assert table.words == expected.words
        assert isinstance(table.ids.base, np.memmap)
        for rows in (np.arange(len(TEXTS)), np.array([3, 0, 11])):
            for packed in (False, True):
                device = torch.device("cpu")
                one = token_batch(expected, rows, device, packed=packed)
                other = token_batch(table, rows, device, packed=packed)
                for name in one._fields:
                    mine, theirs = getattr(one, name), getattr(other, name)
                    same = torch.equal if torch.is_tensor(mine) else np.array_equal
                    if name != "chunks" or not packed:
                        assert same(mine, theirs), name
    assert len(list((tmp_path / "tokens").iterdir())) == 1


def test_other_words_or_settings_have_another_table(tmp_path, small_parts):
    tokenizer = train_vocabulary(TEXTS)
    for change in ({}, {"longest": 20}, {"stop_words": True}, {"words": ("left",)}):
        stored_tokens(tmp_path, TEXTS, tokenizer, **FORM | change)
    stored_tokens(tmp_path, TEXTS[::-1], tokenizer, **FORM)
    assert len(list((tmp_path / "tokens").iterdir())) == 5


def test_a_damaged_table_is_made_again(tmp_path, small_parts):
    tokenizer = train_vocabulary(TEXTS)
    before = stored_tokens(tmp_path, TEXTS, tokenizer, **FORM)
    whole = np.array(before.ids)
    (kept,) = (tmp_path / "tokens").iterdir()
    (kept / "ids.npy").write_bytes((kept / "ids.npy").read_bytes()[:200])
    assert np.array_equal(stored_tokens(tmp_path, TEXTS, tokenizer, **FORM).ids, whole)


def test_a_small_corpus_leaves_nothing_behind(tmp_path):
    stored_tokens(tmp_path, TEXTS, train_vocabulary(TEXTS), **FORM)
    assert list(tmp_path.iterdir()) == []
