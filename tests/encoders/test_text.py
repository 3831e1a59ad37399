import pytest
import torch

from sista.encoders.text import load_pretrained, small_bert
from sista.files import UserError


def test_chunks_and_padding_change_nothing():
    torch.manual_seed(0)
    encoder = small_bert(50, 32).eval()
    length = torch.tensor([20, 3, 11, 7, 16])
    real = torch.arange(20) < length[:, None]
    ids = torch.randint(5, 50, (5, 20)) * real
    whole = encoder(ids, length)
    chunked = encoder(ids, length, (7, 16, 20))
    torch.testing.assert_close(chunked.pooled, whole.pooled)
    torch.testing.assert_close(chunked.tokens[real], whole.tokens[real])
    noisy = torch.where(real, ids, torch.randint(5, 50, (5, 20)))
    torch.testing.assert_close(encoder(noisy, length).pooled, whole.pooled)


def test_a_transformers_folder_is_loaded(tmp_path):
    from transformers import BertTokenizerFast

    encoder = small_bert(5, 16)
    encoder.body.save_pretrained(tmp_path)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "effusion"]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    loaded, tokenizer = load_pretrained(str(tmp_path))
    assert loaded.dim == 128
    assert tokenizer.encode("effusion").tokens[0] == "[CLS]"
    with pytest.raises(UserError, match="could not be loaded"):
        load_pretrained(str(tmp_path / "missing"))
