"""Which features made a movement unusual, in plain words with their values.

What belongs here: taking a score apart. What does not: the score itself (`scoring`), and wording (`phrases`).

The deviation of a row from its cluster's centre is the sum of two parts at right angles: the distance within the kept
components and the reconstruction error. The score adds up their squares, which, turned back to the features, are squares
of each feature's own deviation: each feature's share of the score is exact, and the shares add up to it.
"""

from typing import TYPE_CHECKING

from optiflow.learners.stock_movements.components import Components
from optiflow.learners.stock_movements.encodings import KEYS, Encodings
from optiflow.learners.stock_movements.features import COLUMNS, FEATURES, GROUP, Slice, fill_matrix, slice_of
from optiflow.learners.stock_movements.moments import moments
from optiflow.learners.stock_movements.phrases import WEEKDAYS, in_words, phrases
from optiflow.learners.stock_movements.usual import AMOUNTS

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

MOST, SMALLEST_SHARE = 3, 0.1
"""At most so many reasons, each at least so much of the score."""

RARE = 0.02
"""A share of the training rows below which an id, a word or a time is worth naming."""

TINY = 1e-12
SOURCES = tuple(dict.fromkeys(FEATURES.values()))


def for_flagged(
    rows: "pa.Table", flagged: "np.ndarray", clusters: "np.ndarray", known: Encodings, fitted: Components
) -> "pa.Array":
    """One text a row: the reasons, the weightiest first, of the flagged rows; null for the others."""
    import numpy as np
    import pyarrow as pa

    places = np.flatnonzero(flagged)
    if not len(places):
        return pa.nulls(len(flagged), pa.string())
    chosen = rows.select(list(COLUMNS)).take(pa.array(places))
    values = slice_of(chosen, known)
    shares = shares_of_score(values, clusters[places], known, fitted)
    index = np.full(len(flagged), -1, np.int64)
    index[places] = np.arange(len(places))
    return pa.array(_say(shares, chosen, values, known), pa.string()).take(pa.array(index, mask=index < 0))


def shares_of_score(values: Slice, clusters: "np.ndarray", known: Encodings, fitted: Components) -> "np.ndarray":
    """The share (sources x rows, each column adds up to 1) of each of `SOURCES` in each row's score."""
    import numpy as np

    matrix = np.empty((len(FEATURES), len(clusters)), np.float32)
    fill_matrix(matrix, values, known)
    standard = (matrix - fitted.mean[:, None]) / fitted.scale[:, None]
    rotated = fitted.axes.T @ standard
    kept, left = fitted.axes[:, : fitted.kept], fitted.axes[:, fitted.kept :]
    parts = (
        (left @ rotated[fitted.kept :], fitted.error_scale),
        (kept @ (rotated[: fitted.kept] - fitted.centres[clusters].T), fitted.distance_scale),
    )
    score = np.zeros_like(standard)
    for deviation, scale in parts:
        score += deviation**2 / scale
    members = np.array([[source == told for told in FEATURES.values()] for source in SOURCES], float)
    by_source = members @ score
    return by_source / (by_source.sum(axis=0) + TINY)


def _say(shares: "np.ndarray", chosen: "pa.Table", values: Slice, known: Encodings) -> list[str]:
    import numpy as np

    moment = moments(chosen["created_at"])
    weights = np.where(_unusual(values, moment, known) & (shares >= SMALLEST_SHARE), shares, 0)
    order = np.argsort(-weights, axis=0, kind="stable")[:MOST]
    said: list[list[str]] = [[""] * MOST for _ in range(chosen.num_rows)]
    for number, source in enumerate(SOURCES):
        ranks, places = np.nonzero((order == number) & (weights[number] > 0))
        texts = phrases(source, chosen, values, moment, known, places)
        for rank, place, text in zip(ranks.tolist(), places.tolist(), texts, strict=True):
            said[place][rank] = text
    for place in np.flatnonzero(weights.max(axis=0) == 0).tolist():
        said[place][0] = _combination(shares[:, place], place, chosen, moment)
    return ["; ".join(filter(None, texts)) for texts in said]


def _unusual(values: Slice, moment: "dict[str, np.ndarray]", known: Encodings) -> "np.ndarray":
    """Sources x rows: whether the value is unusual by itself, so that it can be said without the rest of the row."""
    import numpy as np

    found = {}
    for name in AMOUNTS:
        low, high = known.usual.ranges[name][values.codes[GROUP[name]]].T
        cells = getattr(values, name)
        found[name] = (cells < low) | (cells > high)
    for name, places in moment.items():
        found[name] = known.times[name][places] < RARE
    for key in KEYS:
        found[key] = known.share(key)[values.codes[key]] < RARE
    return np.array([found[source] for source in SOURCES])


def _combination(shares: "np.ndarray", place: int, chosen: "pa.Table", moment: "dict[str, np.ndarray]") -> str:
    import numpy as np

    cells = []
    for source in np.argsort(-shares, kind="stable")[:MOST]:
        name = SOURCES[source]
        value = moment[name][place] if name in moment else chosen[name][place].as_py()
        cells.append(f"{name} {WEEKDAYS[value] if name == 'day_of_week' else in_words(value)}")
    return f"an unusual combination: {', '.join(cells)}"
