"""Forms that people's programs write: code pages, titles and totals, several sheets, times of Parquet, wide tables."""

import datetime as dt
import io
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import upload_bombs as bombs

from optiflow.errors import UserError
from optiflow.options import merge_options
from optiflow.pipelines import PIPELINES
from optiflow.proposals import ProposalError
from optiflow.upload.reading import Upload, read_upload

DAYS = [dt.date(2023, 1, 2) + dt.timedelta(n) for n in range(60)]
LANGUAGES = {
    "cp1250": ("data;sklep;sprzedaż", ["Łódź", "Gdańsk", "Kraków"]),
    "cp1251": ("дата;магазин;продажи", ["Москва", "Казань", "Тверь"]),
    "cp1252": ("Datum;Geschäft;Umsatz", ["Köln", "München", "Gießen"]),
    "shift_jis": ("日付;店舗;数量", ["渋谷店", "新宿店", "コーラ"]),
    "gb18030": ("日期;门店;销量", ["北京店", "上海店", "牛奶"]),
    "big5": ("日期;門店;銷量", ["台北店", "高雄店", "牛奶"]),
    "euc_kr": ("날짜;매장;판매량", ["서울점", "부산점", "우유"]),
    "cp1253": ("ημερομηνία;κατάστημα;πωλήσεις", ["Αθήνα", "Πάτρα", "Βόλος"]),
    "cp1254": ("tarih;mağaza;ürün", ["İzmir", "Üsküdar", "Çanakkale"]),
}


def read(folder: Path, data: bytes, name: str, pipeline: str | None = None, **options: Any) -> Upload:
    path = folder / "anything"
    path.write_bytes(data)
    return read_upload(path, name, merge_options(options), PIPELINES[pipeline] if pipeline else None)


def refusal(folder: Path, data: bytes, name: str, **options: Any) -> str:
    with pytest.raises(UserError) as caught:
        read(folder, data, name, **options)
    return str(caught.value)


def in_language(page: str) -> tuple[bytes, list[str], list[str]]:
    header, shops = LANGUAGES[page]
    lines = [header, *(f"{day};{shops[n % 3]};{n}" for n, day in enumerate(DAYS))]
    return "\n".join(lines).encode(page), header.split(";"), shops


@pytest.mark.parametrize("page", LANGUAGES)
def test_names_of_any_code_page_are_read_as_they_were_written(tmp_path: Path, page: str) -> None:
    data, header, shops = in_language(page)
    upload = read(tmp_path, data, "f.csv", target=header[2], date_column=header[0])
    assert upload.accepted.columns == ["row", *header]
    assert upload.accepted[header[1]].unique().sort().to_list() == sorted(shops)


def test_bytes_that_fit_several_code_pages_are_asked_about_with_each_reading(tmp_path: Path) -> None:
    data = ("d,y,t\n" + "".join(f"{day},{n},Logroño\n" for n, day in enumerate(DAYS))).encode("cp1252")
    said = refusal(tmp_path, data, "f.csv", target="y", date_column="d")
    assert "cp1252: '2023-01-02,0,Logroño'" in said
    assert "cp1250: '2023-01-02,0,Logrońo'" in said
    assert "f.csv.options.yaml:\n  encoding: cp1252" in said
    upload = read(tmp_path, data, "f.csv", target="y", date_column="d", encoding="cp1252")
    assert (upload.accepted["t"][0], upload.encoding) == ("Logroño", "cp1252")
    wrong = refusal(tmp_path, data, "f.csv", target="y", date_column="d", encoding="utf-8")
    assert "byte" in wrong
    assert "another encoding" in wrong


def test_utf8_with_one_broken_letter_is_not_taken_for_another_code_page(tmp_path: Path) -> None:
    data = ("d,y,t\n" + "".join(f"{day},{n},Größe {n}\n" for n, day in enumerate(DAYS))).encode()
    said = refusal(tmp_path, data.replace("Größe 7".encode(), b"Gr\xf6\xdfe 7"), "f.csv", target="y", date_column="d")
    assert "UTF-8, but not everywhere" in said
    assert "e 7" in said


