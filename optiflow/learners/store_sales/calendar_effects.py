"""Effects of the calendar that move through the weeks from year to year, and are known in advance.

The same week of last year misses them: the week before Easter, the first days of a month (pay days), the last shopping
days before Christmas. Their sizes are estimated from how all stores together differ from the year before; where people
do not shop by these days, the estimates are about 0.
"""

from datetime import date, timedelta

import numpy as np

from optiflow.learners.store_sales.names import YEAR
from optiflow.learners.store_sales.panel import Panel

RIDGE = 0.05
"""Pulls an effect that the history says little of towards 0."""

TREND_WEEKS = 13
"""Growth over a year is taken for even over so many weeks; what sticks out is the calendar's."""

FEWEST_YEARLY = 13
"""With fewer weeks to set beside last year's, no effect is estimated."""


def effects(panel: Panel, horizon: int, date_is: str) -> np.ndarray:
    """What the calendar adds to the logarithm of sales, in each week of the panel and of the horizon.

    Args:
        panel: The history.
        horizon: Weeks after it.
        date_is: `week_end` or `week_start`.

    Returns:
        One float64 a week.
    """
    known = _days(panel, horizon, date_is)
    past = panel.weeks
    if past - YEAR < FEWEST_YEARLY:
        return np.zeros(len(known))
    yearly = panel.logs[YEAR:] - panel.logs[:-YEAR]
    yearly = yearly[:, ~np.isnan(yearly).all(axis=0)]
    has = ~np.isnan(yearly).all(axis=1)
    if has.sum() < FEWEST_YEARLY:
        return np.zeros(len(known))
    moved = np.nanmedian((yearly - np.nanmedian(yearly, axis=0))[has], axis=1)
    moved = moved - _running_median(moved)
    shifted = (known[YEAR:past] - known[: past - YEAR])[has]
    sizes = np.linalg.solve(shifted.T @ shifted + RIDGE * np.eye(known.shape[1]), shifted.T @ moved)
    return known @ sizes


def easter(year: int) -> date:
    """Easter Sunday, by the Anonymous Gregorian algorithm (Meeus, Astronomical Algorithms, chapter 8)."""
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    g = (b - (b + 8) // 25 + 1) // 3
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return date(year, month, day + 1)


def _days(panel: Panel, horizon: int, date_is: str) -> np.ndarray:
    """Weeks x 3: shares of the week's days before Easter, at the start of a month, and before Christmas."""
    start = -6 if date_is == "week_end" else 0
    weeks = []
    for week in range(panel.weeks + horizon):
        days = [panel.day(week) + timedelta(days=start + i) for i in range(7)]
        before_easter = sum(1 <= (easter(day.year) - day).days <= 7 for day in days)
        month_start = sum(day.day <= 5 for day in days)
        before_christmas = sum(day.month == 12 and 19 <= day.day <= 24 for day in days)
        weeks.append((before_easter / 7, month_start / 7, before_christmas / 7))
    return np.array(weeks)


def _running_median(values: np.ndarray) -> np.ndarray:
    half = TREND_WEEKS // 2
    return np.array([np.median(values[max(0, i - half) : i + half + 1]) for i in range(len(values))])
