"""The phrases that say what is unusual about one value of a movement.

What belongs here: wording. What does not: which values are worth a phrase (`reasons`).
"""

from typing import TYPE_CHECKING

from optiflow.learners.stock_movements.encodings import Encodings
from optiflow.learners.stock_movements.features import GROUP, PAIR, Slice

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
NOUNS = {"item_id": "item", "warehouse_id": "warehouse", "transaction_type": "type", "item_category": "category"}


def phrases(
    source: str,
    chosen: "pa.Table",
    values: Slice,
    moment: "dict[str, np.ndarray]",
    known: Encodings,
    places: "np.ndarray",
) -> list[str]:
    """One phrase for each of `places`, rows of `chosen`, on its value of `source`."""
    if source in GROUP:
        return _amounts(source, values, known, places)
    if source in moment:
        return [f"booked {_time(source, value)} (rare in training)" for value in moment[source][places].tolist()]
    unseen = (values.codes[source][places] == len(known.words[source])).tolist()
    words = chosen[source].take(places).to_pylist()
    return [
        f"{NOUNS[source]} {word} ({'never seen' if new else 'rare'} in training)"
        for word, new in zip(words, unseen, strict=True)
    ]


def in_words(value: object) -> str:
    """A cell for people; a number has at most two decimals, none where it is whole."""
    if value is None:
        return "not known"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if value.is_integer() else f"{value:.2f}"


def _amounts(name: str, values: Slice, known: Encodings, places: "np.ndarray") -> list[str]:
    groups = values.codes[GROUP[name]][places]
    typed = known.usual.typed[groups] if GROUP[name] == PAIR else groups < 0
    types = [f", type {word}" for word in known.words["transaction_type"]]
    types.append("")
    whose = [
        ("all items" if item == len(known.words["item_id"]) else "this item") + (types[kind] if own else "")
        for item, kind, own in zip(
            values.codes["item_id"][places].tolist(),
            values.codes["transaction_type"][places].tolist(),
            typed.tolist(),
            strict=True,
        )
    ]
    low, high = known.usual.ranges[name][groups].T.tolist()
    return [
        f"{name} {in_words(value)} (usual for {group}: {in_words(a) if a == b else f'{in_words(a)} to {in_words(b)}'})"
        for value, group, a, b in zip(getattr(values, name)[places].tolist(), whose, low, high, strict=True)
    ]


def _time(source: str, value: int) -> str:
    if source == "hour":
        return f"between {value:02d}:00 and {value:02d}:59"
    return f"on a {WEEKDAYS[value]}" if source == "day_of_week" else f"on day {value} of the month"
