"""Token tables of large corpora: on disk, and equal to what a small one is given."""

from concurrent.futures import ThreadPoolExecutor

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


def test_processes_of_one_run_make_them_once(tmp_path, small_parts, monkeypatch):
    # Each process has its own, which changes while it is used.
    tokenizers = [train_vocabulary(TEXTS) for _ in range(4)]
    made = []
    write = stored._write

    def counted(folder, *form):
        made.append(folder)
        write(folder, *form)

    monkeypatch.setattr(stored, "_write", counted)
    with ThreadPoolExecutor(4) as pool:
        every = [pool.submit(stored_tokens, tmp_path, TEXTS, one, **FORM) for one in tokenizers]
    assert len({len(one.result().ids) for one in every}) == 1
    assert len(made) == 1


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
    assert len(list((tmp_path / "tokens").glob("[!.]*"))) == 1


def test_other_words_or_settings_have_another_table(tmp_path, small_parts):
    tokenizer = train_vocabulary(TEXTS)
    for change in ({}, {"longest": 20}, {"stop_words": True}, {"words": ("left",)}):
        stored_tokens(tmp_path, TEXTS, tokenizer, **FORM | change)
    stored_tokens(tmp_path, TEXTS[::-1], tokenizer, **FORM)
    assert len(list((tmp_path / "tokens").glob("[!.]*"))) == 5


def test_a_damaged_table_is_made_again(tmp_path, small_parts):
    tokenizer = train_vocabulary(TEXTS)
    before = stored_tokens(tmp_path, TEXTS, tokenizer, **FORM)
    whole = np.array(before.ids)
    (kept,) = (tmp_path / "tokens").glob("[!.]*")
    (kept / "ids.npy").write_bytes((kept / "ids.npy").read_bytes()[:200])
    assert np.array_equal(stored_tokens(tmp_path, TEXTS, tokenizer, **FORM).ids, whole)


def test_a_small_corpus_leaves_nothing_behind(tmp_path):
    stored_tokens(tmp_path, TEXTS, train_vocabulary(TEXTS), **FORM)
    assert list(tmp_path.iterdir()) == []
