"""What a row of a result is about: columns of the file beside what the model says."""

import polars as pl

from optiflow.pipelines import PIPELINES
from optiflow.pipelines.naming import with_names

ROWS = pl.LazyFrame(
    {
        "row": [2, 3, 4, 5],
        "order no": ["A-1", "A-2", "A-3", "A-4"],
        "predicted": ["by hand", "", None, "x"],
        "model": ["Golf", "Polo", "Up", "Fox"],
        "model (file)": [1, 2, 3, 4],
        "date": ["2020-01-01"] * 4,
        "units": [1.0, 2.0, 3.0, 4.0],
    }
)
RESULT = pl.DataFrame({"row": [5, 3, -1], "date": ["2020-01-01"] * 3, "predicted": [4.5, 2.5, 0.0]})


def named(**changes: object) -> pl.DataFrame:
    given = {"same": {"date"}, "left_out": {"units"}, "taken": ("model",), **changes}
    return with_names(RESULT, ROWS, **given)  # pyright: ignore[reportArgumentType]


def test_rows_of_a_result_keep_their_order_and_get_the_files_columns_first():
    table = named()
    assert table.columns == [
        "row", "order no", "predicted (file)", "model (file) (file)", "model (file)", "date", "predicted",
    ]  # fmt: skip
    assert table["order no"].to_list() == ["A-4", "A-2", None]
    assert table["predicted"].to_list() == RESULT["predicted"].to_list()
    assert table["model (file) (file)"].to_list() == ["Fox", "Polo", None]
    assert table["model (file)"].to_list() == [4, 2, None]


def test_a_date_that_is_another_than_the_results_is_told_beside_it():
    assert named(same=()).columns[5:7] == ["date (file)", "date"]


def test_periods_to_come_have_no_row_and_stay_as_they_are():
    ahead = RESULT.drop("row")
    assert with_names(ahead, ROWS, same=(), left_out=(), taken=()).equals(ahead)


def test_orders_are_told_by_all_their_columns_but_the_target_and_freds():
    options = PIPELINES["orders"].default_options
    from optiflow.options import DatasetOptions

    chosen = DatasetOptions(**options, target="units", date_column="date", fred_series=("UNRATE",))
    rows = ROWS.with_columns(UNRATE=pl.lit(4.0))
    table = PIPELINES["orders"].named(RESULT, rows, chosen, taken=("model",))
    assert "order no" in table.columns
    assert not {"units", "UNRATE"} & set(table.columns)
