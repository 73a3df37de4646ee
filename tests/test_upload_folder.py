"""A folder of files as one upload: all files so far, bad ones named, the same rows once."""

import gzip
import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optiflow.errors import UserError
from optiflow.options import merge_options
from optiflow.pipelines import PIPELINES
from optiflow.proposals import ProposalError
from optiflow.upload.folder import FolderUpload, Part, read_folder
from optiflow.upload.reading import read_upload

DAYS = [date(2024, 1, 1) + timedelta(day) for day in range(60)]
ITEMS = ["A1", "A2", "A3"]


class Folder:
    """Files in the order in which they were written, a second between each."""

    def __init__(self, root: Path) -> None:
        self.root, self.names = root, list[str]()

    def put(self, name: str, content: str | bytes) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        self.names = [*(n for n in self.names if n != name), name]

    def read(self, pipeline: str = "item_demand", **options: object) -> FolderUpload:
        parts = [Part(name, age, lambda name=name: self.opened(name)) for age, name in enumerate(self.names)]
        random.Random(len(parts)).shuffle(parts)
        spec = PIPELINES[pipeline]
        merged = merge_options(spec.default_options, {"horizon": 7} if pipeline == "item_demand" else {}, options)
        return read_folder(parts, "sales", merged, spec)

    @contextmanager
    def opened(self, name: str) -> Iterator[Path]:
        yield self.root / name


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def lines(day: date, factor: int = 1, form: str = "%Y-%m-%d", store: str = "S1") -> str:
    return "".join(f"{day:{form}},{store},{item},{factor * (day.day + n)}\n" for n, item in enumerate(ITEMS))


def table(day: date, factor: int = 1, form: str = "%Y-%m-%d") -> str:
    return "date,store,item,sales\n" + lines(day, factor, form)


def fill(folder: Folder, days: list[date] = DAYS) -> None:
    for day in days:
        folder.put(f"sales_{day}.csv", table(day))


def sold(found: FolderUpload) -> pl.DataFrame:
    return found.upload.accepted.select("date", "store", "item", "sales").sort("date", "store", "item")


def test_all_files_so_far_are_read_as_one_file_of_their_rows_would_be(folder: Folder, tmp_path: Path) -> None:
    fill(folder)
    found = folder.read()
    whole = tmp_path / "whole.csv"
    whole.write_text("date,store,item,sales\n" + "".join(map(lines, DAYS)))
    expected = read_upload(whole, "whole.csv", merge_options({"horizon": 7}), PIPELINES["item_demand"])
    # Each file's header counts as a row of the first one alone, so that even the numbers are the same.
    assert found.upload.accepted.equals(expected.accepted)
    assert (found.upload.rows_in, found.bad, found.upload.notes) == (180, {}, ())


def test_dates_that_one_day_alone_leaves_open_are_settled_by_all_days(folder: Folder) -> None:
    for day in DAYS:
        folder.put(f"{day}.csv", table(day, form="%d/%m/%Y"))
    found = folder.read()
    assert found.upload.date_formats == {"date": "%d/%m/%Y"}
    assert found.upload.accepted["date"].unique().sort().to_list() == DAYS


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("broken.xlsx", b"PK\x03\x04 no workbook", "not a readable Excel workbook"),
        ("cut.csv.gz", gzip.compress(table(DAYS[0]).encode(), mtime=0)[:-9], "cut off"),
        ("empty.csv", b"", "empty"),
        ("header.csv", "date,store,item,sales\n", "no data row"),
        ("notes.pdf", b"%PDF-1.4", "not a table that OptiFlow reads"),
        ("other.csv", "day,shop,colour\n2024-01-01,S1,red\n", "no column for item"),
        ("american.csv", table(DAYS[50], form="%m/%d/%Y"), "3 of 3 rows have faults. The first: row 2, column 'date'"),
        ("negative.csv", table(DAYS[50], factor=-1), "3 of 3 rows have faults. The first: row 2, column 'sales'"),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong_and_stops_no_other(
    folder: Folder, name: str, content: str | bytes, why: str
) -> None:
    fill(folder)
    alone = folder.read()
    folder.put(name, content)
    found = folder.read()
    assert list(found.bad) == [name]
    assert why in found.bad[name]
    assert sold(found).equals(sold(alone))
    assert any(name in note and why in note for note in found.upload.notes)
    assert (found.version, found.upload.rows_in) == (alone.version, alone.upload.rows_in)


