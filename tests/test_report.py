"""The report: its content, its verdict, and its three forms."""

import dataclasses
import json
import re
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optiflow.errors import UserError
from optiflow.metrics import next_skill_interval, regression_metrics
from optiflow.report.build import build_report
from optiflow.report.drawings import MAX_POINTS
from optiflow.report.extras import Extras, Figure, Headline, ReportTable
from optiflow.report.markdown import pictures, to_markdown
from optiflow.report.model import (
    LeftOut,
    Outcome,
    Period,
    RejectedRows,
    Report,
    RowCounts,
    RunFacts,
    SeriesUsed,
    TrainingJob,
    report_from_json,
    report_to_json,
)
from optiflow.report.plots import draw_plots
from optiflow.report.render import comparison, to_html
from optiflow.report.wording import METRICS, metric, number, percent

EVIL = "<script>alert('x')</script> | $x_{$ & \"q\" *b* \x07"
BY_PRODUCT, MEAN = "mean of quantity per product", "mean of quantity"


def facts(rows: int = 200, **changes) -> RunFacts:
    given_facts = RunFacts(
        pipeline="orders",
        dataset="spring-orders",
        version="ab" * 32,
        target="quantity",
        options={"target": "quantity", "split": {"strategy": "time", "test_fraction": 0.2}, "fred_series": ["UNRATE"]},
        created_at=datetime(2021, 3, 4, 5, 6, tzinfo=UTC),
        rows=RowCounts(uploaded=rows * 5 + 3, rejected=3, train=rows * 4, test=rows),
        split_strategy="time",
        train_period=Period(date(2019, 1, 1), date(2019, 12, 31)),
        features=("product", "price"),
        left_out=(LeftOut("order_id", "identifier"),),
        rejected=(RejectedRows("day", "not a date", 3),),
        series=(SeriesUsed("UNRATE", "first release (ALFRED)", 1.0, "Unemployment Rate"),),
        unseen_categories={"product": 0},
        job=TrainingJob(
            "orders-spring-training-0123456789",
            3,
            1,
            {"validation": {"rmse": (3.0, 2.0, 2.5)}, "train": {"rmse": (3.0, 1.0, 0.5)}},
        ),
    )
    return dataclasses.replace(given_facts, **changes)


