"""The matrix that every learner takes: features, and the target and weights that may go with them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Matrix:
    """Rows of numbers. NaN in `features` means missing; `target` and `weight` are always finite.

    `features` is rows x columns, float32, in any memory order; `target` and `weight` have one float32 a row.
    """

    features: "np.ndarray"
    target: "np.ndarray | None" = None
    weight: "np.ndarray | None" = None

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.features.shape[0]

    @property
    def columns(self) -> int:
        """Number of features."""
        return self.features.shape[1]
