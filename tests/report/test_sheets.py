"""Qualitative sheets: which films are shown, what is drawn over them, word maps."""

import json

import numpy as np
import pandas as pd
import pytest

from sista import tables
from sista.errors import UserError
from sista.preparation.masks import from_json
from sista.report import sheets
from sista.tasks._base import find_task
from tests import made_up_predictions as made


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    count = 24
    nothing = dict.fromkeys(("study_id", "view", "boxes", "mask", "report", "official"))
    place = {"height": 48, "width": 48, "scale": 2.0, "pad_x": 8.0, "pad_y": 0.0}
    rows = [
        {"image_id": f"test{k:03d}", "patient_id": "p", "path": "x", "row": k}
        | place
        | nothing
        | {"spacing": np.nan, "release": "1", "content_hash": "h"}
        for k in range(count)
    ]
    meta = {"prepared_size": 96, "images": "manifest.images.npy"}
    tables.write(pd.DataFrame(rows), folder / "manifest.parquet", "manifest", meta)
    np.save(folder / "manifest.images.npy", np.full((count, 96, 96), 90, dtype=np.uint8))
    return folder


def test_real_films_are_drawn_on_request_only():
    assert sheets.drawable("rsna_pneumonia@phantom", "phantom")
    assert sheets.drawable("rsna_pneumonia@phantom_tiny", "phantom")
    assert not sheets.drawable("rsna_pneumonia", "phantom")
    assert not sheets.drawable("phantomlike", "phantom")
    assert sheets.drawable("rsna_pneumonia", "all")


def test_the_usual_variants_are_chosen_in_grid_order():
    words = ["supervised", "a", "sista", "random_init", "b", "clip"]
    assert sheets.chosen_variants(words) == ["supervised", "sista", "random_init", "clip"]
    assert sheets.chosen_variants(["clip", "x", "y"]) == ["clip", "x", "y"]


@pytest.mark.parametrize("task", ["segmentation", "detection"])
def test_overlay_sheet(task, project, prepared):
    runs = [r for r in made.runs(tasks=(task,)) if r.pretrain.family == "resnet"]
    paths = [(run.variant, project / run.predictions) for run in runs]
    figure, fraction = sheets.overlay_sheet(task, paths, prepared)
    assert fraction == 10
    assert len(figure.axes) == 4 * 5
    assert [axis.get_title() for axis in figure.axes[:5]] == ["film", *(name for name, _ in paths)]
    texts = [text.get_text() for axis in figure.axes for text in axis.texts]
    assert len(texts) == 4 * 4
    # Films are anonymous: no id of an image or patient is written.
    assert not any("test" in text for text in texts)


def test_boxes_are_moved_from_native_to_prepared_pixels(project, prepared):
    run = made.runs(variants=("clip",), tasks=("detection",))[0]
    figure, _ = sheets.overlay_sheet("detection", [("clip", project / run.predictions)], prepared)
    corners = [patch.get_xy() for axis in figure.axes for patch in axis.patches]
    assert corners
    frame, _ = tables.read(project / run.predictions, "predictions_detection")
    part = frame.query("subset == 'test' and fraction == 10 and draw == 0").set_index("image_id")
    smallest = sheets._pick(find_task("detection").overlay, part)[0]
    x, y, *_ = json.loads(part.loc[smallest, "target"])[0]
    assert (2.0 * x + 8.0, 2.0 * y) in corners


@pytest.mark.parametrize(("zoom", "ends"), [(None, (0, 96)), (1.5, (16, 80))])
def test_masks_are_drawn_where_the_network_saw_them(project, prepared, tmp_path, zoom, ends):
    run = made.runs(variants=("clip",), tasks=("segmentation",))[0]
    frame, meta = tables.read(project / run.predictions, "predictions_segmentation")
    path = tmp_path / "predictions.parquet"
    tables.write(frame, path, "predictions_segmentation", meta | ({"zoom": zoom} if zoom else {}))
    figure, _ = sheets.overlay_sheet("segmentation", [("clip", path)], prepared)
    film, drawn = figure.axes[1].images
    assert drawn.get_extent() == pytest.approx([ends[0], ends[1], ends[1], ends[0]])
    assert film.get_extent() == pytest.approx([0, 96, 96, 0])
    assert figure.axes[1].get_xlim() == (0, 96)
    assert figure.axes[1].get_ylim() == (96, 0)
    # The outline of the target lies where its pixels are: 48 of them between the ends.
    part = frame.query("subset == 'test' and fraction == 10 and draw == 0").set_index("image_id")
    target = from_json(part.loc[sheets._pick(find_task("segmentation").overlay, part)[0], "target"])
    columns = np.flatnonzero(target.any(0))
    (outline,) = figure.axes[1].collections
    xs = np.concatenate([each.vertices[:, 0] for each in outline.get_paths()])
    step = (ends[1] - ends[0]) / 48
    assert xs.min() == pytest.approx(ends[0] + columns[0] * step, abs=step)
    assert xs.max() == pytest.approx(ends[0] + (columns[-1] + 1) * step, abs=step)


def _word_maps(path, **changes):
    rng = np.random.default_rng(0)
    words = np.array([["effusion", "the", "left", "of", "left", "lower"]] * 2)
    arrays = {
        "images": rng.integers(0, 255, (2, 32, 32)).astype(np.uint8),
        "words": words,
        "weights": rng.random((2, 6, 4, 4)).astype(np.float32),
        "valid": np.array([[True] * 6, [False] * 6]),
    } | changes
    np.savez(path, **{k: v for k, v in arrays.items() if v is not None})
    return path


def test_word_sheet_shows_each_telling_word_once(tmp_path):
    figure = sheets.word_sheet(_word_maps(tmp_path / "word_maps.npz"))
    titles = [axis.get_title() for axis in figure.axes]
    assert sorted(t for t in titles if t) == ["effusion", "left", "lower"]
    empty = _word_maps(tmp_path / "none.npz", valid=np.zeros((2, 6), dtype=bool))
    assert sheets.word_sheet(empty) is None


def test_broken_word_maps_are_named(tmp_path):
    with pytest.raises(UserError, match=r"maps\.npz: lacks weights"):
        sheets.word_sheet(_word_maps(tmp_path / "maps.npz", weights=None))
    with pytest.raises(UserError, match="other shapes or kinds"):
        sheets.word_sheet(_word_maps(tmp_path / "maps.npz", valid=np.ones((2, 5), dtype=bool)))
