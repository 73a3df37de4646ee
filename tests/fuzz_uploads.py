"""Files as nobody should make them, by the thousand and by a seed, and what reading each comes to.

`python fuzz_uploads.py SEED FIRST COUNT` reads that many in this process and prints one JSON line a file: its number, its
kind, its outcome, how long it took. How many rows a file has is known from making it, not from the reader. What it is to
survive: `accepted` and `refused`; every other outcome is a fault.
"""

import csv
import datetime as dt
import gzip
import io
import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import upload_bombs as bombs
import zstandard

from optiflow.errors import UserError
from optiflow.options import merge_options, parse_options_file
from optiflow.pipelines import PIPELINES
from optiflow.upload.reading import read_upload

LONGEST_MESSAGE = 4_000
Rows = list[list[Any]]
TARGETS = {"orders": {"target": "quantity", "date_column": "order_date"}}


@dataclass
class Made:
    """A file: its name, its bytes, its options file, and how many rows it has (None where that is open to judgement)."""

    name: str
    data: bytes
    options: str = ""
    rows: int | None = None
    kind: str = ""
    pipeline: str = "orders"
    changes: list[str] = field(default_factory=list)


def base(pipeline: str, draw: random.Random) -> Rows:
    """A small sound table of a pipeline, the header first."""
    day = dt.date(2022, 1, 3)
    if pipeline == "orders":
        header = ["order_date", "product", "quantity", "unit_price"]
        return [
            header,
            *(
                [str(day + dt.timedelta(n)), draw.choice("ABC"), draw.randint(1, 50), round(draw.uniform(1, 9), 2)]
                for n in range(60)
            ),
        ]
    if pipeline == "store_sales":
        weeks = [day + dt.timedelta(7 * n) for n in range(60)]
        return [
            ["store", "date", "sales"],
            *([store, str(week), draw.randint(100, 999)] for store in "AB" for week in weeks),
        ]
    if pipeline == "item_demand":
        days = [day + dt.timedelta(n) for n in range(100)]
        return [
            ["date", "store", "item", "sales"],
            *([str(d), 1, item, draw.randint(0, 30)] for item in (1, 2) for d in days),
        ]
    if pipeline == "turnover":
        header = ["item_id", "item_created_date", "item_sold_date", "price", "description", "category", "brand"]
        rows: Rows = []
        for n in range(120):
            made = day + dt.timedelta(draw.randint(0, 200))
            sold = made + dt.timedelta(draw.randint(1, 80))
            rows.append(
                [
                    n,
                    str(made),
                    str(sold) if draw.random() < 0.7 else "",
                    draw.randint(5, 90),
                    "a coat",
                    draw.choice("xy"),
                    draw.choice("pq"),
                ]
            )
        return [header, *rows]
    header = [
        "transaction_id",
        "item_id",
        "warehouse_id",
        "transaction_type",
        "quantity",
        "unit_price",
        "total_amount",
        "item_category",
        "created_at",
    ]
    rows = []
    for n in range(150):
        count, price = draw.randint(1, 20), draw.randint(1, 30)
        rows.append(
            [
                f"T{n}",
                f"I{n % 7}",
                "W1",
                draw.choice(["in", "out"]),
                count,
                price,
                count * price,
                "c",
                f"{day + dt.timedelta(n % 90)} 10:{n % 60:02d}:00",
            ]
        )
    return [header, *rows]


ODD_CELLS = (
    *("", " ", "NA", "-", "null", "0", "-1", "1e308", "1e-320", "-inf", "nan", "∞", "٣", "1,234", "1.234,5", "12,000", "(5)", "5-", "₹ 2,07,588"),
    *("2022-13-45", "0000-00-00", "9999-12-31", "10000-01-01", "31/12/22", "2022-W05", "202205", "44562", "1735711440000", "2022-01-01T00:00+05:30"),
    *("Jan 1, 2024 12:03:04 AM PST", "0001-01-01", "2022-02-30", "24:00", "true", "False", "=1+1", "#REF!", "x" * 3_000, "\u202e\u200b", "é́", "🛒", "\ufffd"),
    *("99999999999999999999999", "0x1F", "1_000", "TRUE", "None", "\x0b", "\x1f", "a\x7fb", "00012", "C536379", "2022-01-03 25:61", "1.7976931348623157e309"),
)  # fmt: skip
ODD_NAMES = (
    "",
    " ",
    "row",
    "*",
    "^a$",
    "date",
    "sales",
    "Date",
    "x" * 2_000,
    "🛒",
    "a,b",
    'q"q',
    "a\nb",
    "predicted",
    "Voucher #",
    "No",
    "__index__",
    "1",
    "ds",
    "y",
)


