"""The leaderboard says what the scores say: every number, to the last bit and as it is shown."""

import json
import shutil
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from markupsafe import escape

from sista import registry, tables
from sista.errors import UserError
from sista.metrics.values import OVERALL
from sista.site import board
from sista.site.build import site
from sista.site.cards import KINDS, cards
from sista.site.leaderboard import KEYS, leaderboard, read_grids
from sista.site.pairs import ALONE, PAIRED, pairs
from sista.site.toys import five_dices, two_maps, two_splits
from tests.conftest import ROOT

RELEASED = sorted((ROOT / "results/released").glob("*/scores.parquet"))


@pytest.fixture(scope="module")
def grids():
    return read_grids(RELEASED)


@pytest.fixture(scope="module")
def rows(grids):
    return leaderboard(grids)


def by_hand(path: Path) -> dict[tuple, dict[str, list]]:
    """Collect a scores table without pandas' grouping."""
    frame, meta = tables.read(path, "scores")
    found: dict[tuple, dict[str, list]] = defaultdict(lambda: defaultdict(list))
    for row in frame.to_dict("records"):
        if row["subset"] == "test" and row["label"] in OVERALL:
            place = (meta["grid"], *(row[key] for key in KEYS[1:]))
            for name in ("value", "low", "high", "seed", "draw"):
                found[place][name].append(row[name])
    return found


def test_each_number_is_that_of_the_scores(grids, rows):
    expected: dict[tuple, dict[str, list]] = {}
    for path in RELEASED:
        expected |= by_hand(path)
    packed, _ = board.data(rows, [])
    words, columns = packed["words"], packed["columns"]
    assert len(packed["rows"]) == len(expected) > 2000
    for values in packed["rows"]:
        row = dict(zip(columns, values, strict=True))
        row |= {name: words[name][row[name]] for name in words}
        there = expected[tuple(row[key] for key in KEYS)]
        for name in ("value", "low", "high"):
            known = [v for v in there[name] if not np.isnan(v)]
            if not known:
                assert row[name] is None
            else:
                assert row[name] == pytest.approx(np.mean(known), abs=1e-15)
        counts = [f"{len(set(there[name]))} {name}" for name in ("seed", "draw")]
        assert row["runs"].replace("seeds", "seed").replace("draws", "draw") == ", ".join(counts)


def test_each_cell_of_the_main_tables_is_shown_alike(grids, rows):
    packed, _ = board.data(rows, [])
    shown = {tuple(rows.loc[n, KEYS]): values for n, values in enumerate(packed["rows"])}
    text = packed["columns"].index("shown")
    compared = 0
    for grid in grids:
        own = rows[rows["grid"] == grid.name]
        for task, table in grid.tables.items():
            for block in table.blocks:
                for variant, cells in block.rows.items():
                    for column, cell in cells.items():
                        part = own[(own["variant"] == variant) & (own["encoder"] == block.encoder)]
                        part = part[(part["dataset"] == column.dataset) & (part["task"] == task)]
                        part = part[(part["metric"] == column.metric)]
                        part = part[part["fraction"] == column.fraction]
                        part = part[part["head"] == column.head] if column.head else part
                        if cell.runs:
                            assert len(part) == 1
                            assert shown[tuple(part.iloc[0][KEYS])][text] == cell.text
                            compared += 1
    assert compared > 400


def test_stored_tests_stand_in_the_pairs_and_the_others_are_marked(grids, rows):
    grid = next(grid for grid in grids if grid.meta["comparisons"])
    made = list(pairs(grid, rows, Path("nowhere")))
    variants = set(rows["variant"])
    for test in grid.meta["comparisons"]:
        if test["baseline"] not in variants:
            # Chance, or the films of others: no row of the leaderboard.
            continue
        places = [
            set(rows.index[_place(rows, grid, test, test[side])])
            for side in ("variant", "baseline")
        ]
        (pair,) = [p for p in made if {p.first} | {p.second} <= places[0] | places[1]]
        sign = 1 if pair.first in places[0] else -1
        assert pair.kind == PAIRED
        assert pair.difference == sign * test["difference"]
        assert {pair.low, pair.high} == {sign * test["low"], sign * test["high"]}
    others = [p for p in made if p.kind == ALONE]
    assert others
    for pair in others:
        means = rows["value"].loc[[pair.first, pair.second]]
        assert pair.difference == pytest.approx(means.iloc[0] - means.iloc[1])
        assert pair.low < pair.difference < pair.high
        assert np.isnan(pair.p)


