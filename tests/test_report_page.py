"""The page of a report for whoever acts on it: what it says first, what it offers whole, and whether all can read it."""

import base64
import csv
import io
import re
import zipfile
from html.parser import HTMLParser
from importlib.resources import files as packaged

import fastexcel
import numpy as np
import polars as pl
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Drawing
from test_report import BY_PRODUCT, MEAN, facts, predictions

from optiflow.export import export_table
from optiflow.formula_guard import BOM
from optiflow.pipelines.forecasting.tables import coming_days, coming_table
from optiflow.pipelines.forecasting.totals_figure import draw_totals
from optiflow.report.build import build_report
from optiflow.report.canvas import NARROW, WIDE
from optiflow.report.downloads import MOST_INSIDE, table_file, table_files
from optiflow.report.extras import Download, Extras, Figure, ReportTable
from optiflow.report.markdown import to_markdown
from optiflow.report.model import Outcome, Report
from optiflow.report.plots import draw_plots
from optiflow.report.render import to_html
from optiflow.report.wording import listed, measured, titled

ADVICE = "Order 40 boxes for Monday."
STOCK = pl.DataFrame(
    {
        "row": [2, 3, 4],
        "item": ["=cmd|' /C calc'!A1", "Zelt, 2 Personen", "-5 °C Schlafsack"],
        "code": ["-12", "+4", None],
        "price": [12.5, 0.123456, None],
    }
)


