"""Copies of the results of a small grid."""

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from sista.runs import ancestry as chain
from tests.lineage.suite import build


@dataclass
class Tree:
    """A folder with a grid and all its results."""

    root: Path

    @property
    def results(self) -> Path:
        return self.root / "results"

    @property
    def page(self) -> Path:
        return self.results / "report" / "suite"

    def find(self, pattern: str) -> Path:
        return sorted(self.results.glob(pattern))[0]


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> Path:
    """Return a folder with the results; drawing figures is too slow to do it for every test."""
    folder = tmp_path_factory.mktemp("built")
    with contextlib.chdir(folder):
        build()
    return folder


@pytest.fixture
def tree(built, tmp_path, monkeypatch) -> Tree:
    """Return a copy of the results, in the current folder."""
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    chain.hash_of.cache_clear()
    return Tree(Path())
