"""Which plots a report has, in which order, and the words that go with them.

What belongs here: the pipeline's figures and the standard plots, where there is data for them. What does not: the
standard plots' marks (`drawings`), and turning a drawing into bytes (`canvas`).
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from optiflow.report.canvas import NARROW, WIDE, draw
from optiflow.report.drawings import (
    feature_contributions,
    learning_curve,
    predicted_against_actual,
    residuals_over_time,
)
from optiflow.report.extras import Figure
from optiflow.report.judged import judged_rows
from optiflow.report.model import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SLUG = re.compile(r"[a-z0-9]+([-_][a-z0-9]+)*")


@dataclass(frozen=True)
class Plot:
    """One plot: its title, a line on how to read it, and the same drawing as SVG and as PNG.

    `own` plots are the pipeline's, as wide as the page, with a `narrow` drawing for a phone; the others those of every
    report, two beside each other.
    """

    key: str
    title: str
    how_to_read: str
    svg: str
    png: bytes
    own: bool = False
    narrow: str = ""


def draw_plots(report: Report, predictions: pl.DataFrame | None, figures: Sequence[Figure] = ()) -> list[Plot]:
    """The pipeline's figures in their order, then the standard plots that there is data for.

    Equal input gives equal bytes.

    Args:
        report: The report.
        predictions: What the report was built from: `actual`, `predicted` and, if there are dates, `date`.
        figures: The pipeline's own; their names are lower-case words with hyphens, each in one plot only.

    Raises:
        ValueError: a figure's name is no such slug, or is taken.
    """
    plots = [
        *(_plot(figure.name, figure.title, figure.text, figure.draw, own=True) for figure in figures),
        *_of_rows(report, predictions),
        *_of_model(report),
    ]
    keys = [plot.key for plot in plots]
    for key in keys:
        if keys.count(key) > 1 or not SLUG.fullmatch(key):
            raise ValueError(f"Figure name {key!r} must be lower-case words with hyphens, and of one plot only.")
    return plots


def _of_rows(report: Report, predictions: pl.DataFrame | None) -> Iterator[Plot]:
    if predictions is None or not report.metrics:
        return
    rows = judged_rows(predictions, report.options)
    yield _plot(
        "predicted-against-actual",
        "Predicted against actual",
        "Each dot is a test row; on the diagonal the prediction is exact. The large marks are the averages of ten equal "
        "parts, from the lowest predictions to the highest: they should lie on the diagonal.",
        partial(predicted_against_actual, rows, report.target),
    )
    if "date" in rows.columns and rows["date"].count():
        yield _plot(
            "residuals-over-time",
            "Residuals over time",
            "Predicted minus actual: above the line is too high. The middle of the band should stay on the line, and the "
            "band should not widen with time.",
            partial(residuals_over_time, rows, report.target),
        )


def _of_model(report: Report) -> Iterator[Plot]:
    predicted = report.target or "the score"
    if report.contributions:
        yield _plot(
            "feature-contributions",
            "Feature contributions",
            f"How far each feature moves a prediction of {predicted} on average. It tells what the model uses, not what "
            "causes what.",
            partial(feature_contributions, report.contributions, predicted),
        )
    job = report.job
    if job is not None and any(any(metrics.values()) for metrics in job.history.values()):
        yield _plot(
            "learning-curve",
            "Learning curve",
            "The error after each training round. Validation should fall with training and then level off; where it rises, "
            "the model learns by heart.",
            partial(learning_curve, job),
        )


def _plot(key: str, title: str, how_to_read: str, drawing: "Callable[[Axes], None]", own: bool = False) -> Plot:
    if not own:
        return Plot(key, title, how_to_read, *draw(drawing, name=key))
    narrow, png = draw(drawing, NARROW, key)
    return Plot(key, title, how_to_read, draw(drawing, WIDE, key)[0], png, own=True, narrow=narrow)