class Links(HTMLParser):
    """The links of a page, its headings in their order, headers of columns without a scope, and what can be scrolled."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[dict[str, str | None]] = []
        self.headings: list[int] = []
        self.without_scope = 0
        self.scrolled: list[dict[str, str | None]] = []
        self.ids: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        if tag == "a":
            self.links.append(told)
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "th" and "scope" not in told:
            self.without_scope += 1
        if "scroll" in (told.get("class") or "").split():
            self.scrolled.append(told)
        if told.get("id"):
            self.ids.append(str(told["id"]))


def made(noise: float = 1.0, **extras: object) -> Report:
    frame = predictions(noise=noise)
    rng = np.random.default_rng(2)
    by_product = frame["actual"] + pl.Series(rng.normal(0, 5, frame.height))
    baselines = {MEAN: pl.Series(np.full(frame.height, 50.0)), BY_PRODUCT: by_product}
    return build_report(facts(), frame, baselines, {}, Extras(**extras))  # pyright: ignore[reportArgumentType]


def head(report: Report) -> str:
    """What stands above the comparison of figures, as text."""
    page = to_html(report, [])
    return re.sub(r"<[^>]+>", " ", page[page.index("<main>") : page.index("beside simple rules")])


def test_the_head_speaks_of_misses_in_the_targets_unit_and_of_no_squares():
    report = made(unit="kg", per="store and week")
    mae, best = report.metrics["mae"], report.baselines[0].metrics["mae"]
    assert mae is not None
    assert best is not None
    assert report.verdict.startswith(
        f"The model is better than the mean of quantity per product: it misses by {measured(mae, 'kg')} per store and week "
        f"on average, that rule by {measured(best)}. The predictions are almost exact"
    )
    told = " ".join(head(report).split())
    assert f"The model misses by {measured(mae, 'kg')} on average per store and week" in told
    assert f"The best simple rule misses by {measured(best, 'kg')}" in told
    assert not re.search(r"squared|MSE|skill|log-loss", told, re.IGNORECASE)


def test_where_only_large_misses_are_smaller_the_verdict_does_not_claim_more():
    actual = np.random.default_rng(1).normal(100, 10, 400)
    own = actual + np.tile([2.0, -2.0], 200)
    rule = actual.copy()
    rule[::10] += 18  # misses by 1.8 on average, its mean squared error is 32.4: the model's are 2 and 4
    frame = pl.DataFrame({"actual": actual, "predicted": own})
    report = build_report(facts(400), frame, {MEAN: pl.Series(rule)}, {})
    assert report.outcome is Outcome.BETTER
    assert (
        "its large misses are smaller, which count most. But it misses by 2.000 on average, that rule by 1.800."
        in report.verdict
    )


@pytest.mark.parametrize(
    ("noise", "outcome", "advised", "says"),
    [
        (1.0, Outcome.BETTER, True, ADVICE),
        (4.7, Outcome.UNCLEAR, True, "Set each figure beside the mean of quantity per product before you act on it"),
        (
            8.0,
            Outcome.WORSE,
            False,
            "Do not order, plan or price by this model's figures. Go by the mean of quantity per product",
        ),
    ],
)
def test_what_to_do_now_is_the_pipelines_advice_only_where_the_model_is_worth_going_by(noise, outcome, advised, says):
    report = made(noise, actions=(ADVICE,))
    assert report.outcome is outcome
    assert (ADVICE in report.actions) is advised
    assert report.actions[0].startswith(says)
    page, text = to_html(report, []).replace("&#39;", "'"), to_markdown(report)
    assert page.index("What to do now") < page.index(says) < page.index("The model misses by")
    assert says in text


def test_a_whole_table_is_in_the_page_for_a_spreadsheet_and_no_cell_of_it_is_a_formula():
    tables = (Download("stock.csv", "stock", "Every item.", STOCK),)
    report, files = made(downloads=tables), table_files(tables)
    page = Links(to_html(report, [], files))
    (link,) = page.links
    assert link["download"] == "spring-orders-stock.csv"
    kind, _, data = str(link["href"]).partition(",")
    assert kind == "data:text/csv;charset=utf-8;base64"
    raw = base64.b64decode(data)
    assert raw.startswith(BOM)
    rows = list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig"))))
    assert [row["item"] for row in rows] == ["'=cmd|' /C calc'!A1", "Zelt, 2 Personen", "'-5 °C Schlafsack"]
    assert [row["code"] for row in rows] == ["-12", "'+4", ""]
    assert [row["price"] for row in rows] == ["12.5000", "0.1235", ""]
    assert "Every item. 3 rows, 4 columns." in to_html(report, [], files)


RUN = ["=1+1", " =1", "-1+cmd|' /C calc'!A0", "+1", "@SUM(A1)", "\t=1", "\r=1", "-", "\xa0-x", "\uff1d1"]
STAY = ["-12", "-1,234.5", "-1e-3", "-5 %", "12", "a=1", "1-2", "'=1", "", "x@y"]


@pytest.mark.parametrize("way", ["export", "download"])
def test_no_cell_and_no_header_of_a_csv_is_a_formula_and_numbers_stay(tmp_path, way):
    rows = pl.DataFrame({"-x": [*RUN, *STAY], "'-x": -1.5, "=n": -3, "-7": "a"})
    if way == "export":
        export_table(rows.lazy(), tmp_path / "a.csv")
        data = (tmp_path / "a.csv").read_bytes()
    else:
        data = table_file(rows)
    assert data.startswith(BOM)
    header, *read = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""))
    assert header == ["''-x", "'-x", "'=n", "-7"]
    assert [row[0] for row in read] == [*(f"'{cell}" for cell in RUN), *STAY]
    assert {(float(row[1]), row[2]) for row in read} == {(-1.5, "-3")}


def test_a_workbook_holds_text_that_looks_like_a_formula_as_text(tmp_path):
    rows = pl.DataFrame({"=a": RUN[:5], "n": -1.5})
    export_table(rows.lazy(), tmp_path / "a.xlsx")
    with zipfile.ZipFile(tmp_path / "a.xlsx") as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert "<f" not in sheet
    found = fastexcel.read_excel(tmp_path / "a.xlsx").load_sheet(0).to_polars()
    assert found.to_dict(as_series=False) == rows.to_dict(as_series=False)


def test_a_large_table_lies_beside_the_page_and_one_too_long_for_a_spreadsheet_only_in_the_lake():
    large = pl.DataFrame({"row": pl.int_range(60_000, eager=True), "name": "x" * 10})
    long = pl.DataFrame({"row": pl.int_range(1_000_001, eager=True)})
    tables = tuple(
        Download(f"{name}.csv", name, f"All of {name}.", rows)
        for name, rows in (("large", large), ("small", STOCK), ("long", long))
    )
    report, files = made(downloads=tables), table_files(tables)
    assert len(files["large.csv"]) > MOST_INSIDE
    assert set(files) == {"large.csv", "small.csv"}
    text = to_html(report, [], files)
    addresses = {link["download"]: str(link["href"]) for link in Links(text).links}
    assert addresses["spring-orders-large.csv"] == "large.csv"
    assert addresses["spring-orders-small.csv"].startswith("data:text/csv")
    assert len(addresses) == 2
    assert "1,000,001 rows, 1 column. More than a spreadsheet can hold." in text
    assert len(text) < 100_000


def test_the_page_says_where_the_lake_has_the_whole_table():
    where = "s3://bucket/lake/turnover/stock/shop/1.parquet"
    table = Download("stock.csv", "stock", "Every item.", STOCK)
    frame = predictions()
    report = build_report(
        facts(tables_at={"stock": where}), frame, {MEAN: pl.Series([50.0] * 200)}, {}, Extras(downloads=(table,))
    )
    assert f"<code>{where}</code>" in to_html(report, [], table_files((table,)))
    assert f"`{where}`" in to_markdown(report)


def test_tables_can_be_scrolled_by_keyboard_with_a_cue_and_headings_skip_no_level():
    wide = ReportTable("Items", "", ("item", "a", "b", "c", "d"), (("x", 1, 2, 3, 4),) * 13)
    report = made(actions=(ADVICE,), tables=(wide, ReportTable("Two", "", ("a", "b"), ((1, 2),))))
    text = to_html(report, draw_plots(report, predictions()))
    page = Links(text)
    assert page.without_scope == 0
    assert all(told.get("tabindex") == "0" and told.get("aria-label") for told in page.scrolled)
    assert len(page.scrolled) == 3  # both, and the comparison
    assert "5 columns: swipe sideways" in text
    assert "2 columns: swipe sideways" not in text
    assert text.count("rows: scroll down in the table") == text.count("13 rows: scroll down in the table") == 1
    assert page.headings[0] == 1
    assert all(level <= before + 1 for before, level in zip(page.headings, page.headings[1:], strict=False))


def _luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance of #rrggbb."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_text_has_the_contrast_that_wcag_asks_for_in_the_light_and_in_the_dark():
    style = packaged("optiflow.report").joinpath("report.css").read_text()
    light, dark, *_ = (
        dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", block)) for block in re.findall(r":root \{([^}]+)\}", style)
    )
    for colours in (light, {**light, **dark}):
        for text in ("ink", "muted"):
            for ground in ("card", "page"):
                assert _contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
        assert _contrast("#ffffff", colours["button"]) >= 4.5


def _series(days: int, stores: int = 1) -> pl.DataFrame:
    dates = pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 1, 1) + pl.duration(days=days - 1), eager=True)
    names = pl.DataFrame({"store": [f"S{n:04d}" for n in range(stores)]})
    return pl.DataFrame({"date": dates}).join(names, how="cross").with_columns(sales=10.0)


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "phone"])
def test_a_chart_uses_the_width_that_it_has(size):
    history = _series(60).select("date", actual="sales")
    totals = _series(80).tail(20).select("date", predicted="sales", low=pl.lit(9.0), high=pl.lit(11.0))
    drawing = Drawing(figsize=size, layout="constrained")
    FigureCanvasAgg(drawing)
    axes = drawing.add_subplot()
    draw_totals(history, history.tail(20).rename({"actual": "predicted"}), totals, "date", axes, unit="pieces")
    drawing.canvas.draw()
    assert axes.get_position().width > 0.75


def test_no_two_things_of_a_page_share_an_id_and_every_reference_is_answered():
    report, frame = made(), predictions()
    lines = [Figure(name, name, "", lambda axes: axes.plot([1, 2], label="a <b>")) for name in ("one", "two")]
    text = to_html(report, draw_plots(report, frame, lines))
    ids = Links(text).ids
    assert len(ids) == len(set(ids)) > 10
    assert set(re.findall(r"url\(#([^)]+)\)", text)) | set(re.findall(r'href="#([^"]+)"', text)) <= set(ids)


def test_of_thousands_of_items_a_page_shows_those_that_sell_most_and_names_the_download():
    stores = 5_000
    sold = _series(14, stores)
    ahead = _series(21, stores).filter(pl.col("date") > sold["date"].max())
    size = pl.col("store").str.slice(1).cast(pl.Float64)
    forecast = ahead.with_columns(predicted=size, lo_80=size - 1, hi_80=size + 1)
    rows = coming_days(sold, forecast, ["store"])
    assert rows.select("coming", "before", "change").row(0) == (7 * 4999.0, 70.0, pytest.approx(499.9 - 1))
    three = coming_days(sold, forecast.filter(pl.col("date") < pl.date(2020, 1, 18)), ["store"])
    assert three.select("coming", "before").row(0) == (3 * 4999.0, 30.0)
    table = coming_table(rows, ["store"], forecast["date"].min(), 7, "pieces")
    assert [row[0] for row in table.rows[:2]] == ["S4999", "S4998"]
    assert "The first 500 of 5,000 rows; the download forecast.csv has all." in table.text
    assert len(to_html(made(tables=(table,)), [])) < 300_000


@pytest.mark.parametrize(
    ("names", "said"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (list("abcde"), "a, b, c and 2 more")]
)
def test_names_are_listed_in_words(names, said):
    assert listed(names) == said


def test_a_unit_stands_behind_figures_and_names_and_nothing_where_there_is_none():
    assert (measured(1234.5, "EUR"), measured(None, "EUR"), measured(2.0)) == ("1,234 EUR", "\u2013", "2.000")
    assert (titled("Price", "EUR"), titled("Price")) == ("Price (EUR)", "Price")
