"""What the training rows say of each id, word and time: how frequent it is. Frozen afterwards.

What belongs here: counting the training rows, and finding a batch's words among the known ones. What does not: amounts
(`usual`), and how the numbers become features (`features`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from optiflow.learners.stock_movements.moments import moments
from optiflow.learners.stock_movements.usual import AMOUNTS, Groups, Usual
from optiflow.learners.stock_movements.usual import fit as fit_usual

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

KEYS = ("item_id", "warehouse_id", "transaction_type", "item_category")
TIMES = {"hour": 24, "day_of_week": 7, "day_of_month": 32}
"""Parts of a time, and one more than the highest value that each has."""


@dataclass(frozen=True)
class Encodings:
    """All that was counted.

    `words` are the known values of each of `KEYS`, sorted. `rarity[key]` (words + 1, float32) is -log of the share of
    training rows; the last is that of a value never seen: the chance to meet any new one, which is the share of values
    met once (Good and Turing; at least half a row). `times` are the shares of training rows by the parts of a time.
    `rows` is the number of training rows.
    """

    words: "Mapping[str, list[str]]"
    rarity: "Mapping[str, np.ndarray]"
    times: "Mapping[str, np.ndarray]"
    usual: Usual
    rows: int

    @cached_property
    def arrays(self) -> "Mapping[str, pa.Array]":
        """The words as string arrays."""
        import pyarrow as pa

        return {key: pa.array(words, pa.string()) for key, words in self.words.items()}

    def share(self, key: str) -> "np.ndarray":
        """The share of training rows of each word of a key, 0 for one never seen.

        An item's is in units of the average item's: among thousands, each is rare.
        """
        import numpy as np

        shares = np.exp(-self.rarity[key].astype(float)) * (len(self.words[key]) if key == "item_id" else 1)
        shares[-1] = 0
        return shares


def fit(rows: "pa.Table") -> Encodings:
    """Count the training rows."""
    import numpy as np
    import pyarrow as pa

    words = {key: sorted(rows[key].unique().drop_null().cast("string").to_pylist()) for key in KEYS}
    codes = {key: encode(rows[key], pa.array(words[key], pa.string())) for key in KEYS}
    rarity = {key: _rarity(codes[key], len(words[key])) for key in KEYS}
    moment = moments(rows["created_at"])
    times = {name: np.bincount(values, minlength=TIMES[name]) / rows.num_rows for name, values in moment.items()}
    known = (len(words["item_id"]), len(words["transaction_type"]))
    groups = Groups(codes["item_id"], codes["transaction_type"], *known)
    usual = fit_usual(groups, {name: rows[name].cast("float64").to_numpy() for name in AMOUNTS})
    return Encodings(words, rarity, times, usual, rows.num_rows)


def encode(column: "pa.ChunkedArray | pa.Array", words: "pa.Array") -> "np.ndarray":
    """The place of each value among the sorted `words` (int32); null and unknown values get `len(words)`."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):  # an empty or very long column stays chunked
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    if not isinstance(array, pa.DictionaryArray):
        array = array.dictionary_encode()
    found = pc.call_function("index_in", [array.dictionary.cast(pa.string())], pc.SetLookupOptions(words))
    places = np.append(found.fill_null(len(words)).to_numpy(zero_copy_only=False), len(words)).astype(np.int32)
    return places[array.indices.fill_null(len(places) - 1).to_numpy(zero_copy_only=False)]


def _rarity(codes: "np.ndarray", known: int) -> "np.ndarray":
    import numpy as np

    counts = np.bincount(codes, minlength=known + 1).astype(float)
    unseen = max((counts[:known] == 1).sum(), 0.5)
    counts[known] = max(counts[known], unseen)  # what is there already are rows without a value
    return -np.log(np.maximum(counts, 0.5) / len(codes)).astype("float32")