def sheet(rows: list[list[object]]) -> str:
    return "".join(
        f'<row r="{r}">{"".join(bombs.cell(f"{chr(65 + c)}{r}", v) for c, v in enumerate(row) if v is not None)}</row>'
        for r, row in enumerate(rows, 1)
        if row
    )


def sales(year: int = 2023) -> list[list[object]]:
    days = [dt.date(year, 1, 2) + dt.timedelta(n) for n in range(60)]
    return [["date", "store", "item", "sales"], *([str(day), "A", "tea", n % 7] for n, day in enumerate(days))]


def test_titles_above_and_a_total_below_a_sheet_are_no_data(tmp_path: Path) -> None:
    rows = [["Sales of ACME"], ["made on", "2024-06-01"], [], *sales(), ["Grand total", None, None, 1234]]
    upload = read(tmp_path, bombs.workbook({"Sales": sheet(rows)}), "f.xlsx", "item_demand", horizon=5)
    assert (upload.rows_in, upload.accepted.height, upload.accepted["row"][0]) == (61, 60, 5)
    assert upload.rejected["row"].unique().to_list() == [65]
    assert "The column names are in row 4." in upload.notes
    cut = read(
        tmp_path, bombs.workbook({"S": sheet(rows)}), "f.xlsx", "item_demand", horizon=5, header_row=4, footer_rows=1
    )
    assert (cut.rows_in, cut.rejected.height) == (60, 0)


def test_titles_above_and_rows_below_a_text_file_are_no_data(tmp_path: Path) -> None:
    body = "\n".join(",".join(map(str, row)) for row in sales())
    data = f"Sales of ACME\nmade on 2024-06-01\n\n{body}\nGrand total,,,1234\nprinted by me\n".encode()
    found = read(tmp_path, data, "f.csv", "item_demand", horizon=5, footer_rows=2)
    assert (found.rows_in, found.accepted["row"][0], found.rejected.height) == (60, 5, 0)
    assert "The column names are in row 4; what is above was left out." in found.notes
    given = read(tmp_path, data, "f.csv", "item_demand", horizon=5, header_row=4, footer_rows=2)
    assert given.accepted.equals(found.accepted)


def test_sheets_of_the_same_columns_are_asked_about_and_read_one_below_the_other(tmp_path: Path) -> None:
    data = bombs.workbook({"2022": sheet(sales(2022)), "2023": sheet(sales(2023)), "Notes": sheet([["by", "me"]])})
    said = refusal(tmp_path, data, "f.xlsx", pipeline="item_demand")
    assert "the sheets '2022', '2023' have the same columns" in said
    assert "sheet:" in said
    one = read(tmp_path, data, "f.xlsx", "item_demand", sheet=2023, horizon=5)
    assert (one.rows_in, one.accepted["date"].min()) == (60, dt.date(2023, 1, 2))
    gap = dt.timedelta(306)
    both = read(tmp_path, data, "f.xlsx", None, sheet=["2022", "2023"], target="sales", date_column="date")
    assert (both.rows_in, both.accepted["row"].n_unique()) == (120, 120)
    assert both.accepted["date"].to_list()[60] - both.accepted["date"].to_list()[59] == gap
    assert "Row 1 of sheet '2023' is called row 62." in both.notes
    assert "the sheets are '2022', '2023', 'Notes'" in refusal(tmp_path, data, "f.xlsx", sheet="2024")