def _place(rows, grid, test, variant):
    chosen = (rows["grid"] == grid.name) & (rows["variant"] == variant)
    for key in ("protocol", "dataset", "task", "head", "encoder", "corpus", "metric", "fraction"):
        chosen &= rows[key] == test[key]
    return chosen


def test_with_predictions_every_pair_is_tested(project):
    """`project` is the made-up suite of the report's tests."""
    (grid,) = read_grids([project / "results/score/suite.parquet"])
    rows = leaderboard([grid])
    made = list(pairs(grid, rows, project / "results"))
    alone = list(pairs(grid, rows, project / "nothing"))
    assert {pair.kind for pair in made} == {PAIRED}
    assert [pair[:2] for pair in made] == [pair[:2] for pair in alone]
    # 6 pairs of 4 variants for each cell; the refused fraction of one encoder has none.
    cells = rows[rows["main"] & rows["value"].notna()].groupby(["encoder", "task", "fraction"])
    assert len(made) == 6 * cells.ngroups
    stored = {
        (t["variant"], t["baseline"], t["task"], t["encoder"], t["fraction"]): t
        for t in grid.meta["comparisons"]
    }
    for pair in made:
        first, second = (rows.loc[index] for index in pair[:2])
        place = (second["variant"], first["variant"], *second[["task", "encoder", "fraction"]])
        if place in stored:
            assert pair.difference == pytest.approx(-stored[place]["difference"], abs=1e-15)
            assert pair.low == pytest.approx(-stored[place]["high"], abs=1e-15)


@pytest.mark.parametrize("kind", KINDS)
def test_each_word_has_a_card_and_each_setting_a_meaning(kind):
    made = list(cards(kind))
    assert made
    assert all(card.title for card in made)
    if kind in registry.KINDS:
        assert [card.word for card in made] == registry.names(kind)
    for card in made:
        for table in card.tables:
            if table.head[-1] == "Meaning":
                assert all(row[-1] for row in table.rows), card.word


def test_the_page_of_real_data_lists_every_data_set(built):
    """Also the licence of each, and a link to its card."""
    text = (built / "how_to/real_data.html").read_text()
    for word in registry.names("datasets"):
        card = registry.find("datasets", word)
        assert f'href="../words/datasets.html#{word}"' in text
        assert str(escape(card.licence)) in text
        assert f'id="{word}"' in (built / "words/datasets.html").read_text()


def test_a_term_of_the_glossary_stands_above_its_meaning(built):
    text = (built / "glossary.html").read_text()
    terms = (ROOT / "sista/site/pages/glossary.md").read_text().count("\n:   ")
    assert text.count("<dt>") == text.count("<dd>") == terms > 15
    assert "<dt>variant</dt>" in text


def test_the_toys_show_what_the_text_says():
    dices = five_dices()
    assert dices["nothing, ever"]["dice_per_image"] == pytest.approx(0.7)
    assert dices["nothing, ever"]["dice_positive"] == 0
    assert len(dices["nothing, ever"]) == 5
    maps = two_maps()
    assert maps["finds one, misses two, a false alarm"]["map_mgca"] == pytest.approx(1)
    assert maps["finds one, misses two, a false alarm"]["map_40_75"] < 0.4
    splits = two_splits()
    assert splits["split by film"]["auroc"] > 0.8
    assert 0.35 < splits["split by patient"]["auroc"] < 0.65


def test_a_folder_with_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="something else"):
        site(out=tmp_path, scores=tuple(RELEASED[:1]))
    assert (tmp_path / "thesis.txt").is_file()


def test_one_grid_twice_is_refused(tmp_path):
    shutil.copy(RELEASED[0], tmp_path / "copy.parquet")
    with pytest.raises(UserError, match="both of grid"):
        read_grids([RELEASED[0], tmp_path / "copy.parquet"])


def test_packed_rows_are_small(rows):
    many = pd.concat([rows] * (1 + 5000 // len(rows)), ignore_index=True)[:5000]
    packed, _ = board.data(many, [])
    assert len(json.dumps(packed)) < 2_000_000
