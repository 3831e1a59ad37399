"""What the overlays of tasks share: colours, and a line of text on a film."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Blue and orange of Okabe and Ito: told apart with any kind of colour vision.
TARGET, PREDICTED = "#56b4e9", "#ff9e2c"


def write(axis: "Axes", text: str) -> None:
    """Write a line into the lower left corner of a film."""
    axis.text(
        0.03,
        0.03,
        text,
        transform=axis.transAxes,
        color="white",
        fontsize=8,
        va="bottom",
        bbox={"facecolor": "black", "alpha": 0.6, "pad": 1.5, "linewidth": 0},
    )