def spoil(rows: Rows, draw: random.Random, made: Made) -> None:
    """Changes to cells, rows and names, some of them none."""
    if len(rows) < 3:
        return
    for _ in range(draw.choice([0, 0, 1, 1, 2, 3])):
        change = draw.choice(
            [
                "cell",
                "cell",
                "cells",
                "column",
                "name",
                "short",
                "long",
                "twice",
                "drop",
                "shuffle",
                "wide",
                "few",
                "total",
                "blank",
            ]
        )
        made.changes.append(change)
        if change == "cell":
            row = draw.choice(rows[1:])
            if row:
                row[draw.randrange(len(row))] = draw.choice(ODD_CELLS)
        elif change == "cells":
            for row in draw.sample(rows[1:], k=min(len(rows) - 1, draw.randint(2, 30))):
                if row:
                    row[draw.randrange(len(row))] = draw.choice(ODD_CELLS)
        elif change == "column":
            at, value = draw.randrange(len(rows[0])), draw.choice(ODD_CELLS)
            for row in rows[1:]:
                if at < len(row):
                    row[at] = value
        elif change == "name":
            rows[0][draw.randrange(len(rows[0]))] = draw.choice(ODD_NAMES)
        elif change in ("short", "long"):
            row = draw.choice(rows[1:])
            row[:] = row[:-1] if change == "short" else [*row, "more"]
        elif change == "twice":
            rows.append(list(draw.choice(rows[1:])))
        elif change == "drop":
            at = draw.randrange(len(rows[0]))
            for row in rows:
                del row[at : at + 1]
        elif change == "shuffle":
            body = rows[1:]
            draw.shuffle(body)
            rows[1:] = body
        elif change == "wide":
            more = draw.randint(1, 40)
            rows[0] += [f"extra {n}" for n in range(more)]
            for row in rows[1:]:
                row += [draw.choice(ODD_CELLS) for _ in range(more)]
        elif change == "few":
            del rows[draw.randint(1, 25) :]
            if len(rows) < 3:
                return
        elif change == "total":
            rows.append(["Grand total", *([""] * (len(rows[0]) - 2)), 12345][: len(rows[0])])
        elif change == "blank":
            rows.insert(draw.randrange(1, len(rows)), [""] * len(rows[0]))


def filled(rows: Rows) -> int:
    """How many rows below the header have a cell that is not blank and no word for nothing."""
    from optiflow.upload.table import NULL_WORDS

    return sum(any(str(cell).strip() not in NULL_WORDS for cell in row) for row in rows[1:])


