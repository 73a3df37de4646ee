"""Tables as people's systems export them, with what is right about each: all values are invented."""

import datetime as dt
import json
import random
import shlex
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from project import Project, fresh_project

from optiflow.errors import UserError
from optiflow.options import merge_options
from optiflow.pipelines import PIPELINES
from optiflow.report.extras import Extras
from optiflow.report.model import RowCounts, RunFacts
from optiflow.upload.reading import Upload, read_upload

DAY = dt.date(2022, 1, 3)
SALES = [f"{900 + 37 * n % 400}.{n % 90 + 10}" for n in range(120)]


def table(header: str, rows: Sequence[Sequence[object]], delimiter: str = ",") -> str:
    cells = [[f'"{cell}"' if delimiter in str(cell) else str(cell) for cell in row] for row in rows]
    return "\n".join([header, *(delimiter.join(row) for row in cells)]) + "\n"


def read(folder: Path, text: str, pipeline: str, name: str = "export.csv", **options: Any) -> Upload:
    path, spec = folder / name, PIPELINES[pipeline]
    path.write_text(text)
    return read_upload(path, name, merge_options(spec.default_options, options), spec)


def refusal(folder: Path, text: str, pipeline: str, **options: Any) -> str:
    with pytest.raises(UserError) as error:
        read(folder, text, pipeline, **options)
    return str(error.value)


def proposed(message: str) -> list[dict[str, Any]]:
    """The options that a message says to write, each of its alternatives."""
    lines = takewhile(lambda line: line.startswith("  ") or line == "or", message.split(":\n", 1)[1].splitlines())
    return [yaml.safe_load(part) for part in "\n".join(lines).split("\nor\n")]


# Weeks, Excel's days, shops' dates


@pytest.mark.parametrize(
    ("form", "told"),
    [("%G-W%V", "2022-01-10"), ("%G%V", "2022-01-10"), ("week %-V %G", "2022-01-10"), ("KW %V/%G", "2022-01-10")],
)
def test_weeks_of_a_year_are_their_mondays_by_iso_8601(tmp_path: Path, form: str, told: str):
    weeks = [DAY + dt.timedelta(weeks=n) for n in range(60)]
    text = table("store,week,sales", [(s, w.strftime(form), 100 + n) for n, w in enumerate(weeks) for s in "ab"])
    upload = read(tmp_path, text, "store_sales")
    assert upload.accepted["date"].unique().sort().to_list() == weeks
    assert str(upload.accepted["date"].unique().sort()[1]) == told
    assert any("ISO 8601" in note for note in upload.notes)


def test_six_digits_that_may_be_weeks_or_months_are_refused_and_both_ways_out_work(tmp_path: Path):
    text = table("store,week,sales", [(s, f"2022{n:02}", 10 * n) for n in range(1, 13) for s in "abc"])
    message = refusal(tmp_path, text, "store_sales")
    assert "week and month cannot be told apart" in message
    formats = {way["date_format"] for way in proposed(message)}
    assert formats == {"%Y%m", "%G%V"}
    read(tmp_path, text, "store_sales", date_format="%G%V")


def test_weeks_named_by_their_first_day_are_learned_as_such(tmp_path: Path):
    def decided(first: dt.date, **options: Any) -> dict[str, str]:
        days = [first + dt.timedelta(weeks=n) for n in range(60)]
        rows = pl.DataFrame(
            {"row": range(60), "store": ["a"] * 60, "date": days, "sales": [1.0 + n for n in range(60)]}
        )
        return dict(PIPELINES["store_sales"].training(rows, merge_options(options)).decided)

    assert decided(DAY) == {"date_is": "week_start"}
    assert decided(DAY + dt.timedelta(days=4)) == {}
    assert decided(DAY, hyperparameters={"date_is": "week_end"}) == {}


def test_days_as_excel_counts_them_are_asked_for_and_read(tmp_path: Path):
    days = [DAY + dt.timedelta(days=n) for n in range(60)]
    excel = [(day - dt.date(1899, 12, 30)).days for day in days]
    text = table("date,store,item,sales", [(d, s, "x", d % 7) for d in excel for s in "ab"])
    message = refusal(tmp_path, text, "item_demand")
    (way,) = proposed(message)
    assert "Excel" in message
    upload = read(tmp_path, text, "item_demand", **way)
    assert upload.accepted["date"].unique().sort().to_list() == days


