"""One series as a picture: what was sold, what the hold-out was forecast to sell, and the forecast with its bands."""

from typing import TYPE_CHECKING

import polars as pl

from optiflow.report.drawings import AMBER, BLUE, INK, legend_above
from optiflow.report.wording import titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PERIODS_DRAWN = 64


def draw_series(sold: pl.DataFrame, judged: pl.DataFrame, forecast: pl.DataFrame, axes: "Axes", unit: str = "") -> None:
    """Draw one series.

    Args:
        sold: `date` and `sales`, in order of time; the last 64 are drawn.
        judged: The hold-out: `date` and `predicted`.
        forecast: `date`, `predicted`, `lo_95`, `lo_80`, `hi_80`, `hi_95`.
        axes: An empty set of axes.
        unit: What sales are counted in.
    """
    sold = sold.tail(PERIODS_DRAWN)
    axes.plot(sold["date"].to_numpy(), sold["sales"].to_numpy(), color=INK, linewidth=1.1, label="sold")
    axes.plot(
        judged["date"].to_numpy(),
        judged["predicted"].to_numpy(),
        color=AMBER,
        linewidth=1.3,
        label="hold-out, predicted",
    )
    day = forecast["date"].to_numpy()
    for level, alpha in ((95, 0.12), (80, 0.2)):
        low, high = forecast[f"lo_{level}"].to_numpy(), forecast[f"hi_{level}"].to_numpy()
        axes.fill_between(day, low, high, color=BLUE, alpha=alpha, linewidth=0)
    axes.plot(day, forecast["predicted"].to_numpy(), color=BLUE, linewidth=1.5, label="forecast, 80 and 95 % bands")
    axes.set_ylim(bottom=0)
    axes.set_ylabel(titled("sales", unit))
    legend_above(axes)
