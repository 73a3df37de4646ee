"""Parts of a time: the hour, the day of the week and of the month, as numbers and as features.

What belongs here: reading them off times. What does not: how often each part comes (`encodings`).
"""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

SECONDS_PER_HOUR = 3600
HOURS_PER_WEEK = 168
THURSDAY = 3  # 1970-01-01 was one
LAST_DAY = 60_000  # of the tables of days, in the year 2134


def moments(times: "pa.ChunkedArray") -> "dict[str, np.ndarray]":
    """`hour` (0 to 23), `day_of_week` (0 is Monday) and `day_of_month` (1 to 31) of each time."""
    import numpy as np

    hours = hours_of(times)
    days = np.clip(hours // 24, 0, LAST_DAY)
    return {"hour": hours % 24, "day_of_week": (hours // 24 + THURSDAY) % 7, "day_of_month": _days()[0][days]}


def hours_of(times: "pa.ChunkedArray") -> "np.ndarray":
    """Whole hours since 1970."""
    import numpy as np

    values = times.to_numpy()
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[np.datetime_data(values.dtype)[0]]
    return values.view(np.int64) // (per_second * SECONDS_PER_HOUR)


def cyclic_parts(hours: "np.ndarray") -> "dict[str, tuple[np.ndarray, np.ndarray]]":
    """The features of times: for each a table of values, float32, and each row's place in it."""
    import numpy as np

    week = hours % HOURS_PER_WEEK
    parts = {name: (values, week) for name, values in _week().items()}
    return {**parts, "day_of_month": (_days()[1], np.clip(hours // 24, 0, LAST_DAY))}


@cache
def _week() -> "dict[str, np.ndarray]":
    """The cyclic features of each hour of a week that begins like 1970, on a Thursday."""
    import numpy as np

    hour = np.arange(HOURS_PER_WEEK) % 24 * (2 * np.pi / 24)
    weekday = (np.arange(HOURS_PER_WEEK) // 24 + THURSDAY) % 7 * (2 * np.pi / 7)
    cyclic = {"hour_sin": np.sin(hour), "hour_cos": np.cos(hour)}
    cyclic |= {"day_of_week_sin": np.sin(weekday), "day_of_week_cos": np.cos(weekday)}
    return {name: values.astype(np.float32) for name, values in cyclic.items()}


@cache
def _days() -> "tuple[np.ndarray, np.ndarray]":
    """The day of the month of each day since 1970, as a number and as a feature."""
    import numpy as np

    days = np.arange(LAST_DAY + 1).astype("datetime64[D]")
    numbers = (days - days.astype("datetime64[M]")).astype(np.int64) + 1
    return numbers, numbers.astype(np.float32)
