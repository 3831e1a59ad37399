import subprocess
import sys

from sista.text.vocabulary import tokenise, train_vocabulary

REPORTS = [
    "no acute cardiopulmonary process.",
    "large left pleural effusion with atelectasis.",
    "small right pleural effusion. the heart is enlarged.",
    "heart size is normal. no pleural effusion.",
] * 3


def test_words_of_a_report():
    tokenizer = train_vocabulary(REPORTS, size=200)
    table = tokenise(REPORTS[:3], tokenizer, longest=64)
    names = [[table.words[i] for i in row if i >= 0] for row in table.word_ids]
    assert names[0] == ["no", "acute", "cardiopulmonary", "process"]
    assert names[2] == ["small", "right", "pleural", "effusion", "heart", "enlarged"]
    most = table.word_ids.shape[1]
    assert (table.slot[:, 0] == most).all(), "[CLS] is no word"
    assert table.slot.max() == most
    for row in range(3):
        assert set(table.slot[row]) - {most} == set(range(len(names[row])))


def test_stop_words_are_a_setting():
    tokenizer = train_vocabulary(REPORTS, size=200)
    table = tokenise(["the heart is enlarged"], tokenizer, longest=64, stop_words=True)
    assert [table.words[i] for i in table.word_ids[0]] == ["the", "heart", "is", "enlarged"]


def test_long_reports_are_cut_and_numbers_go_on():
    tokenizer = train_vocabulary(REPORTS, size=200)
    table = tokenise(REPORTS, tokenizer, longest=8)
    assert table.ids.shape[1] == 8
    later = tokenise(["heart size is new"], tokenizer, longest=8, words=table.words)
    assert later.words[: len(table.words)] == table.words
    assert table.words.index("heart") == later.word_ids[0, 0]


def test_sentences_of_a_report():
    texts = ["heart size is normal . ! no effusion, 3.4 cm drain. ", "no effusion", "."]
    tokenizer = train_vocabulary([*REPORTS, *texts], size=300)
    table = tokenise(texts, tokenizer, longest=64)
    assert table.sentence_pieces.shape == (3, 2)
    none = 2
    assert (table.sentence[:, 0] == none).all(), "[CLS] is in no sentence"
    names = [[tokenizer.id_to_token(i) for i in row] for row in table.ids]
    for number, expected in enumerate(["heart size is normal .", "no effusion , 3 . 4 cm drain ."]):
        found = [n for n, s in zip(names[0], table.sentence[0], strict=True) if s == number]
        assert " ".join(found).replace(" ##", "") == expected
        assert table.sentence_pieces[0, number] == len(found)
    assert list(table.sentence_pieces[1:].sum(1)) == [2, 0]
    short = tokenise(texts, tokenizer, longest=6)
    assert list(short.sentence_pieces[0]) == [4]


def test_an_empty_report_has_no_words():
    table = tokenise(["."], train_vocabulary(REPORTS, size=200), longest=8)
    assert (table.word_ids == -1).all()
    assert table.ids.shape == (1, 3)


def test_the_same_reports_give_the_same_vocabulary_in_another_process():
    code = (
        "from sista.text.vocabulary import train_vocabulary;"
        f"print(train_vocabulary({REPORTS!r}, size=80).to_str())"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert runs[0].stdout == runs[1].stdout
    assert runs[0].stdout.strip() == train_vocabulary(REPORTS[::-1], size=80).to_str()
