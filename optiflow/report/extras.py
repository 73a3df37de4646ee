"""What only one pipeline's report shows beside what all show: tables, figures, and numbers at the top.

What belongs here: plain data. What does not: how a table or a figure is laid out on a page.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.axes import Axes

    from optiflow.report.model import Outcome

Cell = str | float | int | None


@dataclass(frozen=True)
class ReportTable:
    """A table for people: a title, one or two sentences on what it says, a header and rows of cells.

    Whole numbers are shown with thousands separators, other numbers to four significant digits, or to so many `decimals`,
    None as a dash. Years and ids are words.
    """

    title: str
    text: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    decimals: int | None = None


@dataclass(frozen=True)
class Download:
    """A table whole, of which the page shows the part to act on: a file beside the page, and a button for it.

    `file` is its name (`forecast.csv`), `result` the pipeline's result whose table in the lake it is made of, `text` what one
    row is.
    """

    file: str
    result: str
    text: str
    rows: "pl.DataFrame"


@dataclass(frozen=True)
class Figure:
    """A drawing: `name` (a slug, unique in the report), a title, a sentence on how to read it, and who draws it."""

    name: str
    title: str
    text: str
    draw: "Callable[[Axes], None]"


@dataclass(frozen=True)
class Headline:
    """A number for the top of the page, ready to read: `label` 'Flagged movements', `value` '152 (1.5 %)'."""

    label: str
    value: str


@dataclass(frozen=True)
class Judgement:
    """A pipeline's own verdict, where squared errors do not decide.

    `baseline` is the name of one of the report's baselines, `measure` the error that was compared (`log-loss`), `skill`
    the share of the baseline's that the model removes, None where it makes none.
    """

    outcome: "Outcome"
    verdict: str
    baseline: str
    measure: str
    skill: float | None


@dataclass(frozen=True)
class Extras:
    """Everything that a pipeline adds.

    `judgement` takes the place of the report's own; `verdict` that of the sentence where there are no actuals.
    """

    headlines: tuple[Headline, ...] = ()
    tables: tuple[ReportTable, ...] = ()
    figures: tuple[Figure, ...] = ()
    metrics: dict[str, float | None] | None = None
    """Further figures for programs (JSON, Dagster metadata, the catalog), such as `f1`."""
    verdict: str | None = None
    warnings: tuple[str, ...] = ()
    caution: str | None = None
    """What goes with every word in the model's favour, wherever its verdict stands."""
    series: tuple[str, ...] = ()
    """Columns of the predictions that say of which series a row is: rows of one series err alike."""
    past_skills: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """By the name of a baseline: the model's skill against it over windows as long as the hold-out, from earlier origins."""
    judgement: Judgement | None = None
    actions: tuple[str, ...] = ()
    """What to do now, most urgent first, if the model is worth going by; else the report says what to do instead."""
    downloads: tuple[Download, ...] = ()
    unit: str = ""
    """What the target is counted in, as it stands behind a figure: `EUR`, `days`."""
    per: str = ""
    """What one judged row is: `store and week`."""
