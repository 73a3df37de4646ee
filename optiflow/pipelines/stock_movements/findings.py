"""What a store manager is shown of scored movements: tables and pictures.

Scored movements are the columns of an upload with `anomaly_score`, `is_anomaly` and `reasons`.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from optiflow.report.drawings import AMBER, BLUE, INK, legend_above
from optiflow.report.extras import ReportTable
from optiflow.report.tables import PAGE_ROWS, shown_of
from optiflow.report.wording import count, listed, measured, titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FLAGGED_ON_PAGE, SHOWN_DAYS = 1_000, 31
FLAGGED_FILE = "flagged.csv"
BINS = 60


def flagged_movements(scored: pl.DataFrame) -> pl.DataFrame:
    """The flagged movements, the highest score first, with all that the file says of them."""
    first = ["row", "transaction_id", "created_at", "anomaly_score", "reasons"]
    others = [name for name in scored.columns if name not in (*first, "is_anomaly")]
    flagged = scored.filter("is_anomaly").sort("anomaly_score", "row", descending=[True, False])
    return flagged.select(*first, *others)


def most_unusual(scored: pl.DataFrame, unit: str = "", currency: str = "") -> ReportTable:
    """All flagged movements, and why; of more than a page shows, those with the highest scores."""
    flagged = flagged_movements(scored)
    rows = flagged.head(FLAGGED_ON_PAGE).select(
        "transaction_id",
        "reasons",
        pl.col("anomaly_score").cast(pl.Float64).round(1).cast(pl.String),
        pl.col("created_at").dt.to_string("%Y-%m-%d %H:%M"),
        "warehouse_id",
        "item_id",
        "transaction_type",
        *(pl.col(name).map_elements(_plain, pl.String) for name in ("quantity", "unit_price", "total_amount")),
    )
    text = (
        f"All {flagged.height:,} flagged movements, the highest score first; 1 is the score of the mean movement that was "
        "learned from. Each says which of its values is unusual. "
        f"{shown_of(flagged.height, 'flagged movement', FLAGGED_FILE, FLAGGED_ON_PAGE)}"
    ).strip()
    header = (
        "Transaction",
        "Why",
        "Score",
        "Time",
        "Warehouse",
        "Item",
        "Type",
        titled("Quantity", unit),
        titled("Price", currency),
        titled("Total", currency),
    )
    return ReportTable("Flagged movements", text, header, tuple(rows.iter_rows()))


def what_to_do(scored: pl.DataFrame, currency: str = "") -> Iterator[str]:
    """What a controller should do about the flagged movements, most urgent first."""
    flagged = flagged_movements(scored)
    if flagged.is_empty():
        yield "Nothing to check: no movement is unusual enough."
        return
    newest = flagged.filter("held_out")
    if newest.height:
        ids = listed(newest["transaction_id"].to_list(), 3)
        yield (
            f"Check the {count(newest.height, 'flagged movement')} of the newest ones first, which nothing was learned from: {ids}. "
            "Set each beside its document, from the reason that the table gives."
        )
    by_place = flagged.group_by("warehouse_id").len().sort("len", "warehouse_id", descending=[True, False])
    place, most = by_place.row(0)
    if by_place.height > 1:
        yield f"Begin in {place}: {most:,} of the {flagged.height:,} flagged movements are there."
    worth = round(flagged["total_amount"].abs().sum())
    yield (
        f"Correct what is wrong in the ERP, and leave what is only rare: flagged movements are together worth "
        f"{measured(worth, currency)}, and a flag is a question, not a fault."
    )
    yield f"Take {FLAGGED_FILE} to note what was found: one line a flagged movement."


def flagged_by(scored: pl.DataFrame, column: str, what: str) -> ReportTable:
    """How many movements of each kind are flagged, the most first."""
    counted = _counted(scored, column).sort("flagged", "movements", column, descending=[True, True, False])
    left = counted.height - PAGE_ROWS
    text = f"The {PAGE_ROWS} with the most flagged; {left:,} more are not shown." if left > 0 else "All of them."
    header = (what, "Movements", "Flagged", "Share flagged")
    return ReportTable(f"Flagged by {what.lower()}", text, header, tuple(counted.head(PAGE_ROWS).iter_rows()))


def busiest_days(scored: pl.DataFrame) -> ReportTable:
    """The days with the most flagged movements."""
    days = _counted(scored.with_columns(day=pl.col("created_at").dt.date().cast(pl.String)), "day")
    top = days.filter(pl.col("flagged") > 0).sort("flagged", "day", descending=True).head(SHOWN_DAYS)
    text = f"{days.filter(pl.col('flagged') > 0).height} of {days.height} days have flagged movements."
    header = ("Day", "Movements", "Flagged", "Share flagged")
    return ReportTable("Days with most flagged movements", text, header, tuple(top.iter_rows()))


def draw_over_time(scored: pl.DataFrame, held_out_from: datetime | None, axes: "Axes") -> None:
    """Flagged movements for each day, and where the held-out rows begin; None if they are not the newest."""
    import numpy as np

    days = (
        scored.group_by(day=pl.col("created_at").dt.date())
        .agg(pl.col("is_anomaly").sum())
        .sort("day")
        .upsample("day", every="1d")
        .with_columns(pl.col("is_anomaly").fill_null(0))
    )
    axes.bar(days["day"].to_numpy(), days["is_anomaly"].to_numpy(), width=1.0, color=BLUE, linewidth=0)
    if held_out_from is not None:
        day = np.datetime64(held_out_from.date())
        axes.axvline(day, color=AMBER, linewidth=1.3, label="held-out movements begin")  # pyright: ignore[reportArgumentType]
        legend_above(axes)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("flagged a day")


def draw_scores(scored: pl.DataFrame, threshold: float, axes: "Axes") -> None:
    """How many movements have which score, both in steps of a factor, and the threshold."""
    import numpy as np

    scores = np.maximum(scored["anomaly_score"].to_numpy(), 1e-3)
    edges = np.geomspace(scores.min(), max(scores.max(), threshold) * 1.01, BINS)
    axes.hist(scores, bins=edges.tolist(), color=BLUE, linewidth=0)
    axes.axvline(threshold, color=AMBER, linewidth=1.5, label=f"threshold {threshold:.2f}: flagged to the right")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_xlabel("score, 1 being the mean", color=INK)
    axes.set_ylabel("movements")
    legend_above(axes)


def _counted(scored: pl.DataFrame, column: str) -> pl.DataFrame:
    return scored.group_by(column).agg(
        movements=pl.len().cast(pl.Int64),
        flagged=pl.col("is_anomaly").sum().cast(pl.Int64),
        share=(100 * pl.col("is_anomaly").mean()).map_elements("{:.2f} %".format, pl.String),
    )


def _plain(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() else f"{value:,.2f}"
