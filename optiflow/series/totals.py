"""Totals over all series: history, hold-out and forecast with a band, as a table and as a picture."""

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, BLUE, AMBER = "#1f2933", "#2f6c9f", "#c46a1b"
BAND = (0.1, 0.9)


def forecast_totals(judged: pl.DataFrame, forecast: pl.DataFrame, date: str) -> pl.DataFrame:
    """The forecast's total for each day (or week), with the band that held 80 % of the hold-out's totals.

    The sum of single bounds would be far too wide, since the series' errors even out. So the band is the range of actual
    over predicted totals on the hold-out, around the forecast's.

    Args:
        judged: The hold-out: `date`, `actual`, `predicted`.
        forecast: `date`, `predicted`.
        date: The date column.

    Returns:
        `date`, `predicted`, `low`, `high`, in order of time.
    """
    held = judged.drop_nulls("actual").group_by(date).agg(pl.col("actual", "predicted").sum())
    ratio = held.filter(pl.col("predicted") > 0).select(ratio=pl.col("actual") / pl.col("predicted"))["ratio"]
    low, high = (ratio.quantile(level, "linear") if len(ratio) else 1.0 for level in BAND)
    total = pl.col("predicted")
    return (
        forecast.group_by(date)
        .agg(total.sum())
        .sort(date)
        .with_columns(low=total * min(low or 1.0, 1.0), high=total * max(high or 1.0, 1.0))
    )


def draw_totals(history: pl.DataFrame, judged: pl.DataFrame, totals: pl.DataFrame, date: str, axes: "Axes") -> None:
    """What was sold, what the hold-out was forecast to sell, and the forecast with its band.

    Args:
        history: `date` and `actual`: the totals of what was sold, in order of time.
        judged: `date` and `predicted`: the totals of the hold-out.
        totals: As `forecast_totals` gives them.
        date: The date column.
        axes: An empty set of axes.
    """
    axes.plot(history[date].to_numpy(), history["actual"].to_numpy(), color=INK, linewidth=1.1, label="sold")
    axes.plot(
        judged[date].to_numpy(), judged["predicted"].to_numpy(), color=AMBER, linewidth=1.3, label="hold-out, predicted"
    )
    day = totals[date].to_numpy()
    axes.fill_between(day, totals["low"].to_numpy(), totals["high"].to_numpy(), color=BLUE, alpha=0.2, linewidth=0)
    axes.plot(day, totals["predicted"].to_numpy(), color=BLUE, linewidth=1.5, label="forecast, 80 % band")
    axes.set_ylim(bottom=0)
    axes.set_ylabel("total")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.01), ncols=3, borderaxespad=0, handlelength=1.4)