def test_sheets_that_are_proposed_are_read_also_where_their_columns_stand_in_another_order(tmp_path: Path) -> None:
    turned = [[row[1], row[3], row[0], row[2]] for row in sales(2023)]
    data = bombs.workbook({"table": sheet(sales(2022)), "Feb": sheet(turned)})
    with pytest.raises(ProposalError) as refused:
        read(tmp_path, data, "f.xlsx", "item_demand")
    assert refused.value.ways[0] == {"sheet": ["table", "Feb"]}
    found = read(tmp_path, data, "f.xlsx", None, **refused.value.ways[0], target="sales", date_column="date")
    assert found.rejected.is_empty()
    assert found.accepted.select("store", "item").unique().rows() == [("A", "tea")]
    assert found.accepted["sales"].to_list() == [n % 7 for n in range(60)] * 2
    other = bombs.workbook({"table": sheet(sales(2022)), "Feb": sheet([["date", "shop"], ["2023-01-01", "A"]])})
    assert "'Feb' has other columns than 'table'" in refusal(tmp_path, other, "f.xlsx", sheet=["table", "Feb"])


def test_a_cover_sheet_is_passed_over_and_said(tmp_path: Path) -> None:
    data = bombs.workbook({"Notes": sheet([["Sales of ACME"], ["Contact", "x@example.com"]]), "Data": sheet(sales())})
    upload = read(tmp_path, data, "f.xlsx", "item_demand", horizon=5)
    assert upload.rows_in == 60
    assert any("The sheet 'Data' was read" in note for note in upload.notes)


def test_dates_that_a_program_turned_round_are_told_and_turned_back(tmp_path: Path) -> None:
    rows: list[list[object]] = [["date", "store", "item", "sales"]]
    for n, day in enumerate(DAYS):
        # A program that expects month/day has made a date of it where it could, and left a text where not.
        written = f"2023-{day.day:02d}-{day.month:02d}" if day.day <= 12 else f"{day:%d/%m/%Y}"
        rows.append([written, "A", "tea", n % 7])
    data = bombs.workbook({"S": sheet(rows)})
    said = refusal(tmp_path, data, "f.xlsx", pipeline="item_demand")
    turned = sum(day.day <= 12 for day in DAYS)
    assert (
        f"{turned} cells are dates whose day is never over 12, the other {60 - turned} are texts such as '13/01/2023'"
        in said
    )
    assert "date_format:" in said
    upload = read(tmp_path, data, "f.xlsx", "item_demand", date_format="%d/%m/%Y", horizon=5)
    assert upload.accepted["date"].to_list() == DAYS


def parquet(**columns: pa.Array) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("zone", ["+05:30", "-09:30", "Asia/Kolkata", "UTC"])
def test_times_of_parquet_keep_the_day_of_their_zone(
    tmp_path: Path, zone: str, capfd: pytest.CaptureFixture[str]
) -> None:
    minutes = {"+05:30": 330, "-09:30": -570, "Asia/Kolkata": 330, "UTC": 0}[zone]
    noons = [
        int((dt.datetime.combine(day, dt.time(0, 30)) - dt.datetime.fromisoformat("1970-01-01")).total_seconds())
        - minutes * 60
        for day in DAYS
    ]
    data = parquet(
        d=pa.array(noons, pa.int64()).view(pa.timestamp("s")).cast(pa.timestamp("ms", tz=zone)), y=pa.array(range(60))
    )
    upload = read(tmp_path, data, "f.parquet", target="y", date_column="d")
    assert upload.accepted["d"].cast(pl.Date).to_list() == DAYS
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("kind", "value"),
    [(pa.timestamp("us"), -(2**63)), (pa.timestamp("ns"), -(2**63)), (pa.timestamp("ms"), 2**62), (pa.date32(), 2**31 - 1)],
)  # fmt: skip
def test_what_is_no_date_is_a_rejected_row_and_no_panic(
    tmp_path: Path, kind: pa.DataType, value: int, capfd: pytest.CaptureFixture[str]
) -> None:
    per_day = {"date32[day]": 1, "timestamp[us]": 86_400_000_000, "timestamp[ns]": 86_400_000_000_000}.get(
        str(kind), 86_400_000
    )
    counts = [value, *((19_000 + n) * per_day for n in range(59))]
    dates = pa.array(counts, pa.int32() if kind == pa.date32() else pa.int64()).view(kind)
    upload = read(tmp_path, parquet(d=dates, y=pa.array(range(60))), "f.parquet", target="y", date_column="d")
    assert upload.rejected.select("row", "column", "reason").rows() == [
        (2, "d", "is no date of the years 1000 to 9999")
    ]
    assert str(value) in upload.rejected["value"][0]
    assert (upload.rows_in, upload.accepted.height) == (60, 59)
    beside = read(
        tmp_path,
        parquet(d=dates.slice(1), x=dates.slice(0, 59), y=pa.array(range(59))),
        "f.parquet",
        target="y",
        date_column="d",
    )
    assert (beside.accepted.height, beside.rejected.height) == (59, 0)  # no model reads it: it costs no row
    assert (beside.accepted["x"].null_count(), beside.accepted["x"].cast(pl.String).null_count()) == (1, 1)
    assert any("'x'" in note and "read as empty" in note for note in beside.notes)
    assert capfd.readouterr().err == ""


