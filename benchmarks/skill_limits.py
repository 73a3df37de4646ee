"""Whether the next window's skill lies inside the stated limits as often as they say: `python -m benchmarks.skill_limits`.

Walmart's 45 stores, from every week on which enough is known: `seasonal_growth`, the learner's candidate that needs no
fitting, forecasts the next weeks. Each window's limits are set beside the skill of the window that follows on it, for
windows whose three windows before are known, as the learner knows its past origins. Neighbouring windows overlap, and of
12 weeks, the default horizon, there are few. The old limits count all rows as independent.
"""

import os
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.accuracy.store_sales import FILE, read_sales
from optiflow.learners.store_sales.history import prepare
from optiflow.learners.store_sales.names import SHORT_WEEKS
from optiflow.learners.store_sales.panel import read_panel
from optiflow.learners.store_sales.seasonal_growth import choose_growth, seasonal_growth
from optiflow.learners.store_sales.validation import DENSE_ORIGINS, DENSE_STEP, past_origins
from optiflow.metrics import next_skill_interval, skill_interval
from optiflow.pipelines.forecasting.naive import naive_forecasts

FIRST_ORIGIN, LONGEST, PAST = 75, 12, 3
YEAR_BEFORE = "the same week a year before"


def main() -> int:
    """Print the shares, a line for each length of window and baseline."""
    root = Path(__file__).resolve().parents[1]
    data = Path(os.environ.get("OPTIFLOW_SHARED_DATA", root.parent / "shared" / "data"))
    windows = dict(forecasts(read_sales(data / FILE)))
    for weeks in (4, 6, 8, 12):
        for name in (YEAR_BEFORE, "mean of the last 8 weeks", "mean of all weeks"):
            old, new, count = inside(windows, weeks, name)
            print(f"{weeks} weeks  {name:30}  {count} windows  old {old:.2f}  stated {new:.2f}  of 0.95", flush=True)
    return 0


def forecasts(sales: pl.DataFrame) -> Iterator[tuple[int, pl.DataFrame]]:
    """The week of origin, and what its next weeks sold, were forecast to sell, and would have been by naive forecasts."""
    days = sales["date"].unique().sort().to_list()
    for origin in range(FIRST_ORIGIN, len(days) - 3):
        last = days[origin - 1]
        train = sales.filter(pl.col("date") <= last)
        test = sales.filter(pl.col("date") > last, pl.col("date") <= last + timedelta(weeks=LONGEST))
        panel = read_panel(train.to_arrow())
        tried = past_origins(panel, min(LONGEST, origin - SHORT_WEEKS), DENSE_ORIGINS, DENSE_STEP, "week_end")
        history = prepare(panel, LONGEST, "week_end")
        growth = choose_growth([(past.history, past.actual) for past in tried])
        made = np.exp(seasonal_growth(history, growth) + history.ahead[:, None])
        ahead = pl.DataFrame(made, list(panel.stores)).with_columns(
            date=pl.Series([last + timedelta(weeks=step) for step in range(1, LONGEST + 1)])
        )
        table = test.join(ahead.unpivot(index="date", variable_name="store", value_name="predicted"), ["store", "date"])
        yield origin, table.with_columns(**naive_forecasts(train, table, ["store"], "date", "sales", period=7))


def inside(windows: dict[int, pl.DataFrame], weeks: int, baseline: str) -> tuple[float, float, int]:
    """Shares of windows after which the skill lay inside the old and the stated limits, and how many windows."""
    cut = {}
    for origin, table in windows.items():
        days = table["date"].unique().sort()
        if len(days) >= weeks:
            cut[origin] = table.filter(pl.col("date") <= days[weeks - 1])
    skills = {origin: _middle(_limits(table, baseline)) for origin, table in cut.items()}
    old, new = [], []
    for origin, table in cut.items():
        past = [origin - weeks * turn for turn in range(1, PAST + 1)]
        if origin + weeks not in cut or not set(past) <= set(cut):
            continue
        found = skills[origin + weeks]
        low, high = _limits(table, baseline)
        old.append(low <= found <= high)
        low, high = next_skill_interval(
            _limits(table, baseline, periods=table["date"], series=table.select("store")),
            [skills[o] for o in past],
        )
        new.append(low <= found <= high)
    return float(np.mean(old)), float(np.mean(new)), len(new)


def _limits(table: pl.DataFrame, baseline: str, **groups: pl.Series | pl.DataFrame) -> tuple[float, float]:
    limits = skill_interval(table["sales"], table["predicted"], table[baseline], **groups)  # pyright: ignore[reportArgumentType]
    assert limits is not None
    return limits


def _middle(limits: tuple[float, float]) -> float:
    return sum(limits) / 2


if __name__ == "__main__":
    sys.exit(main())