@pytest.mark.parametrize(
    "form",
    [
        "%b %-d, %Y %-I:%M:%S %p PST",
        "%b %-d, %Y, %-I:%M:%S %p",
        "%b-%d-%y",
        "%a, %d %b %Y %H:%M:%S +0200",
        "%a %b %d %Y %H:%M:%S GMT+0100 (CET)",
        "%Y-%m-%dT%H:%M:%S+05:30",
        "%A, %B %d, %Y",
    ],
)
def test_dates_of_shops_and_market_places_are_the_day_that_stands_there(tmp_path: Path, form: str):
    times = [dt.datetime.fromisoformat("2024-01-01T00:03:04") + dt.timedelta(days=n, hours=5 * n) for n in range(60)]
    text = table("when,quantity", [(t.strftime(form), n % 9) for n, t in enumerate(times)])
    upload = read(tmp_path, text, "orders", target="quantity")
    assert upload.accepted["when"].cast(pl.Date).to_list() == [time.date() for time in times]


def test_a_market_place_that_writes_a_preface_is_read_from_its_header_on(tmp_path: Path):
    times = [dt.datetime.fromisoformat("2024-01-01T00:03:04") + dt.timedelta(days=n) for n in range(60)]
    rows = [(t.strftime("%b %-d, %Y %-I:%M:%S %p PDT"), f"1,{200 + n}.50", n % 9) for n, t in enumerate(times)]
    preface = '"All amounts in USD, unless specified"\n"Definitions:"\n"Tax: what buyers paid"\n'
    upload = read(tmp_path, preface + table("date/time,product sales,quantity", rows), "orders", target="quantity")
    assert upload.accepted["row"][0] == 5
    assert upload.accepted["product sales"][0] == 1200.5
    assert upload.accepted["date/time"].cast(pl.Date).to_list() == [t.date() for t in times]


def test_a_till_writes_dollars_and_brackets_for_what_came_back(tmp_path: Path):
    cells = [f"(${n}.00)" if n % 9 == 0 else f"${n}.25" for n in range(1, 60)]
    rows = [((DAY + dt.timedelta(days=n)).strftime("%m/%d/%y"), cell) for n, cell in enumerate(cells)]
    upload = read(tmp_path, table("Date,Net Sales", rows), "orders", target="Net Sales")
    assert upload.accepted["Net Sales"][:9].to_list() == [1.25, 2.25, 3.25, 4.25, 5.25, 6.25, 7.25, 8.25, -9.0]


def test_old_line_ends_and_words_among_weights_cost_no_row(tmp_path: Path):
    rows = [
        (n, (DAY + dt.timedelta(days=n)).strftime("%-d-%b-%y"), n % 7, "Weighed Apart" if n % 3 else n)
        for n in range(60)
    ]
    text = table("ID\tDelivered\tQuantity\tWeight", rows, "\t").replace("\n", "\r")
    upload = read(tmp_path, text, "orders", "history.txt", target="Quantity")
    assert (upload.accepted.height, upload.rejected.height) == (60, 0)


def test_headers_within_files_that_were_put_together_are_rejected_rows(tmp_path: Path):
    days = [(DAY + dt.timedelta(days=n), "A", "tea", n % 7 + 1) for n in range(60)]
    months = [table("date,store,item,sales", days[n : n + 20]) for n in (0, 20, 40)]
    for joint in ("", "\ufeff"):
        upload = read(tmp_path, joint.join(months), "item_demand", horizon=7)
        assert upload.accepted["sales"].sum() == sum(row[3] for row in days)
        assert upload.rejected["row"].unique().to_list() == [22, 43]


# Numbers


def sold(
    cells: Sequence[object], header: str = "store,date,sales", form: str = "%Y-%m-%d", delimiter: str = ","
) -> str:
    weeks = [(DAY + dt.timedelta(weeks=n)).strftime(form) for n in range(len(cells))]
    return table(header.replace(",", delimiter), [("a", w, c) for w, c in zip(weeks, cells, strict=True)], delimiter)