def test_a_role_of_text_may_be_a_time_in_parquet(tmp_path: Path) -> None:
    weeks = [dt.date(2022, 1, 3) + dt.timedelta(7 * n) for n in range(60)]
    data = parquet(
        store=pa.array([dt.datetime.fromisoformat("2020-01-01")] * 60),
        date=pa.array(weeks),
        sales=pa.array(range(1, 61)),
    )
    upload = read(tmp_path, data, "f.parquet", "store_sales")
    assert (upload.accepted.height, upload.accepted.schema["store"]) == (60, pl.String)


@pytest.mark.parametrize("form", ["%Y-%m-%d %H", "%d/%m/%Y %I %p", "%Y-%m-%d %H:%M"])
def test_hours_with_and_without_minutes_are_read(tmp_path: Path, form: str) -> None:
    moments = [dt.datetime.fromisoformat("2023-01-02") + dt.timedelta(hours=n) for n in range(60)]
    data = "d,y\n" + "".join(f"{moment.strftime(form)},{n}\n" for n, moment in enumerate(moments))
    upload = read(tmp_path, data.encode(), "f.csv", target="y", date_column="d", date_format=form)
    assert upload.accepted["d"].to_list() == moments


@pytest.mark.parametrize("form", ["%H", "%Y-%m-%d %M", "%Y-%m-%d %S", "%Y-%m-%d %I"])
def test_a_format_that_can_read_nothing_is_refused_with_its_name(tmp_path: Path, form: str) -> None:
    data = "d,y\n" + "".join(f"{day},{n}\n" for n, day in enumerate(DAYS))
    assert f"date_format {form!r}" in refusal(
        tmp_path, data.encode(), "f.csv", target="y", date_column="d", date_format=form
    )


@pytest.mark.parametrize("sign", [b'"', b" ", b"x", b"\r", b"\xff"])
def test_a_separator_line_that_separates_nothing_is_refused(tmp_path: Path, sign: bytes) -> None:
    data = b"sep=" + sign + b"\nd,y\n" + b"".join(f"{day},{n}\n".encode() for n, day in enumerate(DAYS))
    with pytest.raises(UserError):
        read(tmp_path, data, "f.csv", target="y", date_column="d")


def test_a_wide_table_takes_no_longer_a_column_than_a_narrow_one(tmp_path: Path) -> None:
    def seconds_a_column(columns: int) -> float:
        header = ",".join(["d", "y", *(f"c{n}" for n in range(columns))])
        lines = [
            ",".join([str(day), str(r), *(f"t{(r + n) % 5}" if n % 2 else str((r * n) % 13) for n in range(columns))])
            for r, day in enumerate(DAYS)
        ]
        data = "\n".join([header, *lines]).encode()
        started = time.process_time()
        upload = read(tmp_path, data, "f.csv", target="y", date_column="d")
        assert upload.accepted.width == columns + 3
        return (time.process_time() - started) / columns

    seconds_a_column(10)  # what is imported at the first reading
    narrow = min(seconds_a_column(120) for _ in range(2))
    assert seconds_a_column(960) < 3 * narrow


