"""What a column's name says: that it holds codes, the number to predict, or the day on which something was ordered.

What belongs here: names. What does not: what the cells hold.
"""

import re
from collections.abc import Mapping, Sequence

TARGETS = {
    **dict.fromkeys(("quantity", "qty", "sales", "sold", "demand", "revenue", "units", "menge", "umsatz", "absatz"), 4),
    **dict.fromkeys(("amount", "anzahl", "ventas", "ventes", "cantidad", "quantite"), 4),
    **dict.fromkeys(("total", "value", "net"), 2),
    **dict.fromkeys(("order",), 3),
}
NO_TARGETS: Mapping[str, int] = dict.fromkeys(
    (
        *(
            "price",
            "cost",
            "discount",
            "tax",
            "rate",
            "ratio",
            "percent",
            "fee",
            "freight",
            "weight",
            "limit",
            "profit",
        ),
        *("year", "month", "week", "day", "postal", "zip", "phone", "latitude", "longitude", "stock", "inventory"),
        *("forecast", "predict", "scheduled", "number", "code", "risk", "population"),
    ),
    -6,
)
DATES = {
    **dict.fromkeys(("order", "bestell", "auftrag", "pedido", "commande"), 4),
    **dict.fromkeys(("sale", "sold", "purchase", "transaction", "invoice", "booking"), 3),
    **dict.fromkeys(("date", "datum", "fecha", "day", "week", "time"), 1),
}
NO_DATES: Mapping[str, int] = dict.fromkeys(
    (
        *("ship", "deliver", "hire", "birth", "due", "updat", "modif", "expir", "valid", "paid", "payment", "procure"),
        *("return", "cancel", "required", "planned", "expected", "liefer", "closed", "registered"),
    ),
    -6,
)
_ID_NAME = re.compile(
    r"(?:^|[ _\-])(?i:id|ids|uuid|guid|key|number|num|no|nr|code|ref)$|(?<=[a-z])(?:ID|Id|Number|No|Nr|Key|Code|Ref)$",
)


def names_a_code(name: str) -> bool:
    """Whether a column's name says that its integers are codes of things, not amounts: `StoreID`, `zip code`."""
    return bool(_ID_NAME.search(name))


def by_likelihood_as_target(names: Sequence[str]) -> list[str]:
    """The names of number columns, those first that sound like an amount sold; the later of two that sound like nothing."""
    score = {name: _score(name, TARGETS, NO_TARGETS) - 6 * names_a_code(name) for name in names}
    ordered = sorted(names, key=lambda name: -score[name])
    silent = [name for name in ordered if score[name] == 0]
    return [
        *(name for name in ordered if score[name] > 0),
        *reversed(silent),
        *(name for name in ordered if score[name] < 0),
    ]


def by_likelihood_as_date(names: Sequence[str]) -> list[str]:
    """The names of columns of dates, those first that sound like the day of an order or sale."""
    return sorted(names, key=lambda name: -_score(name, DATES, NO_DATES))


def _score(name: str, good: Mapping[str, int], bad: Mapping[str, int]) -> int:
    plain = re.sub(r"[\W_]+", "", name).casefold()
    return sum(points for word, points in {**good, **bad}.items() if word in plain)