PIECES = [f"{n},000" for n in range(12, 52)]
THOUSANDS = [f"1.{n}" for n in range(284, 324)]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        (sold(PIECES, delimiter=";"), 12.0),
        (sold(THOUSANDS, delimiter=";"), 1284.0),
        (sold(THOUSANDS, form="%d.%m.%Y"), 1284.0),
        (sold(PIECES, form="%d.%m.%Y", delimiter="\t"), 12.0),
        (sold([*PIECES[:-1], "512"]), 12_000.0),
        (sold([*PIECES[:-1], "1500"]), 12.0),
        (sold([*PIECES[:-1], "0,500"]), 12.0),
        (sold([*THOUSANDS[:-1], "980"]), 1284.0),
        (sold([*THOUSANDS[:-1], "0.984"]), 1.284),
        (sold([f"${cell}" for cell in PIECES]), 12_000.0),
        (sold([*PIECES[:-1], "5,000-"], delimiter=";").replace("5,000-", "51,000"), 12.0),
    ],
)
def test_what_a_sign_before_three_digits_means_is_settled_by_the_rest_of_the_file(
    tmp_path: Path, text: str, first: float
):
    assert read(tmp_path, text, "store_sales").accepted["sales"][0] == first


@pytest.mark.parametrize(("cells", "readings"), [(PIECES, (12_000.0, 12.0)), (THOUSANDS, (1284.0, 1.284))])
@pytest.mark.parametrize("pipeline", ["store_sales", "orders"])
def test_where_nothing_settles_it_both_readings_are_shown_and_both_options_work(
    tmp_path: Path, cells: list[str], readings: tuple[float, float], pipeline: str
):
    own = {"target": "sales", "date_column": "date"} if pipeline == "orders" else {}
    message = refusal(tmp_path, sold(cells), pipeline, **own)
    assert repr(cells[0]) in message
    read_as = [read(tmp_path, sold(cells), pipeline, **own, **way).accepted["sales"][0] for way in proposed(message)]
    assert tuple(read_as) == readings


def test_a_feature_that_could_be_either_is_read_and_told(tmp_path: Path):
    rows = [(DAY + dt.timedelta(days=n), 12 + n, f"{n + 1}.{n + 123}") for n in range(60)]
    upload = read(tmp_path, table("date,quantity,weight", rows), "orders", target="quantity")
    assert upload.accepted["weight"][0] == 1.123
    assert any("weight" in note and "`decimal`" in note for note in upload.notes)


def test_indian_groups_are_read(tmp_path: Path):
    cells = [f"₹ {n},07,588.49" for n in range(2, 42)]
    upload = read(tmp_path, sold(cells), "store_sales")
    assert upload.accepted["sales"][0] == 207_588.49
    assert upload.accepted["sales"][-1] == 4_107_588.49


# What stands for no date


def goods(unsold: object, sold_form: str = "%Y-%m-%d", rows: int = 240) -> str:
    drawn, lines = random.Random(4), []
    for n in range(rows):
        created = dt.date(2021, 1, 1) + dt.timedelta(days=n)
        gone = created + dt.timedelta(days=drawn.randint(1, 60))
        lines.append((created, gone.strftime(sold_form) if n % 4 else unsold, 5 + n % 90, f"kind {n % 3}"))
    return table("created,sold,price,category", lines)


@pytest.mark.parametrize("unsold", ["9999-12-31", "0000-00-00", "2099-01-01", "1900-01-01", "not sold", "unsold", ""])
def test_what_stands_for_not_sold_is_not_sold(tmp_path: Path, unsold: str):
    upload = read(tmp_path, goods(unsold), "turnover")
    assert (upload.accepted.height, upload.rejected.height) == (240, 0)
    assert upload.accepted["sold"].null_count() == 60
    assert [repr(unsold) in note and "60 rows" in note for note in upload.notes] == ([True] if unsold else [])


def test_a_date_far_ahead_that_parquet_holds_is_not_sold_either(tmp_path: Path):
    frame = pl.read_csv(goods("9999-12-31").encode(), try_parse_dates=True)
    frame.write_parquet(tmp_path / "goods.parquet")
    upload = read_upload(
        tmp_path / "goods.parquet",
        "goods.parquet",
        merge_options(PIPELINES["turnover"].default_options),
        PIPELINES["turnover"],
    )
    assert upload.accepted["sold"].null_count() == 60
    assert any("9999-12-31" in note for note in upload.notes)


def test_single_slips_in_the_date_of_sale_stay_faults(tmp_path: Path):
    text = goods("").replace("2021-02-", "2021-02-3", 1)
    upload = read(tmp_path, text, "turnover")
    assert upload.rejected["column"].to_list() == ["sold"] or upload.rejected["column"].to_list() == ["created"]


