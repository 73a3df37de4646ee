"""From an item's columns to the numbers that the trees see, by what the training rows know.

What belongs here: the encoder, fitted on the train channel only and kept as JSON. What does not: labels, models.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from optiflow.learners.turnover.words import Vocabulary, tokens

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

MISSING, UNSEEN = 0, 1
"""Codes of an empty cell, and of a category or brand that the training rows lack or hardly have."""

PLAIN = (
    *("price", "relative price", "category", "brand", "words in description"),
    *("month of creation", "weekday of creation", "year's wave, sine", "year's wave, cosine"),
)
"""The features before the words."""


@dataclass(frozen=True)
class Encoder:
    """What the training rows know: codes of categories and brands, usual prices, the vocabulary."""

    categories: Mapping[str, int]
    brands: Mapping[str, int]
    usual_prices: Mapping[str, float]
    """Median price by category, for those with a code of their own."""
    usual_price: float
    vocabulary: Vocabulary

    @classmethod
    def fit(cls, rows: "pa.Table", *, max_terms: int, min_items: int) -> "Encoder":
        """Learn from the training rows."""
        import numpy as np

        category, brand = rows["category"].to_pylist(), rows["brand"].to_pylist()
        price = rows["price"].to_numpy()
        categories = _codes(category, min_items)
        name = np.array(category, dtype=object)
        return cls(
            categories=categories,
            brands=_codes(brand, min_items),
            usual_prices={known: float(np.median(price[name == known])) for known in categories},
            usual_price=float(np.median(price)),
            vocabulary=Vocabulary.fit(rows["description"].to_pylist(), max_terms=max_terms, min_items=min_items),
        )

    @property
    def names(self) -> list[str]:
        """The features in the order of their columns."""
        return [*PLAIN, *(f"word: {word}" for word in self.vocabulary.words)]

    @property
    def types(self) -> list[str]:
        """XGBoost's types of the features: `c` for codes without an order."""
        return ["c" if name in ("category", "brand") else "float" for name in self.names]

    def price_slows(self, sign: int) -> str:
        """XGBoost's monotone constraints: with `sign` 1 the answer never falls with the price, with -1 it never rises."""
        signs = (f"{sign}" if name in ("price", "relative price") else "0" for name in self.names)
        return f"({','.join(signs)})"

    def transform(self, rows: "pa.Table") -> "np.ndarray":
        """Rows with `price`, `description`, `category`, `brand`, `created` as rows x features, float32."""
        import numpy as np

        description, category = rows["description"].to_pylist(), rows["category"].to_pylist()
        price = rows["price"].to_numpy().astype(np.float64)
        usual = np.array([self.usual_prices.get(name, self.usual_price) for name in category], dtype=np.float64)
        day = rows["created"].to_numpy().astype("datetime64[D]")
        day_of_year = (day - day.astype("datetime64[Y]")).astype(np.int64)
        wave = day_of_year * (2 * np.pi / 365.25)
        plain = [
            *(np.log(price), np.log(price / usual)),
            *(_coded(category, self.categories), _coded(rows["brand"].to_pylist(), self.brands)),
            np.array([len(tokens(text)) for text in description], dtype=np.float64),
            day.astype("datetime64[M]").astype(np.int64) % 12 + 1,
            (day.astype(np.int64) + 3) % 7,  # 1970-01-01 was a Thursday; Monday is 0
            *(np.sin(wave), np.cos(wave)),
        ]
        return np.column_stack([np.column_stack(plain).astype(np.float32), self.vocabulary.transform(description)])

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Encoder":
        """The encoder that `to_json` wrote down."""
        words = data["vocabulary"]
        return cls(**{**data, "vocabulary": Vocabulary(tuple(words["words"]), tuple(words["idf"]))})


def _codes(values: Sequence[str | None], min_items: int) -> dict[str, int]:
    # In the training rows the rare ones share the code of unseen ones, so that the trees know what to make of it.
    count = Counter(value for value in values if value is not None)
    kept = sorted(value for value, items in count.items() if items >= min_items)
    return {value: code for code, value in enumerate(kept, start=UNSEEN + 1)}


def _coded(values: Sequence[str | None], codes: Mapping[str, int]) -> "np.ndarray":
    import numpy as np

    return np.array([MISSING if v is None else codes.get(v, UNSEEN) for v in values], dtype=np.float64)
