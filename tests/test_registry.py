"""The registry: words, their constants and settings, and which files a word depends on."""

import subprocess
import sys
from pathlib import Path

import pytest

from sista import registry
from sista.errors import UserError

WORDS = [(kind, name) for kind in registry.KINDS for name in registry.names(kind)]


def test_words_are_the_files():
    assert {"random_init", "imagenet", "clip", "sista", "supervised"} <= set(
        registry.names("methods")
    )
    assert not [name for _, name in WORDS if name.startswith("_")]


@pytest.mark.parametrize(("kind", "name"), WORDS, ids=[f"{k}-{n}" for k, n in WORDS])
def test_every_file_describes_itself(kind, name):
    text = registry.path(kind, name).read_text()
    assert text.startswith('"""')
    assert f"sista/{kind}/{name}.py" in registry.sources(kind, name)


@pytest.mark.parametrize("kind", ["datasets", "protocols", "importers"])
def test_planning_words_load_without_torch(kind):
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from sista import registry\n"
        f"[registry.find({kind!r}, name) for name in registry.names({kind!r})]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_wrong_word_is_answered_with_the_valid_ones():
    with pytest.raises(UserError, match=r"unknown method 'clap'; valid: .*clip"):
        registry.find("methods", "clap")
    with pytest.raises(UserError, match=r"no module sista\.nothing"):
        registry.module_sources("sista.nothing")


def test_constants_and_settings_are_read_without_importing():
    assert registry.constant("heads", "unet", "TASK") == "segmentation"
    with pytest.raises(UserError, match=r"unet\.py: needs the constant NOPE"):
        registry.constant("heads", "unet", "NOPE")
    settings = registry.settings("methods", "sista")
    assert isinstance(settings["w_sta"].default, float)
    # The alias `Mode` is defined in sista/losses/sia.py.
    assert "Literal['eliminate', 'attract'" in settings["sia_mode"].annotation
    # `finetune = linear`
    assert list(registry.settings("heads", "finetune")) == ["exclusive", "standardise"]


@pytest.mark.parametrize(
    ("annotation", "good", "bad"),
    [
        ("bool", [True, False], [1, "yes"]),
        ("int", [3], [3.5, True, "3"]),
        ("float", [3, 0.5], [True, "3"]),
        ("float | None", [None, 0.1], ["none"]),
        ("Literal['a', 'b']", ["a", "b"], ["c", 1]),
        ("Literal['a'] | float", ["a", 0.5], ["c"]),
    ],
)
def test_values_are_checked_against_the_signature(annotation, good, bad):
    setting = registry.Setting("x", annotation, None)
    assert [value for value in good if registry.check_setting(setting, value)] == []
    assert [value for value in bad if not registry.check_setting(setting, value)] == []


def test_a_closure_holds_what_a_word_uses_and_no_other_word():
    sista = registry.sources("methods", "sista")
    assert {"sista/losses/sia.py", "sista/losses/sta.py"} <= set(sista)
    assert "sista/losses/sia.py" not in registry.sources("methods", "clip")


@pytest.mark.parametrize(("kind", "name"), WORDS, ids=[f"{k}-{n}" for k, n in WORDS])
def test_a_closure_holds_no_word_of_another_kind(kind, name):
    files = {Path(f) for f in registry.sources(kind, name)}
    for other in set(registry.KINDS) - {kind}:
        words = {f for f in files if f.parent == Path("sista") / other}
        # A `_file` is no word, but what the words of a folder share.
        assert {f for f in words if not f.stem.startswith("_")} == set()
