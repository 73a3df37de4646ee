"""The bundled FRED snapshot: figures that can be looked up, and a listing that tells the truth about them."""

import os
from datetime import date
from importlib.resources import files
from pathlib import Path

import polars as pl
import pytest

from optiflow.fred import snapshot
from optiflow.fred.series import infer_frequency
from optiflow.fred.snapshot import SNAPSHOT_SERIES, load

SHARED = Path(os.environ.get("OPTIFLOW_SHARED_DATA", Path(__file__).parents[1] / ".." / "shared" / "data")) / "fred"
PACKAGE = files(snapshot)

# Highest relative difference to today's figures: revisions, not another series. None where the base year has moved.
REVISION = {
    "CPIAUCSL": 0.005,
    "CPILFESL": 0.005,
    "DCOILWTICO": 0.0,
    "HOUST": 0.05,
    "PAYEMS": 0.01,
    "PCE": 0.02,
    "RSAFS": 0.03,
    "UNRATE": 0.03,
}


def value(series_id: str, day: str) -> float:
    return load(series_id).filter(pl.col("observation_date") == date.fromisoformat(day))["value"].item()


def readme_figures() -> list[tuple[str, str, float]]:
    _, table = PACKAGE.joinpath("README.md").read_text(encoding="utf-8").split("## Figures to check against")
    rows = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in table.strip().splitlines()[2:]]
    return [(series_id, day, float(figure)) for series_id, day, figure in rows]


@pytest.mark.parametrize(("series_id", "day", "figure"), readme_figures())
def test_figures_are_those_of_the_readme(series_id, day, figure):
    assert value(series_id, day) == figure


def test_events_that_everybody_knows_are_in_the_figures():
    oil = load("DCOILWTICO").sort("value")
    unemployment = load("UNRATE").filter(pl.col("value") >= 10)
    core = load("CPILFESL").filter(pl.col("observation_date").dt.year() == 2015)["value"].mean()
    output = load("INDPRO").filter(pl.col("observation_date").dt.year() == 2012)["value"].mean()
    assert oil["observation_date"][0] == date(2016, 2, 11)
    assert oil["observation_date"][-1] == date(2008, 7, 3)
    assert unemployment["observation_date"].to_list() == [date(2009, 10, 1)]
    assert core == pytest.approx(242.2, abs=0.3), "Index 1982-1984=100: core prices were 2.4 times as high in 2015"
    assert output == pytest.approx(100, abs=0.01), "Index 2012=100"


def test_adjusted_and_unadjusted_series_have_the_same_years():
    for adjusted, raw, tolerance in (("UNRATE", "UNRATENSA", 0.006), ("PAYEMS", "PAYNSA", 0.001)):
        both = load(adjusted).join(load(raw), on="observation_date").filter(pl.col("observation_date").dt.year() < 2016)
        years = both.group_by(pl.col("observation_date").dt.year()).agg(pl.col("value", "value_right").mean())
        assert (years["value_right"] / years["value"] - 1).abs().max() < tolerance  # pyright: ignore[reportOperatorIssue]
        assert not both["value"].equals(both["value_right"])


@pytest.mark.parametrize("series_id", SNAPSHOT_SERIES)
def test_a_series_is_complete_sorted_and_as_listed(series_id):
    listed, frame = SNAPSHOT_SERIES[series_id], load(series_id)
    dates = frame["observation_date"]
    assert dict(frame.schema) == {"series_id": pl.String, "observation_date": pl.Date, "value": pl.Float64}
    assert frame["series_id"].unique().to_list() == [series_id]
    assert frame["value"].is_finite().all()
    assert frame.null_count().sum_horizontal().item() == 0
    assert dates.is_sorted()
    assert not dates.is_duplicated().any()
    assert (dates[0], dates[-1]) == (listed.first, listed.last)
    assert infer_frequency(dates) == listed.frequency
    if listed.frequency in ("M", "Q"):
        step = {"M": "1mo", "Q": "3mo"}[listed.frequency]
        assert dates.to_list() == pl.date_range(listed.first, listed.last, step, eager=True).to_list()
    else:
        assert (dates.dt.weekday() <= 5).all()
        assert dates.diff().dt.total_days().max() <= 5  # pyright: ignore[reportOptionalOperand, reportOperatorIssue]


def test_every_bundled_row_belongs_to_a_listed_series():
    rows = pl.read_csv(PACKAGE.joinpath("observations.csv").read_bytes())
    assert set(rows["series_id"]) == set(SNAPSHOT_SERIES)
    assert rows.height == sum(load(series_id).height for series_id in SNAPSHOT_SERIES)


def test_the_readme_lists_every_series_with_its_range():
    lines = PACKAGE.joinpath("README.md").read_text(encoding="utf-8").splitlines()
    for series in SNAPSHOT_SERIES.values():
        line = next(line for line in lines if line.startswith(f"| `{series.series_id}`"))
        digits = 10 if series.frequency == "D" else 7
        assert f"{series.first.isoformat()[:digits]} to {series.last.isoformat()[:digits]}" in line


@pytest.mark.parametrize("series_id", ["DGS10", "cpilfesl", "NO_SUCH"])
def test_a_series_that_is_not_bundled_is_a_key_error(series_id):
    with pytest.raises(KeyError, match=series_id):
        load(series_id)


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no FRED files at {SHARED}; set OPTIFLOW_SHARED_DATA")
@pytest.mark.parametrize(("series_id", "tolerance"), REVISION.items())
def test_figures_differ_from_todays_by_revisions_only(series_id, tolerance):
    today = pl.read_csv(SHARED / f"{series_id}.csv", try_parse_dates=True)
    both = load(series_id).join(today, on="observation_date", how="left")
    assert both[series_id].null_count() == 0
    assert (both["value"] / both[series_id] - 1).abs().max() <= tolerance  # pyright: ignore[reportOperatorIssue]
