"""The site as a person meets it: a browser without a network opens every page from a file."""

import json
import re
import shutil
import zlib
from collections import deque
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe

from sista.site import board
from sista.site.build import site
from sista.site.leaderboard import leaderboard, read_grids
from tests.conftest import ROOT
from tests.site.conftest import DESKTOP

pytestmark = pytest.mark.slow

LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
PHONE = {"width": 390, "height": 844}
RELEASED = sorted((ROOT / "results/released").glob("*/scores.parquet"))


def pages(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.html"))


def shown(page) -> list[list[str]]:
    """Return the texts of the table's rows."""
    return page.eval_on_selector_all(
        "#board tbody tr", "rows => rows.map(r => [...r.cells].map(c => c.innerText.trim()))"
    )


def choice(page, name: str):
    return page.locator(f"#filters select[name={name}]")


def columns(page, *titles: str) -> list[tuple[str, ...]]:
    """Return the texts of some columns, row by row."""
    heads = page.eval_on_selector_all("#board thead th", "all => all.map(h => h.innerText.trim())")
    places = [heads.index(title) for title in titles]
    return [tuple(row[place] for place in places) for row in shown(page)]


def column(page, title: str) -> list[str]:
    return [text for (text,) in columns(page, title)]


def violations(page) -> list[str]:
    # It would fetch the style sheets again, which a page opened from a file may not.
    options = {"runOnly": {"type": "tag", "values": LEVELS}, "preload": False}
    found = Axe().run(page, options=options)
    return [
        f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in found.response["violations"]
    ]


def test_every_page_opens_without_a_fault_and_is_accessible(opened, built):
    wrong = {}
    page = opened()
    for place in pages(built):
        page.goto((built / place).as_uri())
        if found := violations(page):
            wrong[place] = found
    assert wrong == {}


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_kinds_of_pages_are_accessible_in_all_looks(opened, viewport, scheme):
    places = ["index.html", "grids/phantom_seeds.html", "runs/phantom_seeds/sista.html"]
    places += ["words/methods.html", "pitfalls.html", "quick_start.html", "reference/metrics.html"]
    for place in places:
        page = opened(place, viewport=viewport, color_scheme=scheme)
        assert violations(page) == [], place
        # Nothing but tables and code scrolls sideways.
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"], place


class _Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "a" and given.get("href"):
            self.found.append(given["href"])


def test_every_page_is_three_steps_away_and_no_link_is_dead(built):
    """Links of the table are made by its script: those of its rows are added."""
    index = (built / "index.html").resolve()
    steps, queue = {index: 0}, deque([index])
    dead = []
    while queue:
        place = queue.popleft()
        parser = _Links()
        parser.feed(place.read_text())
        if place == index:
            packed = json.loads((built / "assets/rows.js").read_text().partition("=")[2][:-2])
            parser.found += [f"grids/{name}.html" for name in packed["words"]["grid"]]
        for link in parser.found:
            if re.match(r"[a-z]+:|#", link):
                continue
            target = (place.parent / link.partition("#")[0]).resolve()
            if not target.exists():
                dead.append((place.name, link))
            elif target.suffix == ".html" and target not in steps:
                steps[target] = steps[place] + 1
                queue.append(target)
    assert dead == []
    assert {built / name for name in pages(built)} == set(steps)
    assert max(steps.values()) <= 3


def test_rows_are_sorted_filtered_and_searched(opened):
    page = opened()
    values = [float(text.split()[0]) for text in column(page, "Value")]
    assert len(values) > 5
    assert values == sorted(values, reverse=True)
    page.get_by_role("columnheader", name="Variant").click()
    names = [text.split()[0] for text in column(page, "Variant")]
    assert names == sorted(names)
    choice(page, "fraction").select_option("10 %")
    assert set(column(page, "Labels")) == {"10 %"}
    names = [text.split()[0] for text in column(page, "Variant")]
    # Their order is the reader's still.
    assert names == sorted(names)
    choice(page, "task").select_option("segmentation")
    assert page.locator("#reading").inner_text().startswith("Dice (images with a lesion)")
    page.get_by_label("Search in all columns").fill("sista_no_sta")
    assert {text.split()[0] for text in column(page, "Variant")} == {"sista_no_sta"}
    page.get_by_role("button", name="Take all filters back").click()
    assert len(set(column(page, "Data set"))) >= 1


def test_a_column_holds_one_protocol_and_one_metric(opened):
    page = opened()
    for name in ("protocol", "metric"):
        options = choice(page, name).locator("option").all_inner_texts()
        assert "all" not in options
    for protocol in choice(page, "protocol").locator("option").all_inner_texts():
        choice(page, "protocol").select_option(protocol)
        assert page.locator("#reading").inner_text().endswith(f"protocol {protocol}")
        assert shown(page)


def test_a_view_has_an_address(opened):
    page = opened(
        "index.html#metric=dice_positive&dataset=rsna_pneumonia%40phantom&fraction=10+%25"
    )
    assert set(column(page, "Data set")) == {"rsna_pneumonia@phantom"}
    assert page.locator("#reading").inner_text().startswith("Dice (images with a lesion)")


def test_every_number_on_the_screen_is_that_of_the_scores(opened):
    """All rows of all protocols and metrics, read from the cells."""
    rows = leaderboard(read_grids(RELEASED))
    expected = sorted(
        (r.grid, r.variant, r.encoder, r.dataset, r.head, r.fraction, r.metric,
         board.shown_value(r), board.shown_interval(r))
        for r in rows.itertuples()
    )  # fmt: skip
    page = opened()
    page.get_by_label("entries per page").select_option("-1")
    found = []
    for protocol in choice(page, "protocol").locator("option").all_inner_texts():
        page.get_by_role("button", name="Take all filters back").click()
        choice(page, "protocol").select_option(protocol)
        metrics = page.eval_on_selector_all(
            "select[name=metric] option", "all => all.map(o => o.value)"
        )
        for metric in metrics:
            choice(page, "metric").select_option(metric)
            names = ("Grid", "Variant", "Encoder", "Data set", "Head", "Labels", "Value")
            for row in columns(page, *names, "95 % interval"):
                grid, variant, encoder, data, head, share, value, interval = row
                fraction = 0 if share == "no labels" else int(share.split()[0])
                text = value if not value.startswith("n/a") else "n/a"
                place = (grid, variant.split()[0], encoder, data, head, fraction, metric)
                found.append((*place, text.partition("\n")[0], interval))
    assert sorted(found) == expected


def test_results_of_ones_own_have_a_site_with_all_tests(opened, project, tmp_path):
    """`project` is the made-up suite of the report's tests: scores with their predictions."""
    scores, out = project / "results/score/suite.parquet", tmp_path / "own"
    site(out=out, scores=(scores,), results=project / "results")
    for place in ("index.html", "grids/suite.html", "runs/suite/clip.html"):
        page = opened(place, out)
        assert violations(page) == [], place
    page = opened("index.html#fraction=10+%25&encoder=vit_tiny", out)
    assert set(column(page, "Grid")) == {"suite"}
    for word in ("clip", "supervised"):
        page.get_by_label(re.compile(f"^Compare {word}, ")).check()
    told = page.locator("#comparison").inner_text()
    # Neither is a baseline of the grid: only the predictions tell this pair.
    assert "Paired" in told
    (grid,) = read_grids([scores])
    rows = leaderboard([grid])
    words = {"main": True, "fraction": 10, "encoder": "vit_tiny", "task": "classification"}
    own = rows.loc[(rows[list(words)] == pd.Series(words)).all(axis=1)]
    own = own.set_index("variant")["value"]
    difference = 100 * (own["clip"] - own["supervised"])
    assert f"{difference:+.1f}" in told or f"{-difference:+.1f}" in told


def test_two_rows_are_compared_with_the_test_of_the_scores(opened):
    page = opened("index.html#grid=ablation&metric=auroc&fraction=10+%25")
    page.get_by_label(re.compile("^Compare sista, resnet_tiny")).check()
    assert "Choose a second row" in page.locator("#comparison").inner_text()
    page.get_by_label(re.compile("^Compare clip, resnet_tiny")).check()
    told = page.locator("#test").inner_text()
    (grid,) = [g for g in read_grids(RELEASED) if g.name == "ablation"]
    wanted = ("sista", "clip", "resnet_tiny", 10, "auroc")
    keys = ("variant", "baseline", "encoder", "fraction", "metric")
    (test,) = [t for t in grid.meta["comparisons"] if tuple(t[key] for key in keys) == wanted]
    sign = 1 if told.startswith("sista") else -1
    assert f"{100 * sign * test['difference']:+.1f}," in told
    assert f"p {test['p']:.3f}" in told
    # A third row takes the place of the oldest.
    page.get_by_label(re.compile("^Compare sista_no_sta, resnet_tiny")).check()
    assert "sista_no_sta" in page.locator("#comparison").inner_text()
    assert page.locator(".choose:checked").count() == 2


def test_the_keyboard_is_enough(opened):
    page = opened()
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("document.activeElement.name || document.activeElement.className")
        )
    assert {"protocol", "metric", "dataset"} <= set(reached)
    assert any("choose" in str(name) or "dt-" in str(name) for name in reached)


