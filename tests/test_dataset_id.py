"""Dataset ids: what a file name becomes, and which names are refused."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optiflow.dataset_id import (
    MAX_LENGTH,
    PATTERN,
    TABLE_SUFFIXES,
    check_dataset_id,
    dataset_id,
    file_stem,
    former_id,
    table_suffix,
)
from optiflow.errors import UserError

suffixes = st.sampled_from([*TABLE_SUFFIXES, ".CSV", ".csv.gz", ".Parquet.ZST"])


@settings(max_examples=400, deadline=None)
@given(st.text(st.characters(), max_size=200), suffixes)
def test_any_name_is_an_id_or_a_user_error(stem: str, suffix: str) -> None:
    try:
        found = dataset_id(stem + suffix)
    except UserError:
        return
    assert PATTERN.fullmatch(found)
    assert len(found) <= MAX_LENGTH
    assert check_dataset_id(found) == found
    assert dataset_id(found + suffix) == found


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(categories=["L", "N", "P", "Zs"]), min_size=1, max_size=60), suffixes)
def test_the_suffix_never_becomes_part_of_the_id(stem: str, suffix: str) -> None:
    try:
        plain = dataset_id(stem + ".csv")
    except UserError:
        with pytest.raises(UserError):
            dataset_id(stem + suffix)
    else:
        assert dataset_id(stem + suffix) == plain


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("US_Regional_Sales_Data.csv", "us-regional-sales-data"),
        ("Müller.csv", "muller"),
        ("a,b,c.csv", "a-b-c"),
        ("Sales...2024.CSV.gz", "sales-2024"),
        ("C:\\orders\\Straße 7.xlsx", "strae-7"),
        ("İİ.csv", "ii"),
        ("x.csv.zst.gz", "x"),
        ("archive.csv.parquet", "archive-csv"),
        ("a" * 40 + ".csv", "a" * 40),
        ("Продажи 2024.csv", "prodazhi-2024"),
        ("Остатки 2024.csv", "ostatki-2024"),
        ("Καφές Ιούλιος.csv", "kafes-ioylios"),
        ("٢٠٢٤.csv", "2024"),
    ],
)
def test_names_become_readable_ids(name: str, expected: str) -> None:
    assert dataset_id(name) == expected


@pytest.mark.parametrize(
    "names",
    [
        [f"warehouse_export_central_europe_daily_2024-01-{day:02}.csv" for day in range(1, 32)],
        ["销售 2024.csv", "库存 2024.csv", "売上 2024.csv", "매출 2024.csv", "מכירות 2024.csv", "2024.csv"],
        ["销售.csv", "库存.csv", "売上.csv"],
    ],
)
def test_names_that_differ_only_where_letters_are_lost_or_cut_off_stay_apart(names: list[str]) -> None:
    found = {dataset_id(name) for name in names}
    assert len(found) == len(names)
    assert all(len(name) <= MAX_LENGTH and PATTERN.fullmatch(name) for name in found)


def test_a_name_is_one_dataset_whatever_the_file_system_made_of_it() -> None:
    composed, decomposed = "Überblick 매출.csv", unicodedata.normalize("NFD", "Überblick 매출.csv")
    assert composed != decomposed
    assert dataset_id(composed) == dataset_id(decomposed) == dataset_id("ÜBERBLICK 매출.csv.gz")


@settings(max_examples=200, deadline=None)
@given(st.text("abcXYZ0189 _-.é", min_size=1, max_size=40))
def test_an_id_that_nothing_was_taken_from_is_what_it_has_always_been(stem: str) -> None:
    try:
        found = dataset_id(f"{stem}.csv")
    except UserError:
        return
    assert former_id(stem) == found


@pytest.mark.parametrize("name", ["../secrets.csv", "a/../b.csv", "..\\b.csv", "..csv.csv"])
def test_names_that_lead_out_of_their_folder_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="leads out of its folder: rename the file"):
        dataset_id(name)


@pytest.mark.parametrize("name", ["---.csv", " .csv", "_~!.csv"])
def test_a_name_without_a_letter_or_digit_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="rename the file"):
        dataset_id(name)


def test_a_name_that_is_not_utf8_is_refused_in_a_message_that_is() -> None:
    with pytest.raises(UserError, match="not a UTF-8 file name") as caught:
        dataset_id(b"caf\xe9.csv".decode(errors="surrogateescape"))
    assert "caf\\udce9.csv" in str(caught.value).encode().decode()


@pytest.mark.parametrize("name", ["a\0b.csv", "a\nb.csv", "a.csv\0", "a\x1b[2J.csv", "a\x7f.csv", "a\x85.csv"])
def test_a_name_with_a_control_character_is_refused_in_a_message_without_one(name: str) -> None:
    with pytest.raises(UserError, match=r"holds a control character.*rename the file") as caught:
        dataset_id(name)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["orders.pdf", "orders", "orders.csv.bak", "orders.gz", ".csv"])
def test_a_file_that_is_no_table_is_refused_with_the_suffixes_that_are(name: str) -> None:
    with pytest.raises(UserError, match=r"\.parquet"):
        table_suffix(name)


def test_the_stem_keeps_the_users_spelling() -> None:
    assert file_stem("orders/Sales 2024.csv.gz") == "Sales 2024"


@pytest.mark.parametrize(
    ("text", "hint"),
    [("My Shop", "my-shop"), ("a--b", "a-b"), ("-a", "a"), ("a" * 41, "a" * 40), ("a\n", "a"), ("a,b", "a-b")],
)
def test_what_is_no_id_is_refused_with_the_id_that_was_meant(text: str, hint: str) -> None:
    with pytest.raises(UserError, match=f"Did you mean '{hint}'"):
        check_dataset_id(text)
