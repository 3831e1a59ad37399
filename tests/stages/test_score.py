"""The score stage: rows of a grid, n/a with its reason, paired tests, equal bits, comparison."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sista import tables
from sista.errors import UserError
from sista.lineage.compare import compare
from sista.scoring.comparisons import comparisons
from sista.stages import score
from tests import made_up_predictions as made


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    runs = made.runs()
    for run in runs:
        refused = (1,) if run.task == "detection" and run.pretrain.family == "vit" else ()
        made.write(root, run, refused=refused)
    return root, score.score_runs(runs, results=root / "results", bootstrap=400)


@pytest.fixture(scope="module")
def frame(scored):
    return pd.DataFrame([row for pair in scored[1] for row in score.rows(*pair)])


def test_rows_fit_the_contract_and_cover_the_grid(frame):
    checked = tables.validate(frame, "scores")
    main = checked.query("subset == 'test' and label in ['macro', 'all']")
    for _task, _metric in (
        ("classification", "auroc"),
        ("segmentation", "dice_positive"),
        ("detection", "map_40_75"),
    ):
        assert len(main.query("task == @_task and metric == @_metric")) == 8 * 3 * 2
    assert set(checked.query("subset == 'val'")["metric"]) == {
        "auroc",
        "dice_positive",
        "map_40_75",
    }


def test_the_fact_of_the_plateau_travels_with_the_run(scored):
    run, file = scored[1][0]
    assert {row["plateau"] for row in score.rows(run, file)} == {None}
    told = replace(file, meta={**file.meta, "run": file.meta["run"] | {"plateau": "stuck"}})
    checked = tables.validate(pd.DataFrame(score.rows(run, told)), "scores")
    assert set(checked["plateau"]) == {"stuck"}


def test_a_refused_fraction_is_a_row_without_value_and_with_its_reason(frame):
    rows = frame.query("task == 'detection' and family == 'vit' and fraction == 1")
    assert len(rows) == 4 * 2
    assert rows["value"].isna().all()
    assert set(rows["note"]) == {"3 positives of Edema, 1 needed per draw"}


def test_two_processes_give_the_same_bits_without_the_cache(scored, tmp_path):
    root, first = scored
    runs = [run for run, _ in first][:6]
    (tmp_path / "results").mkdir()
    (tmp_path / "results/adapt").symlink_to(root / "results/adapt")
    again = score.score_runs(runs, results=tmp_path / "results", bootstrap=400, threads=2)
    for (_, a), (_, b) in zip(first, again, strict=False):
        np.testing.assert_equal(a.values, b.values)
        np.testing.assert_equal(a.replicates, b.replicates)


def with_a_second_seed(rows, moved=None):
    """Return the runs twice, the second time as another seed, some variants moved by an amount."""
    both = []
    for run, file in rows:
        by = (moved or {}).get(run.variant, 0.0)
        values = [{**v, "value": v["value"] + by} for v in file.values]
        replicates = {cell: r + by for cell, r in file.replicates.items()}
        second = replace(run, pretrain=replace(run.pretrain, seed=run.seed + 1))
        both += [(run, file), (second, replace(file, values=values, replicates=replicates))]
    return both


def test_one_seed_ranks_nothing(scored):
    rows = pd.DataFrame(comparisons(scored[1], ("random_init",)))
    assert rows["p"].isna().all()
    assert rows["p_holm"].isna().all()
    assert (rows["seeds"] == 1).all()
    assert (rows["draws"] == 2).all()
    assert rows[["difference", "low", "high"]].notna().all(axis=None)


def test_seeds_without_a_common_draw_give_a_row_without_a_value(scored):
    rows = [(run, file) for run, file in scored[1] if run.task == "classification"]
    apart = [
        (replace(run, draws=(run.pretrain.seed,)), file) for run, file in with_a_second_seed(rows)
    ]
    found = pd.DataFrame(comparisons(apart, ("random_init",)))
    assert len(found)
    assert (found["runs"] == 0).all()
    assert found[["difference", "low", "high", "p"]].isna().all(axis=None)


def test_comparisons_are_paired_and_corrected(scored):
    rows = pd.DataFrame(comparisons(with_a_second_seed(scored[1]), ("random_init", "clip")))
    assert set(rows["baseline"]) == {"random_init", "clip"}
    assert (rows["p_holm"] >= rows["p"]).all()
    best = rows.query(
        "variant == 'supervised' and baseline == 'random_init' and fraction == 100"
        " and task == 'classification'"
    )
    assert (best["difference"] > 0).all()
    assert (best["p"] < 0.2).all()
    assert (best["runs"] == 4).all()
    assert ((rows["low"] <= rows["difference"]) & (rows["difference"] <= rows["high"])).all()


def test_variance_components_are_told_where_the_design_tells_them(scored):
    names = ["seed_var", "draw_var", "rest_var", "patient_var"]
    rows = [(run, file) for run, file in scored[1] if run.task == "classification"]
    one = pd.DataFrame(comparisons(rows, ("random_init",)))
    assert one[names].isna().all(axis=None)
    two = pd.DataFrame(comparisons(with_a_second_seed(rows, {"clip": 0.2}), ("random_init",)))
    assert two[names].notna().all(axis=None)
    # Two seeds 0.2 apart, whatever the draw.
    of = two.set_index("variant").groupby(level=0)[names].mean()
    assert of.loc["clip", "seed_var"] == pytest.approx(0.02)
    assert of.loc["supervised", "seed_var"] == pytest.approx(0)
    assert of["rest_var"].to_numpy() == pytest.approx(0)
    assert (of["patient_var"] > 0).all()
    alone = [(replace(run, draws=(0,)), file) for run, file in with_a_second_seed(rows)]
    assert pd.DataFrame(comparisons(alone, ("random_init",)))[names].isna().all(axis=None)


def test_an_interval_covers_seeds_when_there_are_several(scored):
    """Shift one of two copies of the runs by a known amount: the interval must hold both."""
    rows = [(run, file) for run, file in scored[1] if run.task == "classification"]
    one = pd.DataFrame(comparisons(rows, ("random_init",)))
    two = pd.DataFrame(comparisons(with_a_second_seed(rows, {"clip": 0.2}), ("random_init",)))
    assert (two["seeds"] == 2).all()
    assert (one["seeds"] == 1).all()
    moved, still = two.query("variant == 'clip'"), one.query("variant == 'clip'")
    np.testing.assert_allclose(moved["difference"], still["difference"] + 0.1)
    assert (moved["high"] - moved["low"] > 0.2).all()
    same, alone = two.query("variant == 'supervised'"), one.query("variant == 'supervised'")
    np.testing.assert_allclose(same[["low", "high"]], alone[["low", "high"]], atol=0.04)


def test_a_grid_with_fewer_draws_uses_part_of_a_shared_file(scored):
    root, _ = scored
    runs = made.runs(variants=("clip",), tasks=("classification",), draws=(1,))
    found = score.score_runs(runs, results=root / "results", bootstrap=400)
    frame = pd.DataFrame([row for pair in found for row in score.rows(*pair)])
    assert set(frame["draw"]) == {1}


def test_predictions_of_other_settings_are_refused(scored):
    run, file = scored[1][0]
    pretrain = replace(run.pretrain, settings={"temperature": 0.2})
    with pytest.raises(UserError, match="made with other settings of random_init"):
        list(score.rows(replace(run, pretrain=pretrain), file))


@pytest.mark.parametrize(
    ("name", "word"), [("variant", "clip"), ("seed", 7), ("head", "unet"), ("encoder", "resnet50")]
)
def test_predictions_of_another_place_are_refused(scored, name, word):
    run, file = scored[1][0]
    told = {**file.meta, "run": {**file.meta["run"], name: word}}
    with pytest.raises(UserError, match=f"lies where {name} is"):
        list(score.rows(run, replace(file, meta=told)))


@pytest.mark.parametrize("change", ["truth", "split_hash", "release"])
def test_predictions_of_two_states_of_a_data_set_are_refused(tmp_path, monkeypatch, change):
    monkeypatch.chdir(tmp_path)
    runs = made.runs(("random_init", "clip"), ("classification",), draws=(0,))
    paths = [made.write(tmp_path, run, images=8) for run in runs]
    frame, meta = tables.read(paths[-1], "predictions_classification")
    test = frame["subset"] == "test"
    if change == "truth":
        frame = frame.assign(target=frame["target"].where(~test, 1 - frame["target"]))
    else:
        meta["run"][change] = "other"
    tables.write(frame, paths[-1], "predictions_classification", meta)
    found = score.score_runs(runs, results=tmp_path / "results", bootstrap=2)
    with pytest.raises(UserError, match="different releases, splits or true labels"):
        score._check_alike(found)


def test_images_of_val_and_test_are_refused(tmp_path):
    run = made.runs(("clip",), ("classification",), draws=(0,))[0]
    path = made.write(tmp_path, run, images=8)
    frame, meta = tables.read(path, "predictions_classification")
    names = frame["image_id"].str.replace("val", "test")
    tables.write(frame.assign(image_id=names), path, "predictions_classification", meta)
    with pytest.raises(UserError, match="images are of val and of test"):
        score.score_runs([run], results=tmp_path / "results", bootstrap=2)


def test_missing_predictions_are_named(tmp_path):
    with pytest.raises(UserError, match=r"predictions\.parquet: no such predictions \(24 of 24"):
        score.score_runs(made.runs(), results=tmp_path / "results", bootstrap=1)


def test_compare_of_shared_rows_counts_the_others(frame, tmp_path, capsys):
    tables.write(frame, tmp_path / "a.parquet", "scores")
    tables.write(frame.iloc[3:], tmp_path / "b.parquet", "scores")
    with pytest.raises(SystemExit):
        compare(tmp_path / "a.parquet", tmp_path / "b.parquet")
    capsys.readouterr()
    compare(tmp_path / "a.parquet", tmp_path / "b.parquet", shared=True)
    told = capsys.readouterr().out
    assert f"{len(frame)} and {len(frame) - 3} rows: 3 of them in one table only" in told
    assert "equal values" in told
    changed = frame.assign(value=frame["value"] + 1e-15)
    tables.write(changed, tmp_path / "b.parquet", "scores")
    with pytest.raises(SystemExit):
        compare(tmp_path / "a.parquet", tmp_path / "b.parquet", shared=True)


def test_compare(frame, tmp_path, capsys):
    other = frame.assign(wall_s=99.0, lock_hash="new")
    tables.write(frame, tmp_path / "a.parquet", "scores")
    tables.write(other.sample(frac=1, random_state=0), tmp_path / "b.parquet", "scores")
    compare(tmp_path / "a.parquet", tmp_path / "b.parquet")
    told = capsys.readouterr().out
    assert "equal values" in told
    assert told.startswith(f"lock_hash: {frame['lock_hash'].iloc[0]} and new")
    place = frame.index[frame["value"].notna()][5]
    other.loc[place, "value"] += 1e-15
    tables.write(other.drop(index=place + 1), tmp_path / "b.parquet", "scores")
    with pytest.raises(SystemExit) as stop:
        compare(tmp_path / "a.parquet", tmp_path / "b.parquet")
    assert stop.value.code == 1
    _, summary, *lines = capsys.readouterr().out.splitlines()
    assert summary.endswith("1 of them in one table only, 1 values differ")
    assert len(lines) == 2
    assert sum(": value 0." in line for line in lines) == 1
    assert sum("only in the first" in line for line in lines) == 1
