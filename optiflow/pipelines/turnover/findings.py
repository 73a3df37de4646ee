"""What the report of `turnover` says beside the errors in days: chances, stock, prices, for a store manager.

What belongs here: tables and drawings from finished tables. What does not: the page they stand on (`optiflow.report`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import polars as pl

from optiflow.learners.turnover.concordance import concordance
from optiflow.learners.turnover.measures import brier, calibration_bins, chance_figures, log_loss
from optiflow.learners.turnover.model import STOCK_HORIZONS
from optiflow.learners.turnover.parameters import SALE_DAYS
from optiflow.pipelines.turnover.dates import watched_for
from optiflow.pipelines.turnover.judging import Gain
from optiflow.pipelines.turnover.pricing import best_prices
from optiflow.report.extras import Cell, Figure, Headline, ReportTable
from optiflow.report.wording import count, number, percent, titled

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes

NAME_LENGTH = 24


@dataclass(frozen=True)
class Told:
    """What the chances of the held-out items are set beside.

    `horizon` in days, `threshold`, the share of the training items that sold within it, from which on an item is called
    quick, `gain`, and the chances by baseline.
    """

    horizon: int
    threshold: float
    gain: Gain
    naive: "Mapping[str, np.ndarray]"


def chance_metrics(rows: pl.DataFrame, told: Told) -> dict[str, float | None]:
    """`chance_figures` of held-out items, what the verdict stands on, and the same of the best baseline (`base_…`).

    Args:
        rows: `quick` (Boolean: sold within the horizon), `chance`, `actual` (days, null = unsold), `expected_days`.
        told: Of the same rows.
    """
    quick, chance = rows["quick"].to_numpy(), rows["chance"].to_numpy()
    gain, base = told.gain, told.naive[told.gain.baseline]
    return {
        **chance_figures(quick, chance, told.threshold),
        "base_log_loss": gain.baseline_loss,
        "base_brier": brier(quick, base),
        "log_loss_gain": gain.mean,
        "log_loss_gain_standard_error": gain.standard_error,
        "log_loss_gain_low": gain.low,
        "log_loss_gain_high": gain.high,
        "concordance": _concordance(rows, told.horizon, rows["expected_days"].to_numpy()),
        "base_concordance": _concordance(rows, told.horizon, -base),
        "judged_items": float(rows.height),
        "judged_within_days": float(told.horizon),
    }


def _concordance(rows: pl.DataFrame, horizon: int, slowness: "np.ndarray") -> float | None:
    """Harrell's C up to the horizon. Every item was watched that long, so no pair needs a weight for censoring."""
    days = rows.select(pl.when("quick").then("actual").otherwise(float(horizon))).to_series().to_numpy()
    return concordance(days, rows["quick"].to_numpy(), slowness)


def comparison_table(rows: pl.DataFrame, told: Told) -> ReportTable:
    """The model's chances beside those that need no model; the verdict stands on its first column of figures."""
    quick, gain = rows["quick"].to_numpy(), told.gain
    named = {"model": rows["chance"].to_numpy(), **told.naive}
    slowness = {"model": rows["expected_days"].to_numpy(), **{name: -naive for name, naive in told.naive.items()}}
    limits = "" if gain.low is None else f" (95 % limits of the gain: {number(gain.low)} to {number(gain.high)})"
    return ReportTable(
        f"Chances of a sale within {told.horizon} days, beside what needs no model",
        f"On {count(rows.height, 'held-out item')} watched for {told.horizon} days or more, sold or not: chosen by date of "
        "creation alone, so that all is known of them and no weight for censoring is needed. A Kaplan-Meier curve says what "
        f"share of the training items, or of the item's group of them, sells in that time. The model's log-loss is by "
        f"{number(abs(gain.mean))} {'higher' if gain.mean < 0 else 'lower'} than that of the best of them{limits}. For "
        "log-loss and Brier score less is better. Concordance is Harrell's C: of all pairs of which one item sold within "
        f"the {told.horizon} days and the other later or not by then, the share in which the quicker one was foretold to "
        "be quicker (by its expected days, a curve's by its chances); 0.5 is a toss of a coin.",
        ("chances of", "log-loss", "Brier score", "concordance"),
        tuple(
            (
                name,
                log_loss(quick, chance),
                brier(quick, chance),
                _concordance(rows, told.horizon, slowness[name]),
            )
            for name, chance in named.items()
        ),
    )


def chance_table(metrics: dict[str, float | None], told: Told) -> ReportTable:
    """How well quick sellers were foretold."""
    return ReportTable(
        f"Sold within {told.horizon} days, foretold",
        f"An item is called quick when its chance is at least {percent(told.threshold)}, the share of all training items "
        "that sell in that time.",
        ("figure", "value", "meaning"),
        (
            (
                "precision",
                metrics["precision"],
                f"of the items called quick, the share that sold within {told.horizon} days",
            ),
            (
                "recall",
                metrics["recall"],
                f"of the items that sold within {told.horizon} days, the share that was called quick",
            ),
            ("F1", metrics["f1"], "both in one figure: 1 is perfect"),
        ),
    )


def calibration_table(rows: pl.DataFrame, told: Told) -> ReportTable:
    """Chances beside what came true."""
    bins = calibration_bins(rows["quick"].to_numpy(), rows["chance"].to_numpy())
    return ReportTable(
        "How often the chances came true",
        "Held-out items in five equal parts, from the lowest chance to the highest. The two shares should be close.",
        ("items", "foretold chance", f"really sold within {told.horizon} days"),
        tuple((int(part["items"]), percent(part["chance"]), percent(part["share"])) for part in bins),
    )


