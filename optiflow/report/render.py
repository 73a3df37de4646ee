"""A finished `Report` as one self-contained HTML page.

What belongs here: laying out what the report holds. What does not: figures, plots and judgements; the Markdown form is
in `markdown`, JSON in `model`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import yaml

from optiflow.report import wording
from optiflow.report.downloads import addresses
from optiflow.report.model import Report
from optiflow.report.plots import Plot
from optiflow.report.tables import written_table

if TYPE_CHECKING:
    from jinja2 import Template


@dataclass(frozen=True)
class ComparisonRow:
    """One metric of the model and of each baseline, best first; `best` are the columns with the best value."""

    words: wording.MetricWords
    values: tuple[float | None, ...]
    best: frozenset[int]


def comparison(report: Report) -> list[ComparisonRow]:
    """The table of metrics: the model's column first, then the baselines in the report's order."""
    columns = [report.metrics, *(baseline.metrics for baseline in report.baselines)]
    return [
        ComparisonRow(words, values := tuple(column[words.key] for column in columns), _best(words.key, values))
        for words in wording.METRICS
    ]


def to_html(report: Report, plots: Sequence[Plot], files: Mapping[str, bytes] | None = None, folder: str = "") -> str:
    """The page: no script, and no request to anywhere when it is opened.

    Args:
        files: The tables of `table_files`: small ones are in the page, the others lie beside it under their names.
        folder: Where beside the page those others lie, if not next to it.
        report: The report; its names and values come from users' files and are escaped.
        plots: The drawings of `draw_plots`, shown in this order: the pipeline's own ones before the comparison with
            baselines, the others after it.
    """
    return _template().render(
        report=report,
        title=title(report),
        judged=judged_rows(report),
        style=_packaged("report.css"),
        comparison=comparison(report) if report.baselines else [],
        tables=[written_table(table) for table in report.tables],
        addresses=addresses(files or {}, folder),
        figures=[plot for plot in plots if plot.own],
        plots=[plot for plot in plots if not plot.own],
    )


def title(report: Report) -> str:
    """`spring-orders: quantity`; the dataset alone where nothing is predicted."""
    return f"{report.dataset}: {report.target}" if report.target else report.dataset


def judged_rows(report: Report) -> int:
    """On how many test rows the errors stand."""
    return report.rows.test if report.judged_rows is None else report.judged_rows


def moment(when: datetime) -> str:
    """`2026-01-31 09:05 UTC`."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def as_yaml(options: Mapping[str, object]) -> str:
    """Options as an options file would say them."""
    return yaml.safe_dump(
        dict(options), sort_keys=False, allow_unicode=True, default_flow_style=None, width=100
    ).strip()


def _best(key: str, values: tuple[float | None, ...]) -> frozenset[int]:
    ranks = {i: -v if key == "r2" else abs(v) for i, v in enumerate(values) if v is not None}
    return frozenset(i for i, rank in ranks.items() if rank == min(ranks.values()))


@cache
def _template() -> "Template":
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(
        number=wording.number,
        percent=wording.percent,
        metric=lambda value, words: wording.metric(words, value),
        moment=moment,
        vintage=wording.vintage,
        as_yaml=as_yaml,
        # matplotlib has escaped the names in its drawings; everything else on the page is escaped by jinja2.
        drawing=Markup,
        css=Markup,
    )
    environment.globals.update(count=wording.count, the=wording.the, measured=wording.measured)
    return environment.from_string(_packaged("report.html"))


def _packaged(name: str) -> str:
    return files("optiflow.report").joinpath(name).read_text("utf-8")