def test_faults_among_dates_of_sale_are_never_to_be_left_out(tmp_path: Path):
    """Two impossible dates as frequent as each other: which of them means unsold is asked, none is dropped."""
    text = goods("0000-00-00")
    parts = text.split("0000-00-00")
    text = parts[0] + "".join(("0000-00-00" if n % 2 else "99/99/9999") + part for n, part in enumerate(parts[1:]))
    message = refusal(tmp_path, text, "turnover")
    assert "raise" not in message
    assert "max_rejected_fraction" not in message.split("The first:")[1]
    (way,) = proposed(message)
    upload = read(tmp_path, text, "turnover", **way)
    assert (upload.accepted["sold"].null_count(), upload.rejected.height) == (60, 0)


def test_words_of_the_users_own_are_empty_cells_in_any_column(tmp_path: Path):
    rows = [
        (DAY + dt.timedelta(days=n), n % 9, "?" if n % 3 == 0 else "blue", -999 if n % 5 == 0 else n) for n in range(60)
    ]
    text = table("date,quantity,colour,stock", rows)
    upload = read(tmp_path, text, "orders", target="quantity", null_values=["?", "-999"])
    assert (upload.accepted["colour"].null_count(), upload.accepted["stock"].null_count()) == (20, 12)


def test_a_file_without_an_unsold_item_is_told(tmp_path: Path):
    spec = PIPELINES["turnover"]
    for text, told in ((goods("2021-12-01"), True), (goods(""), False)):
        upload = read(tmp_path, text, "turnover")
        assert bool(spec.remarks(upload.accepted, merge_options(spec.default_options))) is told


# What a message proposes works


def test_the_limit_is_proposed_as_high_as_it_must_be_and_works(tmp_path: Path):
    rows = [(DAY + dt.timedelta(days=n), 10 + n % 7, "x" * (n % 3 + 1)) for n in range(100)]
    text = table("date,quantity,kind", [*rows[:90], *(("", q, k) for _, q, k in rows[90:])])
    (way,) = proposed(refusal(tmp_path, text, "orders", target="quantity", date_column="date"))
    assert way["max_rejected_fraction"] == 0.1
    assert read(tmp_path, text, "orders", target="quantity", **way).rejected["row"].n_unique() == 10


def test_missing_numbers_to_predict_are_no_reason_to_raise_the_limit(tmp_path: Path):
    rows = [(DAY + dt.timedelta(days=n), "" if n > 80 else n % 7, n % 3) for n in range(100)]
    message = refusal(tmp_path, table("date,days,kind", rows), "orders", target="days")
    assert "raise" not in message
    assert "end the file before" in message


def test_copies_are_not_to_be_added_up_but_parts_are_and_it_works(tmp_path: Path):
    weeks = [(s, DAY + dt.timedelta(weeks=n), 100 + n, d) for n in range(30) for s in "ab" for d in ("tools", "garden")]
    text = table("store,date,sales,department", weeks)
    (way,) = proposed(refusal(tmp_path, text, "store_sales"))
    assert way == {"duplicates": "sum"}
    assert read(tmp_path, text, "store_sales", **way).accepted["sales"].sum() == sum(row[2] for row in weeks)
    copies = table("store,date,sales,department", [row for row in weeks if row[3] == "tools"] * 2)
    assert "Take the repeated rows out" in refusal(tmp_path, copies, "store_sales")


EMPLOYEES = table(
    "EmployeeHireDate,Status,OrderDate,OrderItemQuantity,PerUnitPrice,TotalItemQuantity,CustomerCreditLimit",
    [(f"{n % 27 + 1}-Jan-16", "Shipped", f"{n % 27 + 1}-Feb-17", n % 7, 9.5, 800 + n % 9, 100 * n) for n in range(60)],
)


def test_the_likeliest_columns_are_proposed_and_do(tmp_path: Path):
    (way,) = proposed(refusal(tmp_path, EMPLOYEES, "orders"))
    assert way == {"target": "OrderItemQuantity", "date_column": "OrderDate"}
    upload = read(tmp_path, EMPLOYEES, "orders", **way)
    assert (upload.target, upload.date_column, upload.accepted.height) == ("OrderItemQuantity", "OrderDate", 60)


def test_a_column_of_words_named_as_the_date_is_answered_with_the_column_that_holds_dates(tmp_path: Path):
    (way,) = proposed(refusal(tmp_path, EMPLOYEES, "orders", target="OrderItemQuantity", date_column="Status"))
    assert way == {"date_column": "OrderDate"}


