"""StandardScaler, PCA and KMeans as plain arrays.

What belongs here: fitting them and the constants that scale a score. What does not: applying them to many rows
(`scoring`). Written in numpy: scikit-learn takes 1.2 s to import, and its models would have to be taken apart anyway to
be saved without pickle and applied in float32.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optiflow.learners.hyperparameters import Value

if TYPE_CHECKING:
    import numpy as np

SEEDING_ROWS = 20_000
"""Rows that the first centres are drawn from, and whose clusters are refined first."""

TOLERANCE = 1e-4
"""Lloyd's algorithm ends when the centres move by less, in squares of the columns' mean variance: scikit-learn's rule."""


@dataclass(frozen=True)
class Components:
    """The fitted model.

    `mean`, `scale` (features): the StandardScaler. `axes` (features x features): the principal axes as columns, the
    widest first; the first `kept` are the PCA, the rest span what it leaves out. `centres` (clusters x kept): the
    KMeans. `error_scale`, `distance_scale`: mean squared reconstruction error and mean squared distance to the cluster
    of the training rows. `explained`: share of the variance that the PCA keeps.
    """

    mean: "np.ndarray"
    scale: "np.ndarray"
    axes: "np.ndarray"
    centres: "np.ndarray"
    error_scale: float
    distance_scale: float
    explained: float

    @property
    def kept(self) -> int:
        """Components that the PCA keeps."""
        return self.centres.shape[1]


def fit(matrix: "np.ndarray", parameters: Mapping[str, Value]) -> Components:
    """Fit all three on a matrix, features x rows.

    A feature that never varies keeps scale 1, as in scikit-learn. The PCA keeps the fewest components that explain
    `explained_variance` of the variance.
    """
    import numpy as np

    data = matrix.astype(np.float64)
    mean, scale = data.mean(axis=1), data.std(axis=1)
    scale = np.where(scale < 1e-7, 1.0, scale)
    standard = (data - mean[:, None]) / scale[:, None]
    variances, axes = np.linalg.eigh(standard @ standard.T / standard.shape[1])
    variances, axes = np.maximum(variances[::-1], 0), axes[:, ::-1]
    shares = np.cumsum(variances) / variances.sum() if variances.sum() else np.ones(len(variances))
    kept = int(np.searchsorted(shares, float(parameters["explained_variance"]) - 1e-9)) + 1
    rotated = axes.T @ standard
    rng = np.random.default_rng(int(parameters["seed"]))
    points = np.ascontiguousarray(rotated[:kept].T)
    centres = kmeans(points, int(parameters["n_clusters"]), rng, int(parameters["max_iterations"]))
    distances = _squared_distances(points, centres).min(axis=1)
    errors = (rotated[kept:] ** 2).sum(axis=0)
    return Components(
        mean, scale, axes, centres, _or_one(errors.mean()), _or_one(distances.mean()), float(shares[kept - 1])
    )


def kmeans(points: "np.ndarray", clusters: int, rng: "np.random.Generator", max_iterations: int) -> "np.ndarray":
    """Centres (clusters x columns) of Lloyd's algorithm from k-means++ (Arthur and Vassilvitskii, 2007).

    At most `clusters` centres: no more than there are different points among those that seeding sees.
    """
    import numpy as np

    few = points
    if len(points) > SEEDING_ROWS:
        few = points[np.sort(rng.choice(len(points), SEEDING_ROWS, replace=False))]
    centres = _lloyd(few, _seeds(few, clusters, rng), max_iterations)
    return centres if few is points else _lloyd(points, centres, max_iterations)


def _seeds(points: "np.ndarray", clusters: int, rng: "np.random.Generator") -> "np.ndarray":
    """Greedy k-means++: of a few candidates for each centre, the one that leaves the points nearest to a centre."""
    import numpy as np

    candidates = 2 + int(np.log(clusters))
    chosen = [points[rng.integers(len(points))]]
    nearest = ((points - chosen[0]) ** 2).sum(axis=1)
    while len(chosen) < clusters and nearest.sum() > 0:
        drawn = points[rng.choice(len(points), candidates, p=nearest / nearest.sum())]
        left = [np.minimum(nearest, ((points - point) ** 2).sum(axis=1)) for point in drawn]
        best = int(np.argmin([distances.sum() for distances in left]))
        nearest = left[best]
        chosen.append(drawn[best])
    return np.array(chosen)


def _lloyd(points: "np.ndarray", centres: "np.ndarray", max_iterations: int) -> "np.ndarray":
    import numpy as np

    spread = points.var(axis=0).mean()
    for _ in range(max_iterations):
        labels = _squared_distances(points, centres).argmin(axis=1)
        counts = np.bincount(labels, minlength=len(centres))
        sums = np.stack([np.bincount(labels, column, len(centres)) for column in points.T], axis=1)
        moved = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], centres)
        shift, centres = ((moved - centres) ** 2).sum(), moved
        if shift <= TOLERANCE * spread:
            break
    return centres


def _squared_distances(points: "np.ndarray", centres: "np.ndarray") -> "np.ndarray":
    import numpy as np

    products = points @ centres.T
    squared = (points**2).sum(axis=1)[:, None] - 2 * products + (centres**2).sum(axis=1)
    return np.maximum(squared, 0)


def _or_one(value: float) -> float:
    return float(value) if value > 1e-6 else 1.0