def predictions(rows: int = 200, noise: float = 1.0, seed: int = 1) -> pl.DataFrame:
    """Actuals of standard deviation 10 around 50; the model misses by `noise`."""
    rng = np.random.default_rng(seed)
    actual = rng.normal(50, 10, rows)
    return pl.DataFrame(
        {
            "row": np.arange(rows),
            "date": [date(2020, 1, 1) + timedelta(days=i // 4) for i in range(rows)],
            "actual": actual,
            "predicted": actual + rng.normal(0, noise, rows),
        }
    )


def forecast(axes) -> None:
    axes.plot([date(2012, 2, 3) + timedelta(weeks=week) for week in range(60)], np.linspace(1e6, 2e6, 60), label=EVIL)
    axes.legend()


def chances(axes) -> None:
    axes.hist([1.0, 2.0, 2.0, 300.0], bins=3)
    axes.set_yscale("log")


EXTRAS = Extras(
    headlines=(Headline(f"Flagged {EVIL}", "152 (1.5 %)"),),
    tables=(
        ReportTable(
            f"Most unusual {EVIL}",
            "The highest scores.",
            ("item", EVIL, "quantity", "score", "share"),
            (
                ("A-1", EVIL, -12345, 0.0123456, "12.3 %"),
                ("A-2", None, np.int64(7), float("nan"), None),
                *((f"B-{index}", None, index, 1.5, None) for index in range(20)),
            ),
        ),
    ),
    figures=(
        Figure("forecast", f"Forecast {EVIL}", "The line.", forecast),
        Figure("chances", "Chances", "Bars.", chances),
    ),
    metrics={"f1": 0.75, "log_loss": float("inf")},
    verdict="152 of 10,000 movements look unusual.",
    warnings=("Item ids are new.",),
)


def described(**changes) -> Report:
    """The report of a pipeline without actuals."""
    return build_report(
        facts(job=None, target="", features=(), split_strategy="random", **changes), None, {}, {}, EXTRAS
    )


def report_of(frame: pl.DataFrame, **changes) -> Report:
    rng = np.random.default_rng(2)
    by_product = frame["actual"] + pl.Series(rng.normal(0, 5, frame.height))
    mean = pl.Series(np.full(frame.height, 50.0))
    contributions = {"price": 1.25, "product": 4.5}
    changed = dataclasses.replace(facts(frame.height), **changes)
    return build_report(changed, frame, {MEAN: mean, BY_PRODUCT: by_product}, contributions)


class Page(HTMLParser):
    """The tags, the attributes that fetch something, the text, and the exact values of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.values: list[str] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "srcset", "action", "poster", "data"):
                self.addresses.append(value or "")
            if tag == "data" and name == "value":
                self.values.append(value or "")

    def handle_data(self, data):
        self.text.append(data)


def test_the_report_sets_the_model_beside_each_baseline_best_first():
    frame = predictions()
    report = report_of(frame)
    assert report.metrics == regression_metrics(frame["actual"], frame["predicted"])
    assert [b.name for b in report.baselines] == [BY_PRODUCT, MEAN]
    assert report.best_baseline == BY_PRODUCT
    for baseline in report.baselines:
        assert baseline.skill == pytest.approx(1 - report.metrics["mse"] / baseline.metrics["mse"])
        assert baseline.skill_low < baseline.skill < baseline.skill_high
    assert report.skill == report.baselines[0].skill
    assert report.test_period == Period(date(2020, 1, 1), date(2020, 2, 19))
    assert [c.feature for c in report.contributions] == ["product", "price"]


@pytest.mark.parametrize(
    ("noise", "outcome", "says"),
    [
        (1.0, Outcome.BETTER, "is better than the mean of quantity per product: it misses by 0."),
        (4.7, Outcome.UNCLEAR, "may be no better than the mean of quantity per product"),
        (8.0, Outcome.WORSE, "is not better than the mean of quantity per product"),
    ],
)
def test_the_verdict_follows_the_skill_against_the_best_baseline(noise, outcome, says):
    report = report_of(predictions(noise=noise))
    assert report.outcome is outcome
    assert says in report.verdict
    assert ("do not use it" in report.verdict) == (outcome is Outcome.WORSE)
    assert (report.verdict in report.warnings) == (outcome is not Outcome.BETTER)
    assert report.verdict in to_html(report, []).replace("&#39;", "'")
    assert report.verdict in to_markdown(report).replace("\\`", "`")


@pytest.mark.parametrize(
    ("predicted", "outcome", "says"),
    [(7.0, Outcome.UNCLEAR, "no model is needed"), (8.0, Outcome.WORSE, "do not use it")],
)
def test_a_baseline_without_error_leaves_nothing_to_gain(predicted, outcome, says):
    frame = pl.DataFrame({"actual": [7.0] * 20, "predicted": [predicted] * 20})
    report = build_report(facts(20), frame, {MEAN: pl.Series([7.0] * 20)}, {})
    assert (report.skill, report.test_period, report.outcome) == (None, None, outcome)
    assert says in report.verdict
    html = to_html(report_from_json(report_to_json(report)), draw_plots(report, frame))
    assert "makes no error" in html


@pytest.mark.parametrize(
    ("changes", "noise", "says"),
    [
        ({"rows": RowCounts(1000, 110, 690, 200)}, 3, "110 of 1,000 uploaded rows were rejected (11.0 %)"),
        ({"rows": RowCounts(50, 1, 0, 200)}, 3, "1 of 50 uploaded rows was rejected (2.0 %)"),
        ({"split_strategy": "random"}, 3, "drawn at random"),
        ({"unseen_categories": {"store": 2}}, 3, "store: 2 categories of the test set were never seen"),
        ({"series": (SeriesUsed("DGS10", "lag", 0.4),)}, 3, "DGS10 had a published value for only 40.0 %"),
        ({"job": TrainingJob("j", 50, 49, {"validation": {"rmse": (1.0,)}})}, 3, "The last of 50 training rounds"),
        ({"notes": ("The disk smells of smoke.",)}, 3, "The disk smells of smoke."),
        ({}, 0.5, "Check that no feature is computed from quantity"),
    ],
)
def test_each_doubt_becomes_a_warning_in_every_form(changes, noise, says):
    frame = predictions(noise=noise)
    calm = report_of(predictions(noise=3))
    assert calm.warnings == ()
    report = report_of(frame, **changes)
    assert any(says in warning for warning in report.warnings)
    assert says in to_html(report, [])
    assert says in to_markdown(report)


def test_a_small_test_set_and_a_large_bias_are_warned_of():
    frame = predictions(50).with_columns(pl.col("predicted") + 20)
    said = " ".join(report_of(frame).warnings)
    assert "only 50 rows" in said
    assert "too high" in said


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=30), st.floats(0.1, 30), st.integers(1, 40), st.booleans())
def test_the_json_form_comes_back_as_the_same_report(name, noise, rows, dated):
    frame = predictions(rows, noise)
    report = report_of(frame if dated else frame.drop("date"), target=name, unseen_categories={name: 2})
    assert report_from_json(report_to_json(report)) == report


@pytest.mark.parametrize("text", ["", "[]", "{", '{"schema_version": 1}', '{"schema_version": 99}', "{}"])
def test_a_file_that_is_no_report_of_this_version_is_refused_with_advice(text):
    with pytest.raises(UserError, match="report job"):
        report_from_json(text)


def test_every_figure_of_the_page_and_of_markdown_equals_the_json():
    report = report_of(predictions())
    data = json.loads(report_to_json(report))
    columns = [data["metrics"], *(b["metrics"] for b in data["baselines"])]
    exact = [column[words.key] for words in METRICS for column in columns]
    top = [data["metrics"]["mae"], data["baselines"][0]["metrics"]["mae"]]
    exact = [*top, *exact, *(b["skill"] for b in data["baselines"])]
    assert [float(value) for value in Page(to_html(report, [])).values] == exact
    lines = to_markdown(report).splitlines()
    for words in METRICS:
        cells = " | ".join(metric(words, column[words.key]) for column in columns)
        assert f"| {words.label} | {cells} |" in lines
    assert f"| Skill of the model | | {' | '.join(percent(b['skill']) for b in data['baselines'])} |" in lines


def test_the_best_value_of_a_line_is_the_one_marked():
    rows = {row.words.key: row for row in comparison(report_of(predictions(noise=8.0)))}
    assert rows["mse"].best == {1}
    assert rows["r2"].best == {1}
    assert rows["bias"].best == {min(range(3), key=lambda i: abs(rows["bias"].values[i]))}


def test_the_page_fetches_nothing_and_runs_nothing():
    frame = predictions()
    text = to_html(report := report_of(frame), draw_plots(report, frame))
    page = Page(text)
    assert text.startswith("<!doctype html>")
    assert page.tags.isdisjoint({"script", "link", "iframe", "object", "embed", "form", "img"})
    assert page.addresses
    assert all(address.startswith(("#", "data:image/png;base64,")) for address in page.addresses)
    assert not re.search(r"@import|url\((?!#)", text)
    assert set(re.findall(r"https?://[^\s\"'<)]+", text)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }


def test_names_and_values_of_a_users_file_are_shown_as_text_and_never_as_markup():
    frame = predictions()
    report = build_report(
        facts(
            target=EVIL,
            features=(EVIL,),
            left_out=(LeftOut(EVIL, EVIL),),
            rejected=(RejectedRows(EVIL, EVIL, 1),),
            series=(SeriesUsed("X", EVIL, 0.5, EVIL),),
            unseen_categories={EVIL: 1},
            options={EVIL: EVIL},
            notes=(EVIL,),
        ),
        frame,
        {f"mean of {EVIL}": pl.Series([50.0] * 200)},
        {EVIL: 1.0, "b": 0.5},
    )
    page = Page(text := to_html(report, draw_plots(report, frame)))
    assert "script" not in page.tags
    assert "<script" not in text
    assert "<script>alert('x')</script> | $x_{$ &" in "".join(page.text)
    markdown = to_markdown(report)
    assert "<script" not in markdown
    left_out = next(line for line in markdown.splitlines() if line.startswith("| &lt;script"))
    assert len(re.findall(r"(?<!\\)\|", left_out)) == 3


def test_equal_reports_give_equal_bytes_and_other_predictions_give_others():
    frame = predictions()
    report = report_of(frame)
    first, second = draw_plots(report, frame), draw_plots(report, frame.clone())
    other = draw_plots(report, predictions(seed=5))
    assert first == second
    assert [plot.key for plot in first] == [
        "predicted-against-actual",
        "residuals-over-time",
        "feature-contributions",
        "learning-curve",
    ]
    assert [a.svg == b.svg for a, b in zip(first, other, strict=True)] == [False, False, True, True]
    assert [a.png == b.png for a, b in zip(first, other, strict=True)] == [False, False, True, True]


def test_drawing_leaves_matplotlibs_settings_alone_and_makes_xml_and_small_pngs():
    before = dict(mpl.rcParams)
    frame = predictions()
    for plot in draw_plots(report_of(frame), frame):
        assert ElementTree.fromstring(plot.svg).tag.endswith("svg")
        assert plot.png.startswith(b"\x89PNG")
        assert len(plot.png) < 40_000
    assert dict(mpl.rcParams) == before


def test_many_rows_are_drawn_as_a_sample_but_judged_as_a_whole():
    few, many = predictions(MAX_POINTS), predictions(MAX_POINTS * 4)
    report = report_of(many)
    assert report.metrics["mse"] == pytest.approx(float(((many["predicted"] - many["actual"]) ** 2).mean()))
    sizes = [len(draw_plots(report_of(frame), frame)[0].svg) for frame in (few, many)]
    assert sizes[1] < sizes[0] * 1.3


def test_outliers_do_not_squeeze_the_other_points_and_are_counted_on_the_axis():
    frame = predictions(1000).with_columns(actual=pl.when(pl.col("row") == 7).then(1e6).otherwise(pl.col("actual")))
    svg = draw_plots(report_of(frame), frame)[0].svg
    assert "(1 row outside)" in svg
    assert "1,000,000" not in svg


def test_plots_without_data_are_left_out():
    frame = predictions(30).drop("date")
    report = build_report(facts(30, job=None), frame, {MEAN: pl.Series([50.0] * 30)}, {})
    assert [plot.key for plot in draw_plots(report, frame)] == ["predicted-against-actual"]


@pytest.mark.parametrize(
    ("rows", "days"), [(1, 1), (2, 400), (40, 10), (300, 3000)], ids=["one row", "two", "days", "years"]
)
def test_any_span_of_dates_can_be_drawn(rows, days):
    frame = predictions(rows).with_columns(
        date=pl.Series([date(2010, 1, 1) + timedelta(days=i * days // rows) for i in range(rows)])
    )
    keys = [plot.key for plot in draw_plots(report_of(frame), frame)]
    assert "residuals-over-time" in keys


def test_markdown_has_no_plots_of_its_own():
    frame = predictions()
    report = report_of(frame)
    plots = draw_plots(report, frame)
    assert "](data:image" not in to_markdown(report)
    assert pictures(plots).count("](data:image/png;base64,") == len(plots) == 4


def test_without_actuals_the_report_describes_and_says_nothing_of_errors():
    report = described(test_period=Period(date(2020, 1, 1), date(2020, 2, 1)))
    assert (report.metrics, report.baselines, report.best_baseline, report.skill) == ({}, (), None, None)
    assert (report.outcome, report.verdict) == (Outcome.DESCRIBED, "152 of 10,000 movements look unusual.")
    assert report.warnings == ("Item ids are new.",)
    plots = draw_plots(report, None, EXTRAS.figures)
    assert [(plot.key, plot.own) for plot in plots] == [("forecast", True), ("chances", True)]
    page = "".join(Page(to_html(report, plots)).text)
    for text in (
        "simple rules",
        "misses by",
        "Skill",
        "Rounds",
        "Features used",
        "right and wrong",
        "spring-orders:",
    ):
        assert text not in page
    assert "Scored2020-01-01 to 2020-02-01" in re.sub(r"\s*\n\s*", "", page)
    assert "Skill" not in to_markdown(report)


def test_the_limits_of_the_next_window_go_by_past_skills_against_the_same_baseline() -> None:
    frame = predictions()
    rng = np.random.default_rng(2)
    baselines = {name: frame["actual"] + pl.Series(rng.normal(0, 30, frame.height)) for name in ("a", "b")}
    skills = {"a": (0.0, 0.5)}
    report = build_report(facts(), frame, baselines, {}, Extras(past_skills=skills))
    for score in report.baselines:
        assert score.skill_low is not None
        assert score.skill_high is not None
        assert score.next_low is not None
        expected, _ = next_skill_interval((score.skill_low, score.skill_high), skills.get(score.name, ()))
        assert score.next_low == pytest.approx(expected)
    lows = {score.name: score.next_low for score in report.baselines}
    assert lows["a"] < 0 < lows["b"]  # pyright: ignore[reportOptionalOperand]


def test_what_a_pipeline_adds_is_in_every_form_written_for_people_and_never_markup():
    frame = predictions()
    report = build_report(facts(), frame, {MEAN: pl.Series([50.0] * 200)}, {}, EXTRAS)
    assert report.outcome is Outcome.BETTER
    data = json.loads(report_to_json(report))
    assert data["further_metrics"] == {"f1": 0.75, "log_loss": None}
    assert data["headlines"][0]["value"] == "152 (1.5 %)"
    assert data["tables"][0]["rows"][:2] == [["A-1", EVIL, -12345, 0.0123456, "12.3 %"], ["A-2", None, 7, None, None]]
    assert report_from_json(report_to_json(report)) == report
    plots = draw_plots(report, frame, EXTRAS.figures)
    assert [plot.key for plot in plots][:3] == ["forecast", "chances", "predicted-against-actual"]
    page = Page(text := to_html(report, plots))
    assert "script" not in page.tags
    assert (
        text.index("152 (1.5 %)")
        < text.index('id="forecast"')
        < text.index("Most unusual")
        < text.index("simple rules")
    )
    assert '<td class="num">\u221212,345</td><td class="num">0.01235</td><td class="num">12.3 %</td>' in text
    assert '<td>A-2</td><td>\u2013</td><td class="num">7</td><td class="num">\u2013</td>' in text
    assert "B-19" in text
    markdown = to_markdown(report) + pictures(plots)
    assert "<script" not in markdown
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in markdown.splitlines() if line.startswith(("| A-", "| B-"))]
    assert len(rows) == 15
    assert {len(row) for row in rows} == {5}
    assert [rows[0][0].strip(), rows[0][2].strip()] == ["A-1", "\u221212,345"]
    assert "The page shows 7 more rows." in markdown
    assert "Item ids are new." in markdown


def test_a_pipelines_figures_are_equal_bytes_with_readable_axes():
    report = described()
    plots = draw_plots(report, None, EXTRAS.figures)
    assert plots == draw_plots(report, None, EXTRAS.figures)
    dated, log = ["".join(ElementTree.fromstring(plot.svg).itertext()) for plot in plots]
    assert "1,200,000" in dated
    assert "2013" in dated
    assert "2012-" not in dated
    assert "mathdefault" not in log


def test_test_rows_without_an_actual_are_counted_and_left_out_of_every_error():
    frame = predictions(200, noise=3)
    by_product = pl.Series(np.full(200, 50.0))
    open_rows = frame.with_columns(actual=pl.when(pl.col("row") % 4 > 0).then("actual"))
    judged = open_rows.filter(pl.col("actual").is_not_null())
    report = build_report(facts(200), open_rows, {MEAN: by_product}, {})
    alone = build_report(facts(150), judged, {MEAN: by_product[:150]}, {})
    assert (report.metrics, report.baselines) == (alone.metrics, alone.baselines)
    assert (report.rows.test, report.judged_rows, alone.judged_rows) == (200, 150, 150)
    assert report.warnings == (
        "50 of 200 test rows have no actual to judge by: all errors are those of the other 150, which may be the easier ones.",
    )
    assert [p.svg for p in draw_plots(report, open_rows)] == [p.svg for p in draw_plots(alone, judged)]
    assert "the same 150 test rows" in to_html(report, [])
    none = build_report(facts(200), frame.with_columns(actual=pl.lit(None, pl.Float64)), {MEAN: by_product}, {})
    assert (none.outcome, none.skill, none.judged_rows) == (Outcome.UNCLEAR, None, 0)
    assert "cannot be judged" in to_html(none, draw_plots(none, frame)) + to_markdown(none)


@pytest.mark.parametrize(
    ("judged", "says"),
    [
        (
            199,
            "1 of 200 test rows has no actual to judge by: all errors are those of the other 199, which may be the easier ones.",
        ),
        (
            1,
            "199 of 200 test rows have no actual to judge by: all errors are those of the other 1, which may be the easier one.",
        ),
    ],
)
def test_a_single_row_without_or_with_an_actual_is_spoken_of_as_one(judged, says):
    frame = predictions(200, noise=3).with_columns(actual=pl.when(pl.int_range(pl.len()) < judged).then("actual"))
    report = build_report(facts(200), frame, {MEAN: pl.Series(np.full(200, 50.0))}, {})
    assert says in report.warnings


def test_a_report_written_before_pipelines_could_add_anything_is_still_read():
    report = report_of(predictions())
    data = json.loads(report_to_json(report))
    for name in ("headlines", "tables", "further_metrics", "judged_rows", "actions", "downloads", "unit", "per"):
        del data[name]
    older = report_from_json(json.dumps(data))
    assert older == dataclasses.replace(report, judged_rows=None, actions=(), downloads=())
    assert "the same 200 test rows" in to_html(older, [])


def test_a_good_forecast_of_unlike_stores_is_not_taken_for_a_leak():
    level = np.repeat(np.geomspace(1e5, 2e6, 40), 5)
    noise = np.random.default_rng(3).normal(1, 0.05, (2, 200))
    frame = pl.DataFrame({"actual": level, "predicted": level * (1 + (noise[0] - 1) / 2)})
    for name in ("seasonal naive", "the seasonal naive"):
        report = build_report(facts(), frame, {name: pl.Series(level * noise[1])}, {})
        assert report.metrics["r2"] > 0.99
        assert report.warnings == ()
        assert report.verdict.startswith("The model is better than the seasonal naive: it misses by ")
        assert "<small>the seasonal naive</small>" in to_html(report, [])


def test_the_day_of_a_row_may_have_the_name_that_the_options_give_it():
    frame = predictions().rename({"date": "created"})
    report = report_of(frame, options={"date_column": "created"})
    assert report.test_period == Period(date(2020, 1, 1), date(2020, 2, 19))
    assert "residuals-over-time" in [plot.key for plot in draw_plots(report, frame)]


@pytest.mark.parametrize(
    ("extras", "says"),
    [
        (Extras(), "needs a verdict"),
        (Extras(verdict="v", tables=(ReportTable("t", "", ("a", "b"), ((1, 2), (3,))),)), "its row 1 has 1 cells"),
    ],
)
def test_extras_that_cannot_be_shown_are_refused(extras, says):
    with pytest.raises(ValueError, match=says):
        build_report(facts(), None, {}, {}, extras)


@pytest.mark.parametrize("names", [("forecast", "forecast"), ("Not a slug",)])
def test_figures_need_names_of_their_own(names):
    with pytest.raises(ValueError, match="Figure name"):
        draw_plots(described(), None, [Figure(name, "", "", lambda axes: None) for name in names])


@pytest.mark.parametrize(
    ("baselines", "rows", "says"),
    [({}, 200, "at least one baseline"), ({MEAN: pl.Series([1.0] * 200)}, 199, "200 predictions for 199 test rows")],
)
def test_inconsistent_input_is_refused(baselines, rows, says):
    with pytest.raises(ValueError, match=says):
        build_report(facts(rows), predictions(), baselines, {})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "\u2013"),
        (0.0, "0"),
        (12345.67, "12,346"),
        (123.456, "123.5"),
        (0.0123456, "0.01235"),
        (-9.9996, "\u221210.00"),
        (3e-9, "3.000e\u221209"),
    ],
)
def test_numbers_are_written_with_four_digits(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("share", "text"), [(None, "\u2013"), (0.1234, "12.3 %"), (-0.0001, "0.0 %"), (-12.5, "\u22121,250.0 %")]
)
def test_shares_are_written_as_percent(share, text):
    assert percent(share) == text


def test_the_kind_of_vintage_is_told_in_words():
    series = (
        SeriesUsed("UNRATE", "first_release", 1.0),
        SeriesUsed("DGS10", "latest", 1.0),
        SeriesUsed("X", "by hand", 1.0),
    )
    report = report_of(predictions(), series=series)
    for text in ("first published figure", "later revisions shine through", "by hand"):
        assert text in to_html(report, [])
        assert text in to_markdown(report)
