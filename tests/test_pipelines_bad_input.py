"""Bad input to the pipelines that know their columns by roles: one message that says where and what to do, or rows
rejected with their reasons, or a fallback that the report states.

What belongs here: what holds beyond one pipeline's own rules, at the door. What does not: `orders` (`test_bad_input`).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from project import Project, fresh_project

from optiflow.errors import UserError
from optiflow.options import merge_options
from optiflow.pipelines import PIPELINES
from optiflow.roles import Role, find_roles
from optiflow.upload.reading import Upload, read_upload

STORES, ITEMS, TURNOVER, MOVES = "store_sales", "item_demand", "turnover", "stock_movements"
ALL = (STORES, ITEMS, TURNOVER, MOVES)
FIRST = date(2020, 1, 17)
Lines = list[str]


def weeks(count: int = 40, stores: Sequence[object] = (1, 2), step: int = 7) -> Lines:
    rows = [f"{s},{FIRST + timedelta(step * n)},{900 + 7 * n % 50}" for s in stores for n in range(count)]
    return ["Store,Week Ending,Weekly_Sales", *rows]


def days(count: int = 60, items: Sequence[object] = ("a", "b"), step: int = 1) -> Lines:
    rows = [f"{FIRST + timedelta(step * n)},1,{item},{3 + n % 7}" for item in items for n in range(count)]
    return ["Day,Store,SKU,Units", *rows]


def goods(count: int = 100) -> Lines:
    created = [FIRST + timedelta(3 * n) for n in range(count)]
    rows = [
        f"{day},{day + timedelta(5 + n % 50) if n % 5 else ''},{10 + n % 7},c{n % 3}" for n, day in enumerate(created)
    ]
    return ["item_created_date,item_sold_date,price,category", *rows]


def moves(count: int = 100, form: str = "%Y-%m-%d %H:%M:%S") -> Lines:
    rows = []
    for n in range(count):
        time = datetime(2024, 1, 1, 8, tzinfo=UTC) + timedelta(hours=5 * n)
        at = f"{time.timestamp() * float(form):.0f}" if form[0] == "1" else f"{time:{form}}"
        quantity, kind = 1 + n % 9, ("in", "out", "adjust", "transfer")[n % 4]
        rows.append(f"T{n},I{n % 10},W{n % 2},{kind},{quantity},2.5,{quantity * 2.5},c{n % 3},{at}")
    header = "transaction_id,item_id,warehouse_id,transaction_type,quantity,unit_price,total_amount,item_category"
    return [f"{header},created_at_ts", *rows]


GOOD = {STORES: weeks(), ITEMS: days(), TURNOVER: goods(), MOVES: moves()}


def put(lines: Lines, row: int, column: str, value: str) -> Lines:
    """The file with one cell changed; the header is row 1."""
    cells = lines[row - 1].split(",")
    cells[lines[0].split(",").index(column)] = value
    return [*lines[: row - 1], ",".join(cells), *lines[row:]]


def fill(lines: Lines, column: str, values: Iterable[str]) -> Lines:
    """The file with a column changed, its values repeated as often as needed."""
    values = list(values)
    for number in range(len(lines) - 1):
        lines = put(lines, number + 2, column, values[number % len(values)])
    return lines


def add(lines: Lines, column: str, value: str) -> Lines:
    return [f"{lines[0]},{column}", *(f"{line},{value}" for line in lines[1:])]


def without(lines: Lines, column: str) -> Lines:
    at = lines[0].split(",").index(column)
    return [",".join(cell for place, cell in enumerate(line.split(",")) if place != at) for line in lines]


def read(folder: Path, pipeline: str, lines: Lines, **options: Any) -> Upload:
    path = folder / "mine.csv"
    path.write_text("\n".join(lines) + "\n")
    spec = PIPELINES[pipeline]
    return read_upload(path, path.name, merge_options(spec.default_options, options), spec)


@dataclass(frozen=True)
class Bad:
    """A file that is refused, and the words that its message must have."""

    pipeline: str
    lines: Lines
    words: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)
    name: str = "mine.csv"


def refused(pipeline: str, lines: Lines, *words: str, name: str = "mine.csv", **options: Any) -> Bad:
    return Bad(pipeline, lines, words, options, name)


def for_all(what: str, make: Any) -> dict[str, Bad]:
    return {f"{what}, {pipeline}": make(pipeline, GOOD[pipeline]) for pipeline in ALL}


OWN_TARGET = {
    STORES: ("the column to predict is called sales", "--option 'columns.sales=Their Column'"),
    ITEMS: ("the column to predict is called sales", "--option 'columns.sales=Their Column'"),
    TURNOVER: ("turnover reckons its own, days", "Leave it out"),
    MOVES: ("stock_movements predicts no column", "Leave it out"),
}
FIRST_DATE = {STORES: "date", ITEMS: "date", TURNOVER: "created", MOVES: "created_at"}
MISSING = re.compile("Weekly_Sales|Units|item_created_date|item_id")
"""A column that its pipeline cannot do without."""

EMPTY = {
    STORES: ("Weekly_Sales", "80 of 80 rows (100.0%)", "row 2, column", "is empty"),
    ITEMS: ("SKU", "120 of 120 rows (100.0%)", "row 2, column", "is empty"),
    TURNOVER: ("item_created_date", "the date column is empty"),
    MOVES: ("quantity", "100 of 100 rows (100.0%)", "row 2, column", "is empty"),
}
HORIZON = {
    STORES: (99, "[1, 52]"),
    ITEMS: (999, "[1, 364]"),
    TURNOVER: (5, "not forecast periods"),
    MOVES: (5, "not forecast"),
}

REFUSED = {
    **for_all("an empty file", lambda p, _: refused(p, [], "mine.csv", "the file is empty")),
    **for_all("a header only", lambda p, ls: refused(p, ls[:1], "a header but no data row")),
    **for_all("another format", lambda p, ls: refused(p, ls, "use one of .csv", name="mine.docx")),
    **for_all("ragged rows", lambda p, ls: refused(p, [ls[0], *(f"{line},9" for line in ls[1:])], "row 2: has", "fields")),
    **for_all("unknown option", lambda p, ls: refused(p, ls, "unknown key 'horizont'", "'horizon'", horizont=3)),
    **for_all("unknown hyperparameter", lambda p, ls: refused(p, ls, "'sede'", "did you mean 'seed'", hyperparameters={"sede": 1})),
    **for_all("a missing column", lambda p, ls: refused(p, [MISSING.sub("x", ls[0], 1), *ls[1:]], "no column for", "--option 'columns.", "<your column>")),
    **for_all("two columns for a role", lambda p, ls: refused(
        p, add(ls, PIPELINES[p].roles[0].headers[-1], "1"), "could all be the", PIPELINES[p].roles[0].headers[-1])),
    **for_all("a role that is none", lambda p, ls: refused(p, ls, "'nope', which is no role", columns={"nope": "x"})),
    **for_all("a column that is not there", lambda p, ls: refused(
        p, ls, "'Nowhere', which is not a column", columns={PIPELINES[p].roles[0].name: "Nowhere"})),
    **for_all("one column for two roles", lambda p, ls: refused(
        p, ls, "as well: name another column", columns=dict.fromkeys((r.name for r in PIPELINES[p].roles[:2]), ls[0].split(",")[0]))),
    **for_all("a target of one's own", lambda p, ls: refused(
        p, add(ls, "Their Column", "1"), "option target is 'Their Column'", *OWN_TARGET[p], target="Their Column")),
    **for_all("a date of one's own", lambda p, ls: refused(
        p, ls, "option date_column is 'Their Day'", f"--option 'columns.{FIRST_DATE[p]}=Their Day'", date_column="Their Day")),
    **for_all("features of one's own", lambda p, ls: refused(p, ls, "keep_columns means nothing", keep_columns=["x"])),
    **for_all("a horizon out of place", lambda p, ls: refused(p, ls, "option horizon", HORIZON[p][1], horizon=HORIZON[p][0])),
    **for_all("a required column dropped", lambda p, ls: refused(p, ls, "no column for", drop_columns=[ls[0].split(",")[p == MOVES]])),
    **for_all("an empty column", lambda p, ls: refused(p, fill(ls, EMPTY[p][0], [""]), "mine.csv", *EMPTY[p])),
    "a random split of weeks": refused(STORES, weeks(), "split.strategy is 'random'", "newest", split={"strategy": "random"}),
    "a random split of days": refused(ITEMS, days(), "split.strategy is 'random'", "newest", split={"strategy": "random"}),
    "a fraction of weeks": refused(STORES, weeks(), "split.test_fraction", "Set horizon", split={"test_fraction": 0.3}),
    "two horizons": refused(ITEMS, days(), "option horizon is 7", "is 9", horizon=7, hyperparameters={"horizon": 9}),
    "goods added up": refused(TURNOVER, goods(), "duplicates means nothing to turnover", duplicates="sum"),
    "another retailer": refused(TURNOVER, goods(), "hyperparameters.retailer", hyperparameters={"retailer": "other"}),
    "roles in orders": refused("orders", days(), "columns means nothing to orders", "target", columns={"sales": "Units"}),
    "ambiguous dates": refused(
        STORES, fill(weeks(), "Week Ending", [f"0{d}/0{m}/2020" for m in range(1, 9) for d in (3, 9)]),
        "column 'Week Ending'", "day and month cannot be told apart", "--option date_format=%d/%m/%Y\nor\n"),
    "text instead of sales": refused(STORES, fill(weeks(), "Weekly_Sales", ["a lot"]), "column 'Weekly_Sales'", "not numeric"),
    "all rows twice": refused(
        STORES, [*weeks(), *weeks()[1:]], "160 of 160 rows", "row 2: the same store-week more than once", "Take the repeated rows out", "2 times, first in row 2"),
    "departments": refused(
        STORES, [*add(weeks(), "Department", "garden"), *(f"{line},tools" for line in weeks()[1:])], "--option duplicates=sum"),
    "milliseconds": refused(MOVES, moves(form="1000"), "'created_at_ts': holds milliseconds", "--option date_format=epoch_ms"),
    "seconds": refused(MOVES, moves(form="1"), "'created_at_ts': holds seconds", "--option date_format=epoch_s"),
    "seconds for milliseconds": refused(
        MOVES, moves(form="1"), "row 2, column 'created_at_ts': is before 1980", date_format="epoch_ms"),
    "milliseconds for seconds": refused(MOVES, moves(form="1000"), "epoch_s' fits only 0.0%", date_format="epoch_s"),
    "milliseconds as decimals": refused(
        ITEMS, fill(days(), "Day", [f"{1577836800000 + 86400000 * n}.0" for n in range(60)]), "--option date_format=epoch_ms"),
    "unknown types only": refused(MOVES, fill(moves(), "transaction_type", ["steal"]), "none of in, out, adjust, transfer"),
    "nothing sold, stores": refused(STORES, fill(weeks(), "Weekly_Sales", ["0"]), "'Weekly_Sales' is 0.0 in every row"),
    "nothing sold, items": refused(ITEMS, fill(days(), "Units", ["0"]), "mine.csv: every row before the hold-out has 0"),
    "nothing sold, goods": refused(TURNOVER, fill(goods(), "item_sold_date", [""]), "mine.csv: 0 of", "at least 20 are needed"),
    "few goods": refused(TURNOVER, goods(30), "mine.csv: 30 of 30 items", "at least 40 are needed"),
    "few moves": refused(MOVES, moves(20), "mine.csv: 16 movements before the hold-out", "Add older ones"),
    "one week": refused(STORES, weeks(1, range(30)), "mine.csv: the file spans 1 week,", "add weeks"),
    "five weeks": refused(STORES, weeks(5, range(30)), "the history before the hold-out has 4 weeks: at least 5"),
    "one day": refused(ITEMS, days(1, range(30)), "mine.csv: the file spans 1 day,", "add days"),
    "thirty days": refused(ITEMS, days(30), "mine.csv: the history before the hold-out spans 23 days", "at least 28"),
    "months for weeks": refused(STORES, weeks(24, step=30), "no two weeks of the file follow one another"),
    "weeks for days": refused(ITEMS, days(60, step=7), "no two days of the file follow one another"),
    "a last day far off": refused(
        ITEMS, [*days(), "2020-12-31,1,a,3"], "the last day, 2020-12-31, comes 290 days after", "correct the date"),
    "a rule that hits all rows": refused(
        STORES, fill(weeks(), "Weekly_Sales", ["-1"]), "only 0 usable rows of 80", max_rejected_fraction=1.0),
}  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with fresh_project(tmp_path_factory.mktemp("bad"), STORES) as project:
        yield project


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_cannot_be_used_is_refused_at_the_door_in_one_message(project, tmp_path, case):
    bad = REFUSED[case]
    (tmp_path / bad.name).write_text("".join(f"{line}\n" for line in bad.lines))
    (tmp_path / f"{bad.name}.options.yaml").write_text(yaml.safe_dump(bad.options))
    said = project.optiflow("upload", tmp_path / bad.name, "--pipeline", bad.pipeline)
    assert (said.code, said.out) == (2, "")
    assert [word for word in bad.words if word not in said.err] == [], said.err
    assert not list((project.work / "uploads").rglob("mine*"))


@pytest.mark.parametrize("pipeline", ALL)
def test_the_same_file_without_its_fault_is_welcome(tmp_path, pipeline):
    taken = read(tmp_path, pipeline, GOOD[pipeline])
    assert (taken.accepted.height, taken.rejected.height, taken.merged) == (taken.rows_in, 0, 0)


NEXT_YEAR = f"{datetime.now(UTC).year + 1}-06-01"
WEEKS, DAYS, GOODS, MOVES_ = weeks(), days(), goods(), moves()
REJECTED: dict[str, tuple[str, Lines, list[tuple[int, str | None, str]]]] = {
    "a short row": (STORES, [*WEEKS, "1,2"], [(82, None, "has 2 fields, the header has 3")]),
    "text among numbers": (STORES, put(WEEKS, 5, "Weekly_Sales", "lots"), [(5, "Weekly_Sales", "is not a number")]),
    "infinity": (ITEMS, put(DAYS, 5, "Units", "inf"), [(5, "Units", "is not a number")]),
    "beyond a float": (ITEMS, put(DAYS, 5, "Units", "1e999"), [(5, "Units", "is not a finite number")]),
    "nan": (ITEMS, put(DAYS, 5, "Units", "NaN"), [(5, "Units", "is empty")]),
    "a huge number": (ITEMS, put(DAYS, 5, "Units", "1e300"), [(5, "Units", "too large to be true")]),
    "negative sales": (STORES, put(WEEKS, 5, "Weekly_Sales", "-3"), [(5, "Weekly_Sales", "below 0")]),
    "no store": (ITEMS, put(DAYS, 5, "Store", ""), [(5, "Store", "is empty")]),
    "a day to come": (STORES, put(WEEKS, 81, "Week Ending", NEXT_YEAR), [(81, "Week Ending", "is after today")]),
    "a day that stands for none": (ITEMS, put(DAYS, 2, "Day", "1900-01-01"), [(2, "Day", "is before 1980-01-01")]),
    "a day years off": (
        ITEMS,
        [*DAYS, "2023-01-01,1,a,3"],
        [(122, "Day", "lies years from the other dates (2020-01-17 to")],
    ),
    "a store-week twice": (
        STORES,
        [*WEEKS, "1,2020-01-24,5"],
        [(3, None, "the same store-week more than once"), (82, None, "`duplicates: sum` adds them up")],
    ),
    "a store-week thrice, under other days": (
        STORES,
        [*WEEKS, "1,2020-01-25,5", "1,2020-01-26,5"],
        [(row, None, "the same store-week more than once") for row in (3, 82, 83)],
    ),
    "an item-day twice": (
        ITEMS,
        [*DAYS, "2020-01-18,1,a,5"],
        [(3, None, "the same item-day more than once"), (122, None, "`duplicates: sum`")],
    ),
    "sold before created": (
        TURNOVER,
        put(GOODS, 3, "item_sold_date", "2019-01-01"),
        [(3, "item_sold_date", "is before the date of creation")],
    ),
    "sold in future": (TURNOVER, put(GOODS, 3, "item_sold_date", NEXT_YEAR), [(3, "item_sold_date", "is after today")]),
    "free goods": (TURNOVER, put(GOODS, 3, "price", "0"), [(3, "price", "is not above 0")]),
    "free moves": (MOVES, put(MOVES_, 3, "unit_price", "-2"), [(3, "unit_price", "above 0")]),
    "an unknown type": (
        MOVES,
        put(MOVES_, 3, "transaction_type", "misc"),
        [(3, "transaction_type", "none of in, out,")],
    ),
    "a wrong quantity": (MOVES, put(MOVES_, 3, "quantity", "7"), [(3, "quantity", "does not match total ÷ price")]),
    "an id twice": (
        MOVES,
        put(MOVES_, 5, "transaction_id", "T7"),
        [(5, "transaction_id", "more than once"), (9, "transaction_id", "more than once")],
    ),
    "one time in milliseconds": (
        MOVES,
        put(MOVES_, 3, "created_at_ts", "1704096000000"),
        [(3, "created_at_ts", "is not a date like %Y-%m-%d %H:%M:%S")],
    ),
}


@pytest.mark.parametrize("case", REJECTED)
def test_wrong_rows_are_rejected_by_row_the_files_column_and_reason_and_the_others_stay(tmp_path, case):
    pipeline, lines, expected = REJECTED[case]
    taken = read(tmp_path, pipeline, lines)
    found = taken.rejected.select("row", "column", "reason").rows()
    assert [fault[:2] for fault in found] == [fault[:2] for fault in expected]
    assert [words for (*_, reason), (*_, words) in zip(found, expected, strict=True) if words not in reason] == []
    left = set(range(2, len(lines) + 1)) - {row for row, *_ in expected}
    assert set(taken.accepted["row"]) == left


@pytest.mark.parametrize(
    ("written", "known"),
    [
        (("00123", "0456"), {"00123", "0456"}),
        (("17850.0", "12583.0"), {"17850", "12583"}),
        (("17850.0", "17850"), {"17850"}),
        (("1.50", "1.75"), {"1.50", "1.75"}),
        (("85123A", "22752.0"), {"85123A", "22752.0"}),
        (("Köln <b>", "東京"), {"Köln <b>", "東京"}),
    ],
)
def test_an_id_stays_as_it_is_written_but_for_the_decimals_that_programs_add(tmp_path, written, known):
    lines = [DAYS[0]] + [f"{FIRST + timedelta(n)},{written[n % 2]},x,{n % 9}" for n in range(60)]
    assert set(read(tmp_path, ITEMS, lines).accepted["store"]) == known


def test_an_id_and_a_time_that_parquet_holds_as_decimals_are_what_they_were(tmp_path):
    times = [1704096000000.0 + 3_600_000 * n for n in range(100)]
    table = pl.read_csv("\n".join(MOVES_).encode()).with_columns(
        item_id=pl.lit(17850.0), created_at_ts=pl.Series(times)
    )
    table.write_parquet(tmp_path / "mine.parquet")
    spec = PIPELINES[MOVES]
    taken = read_upload(tmp_path / "mine.parquet", "mine.parquet", merge_options({"date_format": "epoch_ms"}), spec)
    assert taken.accepted.select("item_id", "created_at").row(0) == (
        "17850",
        datetime.fromisoformat("2024-01-01T08:00:00"),
    )


def test_times_of_day_do_not_make_other_weeks(tmp_path):
    lines = fill(WEEKS, "Week Ending", [f"{FIRST + timedelta(7 * n)} 13:45" for n in range(40)])
    taken = read(tmp_path, STORES, lines)
    assert (taken.accepted.schema["date"], taken.accepted["date"].min()) == (pl.Date, FIRST)


def test_stores_whose_weeks_begin_on_other_days_or_end_in_other_weeks_are_split_between_whole_weeks(tmp_path):
    rows = [f"{s},{FIRST + timedelta(7 * n + s)},{n + s}" for s in range(5) for n in range(40 - 3 * s)]
    taken = read(tmp_path, STORES, [WEEKS[0], *rows], horizon=4)
    train, test = PIPELINES[STORES].split(taken.accepted, merge_options({"horizon": 4}))
    assert test.group_by("store").len().sort("store").rows() == [("0", 4), ("1", 1)]
    assert max(train["date"].to_list()) < min(test["date"].to_list())


def test_a_day_missing_before_the_hold_out_does_not_make_it_longer_than_the_horizon(tmp_path):
    lines = [line for line in DAYS if not line.startswith(("2020-03-05", "2020-03-06", "2020-03-07"))]
    taken = read(tmp_path, ITEMS, lines, horizon=10)
    train, test = PIPELINES[ITEMS].split(taken.accepted, merge_options({"horizon": 10}))
    known, asked = train["date"].to_list(), test["date"].to_list()
    assert (max(asked) - max(known)).days <= 10
    assert max(known) == date(2020, 3, 8)


def test_a_column_without_a_role_costs_no_row_and_is_put_aside_where_it_is_named_like_one(tmp_path):
    lines = add(add(add(WEEKS, "sales", "n/k"), "sales (file)", "x"), "week", "3")
    lines = put(lines, 5, "week", "three")
    taken = read(tmp_path, STORES, lines, columns={"sales": "Weekly_Sales", "date": "Week Ending"})
    assert taken.rejected.is_empty()
    assert taken.accepted["sales"][0] == 900
    assert {"sales", "sales (file)", "sales (file) (file)"} <= set(taken.accepted.columns)


def test_a_column_that_options_drop_has_no_role(tmp_path):
    both = add(WEEKS, "revenue", "7")
    assert read(tmp_path, STORES, both, drop_columns=["revenue"]).accepted["sales"][0] == 900
    later = add(GOODS, "as_of", "2021-06-01")
    taken, dropped = read(tmp_path, TURNOVER, later), read(tmp_path, TURNOVER, later, drop_columns=["as_of"])
    assert set(taken.accepted["as_of"]) == {date(2021, 6, 1)}
    assert max(dropped.accepted["as_of"].to_list()) < date(2021, 6, 1)


def test_an_export_without_words_or_unsold_goods_is_taken_and_its_nulls_are_counted(tmp_path):
    sold = [line for line in without(GOODS, "category") if ",," not in line]
    taken = read(tmp_path, TURNOVER, sold)
    counts = PIPELINES[TURNOVER].counts(taken.accepted, merge_options())
    assert (counts["unsold_items"], counts["no_category"], counts["no_brand"]) == (0, 80, 80)


def test_a_missing_week_is_counted(tmp_path):
    lines = [line for line in WEEKS if not line.startswith(("1,2020-02-07", "2,2020-03-06", "2,2020-03-13"))]
    counts = PIPELINES[STORES].counts(read(tmp_path, STORES, lines).accepted, merge_options())
    assert counts["missing_store_weeks"] == 3


@st.composite
def headers(draw: st.DrawFn) -> tuple[Role, str]:
    """A role of any pipeline and one of its names, in other letters and with other signs between its words."""
    role = draw(st.sampled_from([role for name in ALL for role in PIPELINES[name].roles]))
    words = draw(st.sampled_from((role.name, *role.headers))).split("_")
    changed = [draw(st.sampled_from((word.lower(), word.upper(), word.title()))) for word in words]
    sign = draw(st.sampled_from((*" _-./:#", "__", " - ", "")))
    return role, draw(st.sampled_from(("", " ", "_", "("))) + sign.join(changed) + draw(
        st.sampled_from(("", " ", ".", ")"))
    )


@settings(max_examples=200, deadline=None)
@given(headers(), headers())
@example((Role("sales", "number"), "SALES"), (Role("sales", "number"), "sales"))
def test_a_header_finds_its_role_in_any_letters_and_two_for_one_role_are_refused(one, other):
    (role, header), (_, second) = one, other
    roles = [role]
    assert find_roles(roles, ["unheard of", header], {}, "f.csv") == {role.name: header}
    assume(second != header)
    plain = {"".join(filter(str.isalnum, name)).lower() for name in (role.name, *role.headers)}
    if "".join(filter(str.isalnum, second)).lower() in plain:
        with pytest.raises(UserError, match="could all be the"):
            find_roles(roles, [header, second], {}, "f.csv")
        assert find_roles(roles, [header, second], {role.name: second}, "f.csv") == {role.name: second}
    else:
        assert find_roles(roles, [header, second], {}, "f.csv") == {role.name: header}


SALES = st.sampled_from(("1", "2", "3.5", "0", "-1", "", "x", "1e20"))
EXTRA = st.lists(st.tuples(st.integers(0, 39), st.sampled_from("ab"), SALES), max_size=25)


@settings(max_examples=40, deadline=None)
@given(EXTRA, st.sampled_from(("refuse", "sum")))
def test_every_row_is_accepted_merged_or_rejected_and_sums_keep_the_total(tmp_path_factory, extra, duplicates):
    lines = DAYS + [f"{FIRST + timedelta(n)},1,{item},{sold}" for n, item, sold in extra]
    taken = read(
        tmp_path_factory.mktemp("rows"), ITEMS, lines, duplicates=duplicates, horizon=10, max_rejected_fraction=0.9
    )
    rejected = set(taken.rejected["row"])
    assert taken.rows_in == len(lines) - 1 == taken.accepted.height + taken.merged + len(rejected)
    assert not rejected & set(taken.accepted["row"])
    assert not taken.accepted.select("date", "store", "item").is_duplicated().any()
    assert taken.merged == 0 or duplicates == "sum"
    kept = [float(line.split(",")[3]) for row, line in enumerate(lines[1:], 2) if row not in rejected]
    assert taken.accepted["sales"].sum() == pytest.approx(sum(kept))


def test_the_report_of_stores_tells_of_short_and_new_ones_gaps_and_rows_added_up(project):
    long = [f"old,{FIRST + timedelta(7 * n)},{900 + 7 * n % 50}" for n in range(60) if n != 50]
    young = [f"young,{FIRST + timedelta(7 * n)},{300 + n}" for n in range(30, 60)]
    new = [f"new,{FIRST + timedelta(7 * n)},{400 + n}" for n in range(58, 60)]
    twice = f"old,{FIRST},5"
    table = pl.read_csv("\n".join([WEEKS[0], *long, *young, *new, twice]).encode())
    project.drop("stores.csv", table, {"duplicates": "sum", "horizon": 4})
    said = project.optiflow("run", STORES, "stores")
    assert said.code == 0, said.shown
    found = project.report("stores")
    assert found["rows"] == {"uploaded": 92, "rejected": 0, "train": 81, "test": 10, "merged": 1}
    told = "\n".join(found["warnings"])
    assert "1 of 92 uploaded rows was added to another" in told
    assert "1 missing store-weeks were filled" in told
    assert "2 stores with too short a history: forecast by a simpler model, recent level" in told
    assert "2 held-out rows are of 1 store without a row before them" in told
    methods = dict(project.table("predictions", "stores").select("store", "method").unique().rows())
    assert (methods["young"], methods["new"]) == ("recent_level", "level_of_other_stores")
    assert project.table("forecast", "stores")["predicted"].is_finite().all()


def test_the_report_of_a_file_shorter_than_its_horizon_says_how_far_it_was_judged(project):
    project.uploads.parent.joinpath(ITEMS).mkdir()
    path = project.uploads.parent / ITEMS / "short.csv"
    path.with_name("short.csv.options.yaml").write_text("horizon: 100\n")
    path.write_text("\n".join(DAYS) + "\n")
    assert project.optiflow("run", ITEMS, "short").code == 0
    shown = project.optiflow("report", ITEMS, "short").out
    assert "only 15 could be held out" in " ".join(shown.split())