def test_where_no_file_can_be_read_the_folder_is_refused_with_the_reasons(folder: Folder) -> None:
    folder.put("a.pdf", b"x")
    folder.put("b.csv", b"")
    with pytest.raises(UserError, match=r"sales/: no file in it can be read\. a\.pdf: .*not a table.*b\.csv: .*empty"):
        folder.read()


def test_what_is_wrong_with_all_of_them_refuses_the_folder_as_it_refuses_a_file(folder: Folder) -> None:
    fill(folder, DAYS[:3])
    with pytest.raises(UserError, match="sales: only 9 usable rows of 9; at least 20 are needed"):
        folder.read()
    for day in DAYS:
        folder.put(f"sales_{day}.csv", table(day, form="%s"))
    with pytest.raises(UserError, match=r"sales, column 'date': .*Write into sales\.options\.yaml"):
        folder.read()


def test_a_rejected_row_is_told_by_its_file_and_its_row_there(folder: Folder) -> None:
    fill(folder)
    folder.put(
        "sales_2024-02-10.csv",
        table(DAYS[40]) + "".join(lines(DAYS[40], store=f"S{n}") for n in range(2, 9)) + "2024-02-10,S9,A1,\n",
    )
    found = folder.read()
    assert found.bad == {}
    (fault,) = found.upload.rejected.iter_rows(named=True)
    assert (fault["file"], fault["file_row"], fault["column"], fault["reason"]) == (
        "sales_2024-02-10.csv",
        26,
        "sales",
        "is empty",
    )
    assert fault["row"] not in found.upload.accepted["row"]
    assert found.upload.accepted.height + 1 == found.upload.rows_in == 60 * 3 + 7 * 3 + 1


def test_a_day_that_is_sent_again_counts_once_and_the_newer_file_counts(folder: Folder) -> None:
    fill(folder)
    folder.put("a correction.csv", table(DAYS[10], factor=5))  # before the others by its name, after them by its time
    found = folder.read()
    assert found.repeats.rows == 3
    assert found.upload.rows_in == 180
    right = sold(found).filter(date=DAYS[10])["sales"].to_list()
    assert right == [5.0 * (DAYS[10].day + n) for n in range(3)]
    (note,) = found.upload.notes
    assert note == (
        "3 rows came again in a newer file, which counts: '2024-01-11, S1, A1' in sales_2024-01-11.csv and in "
        "a correction.csv, for example."
    )
    folder.put("sales_2024-01-11.csv", table(DAYS[10]))  # now this one is the newer
    again = folder.read()
    assert sold(again).filter(date=DAYS[10])["sales"].to_list() == [float(DAYS[10].day + n) for n in range(3)]
    assert again.version != found.version


def test_where_rows_are_added_up_a_file_sent_twice_counts_once_and_parts_of_a_day_are_added(folder: Folder) -> None:
    till = "".join(f"{day},S1,A1,{day.day}\n{day},S1,A1,2\n" for day in DAYS)
    folder.put("till 1.csv", "date,store,item,sales\n" + till)
    folder.put("till 1 (1).csv", "date,store,item,sales\n" + till)
    found = folder.read(duplicates="sum")
    assert (found.repeats.rows, found.upload.rows_in) == (120, 120)
    assert sold(found)["sales"].to_list() == [day.day + 2.0 for day in DAYS]
    folder.put("till 2.csv", "date,store,item,sales\n" + "".join(f"{day},S1,A1,4\n" for day in DAYS))
    both = folder.read(duplicates="sum")
    assert sold(both)["sales"].to_list() == [day.day + 6.0 for day in DAYS]
    assert (both.repeats.rows, both.repeats.added) == (120, 180)
    assert any("came in several files with other values" in note for note in both.upload.notes)


