"""A finished `Report` as Markdown, for Dagster's metadata and for terminals.

What belongs here: the short form of the page. What does not: details that only the page and the JSON hold.
"""

import base64
import re
from collections.abc import Iterator, Sequence

from optiflow.report import wording
from optiflow.report.extras import ReportTable
from optiflow.report.model import Report
from optiflow.report.plots import Plot
from optiflow.report.render import comparison, moment, title
from optiflow.report.tables import written_table

TABLE_ROWS = 15
MARKUP = re.compile(r"([\\`*\[\]|#~!]|(?<!\w)_|_(?!\w))")


def to_markdown(report: Report) -> str:
    """The verdict, the headlines, the warnings, the tables, the comparison and the columns left out.

    A table of the pipeline is cut after 15 rows; the page and the JSON have them all.

    Args:
        report: The report; its names and values come from users' files and are escaped.
    """
    warnings = [warning for warning in report.warnings if warning != report.verdict]
    blocks = [
        f"## {_text(title(report))}",
        f"**{_text(report.verdict)}**",
        "\n".join(f"- {_text(headline.label)}: **{_text(headline.value)}**" for headline in report.headlines),
        "\n".join(_actions(report)),
        "\n".join(_downloads(report)),
        "\n".join(f"- {_text(warning)}" for warning in warnings),
        *("\n".join(_table(table)) for table in report.tables),
        "\n".join(_comparison(report)),
        "\n".join(_rows(report)),
        "\n".join(_left_out(report)),
        "\n".join(_series(report)),
        f"Pipeline {report.pipeline}, upload version `{report.version[:12]}`, written {moment(report.created_at)}.",
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _actions(report: Report) -> Iterator[str]:
    if report.actions:
        yield "**What to do now**"
        yield ""
        yield from (f"{place}. {_text(action)}" for place, action in enumerate(report.actions, 1))


def _downloads(report: Report) -> Iterator[str]:
    for table in report.downloads:
        where = f" `{table.address}`" if table.address else ""
        yield f"- {_text(table.text)} {wording.count(table.rows, 'row')}: `{table.file}` beside the page.{where}"


def _text(value: str) -> str:
    flat = " ".join(value.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return MARKUP.sub(r"\\\1", flat)


def _table(table: ReportTable) -> Iterator[str]:
    written = written_table(table)
    yield f"**{_text(table.title)}.** {_text(table.text)}"
    yield ""
    yield f"| {' | '.join(_text(name) for name in written.header)} |"
    yield f"|{'|'.join('--:' if number else ':--' for number in written.is_number)}|"
    for row in written.rows[:TABLE_ROWS]:
        yield f"| {' | '.join(_text(cell) for cell in row)} |"
    if len(written.rows) > TABLE_ROWS:
        yield ""
        yield f"The page shows {wording.count(len(written.rows) - TABLE_ROWS, 'more row')}."


def _comparison(report: Report) -> Iterator[str]:
    if not report.baselines:
        return
    names = ["model", *(baseline.name for baseline in report.baselines)]
    yield f"| | {' | '.join(_text(name) for name in names)} |"
    yield "|:--|" + "--:|" * len(names)
    for row in comparison(report):
        yield f"| {row.words.label} | {' | '.join(wording.metric(row.words, value) for value in row.values)} |"
    label = "Skill of the model" if report.skill_of == "squared error" else "Skill of the model, by squared error"
    yield f"| {label} | | {' | '.join(wording.percent(b.skill) for b in report.baselines)} |"


def _rows(report: Report) -> Iterator[str]:
    rows = report.rows
    last = "test" if report.metrics else "scored"
    yield f"| rows uploaded | rejected | train | {last} |"
    yield "|--:|--:|--:|--:|"
    yield f"| {rows.uploaded:,} | {rows.rejected:,} | {rows.train:,} | {rows.test:,} |"
    if report.test_period is not None:
        yield ""
        done = "tested" if report.metrics else "scored"
        yield f"Trained on {wording.period(report.train_period)}, {done} on {wording.period(report.test_period)}."


def pictures(plots: Sequence[Plot]) -> str:
    """The drawings as PNG data, to follow on the text where there is room for them; not in a terminal."""
    return "".join(f"\n{_image(plot)}\n" for plot in plots)


def _image(plot: Plot) -> str:
    data = base64.b64encode(plot.png).decode()
    return f"**{_text(plot.title)}.** {_text(plot.how_to_read)}\n\n![{_text(plot.title)}](data:image/png;base64,{data})"


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
