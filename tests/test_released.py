"""What is released: texts that anybody may read, so none that names places of a machine."""

import re

import pytest

from tests.conftest import ROOT

RELEASED = ROOT / "results" / "released"
# A path starts here: not in the middle of another one or of an address such as https://x.org/home/.
PLACE = re.compile(r"(?<![\w.~%-])(?<!:/)/(?:tmp|work|home|root)/")


def texts() -> dict[str, str]:
    """Return the released text files by name; tables and pictures are not text."""
    found = {}
    for path in sorted(RELEASED.rglob("*")):
        if path.is_file():
            try:
                found[path.relative_to(RELEASED).as_posix()] = path.read_bytes().decode()
            except UnicodeDecodeError:
                continue
    return found


def test_no_released_text_names_a_place_of_a_machine():
    read = texts()
    assert {name.rpartition(".")[2] for name in read} >= {"csv", "html", "md", "svg", "tex"}
    assert "phantom/classification.html" in read
    assert {name: found[0] for name, text in read.items() if (found := PLACE.search(text))} == {}


@pytest.mark.parametrize(
    "text", ["<td>/{}/a", "/{}/me/a", "x=/{}/a", "file:///{}/a", "at:/{}/a", '"/{}/a"']
)
@pytest.mark.parametrize("root", ["tmp", "work", "home", "root"])
def test_a_place_of_a_machine_is_seen(text, root):
    assert PLACE.search(text.format(root))


@pytest.mark.parametrize(
    "text", ["https://x.org/{}/a", "https://{}/a", "results/{}/a", "../{}/a", "~/{}/a"]
)
@pytest.mark.parametrize("root", ["tmp", "work", "home", "root"])
def test_an_address_and_a_path_inside_the_project_are_none(text, root):
    assert not PLACE.search(text.format(root))
