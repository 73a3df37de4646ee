"""The pipeline of stock movements: what an upload may hold, what is held out, and what its report says."""

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optiflow.errors import UserError
from optiflow.options import DatasetOptions, SplitOptions
from optiflow.pipelines.finished import FinishedRun
from optiflow.pipelines.stock_movements.pipeline import COLUMNS, STOCK_MOVEMENTS
from optiflow.pipelines.stock_movements.rules import movement_faults, repeated_ids, unfit_totals
from optiflow.pipelines.stock_movements.sample import CAUSES, stock_movements, wrong_movements
from optiflow.report.canvas import draw
from optiflow.upload.reading import Upload, read_upload

OPTIONS = DatasetOptions(date_column="created_at")
ROWS = 3000


def movement(row: int, **cells: object) -> dict[str, object]:
    usual = {
        "row": row,
        "transaction_id": f"T{row}",
        "item_id": "A",
        "warehouse_id": "W",
        "transaction_type": "out",
        "item_category": "C",
        "quantity": 4.0,
        "unit_price": 2.5,
        "total_amount": 10.0,
        "created_at": datetime(2025, 3, 3, 10),  # noqa: DTZ001
    }
    return {**usual, **cells}


def faults(*cells: dict[str, object]) -> list[tuple[int, str, str]]:
    table = pl.DataFrame([movement(row, **changed) for row, changed in enumerate(cells, start=2)])
    return list(movement_faults(table).select("row", "column", "value").iter_rows())


def upload(folder: Path, table: pl.DataFrame, **options: object) -> Upload:
    path = folder / "movements.csv"
    table.write_csv(path)
    return read_upload(path, path.name, DatasetOptions.model_validate(options), STOCK_MOVEMENTS)


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Upload:
    return upload(tmp_path_factory.mktemp("upload"), stock_movements(ROWS))


