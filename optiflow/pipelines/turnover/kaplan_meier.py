"""The Kaplan-Meier curve of days until sale: what share of items has sold by a day, with unsold ones censored.

What belongs here: the curve of one set of items. What does not: which items are put together (`baselines`).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """`unsold[i]` is the share (0 to 1) that is not sold by the end of day `day[i]`; days of sales only, rising."""

    day: "Floats"
    unsold: "Floats"

    @classmethod
    def of(cls, days: "Floats", sold: "npt.NDArray[np.bool_]") -> "Curve":
        """Fit the product-limit estimator; of equal days sales come before the end of watching.

        Source: Kaplan and Meier, "Nonparametric estimation from incomplete observations", Journal of the American
        Statistical Association 53 (1958).

        Args:
            days: From creation to sale, or to the end of watching; n numbers.
            sold: Which of the two it is.
        """
        import numpy as np

        day, sales = np.unique(days[sold], return_counts=True)
        at_risk = len(days) - np.searchsorted(np.sort(days), day, side="left")
        return cls(day.astype(np.float64), np.cumprod(1 - sales / at_risk).astype(np.float64))

    def share_sold(self, within: float) -> float:
        """The share that sells by the end of day `within`."""
        import numpy as np

        index = int(np.searchsorted(self.day, within, side="right"))
        return 1.0 - float(self.unsold[index - 1]) if index else 0.0

    def median(self) -> float:
        """The first day by which half has sold; infinite where the curve does not come down so far."""
        import numpy as np

        index = int(np.argmax(self.unsold <= 0.5 + 1e-12)) if len(self.unsold) else 0
        return float(self.day[index]) if len(self.unsold) and self.unsold[index] <= 0.5 + 1e-12 else float("inf")
