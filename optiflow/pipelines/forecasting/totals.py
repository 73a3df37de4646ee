"""Totals over all series: the forecast's with a band, learned from how far totals of the past were off.

What belongs here: totals of the past, their bands and in words what these stand on. What does not: pictures
(`totals_figure`), and forecasting the past, which is the learners'.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import polars as pl

from optiflow.days import YEAR

COVERAGE = 0.8
FEWEST = 4
"""The largest of four errors is the first that a fifth exceeds once in five times: with less there is no 80 % band."""

PEAK, NOISE, AROUND = 0.15, 3.0, 13
"""A total stands out if it differs from the median of the 13 weeks around it, on the same weekday, by over 15 % and by over
three standard deviations, as chance alone makes one in 400 differ. At Christmas 15 % is enough: that it is one is no chance."""

MAD = 1.4826
"""The standard deviation of normal values over the median of their distances from the median."""

CHRISTMAS = ((12, 19), (12, 31))
"""Days that are expected to be peaks until a year of history shows whether they are."""


def past_totals(told: Sequence[Mapping[str, Any]], held: pl.DataFrame, origin: date, period: int) -> pl.DataFrame:
    """How far totals were off at past origins, the hold-out's among them.

    Args:
        told: What the learner says of its past origins: `origin` (ISO date, the last one known there) and `off` (actual
            over predicted total less 1, one a period ahead, None where not known).
        held: The hold-out: `date` (Date), `actual`, `predicted`.
        origin: The last date before the hold-out.
        period: Days in a period.

    Returns:
        `origin`, `date` (Date), `step` (Int64, from 1), `off` (Float64); one row an origin and period, no nulls.
    """
    rows = [
        (day, day + timedelta(step * period), step, off)
        for entry in told
        for day in [date.fromisoformat(entry["origin"])]
        for step, off in enumerate(entry["off"], 1)
        if off is not None
    ]
    schema = {"origin": pl.Date, "date": pl.Date, "step": pl.Int64, "off": pl.Float64}
    total = held.drop_nulls("actual").group_by("date").agg(pl.col("actual", "predicted").sum())
    judged = total.filter(pl.col("predicted") > 0).select(
        pl.lit(origin).alias("origin"),
        "date",
        step=-(-(pl.col("date") - origin).dt.total_days() // period),
        off=pl.col("actual") / pl.col("predicted") - 1,
    )
    return pl.concat([pl.DataFrame(rows, schema, orient="row"), judged.cast(schema)]).sort("origin", "step")  # pyright: ignore[reportArgumentType]


def forecast_totals(forecast: pl.DataFrame, sold: pl.DataFrame, past: pl.DataFrame, period: int) -> pl.DataFrame:
    """The forecast's total for each period, with a band that is to hold it with 80 % confidence.

    Sums of single bounds would be far too wide, since the series' errors partly even out. So the band is as wide as
    totals were off at past origins: a quantile of their relative errors, about as many periods ahead, brought to the
    same distance by the power of it that errors grow with. Windows from origin to period that overlap share their
    shocks, so only `tried` of them, which do not, count for the quantile's correction for few errors, (tried + 1) /
    tried.

    A peak is a period that was expected to be one: the total of 52 weeks before stood out, or the forecast does. Which past
    errors the band of usual periods is learned from goes by that alone: to leave out those whose own total stood out, which
    nobody knew, would leave out the largest errors. A peak has the band of the peaks that were tried, expected or not,
    where that is wider. With under four of either there is none.

    Source: Lee, Barber and Willett, "Distribution-free inference with hierarchical data" (2023), on a quantile of errors
    that come in groups.

    Args:
        forecast: `date` (Date), `predicted`.
        sold: All history: `date`, `sales`.
        past: As `past_totals` gives it.
        period: Days in a period.

    Returns:
        `date`, `predicted`, `low`, `high` (null where no band can be had), `tried` (Int64: past windows as long as this
        one, or peaks, that did not overlap), `peak` (Boolean), `lacks` (String: too few `windows` of that length, `usual`
        periods about as far ahead, or `peaks`, to learn a band from; null where there is one); in order of time.
    """
    totals = forecast.group_by("date").agg(pl.col("predicted").sum()).sort("date")
    known = sold.group_by("date").agg(total=pl.col("sales").sum())
    expected, seen = _peaks(known, totals.select("date", total="predicted"), period)
    usual = past.filter(~pl.col("date").is_in(expected)).rows(named=True)
    unusual = past.filter(pl.col("date").is_in(expected | seen)).rows(named=True)
    last, power = sold["date"].max(), _power(past)
    assert isinstance(last, date)
    peaks_tried = len({row["date"] for row in unusual})
    half_of_peaks = _quantile([abs(row["off"]) for row in unusual], peaks_tried) if peaks_tried else 0.0
    rows = []
    for day, predicted in totals.rows():
        step = -(-(day - last).days // period)
        near = [row for row in usual if step <= 2 * row["step"] <= 4 * step]
        windows, quiet = (
            separate_windows([row["origin"] for row in some], step * period)
            for some in (past.filter(step=step).rows(named=True), near)
        )
        # The first reason that holds is the one to tell.
        counts = {"windows": windows, "usual": quiet, **({"peaks": peaks_tried} if day in expected else {})}
        lacks, tried = next((name for name in counts if counts[name] < FEWEST), None), min(counts.values())
        half = None if lacks else _half_width(near, step, power, min(windows, quiet))
        if half is not None and day in expected:
            half = max(half, half_of_peaks)
        low, high = (None, None) if half is None else (max(predicted * (1 - half), 0.0), predicted * (1 + half))
        rows.append((day, predicted, low, high, tried, day in expected, lacks))
    floats = dict.fromkeys(("predicted", "low", "high"), pl.Float64)
    schema = {"date": pl.Date, **floats, "tried": pl.Int64, "peak": pl.Boolean, "lacks": pl.String}
    return pl.DataFrame(rows, schema, orient="row")


def separate_windows(origins: Sequence[date], days: int) -> int:
    """How many windows of so many days, from these origins on, do not overlap: the most that can be picked."""
    count, end = 0, date.min
    for origin in sorted(set(origins)):
        if origin >= end:
            count, end = count + 1, origin + timedelta(days)
    return count


def in_words(totals: pl.DataFrame, past: pl.DataFrame, period: str) -> str:
    """What the bands stand on, and for which periods there is none; `period` is `week` or `day`."""
    banded = totals.drop_nulls("low")
    parts = []
    if banded.height:
        fewest, most = banded["tried"].min(), banded["tried"].max()
        counted = f"{fewest}" if fewest == most else f"{fewest} to {most}"
        parts.append(
            f"The range is to hold 80 % of such totals: it is as wide as totals were off, so many {period}s ahead, at "
            f"{past['origin'].n_unique()} past origins from {past['origin'].min()} on. Of their windows, which overlap, as many "
            f"as tell of chance by themselves: {counted}."
        )
    reasons = {
        "windows": f"the history has under {FEWEST} separate windows of that length to learn it from",
        "peaks": "peaks, and too few were ever tried",
        "usual": f"too few {period}s about as far ahead were ever tried that were not peaks",
    }
    for lacks, reason in reasons.items():
        days = totals.filter(lacks=lacks)["date"]
        if len(days):
            parts.append(f"No range for {_days_in_words(days, period)}: {reason}.")
    return " ".join(parts)


def _days_in_words(days: pl.Series, period: str) -> str:
    """Up to six dates by themselves; of more their number, and where they lie."""
    if len(days) <= 6:
        return ", ".join(map(str, days))
    return f"{len(days)} {period}s from {days.min()} to {days.max()}"


def _half_width(near: Sequence[Mapping[str, Any]], step: int, power: float, tried: int) -> float:
    """Half the band as a share of the total; from errors at other distances."""
    return _quantile([abs(row["off"]) * (step / row["step"]) ** power for row in near], tried)


def _quantile(sizes: Sequence[float], independent: int) -> float:
    place = math.ceil(min(COVERAGE * (independent + 1) / independent, 1.0) * len(sizes) - 1e-9)
    return sorted(sizes)[place - 1]


def _power(past: pl.DataFrame) -> float:
    """The power of the distance that errors grow with: 0 if they do not, 0.5 for a random walk, at most 1.

    The slope of a line through the mean error of each distance, in logarithms, each with its number of origins as weight.
    """
    by_step = past.group_by("step").agg(size=pl.col("off").abs().mean(), weight=pl.len()).filter(pl.col("size") > 0)
    x, y, weight = pl.col("step").log(), pl.col("size").log(), pl.col("weight") / pl.col("weight").sum()
    dx, dy = x - (x * weight).sum(), y - (y * weight).sum()
    slope = (
        by_step.select(slope=(dx * dy * weight).sum() / (dx * dx * weight).sum()).item() if by_step.height > 1 else 0.0
    )
    return min(max(slope, 0.0), 1.0)


def _peaks(known: pl.DataFrame, ahead: pl.DataFrame, period: int) -> tuple[set[date], set[date]]:
    """The dates that were expected to be peaks or troughs, past ones like coming ones; and the past ones that were some.

    Args:
        known: `date` and `total`, of the past.
        ahead: `date` and `total`, as forecast.
        period: Days in a period.
    """
    # Near either end the weeks around lie on one side only, where a rising season alone would look like a peak.
    around = pl.col("total").rolling_median(AROUND, center=True).over("weekday")
    out = pl.concat([known, ahead]).sort("date").with_columns(weekday=pl.col("date").dt.weekday())
    out = out.with_columns(around=around).drop_nulls("around")
    off = (pl.col("total") - pl.col("around")).abs()
    past, coming = set(known["date"]), set(ahead["date"])
    # A weekday on which the shops are closed tells nothing of chance; a sale on it differs from nothing.
    usual = out.filter(pl.col("date").is_in(past), pl.col("around") > 0)
    noise = usual.group_by("weekday").agg(noise=MAD * (off / pl.col("around")).median())
    christmas = {day for day in past | coming if _near_christmas(day, period)}
    least = (
        pl.when(pl.col("date").is_in(christmas)).then(PEAK).otherwise(pl.max_horizontal(PEAK, NOISE * pl.col("noise")))
    )
    found = set(out.join(noise, on="weekday", how="left").filter(off > least * pl.col("around"))["date"])
    # That a forecast is as high as around it does not show that a first Christmas will be.
    first = {day for day in christmas if day - YEAR not in set(out["date"])}
    expected = {day for day in past | coming if day - YEAR in found} | (found & coming) | first
    return expected, found & past


def _near_christmas(day: date, period: int) -> bool:
    """Whether the period that `day` names, be it by its first day or its last, has one of `CHRISTMAS`."""
    days = (day + timedelta(offset) for offset in range(1 - period, period))
    return any(CHRISTMAS[0] <= (each.month, each.day) <= CHRISTMAS[1] for each in days)
