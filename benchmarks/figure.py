"""A figure of the benchmarks and the line that shows it. Nothing here measures."""

import math
from dataclasses import dataclass
from typing import Literal

COLUMNS = ("name", "ours", "peer", "ratio", "target", "ok")
WIDTHS = (24, 12, 12, 7, 16, 3)
NONE = "-"


@dataclass(frozen=True)
class Figure:
    """Our amount beside a peer's, and what was promised of it.

    `bounds` says what must stay within `limit`: `ours`, at most; `ratio`, ours to peer, at most; or `speedup`, peer to
    ours, at least. The ratio that is shown is peer to ours for a speedup, ours to peer otherwise.
    """

    name: str
    ours: float
    peer: float
    unit: str
    bounds: Literal["ours", "ratio", "speedup"]
    limit: float

    @property
    def ratio(self) -> float:
        """The ratio that is shown; NaN where a peer of nothing leaves none."""
        above, below = (self.peer, self.ours) if self.bounds == "speedup" else (self.ours, self.peer)
        return above / below if below else math.nan

    @property
    def ok(self) -> bool:
        """Whether the promise is kept."""
        if self.bounds == "ours":
            return self.ours <= self.limit
        return self.ratio >= self.limit if self.bounds == "speedup" else self.ratio <= self.limit

    @property
    def target(self) -> str:
        """The promise, such as `ratio <= 1.6`."""
        if self.bounds == "ours":
            return f"ours <= {self._amount(self.limit)}"
        return f"ratio {'>=' if self.bounds == 'speedup' else '<='} {self.limit:g}"

    def line(self) -> str:
        """The figure as one line, aligned under `header()`; columns are at least two spaces apart."""
        ratio = NONE if math.isnan(self.ratio) else f"{self.ratio:.2f}"
        amounts = (self._amount(self.ours), self._amount(self.peer))
        return _aligned((self.name, *amounts, ratio, self.target, "yes" if self.ok else "no"))

    def _amount(self, value: float) -> str:
        return f"{value:.3g} {self.unit}"


def header() -> str:
    """The line that names the columns."""
    return _aligned(COLUMNS)


def _aligned(cells: tuple[str, ...]) -> str:
    name, ours, peer, ratio, target, ok = (cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=True))
    return "  ".join((name, ours, peer, ratio, target, ok)).rstrip()