def as_text(rows: Rows, draw: random.Random, made: Made) -> None:
    """Delimited text under any delimiter, quoting, line end, code page and compression."""
    quoting = draw.choice([csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    text = io.StringIO(newline="")
    writer = csv.writer(
        text, delimiter=draw.choice(",,,;\t|"), lineterminator=draw.choice(["\n", "\r\n"]), quoting=quoting
    )
    writer.writerows(rows)
    written = text.getvalue()
    encoding = draw.choice(
        ["utf-8"] * 5 + ["utf-8-sig", "utf-16", "cp1252", "cp1251", "gb18030", "shift_jis", "utf-16-le"]
    )
    data = written.encode(encoding, errors="replace")
    harm = draw.choice([None] * 16 + ["flip", "cut", "zero", "quote", "title", "sep", "mac", "junk"])
    # A cell that is text under one code page may be a word for nothing, or a sign, under another.
    even = all(len(row) == len(rows[0]) for row in rows) and not any(
        str(c).strip() in ODD_CELLS[-12:] for row in rows for c in row
    )
    made.rows = filled(rows) if harm is None and encoding in ("utf-8", "utf-8-sig", "utf-16") and even else None
    if harm == "flip":
        spot = draw.randrange(len(data))
        data = data[:spot] + bytes([draw.randrange(256)]) + data[spot + 1 :]
    elif harm == "cut":
        data = data[: draw.randrange(len(data))]
    elif harm == "zero":
        spot = draw.randrange(len(data))
        data = data[:spot] + b"\x00" * draw.randint(1, 9) + data[spot:]
    elif harm == "quote":
        spot = draw.randrange(len(data))
        data = data[:spot] + b'"' + data[spot:]
    elif harm == "title":
        data = b"Sales of ACME\r\nmade on 2024-06-01\r\n\r\n" + data
    elif harm == "sep":
        data = b"sep=" + draw.choice([b",", b";", b'"', b"x", b"\t", b"\r", b" "]) + b"\n" + data
    elif harm == "mac":
        data = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r")
    elif harm == "junk":
        data = draw.randbytes(draw.randint(1, 3_000))
    made.changes += [encoding, str(harm)]
    made.name, made.data = f"f.{draw.choice(['csv', 'csv', 'tsv', 'txt'])}", data


def as_parquet(rows: Rows, draw: random.Random, made: Made) -> None:
    """Parquet of any type a column can have, whole or harmed."""
    width = len(rows[0])
    body = [[*row, *([None] * width)][:width] for row in rows[1:]]
    names = [str(name) for name in rows[0]]
    arrays = [pa.array([None if row[at] is None else str(row[at]) for row in body], pa.string()) for at in range(width)]
    for at in range(width):
        turn = draw.choice(["text"] * 8 + ["number", "number", "times", "dict", "odd"])
        made.changes.append(turn)
        if turn == "number":
            arrays[at] = pa.array([_number(row[at]) for row in body], pa.float64())
        elif turn == "dict":
            arrays[at] = arrays[at].dictionary_encode()
        elif turn == "times":
            kind = draw.choice(
                [
                    pa.timestamp(u, tz=z)
                    for u in ("ms", "us", "ns")
                    for z in (None, "UTC", "+05:30", "-09:30", "Europe/Berlin", "Mars/Olympus", "GMT+3")
                ]
                + [pa.date32(), pa.date64(), pa.time32("s"), pa.time64("ns"), pa.duration("ms")]
            )
            size = 31 if kind in (pa.date32(), pa.time32("s")) else 63
            day = 86_400 * {"ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}.get(getattr(kind, "unit", ""), 1_000)
            day = 1 if size == 31 else day
            edges = [-(2**size), 2**size - 1, draw.randint(-(2**size), 2**size - 1)]
            counts = [draw.choice(edges) if draw.random() < 0.02 else (19_000 + n) * day for n, _ in enumerate(body)]
            counts = [count if -(2**size) <= count < 2**size else 18_000 for count in counts]
            arrays[at] = pa.array(counts, pa.int32() if size == 31 else pa.int64()).view(kind)
        elif turn == "odd":
            kind = draw.choice(
                [
                    pa.null(),
                    pa.bool_(),
                    pa.int8(),
                    pa.uint64(),
                    pa.float16(),
                    pa.decimal128(38, 4),
                    pa.list_(pa.int64()),
                    pa.binary(),
                    pa.large_string(),
                ]
            )
            if kind == pa.float16():
                arrays[at] = pa.array([1.5] * len(body), pa.float32()).cast(kind)
            elif kind == pa.list_(pa.int64()):
                arrays[at] = pa.array([[1, 2]] * len(body), kind)
            elif kind == pa.binary():
                arrays[at] = pa.array([b"x"] * len(body), kind)
            elif kind == pa.large_string():
                arrays[at] = pa.array(["x"] * len(body), kind)
            else:
                arrays[at] = pa.nulls(len(body), kind) if kind == pa.null() else pa.array([1] * len(body)).cast(kind)
    buffer = io.BytesIO()
    pq.write_table(
        pa.Table.from_arrays(arrays, names=names), buffer, compression=draw.choice(["zstd", "snappy", "none"])
    )
    made.name, made.data = "f.parquet", _harmed(buffer.getvalue(), draw, made)


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def as_excel(rows: Rows, draw: random.Random, made: Made) -> None:
    """Workbooks of one or several sheets, with titles, strays and texts that are shared."""

    def xml(table: Rows, first: int = 1) -> str:
        lines = []
        for r, row in enumerate(table, first):
            cells = "".join(
                bombs.cell(
                    f"{'ABCDEFGHIJKLMNOPQRSTUVWXYZ'[c]}{r}",
                    value if isinstance(value, int | float) else _printable(value),
                )
                for c, value in enumerate(row[:26])
                if value not in (None, "")
            )
            lines.append(f'<row r="{r}">{cells}</row>')
        return "".join(lines)

    shape = draw.choice(["plain", "plain", "plain", "title", "stray", "two", "years", "shared", "implied"])
    made.changes.append(shape)
    sheets = {"Data": xml(rows)}
    if shape == "title":
        sheets = {"Data": xml([["Sales of ACME"], [], *rows])}
    elif shape == "stray":
        place = draw.choice(["XFD1048576", "C1048576", "XFD2", "AA99", "ZZ100000"])
        row = place.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        sheets = {"Data": f'{xml(rows)}<row r="{row}">{bombs.cell(place, 1)}</row>'}
    elif shape == "two":
        sheets = {"Notes": xml([["made by", "me"]]), "Data": xml(rows)}
    elif shape == "years":
        sheets = {"2022": xml(rows), "2023": xml(rows)}
    elif shape == "implied":
        sheets = {
            "Data": "".join(
                "<row>" + "".join(f"<c><v>{draw.randint(0, 9)}</v></c>" for _ in range(5)) + "</row>" for _ in range(40)
            )
        }
    shared = ["x" * 32_000, "y"] if shape == "shared" else None
    if shape == "shared":
        more = "".join(f'<row r="{n}">{bombs.cell(f"A{n}", ("s", draw.randrange(3)))}</row>' for n in range(500, 900))
        sheets = {"Data": xml(rows) + more}
    made.name, made.data = (
        draw.choice(["f.xlsx", "f.xlsx", "f.xlsx", "f.xls"]),
        _harmed(bombs.workbook(sheets, shared), draw, made),
    )
    plain = (
        shape == "plain" and not made.changes[-1].startswith("harm") and all(len(r) == len(rows[0]) <= 26 for r in rows)
    )
    made.rows = None if not plain or "total" in made.changes else filled([[_printable(c) for c in row] for row in rows])


def _printable(value: Any) -> str:
    return "".join(letter for letter in str(value) if letter >= " " and not "\ud800" <= letter <= "\udfff")


def _harmed(data: bytes, draw: random.Random, made: Made) -> bytes:
    harm = draw.choice([None] * 12 + ["flip", "flip", "cut"])
    if harm is None:
        return data
    made.changes.append(f"harm {harm}")
    spot = draw.randrange(len(data))
    if harm == "cut":
        return data[:spot]
    for _ in range(draw.choice([1, 1, 8, 64])):
        spot = draw.randrange(len(data))
        data = data[:spot] + bytes([draw.randrange(256)]) + data[spot + 1 :]
    return data


def packed(draw: random.Random, made: Made) -> None:
    """Compression around the file, right or wrong."""
    way = draw.choice([None] * 24 + ["gz", "zst", "gz cut", "zst cut", "gz flip", "zst flip", "gz lie", "zst lie"])
    if way is None:
        return
    made.changes.append(way)
    suffix = way.split(" ")[0]
    pack: Callable[[bytes], bytes] = (
        zstandard.ZstdCompressor(write_checksum=True).compress
        if suffix == "zst"
        else (lambda data: gzip.compress(data, mtime=0))
    )
    made.name += f".{suffix}"
    if way.endswith("lie"):
        made.rows = None
        return
    made.data = pack(made.data)
    if way.endswith(("cut", "flip")):
        made.rows = None
        spot = draw.randrange(len(made.data))
        made.data = (
            made.data[:spot]
            if way.endswith("cut")
            else made.data[:spot] + bytes([draw.randrange(256)]) + made.data[spot + 1 :]
        )


ODD_OPTIONS = (
    *("", "", "", "max_rejected_fraction: 0.5", "max_rejected_fraction: 1.0", "duplicates: sum", "header_row: 1", "header_row: 3", "footer_rows: 1", "footer_rows: 900"),
    *("encoding: cp1251", "encoding: utf-16", "encoding: undefined", "encoding: gb18030", "sheet: Data", "sheet: [2022, 2023]", "sheet: [2022, 2022]", "horizon: 2", "date_format: '%d/%m/%Y'"),
    *("date_format: '%H'", "date_format: '%Y-%m-%d %H'", "date_format: epoch_ms", "date_format: '%'", "date_format: '%Q'", "split: {seed: 18446744073709551616}", "split: time", "split: {strategy: random}"),
    *("drop_columns: [product]", "columns: {sales: y}", "hyperparameters: {eta: x}", "fred_series: [x]", "- a", "a: &a [*a]", "{" * 40, "target: [", "\x00", "target: 2014-99-99"),
)  # fmt: skip


def make(seed: int, number: int) -> Made:
    """The file of that number; equal arguments give equal bytes."""
    draw = random.Random(f"{seed}/{number}")
    made = Made("f.csv", b"", pipeline=draw.choice(list(PIPELINES)))
    rows = base(made.pipeline, draw)
    spoil(rows, draw, made)
    form = draw.choice([as_text, as_text, as_text, as_parquet, as_excel])
    made.kind = form.__name__.removeprefix("as_")
    if not rows[0]:
        rows = [["a", "b"], ["1", "2"]]
    form(rows, draw, made)
    packed(draw, made)
    options = {key: value for key, value in TARGETS.get(made.pipeline, {}).items() if draw.random() < 0.9}
    odd = draw.choice(ODD_OPTIONS) if draw.random() < 0.3 else ""
    made.options = "".join(f"{key}: {value}\n" for key, value in options.items()) + odd
    if odd.startswith(("header_row", "footer_rows", "encoding", "sheet")):
        made.rows = None
    return made


def outcome(made: Made, path: Path) -> str:
    """`accepted`, `accepted in part` or `refused`; any other word is a fault of the reader."""
    pipeline = PIPELINES[made.pipeline]
    path.write_bytes(made.data)
    try:
        options = merge_options(
            pipeline.default_options, parse_options_file(made.options, "f.options.yaml"), where="f.options.yaml"
        )
        upload = read_upload(path, made.name, options, pipeline)
    except UserError as error:
        message = str(error)
        if "Traceback" in message or "panicked" in message or len(message) > LONGEST_MESSAGE or not message.strip():
            return f"bad message: {message[:300]}"
        return "refused"
    except (Exception, pl.exceptions.PanicException) as error:  # noqa: BLE001
        return f"crash: {type(error).__name__}: {str(error)[:200]}"
    rejected = upload.rejected["row"].n_unique()
    if upload.rejected["reason"].null_count():
        return "rejected without a reason"
    if (
        upload.accepted["row"].n_unique() != upload.accepted.height
        or upload.accepted.join(upload.rejected, on="row").height
    ):
        return "a row twice"
    said = options.duplicates == "sum" or any("added up to weeks" in note for note in upload.notes)
    if upload.merged < 0 or (upload.merged and not said):
        return f"rows do not add up: {upload.rows_in} in, {upload.accepted.height} accepted, {rejected} rejected"
    if made.rows is not None and upload.rows_in != made.rows:
        return f"rows lost: {made.rows} made, {upload.rows_in} read"
    try:  # what comes next in the chain
        days = upload.accepted[upload.date_column].cast(pl.Date).to_list()
        upload.accepted.write_parquet(io.BytesIO())
        pipeline.split(
            upload.accepted, options.model_copy(update={"target": upload.target, "date_column": upload.date_column})
        )
    except UserError:
        days = [dt.date.min]
    except (Exception, pl.exceptions.PanicException) as error:  # noqa: BLE001
        return f"crash later: {type(error).__name__}: {str(error)[:200]}"
    if None in days:
        return "a day is missing"
    return "accepted in part" if rejected else "accepted"


def main() -> None:
    """Read files and print what they came to."""
    seed, first, count = (int(text) for text in sys.argv[1:4])
    with tempfile.TemporaryDirectory() as folder:
        for number in range(first, first + count):
            made = make(seed, number)
            started = time.monotonic()
            print(json.dumps({"number": number, "begins": f"{made.pipeline} {made.kind} {made.changes}"}), flush=True)
            found = outcome(made, Path(folder, "f"))
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            print(
                json.dumps(
                    {
                        "number": number,
                        "kind": made.kind,
                        "pipeline": made.pipeline,
                        "outcome": found,
                        "seconds": round(time.monotonic() - started, 2),
                        "peak_mb": peak,
                    }
                ),
                flush=True,
            )


if __name__ == "__main__":
    main()
