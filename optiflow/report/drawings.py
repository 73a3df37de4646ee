"""The four drawings of a report, each on an empty set of axes.

What belongs here: marks, limits and labels. What does not: files, fonts, ticks and matplotlib's settings (`canvas`).
"""

from typing import TYPE_CHECKING, Any

import polars as pl

from optiflow.report.model import Contribution, TrainingJob
from optiflow.report.wording import MINUS, count, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_POINTS = 5_000
SAMPLE_SEED = 0
TOP_FEATURES = 15
MAX_LABEL = 24
NARROWEST_ROW = 4.5
"""Inches that three entries of a legend need beside each other."""

INK, MUTED, RULE = "#1f2933", "#66727f", "#dfe4e8"
BLUE, AMBER = "#2f6c9f", "#c46a1b"


def predicted_against_actual(predictions: pl.DataFrame, target: str, axes: "Axes") -> None:
    """A dot per test row with the diagonal, and the averages of ten parts of equal size by prediction."""
    import numpy as np

    actual, predicted = _floats(predictions["actual"]), _floats(predictions["predicted"])
    low, high, outside = _limits(np.concatenate([actual, predicted]), actual, predicted)
    shown = _sample(actual.size)
    axes.plot([low, high], [low, high], color=MUTED, linewidth=1, dashes=(4, 3))
    axes.scatter(
        actual[shown], predicted[shown], s=12, color=BLUE, alpha=_alpha(shown.size), linewidths=0, rasterized=True
    )
    parts = [part for part in np.array_split(np.argsort(predicted, kind="stable"), 10) if part.size]
    axes.scatter(
        [actual[part].mean() for part in parts],
        [predicted[part].mean() for part in parts],
        s=34,
        color=AMBER,
        edgecolors="white",
        linewidths=1,
        zorder=3,
    )
    axes.set(xlim=(low, high), ylim=(low, high))
    axes.set_xlabel(f"actual {_short(target)}{outside}")
    axes.set_ylabel(f"predicted {_short(target)}")
    axes.locator_params(nbins=6)


def residuals_over_time(predictions: pl.DataFrame, target: str, axes: "Axes") -> None:
    """A light dot per test row, and per week (day, month) the median and the 10 to 90 % band."""
    rows = predictions.select(
        pl.col("date").cast(pl.Date),
        residual=pl.col("predicted").cast(pl.Float64) - pl.col("actual").cast(pl.Float64),
    ).drop_nulls("date")
    days, residual = rows["date"].to_numpy(), _floats(rows["residual"])
    every, word = _bin_width(int((days.max() - days.min()).astype(int)) + 1)
    bands = (
        rows.sort("date", maintain_order=True)
        .group_by_dynamic("date", every=every, label="left", start_by="datapoint")
        .agg(
            middle_day=pl.col("date").cast(pl.Int32).mean().round(0).cast(pl.Int32).cast(pl.Date),
            median=pl.col("residual").median(),
            low=pl.col("residual").quantile(0.1, "linear"),
            high=pl.col("residual").quantile(0.9, "linear"),
        )
    )
    shown = _sample(residual.size)
    axes.axhline(0, color=MUTED, linewidth=1, dashes=(4, 3))
    axes.scatter(
        days[shown], residual[shown], s=9, color=BLUE, alpha=_alpha(shown.size) * 0.6, linewidths=0, rasterized=True
    )
    middle = bands["middle_day"].to_numpy()
    axes.fill_between(
        middle, _floats(bands["low"]), _floats(bands["high"]), color=AMBER, alpha=0.18, linewidth=0, label="10 to 90 %"
    )
    axes.plot(middle, _floats(bands["median"]), color=AMBER, linewidth=1.8, marker=".", label=f"median per {word}")
    low, high, outside = _limits(residual, residual)
    axes.set_ylim(low, high)
    axes.set_ylabel(f"predicted {MINUS} actual {_short(target)}{outside}")
    legend_above(axes)


def feature_contributions(contributions: tuple[Contribution, ...], target: str, axes: "Axes") -> None:
    """A bar for each of the 15 largest contributions."""
    top = contributions[:TOP_FEATURES][::-1]
    values = [item.mean_abs for item in top]
    bars = axes.barh(range(len(top)), values, height=0.66, color=BLUE)
    axes.bar_label(bars, labels=[number(value) for value in values], padding=3, color=MUTED, fontsize=8)
    axes.set_yticks(range(len(top)), labels=[_short(item.feature) for item in top], color=INK)
    axes.set_ylim(-0.6, max(len(top), 5) - 0.4)
    axes.margins(x=0.16)
    axes.set_xlabel(f"average effect on {_short(target)}")
    axes.grid(visible=False, axis="y")
    axes.tick_params(length=0)
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=5)


def learning_curve(job: TrainingJob, axes: "Axes") -> None:
    """The first metric of every channel per round, and the round that the model keeps."""
    import numpy as np

    colours = {"train": BLUE, "validation": AMBER}
    label = ""
    for channel, metrics in job.history.items():
        if not metrics:
            continue
        label, values = next(iter(metrics.items()))
        errors = np.array([np.nan if value is None else value for value in values])
        axes.plot(
            np.arange(1, errors.size + 1), errors, color=colours.get(channel, MUTED), linewidth=1.8, label=channel
        )
    if job.best_iteration is not None:
        axes.axvline(
            job.best_iteration + 1,
            color=MUTED,
            linewidth=1,
            dashes=(4, 3),
            label=f"best round: {job.best_iteration + 1}",
        )
    axes.set_xlabel("training round")
    axes.set_ylabel(label)
    legend_above(axes)
    axes.locator_params(axis="x", integer=True)


def _limits(values: Any, *columns: Any) -> tuple[float, float, str]:
    """Axis limits that one outlier in two hundred cannot stretch, and a note on how many points they leave out."""
    import numpy as np

    low, high = np.quantile(values, [0.005, 0.995])
    margin = (high - low) * 0.5 or 0.5
    low, high = max(values.min(), low - margin), min(values.max(), high + margin)
    pad = (high - low) * 0.04 or 0.5
    low, high = float(low - pad), float(high + pad)
    outside = int(np.any([(column < low) | (column > high) for column in columns], axis=0).sum())
    return low, high, f" ({count(outside, 'row')} outside)" if outside else ""


def _sample(size: int) -> Any:
    import numpy as np

    if size <= MAX_POINTS:
        return np.arange(size)
    return np.sort(np.random.default_rng(SAMPLE_SEED).choice(size, MAX_POINTS, replace=False))


def _alpha(points: int) -> float:
    import numpy as np

    return float(np.clip(12 / np.sqrt(points), 0.15, 0.7))


def _bin_width(days: int) -> tuple[str, str]:
    if days <= 21:
        return "1d", "day"
    return ("1w", "week") if days <= 1100 else ("1mo", "month")


def _floats(values: pl.Series) -> Any:
    return values.cast(pl.Float64).to_numpy()


def _short(name: str) -> str:
    # Control characters in a column name would make the SVG unreadable for an XML parser.
    clean = "".join(letter if letter.isprintable() else " " for letter in name)
    return clean if len(clean) <= MAX_LABEL else clean[: MAX_LABEL - 1] + "…"


def legend_above(axes: "Axes") -> None:
    """A legend above the axes: in a row, or one below the other where the drawing is too narrow for a row."""
    figure = axes.get_figure(root=True)
    columns = 3 if figure is None or figure.get_figwidth() > NARROWEST_ROW else 1
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.01), ncols=columns, borderaxespad=0, handlelength=1.4)
