"""The feature matrix: what of a movement is looked at, as float32, one feature a row and one movement a column.

What belongs here: turning columns and frozen encodings into features. What does not: counting (`encodings`), scaling
(`components`).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from optiflow.errors import UserError
from optiflow.learners.stock_movements.encodings import KEYS, Encodings, encode
from optiflow.learners.stock_movements.moments import cyclic_parts, hours_of
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
        UserError: a quantity or a time is missing.
    """
    for name in ("quantity", "created_at"):
        if rows[name].null_count:
            first = rows["row"][int(rows[name].is_null().to_numpy().argmax())].as_py()
            raise UserError(
                f"row {first}, column {name!r} is empty: a movement without it cannot be scored. Fill it in."
            )


def amount_of(rows: "pa.Table", name: str) -> "np.ndarray":
    """An amount as float64, NaN where it is missing."""
    import pyarrow as pa

    return rows[name].cast(pa.float64()).to_numpy()


def slice_of(rows: "pa.Table", known: Encodings) -> Slice:
    """The rows as arrays."""
    quantity, price, total = (amount_of(rows, name) for name in AMOUNTS)
    codes = {key: encode(rows[key], known.arrays[key]) for key in KEYS}
    codes[PAIR] = pairs(codes["item_id"], codes["transaction_type"], len(known.words["transaction_type"]) + 1)
    return Slice(quantity, price, total, hours_of(rows["created_at"]), codes)


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
    _put_usual_totals(into["total_amount"], rows, known)
    price = np.log(np.maximum(rows.unit_price.astype(np.float32), 0) + np.float32(LOG_OFFSET["unit_price"]))
    for name, values in (("abs_quantity", size), ("unit_price", price)):
        group = rows.codes[GROUP[FEATURES[name]]]
        np.subtract(values, known.usual.middle[name][group], out=into[name])
        into[name] *= known.usual.inverse_spread[name][group]
    if known.usual.absent("unit_price"):
        into["unit_price"][:] = 0
    else:
        np.nan_to_num(into["unit_price"], copy=False, nan=0.0)  # a price that is not told is a usual one
    for name, (values, places) in cyclic_parts(rows.hours).items():
        np.take(values, places, out=into[name])
    for key, name in zip(KEYS, ("item_id", "warehouse_id", "transaction_type_enc", "item_category_enc"), strict=True):
        np.take(known.rarity[key], rows.codes[key], out=into[name])


def _put_usual_totals(into: "np.ndarray", rows: Slice, known: Encodings) -> None:
    """Where a total is missing, what the quantity costs at the item's usual price; 0 where training knew no total."""
    import numpy as np

    if known.usual.absent("total_amount"):
        into[:] = 0
        return
    missing = np.isnan(into)
    if missing.any():
        price = np.exp(known.usual.middle["unit_price"][rows.codes["item_id"][missing]])
        quantity = rows.quantity[missing].astype(np.float32)
        into[missing] = np.copysign(np.log(np.abs(quantity) * price + np.float32(1)), quantity)


def sampled_matrix(rows: "pa.Table", known: Encodings, limit: int, seed: int) -> "np.ndarray":
    """The features (features x rows) of at most `limit` rows, drawn at random."""
    import numpy as np

    if rows.num_rows > limit:
        rows = rows.take(np.sort(np.random.default_rng(seed).choice(rows.num_rows, limit, replace=False)))
    matrix = np.empty((len(FEATURES), rows.num_rows), np.float32)
    fill_matrix(matrix, slice_of(rows, known), known)
    return matrix
