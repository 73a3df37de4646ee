"""Numbers written for people, booleans, codes, and the types of whole columns."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optiflow.errors import UserError
from optiflow.options import DatasetOptions
from optiflow.upload.numbers import NumberStyle, parse_numbers, style_of
from optiflow.upload.reading import Upload, read_upload

ROWS = 40


def read(folder: Path, name: str = "f.csv", columns: dict[str, list[str]] | None = None, **options: object) -> Upload:
    path = folder / "f"
    table = pl.DataFrame(
        {"d": [f"2018-05-{i % 28 + 1:02d}" for i in range(ROWS)], "y": [str(i) for i in range(ROWS)], **(columns or {})}
    )
    table.write_csv(path, separator=";")
    return read_upload(path, name, DatasetOptions.model_validate({"target": "y", "date_column": "d"} | options))


def typed(folder: Path, values: list[str], **others: list[str]) -> pl.Series:
    upload = read(folder, columns={"v": (values * ROWS)[:ROWS], **{k: (v * ROWS)[:ROWS] for k, v in others.items()}})
    assert upload.rejected.height == 0
    return upload.accepted["v"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1,963.10", "5.5"], [1963.10, 5.5]),
        (["1.963,10", "5,5"], [1963.10, 5.5]),
        (["1 963,10", "5,5"], [1963.10, 5.5]),
        (["1\u00a0963,10", "1\u202f234\u202f567,5"], [1963.10, 1234567.5]),
        (["1'963.10", "1\u2019234\u2019567.5"], [1963.10, 1234567.5]),
        (["1.234.567", "5"], [1234567, 5]),
        (["1,234", "5"], [1234, 5]),
        (["$1,234.50", "-$5", "$-6", "(7)", "($8.25)", "9-"], [1234.5, -5.0, -6.0, -7.0, -8.25, -9.0]),
        (["€ 1.234,50", "5,00 €", "6 EUR", "EUR 7"], [1234.5, 5.0, 6.0, 7.0]),
        (["£5", "USD 6", "1,000 usd"], [5, 6, 1000]),
        (["12.5%", "50 %", "-1%"], [0.125, 0.5, -0.01]),
        (["1e3", "-2.5E-2", "+4"], [1000.0, -0.025, 4.0]),
        (["\u2212" + "5", ".5", "7."], [-5.0, 0.5, 7.0]),
        (["5.0", "6.0"], [5.0, 6.0]),
        (["-5", "+6", "0"], [-5, 6, 0]),
    ],
)
def test_numbers_are_read_in_every_style(tmp_path: Path, values: list[str], expected: list[float]):
    column = typed(tmp_path, values)
    assert column.head(len(values)).to_list() == expected
    assert column.dtype == (pl.Int64 if isinstance(expected[0], int) else pl.Float64)


@pytest.mark.parametrize(
    "values",
    [
        ["00123", "456"],
        ["01234", "98765"],
        ["1-2", "3-4"],
        ["12,34,56", "1"],
        ["1,2345", "1.2.3"],
        ["5 apples", "6"],
        ["A", "B"],
        ["1" * 20, "2"],
        ["10:30", "11:45"],
        ["$", "€"],
        ["%", "%"],
        ["555-1234", "555-9876"],
        ["\u0665", "\u0666"],
    ],
)
def test_codes_and_words_stay_text(tmp_path: Path, values: list[str]):
    assert typed(tmp_path, values).head(len(values)).to_list() == values


@pytest.mark.parametrize(
    ("words", "expected"), [(["true", "FALSE"], [True, False]), (["No", "yes", ""], [False, True, None])]
)
def test_booleans_are_read(tmp_path: Path, words: list[str], expected: list[bool | None]):
    assert typed(tmp_path, words).head(len(words)).to_list() == expected


def test_a_column_whose_style_is_open_follows_the_rest_of_the_file(tmp_path: Path):
    assert typed(tmp_path, ["1.234", "2.345"], other=["5,5"])[0] == 1234
    assert typed(tmp_path, ["1.234", "2.345"], other=["5.5"])[0] == 1.234
    assert typed(tmp_path, ["1,234", "2,345"], other=["5,5"])[0] == 1.234
    assert (
        typed(tmp_path, ["1,234", "2,345"], other=["x"])[0] == 1.234
    )  # semicolons: the comma is no delimiter but the decimal sign


def test_a_column_that_shows_its_style_keeps_it_against_the_file(tmp_path: Path):
    assert typed(tmp_path, ["1.234", "1.5"], one=["5,5"], two=["6,25"])[0] == 1.234


def test_an_article_number_column_with_a_few_letters_stays_text(tmp_path: Path):
    codes = [str(536365 + i) for i in range(ROWS)]
    codes[3] = "C536379"
    upload = read(tmp_path, columns={"InvoiceNo": codes})
    assert upload.accepted["InvoiceNo"].to_list() == codes
    assert upload.rejected.height == 0


def test_a_few_words_in_a_number_column_are_rejected(tmp_path: Path):
    prices = [f"{i}.25" for i in range(ROWS)]
    prices[3] = "unknown"
    upload = read(tmp_path, columns={"Price": prices})
    assert upload.rejected.rows() == [(5, "Price", "is not a number, as the rest of the column is", "unknown")]
    assert upload.accepted["Price"].dtype == pl.Float64


def test_many_words_in_a_number_column_make_it_text(tmp_path: Path):
    prices = [f"{i}.25" if i % 5 else "unknown" for i in range(ROWS)]
    assert read(tmp_path, columns={"Price": prices}).accepted["Price"].to_list() == prices


def test_a_dropped_column_rejects_no_row(tmp_path: Path):
    prices = [f"{i}.25" for i in range(ROWS)]
    prices[3] = "unknown"
    upload = read(tmp_path, columns={"Price": prices}, drop_columns=["Price"])
    assert (upload.rejected.height, upload.accepted["Price"].to_list()) == (0, prices)


def test_the_target_is_a_number_even_with_leading_zeros(tmp_path: Path):
    assert read(tmp_path, columns={"z": [f"{i:05d}" for i in range(ROWS)]}, target="z").accepted["z"][7] == 7


def test_values_of_the_target_that_are_no_numbers_are_rejected(tmp_path: Path):
    values = [f"{i}" for i in range(ROWS)]
    values[3], values[5], values[7] = "12x", "", "inf"
    upload = read(tmp_path, columns={"z": values}, target="z", max_rejected_fraction=0.1)
    assert upload.rejected.rows() == [
        (5, "z", "is not a number", "12x"),
        (7, "z", "is empty", None),
        (9, "z", "is not a number", "inf"),
    ]
    assert upload.accepted["z"].dtype == pl.Int64


def test_a_target_of_words_is_refused_with_the_numeric_columns(tmp_path: Path):
    with pytest.raises(UserError) as error:
        read(tmp_path, columns={"z": ["a", "b"] * 20, "price": ["1,5"] * ROWS}, target="z")
    for part in ("f.csv", "target 'z' is not numeric", "'a', 'b'", "'y', 'price'"):
        assert part in str(error.value)


@pytest.mark.parametrize("words", [["yes", "no"], ["2018-05-01", "2018-05-02"]])
def test_a_target_of_booleans_or_dates_is_not_numeric(tmp_path: Path, words: list[str]):
    with pytest.raises(UserError, match="target 'z' is not numeric"):
        read(tmp_path, columns={"z": words * 20}, target="z")


def european(number: float, decimals: int, group: str, point: str) -> str:
    text = f"{number:,.{decimals}f}"
    return text.replace(",", "\0").replace(".", point).replace("\0", group)


@settings(max_examples=100, deadline=None)
@given(
    numbers=st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=50),
    decimals=st.sampled_from([0, 1, 2, 3, 4]),
    signs=st.sampled_from([(",", "."), (".", ","), (" ", ","), ("'", "."), ("", "."), ("\u00a0", ",")]),
    frame=st.sampled_from(["{}", "${}", "{} EUR", "€ {}"]),
)
def test_a_written_column_is_read_back(numbers: list[int], decimals: int, signs: tuple[str, str], frame: str):
    exact = [n / 10**decimals for n in numbers]
    group, point = signs
    style = NumberStyle.COMMA_GROUPS if point == "." else NumberStyle.DOT_GROUPS
    values = pl.Series("v", [frame.format(european(n, decimals, group, point)) for n in exact])
    column = parse_numbers(values, style)
    assert column.to_list() == exact
    assert column.dtype == (pl.Int64 if decimals == 0 else pl.Float64)
    shown, example = style_of(values)
    if frame != "${}" or style is NumberStyle.COMMA_GROUPS:  # nobody writes dollars with dots between thousands
        assert shown in (None, style)
    assert shown is None or example is None


@settings(max_examples=200, deadline=None)
@given(values=st.lists(st.text(st.sampled_from("0123456789.,-+()%$€eE '"), max_size=8), min_size=1, max_size=5))
def test_what_is_read_as_a_number_has_its_digits(values: list[str]):
    column = parse_numbers(pl.Series("v", values), NumberStyle.COMMA_GROUPS)
    for text, number in zip(values, column, strict=True):
        if number is not None and not any(sign in text for sign in "eE%"):
            digits = "".join(letter for letter in text if letter.isdigit())
            shown = f"{abs(number):f}" if isinstance(number, float) else str(abs(number))
            assert digits.strip("0") == shown.replace(".", "").strip("0")