def horizon_warnings(train: pl.DataFrame, told: Told) -> tuple[str, ...]:
    """What to know of items that were not watched for long."""
    young = train.filter(~watched_for(told.horizon)).height
    said = []
    if told.horizon < SALE_DAYS:
        said.append(
            f"Too few items were watched for {SALE_DAYS} days: the model is judged by its chances of a sale within "
            f"{told.horizon} days. Those of {SALE_DAYS} days and more lie beyond what could be checked."
        )
    if told.gain.days == 1 < told.gain.items:
        said.append(
            "All held-out items were put on sale on one day: what is special about that day cannot be told from what the "
            "model is worth, and is not in the limits of the verdict."
        )
    if young:
        said.append(
            f"{count(young, 'item')} went on sale less than {told.horizon} days before the export and cannot be judged yet: "
            f"{'it is' if young == 1 else 'they are'} learned from, as sold or not sold so far."
        )
    return tuple(said)


def stock_shares(stock: pl.DataFrame) -> dict[str, float]:
    """`stock_sold_in_<n>_days`: the share of the items in stock that is expected to sell within the next n days."""
    if stock.is_empty():
        return {}
    return {f"stock_sold_in_{n}_days": float(stock[f"next_{n}_days"].to_numpy().mean()) for n in STOCK_HORIZONS}


def stock_table(stock: pl.DataFrame) -> ReportTable:
    """What of the stock turns over in 30, 60, 90 days; `stock` has `price` too."""
    value = stock["price"].to_numpy()
    rows = []
    for horizon in STOCK_HORIZONS:
        chance = stock[f"next_{horizon}_days"].to_numpy()
        sold = (chance * value).sum() / max(value.sum(), 1e-9)
        rows.append((f"{horizon} days", percent(chance.mean()), percent(sold), round(chance.sum())))
    return ReportTable(
        "Stock that turns over",
        f"{stock.height:,} items were unsold on the day of the export. So much of them is expected to sell in the days after it, "
        "given how long each has been there already.",
        ("within", "share of items", "share of their value", "items"),
        tuple(rows),
    )


def price_table(curves: pl.DataFrame, currency: str = "") -> ReportTable:
    """The best price per category, where there is one between the lowest and the highest price tried."""

    def cells(row: dict[str, Any]) -> tuple[Cell, ...]:
        named = (row["group"], row["usual_price"])
        if row["tried"] == 1:
            return (*named, f"no price tried but {number(row['price'])}", None, None, row["usual_takings"])
        if row["edge"]:
            best = f"at or beyond the {row['edge']} tried, {number(row['price'])}"
            return (*named, best, None, None, row["usual_takings"])
        return (*named, row["price"], percent(row["chance"]), row["takings"], row["usual_takings"])

    rows = tuple(cells(row) for row in best_prices(curves).iter_rows(named=True))
    return ReportTable(
        "Best price by category",
        "The price at which price times chance of a sale within 30 days is highest, for the newest items of a category. "
        "Where takings still rise at the lowest or highest price tried, that price is not the best one: few items had one "
        "beyond it. Where all but a few items have one price, there is no other to try. The model has only seen which "
        "prices items had, not what a change of price does: try one out before you change all.",
        (
            "category",
            titled("usual price", currency),
            titled("best price", currency),
            "chance at it",
            "takings per item",
            "at the usual price",
        ),
        rows,
    )


def price_figures(curves: pl.DataFrame) -> tuple[Figure, ...]:
    """Takings over price, one line per category with more than one price tried; none without such a category."""
    lines = curves.filter(pl.len().over("group") > 1)
    if lines.is_empty():
        return ()
    figure = Figure(
        "takings-by-price",
        "Takings by price",
        "Price times chance of a sale within 30 days, per item; 1 on both axes is the category's usual price and what it brings in. "
        "The dot is the best price; a line without one still rises at an end.",
        partial(_draw_takings, lines),
    )
    return (figure,)


def _draw_takings(curves: pl.DataFrame, axes: "Axes") -> None:
    best = best_prices(curves)
    for row in best.iter_rows(named=True):
        line = curves.filter(pl.col("group") == row["group"])
        unit = max(row["usual_takings"], 1e-12)
        (drawn,) = axes.plot(
            (line["price"] / row["usual_price"]).to_numpy(),
            (line["takings"] / unit).to_numpy(),
            linewidth=1.6,
            label=_short(row["group"]),
        )
        if row["edge"]:
            continue
        axes.plot(
            [row["price"] / row["usual_price"]], [row["takings"] / unit], "o", markersize=6, color=drawn.get_color()
        )
    axes.set_xlabel("price, as a multiple of the usual price")
    axes.set_ylabel("takings, as a multiple")
    axes.set_ylim(bottom=0)
    axes.legend()


def headlines(stock: pl.DataFrame, shares: dict[str, float], currency: str) -> tuple[Headline, ...]:
    """The numbers for the top of the page."""
    if not shares:
        return ()
    worth = stock["price"].sum()
    return (
        Headline("Items in stock", f"{stock.height:,}"),
        Headline("Their prices together", f"{worth:,.0f} {currency}".strip()),
        *(
            Headline(f"Stock that sells in {n} days", percent(shares[f"stock_sold_in_{n}_days"]))
            for n in STOCK_HORIZONS
        ),
    )


def _short(name: str) -> str:
    return name if len(name) <= NAME_LENGTH else name[: NAME_LENGTH - 1] + "…"
