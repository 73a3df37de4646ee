"""What amounts are usual for an item, and for each type of its movements.

What belongs here: counting amounts by item and type. What does not: ids, words and times (`encodings`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
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

    def absent(self, name: str) -> bool:
        """Whether no training row had the amount: it then tells nothing of any movement."""
        import numpy as np

        return bool(np.isnan(self.ranges[name][0, 0]))


@dataclass(frozen=True)
class Groups:
    """The items and types of the training rows, as places, and how many are known."""

    items: "np.ndarray"
    types: "np.ndarray"
    known_items: int
    known_types: int

    def by_item(self, values: "np.ndarray") -> "np.ndarray":
        """Quantiles (items + 1, 3); all rows' for an item that has none of its own."""
        found = _quantiles(self.items, values, self.known_items + 1)
        found[self.item_counts() == 0] = _quantiles(self.items * 0, values, 1)[0]
        return found

    def item_counts(self) -> "np.ndarray":
        """Training rows of each item."""
        import numpy as np

        return np.bincount(self.items, minlength=self.known_items + 1)

    def among(self, rows: "np.ndarray") -> "Groups":
        """The groups of some of the rows, `rows` being true for them."""
        return replace(self, items=self.items[rows], types=self.types[rows])

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
    """Count the amounts of the training rows; a price or a total may be NaN, and its row then tells nothing of it."""
    import numpy as np

    size = np.log(np.abs(amounts["quantity"]) + LOG_OFFSET["abs_quantity"])
    sizes = groups.by_pair(size)
    prices, price_spreads, price_ranges = _prices(groups, amounts["unit_price"])
    ranges = {"quantity": groups.by_pair(amounts["quantity"])[:, [0, 2]], "unit_price": price_ranges}
    ranges["total_amount"] = _totals(groups, amounts["total_amount"])
    spreads = {"abs_quantity": _inverse_spread(sizes, groups.pair_counts()), "unit_price": price_spreads}
    middle = {"abs_quantity": sizes[:, 1].astype(np.float32), "unit_price": prices.astype(np.float32)}
    return Usual(ranges, middle, spreads, groups.typed())


def _prices(groups: Groups, price: "np.ndarray") -> "tuple[np.ndarray, np.ndarray, np.ndarray]":
    """Middle and inverse spread of the prices' logarithms by item, and the range of the prices."""
    import numpy as np

    known, places = ~np.isnan(price), groups.known_items + 1
    if not known.any():
        return np.zeros(places), np.zeros(places, np.float32), np.full((places, 2), np.nan)
    priced = groups.among(known)
    found = priced.by_item(np.log(np.maximum(price[known], 0) + LOG_OFFSET["unit_price"]))
    spreads = _inverse_spread(found, priced.item_counts())
    spreads[priced.item_counts() == 0] = 0  # a price of an item that had none deviates from nothing
    return found[:, 1], spreads, priced.by_item(price[known])[:, [0, 2]]


def _totals(groups: Groups, total: "np.ndarray") -> "np.ndarray":
    import numpy as np

    known = ~np.isnan(total)
    if not known.any():
        return np.full((len(groups.pair_counts()), 2), np.nan)
    return groups.among(known).by_pair(total[known])[:, [0, 2]]


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
