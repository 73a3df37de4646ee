"""The methods' names in words, and the bounds that people are told of. No import: the pipelines' module loads it too."""

YEAR = 52
"""Weeks. The same week of last year is 364 days ago, so that weekdays and most holidays stay in place."""

SHORT_WEEKS = YEAR + 13
"""A store with less is not forecast by its own season: last year's weeks would be compared with too few of this one's."""

FEWEST_WEEKS = 5
"""A history with less says nothing of how far a forecast is off."""

WORDS = {
    "auto_arima": "AutoARIMA",
    "theta": "Dynamic optimized Theta",
    "mstl_arima": "MSTL + AutoARIMA",
    "own_mstl_arima": "MSTL + AutoARIMA, store alone",
    "forest_and_xgboost": "Random forest + XGBoost",
    "seasonal_growth": "Last year's week, times growth",
    "seasonal_naive": "Last year's week",
    "mean_of_candidates": "Mean of candidates",
    "recent_level": "Recent level",
    "recent_level_and_season_of_other_stores": "Recent level, season of other stores",
    "level_of_other_stores": "Level of the other stores",
    "last_year_same_week": "Last year's week",
    "closed": "Closed: 0",
}


def in_words(name: str) -> str:
    """A method's name for people; a name not known stays as it is."""
    return WORDS.get(name, name)
