"""The closed-form model: store x item level x weekday x month x growth, fitted by ratios of sums.

What belongs here: the fit, and the rate of sales that it expects on any day. What does not: intervals, and LightGBM.
Each factor is a ratio of sold to expected units, which is the Poisson likelihood's optimum given the others; a few
rounds over all factors reach the joint one (iterative proportional fitting, Deming and Stephan, 1940).
"""

from dataclasses import dataclass

import numpy as np

from optiflow.learners.item_demand.grid import YEAR, Array, Grid

STEPS, RECENT, LATEST = "yearly steps", "recent level", "latest level"
"""Growth from calendar year to calendar year; or the level of the last 13 or 4 weeks."""

TWO_YEARS = 2 * YEAR
BLOCK_DAYS = {RECENT: 91, LATEST: 28}
LEVEL_DAYS = {RECENT: YEAR, LATEST: 56}
"""The last days that series' own levels are taken from; `STEPS` takes all."""

ROUNDS, CONVERGED = 25, 1e-5
DAMPING = 0.5
"""Share of the mean yearly growth (in logs) that is carried into a year not yet seen."""

PRIOR_DAYS = 14
"""What a year's growth is expected to be weighs as much as so many days of sales."""

DISPERSION_DAYS = 30
SMALLEST_RATE = 0.05


