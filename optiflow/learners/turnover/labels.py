"""What is known of items: how long they took, or were watched in vain, and whether they sold within 30 days.

An unsold item is right-censored: it takes longer than it was watched. What does not belong here: features, models.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from optiflow.errors import UserError
from optiflow.learners.turnover.parameters import SALE_DAYS

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

SHORTEST = 0.5
"""Days of an item that sold on the day of its creation; 0 has no logarithm."""


@dataclass(frozen=True)
class Labels:
    """One entry a row.

    `days` (float64) lie between creation and sale, or between creation and the export for items not `sold` (bool).
    `judged` (bool) says that the item was watched for 30 days or more, so that `quick` (bool, sold within 30 days) is
    known. An item of last week is left out even if it is sold: its unsold sisters are unknown, and a sample that keeps
    only the sold ones makes every chance too high.
    """

    days: "np.ndarray"
    sold: "np.ndarray"
    judged: "np.ndarray"
    quick: "np.ndarray"

    @classmethod
    def of(cls, rows: "pa.Table", channel: str) -> "Labels":
        """Read `created`, `sold` and `as_of`.

        Raises:
            UserError: an item was sold before it was created, or created or sold after the export.
        """
        import numpy as np

        created, sold, as_of = (rows[name].to_numpy().astype("datetime64[D]") for name in ("created", "sold", "as_of"))
        is_sold = ~np.isnat(sold)
        watched = (as_of - created).astype(np.int64)
        days = np.where(is_sold, (sold - created).astype(np.int64), watched)
        wrong = (days < 0) | (watched < 0) | (is_sold & (days > watched))
        if wrong.any():
            first = int(wrong.argmax())
            raise UserError(
                f"channel {channel}, row {first + 1}: created {created[first]}, sold {sold[first]}, export {as_of[first]} "
                "are not in this order: leave such rows out."
            )
        judged = watched >= SALE_DAYS
        return cls(np.maximum(days, SHORTEST), is_sold, judged, judged & is_sold & (days <= SALE_DAYS))

    def take(self, rows: "np.ndarray") -> "Labels":
        """Those of some rows, by position."""
        return Labels(self.days[rows], self.sold[rows], self.judged[rows], self.quick[rows])

    def counts(self) -> dict[str, int]:
        """Items, of them unsold (censored), with a known answer, and sold within 30 days."""
        return {
            "items": len(self.days),
            "censored": int((~self.sold).sum()),
            "judged": int(self.judged.sum()),
            "sold_within_30_days": int(self.quick.sum()),
        }
