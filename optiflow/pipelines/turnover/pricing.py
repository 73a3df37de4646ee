"""The price at which price x chance of a sale within 30 days is highest, per category, found on a grid.

What belongs here: the grid, and reading the scored grid. What does not: scoring it (`optiflow.learners.turnover`). The
curve says how items sold that had such a price; it is no experiment, and a price that is changed may act otherwise.
"""

import polars as pl

CATEGORIES, ITEMS, PRICES = 6, 30, 25
"""The most frequent categories, the newest items of each that the chance is averaged over, and the prices tried."""

LOWEST, HIGHEST = 0.05, 0.95
"""Quantiles of a category's prices between which prices are tried: beyond, there is hardly an item to learn from."""

FACTORS = (0.7, 0.8, 0.9, 1.0, 1.1, 1.2)
"""Multiples of an item's own price that are tried for it: steps that a shop takes in one go."""

SUGGESTED_FOR = 5_000
"""Items in stock that other prices are tried for, the dearest: a shop goes through them one by one."""

WORTH_IT = 1.05
"""A suggestion brings in so many times what today's price does, or is none: less is within what the model can be off."""

NO_CATEGORY = "(no category)"
CURVE = ("group", "usual_price", "price", "chance", "takings")


def price_grid(rows: pl.DataFrame) -> pl.DataFrame:
    """Items to score: the newest ones of each category at every price of the category's grid, as if put on sale now.

    Args:
        rows: `price`, `description`, `category`, `brand`, `created`, `as_of`.

    Returns:
        The features of each item with its price replaced, and `group`, `usual_price` (the category's median), `at_price`.
        A category without another price between the quantiles has a grid of that one.
    """
    named = rows.with_columns(group=pl.col("category").fill_null(NO_CATEGORY))
    groups = named.group_by("group").agg(
        items=pl.len(),
        usual_price=pl.col("price").median(),
        low=pl.col("price").quantile(LOWEST),
        high=pl.col("price").quantile(HIGHEST),
    )
    groups = groups.sort(["items", "group"], descending=[True, False]).head(CATEGORIES)
    step = pl.DataFrame({"step": [number / (PRICES - 1) for number in range(PRICES)]})
    between = (pl.col("low").log() + pl.col("step") * (pl.col("high") / pl.col("low")).log()).exp()
    # exp(log(24.99)) is another number than 24.99: the ends are the prices that items really had.
    at_price = pl.when(step=0).then("low").when(step=1).then("high").otherwise(between)
    prices = groups.join(step, how="cross").filter((pl.col("low") < pl.col("high")) | (pl.col("step") == 0))
    prices = prices.with_columns(at_price=at_price)
    newest = named.sort("created", maintain_order=True).group_by("group", maintain_order=True).tail(ITEMS)
    grid = newest.select("group", "description", "category", "brand", created=pl.col("as_of").max()).join(
        prices.select("group", "usual_price", "at_price"), on="group", maintain_order="left"
    )
    return grid.with_columns(price="at_price")


def price_curves(scored: pl.DataFrame) -> pl.DataFrame:
    """One row per category and price: the mean `chance` of its items, and `takings`, price x chance, per item.

    Args:
        scored: `group`, `usual_price`, `at_price`, `chance_30_days`.
    """
    mean = scored.group_by("group", "usual_price", "at_price", maintain_order=True).agg(
        chance=pl.col("chance_30_days").mean()
    )
    curves = mean.rename({"at_price": "price"}).with_columns(takings=pl.col("price") * pl.col("chance"))
    return curves.sort("group", "price").select(CURVE)


def best_prices(curves: pl.DataFrame) -> pl.DataFrame:
    """The row of `price_curves` with the highest takings per category (the lower price of equal ones).

    Adds `usual_takings`, those at the grid's price next to the usual one, `tried`, the number of prices, and `edge`: of
    several prices the best one is the `lowest` or the `highest`, so that a better one may lie beyond; else null.
    """
    away = (pl.col("price") / pl.col("usual_price")).log().abs()
    usual = curves.group_by("group").agg(usual_takings=pl.col("takings").sort_by(away).first())
    ends = curves.group_by("group").agg(low=pl.col("price").min(), high=pl.col("price").max(), tried=pl.len())
    ranked = curves.sort(["group", "takings", "price"], descending=[False, True, False])
    best = ranked.group_by("group", maintain_order=True).first().join(usual, on="group").join(ends, on="group")
    lowest, highest = pl.col("price") == pl.col("low"), pl.col("price") == pl.col("high")
    edge = (
        pl.when(lowest & highest).then(None).when(lowest).then(pl.lit("lowest")).when(highest).then(pl.lit("highest"))
    )
    return best.with_columns(edge=edge).drop("low", "high").sort("group")


def stock_grid(stock: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """The stock to score, each item at its own price, and the dearest ones at others beside it that such items have had.

    Args:
        stock: The unsold items: `row`, `price`, `category` and what else is scored.
        rows: All items: `price`, `category`.

    Returns:
        `stock` several times over with the price replaced, and `own_price`, `at_price`.
    """
    named = rows.with_columns(group=pl.col("category").fill_null(NO_CATEGORY)).group_by("group")
    ends = named.agg(low=pl.col("price").quantile(LOWEST), high=pl.col("price").quantile(HIGHEST))
    own = stock.with_columns(own_price="price", at_price="price")
    dear = stock.sort("price", "row", descending=[True, False]).head(SUGGESTED_FOR)
    tried = (
        dear.with_columns(own_price="price", group=pl.col("category").fill_null(NO_CATEGORY))
        .join(ends, on="group", how="left", maintain_order="left")
        .join(pl.DataFrame({"factor": [factor for factor in FACTORS if factor != 1]}), how="cross")
        .with_columns(at_price=(pl.col("own_price") * pl.col("factor")).round(2))
        .filter(pl.col("at_price").is_between("low", "high") & (pl.col("at_price") != pl.col("own_price")))
        .unique(["row", "at_price"], maintain_order=True)
        .with_columns(price="at_price")
    )
    return pl.concat([own, tried.select(own.columns)])


def suggested_prices(scored: pl.DataFrame) -> pl.DataFrame:
    """One row an item, as scored at its own price, with the price of those tried that brings in most within 30 days.

    Args:
        scored: `row`, `own_price`, `at_price`, `next_30_days` and what else the model says.

    Returns:
        What the model says at the item's own price, and `suggested_price` (null where no price tried brings in 5 % more)
        and `suggested_edge`, `lowest` or `highest` where it is an end of those tried, so that a better one may lie beyond.
    """
    takings = pl.col("at_price") * pl.col("next_30_days")
    tried = scored.select("row", "own_price", "at_price", takings.alias("takings"))
    own = pl.col("takings").filter(pl.col("at_price") == pl.col("own_price")).first()
    best = pl.col("at_price").sort_by("takings", "at_price", descending=[True, False]).first()
    found = tried.group_by("row").agg(
        best=best,
        gains=pl.col("takings").max() >= WORTH_IT * own,
        low=pl.col("at_price").min(),
        high=pl.col("at_price").max(),
    )
    edge = pl.when(pl.col("best") == pl.col("low")).then(pl.lit("lowest"))
    edge = edge.when(pl.col("best") == pl.col("high")).then(pl.lit("highest"))
    found = found.filter(pl.col("gains") & (pl.col("low") < pl.col("high"))).with_columns(suggested_edge=edge)
    suggested = found.select("row", "suggested_edge", suggested_price="best")
    items = scored.filter(pl.col("at_price") == pl.col("own_price")).drop("own_price", "at_price")
    return items.join(suggested, on="row", how="left", maintain_order="left")
