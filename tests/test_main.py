"""The command line: complete help, quick start without torch, errors without a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sista import __main__, __version__, registry

ROOT = Path(__file__).resolve().parent.parent
VERBS = ("fetch", "prepare", "pretrain", "adapt", "score", "report")
PASSING = ("reproduce", "crate", "curves", "site")
LOOKING = ("import", "list", "similarity", "show", "compare", "status", "watch", "trace", "verify")
AUDITS = ("schema", "audit split", "audit phantom")
BLOCKED = "import sys; sys.modules['torch'] = None; from sista.__main__ import main; "


def sista(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = BLOCKED + "sys.exit(main(sys.argv[1:]))"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True
    )


def test_help_names_every_verb_in_a_second_and_without_torch():
    started = os.times()
    done = sista("--help")
    ended = os.times()
    # Of the processor, so that a busy machine does not count.
    spent = ended.children_user + ended.children_system
    assert spent - started.children_user - started.children_system < 1.5
    assert done.returncode == 0
    places = [done.stdout.index(f"│ {verb} ") for verb in VERBS]
    assert places == sorted(places)
    assert sista("--version").stdout.strip() == __version__


@pytest.mark.parametrize("verb", ["fetch", "prepare", "pretrain", "adapt"])
def test_help_of_a_stage_needs_no_torch(verb):
    done = sista(verb, "--help")
    assert done.returncode == 0
    assert "--out" in done.stdout


@pytest.mark.parametrize("verb", [*VERBS, *LOOKING, *AUDITS, *PASSING])
def test_every_parameter_of_every_verb_has_a_help_text(verb, capsys):
    app = __main__.app
    for word in verb.split():
        app = app[word]
    assert app.help
    arguments = app.assemble_argument_collection(parse_docstring=True)
    bare = [argument.name for argument in arguments if not argument.parameter.help]
    assert bare == []


def test_an_error_has_no_traceback_and_names_file_and_remedy():
    done = sista("status", "--grid", "absent.yaml")
    assert done.returncode == 1
    assert done.stderr.startswith("error: absent.yaml: no such grid; give one of benchmarks/")
    assert "Traceback" not in done.stderr


def test_list_shows_words_with_access_and_licence():
    done = sista("list", "datasets")
    assert done.returncode == 0
    text = " ".join(done.stdout.split())
    assert "rsna_pneumonia" in text
    assert "PhysioNet" in text
    assert "resnet50" in sista("list", "encoders").stdout
    assert "tiny" in sista("list", "budgets").stdout
    assert "clip" in sista("list", "methods").stdout


def test_the_readme_names_every_method():
    text = (ROOT / "README.md").read_text()
    missing = [word for word in registry.names("methods") if f"`{word}`" not in text]
    assert missing == []


def test_status_counts_what_is_there():
    done = sista("status", "--grid", "benchmarks/paper.yaml")
    assert done.returncode == 0
    assert "pretrain" in done.stdout
    assert "to do" in done.stdout
    assert "next to do: results/" in done.stdout
