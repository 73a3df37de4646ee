"""Formats, encodings, delimiters, compression, headers and row numbers of uploads."""

import csv
import datetime as dt
import gzip
import io
import os
import zipfile
from pathlib import Path
from xml.sax.saxutils import escape

import polars as pl
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from optiflow.errors import UserError
from optiflow.options import DatasetOptions
from optiflow.upload.reading import Upload, read_upload

DATA = Path(os.environ.get("OPTIFLOW_SHARED_DATA", Path(__file__).parents[1] / "../shared/data"))
DAYS = [f"2018-05-{i % 28 + 1:02d}" for i in range(40)]
GOOD = "d,y,t\n" + "".join(f"{day},{i},a{i}\n" for i, day in enumerate(DAYS))


def read(folder: Path, data: bytes | str, name: str = "f.csv", **options: object) -> Upload:
    path = folder / "anything.bin"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return read_upload(path, name, DatasetOptions.model_validate({"target": "y", "date_column": "d"} | options))


def refusal(folder: Path, data: bytes | str, name: str = "f.csv", **options: object) -> str:
    with pytest.raises(UserError) as error:
        read(folder, data, name, **options)
    return str(error.value)


def same_as_good(upload: Upload) -> bool:
    return (
        upload.accepted["d"].cast(pl.String).to_list() == DAYS
        and upload.accepted["y"].to_list() == list(range(40))
        and upload.accepted["t"].to_list() == [f"a{i}" for i in range(40)]
        and upload.accepted["row"].to_list() == list(range(2, 42))
        and upload.rows_in == 40
        and upload.rejected.height == 0
    )


def parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def workbook(*sheets: list[list[object]]) -> bytes:
    """A minimal .xlsx; dates become day serials with Excel's date style, an empty list a blank row."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"

    def cell(reference: str, value: object) -> str:
        if value is None:
            return ""
        if isinstance(value, dt.date):
            return f'<c r="{reference}" s="1"><v>{(value - dt.date(1899, 12, 30)).days}</v></c>'
        if isinstance(value, (int, float)):
            return f'<c r="{reference}"><v>{value!r}</v></c>'
        return f'<c r="{reference}" t="inlineStr"><is><t>{escape(str(value))}</t></is></c>'

    def sheet(rows: list[list[object]]) -> str:
        lines = (
            f'<row r="{r}">{"".join(cell(f"{chr(65 + c)}{r}", value) for c, value in enumerate(row))}</row>'
            for r, row in enumerate(rows, 1)
            if row
        )
        return f'<worksheet xmlns="{main}"><sheetData>{"".join(lines)}</sheetData></worksheet>'

    numbers = range(1, len(sheets) + 1)
    names = "".join(f'<sheet name="S{n}" sheetId="{n}" r:id="rId{n}"/>' for n in numbers)
    links = "".join(
        f'<Relationship Id="rId{n}" Type="{office}/worksheet" Target="worksheets/sheet{n}.xml"/>' for n in numbers
    )
    links += f'<Relationship Id="rId99" Type="{office}/styles" Target="styles.xml"/>'
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Default Extension="xml" ContentType="application/xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="rId1" Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>{names}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">{links}</Relationships>',
        "xl/styles.xml": f'<styleSheet xmlns="{main}"><cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>',
    } | {f"xl/worksheets/sheet{n}.xml": sheet(rows) for n, rows in enumerate(sheets, 1)}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return buffer.getvalue()


SHEET: list[list[object]] = [["d", "y", "t"], *([dt.date.fromisoformat(day), i, f"a{i}"] for i, day in enumerate(DAYS))]
ZSTD = zstandard.ZstdCompressor(write_checksum=True)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("f.csv", GOOD.encode()),
        ("f.csv", GOOD.encode("utf-8-sig")),
        ("f.csv", GOOD.encode("utf-16")),
        ("f.csv", GOOD.replace("\n", "\r\n").encode()),
        ("f.csv", GOOD.replace("\n", "\r").encode()),
        ("f.csv", GOOD.rstrip().encode()),
        ("f.csv", GOOD.replace(",", " , ").encode()),
        ("f.csv", GOOD.replace("\n", ",\n").encode()),
        ("f.csv", GOOD.replace("\n", ",\n").replace("d,y,t,", "d,y,t").encode()),
        ("f.csv", (GOOD + "\n\r\n,,\n").encode()),
        ("f.csv", GOOD.replace(",", ";").encode()),
        ("f.tsv", GOOD.replace(",", "\t").encode()),
        ("f.txt", GOOD.replace(",", "|").encode()),
        ("f.CSV.GZ", gzip.compress(GOOD.encode(), mtime=0)),
        ("f.csv.zst", ZSTD.compress(GOOD[:300].encode()) + ZSTD.compress(GOOD[300:].encode())),
        ("f.parquet", parquet(pl.read_csv(GOOD.encode(), try_parse_dates=True))),
        ("f.parquet", parquet(pl.read_csv(GOOD.encode()).with_columns(pl.col("t").cast(pl.Categorical), y=pl.col("y").cast(pl.UInt8)))),
        ("f.parquet.gz", gzip.compress(parquet(pl.read_csv(GOOD.encode())), mtime=0)),
        ("f.xlsx", workbook(SHEET)),
        ("f.xlsx", workbook([["only a title"]], [], SHEET)),
    ],
)  # fmt: skip
def test_the_same_table_is_read_from_every_format(tmp_path: Path, name: str, data: bytes):
    assert same_as_good(read(tmp_path, data, name))


def test_an_excel_separator_line_counts_as_a_row(tmp_path: Path):
    upload = read(tmp_path, "sep=;\n" + GOOD.replace(",", ";"))
    assert upload.delimiter == ";"
    assert upload.accepted["row"].to_list() == list(range(3, 43))


@pytest.mark.parametrize(
    ("encoded", "encoding"),
    [
        ("Müller €".encode(), "utf-8"),
        ("Müller €".encode("cp1252"), "cp1252"),
        ("Müller \x81".encode("latin-1"), "latin-1"),
    ],
)
def test_letters_survive_the_encodings_that_are_guessed(tmp_path: Path, encoded: bytes, encoding: str):
    upload = read(tmp_path, GOOD.encode().replace(b",a7\n", b"," + encoded + b"\n"))
    assert (upload.accepted["t"][7], upload.encoding) == (encoded.decode(encoding), encoding)


def test_delimiters_and_line_ends_inside_of_quotes_belong_to_the_cell(tmp_path: Path):
    upload = read(tmp_path, GOOD.replace(",a7\n", ',"a; ""b"", c;\n;d"\n').replace(",a9\n", ",\n"))
    assert upload.accepted["t"][7] == 'a; "b", c;\n;d'
    assert upload.accepted["t"][9] is None
    assert (upload.rejected.height, upload.accepted["row"][-1]) == (0, 41)


def test_a_quote_within_a_cell_is_text(tmp_path: Path):
    assert read(tmp_path, GOOD.replace(",a7\n", ',a 7" pipe\n')).accepted["t"][7] == 'a 7" pipe'


def test_blank_rows_count_for_row_numbers_but_not_as_rows(tmp_path: Path):
    upload = read(tmp_path, "\n\n" + GOOD.replace("2018-05-03,2,a2\n", "\n2018-05-03,x,a2\n,,\n"))
    assert upload.rejected.rows() == [(7, "y", "is not a number", "x")]
    assert (upload.rows_in, upload.accepted.height, upload.accepted["row"][-1]) == (40, 39, 45)


def test_rows_with_too_few_or_too_many_fields_are_rejected_with_their_text(tmp_path: Path):
    data = GOOD.replace("03,2,a2\n", "03,2\n").replace("05,4,a4\n", '05,4,a4,"q,r"\n')
    upload = read(tmp_path, data, max_rejected_fraction=0.1)
    assert upload.rejected.rows()[0] == (4, None, "has 2 fields, the header has 3", "2018-05-03,2")
    assert upload.rejected.rows()[1][:3] == (6, None, "has 4 fields, the header has 3")
    assert (upload.rows_in, upload.accepted.height) == (40, 38)
    assert upload.accepted["row"].to_list() == [row for row in range(2, 42) if row not in (4, 6)]


def test_a_short_row_is_found_although_the_last_column_is_often_empty(tmp_path: Path):
    data = "d,y,t\n" + "".join(
        f"{day},{i},{'' if i % 2 else chr(34) + 'x,y' + chr(34)}\n" for i, day in enumerate(DAYS)
    )
    assert read(tmp_path, data).rejected.height == 0
    assert read(tmp_path, data.replace("02,1,\n", "02,1\n")).rejected["row"].to_list() == [3]


def test_words_for_nothing_are_null_in_text(tmp_path: Path):
    words = ["NA", "N/A", "null", "None", "nan", "-", "", "  ", "n", "Nancy"]
    data = "d,y,t\n" + "".join(f"{day},{i},{words[i % 10]}\n" for i, day in enumerate(DAYS))
    assert read(tmp_path, data).accepted["t"].head(10).to_list() == [None] * 8 + ["n", "Nancy"]


def test_excel_numbers_keep_every_digit_and_rows_their_number(tmp_path: Path):
    rows: list[list[object]] = [list(row) for row in SHEET]
    rows[1][1] = 0.1 + 0.2
    rows[3] = []
    rows[5][1] = None
    upload = read(tmp_path, workbook([[], *rows]), "f.xlsx")
    assert upload.accepted["y"][0] == 0.1 + 0.2
    assert upload.rejected.rows() == [(7, "y", "is empty", None)]
    assert (upload.rows_in, upload.accepted["row"][0], upload.accepted["row"][-1]) == (39, 3, 42)


def test_nested_parquet_columns_are_refused_unless_dropped(tmp_path: Path):
    data = parquet(pl.read_csv(GOOD.encode()).with_columns(l=pl.concat_list("y")))
    message = refusal(tmp_path, data, "f.parquet")
    assert "'l'" in message
    assert "drop_columns" in message
    assert read(tmp_path, data, "f.parquet", drop_columns=("l",)).accepted.columns == ["row", "d", "y", "t"]


PARQUET = parquet(pl.read_csv(GOOD.encode()))


@pytest.mark.parametrize(
    ("data", "name", "parts"),
    [
        (b"", "f.csv", ["f.csv", "empty (0 bytes)"]),
        (b"\xef\xbb\xbf \r\n\n", "f.csv", ["empty"]),
        (gzip.compress(b"", mtime=0), "f.csv.gz", ["f.csv.gz", "empty"]),
        (b"d,y,t\n", "f.csv", ["header but no data row"]),
        (b"d,y,t\n,,\n", "f.csv", ["header but no data row"]),
        (b"abc\n1\n2\n", "f.csv", ["only one column", "'abc'"]),
        (GOOD.replace("d,y,t", "d, t ,y,t ,y").encode(), "f.csv", ["row 1", "duplicate column names 't', 'y'"]),
        (GOOD.replace("d,y,t", "d,,y").encode(), "f.csv", ["row 1", "column 2 has no name"]),
        (GOOD.replace("d,y,t", "d,y,").encode(), "f.csv", ["last column has no name", "'a0'"]),
        (GOOD.replace("d,y,t", ",,").encode(), "f.csv", ["column names are missing", "'2018-05-01'"]),
        (GOOD.split("\n", 1)[1].encode(), "f.csv", ["column names are missing", "'2018-05-01'"]),
        (GOOD.replace("d,y,t", "d,y,^t$").encode(), "f.csv", ["'^t$' cannot be a column name"]),
        (GOOD.replace("d,y,t", "d,y,row").encode(), "f.csv", ["named 'row'", "Rename it"]),
        (GOOD.replace("d,y,t", "d;y;t").encode(), "f.csv", ["mixed delimiters", "';' in the header", "',' in lines 2, 3, 4 and 37 more"]),
        (GOOD.replace("03,2,a2", "03;2;a2").replace("2018-05-05,4,a4", "2018-05-05\t4\ta4").encode(), "f.csv", ["mixed delimiters", "';' in line 4", "tab in line 6"]),
        (GOOD.replace(",a7", ',"a7').encode(), "f.csv", ["row 9", "quote is opened and never closed", "'a7 "]),
        (('d,"y,t\n' + "1,2,3\n" * 99).encode(), "f.csv", ["row 1", "quote is opened and never closed"]),
        (b"d,y\n1,\x00\x00\n", "f.csv", ["not text"]),
        (PARQUET, "f.csv", ["Parquet", "suffix"]),
        (workbook(SHEET), "f.csv", ["Excel", "suffix"]),
        (gzip.compress(GOOD.encode(), mtime=0), "f.csv", ["gzip", "suffix"]),
        (gzip.compress(GOOD.encode(), mtime=0)[:-30], "f.csv.gz", ["f.csv.gz", "cut off"]),
        (gzip.compress(GOOD.encode(), mtime=0)[:40] + b"zzzz", "f.csv.gz", ["corrupt"]),
        (GOOD.encode(), "f.csv.gz", ["not gzip-compressed", ".gz"]),
        (ZSTD.compress(GOOD.encode())[:-9], "f.csv.zst", ["cut off"]),
        (ZSTD.compress(GOOD.encode())[:-4] + b"0000", "f.csv.zst", ["corrupt"]),
        (GOOD.encode(), "f.csv.zst", ["not zstd-compressed", ".zst"]),
        (PARQUET[:-9], "f.parquet", ["not a readable Parquet file"]),
        (b"junk", "f.parquet", ["not a readable Parquet file"]),
        (parquet(pl.read_csv(GOOD.encode()).clear()), "f.parquet", ["no data row"]),
        (workbook(SHEET)[:500], "f.xlsx", ["not a readable Excel workbook"]),
        (b"\xd0\xcf\x11\xe0junk", "f.xls", ["not a readable Excel workbook"]),
        (workbook([]), "f.xlsx", ["no sheet"]),
        (workbook(SHEET[:1]), "f.xlsx", ["no data row"]),
        (GOOD.encode(), "f.json", ["not a table that OptiFlow reads"]),
    ],
)  # fmt: skip
def test_unreadable_files_are_refused_by_name_and_cause(tmp_path: Path, data: bytes, name: str, parts: list[str]):
    message = refusal(tmp_path, data, name)
    assert name in message
    for part in parts:
        assert part in message


TEXT = st.text(st.sampled_from("abcXYZäß ,;|\t\"'\n."), max_size=6).map(lambda s: f"x{s}x")


@settings(max_examples=60, deadline=None)
@given(
    cells=st.lists(st.tuples(TEXT, TEXT), min_size=20, max_size=30),
    delimiter=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    line_end=st.sampled_from(["\n", "\r\n"]),
    suffix=st.sampled_from([".csv", ".csv.gz", ".csv.zst"]),
)
def test_a_written_table_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    cells: list[tuple[str, str]],
    delimiter: str,
    encoding: str,
    line_end: str,
    suffix: str,
):
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=line_end)
    writer.writerow(["first", "d", "y", "last"])
    writer.writerows([one, day, i, two] for i, ((one, two), day) in enumerate(zip(cells, DAYS, strict=False)))
    data = text.getvalue().encode(encoding)
    packed = {".csv": data, ".csv.gz": gzip.compress(data, mtime=0), ".csv.zst": ZSTD.compress(data)}[suffix]
    upload = read(tmp_path_factory.getbasetemp(), packed, "f" + suffix)
    assert upload.delimiter == delimiter
    assert upload.accepted.select("first", "last").rows() == cells
    assert upload.accepted["y"].to_list() == list(range(len(cells)))
    assert upload.accepted["row"].to_list() == list(range(2, len(cells) + 2))


def test_the_orders_file_is_read_whole():
    path = DATA / "orders/US_Regional_Sales_Data.csv"
    if not path.is_file():
        pytest.skip(f"{path} is not here; set OPTIFLOW_SHARED_DATA")
    upload = read_upload(path, path.name, DatasetOptions(target="Order Quantity", date_column="OrderDate"))
    assert (upload.rows_in, upload.accepted.height, upload.rejected.height) == (7991, 7991, 0)
    assert (upload.accepted["OrderDate"].min(), upload.accepted["OrderDate"].max()) == (
        dt.date(2018, 5, 31),
        dt.date(2020, 12, 30),
    )
    assert upload.date_formats == dict.fromkeys(["OrderDate", "ProcuredDate", "ShipDate", "DeliveryDate"], "%d/%m/%y")
    assert upload.accepted["Unit Price"][0] == 1963.10
    assert upload.accepted["Unit Cost"][0] == 1001.18
    assert upload.encoding == "utf-8-sig"


def test_the_weekly_sales_file_is_read_whole():
    path = DATA / "walmart/Walmart_Sales.csv"
    if not path.is_file():
        pytest.skip(f"{path} is not here; set OPTIFLOW_SHARED_DATA")
    upload = read_upload(path, path.name, DatasetOptions(target="Weekly_Sales"))
    assert (upload.rows_in, upload.accepted.height, upload.date_column) == (6435, 6435, "Date")
    assert upload.date_formats == {"Date": "%d-%m-%Y"}
    assert upload.accepted["Date"].min() == dt.date(2010, 2, 5)
    assert upload.accepted["Fuel_Price"].dtype == pl.Float64


def test_parquet_types_are_put_into_their_widest_form(tmp_path: Path):
    noon = dt.datetime.fromisoformat("2018-01-01T12:00:00+01:00")
    frame = pl.read_csv(GOOD.encode()).with_columns(
        time=pl.lit(dt.time(10, 30)),
        length=pl.lit(dt.timedelta(seconds=1.5)),
        price=pl.lit("1.50").cast(pl.Decimal(10, 2)),
        count=pl.lit(7, pl.Int8),
        ratio=pl.lit(float("nan"), pl.Float32),
        moment=pl.lit(noon).dt.cast_time_unit("ns"),
        nothing=pl.lit(None),
    )
    upload = read(tmp_path, parquet(frame), "f.parquet")
    first = upload.accepted.select("length", "price", "count", "ratio", "moment", "nothing").row(0)
    assert first == (1.5, 1.5, 7, None, dt.datetime.fromisoformat("2018-01-01T11:00"), None)
    assert upload.accepted.schema["count"] == pl.Int64
    assert upload.accepted.schema["moment"] == pl.Datetime("us")


def test_times_of_any_zone_keep_the_day_and_hour_of_its_clocks(tmp_path: Path):
    shop = pl.Series(["2018-06-01 00:30", "2018-12-01 23:30"] * 20).str.to_datetime("%F %R")
    frame = pl.read_csv(GOOD.encode()).with_columns(
        berlin=shop.dt.replace_time_zone("Europe/Berlin"), denver=shop.dt.replace_time_zone("America/Denver")
    )
    upload = read(tmp_path, parquet(frame), "f.parquet")
    told = upload.accepted.select(pl.col("berlin", "denver").dt.to_string("%F %R")).head(2).rows()
    assert told == [("2018-06-01 00:30", "2018-06-01 00:30"), ("2018-12-01 23:30", "2018-12-01 23:30")]
