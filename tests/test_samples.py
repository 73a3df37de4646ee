"""The bundled sample: reproducible, covered by the snapshot, and with the causes of demand that its docstring promises."""

import re

import numpy as np
import polars as pl
import pytest

from optiflow.fred.calendar import asof_calendar
from optiflow.fred.series import with_publication_lag
from optiflow.fred.snapshot import SNAPSHOT_SERIES, load
from optiflow.options import merge_options, parse_options_file
from optiflow.pipelines.orders.sample import FIRST_DAY, LAST_DAY, SAMPLE_OPTIONS, orders
from optiflow.pipelines.samples import write_sample

NUMERIC = ["price", "promotion", "oil", "jobless"]
FACTORS = ["product", "region", "channel", "weekday"]


def known(series_id: str) -> pl.DataFrame:
    series = with_publication_lag(load(series_id), SNAPSHOT_SERIES[series_id].frequency)
    return asof_calendar(series, FIRST_DAY, LAST_DAY)


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    """20,000 clean orders with the logarithms that the effects are linear in."""
    frame = orders(20_000, seed=11, bad_rows=False).with_columns(day=pl.col("order_date").str.to_date())
    for series_id in SAMPLE_OPTIONS["fred_series"]:
        frame = frame.join(known(series_id), on="day", how="left", maintain_order="left")
    return frame.with_columns(
        price=(pl.col("unit_price") * (1 - pl.col("discount")) / pl.col("CPILFESL")).log(),
        promotion=(pl.col("discount") > 0).cast(pl.Float64),
        oil=pl.col("DCOILWTICO").log(),
        jobless=pl.col("UNRATE").log(),
        log_quantity=pl.col("quantity").log(),
        month=pl.col("day").dt.month(),
        weekday=pl.col("day").dt.weekday(),
    )


def fitted(frame: pl.DataFrame) -> tuple[dict[str, float], float]:
    """Least squares of log quantity on the logarithms and on dummies of the rest: coefficients and residual variance.

    Only differences between the levels of one factor mean something.
    """
    waves = frame.select(*FACTORS, wave=pl.format("{} {}", "category", "month"))
    design = pl.concat([frame.select(NUMERIC), waves.to_dummies()], how="horizontal")
    target = frame["log_quantity"].to_numpy()
    solution, *_ = np.linalg.lstsq(design.to_numpy(), target, rcond=None)
    return dict(zip(design.columns, solution.tolist(), strict=True)), float(
        np.var(target - design.to_numpy() @ solution)
    )


def test_equal_seeds_give_equal_bytes_and_other_seeds_do_not():
    assert orders(500, seed=3).write_csv() == orders(500, seed=3).write_csv()
    assert orders(500, seed=3).write_csv() != orders(500, seed=4).write_csv()


@pytest.mark.parametrize(
    ("category", "elasticity"), [("Camping", -1.6), ("Cycling", -1.3), ("Winter", -1.2), ("Travel", -1.9)]
)
def test_a_higher_price_lowers_demand_by_the_category_s_elasticity(table, category, elasticity):
    assert fitted(table.filter(pl.col("category") == category))[0]["price"] == pytest.approx(elasticity, abs=0.12)


def test_dear_oil_as_known_that_day_lowers_demand_and_unemployment_does_nothing(table):
    found = pl.DataFrame([fitted(part)[0] for part in table.partition_by("category")]).mean()
    assert found["oil"].item() == pytest.approx(-0.8, abs=0.06)
    assert found["jobless"].item() == pytest.approx(0.0, abs=0.06)


def test_the_oil_price_published_by_the_order_s_date_explains_more_than_the_one_published_later(table):
    later = known("DCOILWTICO").select(pl.col("day").dt.offset_by("-10d"), future=pl.col("DCOILWTICO").log())
    both = table.join(later, on="day")
    assert both.height > 0.99 * table.height
    assert fitted(both)[1] < fitted(both.with_columns(oil="future"))[1]


def test_demand_depends_on_promotion_region_and_channel(table):
    found, _ = fitted(table)
    ratio = {name: np.exp(value) for name, value in found.items()}
    assert ratio["promotion"] == pytest.approx(1.15, abs=0.06)
    assert ratio["region_West"] / ratio["region_North"] == pytest.approx(1.3, abs=0.05)
    assert ratio["region_South"] / ratio["region_North"] == pytest.approx(0.85, abs=0.05)
    assert ratio["channel_Wholesale"] / ratio["channel_Store"] == pytest.approx(1.8, abs=0.1)
    assert ratio["channel_Online"] / ratio["channel_Store"] == pytest.approx(1.25, abs=0.05)


