import pytest
import torch

from sista.encoders.chunks import ReportChunk, length_chunks
from sista.encoders.text import TextEncoder, load_pretrained, small_bert
from sista.errors import UserError


def test_chunks_and_padding_change_nothing():
    torch.manual_seed(0)
    encoder = small_bert(50, 32).eval()
    length = torch.tensor([20, 3, 11, 7, 16])
    real = torch.arange(20) < length[:, None]
    ids = torch.randint(5, 50, (5, 20)) * real
    whole = encoder(ids, length)
    chunks = (ReportChunk(1, 3, True), ReportChunk(2, 11, False), ReportChunk(2, 20, False))
    chunked = encoder(ids, length, chunks)
    torch.testing.assert_close(chunked.pooled, whole.pooled)
    torch.testing.assert_close(chunked.tokens[real], whole.tokens[real])
    noisy = torch.where(real, ids, torch.randint(5, 50, (5, 20)))
    torch.testing.assert_close(encoder(noisy, length).pooled, whole.pooled)


def test_cls_attention_is_that_of_the_last_layer():
    from transformers import BertConfig, BertModel, DistilBertConfig, DistilBertModel

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=50,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=20,
    )
    config._attn_implementation = "eager"
    body = BertModel(config, add_pooling_layer=False).eval()
    encoder = TextEncoder(body)
    length = torch.tensor([20, 3, 11])
    real = torch.arange(20) < length[:, None]
    ids = torch.randint(5, 50, (3, 20)) * real
    out = body(input_ids=ids, attention_mask=real.long(), output_attentions=True)
    expected = out.attentions[-1][:, :, 0].mean(1)
    torch.testing.assert_close(encoder(ids, length, attention=True).attention, expected)
    chunked = encoder(ids, length, length_chunks(length.numpy(), 0.0), attention=True)
    torch.testing.assert_close(chunked.attention, expected)
    assert not chunked.attention.requires_grad
    assert encoder(ids, length).attention is None
    small = DistilBertConfig(vocab_size=50, n_layers=1, dim=32, n_heads=4, hidden_dim=32)
    other = TextEncoder(DistilBertModel(small))
    with pytest.raises(UserError, match="DistilBertModel: its"):
        other(ids, length, attention=True)


def test_the_small_report_encoder_starts_with_its_branches_awake():
    torch.manual_seed(0)
    encoder = small_bert(50, 32)
    spread = []
    for name, module in encoder.body.named_modules():
        if name.endswith("output.dense"):
            module.register_forward_hook(
                lambda _, __, out: spread.append(float(out.detach().std()))
            )
    encoder(torch.randint(0, 50, (4, 20)), torch.tensor([20] * 4))
    assert len(spread) == 2
    assert min(spread) > 0.1


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
