"""Two rows of the leaderboard side by side, in a browser."""

import pytest

from tests.site.conftest import DESKTOP
from tests.site.test_browser import PHONE, violations

pytestmark = pytest.mark.slow


def test_a_comparison_is_accessible_on_a_phone_too(opened):
    page = opened("index.html", viewport=PHONE)
    for number in range(2):
        page.locator("#board .choose").nth(number).check()
    assert page.locator("#comparison table").count() == 1
    assert violations(page) == []


def test_rows_are_chosen_over_pages_of_the_table(opened):
    page = opened("index.html", viewport=DESKTOP)
    page.locator("#board .choose").nth(0).check()
    page.locator(".dt-paging-button.next").click()
    for number in range(2):
        page.locator("#board .choose").nth(number).check()
    page.locator(".dt-paging-button.previous").click()
    # The oldest of three has given way; chosen again, it takes the place of the next.
    first = page.locator("#board .choose").nth(0)
    assert not first.is_checked()
    first.check()
    first.uncheck()
    assert "Choose a second row" in page.locator("#comparison").inner_text()
    names = page.eval_on_selector_all(
        "#board .choose", "all => all.map(box => box.getAttribute('aria-label'))"
    )
    assert len(set(names)) == len(names)


def test_the_whole_table_is_reached_by_its_region(opened):
    page = opened("index.html", viewport=DESKTOP)
    inside = "[...document.querySelectorAll('.scroll > *, .scroll .dt-layout-cell')]"
    assert page.evaluate(f"{inside}.every(e => getComputedStyle(e).overflowX === 'visible')")
