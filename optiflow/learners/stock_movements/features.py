"""The feature matrix: what of a movement is looked at, as float32, one feature a row and one movement a column.

What belongs here: turning columns and frozen encodings into features. What does not: counting (`encodings`), scaling
(`components`).
"""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from optiflow.errors import UserError
from optiflow.learners.stock_movements.encodings import KEYS, Encodings, encode
from optiflow.learners.stock_movements.usual import AMOUNTS, LOG_OFFSET, pairs

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

COLUMNS = (*AMOUNTS, "created_at", *KEYS)

FEATURES: dict[str, str] = {
    "quantity": "quantity",
    "abs_quantity": "quantity",
    "unit_price": "unit_price",
    "total_amount": "total_amount",
    "hour_sin": "hour",
    "hour_cos": "hour",
    "day_of_week_sin": "day_of_week",
    "day_of_week_cos": "day_of_week",
    "day_of_month": "day_of_month",
    "item_id": "item_id",
    "warehouse_id": "warehouse_id",
    "transaction_type_enc": "transaction_type",
    "item_category_enc": "item_category",
}
"""Each feature and what of the movement it tells of.

Amounts are heavy-tailed, so they enter by their logarithm with their sign; |quantity| and the price enter as deviations
from what is usual for the item (|quantity|: for the type of its movements), in its own spread, because 500 screws are
usual and 500 sofas are not. Ids and
words enter by -log of their frequency: the information in meeting them.
"""

PAIR = "item and type"
GROUP = {"quantity": PAIR, "unit_price": "item_id", "total_amount": PAIR}
"""The codes of the groups in which each amount is usual or not."""

SECONDS_PER_HOUR = 3600
HOURS_PER_WEEK = 168
THURSDAY = 3  # 1970-01-01 was one
LAST_DAY = 60_000  # of the tables of days, in the year 2134


@dataclass(frozen=True)
class Slice:
    """Rows of a table as plain arrays: numbers as float64, keys as places among the known words."""

    quantity: "np.ndarray"
    unit_price: "np.ndarray"
    total_amount: "np.ndarray"
    hours: "np.ndarray"
    """Whole hours since 1970."""
    codes: "dict[str, np.ndarray]"

    def part(self, start: int, stop: int) -> "Slice":
        """Some of the rows."""
        cut = slice(start, stop)
        codes = {key: values[cut] for key, values in self.codes.items()}
        return Slice(self.quantity[cut], self.unit_price[cut], self.total_amount[cut], self.hours[cut], codes)


def refuse_missing_numbers(rows: "pa.Table") -> None:
    """Refuse rows that no score can be said of.

    Raises:
        UserError: a number or a time is missing.
    """
    for name in (*AMOUNTS, "created_at"):
        if rows[name].null_count:
            first = rows["row"][int(rows[name].is_null().to_numpy().argmax())].as_py()
            raise UserError(
                f"row {first}, column {name!r} is empty: a movement without it cannot be scored. Fill it in."
            )


def slice_of(rows: "pa.Table", known: Encodings) -> Slice:
    """The rows as arrays."""
    quantity, price, total = (rows[name].to_numpy() for name in AMOUNTS)
    codes = {key: encode(rows[key], known.arrays[key]) for key in KEYS}
    codes[PAIR] = pairs(codes["item_id"], codes["transaction_type"], len(known.words["transaction_type"]) + 1)
    return Slice(quantity, price, total, _hours(rows["created_at"]), codes)


def fill_matrix(matrix: "np.ndarray", rows: Slice, known: Encodings) -> None:
    """Write the features of `rows` into `matrix` (at least features x rows, float32), in the order of `FEATURES`."""
    import numpy as np

    count = len(rows.quantity)
    into = dict(zip(FEATURES, matrix[:, :count], strict=False))
    quantity = rows.quantity.astype(np.float32)
    size = np.log(np.abs(quantity) + np.float32(LOG_OFFSET["abs_quantity"]))
    np.copysign(size, quantity, out=into["quantity"])
    total = rows.total_amount.astype(np.float32)
    np.copysign(np.log(np.abs(total) + np.float32(1)), total, out=into["total_amount"])
    price = np.log(np.maximum(rows.unit_price.astype(np.float32), 0) + np.float32(LOG_OFFSET["unit_price"]))
    for name, values in (("abs_quantity", size), ("unit_price", price)):
        group = rows.codes[GROUP[FEATURES[name]]]
        np.subtract(values, known.usual.middle[name][group], out=into[name])
        into[name] *= known.usual.inverse_spread[name][group]
    week = rows.hours % HOURS_PER_WEEK
    for name, values in _week().items():
        np.take(values, week, out=into[name])
    np.take(_days()[1], np.clip(rows.hours // 24, 0, LAST_DAY), out=into["day_of_month"])
    for key, name in zip(KEYS, ("item_id", "warehouse_id", "transaction_type_enc", "item_category_enc"), strict=True):
        np.take(known.rarity[key], rows.codes[key], out=into[name])


def sampled_matrix(rows: "pa.Table", known: Encodings, limit: int, seed: int) -> "np.ndarray":
    """The features (features x rows) of at most `limit` rows, drawn at random."""
    import numpy as np

    if rows.num_rows > limit:
        rows = rows.take(np.sort(np.random.default_rng(seed).choice(rows.num_rows, limit, replace=False)))
    matrix = np.empty((len(FEATURES), rows.num_rows), np.float32)
    fill_matrix(matrix, slice_of(rows, known), known)
    return matrix


def moments(times: "pa.ChunkedArray") -> "dict[str, np.ndarray]":
    """`hour` (0 to 23), `day_of_week` (0 is Monday) and `day_of_month` (1 to 31) of each time."""
    import numpy as np

    hours = _hours(times)
    days = np.clip(hours // 24, 0, LAST_DAY)
    return {"hour": hours % 24, "day_of_week": (hours // 24 + THURSDAY) % 7, "day_of_month": _days()[0][days]}


def _hours(times: "pa.ChunkedArray") -> "np.ndarray":
    import numpy as np

    values = times.to_numpy()
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[np.datetime_data(values.dtype)[0]]
    return values.view(np.int64) // (per_second * SECONDS_PER_HOUR)


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
