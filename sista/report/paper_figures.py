"""Figures as PDF for a column and for a page of a paper, with type that stays readable there."""

import io
import math
import re
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.text import Text

from sista.files import atomic
from sista.report.figures import STYLE

# Inches of a column and of both, with the size of type in points.
# The wide one first: for the narrow one texts are broken and panels moved.
WIDTHS = {7.0: 8.0, 3.3: 6.5}
# Of the height that a figure has on the page, at least so much stays: rows must not touch.
LEAST_HEIGHT = 0.72
# Inches that a panel with labels of its own takes at least.
PANEL = 1.5
# Inches of a line of the legend, and of a variant's name in it.
LINE, NAME = 0.16, 1.05


def for_paper(figure: Figure, path: Path) -> None:
    """Write a figure as `path`_3.3in.pdf and `path`_7in.pdf; it is changed, so save it before.

    The whole figure is as wide as the name says, legend and all, and no text is below 6.5 points.
    """
    across, down = figure.get_size_inches()
    for width, size in WIDTHS.items():
        height = down * max(width / across, LEAST_HEIGHT) * _rearranged(figure, width)
        for text in figure.findobj(Text):
            text.set_fontsize(size)
            # Over and below a narrow panel texts take several lines.
            if width < across / 2:
                text.set_text(re.sub(r" · |(?<= minus) |(?<=,) (?=in )", "\n", text.get_text()))
        for axis in figure.axes:
            axis.tick_params(labelsize=size)
        lines = _legend(figure, width, size)
        figure.set_size_inches(width, height + LINE * lines)
        figure.set_layout_engine("tight", rect=(0, LINE * lines / (height + LINE * lines), 1, 1))
        # Once in vain: it measures where the constrained layout had put the panels.
        figure.draw_without_rendering()
        # Into memory first: of a full disk its writer makes an error of another kind.
        content = io.BytesIO()
        with mpl.rc_context({**STYLE, "pdf.fonttype": 42}):
            figure.savefig(content, format="pdf", metadata={"CreationDate": None})
        with atomic(path.with_name(f"{path.name}_{width:g}in.pdf")) as temporary:
            temporary.write_bytes(content.getvalue())


def _rearranged(figure: Figure, width: float) -> float:
    """Set panels that would be too narrow on more lines; return the growth of their number."""
    # Those that are off fill the gaps of the old lines.
    axes = [axis for axis in figure.axes if axis.axison]
    places = [axis.get_subplotspec() for axis in axes]
    grids = {place.get_gridspec() for place in places if place is not None}
    fitting = max(2, int(width / PANEL))
    if len(grids) != 1 or None in places or (grid := grids.pop()).ncols <= fitting:
        return 1.0
    for gap in set(figure.axes) - set(axes):
        gap.remove()
    lines = math.ceil(len(axes) / fitting)
    new = GridSpec(lines, fitting, figure)
    for number, axis in enumerate(axes):
        axis.set_subplotspec(new[divmod(number, fitting)])
        # Beside another neighbour: an axis that was shared needs its own numbers.
        axis.tick_params(labelleft=True, labelbottom=True)
    return lines / int(grid.nrows)


def _legend(figure: Figure, width: float, size: float) -> int:
    """Put the legend of a figure below it, in columns that fit; return its lines."""
    if not figure.legends:
        return 0
    (old,) = figure.legends
    handles = [handle for handle in old.legend_handles if handle is not None]
    names = [text.get_text() for text in old.get_texts()]
    old.remove()
    columns = max(1, min(len(names), int(width / NAME)))
    figure.legend(handles, names, loc="lower center", ncols=columns, fontsize=size, frameon=False)
    return math.ceil(len(names) / columns) + 1
