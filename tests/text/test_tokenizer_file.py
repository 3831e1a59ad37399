"""A tokenizer of others is read as what it is, or refused with its reason."""

import json

import pytest

from sista.errors import UserError
from sista.text.tokenizer_file import tokenizer_from
from sista.text.vocabulary import load_vocabulary, tokenise, train_vocabulary
from tests.hostile.kinds_tokenizer import CHANGES

REPORTS = ["no acute cardiopulmonary process.", "large left pleural effusion."] * 3


def test_our_own_is_the_same_again():
    own = train_vocabulary(REPORTS, size=100)
    again = tokenizer_from(own.to_str())
    tables = [tokenise(REPORTS, each, longest=16) for each in (own, again)]
    assert tables[0].ids.tolist() == tables[1].ids.tolist()


def test_lengths_that_a_file_asks_for_play_no_part():
    own = train_vocabulary(REPORTS, size=100)
    text = own.to_str()
    own.enable_padding(length=10**9)
    own.enable_truncation(max_length=3)
    assert tokenizer_from(own.to_str()).to_str() == text


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_vocabulary_is_refused_and_named(tmp_path, name):
    described = json.loads(train_vocabulary(REPORTS, size=100).to_str())
    file = tmp_path / "v.json"
    file.write_text(json.dumps(CHANGES[name](described)))
    with pytest.raises(UserError, match=r"v\.json.*run prepare again"):
        load_vocabulary(tmp_path / "manifest.parquet", {"vocabulary": "v.json"})