@pytest.mark.parametrize("value", ["whenever", "first of May", "2014 7 1/2", "Q1 2020"])
def test_no_format_is_proposed_that_cannot_fit(tmp_path: Path, value: str):
    text = table("date,quantity", [(value, n) for n in range(40)])
    message = refusal(tmp_path, text, "orders", target="quantity", date_column="date")
    assert "%d/%m/%Y" not in message


# Columns that no model reads


def test_columns_that_no_model_reads_neither_refuse_a_file_nor_cost_a_row(tmp_path: Path):
    weather = ["mild", "1e300", "inf", "", "21.5"]
    rows = [
        (s, DAY + dt.timedelta(weeks=n), 100 + n, n % 9 == 0, weather[n % 5], "n/a" if n % 2 else "?")
        for n in range(40)
        for s in "ab"
    ]
    upload = read(tmp_path, table("Store,Date,Weekly_Sales,IsHoliday,Temperature,CPI", rows), "store_sales")
    assert (upload.accepted.height, upload.rejected.height) == (80, 0)
    assert upload.accepted["temperature"][2] == "1e300"


def test_a_word_among_identifiers_costs_no_order(tmp_path: Path):
    rows = [(DAY + dt.timedelta(days=n), "unknown" if n in (7, 40) else 1000 + n, n % 9) for n in range(100)]
    upload = read(tmp_path, table("date,Order ID,quantity", rows), "orders", target="quantity")
    assert (upload.accepted.height, upload.rejected.height) == (100, 0)


# Dates far from all others


@pytest.mark.parametrize(
    ("odd", "reason"), [("1930-05-01", "before 1980"), ("1985-05-01", "years from"), ("2025-03-01", "years from")]
)
def test_an_order_dated_years_away_is_rejected(tmp_path: Path, odd: str, reason: str):
    rows = [(dt.date(2018, 6, 1) + dt.timedelta(days=3 * n), n % 9) for n in range(300)]
    text = table("date,quantity", [*rows, (odd, 4)])
    upload = read(tmp_path, text, "orders", target="quantity")
    assert [(row, reason in why) for row, _, why, _ in upload.rejected.rows()] == [(302, True)]


def test_an_order_that_stands_apart_is_told_and_kept(tmp_path: Path):
    rows = [(dt.date(2018, 6, 1) + dt.timedelta(days=3 * n), n % 9) for n in range(300)]
    upload = read(tmp_path, table("date,quantity", [*rows, ("2022-03-01", 4)]), "orders", target="quantity")
    assert upload.rejected.is_empty()
    assert [note for note in upload.notes if "2022-03-01 in row 302" in note]
    assert read(tmp_path, table("date,quantity", rows), "orders", target="quantity").notes == ()


# Returns


def test_returns_are_netted_before_a_day_is_judged(tmp_path: Path):
    days = [DAY + dt.timedelta(days=n) for n in range(60)]
    lines = [(d, "1", "tea", q) for n, d in enumerate(days) for q in ((5, 3, -2) if n % 3 == 0 else (4,))]
    upload = read(tmp_path, table("date,store,item,sales", lines), "item_demand", duplicates="sum")
    assert upload.rejected.is_empty()
    assert upload.accepted["sales"].sum() == sum(line[3] for line in lines)
    back = [*lines, (days[5], "1", "tea", -9)]
    upload = read(tmp_path, table("date,store,item,sales", back), "item_demand", duplicates="sum")
    assert upload.rejected["value"].to_list() == ["4.0", "-9.0"]


# Leaks


