"""Learning curves of pre-training, from the logs that each run leaves."""

from collections.abc import Collection, Mapping

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sista.report.figures import STYLE, Look

MOST_COLUMNS = 4
CURVES = {"loss": "training", "val_loss": "validation"}


def learning_curves(
    logs: Mapping[tuple[str, str], pd.DataFrame],
    looks: Mapping[str, Look],
    late: Collection[tuple[str, str]] = (),
) -> Figure:
    """Draw training and validation loss against the epoch, a panel for each run.

    Losses of different methods have different scales, so no axis is shared.

    Args:
        logs: log of each (variant, encoder) with the columns epoch, loss and val_loss.
        looks: colour of each variant.
        late: (variant, encoder) of which a seed left its plateau late or never: marked.
    """
    columns = min(len(logs), MOST_COLUMNS)
    lines = -(-len(logs) // columns)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(0.4 + 2.7 * columns, 0.5 + 2.1 * lines), layout="constrained")
        axes = figure.subplots(lines, columns, squeeze=False).flatten()
        for axis, ((variant, encoder), log) in zip(axes, logs.items(), strict=False):
            _panel(axis, log, looks[variant].colour)
            axis.set_title(f"{variant} · {encoder}" + " †" * ((variant, encoder) in late))
        # The last line of panels may have gaps.
        for axis in axes[len(logs) :]:
            axis.set_axis_off()
        # For all panels: inside one it would hide curves.
        handles, names = axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=len(names), frameon=False)
    return figure


def _panel(axis: Axes, log: pd.DataFrame, colour: str) -> None:
    # Costs a second to import, and help and errors draw nothing.
    import seaborn as sns

    for (column, name), dash in zip(CURVES.items(), ("-", (0, (4, 2))), strict=True):
        if column in log:
            sns.lineplot(
                x=log["epoch"],
                y=log[column],
                ax=axis,
                color=colour,
                linestyle=dash,
                label=name,
                legend=False,
            )
    axis.set_xlabel("epoch")
    axis.set_ylabel("loss")
