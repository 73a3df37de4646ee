"""The report's plots, each as SVG text for the page and as a small PNG for Markdown.

What belongs here: which plots a report has, their words, and turning a drawing into bytes. What does not: the drawings.
No pyplot: figures are objects, and matplotlib's settings are changed only while one is drawn.
"""

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import polars as pl

from optiflow.report.drawings import (
    INK,
    MUTED,
    RULE,
    feature_contributions,
    learning_curve,
    predicted_against_actual,
    residuals_over_time,
)
from optiflow.report.model import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE_INCHES = (5.0, 3.5)
PNG_DPI = 110
PNG_COLOURS = 64
POINTS_DPI = 200


SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "optiflow",
    # Text stays text: it takes the page's font, can be selected, and makes the file small.
    "svg.fonttype": "none",
    # A column named `$x_{$` is a name, not a formula.
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": RULE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "legend.labelcolor": MUTED,
}


@dataclass(frozen=True)
class Plot:
    """One plot: its title, a line on how to read it, and the same drawing as SVG and as PNG."""

    key: str
    title: str
    how_to_read: str
    svg: str
    png: bytes


def draw_plots(report: Report, predictions: pl.DataFrame) -> list[Plot]:
    """The plots that the report has data for; equal input gives equal bytes.

    Args:
        report: The report.
        predictions: One row per test row with `actual`, `predicted` and, if there are dates, `date`.
    """
    job = report.job
    plots = [
        _plot(
            "predicted-against-actual",
            "Predicted against actual",
            "Each dot is a test row; on the diagonal the prediction is exact. The large marks are the averages of ten equal "
            "parts, from the lowest predictions to the highest: they should lie on the diagonal.",
            partial(predicted_against_actual, predictions, report.target),
        )
    ]
    if report.test_period is not None:
        plots.append(
            _plot(
                "residuals-over-time",
                "Residuals over time",
                "Predicted minus actual: above the line is too high. The middle of the band should stay on the line, and the "
                "band should not widen with time.",
                partial(residuals_over_time, predictions, report.target),
            )
        )
    if report.contributions:
        plots.append(
            _plot(
                "feature-contributions",
                "Feature contributions",
                f"How far each feature moves a prediction of {report.target} on average. It tells what the model uses, not what "
                "causes what.",
                partial(feature_contributions, report.contributions, report.target),
            )
        )
    if job is not None and any(any(metrics.values()) for metrics in job.history.values()):
        plots.append(
            _plot(
                "learning-curve",
                "Learning curve",
                "The error after each training round. Validation should fall with training and then level off; where it rises, "
                "the model learns by heart.",
                partial(learning_curve, job),
            )
        )
    return plots


def _plot(key: str, title: str, how_to_read: str, draw: "Callable[[Axes], None]") -> Plot:
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    svg, png = io.StringIO(), io.BytesIO()
    with rc_context(SETTINGS), _no_glyph_warnings():
        figure = Figure(figsize=SIZE_INCHES, layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        draw(figure.add_subplot())
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(svg, format="svg", dpi=POINTS_DPI, metadata=nothing)
        figure.savefig(png, format="png", dpi=PNG_DPI)
    drawing = svg.getvalue()
    return Plot(key, title, how_to_read, drawing[drawing.index("<svg") :], _smaller(png))


def _smaller(png: io.BytesIO) -> bytes:
    """The PNG with a palette: a quarter of the bytes, which Dagster keeps in its event log for every report."""
    from PIL import Image

    small = io.BytesIO()
    with Image.open(png) as image:
        image.convert("RGB").quantize(PNG_COLOURS).save(small, format="PNG", optimize=True)
    return small.getvalue()


@contextmanager
def _no_glyph_warnings() -> Iterator[None]:
    # The PNG's font lacks some scripts; the page's SVG shows them, so a warning per letter helps nobody.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield
