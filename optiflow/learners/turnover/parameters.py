"""The hyperparameters that the learner knows, and what it takes where none is given."""

from collections.abc import Mapping

from optiflow.learners.hyperparameters import MAX_INT, Choice, Number, Pattern

SALE_DAYS = 30
"""The chance is that of a sale within so many days of creation."""

FEWEST_SOLD = 20
"""With fewer sales among the items to learn from, there is nothing to learn."""

PARAMETERS: Mapping[str, Number | Choice | Pattern] = {
    "num_round": Number(int, 1, MAX_INT),
    "early_stopping_rounds": Number(int, 1, MAX_INT),
    "eta": Number(float, 0, 1, low_open=True),
    "max_depth": Number(int, 1, 20),
    "min_child_weight": Number(float, 0),
    "subsample": Number(float, 0, 1, low_open=True),
    "colsample_bytree": Number(float, 0, 1, low_open=True),
    "lambda": Number(float, 0),
    "max_terms": Number(int, 0, 2000),
    "min_items": Number(int, 1, MAX_INT),
    "price_slows": Choice(("yes", "no")),
    "retailer": Pattern(r"[a-z0-9]+(?:-[a-z0-9]+)*", "the retailer's dataset id"),
    "seed": Number(int, 0, MAX_INT),
    "nthread": Number(int, 1, MAX_INT),
}
"""`max_terms` words of the descriptions are features; a word, category or brand of fewer than `min_items` items in the
training rows is none of its own; with `price_slows` a higher price never makes a sale quicker, all else equal."""

DEFAULTS: Mapping[str, str] = {
    "num_round": "600",
    "early_stopping_rounds": "30",
    "eta": "0.05",
    "max_depth": "4",
    "min_child_weight": "5",
    "subsample": "0.8",
    "colsample_bytree": "0.6",
    "lambda": "1",
    "max_terms": "150",
    "min_items": "5",
    "price_slows": "yes",
    "seed": "42",
}
"""Small steps and shallow trees with early stopping. `retailer` has no default: the pipeline says whose model it is."""

REQUIREMENTS: tuple[str, ...] = ()
