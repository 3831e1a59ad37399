import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sista.errors import UserError
from sista.preparation import splits


def images(patients, official=None, hashes=None):
    n = len(patients)
    return pd.DataFrame(
        {
            "image_id": [f"i{k:05}" for k in range(n)],
            "patient_id": [f"p{p}" for p in patients],
            "content_hash": hashes or [f"h{k}" for k in range(n)],
            "official": pd.Series(official or [None] * n, dtype=object),
        }
    )


def labels(n, shares, seed=0):
    draw = np.random.default_rng(seed)
    return {f"c{k}": (draw.random(n) < share).astype(float) for k, share in enumerate(shares)}


def subset(split, name, draw=-1, fraction=-1):
    table = split.frame
    rows = (table.subset == name) & (table.draw == draw) & (table.fraction == fraction)
    return set(table.image_id[rows])


def test_shares_are_70_15_15_by_patient_and_strata_keep_their_share():
    patients = np.random.default_rng(1).integers(0, 600, 2000)
    frame, values = images(patients), labels(2000, [0.3, 0.05])
    made = splits.make(frame, "some_set", values)
    sizes = [
        len(subset(made, "train", 0, 100)),
        len(subset(made, "val")),
        len(subset(made, "test")),
    ]
    assert np.abs(np.array(sizes) / 2000 - [0.7, 0.15, 0.15]).max() < 0.01
    for name in ("val", "test"):
        inside = frame.image_id.isin(subset(made, name)).to_numpy()
        assert abs(values["c0"][inside].mean() - values["c0"].mean()) < 0.06
    splits.validate_split(made.frame, frame)


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 30)), min_size=3, max_size=60),
    st.lists(st.floats(0.1, 0.9), min_size=1, max_size=3),
)
@settings(max_examples=30, deadline=None)
def test_any_set_is_split_without_leaks(pairs, shares):
    frame = images([p for p, _ in pairs], hashes=[f"h{h}" for _, h in pairs])
    values = labels(len(pairs), shares)
    made = splits.make(frame, "some_set", values, draws=2)
    splits.validate_split(made.frame, frame)
    full = subset(made, "train", 0, 100)
    assert sorted(full | subset(made, "val") | subset(made, "test")) == sorted(frame.image_id)
    refused = {(r["draw"], r["fraction"]) for r in made.meta["refused"]}
    rows = {name: frame.image_id.isin(full).to_numpy() for name in values}
    for draw in range(2):
        for fraction in (1, 10, 100):
            chosen = subset(made, "train", draw, fraction)
            assert bool(chosen) != ((draw, fraction) in refused) or not full
            inside = frame.image_id.isin(chosen).to_numpy()
            for name, column in values.items():
                if chosen:
                    assert set(column[inside]) == set(column[rows[name]])


def test_draws_differ_and_everything_repeats():
    frame, values = images(range(1000)), labels(1000, [0.4])
    one, two = (splits.make(frame, ref, values) for ref in ("word", "word@phantom"))
    shuffled = frame.sample(frac=1, random_state=1)
    again = splits.make(
        shuffled.reset_index(drop=True), "word", {"c0": values["c0"][shuffled.index]}
    )
    assert one.meta["hash"] == two.meta["hash"] == again.meta["hash"]
    assert splits.make(frame, "other", values).meta["hash"] != one.meta["hash"]
    assert len({frozenset(subset(one, "train", draw, 1)) for draw in range(5)}) == 5
    assert [len(subset(one, "train", 2, f)) for f in (1, 10, 100)] == [7, 70, 700]


def test_fraction_without_room_for_every_class_is_refused_with_its_reason():
    n = 500
    values = {f"c{k}": (np.arange(n) % 14 == k).astype(float) for k in range(14)}
    made = splits.make(images(range(n)), "nih_like", values)
    refused = [r for r in made.meta["refused"] if r["fraction"] == 1]
    assert [r["draw"] for r in refused] == [0, 1, 2, 3, 4]
    assert "1 % of 350 training images is 4: too few images to hold a " in refused[0]["reason"]
    assert subset(made, "train", 0, 10)
    assert not subset(made, "train", 0, 1)


def test_rare_class_is_in_every_fraction():
    values = {"c0": np.zeros(2000), "c1": labels(2000, [0.5])["c0"]}
    values["c0"][::100] = 1
    made = splits.make(images(range(2000)), "some_set", values)
    assert made.meta["refused"] == []
    for draw in range(5):
        chosen = [int(i[1:]) for i in subset(made, "train", draw, 1)]
        assert len(chosen) == 14
        assert values["c0"][chosen].any()


def test_official_sets_are_kept_and_val_is_drawn_by_patient():
    official = ["train"] * 800 + ["test"] * 200
    frame = images([k // 2 for k in range(1000)], official)
    made = splits.make(frame, "some_set", labels(1000, [0.5]), val_share=0.25)
    assert subset(made, "test") == set(frame.image_id[800:])
    assert abs(len(subset(made, "val")) - 200) <= 2
    capped = splits.make(frame, "some_set", {}, val_share=0.25, val_cap=40)
    assert abs(len(subset(capped, "val")) - 40) <= 2


def test_official_sets_that_share_a_patient_are_an_error_with_ids():
    frame = images([0, 1, 2, 0], ["train", "train", "test", "test"])
    with pytest.raises(UserError, match="patients both in train and test: p0"):
        splits.make(frame, "some_set", {})


def test_patients_with_an_equal_image_are_one_group():
    found = splits.groups(["a", "b", "c", "d"], ["1", "2", "1", "2"])
    assert found[0] == found[2] != found[1] == found[3]
    assert len(set(splits.groups(["a", "b", "c", "b"], ["1", "1", "3", "3"]))) == 1


def test_validate_lists_leaks_and_broken_nesting():
    frame = images(range(100))
    made = splits.make(frame, "some_set", {}, draws=1)
    table = made.frame
    leak = table[table.subset == "val"].iloc[:1].assign(subset="test")
    with pytest.raises(UserError, match=f"images both in val and test: {leak.image_id.iloc[0]}"):
        splits.validate_split(pd.concat([table, leak]), frame)
    small = table[table.fraction == 10].index[0]
    with pytest.raises(UserError, match=r"10 % is not inside 100 %"):
        splits.validate_split(table.drop(table[table.fraction == 100].index[:60]), frame)
    with pytest.raises(UserError, match="without a manifest row: nobody"):
        splits.validate_split(
            table.assign(image_id=table.image_id.where(table.index != small, "nobody")), frame
        )
