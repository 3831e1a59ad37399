"""The kept scores of a predictions file equal the fresh ones and follow its content."""

import numpy as np
import pytest

from sista.errors import UserError
from sista.scoring import cached
from tests import made_up_predictions as made


def test_kept_scores_equal_fresh_ones(tmp_path, monkeypatch):
    run = made.runs()[0]
    path = made.write(tmp_path, run)
    settings = {"main": "auroc", "bootstrap": 20, "cache_folder": tmp_path / "cache"}
    fresh = cached.score_file(path, run.task, **settings)
    monkeypatch.setattr(cached, "_score", None)
    kept = cached.score_file(path, run.task, **settings)
    np.testing.assert_equal(kept.values, fresh.values)
    np.testing.assert_equal(kept.replicates, fresh.replicates)
    assert (kept.meta, kept.images, kept.sha256) == (fresh.meta, fresh.images, fresh.sha256)
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_changed_file_is_scored_anew(tmp_path):
    run = made.runs()[0]
    path = made.write(tmp_path, run)
    settings = {"main": "auroc", "bootstrap": 5, "cache_folder": tmp_path / "cache"}
    before = cached.score_file(path, run.task, **settings)
    made.write(tmp_path, run, images=30)
    after = cached.score_file(path, run.task, **settings)
    assert before.images != after.images
    assert before.values != after.values


@pytest.mark.parametrize("damage", [b"", b"PK", b"half", b"byte", b"method"])
def test_damaged_kept_scores_are_made_again(tmp_path, damage):
    run = made.runs()[0]
    path = made.write(tmp_path, run)
    settings = {"main": "auroc", "bootstrap": 5, "cache_folder": tmp_path / "cache"}
    fresh = cached.score_file(path, run.task, **settings)
    (kept,) = (tmp_path / "cache").iterdir()
    whole = kept.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    # The compression of the last member, in the archive's directory: none that there is.
    method = whole.rindex(b"PK\x01\x02") + 10
    unknown = whole[:method] + b"\x63" + whole[method + 1 :]
    damages = {b"half": whole[:middle], b"byte": flipped, b"method": unknown}
    kept.write_bytes(damages.get(damage, damage))
    again = cached.score_file(path, run.task, **settings)
    np.testing.assert_equal(again.values, fresh.values)
    np.testing.assert_equal(again.replicates, fresh.replicates)
    assert kept.read_bytes() == whole


def test_broken_and_missing_files_are_named(tmp_path):
    with pytest.raises(UserError, match=r"gone\.parquet: no predictions"):
        cached.score_file(
            tmp_path / "gone.parquet", "detection", main="ap50", bootstrap=1, cache_folder=tmp_path
        )
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"broken\.parquet"):
        cached.score_file(broken, "detection", main="ap50", bootstrap=1, cache_folder=tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["broken.parquet"]
