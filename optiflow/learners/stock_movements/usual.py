"""What amounts are usual for an item, and for each type of its movements.

What belongs here: counting amounts by item and type. What does not: ids, words and times (`encodings`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

AMOUNTS = ("quantity", "unit_price", "total_amount")
LOW, MIDDLE, HIGH = 0.05, 0.5, 0.95
LOG_OFFSET = {"abs_quantity": 1.0, "unit_price": 0.01}
"""Added before the logarithm: one unit, one cent."""

NORMAL_WIDTH = 3.29
"""Standard deviations between the 5 % and the 95 % quantile of a normal distribution."""

MIN_SPREAD = 0.1
"""In logarithms: a price that never changed would otherwise make a cent's difference look absurd."""

PRIOR_ROWS = 10
"""With fewer rows of a type, an item's rows of all types say what is usual; with so many, its own spread counts half."""


@dataclass(frozen=True)
class Usual:
    """What is usual by group: a price by item, the other amounts by item and type.

    Items and types have one place more than there are known ones, for unseen ones; the group of item i and type t is
    i x (types + 1) + t. `ranges[name]` (groups, 2): the 5 % and the 95 % quantile. `middle`, `inverse_spread` (groups,
    float32): what the logarithms of |quantity| and of the price are centred and multiplied by. `typed` (groups): whether
    the group itself had rows enough, not its item.
    """

    ranges: "Mapping[str, np.ndarray]"
    middle: "Mapping[str, np.ndarray]"
    inverse_spread: "Mapping[str, np.ndarray]"
    typed: "np.ndarray"


@dataclass(frozen=True)
class Groups:
    """The items and types of the training rows, as places, and how many are known."""

    items: "np.ndarray"
    types: "np.ndarray"
    known_items: int
    known_types: int

    def by_item(self, values: "np.ndarray") -> "np.ndarray":
        """Quantiles (items + 1, 3); all rows' for an unseen item."""
        found = _quantiles(self.items, values, self.known_items + 1)
        found[-1] = _quantiles(self.items * 0, values, 1)[0]
        return found

    def by_pair(self, values: "np.ndarray") -> "np.ndarray":
        """Quantiles (groups, 3); the item's where the group has few rows, the type's for an unseen item."""
        import numpy as np

        types = self.known_types + 1
        by_item = self.by_item(values)
        found = _quantiles(pairs(self.items, self.types, types), values, len(by_item) * types)
        found = np.where(self.typed()[:, None], found, np.repeat(by_item, types, axis=0))
        seen = np.bincount(self.types, minlength=types) > 0
        found[-types:][seen] = _quantiles(self.types, values, types)[seen]
        return found

    def typed(self) -> "np.ndarray":
        """Whether each group has rows enough of its own."""
        return self.pair_counts() >= PRIOR_ROWS

    def pair_counts(self) -> "np.ndarray":
        """Training rows in each group."""
        import numpy as np

        types = self.known_types + 1
        return np.bincount(pairs(self.items, self.types, types), minlength=(self.known_items + 1) * types)


def pairs(items: "np.ndarray", types: "np.ndarray", places: int) -> "np.ndarray":
    """The group of each row, where types have so many places."""
    return items * places + types


def fit(groups: Groups, amounts: "Mapping[str, np.ndarray]") -> Usual:
    """Count the amounts of the training rows."""
    import numpy as np

    size = np.log(np.abs(amounts["quantity"]) + LOG_OFFSET["abs_quantity"])
    price = np.log(np.maximum(amounts["unit_price"], 0) + LOG_OFFSET["unit_price"])
    sizes, prices = groups.by_pair(size), groups.by_item(price)
    price_counts = np.bincount(groups.items, minlength=groups.known_items + 1)
    spreads = {
        "abs_quantity": _inverse_spread(sizes, groups.pair_counts()),
        "unit_price": _inverse_spread(prices, price_counts),
    }
    spreads["unit_price"][-1] = 0  # a new item's price deviates from nothing
    ranges = {name: groups.by_pair(amounts[name])[:, [0, 2]] for name in ("quantity", "total_amount")}
    ranges["unit_price"] = groups.by_item(amounts["unit_price"])[:, [0, 2]]
    middle = {"abs_quantity": sizes[:, 1].astype(np.float32), "unit_price": prices[:, 1].astype(np.float32)}
    return Usual(ranges, middle, spreads, groups.typed())


def _quantiles(codes: "np.ndarray", values: "np.ndarray", places: int) -> "np.ndarray":
    """Quantiles (places, 3) of the values of each code, each one of the values; anything for a code without rows."""
    import numpy as np

    order = np.lexsort((values, codes))
    counts = np.bincount(codes, minlength=places)
    starts = np.cumsum(counts) - counts
    steps = (np.maximum(counts, 1) - 1)[:, None] * np.array([LOW, MIDDLE, HIGH])
    ranks = np.minimum(starts[:, None] + np.rint(steps).astype(np.int64), len(values) - 1)
    return values[order][ranks]


def _inverse_spread(quantiles: "np.ndarray", counts: "np.ndarray") -> "np.ndarray":
    """1 / spread of each group, drawn towards the mean row's group where there are few rows."""
    import numpy as np

    spread = (quantiles[:, 2] - quantiles[:, 0]) / NORMAL_WIDTH
    drawn = (counts * spread + PRIOR_ROWS * np.average(spread, weights=counts)) / (counts + PRIOR_ROWS)
    return (1 / np.maximum(drawn, MIN_SPREAD)).astype(np.float32)