def leaky(rows: int = 300) -> pl.DataFrame:
    drawn = random.Random(8)
    sold = [drawn.randint(1, 60) for _ in range(rows)]
    price = [round(drawn.uniform(2, 40), 2) for _ in range(rows)]
    return pl.DataFrame(
        {
            "date": [DAY + dt.timedelta(days=n // 2) for n in range(rows)],
            "units": sold,
            "expected": [round(s * drawn.uniform(0.75, 1.25), 1) for s in sold],
            "price": price,
            "takings": [round(s * p, 2) for s, p in zip(sold, price, strict=True)],
            "visitors": [drawn.randint(10, 90) for _ in range(rows)],
        }
    )


def test_columns_that_tell_the_target_are_named_and_the_others_are_not():
    from optiflow.pipelines.orders.leaks import leaks

    said, concerned = leaks(leaky(), ["expected", "price", "takings", "visitors"], "units")
    assert [phrase.split(" (")[0] for phrase in said] == ["expected alone", "takings ÷ price"]
    assert concerned == ["expected", "takings"]
    assert leaks(leaky(), ["price", "visitors"], "units") == ([], [])


def test_the_option_that_leaves_telling_columns_out_is_yaml_whatever_they_are_called():
    from optiflow.pipelines.orders.leaks import caution

    named = leaky().rename({"expected": "Net: value, EUR", "takings": "#2 [sum]"})
    said = caution(named, ["Net: value, EUR", "price", "#2 [sum]", "visitors"], "units")
    assert said is not None
    line = said.split("`")[1]
    assert yaml.safe_load(line) == {"drop_columns": ["Net: value, EUR", "#2 [sum]"]}


def test_a_word_of_caution_stands_in_the_verdict_also_far_below_an_exact_fit():
    from optiflow.report.build import build_report

    actual = pl.Series([float(n % 23) for n in range(200)])
    predictions = pl.DataFrame({"actual": actual, "predicted": actual + pl.Series([2.0, -2.0] * 100)})
    facts = RunFacts(
        pipeline="orders", dataset="d", version="v" * 12, target="units", options={}, created_at=dt.datetime.now(dt.UTC),
        rows=RowCounts(1000, 0, 800, 200), split_strategy="time", unseen_categories={},
    )  # fmt: skip
    made = build_report(
        facts,
        predictions,
        {"mean": pl.Series([11.0] * 200)},
        {},
        Extras(caution="But units can be told from expected alone."),
    )
    assert made.metrics["r2"] is not None
    assert made.metrics["r2"] < 0.95
    assert made.verdict.startswith("The model is better")
    assert made.verdict.endswith("But units can be told from expected alone.")
    assert "But units can be told from expected alone." in made.warnings


# At the command line


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with fresh_project(tmp_path_factory.mktemp("exports")) as project:
        yield project


def test_whoever_types_is_told_the_flags_and_they_work(project: Project, tmp_path: Path):
    (tmp_path / "employees.csv").write_text(EMPLOYEES)
    said = project.optiflow("upload", tmp_path / "employees.csv", "-p", "orders")
    assert said.code == 2
    flags = shlex.split(said.err.split("Add to the command:\n")[1])
    assert flags == ["--target", "OrderItemQuantity", "--date-column", "OrderDate"]
    assert project.optiflow("upload", tmp_path / "employees.csv", "-p", "orders", *flags).code == 0


def test_a_file_that_proposes_its_decimal_sign_is_taken_with_the_flag(project: Project, tmp_path: Path):
    (tmp_path / "pieces.csv").write_text(sold(PIECES))
    said = project.optiflow("upload", tmp_path / "pieces.csv", "-p", "store_sales")
    ways = [
        shlex.split(line) for line in said.err.split("Add to the command:\n")[1].splitlines() if line.strip() != "or"
    ]
    assert ways == [["--option", "decimal=."], ["--option", "decimal=,"]]
    assert [project.optiflow("upload", tmp_path / "pieces.csv", "-p", "store_sales", *way).code for way in ways] == [
        0,
        0,
    ]


@pytest.mark.parametrize(
    ("series", "words"), [("UNRATE", "snapshot ends before"), ("CPILFESL", "already have a column")]
)
def test_figures_that_would_fail_later_are_refused_at_the_door(
    project: Project, tmp_path: Path, series: str, words: str
):
    today = dt.datetime.now(dt.UTC).date()
    rows = [(today - dt.timedelta(days=n), n % 9, 3.5 + n) for n in range(40)]
    (tmp_path / "late.csv").write_text(table("date,quantity,CPILFESL", rows))
    said = project.optiflow("upload", tmp_path / "late.csv", "-p", "orders", "--target", "quantity", "--series", series)
    assert said.code == 2
    assert words in said.err


def test_the_caution_stands_wherever_the_verdict_stands(project: Project):
    project.drop(
        "leaky.csv", leaky().write_csv().encode(), {"target": "units", "hyperparameters": {"num_round": 30, "eta": 0.2}}
    )
    said = project.optiflow("run", "orders", "leaky")
    assert said.code == 0
    assert "units can be told from expected alone" in " ".join(said.out.split())
    report = json.loads(project.optiflow("report", "orders", "leaky", "--json").out)
    assert report["metrics"]["r2"] < 0.99
    assert "units can be told from expected alone" in report["verdict"]