@pytest.mark.parametrize(("category", "peak", "trough"), [("Camping", 7, 1), ("Winter", 1, 7), ("Cycling", 5, 11)])
def test_the_season_peaks_in_its_month(table, category, peak, trough):
    monthly = table.filter((pl.col("category") == category) & (pl.col("discount") == 0)).group_by("month")
    means = dict(monthly.agg(pl.col("quantity").mean()).iter_rows())
    assert means[peak] > 1.6 * means[trough]


def test_saturday_sells_more_than_sunday_and_products_differ(table):
    weekday = dict(table.group_by("weekday").agg(pl.col("quantity").mean()).iter_rows())
    product = dict(table.group_by("product").agg(pl.col("quantity").mean()).iter_rows())
    assert weekday[6] == pytest.approx(1.25 / 0.85 * weekday[7], rel=0.1)
    assert product["Repair Kit"] > 5 * product["Roof Box"]


def test_most_of_demand_is_explained_and_noise_remains(table):
    # The noise leaves a variance of 0.22² in logarithms, and counts add to it.
    unexplained = fitted(table)[1]
    assert 0.22**2 < unexplained < 0.2 * table["log_quantity"].to_numpy().var()


def test_columns_are_what_a_newcomer_expects():
    frame = orders(2000, bad_rows=False)
    assert frame.columns[:8] == [
        *("order_id", "order_date", "product", "category", "region", "channel", "unit_price", "discount")
    ]
    assert frame.columns[8:] == ["customer_name", "customer_email", "customer_phone", "note", "quantity"]
    assert not frame["order_id"].is_duplicated().any()
    assert frame["order_date"].is_sorted()
    assert frame["customer_email"].str.ends_with("@example.com").all()
    assert frame["customer_phone"].str.contains(r"^\+1 \d{3}-555-01\d\d$").all()
    assert 0.55 < frame["note"].null_count() / frame.height < 0.65
    assert (frame["unit_price"] > 0).all()
    assert frame["quantity"].dtype == pl.Int64
    assert (frame["quantity"] >= 1).all()


def test_bad_rows_are_few_and_blatant_and_the_rest_is_untouched():
    bad, clean = orders(6000), orders(6000, bad_rows=False)
    no_date = bad["order_date"].str.to_date(strict=False).is_null()
    no_quantity = bad["quantity"].is_null()
    assert (no_date.sum(), no_quantity.sum()) == (9, 9)
    assert not (no_date & no_quantity).any()
    good = ~(no_date | no_quantity)
    assert bad.filter(good).equals(clean.filter(good))
    assert bad.drop("order_date", "quantity").equals(clean.drop("order_date", "quantity"))
    assert clean["order_date"].str.to_date().is_not_null().all()


def test_the_snapshot_covers_the_dates_with_every_series_of_the_options(table):
    assert (table["day"].min(), table["day"].max()) == (FIRST_DAY, LAST_DAY)
    assert table.select(SAMPLE_OPTIONS["fred_series"]).null_count().sum_horizontal().item() == 0
    for series_id in SAMPLE_OPTIONS["fred_series"]:
        # The newest figure that the last order can know of is in the snapshot: the series did not end before.
        available = with_publication_lag(load(series_id), SNAPSHOT_SERIES[series_id].frequency)["available_at"]
        assert available.max() > LAST_DAY  # pyright: ignore[reportOptionalOperand, reportOperatorIssue]
        assert available.min() <= FIRST_DAY  # pyright: ignore[reportOptionalOperand, reportOperatorIssue]


def test_options_are_accepted_and_name_columns_of_the_table():
    options = merge_options(SAMPLE_OPTIONS)
    assert options.target in orders(10).columns
    assert options.date_column in orders(10).columns
    assert set(options.fred_series) <= set(SNAPSHOT_SERIES)


def test_the_written_upload_is_the_table_with_its_options_and_nothing_else(tmp_path):
    path = write_sample("orders", tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "sample-orders.csv"
    assert sorted(p.name for p in path.parent.iterdir()) == ["sample-orders.csv", "sample-orders.csv.options.yaml"]
    assert path.read_bytes() == orders().write_csv().encode()
    text = path.with_name("sample-orders.csv.options.yaml").read_text(encoding="utf-8")
    assert merge_options(parse_options_file(text, "options")) == merge_options(SAMPLE_OPTIONS)
    assert re.fullmatch(r"ORD-\d{6}", pl.read_csv(path)["order_id"][0])


def test_the_options_are_in_place_before_the_table(tmp_path):
    # A table that cannot be put in place leaves its options, never a table without them.
    (tmp_path / "sample-orders.csv" / "occupied").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        write_sample("orders", tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["sample-orders.csv", "sample-orders.csv.options.yaml"]


@pytest.mark.parametrize("rows", [0, 1, 2, 25])
def test_any_number_of_rows_can_be_asked_for(rows):
    assert orders(rows).height == rows
