"""The anomaly score of many rows, fast, and each as if it were alone.

What belongs here: blocks, threads and the arithmetic of the score. What does not: words about it (`reasons`).

The score is half the squared reconstruction error over its training mean plus half the squared distance to the nearest
cluster over its training mean, so that the mean training row has score 1 whatever the data. Squares let one feature that
is far off outweigh several that are a little off, and make each feature's part of the score additive.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optiflow.learners.stock_movements.components import Components
from optiflow.learners.stock_movements.encodings import Encodings
from optiflow.learners.stock_movements.features import FEATURES, fill_matrix, slice_of

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

SLICE_ROWS = 1 << 17
"""Rows a thread takes at once: enough that looking its words up among the known ones costs little."""

BLOCK_ROWS = 4096
"""Rows whose features fit the cache. Every block is computed whole, so that a row's sums are the same in any batch."""

PRODUCT_ROWS = 1024
"""Rows of one matrix product: small enough that the BLAS does not start threads of its own."""

QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.995, 0.999)


@dataclass(frozen=True)
class Scored:
    """`scores` (float32) and `clusters` (int32), one a row."""

    scores: "np.ndarray"
    clusters: "np.ndarray"


class Arithmetic:
    """The model in float32, in the form in which it is applied."""

    def __init__(self, fitted: Components) -> None:
        """Fold the scaler into the axes; distances are ||z||² + (||c||² - 2 c·z), of which a product gives the bracket."""
        import numpy as np

        turn = fitted.axes.T / fitted.scale
        self.turn = np.column_stack([turn, -turn @ fitted.mean]).astype(np.float32)
        norms = (fitted.centres**2).sum(axis=1)
        self.centres = (-2 * fitted.centres).astype(np.float32)
        self.norms = norms.astype(np.float32)[:, None]
        self.kept = fitted.kept
        self.error_weight = np.float32(0.5 / fitted.error_scale)
        self.distance_weight = np.float32(0.5 / fitted.distance_scale)

    def new_matrix(self) -> "np.ndarray":
        """Features and a row of ones for the mean, by rows of a block."""
        import numpy as np

        matrix = np.zeros((len(FEATURES) + 1, BLOCK_ROWS), np.float32)
        matrix[-1] = 1
        return matrix

    def rotate(self, matrix: "np.ndarray") -> "np.ndarray":
        """The principal components, all of them, of a matrix of features and ones."""
        import numpy as np

        rotated = np.empty((len(FEATURES), matrix.shape[1]), np.float32)
        for start in range(0, matrix.shape[1], PRODUCT_ROWS):
            part = slice(start, start + PRODUCT_ROWS)
            np.matmul(self.turn, matrix[:, part], out=rotated[:, part])
        return rotated

    def score(self, rotated: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
        """Scores and clusters of a block."""
        import numpy as np

        kept = rotated[: self.kept]
        brackets = np.empty((len(self.centres), rotated.shape[1]), np.float32)
        for start in range(0, rotated.shape[1], PRODUCT_ROWS):
            part = slice(start, start + PRODUCT_ROWS)
            np.matmul(self.centres, kept[:, part], out=brackets[:, part])
        brackets += self.norms
        nearest = brackets.min(axis=0)
        clusters = np.zeros(rotated.shape[1], np.int32)
        for number in range(len(brackets) - 1, -1, -1):
            np.putmask(clusters, brackets[number] == nearest, number)
        squares = np.square(rotated)
        distances = np.maximum(squares[: self.kept].sum(axis=0) + nearest, 0)
        errors = squares[self.kept :].sum(axis=0)
        return errors * self.error_weight + distances * self.distance_weight, clusters


def score_rows(rows: "pa.Table", known: Encodings, fitted: Components) -> Scored:
    """Score a table with the columns of `features.COLUMNS`, on as many threads as there are cores."""
    import numpy as np

    scored = Scored(np.empty(rows.num_rows, np.float32), np.empty(rows.num_rows, np.int32))
    arithmetic = Arithmetic(fitted)

    def work(start: int) -> None:
        matrix = arithmetic.new_matrix()
        part = slice_of(rows.slice(start, SLICE_ROWS), known)
        for offset in range(0, len(part.quantity), BLOCK_ROWS):
            block = part.part(offset, offset + BLOCK_ROWS)
            count = len(block.quantity)
            fill_matrix(matrix, block, known)
            scores, clusters = arithmetic.score(arithmetic.rotate(matrix))
            place = slice(start + offset, start + offset + count)
            scored.scores[place], scored.clusters[place] = scores[:count], clusters[:count]

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(work, range(0, rows.num_rows, SLICE_ROWS)))
    return scored


def threshold(scores: "np.ndarray", quantile: float) -> float:
    """The training score that `quantile` of the training rows do not exceed."""
    import numpy as np

    return float(np.quantile(scores, quantile, method="higher"))


def quantiles(scores: "np.ndarray") -> dict[str, float]:
    """Some quantiles of the training scores, for people."""
    import numpy as np

    return {f"{quantile:g}": float(np.quantile(scores, quantile)) for quantile in QUANTILES}


def cluster_sizes(clusters: "np.ndarray", fitted: Components) -> list[int]:
    """Rows in each cluster."""
    import numpy as np

    return np.bincount(clusters, minlength=len(fitted.centres)).tolist()