BIG = 2**53 + 1
"""The first whole number that a float does not hold."""


@pytest.mark.parametrize(
    ("kind", "base", "dtype"),
    [
        (pa.decimal128(38, 0), BIG, pl.Int64),
        (pa.decimal128(38, 0), 10**30, pl.String),
        (pa.decimal256(60, 0), 10**50, pl.String),
        (pa.uint64(), BIG, pl.Int64),
        (pa.uint64(), 2**63, pl.String),
    ],
)
def test_two_ids_that_differ_in_their_last_digit_stay_two(
    tmp_path: Path, kind: pa.DataType, base: int, dtype: pl.DataType
) -> None:
    days = [dt.date(2024, 1, 1) + dt.timedelta(days=n) for n in range(60)]
    ids = pa.array([Decimal(base + n % 2) if pa.types.is_decimal(kind) else base + n % 2 for n in range(60)], kind)
    table = pa.table({"day": days, "customer": ids, "units": pa.array(range(60), pa.decimal128(10, 0))})
    pq.write_table(table, tmp_path / "a.parquet")
    options = merge_options({"target": "units", "date_column": "day"})
    upload = read_upload(tmp_path / "a.parquet", "a.parquet", options, PIPELINES["orders"])
    assert upload.accepted.schema["customer"] == dtype
    assert upload.accepted["customer"].cast(pl.String).unique().sort().to_list() == [str(base), str(base + 1)]
    assert upload.accepted["units"].to_list() == list(range(60))


def test_ids_of_an_api_stay_as_many_as_they_are() -> None:
    from resources.sources.fields import as_table

    rows = [{"id": 2**63 + n, "mixed": (BIG, 2**53, 1.5)[n], "plain": (1, 2.5, None)[n]} for n in range(3)]
    found = as_table(rows, {"id": "id", "mixed": "mixed", "plain": "plain"})
    assert found["id"].to_list() == [str(2**63 + n) for n in range(3)]
    assert found["mixed"].to_list() == [str(BIG), str(2**53), "1.5"]
    assert found["plain"].to_list() == [1.0, 2.5, None]


def test_parquet_whose_text_is_no_utf8_is_refused_in_words(tmp_path: Path) -> None:
    table = pl.DataFrame({"d": DAYS, "y": range(len(DAYS)), "t": [f"Straße {n}" for n in range(len(DAYS))]})
    table.write_parquet(tmp_path / "whole.parquet", compression="uncompressed", use_pyarrow=True)
    data = (tmp_path / "whole.parquet").read_bytes()
    damaged = data.replace("Straße 7".encode(), b"Stra\xff\xfee 7")
    assert damaged != data
    with pytest.raises(UserError, match="not a readable Parquet file"):
        read(tmp_path, damaged, "f.parquet", target="y", date_column="d")


def test_a_row_with_nothing_but_a_time_that_is_none_is_rejected_and_counted(tmp_path: Path) -> None:
    moments = pa.array([10**15 + n * 86_400_000_000 for n in range(60)] + [2**63 - 1], pa.timestamp("us"))
    table = pa.table({"d": moments, "y": [*range(60), None], "t": [*"ab" * 30, None]})
    pq.write_table(table, tmp_path / "made.parquet")
    upload = read(tmp_path, (tmp_path / "made.parquet").read_bytes(), "f.parquet", target="y", date_column="d")
    assert (upload.rows_in, upload.accepted.height, set(upload.rejected["row"])) == (61, 60, {62})
