"""The made-up suite of the report's tests, the site of the released scores, and a browser."""

import contextlib
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from sista.site.build import site
from tests.conftest import ROOT
from tests.report.conftest import project

__all__ = ["project"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
DESKTOP = {"width": 1440, "height": 900}


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """Return the folder of the site, made from the released scores."""
    folder = tmp_path_factory.mktemp("site")
    # As it is usually given: mkdocs takes other relative places than ours.
    with contextlib.chdir(folder):
        scores = tuple(sorted((ROOT / "results/released").glob("*/scores.parquet")))
        site(out=Path("deep/er"), scores=scores)
    return folder / "deep/er"


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("needs chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def opened(browser, built):
    """Return a function that opens a page and fails on errors and on requests to a network."""
    faults: list[str] = []
    contexts = []

    def start(place: str = "index.html", folder: Path = built, **settings):
        context = browser.new_context(**{"viewport": DESKTOP, **settings})
        contexts.append(context)
        # Other work on the machine is no fault of the page.
        context.set_default_timeout(120_000)
        page = context.new_page()
        page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda r: faults.append(r.url) if not _own(r.url) else None)
        file, _, view = place.partition("#")
        page.goto(place if place == "about:blank" else f"{(folder / file).as_uri()}#{view}")
        if place.startswith("index.html"):
            page.wait_for_selector("html[data-board=ready]", state="attached")
        return page

    yield start
    for context in contexts:
        context.close()
    assert faults == []


def _own(url: str) -> bool:
    return url.startswith(("file:", "data:", "blob:", "about:"))
