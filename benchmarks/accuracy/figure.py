"""One measured accuracy, and the line it prints."""

from dataclasses import dataclass

COLUMNS = ("data set", "method", "horizon", "metric", "value", "target", "ok")


@dataclass(frozen=True)
class Accuracy:
    """How well a method did. `low` and `high` bound the value; both None for what only stands beside it."""

    data_set: str
    method: str
    horizon: str
    metric: str
    value: float
    low: float | None = None
    high: float | None = None

    @property
    def ok(self) -> bool:
        """Whether the value is within its bounds."""
        return (self.low is None or self.value >= self.low) and (self.high is None or self.value <= self.high)

    @property
    def target(self) -> str:
        """The bounds in words."""
        bounds = [
            f">= {self.low:g}" if self.low is not None else "",
            f"<= {self.high:g}" if self.high is not None else "",
        ]
        return " and ".join(filter(None, bounds)) or "-"

    def cells(self) -> tuple[str, ...]:
        """The line's cells, in the order of `COLUMNS`."""
        judged = ("yes" if self.ok else "NO") if self.target != "-" else "-"
        return (self.data_set, self.method, self.horizon, self.metric, f"{self.value:.4f}", self.target, judged)
