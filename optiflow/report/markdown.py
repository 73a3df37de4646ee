"""A finished `Report` as Markdown, for Dagster's metadata and for terminals.

What belongs here: the short form of the page. What does not: details that only the page and the JSON hold.
"""

import base64
import re
from collections.abc import Iterator, Sequence

from optiflow.report import wording
from optiflow.report.model import Report
from optiflow.report.plots import Plot
from optiflow.report.render import comparison, moment

MARKUP = re.compile(r"([\\`*\[\]|#~!]|(?<!\w)_|_(?!\w))")


def to_markdown(report: Report, plots: Sequence[Plot] = ()) -> str:
    """The verdict, the warnings, the comparison and the columns left out.

    Args:
        report: The report; its names and values come from users' files and are escaped.
        plots: Drawings to embed as PNG data; none keeps the text short enough for a terminal.
    """
    warnings = [warning for warning in report.warnings if warning != report.verdict]
    blocks = [
        f"## {_text(report.dataset)}: {_text(report.target)}",
        f"**{_text(report.verdict)}**",
        "\n".join(f"- {_text(warning)}" for warning in warnings),
        "\n".join(_comparison(report)),
        "\n".join(_rows(report)),
        *(_image(plot) for plot in plots),
        "\n".join(_left_out(report)),
        "\n".join(_series(report)),
        f"Pipeline {report.pipeline}, upload version `{report.version[:12]}`, written {moment(report.created_at)}.",
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _text(value: str) -> str:
    flat = " ".join(value.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return MARKUP.sub(r"\\\1", flat)


def _comparison(report: Report) -> Iterator[str]:
    names = ["model", *(baseline.name for baseline in report.baselines)]
    yield f"| | {' | '.join(_text(name) for name in names)} |"
    yield "|:--|" + "--:|" * len(names)
    for row in comparison(report):
        yield f"| {row.words.label} | {' | '.join(wording.metric(row.words, value) for value in row.values)} |"
    yield f"| Skill of the model | | {' | '.join(wording.percent(b.skill) for b in report.baselines)} |"


def _rows(report: Report) -> Iterator[str]:
    rows = report.rows
    yield "| rows uploaded | rejected | train | test |"
    yield "|--:|--:|--:|--:|"
    yield f"| {rows.uploaded:,} | {rows.rejected:,} | {rows.train:,} | {rows.test:,} |"
    if report.test_period is not None:
        yield ""
        yield f"Trained on {wording.period(report.train_period)}, tested on {wording.period(report.test_period)}."


def _image(plot: Plot) -> str:
    data = base64.b64encode(plot.png).decode()
    return f"**{plot.title}.** {_text(plot.how_to_read)}\n\n![{plot.title}](data:image/png;base64,{data})"


def _left_out(report: Report) -> Iterator[str]:
    if report.left_out:
        yield "| column left out | why |"
        yield "|:--|:--|"
        yield from (f"| {_text(item.column)} | {_text(item.reason)} |" for item in report.left_out)


def _series(report: Report) -> Iterator[str]:
    if report.series:
        yield "| FRED series | rows with a value | published |"
        yield "|:--|--:|:--|"
        for item in report.series:
            yield f"| {_text(item.series_id)} | {wording.percent(item.coverage)} | {_text(wording.vintage(item.vintage))} |"