def test_orders_that_are_equal_in_all_columns_count_once_over_files_and_each_within_one(folder: Folder) -> None:
    rows = "".join(f"{day},red,{day.day}\n" * 2 for day in DAYS)
    folder.put("a.csv", "Order Date,Colour,Units\n" + rows)
    folder.put("b.csv", "Order Date,Colour,Units\n" + rows + "2024-03-01,blue,7\n")
    found = folder.read("orders", target="Units")
    assert (found.repeats.rows, found.upload.accepted.height) == (120, 121)


def test_parts_of_one_document_are_no_repeats_where_no_column_is_the_line(folder: Folder) -> None:
    def moves(day: date, quantity: int, line: str = "") -> str:
        rows = [f"{day},in,PO{n},I{n % 7},W1,{quantity + n % 5}{line and ',1'}\n" for n in range(40)]
        return f"date,type,transaction_id,item_id,warehouse,quantity{line}\n" + "".join(rows)

    folder.put("monday.csv", moves(DAYS[0], 10))
    folder.put("tuesday.csv", moves(DAYS[1], 5))
    folder.put("monday again.csv", moves(DAYS[0], 10))
    found = folder.read("stock_movements")
    assert (found.repeats.rows, found.upload.rows_in) == (40, 80)
    assert found.upload.accepted["quantity"].sum() == 40 * (10 + 5) + 2 * 8 * (0 + 1 + 2 + 3 + 4)


def test_with_a_line_a_corrected_movement_counts_once_and_one_without_its_line_only_if_all_of_it_is_equal(
    folder: Folder,
) -> None:
    def moves(quantity: int) -> str:
        rows = [f"{DAYS[0]},in,PO{n},{n % 9 or ''},I{n % 7},W1,{quantity if n % 2 else 3}\n" for n in range(90)]
        return "date,type,transaction_id,line,item_id,warehouse,quantity\n" + "".join(rows)

    folder.put("a.csv", moves(10))
    folder.put("b.csv", moves(12))
    found = folder.read("stock_movements", max_rejected_fraction=0.2)
    # 10 rows have no line, half of them another quantity in each file.
    assert (found.repeats.rows, found.upload.rows_in) == (85, 95)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 59), st.integers(1, 4)), min_size=1, max_size=40), st.randoms())
def test_whatever_is_sent_in_whatever_order_each_day_has_what_was_sent_last(
    tmp_path_factory: pytest.TempPathFactory, sent: list[tuple[int, int]], dice: random.Random
) -> None:
    folder = Folder(tmp_path_factory.mktemp("sent"))
    fill(folder)
    last = dict.fromkeys(DAYS, 1)
    for number, (day, factor) in enumerate(sent):
        folder.put(f"{dice.choice('axz')}-{number}.csv", table(DAYS[day], factor))
        last[DAYS[day]] = factor
    expected = [factor * float(day.day + n) for day, factor in last.items() for n in range(3)]
    assert sold(folder.read())["sales"].to_list() == expected


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_folders_that_name_columns_give_them_to_their_files(folder: Folder, suffix: str) -> None:
    frame = pl.DataFrame({"date": DAYS, "sales": [float(day.day) for day in DAYS]})
    for store in ("001", "0 2", "__HIVE_DEFAULT_PARTITION__"):
        path = f"store={store.replace(' ', '%20')}/item=7/part-0{suffix}"
        (folder.root / path).parent.mkdir(parents=True)
        (frame.write_csv if suffix == ".csv" else frame.write_parquet)(folder.root / path)
        folder.names.append(path)
    found = folder.read(max_rejected_fraction=0.5)
    assert found.upload.accepted.select("store", "item").unique().sort("store").rows() == [("0 2", "7"), ("001", "7")]
    # Rows of no store are rejected by their file, as they are in one file with an empty store.
    empty = Path("store=__HIVE_DEFAULT_PARTITION__", "item=7", f"part-0{suffix}")
    assert "60 of 60 rows have faults" in found.bad[str(empty)]