@pytest.fixture(scope="module")
def run(read: Upload, tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    folder = tmp_path_factory.mktemp("model")
    train, test = STOCK_MOVEMENTS.split(read.accepted, OPTIONS)
    parameters = STOCK_MOVEMENTS.check_hyperparameters(STOCK_MOVEMENTS.hyperparameters(OPTIONS))
    learner = STOCK_MOVEMENTS.learner
    assert learner is not None
    channels = {name: table.to_arrow() for name, table in STOCK_MOVEMENTS.training(train, OPTIONS).channels.items()}
    summary = learner.train(channels, parameters, folder, lambda _: None)
    inputs = STOCK_MOVEMENTS.scoring({"train": train, "test": test}, OPTIONS, str)
    results = {name: pl.from_arrow(learner.score(folder, rows.to_arrow())) for name, rows in inputs.tables.items()}
    finished = FinishedRun(OPTIONS, train, test, test.select("row"), results, folder, str)  # pyright: ignore[reportArgumentType]
    finished.__dict__["summary"] = summary
    return finished


def test_the_export_form_of_an_erp_is_read_by_its_own_column_names(read: Upload) -> None:
    assert set(COLUMNS) <= set(read.accepted.columns)
    assert read.accepted.schema["created_at"] == pl.Datetime("us")
    assert read.accepted.schema["quantity"] == pl.Float64
    assert read.date_column == "created_at"
    assert read.target is None


def test_each_kind_of_spoilt_row_of_the_sample_is_rejected_for_its_reason(read: Upload) -> None:
    reasons = dict(read.rejected.group_by("column").agg(pl.col("reason").first()).iter_rows())

    assert reasons["transaction_type"].startswith("unknown type: it is none of in, out, adjust, transfer")
    assert reasons["unit_price"] == "price must be above 0"
    assert reasons["quantity"] == "quantity does not match total ÷ price"
    assert reasons["transaction_id"] == "the same transaction id more than once"
    assert read.accepted.height + read.rejected["row"].n_unique() == ROWS


def test_types_are_known_whatever_their_letters_and_blanks(tmp_path: Path) -> None:
    loud = pl.format("  {} ", pl.col("transaction_type").str.to_uppercase())
    table = stock_movements(100, bad_rows=False).with_columns(transaction_type=loud)

    assert set(upload(tmp_path, table).accepted["transaction_type"]) <= {"in", "out", "adjust", "transfer"}


def test_an_upload_of_unknown_types_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    table = stock_movements(100, bad_rows=False).with_columns(
        transaction_type=pl.lit("misc"), quantity=pl.col("quantity").abs(), total_amount=pl.col("total_amount").abs()
    )

    with pytest.raises(
        UserError,
        match=r"'transaction_type': unknown type: it is none of in, out, .* `movement_types` says which \('misc'\)",
    ):
        upload(tmp_path, table)


@pytest.mark.parametrize("price", [0.0, -2.5])
def test_a_price_not_above_zero_is_a_fault(price: float) -> None:
    assert faults({"unit_price": price, "total_amount": 4 * price}) == [(2, "unit_price", str(price))]


def test_a_quantity_that_is_not_total_by_price_is_a_fault_that_shows_the_sum() -> None:
    assert faults({"total_amount": 15.0}, {}, {"total_amount": 5.0}) == [
        (2, "quantity", "4.0; 15.0 ÷ 2.5 = 6.0"),
        (4, "quantity", "4.0; 5.0 ÷ 2.5 = 2.0"),
    ]


@given(
    quantity=st.integers(-100_000, 100_000).filter(bool),
    cents=st.floats(0.005, 5000).map(lambda price: max(round(price, 3), 0.006)),
    sign=st.sampled_from([1, -1]),
)
@settings(max_examples=150, deadline=None)
def test_rounding_to_cents_and_a_totals_sign_are_no_faults_and_a_tenth_more_is_one(
    quantity: int, cents: float, sign: int
) -> None:
    total = sign * round(quantity * cents, 2)
    rows = pl.DataFrame(
        [movement(2, quantity=float(quantity), unit_price=max(round(cents, 2), 0.01), total_amount=total)]
    )
    wrong = rows.with_columns(total_amount=pl.col("quantity") * pl.col("unit_price") * 1.1 + 0.02 * quantity)

    assert unfit_totals(rows).is_empty()
    assert unfit_totals(wrong).height == 1


def test_of_equal_rows_with_one_id_the_first_is_kept_and_of_different_ones_none() -> None:
    twice = [movement(2, transaction_id="X"), movement(3, transaction_id="X")]
    contradictory = [movement(4, transaction_id="Y"), movement(5, transaction_id="Y", item_id="B"), movement(6)]

    assert repeated_ids(pl.DataFrame([*twice, *contradictory]))["row"].to_list() == [3, 4, 5]


def test_a_csv_so_long_that_it_is_read_in_chunks_has_all_its_faults_said(tmp_path: Path) -> None:
    rejected = upload(tmp_path, stock_movements()).rejected

    assert rejected.filter(pl.col("column") == "quantity").height == 10
    assert rejected.filter(pl.col("column") == "transaction_id").height == 20


def test_the_newest_fifth_is_held_out(read: Upload) -> None:
    train, test = STOCK_MOVEMENTS.split(read.accepted, OPTIONS)

    assert train["created_at"].max() <= test["created_at"].min()  # pyright: ignore[reportOperatorIssue]
    assert test.height == pytest.approx(read.accepted.height / 5, abs=1)


def test_every_movement_is_scored_with_its_time(read: Upload, run: FinishedRun) -> None:
    predictions = run.results["predictions"]

    assert predictions.columns == list(STOCK_MOVEMENTS.results["predictions"].columns)
    expected = read.accepted.sort("row").select("row", date="created_at")
    assert predictions.select("row", "date").equals(expected)


def test_the_declared_types_of_the_result_are_those_of_the_table(run: FinishedRun) -> None:
    declared = {name: kind for name, (kind, _) in STOCK_MOVEMENTS.results["predictions"].columns.items()}

    assert {name: str(kind.base_type()) for name, kind in run.results["predictions"].schema.items()} == declared


def test_an_unknown_hyperparameter_is_refused() -> None:
    with pytest.raises(UserError, match="unknown hyperparameter 'threshold'"):
        STOCK_MOVEMENTS.hyperparameters(DatasetOptions(hyperparameters={"threshold": "0.9"}))
    with pytest.raises(UserError, match="'threshold_quantile'"):
        STOCK_MOVEMENTS.hyperparameters(DatasetOptions(hyperparameters={"threshold_quantile": "1"}))


def test_the_report_sets_the_share_flagged_beside_the_share_expected(run: FinishedRun) -> None:
    extras = STOCK_MOVEMENTS.extras(run)
    predictions = run.results["predictions"]
    newest = predictions.join(run.test, on="row", how="semi")

    assert extras.metrics is not None
    assert extras.metrics["expected_share"] == pytest.approx(0.01)
    assert extras.metrics["flagged_share_held_out"] == pytest.approx(newest["is_anomaly"].mean())
    assert extras.metrics["flagged_share"] == pytest.approx(predictions["is_anomaly"].mean())
    assert extras.verdict is not None
    assert f"{predictions['is_anomaly'].sum():,} of {predictions.height:,} movements" in extras.verdict


def test_the_report_lists_the_most_unusual_movements_with_reasons_and_counts_that_add_up(run: FinishedRun) -> None:
    tables = {table.title: table for table in STOCK_MOVEMENTS.extras(run).tables}
    flagged = run.results["predictions"]["is_anomaly"].sum()

    top = tables["Flagged movements"]
    scores = [float(str(row[2])) for row in top.rows]
    assert scores == sorted(scores, reverse=True)
    assert all(row[1] for row in top.rows)
    assert len(top.rows) == flagged > 20
    for title in ("Flagged by type", "Flagged by warehouse"):
        assert sum(row[2] for row in tables[title].rows) == flagged  # pyright: ignore[reportArgumentType, reportCallIssue]


def test_the_download_has_every_flagged_movement_with_ids_and_prices_as_in_the_file(run: FinishedRun) -> None:
    extras = STOCK_MOVEMENTS.extras(run)
    (download,) = extras.downloads
    rows = pl.concat([run.train, run.test]).join(run.results["predictions"].filter("is_anomaly"), on="row", how="semi")
    told = download.rows.join(rows, on="row", suffix=" (again)", validate="1:1")
    assert told.height == download.rows.height == run.results["predictions"]["is_anomaly"].sum()
    for name in ("transaction_id", "item_id", "warehouse_id", "quantity", "unit_price", "total_amount"):
        assert told[name].equals(told[f"{name} (again)"])
    assert download.rows["reasons"].null_count() == 0
    newest = download.rows.join(run.test, on="row", how="semi").height
    assert extras.actions[0].startswith(f"Check the {newest} flagged movements of the newest ones first")


def test_the_report_warns_when_the_newest_movements_are_not_like_the_learned_ones(run: FinishedRun) -> None:
    half = run.results["predictions"].with_columns(is_anomaly=pl.int_range(pl.len()) % 2 == 0, reasons=pl.lit("odd"))
    odd = FinishedRun(run.options, run.train, run.test, run.actuals, {"predictions": half}, run.model, run.kept)
    odd.__dict__["summary"] = run.summary

    assert STOCK_MOVEMENTS.extras(run).warnings == ()
    assert "times the 1.0% that the threshold allows" in STOCK_MOVEMENTS.extras(odd).warnings[0]


def test_both_figures_are_drawn(run: FinishedRun) -> None:
    for figure in STOCK_MOVEMENTS.extras(run).figures:
        svg, png = draw(figure.draw)
        assert svg.count("<path") > 10
        assert png.startswith(b"\x89PNG")


def test_the_sample_is_the_same_for_the_same_seed_and_knows_its_wrong_movements() -> None:
    table, wrong = stock_movements(2000, 3, bad_rows=False), wrong_movements(2000, 3)

    assert table.equals(stock_movements(2000, 3, bad_rows=False))
    assert not table.equals(stock_movements(2000, 4, bad_rows=False))
    assert set(wrong["cause"]) == set(CAUSES)
    at_night = table.join(wrong.filter(pl.col("cause") == "night booking"), on="transaction_id")
    assert at_night["created_at_ts"].str.slice(11, 2).cast(pl.Int64).is_between(1, 3).all()


def test_options_choose_the_held_out_share(read: Upload) -> None:
    options = OPTIONS.model_copy(update={"split": SplitOptions(test_fraction=0.5)})

    train, test = STOCK_MOVEMENTS.split(read.accepted, options)

    assert abs(train.height - test.height) <= 1
    assert timedelta(days=80) < test["created_at"].max() - test["created_at"].min() < timedelta(days=100)  # pyright: ignore[reportOperatorIssue]
