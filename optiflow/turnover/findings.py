"""What the report of `turnover` says beside the errors in days: chances, stock, prices, for a store manager.

What belongs here: tables and drawings from finished tables. What does not: the page they stand on (`optiflow.report`).
"""

from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from optiflow.learners.turnover.measures import calibration_bins, chance_figures, log_loss
from optiflow.learners.turnover.model import STOCK_HORIZONS
from optiflow.report.extras import Figure, Headline, ReportTable
from optiflow.report.wording import number, percent
from optiflow.turnover.pricing import best_prices

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME_LENGTH = 24


def chance_metrics(judged: pl.DataFrame, threshold: float) -> dict[str, float]:
    """`chance_figures` of held-out items, with `base_log_loss` of always saying the training share; empty without items.

    Args:
        judged: `quick` (Boolean: sold within 30 days) and `chance_30_days`.
        threshold: The share of the training items that sold within 30 days; from it on an item is called quick.
    """
    quick, chance = judged["quick"].to_numpy(), judged["chance_30_days"].to_numpy()
    figures = chance_figures(quick, chance, threshold)
    naive = chance * 0 + threshold
    return {**figures, "base_log_loss": log_loss(quick, naive)} if figures else {}


def chance_table(metrics: dict[str, float], threshold: float, items: int) -> ReportTable:
    """How well a sale within 30 days was foretold."""
    return ReportTable(
        "Sold within 30 days, foretold",
        f"On {items} held-out items that were watched for 30 days. An item is called quick when its chance is at least "
        f"{percent(threshold)}, the share of all items that sell in that time.",
        ("figure", "value", "meaning"),
        (
            ("precision", metrics["precision"], "of the items called quick, the share that sold within 30 days"),
            ("recall", metrics["recall"], "of the items that sold within 30 days, the share that was called quick"),
            ("F1", metrics["f1"], "both in one figure: 1 is perfect"),
            ("log-loss", metrics["log_loss"], "how surprised the chances were by what happened: lower is better"),
            ("log-loss of the base rate", metrics["base_log_loss"], "the same when every item gets the same chance"),
        ),
    )


def calibration_table(judged: pl.DataFrame) -> ReportTable:
    """Chances beside what came true."""
    bins = calibration_bins(judged["quick"].to_numpy(), judged["chance_30_days"].to_numpy())
    return ReportTable(
        "How often the chances came true",
        "Held-out items in five equal parts, from the lowest chance to the highest. The two shares should be close.",
        ("items", "foretold chance", "really sold within 30 days"),
        tuple((int(part["items"]), percent(part["chance"]), percent(part["share"])) for part in bins),
    )


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


def price_table(curves: pl.DataFrame) -> ReportTable:
    """The best price per category."""
    rows = tuple(
        (
            row["group"],
            row["usual_price"],
            f"{number(row['price'])} (edge)" if row["at_edge"] else row["price"],
            percent(row["chance"]),
            row["takings"],
            row["usual_takings"],
        )
        for row in best_prices(curves).iter_rows(named=True)
    )
    return ReportTable(
        "Best price by category",
        "The price at which price times chance of a sale within 30 days is highest, for the newest items of a category. "
        "'Edge': the best of the prices tried is the lowest or highest one. The model has only seen which prices items had, "
        "not what a change of price does: try one out before you change all.",
        ("category", "usual price", "best price", "chance at it", "takings per item", "at the usual price"),
        rows,
    )


def price_figure(curves: pl.DataFrame) -> Figure:
    """Takings over price, one line per category."""
    return Figure(
        "takings-by-price",
        "Takings by price",
        "Price times chance of a sale within 30 days, per item; 1 on both axes is the category's usual price and what it brings in. "
        "The dot is the best price.",
        partial(_draw_takings, curves),
    )


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
        axes.plot(
            [row["price"] / row["usual_price"]], [row["takings"] / unit], "o", markersize=6, color=drawn.get_color()
        )
    axes.set_xlabel("price, as a multiple of the usual price")
    axes.set_ylabel("takings, as a multiple")
    axes.set_ylim(bottom=0)
    axes.legend()


def headlines(metrics: dict[str, float], shares: dict[str, float]) -> tuple[Headline, ...]:
    """The numbers for the top of the page."""
    told = [
        Headline(f"Stock that sells in {n} days", percent(shares[f"stock_sold_in_{n}_days"]))
        for n in STOCK_HORIZONS
        if shares
    ]
    if metrics:
        told.append(Headline("Quick sellers foretold (F1)", number(metrics["f1"])))
    return tuple(told)


def _short(name: str) -> str:
    return name if len(name) <= NAME_LENGTH else name[: NAME_LENGTH - 1] + "…"