def test_files_may_have_other_headers_orders_formats_and_further_columns(folder: Folder) -> None:
    for number, day in enumerate(DAYS):
        rows = pl.read_csv(table(day).encode(), try_parse_dates=True)
        if number % 4 == 1:
            rows = rows.rename({"sales": "Quantity", "item": "SKU"}).select("SKU", "store", "Quantity", "date")
        elif number % 4 == 2:
            rows = rows.with_columns(promotion=pl.lit("yes"), sales=pl.col("sales").cast(pl.Float64))
        path = folder.root / f"{number:02}.{'parquet' if number % 3 else 'csv'}"
        (rows.write_parquet if number % 3 else rows.write_csv)(path)
        folder.names.append(path.name)
    found = folder.read()
    assert found.bad == {}
    assert sold(found)["sales"].to_list() == [float(day.day + n) for day in DAYS for n in range(3)]


WORTHS = {day: 1 + day.day + day.month / 8 for day in DAYS}
"""Three decimals each, so that a comma and a point could both group thousands."""


def amounts(days: list[date], decimal: str, delimiter: str = ",", form: str = "%Y-%m-%d", mark: str = "") -> str:
    rows = [[f"{day:{form}}", "S1", "A1", f"{WORTHS[day]:.3f}".replace(".", decimal)] for day in days]
    quoted = [
        [f'"{cell}"' if delimiter in cell else cell for cell in row]
        for row in [*rows, *([mark.split("|")] if mark else [])]
    ]
    return "\n".join(delimiter.join(row) for row in [["date", "store", "item", "sales"], *quoted]) + "\n"


def as_parquet(folder: Folder, name: str, days: list[date]) -> None:
    rows = pl.DataFrame({"date": days, "store": "S1", "item": "A1", "sales": [WORTHS[day] for day in days]})
    rows.write_parquet(folder.root / name)
    folder.names.append(name)


def test_each_file_is_read_by_its_own_decimal_sign(folder: Folder) -> None:
    folder.put("c.csv", amounts(DAYS[:30], ".").replace("\n2024-01-01,S1,A1,2.125", "\n2024-01-01,S1,A1,2.1250"))
    folder.put("d.csv", amounts(DAYS[30:], ",", ";"))
    found = folder.read()
    assert found.bad == {}
    assert sold(found)["sales"].to_list() == [WORTHS[day] for day in DAYS]


@pytest.mark.parametrize("form", ["%Y-%m-%d", "%d.%m.%Y"])
def test_numbers_and_dates_that_a_file_declares_stay_beside_text_of_another_country(folder: Folder, form: str) -> None:
    folder.put("a.csv", amounts(DAYS[:30], ",", ";", form))
    as_parquet(folder, "b.parquet", DAYS[30:])
    found = folder.read()
    assert found.bad == {}
    assert sold(found)["sales"].to_list() == [WORTHS[day] for day in DAYS]


def test_a_file_whose_sign_nothing_settles_is_left_out_with_both_readings_and_the_folders_option(
    folder: Folder,
) -> None:
    folder.put("a.csv", amounts(DAYS[:30], ",", ";"))
    folder.put("b.csv", amounts(DAYS[30:50], ",", ","))
    as_parquet(folder, "c.parquet", DAYS[50:])
    found = folder.read(max_rejected_fraction=0.5)
    assert list(found.bad) == ["b.csv"]
    assert "if the comma groups thousands" in found.bad["b.csv"]
    assert "Write into sales.options.yaml:" in found.bad["b.csv"]
    assert folder.read(decimal=",").bad == {}
    assert sold(folder.read(decimal=","))["sales"].to_list() == [WORTHS[day] for day in DAYS]


def test_files_of_one_kind_tell_each_others_decimal_sign(folder: Folder) -> None:
    for start in range(0, 60, 10):
        folder.put(f"{start}.csv", amounts(DAYS[start : start + 10], ",", ","))
    folder.put("0.csv", amounts(DAYS[:10], ",", ",", mark="2024-03-01|S1|A1|12,5"))
    found = folder.read()
    assert found.bad == {}
    assert sold(found)["sales"].to_list() == [*(WORTHS[day] for day in DAYS), 12.5]


def test_a_cell_that_is_no_number_in_its_files_style_is_a_rejected_row_of_that_file(folder: Folder) -> None:
    folder.put("a.csv", amounts(DAYS[:30], ",", ";", mark="2024-03-01|S1|A1|zwei"))
    as_parquet(folder, "b.parquet", DAYS[30:])
    (fault,) = folder.read().upload.rejected.to_dicts()
    assert (fault["file"], fault["file_row"]) == ("a.csv", 32)
    assert (fault["column"], fault["reason"], fault["value"]) == ("sales", "is not a number", "zwei")


