"""CITATION.cff is a citation file of version 1.2.0, of the version that the package has."""

import tomllib

import yaml

from tests.conftest import ROOT


def test_the_citation_is_that_of_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    # What the format requires, and what it takes from us.
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] == "software"
    assert all(set(author) == {"name"} for author in citation["authors"])
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]
