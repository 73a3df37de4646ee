"""What the checks count: nothing in sound tables, and each fault by its name."""

from datetime import date

import polars as pl
import pytest

from optiflow.split import ROW
from optiflow.table_checks import balance_faults, counted, split_faults, time_overlap, upload_faults

DAY = date(2024, 1, 1)
ENRICHED = pl.LazyFrame({ROW: [2, 3, 4, 5], "day": [date(2024, 1, d) for d in (1, 2, 3, 4)], "y": [1.0, 2.0, 3.0, 4.0]})
SETS = {
    "enriched": ENRICHED,
    "train": ENRICHED.head(2),
    "test": ENRICHED.tail(2).drop("y"),
    "actuals": ENRICHED.tail(2).select(ROW, actual="y"),
}


def test_sound_tables_have_no_fault() -> None:
    assert not any(counted(upload_faults(ENRICHED, "y", "day")).values())
    assert not any(counted(balance_faults(ENRICHED, pl.LazyFrame({ROW: [6]}), ENRICHED)).values())
    assert not any(counted(split_faults(**SETS, kept_back=["y"])).values())
    assert counted(time_overlap(SETS["train"], SETS["test"], "day")) == {"train_rows_after_test_began": 0}


@pytest.mark.parametrize(
    ("fault", "columns"),
    [
        ("duplicate_rows", {ROW: [2, 2, 4], "day": [DAY] * 3, "y": [1.0, 2.0, 3.0]}),
        ("missing_dates", {ROW: [2, 3, 4], "day": [DAY, None, DAY], "y": [1.0, 2.0, 3.0]}),
        ("missing_targets", {ROW: [2, 3, 4], "day": [DAY] * 3, "y": [1.0, None, 3.0]}),
        ("infinite_targets", {ROW: [2, 3, 4], "day": [DAY] * 3, "y": [1.0, float("inf"), 3.0]}),
        ("infinite_targets", {ROW: [2, 3, 4], "day": [DAY] * 3, "y": [float("nan"), 2.0, 3.0]}),
    ],
)
def test_an_upload_has_exactly_the_fault_that_it_has(fault: str, columns: dict[str, list[object]]) -> None:
    faults = counted(upload_faults(pl.LazyFrame(columns), "y", "day"))
    assert {name: count for name, count in faults.items() if count} == {fault: 1}


def test_an_upload_whose_target_is_text_is_an_error_and_no_pass() -> None:
    with pytest.raises(pl.exceptions.PolarsError):
        counted(upload_faults(pl.LazyFrame({ROW: [2], "day": [DAY], "y": ["many"]}), "y", "day"))


@pytest.mark.parametrize(
    ("before", "rejected", "after", "expected"),
    [
        ([2, 3], [], [2], {"lost_rows": 1}),
        ([2, 3], [], [2, 3, 9], {"invented_rows": 1}),
        ([2, 3], [], [2, 3, 3, 3], {"doubled_rows": 2}),
        ([2, 3], [3, 7], [2, 3], {"accepted_and_rejected": 1}),
    ],
)
def test_enrichment_that_changes_the_rows_is_found_out(before, rejected, after, expected) -> None:
    tables = [pl.LazyFrame({ROW: rows}, schema={ROW: pl.Int64}) for rows in (before, rejected, after)]
    assert {name: count for name, count in counted(balance_faults(*tables)).items() if count} == expected


@pytest.mark.parametrize(
    ("part", "table", "expected"),
    [
        ("train", ENRICHED.head(3), {"rows_in_both": 1, "surplus_rows": 1}),
        ("train", ENRICHED.head(1), {"rows_in_neither": 1, "surplus_rows": -1}),
        ("actuals", ENRICHED.tail(1), {"rows_without_actual": 1}),
        ("actuals", ENRICHED.tail(3), {"rows_without_actual": 1}),
        ("test", ENRICHED.tail(2), {"target_in_test": 1}),
    ],
)
def test_a_split_that_leaks_or_loses_rows_is_found_out(part: str, table: pl.LazyFrame, expected) -> None:
    faults = counted(split_faults(**(SETS | {part: table}), kept_back=["y"]))
    assert {name: count for name, count in faults.items() if count} == expected


def test_training_rows_from_after_the_first_test_day_are_counted() -> None:
    overlap = time_overlap(ENRICHED.filter(pl.col(ROW) != 3), ENRICHED.filter(pl.col(ROW) == 3), "day")
    assert counted(overlap) == {"train_rows_after_test_began": 2}