@dataclass(frozen=True)
class Multiplicative:
    """A fitted model. `level` and `dispersion` have one number a series; `dispersion` is the variance over the rate.

    `item_weekday`, `store_weekday` and `item_month` say what a series' items and store do differently from all others;
    they are pulled to 1 as far as chance explains them.
    """

    level: Array
    dispersion: Array
    weekday: Array
    month: Array
    growth: Array
    block_days: int | None
    end: int
    first_year: int
    item_weekday: Array
    store_weekday: Array
    item_month: Array

    def rate(self, grid: Grid, start: int, stop: int) -> Array:
        """Units a day expected on the days `start` to `stop` (not included): series x days."""
        dates = grid.calendar(start, stop)
        block = self._block(dates.year, np.arange(start, stop))
        common = self.weekday[dates.weekday] * self.month[dates.month] * self.growth[block]
        own = self.item_weekday[grid.item] * self.store_weekday[grid.store]
        return self.level[:, None] * common * own[:, dates.weekday] * self.item_month[grid.item][:, dates.month]

    def _block(self, year: Array, day: Array) -> Array:
        if self.block_days is None:
            return np.clip(year - self.first_year, 0, len(self.growth) - 1)
        return np.clip((self.end - 1 - day) // self.block_days, 0, len(self.growth) - 1)


def fit_multiplicative(grid: Grid, growth: str) -> Multiplicative:
    """Fit the model on all of a grid.

    Months are told apart from a year of history on (for `RECENT` and `LATEST` from two years on, since level and season
    cannot be told apart before), items' own months from two years on.

    Args:
        grid: What is known at the origin.
        growth: `STEPS`, `RECENT` or `LATEST`.
    """
    dates = grid.calendar(0, grid.days)
    length = BLOCK_DAYS.get(growth)
    yearly = length is None
    block = dates.year - dates.year[0] if yearly else (grid.days - 1 - np.arange(grid.days)) // length
    factors = [np.ones(7), np.ones(12), np.ones(block.max() + 1)]
    index = [dates.weekday, dates.month, block]
    with_months = grid.days >= (YEAR if yearly else TWO_YEARS)
    sold, sold_by_day = grid.sales.sum(axis=1), grid.sales.sum(axis=0)
    daily = sold_by_day.sum() / grid.days
    level = np.zeros(grid.series)
    for _ in range(ROUNDS):
        before = np.concatenate(factors)
        common = factors[0][index[0]] * factors[1][index[1]] * factors[2][index[2]]
        exposure = grid.seen @ common
        level = np.divide(sold, exposure, out=np.zeros_like(sold), where=exposure > 0)
        by_day = level @ grid.seen
        for place, (factor, at) in enumerate(zip(factors, index, strict=True)):
            if place == 1 and not with_months:
                continue
            common = factors[0][index[0]] * factors[1][index[1]] * factors[2][index[2]]
            n = np.bincount(at, sold_by_day, len(factor))
            e = np.bincount(at, by_day * common / factor[at], len(factor))
            factor[:] = (n + daily) / (e + daily)
            if place == 2 and yearly and len(factor) > 1:
                expected, weight = factor[-2] * _yearly_growth(factor[:-1]), PRIOR_DAYS * daily
                factor[-1] = (n[-1] + weight * expected) / (e[-1] + weight)
            if place < 2:
                factor /= np.average(factor, weights=np.bincount(at, minlength=len(factor)))
        if np.abs(np.concatenate(factors) / before - 1).max() < CONVERGED:
            break
    growths = _with_coming_years(factors[2]) if yearly else factors[2]
    return _own_patterns(grid, factors, growths, growth, level)


def _own_patterns(grid: Grid, factors: list[Array], growths: Array, growth: str, common_level: Array) -> Multiplicative:
    """The model with what items and stores do differently, and levels of series pulled to their store's and item's."""
    stores, items = len(grid.stores), len(grid.items)
    dates = grid.calendar(0, grid.days)
    own = [np.ones((items, 7)), np.ones((stores, 7)), np.ones((items, 12))]
    level, spread = common_level, np.ones(grid.series)

    def model() -> Multiplicative:
        return Multiplicative(
            level,
            spread,
            *factors[:2],
            growth=growths,
            block_days=BLOCK_DAYS.get(growth),
            end=grid.days,
            first_year=int(dates.year[0]),
            item_weekday=own[0],
            store_weekday=own[1],
            item_month=own[2],
        )

    expected = model().rate(grid, 0, grid.days) * grid.seen
    overall = float(((grid.sales - expected) ** 2).sum() / max(expected.sum(), 1e-9))
    groups = [(grid.item, items, dates.weekday, 7), (grid.store, stores, dates.weekday, 7)]
    if grid.days >= TWO_YEARS:
        groups.append((grid.item, items, dates.month, 12))
    for place, (group, size, at, width) in enumerate(groups):
        n, e = (_sums(values, group, size, at, width) for values in (grid.sales, expected))
        own[place] = pulled(n, e, np.ones_like(n), overall)
        expected = expected * own[place][group][:, at]
    start = max(grid.days - LEVEL_DAYS.get(growth, grid.days), 0)
    exposure = (expected / np.where(level > 0, level, 1)[:, None])[:, start:]
    exposure = np.where(level[:, None] > 0, exposure, grid.seen[:, start:]).sum(axis=1)
    sold = grid.sales[:, start:].sum(axis=1)
    usual = _store_times_item(grid, sold, exposure)
    level = pulled(sold, exposure, usual, overall)
    expected = np.maximum(model().rate(grid, 0, grid.days), SMALLEST_RATE)
    error = ((grid.sales - expected) ** 2 / expected * grid.seen).sum(axis=1)
    spread = (error + DISPERSION_DAYS * min(overall, 10.0)) / (grid.seen.sum(axis=1) + DISPERSION_DAYS)
    return model()


def pulled(sold: Array, exposure: Array, usual: Array, dispersion: float) -> Array:
    """Ratios of `sold` to `exposure`, pulled to `usual` as far as chance explains that they differ from it.

    The gamma-Poisson empirical Bayes estimate with the variance of true ratios by moments (Clayton and Kaldor,
    Biometrics 43, 1987); equal to `usual` where nothing is exposed, or where chance explains all.
    """
    expected = exposure * usual
    total = expected.sum()
    if total <= 0:
        return usual
    excess = ((sold - expected) ** 2 / np.maximum(expected, 1e-9) - dispersion)[expected > 0].sum() / total
    if excess <= 0:
        return usual
    weight = dispersion / excess
    return usual * (sold + weight) / (expected + weight)


def _store_times_item(grid: Grid, sold: Array, exposure: Array) -> Array:
    """Each series' level as a product of one number for its store and one for its item."""
    stores, items = len(grid.stores), len(grid.items)
    overall = sold.sum() / max(exposure.sum(), 1e-9)
    by_store, by_item = np.ones(stores), np.full(items, overall)
    little = max(exposure.mean(), 1.0) * 0.01
    for _ in range(10):
        e = np.bincount(grid.item, exposure * by_store[grid.store], items)
        by_item = (np.bincount(grid.item, sold, items) + little * overall) / (e + little)
        e = np.bincount(grid.store, exposure * by_item[grid.item], stores)
        by_store = (np.bincount(grid.store, sold, stores) + little * overall) / (e + little * overall)
    return by_store[grid.store] * by_item[grid.item]


def _sums(values: Array, group: Array, size: int, at: Array, width: int) -> Array:
    """Sums of series x days by group and by place in the calendar: size x width."""
    by_place = np.stack([values[:, at == place].sum(axis=1) for place in range(width)], axis=1)
    total = np.zeros((size, width))
    np.add.at(total, group, by_place)
    return total


def _yearly_growth(factors: Array) -> float:
    if len(factors) < 2 or (factors <= 0).any():
        return 1.0
    return float(np.exp(DAMPING * np.log(factors[-1] / factors[0]) / (len(factors) - 1)))


def _with_coming_years(factors: Array, years: int = 2) -> Array:
    """The factors, and those of the years that a horizon of a year may reach."""
    growth = _yearly_growth(factors)
    return np.concatenate([factors, factors[-1] * growth ** np.arange(1, years + 1)])
