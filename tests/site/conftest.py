"""The made-up suite of the report's tests, and the site of the released scores."""

import pytest

from sista.site.build import site
from tests.conftest import ROOT
from tests.report.conftest import project

__all__ = ["project"]


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """Return the folder of the site, made from the released scores."""
    out = tmp_path_factory.mktemp("site") / "deep" / "er"
    site(out=out, scores=tuple(sorted((ROOT / "results/released").glob("*/scores.parquet"))))
    return out
