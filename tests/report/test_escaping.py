"""Names that would be tags, formulas, commands or colours stay names in every format."""

import csv
import io
import re
import subprocess
from html.parser import HTMLParser

import pandas as pd
import pytest

from sista import tables
from sista.errors import UserError, printable
from sista.report import cells, formats, latex, printing
from sista.report.escaping import csv_frame, csv_text, latex_text, markdown_code, markdown_text
from sista.scoring.main_rows import main_rows

NAMES = [
    "<script>alert(1)</script>",
    "=HYPERLINK(1)",
    "+1",
    "-2+3",
    "@SUM(1)",
    "a | b",
    "`x` <img src=x onerror=y>",
    "[a](javascript:b)",
    "\x1b[31mred\x1b]0;title\x07",
    "\u202eabc",
    "a\nb",
    "$x$ \\input{/etc/passwd} %",
]


@pytest.fixture(scope="module")
def table(scores):
    frame, meta = scores
    whole = cells.task_table(main_rows(frame, meta["main_metrics"]), "detection")
    row = whole.blocks[0].rows["clip"]
    block = cells.Block(NAMES[0], "resnet", (NAMES[1],), dict.fromkeys(NAMES, row))
    return cells.TaskTable("detection", " ".join(NAMES), whole.columns, (block,), tuple(NAMES))


def test_no_cell_of_a_csv_is_a_formula(table):
    rows = list(csv.reader(io.StringIO(formats.to_csv(table))))
    assert len(rows) == 1 + len(NAMES)
    for row in rows:
        for cell in row:
            number = re.fullmatch(r"-?[\d.]+", cell)
            assert number or not cell.startswith(("=", "+", "-", "@", "\t", "\r"))


def test_numbers_and_words_of_a_frame_keep_their_bytes():
    frame = pd.DataFrame({"variant": ["sista", "=1"], "difference": [-0.5, 2.0], "=a": [1, -1]})
    safe = csv_frame(frame)
    assert list(safe["variant"]) == ["sista", "'=1"]
    assert list(safe["difference"]) == [-0.5, 2.0]
    assert list(safe.columns) == ["variant", "difference", "'=a"]


def test_markdown_holds_no_tag_no_link_and_no_more_cells(table):
    text = formats.to_markdown(table)
    # What stands in code is literal.
    plain = re.sub(r"`[^`]*`", "", text.replace("\\`", ""))
    assert not re.search(r"<[a-z/]", plain)
    assert not re.search(r"(?<!\\)\[[^]]*\]\(", plain)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1
    assert len(lines) == 3 + len(NAMES)
    assert "\x1b" not in text


def test_html_holds_only_the_templates_tags(table):
    found = set()

    class Tags(HTMLParser):
        def handle_starttag(self, tag, attrs):
            found.add(tag)
            found.update(name for name, _ in attrs if name.startswith("on"))

    text = formats.to_html(table)
    Tags().feed(text)
    assert not found & {"script", "img", "onerror"}
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202a-\u202e]", text)


def test_latex_holds_no_command_of_a_name(table):
    text = latex.to_latex(table)
    assert r"\input" not in text
    assert not re.search(r"(?<!\\)\$x", text)
    assert text.count("{") == text.count("}")


def test_the_terminal_shows_control_characters_as_text(table, capsys, tmp_path):
    printing.print_tables([table], tmp_path / "\x1b[2Jpage.html")
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "\\x1b[31mred" in out


def test_errors_are_printed_without_control_characters(capfd):
    from sista.__main__ import main

    assert main(["show", "no\x1b[31m\udc80.parquet"]) == 1
    told = capfd.readouterr().err
    assert "\x1b[31m\\" not in told
    assert "\\x1b[31m\\udc80" in told


@pytest.mark.parametrize("text", ["", "ä ± → plain\n\ttext", "sista_no_sta"])
def test_plain_text_stays_as_it_is(text):
    assert printable(text) == text


@pytest.mark.parametrize("word", ["sista", "sista_no_sta", "a-b.c+d@e"])
def test_words_keep_their_bytes_in_every_format(word):
    assert csv_text(word) == markdown_text(word) == word
    assert markdown_code(word) == f"`{word}`"
    assert latex_text(word) == word.replace("_", r"\_")


@pytest.mark.parametrize("name", ["variant", "code_version", "method", "metric"])
@pytest.mark.parametrize("word", ["<b>", "=1", "--output=x", "a b", "../x"])
def test_scores_of_others_hold_words(scores, name, word, tmp_path):
    frame, _ = scores
    with pytest.raises(UserError, match=f"column '{name}'"):
        tables.validate(frame.head(1).assign(**{name: word}), "scores")


@pytest.mark.parametrize("path", ["/etc/passwd", "results/../../x", "..", "a/.."])
def test_scores_of_others_name_no_file_elsewhere(scores, path):
    frame, _ = scores
    with pytest.raises(UserError, match="column 'predictions'"):
        tables.validate(frame.assign(predictions=path), "scores")


def test_a_version_that_is_an_option_of_git_writes_nothing(scores, tmp_path):
    from sista.lineage.reproduce import same_code

    frame, _ = scores
    row = frame.iloc[0].to_dict() | {"code_version": f"--output={tmp_path / 'made'}"}
    with pytest.raises(UserError, match="is no word"):
        same_code(row)
    assert not (tmp_path / "made").exists()
    # The danger is real.
    command = ["git", "diff", "--quiet", str(row["code_version"]), "--"]
    subprocess.run(command, capture_output=True)
    assert (tmp_path / "made").exists()
