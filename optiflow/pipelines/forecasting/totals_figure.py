"""The picture of totals: what was sold, the hold-out, and the forecast with its band."""

from typing import TYPE_CHECKING

import polars as pl

from optiflow.report.drawings import AMBER, BLUE, INK, legend_above
from optiflow.report.wording import titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_totals(
    history: pl.DataFrame, judged: pl.DataFrame, totals: pl.DataFrame, date: str, axes: "Axes", unit: str = ""
) -> None:
    """What was sold, what the hold-out was forecast to sell, and the forecast with its band.

    Args:
        history: `date` and `actual`: the totals of what was sold, in order of time.
        judged: `date` and `predicted`: the totals of the hold-out.
        totals: As `forecast_totals` gives them.
        date: The date column.
        axes: An empty set of axes.
        unit: What sales are counted in.
    """
    axes.plot(history[date].to_numpy(), history["actual"].to_numpy(), color=INK, linewidth=1.1, label="sold")
    axes.plot(
        judged[date].to_numpy(), judged["predicted"].to_numpy(), color=AMBER, linewidth=1.3, label="hold-out, predicted"
    )
    day = totals[date].to_numpy()
    axes.fill_between(day, totals["low"].to_numpy(), totals["high"].to_numpy(), color=BLUE, alpha=0.2, linewidth=0)
    axes.plot(day, totals["predicted"].to_numpy(), color=BLUE, linewidth=1.5, label="forecast, 80 % band")
    axes.set_ylim(bottom=0)
    axes.set_ylabel(titled("total", unit))
    legend_above(axes)
