"""Mean ranks and critical differences: by hand, and where there are none."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sista.report import figures, ranks

SKILL = {"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.69}


def grid(seeds=(0, 1), fractions=(1, 10, 100), noise=0.01, **skill):
    """Return overall test rows: methods x two encoders x fractions x seeds x two draws."""
    generator = np.random.default_rng(0)
    plain = {"protocol": "quick_v1", "dataset": "d", "head": "linear", "metric": "auroc"}
    plain |= {"corpus": "c", "plateau": None}
    return pd.DataFrame(
        plain
        | {"variant": name, "encoder": encoder, "fraction": fraction, "seed": seed, "draw": draw}
        | {"value": value + noise * generator.normal()}
        for name, value in (skill or SKILL).items()
        for encoder in ("resnet_tiny", "vit_tiny")
        for fraction in fractions
        for seed in seeds
        for draw in (0, 1)
    )


def test_ranks_are_those_of_the_means_over_seeds_and_draws():
    rows = grid(noise=0.05)
    found = ranks.ranking(rows, ())
    assert found.blocks == 6
    means = rows.groupby(["encoder", "fraction", "variant"])["value"].mean().unstack().round(3)
    by_hand = means.apply(lambda block: stats.rankdata(-block), axis=1, result_type="expand")
    by_hand.columns = means.columns
    assert found.ranks.to_dict() == pytest.approx(by_hand.mean().to_dict())
    assert list(found.ranks) == sorted(found.ranks)
    assert found.friedman == pytest.approx(stats.friedmanchisquare(*-means.to_numpy().T).pvalue)


def test_the_critical_difference_is_where_nemenyis_p_crosses_the_level():
    # Demšar (2006), table 5: q of 4 methods is 2.569.
    found = ranks.ranking(grid(noise=0.05), ())
    assert found.difference == pytest.approx(2.569 * np.sqrt(4 * 5 / (6 * 6)), rel=1e-3)
    apart = np.abs(found.ranks.to_numpy()[:, None] - found.ranks.to_numpy())
    assert ((apart > found.difference) == (found.p.to_numpy() < 0.05)).all()
    table = found.table()
    assert table["variant"].tolist() == list(found.ranks.index)
    assert table.loc[0, f"p_{table['variant'].iloc[-1]}"] == found.p.iloc[0, -1]


def test_a_lower_value_is_better_where_the_metric_says_so():
    up, down = (ranks.ranking(grid().assign(metric=m), ()) for m in ("auroc", "brier"))
    assert list(up.ranks.index) == list(down.ranks.index)[::-1]


def test_controls_and_rows_off_their_plateau_are_not_ranked():
    rows = grid(**SKILL, e=0.5)
    rows.loc[(rows["variant"] == "b") & (rows["seed"] == 1), "plateau"] = "late"
    found = ranks.ranking(rows, {"a"})
    assert list(found.ranks.index) == ["c", "d", "e"]
    assert found.ranks["c"] == pytest.approx(1, abs=0.5)
    assert "a (control)" in found.caption
    assert "b (pre-training left its plateau late or never)" in found.caption


@pytest.mark.parametrize(
    ("rows", "controls", "why"),
    [
        (grid(), {"a", "b"}, r"2 methods compete \(c, d\)"),
        (grid(seeds=(0,)), (), r"0 of 6 blocks .* at least 2 pre-training seeds"),
        (grid(fractions=(1, 10)), (), "4 of 4 blocks"),
        (grid().assign(plateau="stuck"), (), r"0 methods compete \(none\)"),
        (grid().assign(value=np.nan), (), "0 methods compete"),
    ],
)
def test_where_there_are_no_ranks_a_sentence_says_why(rows, controls, why):
    found = ranks.ranking(rows, controls)
    assert isinstance(found, str)
    assert pd.Series(found).str.contains(why).all(), found


def test_a_block_without_every_method_does_not_count():
    rows = grid()
    lacks = (rows["variant"] == "a") & (rows["encoder"] == "vit_tiny") & (rows["fraction"] == 1)
    assert ranks.ranking(rows[~lacks], ()).blocks == 5
    rows.loc[lacks, "value"] = np.nan
    assert ranks.ranking(rows, ()).blocks == 5
    one = lacks & (rows["seed"] == 1)
    assert ranks.ranking(rows[~one], ()).blocks == 5


def bars(found):
    """Return the ends of the bars that join methods, and all texts."""
    figure = ranks.rank_figure(found, figures.looks(list(SKILL)))
    (axis,) = figure.axes
    lines = [line for line in axis.lines if line.get_color() == "#444444"]
    level = [line.get_xdata() for line in lines if line.get_ydata()[0] < 0]
    return [(min(x), max(x)) for x in level], [text.get_text().strip() for text in axis.texts]


def test_the_figure_joins_what_is_not_told_apart():
    found = ranks.ranking(grid(noise=0.0), ())
    assert found.ranks.tolist() == [1, 2, 3, 4]
    joined, texts = bars(found)
    # Two ranks or more are told apart, neighbours are not.
    assert set(joined) == {(1, 2), (2, 3), (3, 4)}
    assert {"a (1.00)", "(4.00) d", "CD = 1.91"} <= set(texts)


def test_without_a_difference_by_friedman_all_are_joined():
    found = ranks.ranking(grid(a=0.5, b=0.5, c=0.5, noise=0.01), ())
    assert found.friedman > 0.05
    joined, _ = bars(found)
    assert joined == [(found.ranks.min(), found.ranks.max())]
