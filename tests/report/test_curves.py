import numpy as np
import pandas as pd

from sista.report.curves import learning_curves
from sista.report.figures import looks


def test_a_panel_shows_training_and_validation_loss_of_a_run():
    log = pd.DataFrame({"epoch": [1.0, 2.0], "loss": [3.0, 2.0], "val_loss": [3.5, 2.5]})
    logs = {(v, e): log for v in ("clip", "sista", "supervised") for e in ("vit", "resnet")}
    figure = learning_curves(logs, looks(["clip", "sista", "supervised"]))
    shown = [axis for axis in figure.axes if axis.axison]
    assert [axis.get_title() for axis in shown] == [f"{v} · {e}" for v, e in logs]
    for axis in shown:
        lines = [line.get_xydata() for line in axis.lines]
        np.testing.assert_array_equal(lines[0], [[1, 3], [2, 2]])
        np.testing.assert_array_equal(lines[1], [[1, 3.5], [2, 2.5]])
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.texts] == ["training", "validation"]


def test_one_run_is_one_panel():
    log = pd.DataFrame({"epoch": [1.0], "loss": [3.0]})
    assert len(learning_curves({("clip", "vit"): log}, looks(["clip"])).axes) == 1