@pytest.mark.parametrize("parquet_first", [True, False])
def test_features_of_orders_stay_numbers_and_ids_stay_apart(folder: Folder, parquet_first: bool) -> None:
    rows = pl.DataFrame(
        {
            "day": DAYS[:30],
            "customer": [2**53 + n % 2 for n in range(30)],
            "price": [2.5 + n for n in range(30)],
            "units": range(30),
        }
    )
    names = ("a.parquet", "b.csv") if parquet_first else ("z.parquet", "b.csv")
    rows.write_parquet(folder.root / names[0])
    folder.names.append(names[0])
    lines = [f"{day};{2**53 + n % 2};{n},5;{n}" for n, day in enumerate(DAYS[30:])]
    folder.put("b.csv", "day;customer;price;units\n" + "\n".join(lines) + "\n")
    found = folder.read("orders", target="units", date_column="day")
    assert found.bad == {}
    assert found.upload.accepted.schema["price"] == pl.Float64
    assert found.upload.accepted["price"].sum() == sum(2.5 + n for n in range(30)) + sum(0.5 + n for n in range(30))
    assert found.upload.accepted["customer"].cast(pl.String).unique().sort().to_list() == [str(2**53), str(2**53 + 1)]
    assert found.upload.accepted["units"].sum() == 2 * sum(range(30))


def test_whole_numbers_beside_floats_that_cannot_hold_them_are_text(folder: Folder) -> None:
    for name, ids in (("a", [2**53, 2**53 + 1]), ("b", [17850.0, 12.0])):
        rows = pl.DataFrame({"day": DAYS, "customer": [ids[n % 2] for n in range(60)], "units": range(60)})
        rows.write_parquet(folder.root / f"{name}.parquet")
        folder.names.append(f"{name}.parquet")
    found = folder.read("orders", target="units", date_column="day")
    assert set(found.upload.accepted["customer"]) == {str(2**53), str(2**53 + 1), "17850", "12"}


def test_what_would_mend_bad_files_is_said_once_for_the_folder_and_works(folder: Folder) -> None:
    for n in range(3):
        folder.put(f"{n}.csv", table(DAYS[n]).replace("store", "Laden oben").replace("item", "Nr oben"))
    with pytest.raises(ProposalError) as refused:
        folder.read()
    assert str(refused.value).count("Write into sales.options.yaml:") == 1
    assert ".csv.options.yaml" not in str(refused.value)
    assert len(refused.value.ways) == 1
    assert refused.value.as_flags().count("columns.item=") == 1
    fill(folder)
    found = folder.read()
    assert sorted(found.bad) == ["0.csv", "1.csv", "2.csv"]
    assert found.upload.notes[-1].count("sales.options.yaml") == 1
    folder.put("mon.csv.options.yaml", "decimal: ','")
    assert "write them into sales.options.yaml beside it" in folder.read().bad["mon.csv.options.yaml"]


def test_the_version_is_that_of_what_the_files_hold(folder: Folder) -> None:
    fill(folder)
    first = folder.read().version
    folder.names.reverse()  # written at other times
    assert folder.read().version == first
    folder.put("sales_2024-01-05.csv", table(DAYS[4], factor=2))
    second = folder.read().version
    folder.put("sales_2024-03-01.csv", table(date(2024, 3, 1)))
    assert len({first, second, folder.read().version}) == 3
    (folder.root / "sales_2024-03-01.csv").unlink()
    folder.names.remove("sales_2024-03-01.csv")
    assert folder.read().version == second


def test_options_say_the_same_for_all_files(folder: Folder) -> None:
    for day in DAYS:
        folder.put(f"{day}.csv", table(day).replace("sales", "Wert").replace("item", "kein Titel"))
    with pytest.raises(UserError, match="no file in it can be read"):
        folder.read()
    found = folder.read(columns={"sales": "Wert", "item": "kein Titel"})
    assert found.upload.accepted.height == 180