def test_search_finds_words_and_texts_offline(opened):
    for place in ("index.html", "how_to/method.html"):
        page = opened(place)
        page.get_by_role("textbox", name="Search").first.fill("leaking splits")
        page.wait_for_selector(".md-search-result__item")
        links = page.locator(".md-search-result__link").all()
        assert any("pitfalls.html" in link.get_attribute("href") for link in links)


def test_print_shows_all_rows_and_no_menu(opened, tmp_path):
    page = opened("index.html#grid=rehearsal")
    rows = len(shown(page))
    page.pdf(path=tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").stat().st_size > 10_000
    page.emulate_media(media="print")
    assert not page.locator("#filters").is_visible()
    assert rows == len(shown(page))


def test_five_thousand_rows_open_in_a_second(opened, built, tmp_path):
    rows = leaderboard(read_grids(RELEASED))
    many = pd.concat([rows] * (1 + 5000 // len(rows)), ignore_index=True)[:5000]
    packed, _ = board.data(many, [])
    shutil.copytree(built, tmp_path / "site")
    script = f"window.SISTA_ROWS = {json.dumps(packed)};"
    (tmp_path / "site/assets/rows.js").write_text(script)
    needed = [
        "index.html",
        *(f"assets/{n}" for n in ("rows.js", "datatables.js", "datatables.css")),
    ]
    weight = sum(len(zlib.compress((tmp_path / "site" / n).read_bytes(), 6)) for n in needed)
    assert weight < 3_000_000
    page = opened("about:blank", tmp_path / "site")
    tools = page.context.new_cdp_session(page)
    # Time of the page's own thread: other work on the machine is no property of the page.
    tools.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto((tmp_path / "site/index.html").as_uri())
    page.wait_for_selector("html[data-board=ready]", state="attached")
    told = tools.send("Performance.getMetrics")["metrics"]
    took = {each["name"]: each["value"] for each in told}
    assert 0 < took["TaskDuration"] < 1, took
    assert len(shown(page)) == 25
