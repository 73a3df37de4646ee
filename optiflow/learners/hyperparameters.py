"""The hyperparameters of SageMaker's built-in XGBoost: names, types and ranges, checked before anything is trained.

Source: "XGBoost hyperparameters" in Amazon SageMaker's developer guide, as far as XGBoost 3.2 still knows them (not:
`sketch_eps`, `predictor`, the GPU-only ones, and `process_type`/`updater`, which need a model to start from).
What does not belong here: defaults. A name that is not given is left to XGBoost.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from optiflow.errors import UserError

Value = int | float | str

MAX_INT = 2**31 - 1
"""XGBoost keeps whole numbers in 32 bits."""

TINIEST_FLOAT32, LARGEST_FLOAT32 = 2.0**-120, 2.0**127
"""A little inside the true limits, where XGBoost's parser refuses numbers already."""

NOT_FOR_BOOSTER = ("num_round", "csv_weights", "early_stopping_rounds")
"""Hyperparameters that steer the training program and are unknown to the booster."""

SYNONYMS = {
    "n_estimators": "num_round",
    "num_boost_round": "num_round",
    "learning_rate": "eta",
    "reg_lambda": "lambda",
    "reg_alpha": "alpha",
    "min_split_loss": "gamma",
    "random_state": "seed",
    "n_jobs": "nthread",
}
"""Names of XGBoost's Python classes, and what SageMaker calls them."""


@dataclass(frozen=True)
class Number:
    """A number in an interval; an open end excludes its bound. An infinite end is always open."""

    kind: type[int] | type[float]
    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False

    def parse(self, text: str) -> Value | None:
        """The value that `text` stands for, or None if it is not allowed."""
        try:
            value = self.kind(text)
        except ValueError:
            return None
        if "_" in text:  # Python's digit grouping, which SageMaker's container does not know
            return None
        too_low = value <= self.low if self.low_open else value < self.low
        too_high = value >= self.high if self.high_open else value > self.high
        # XGBoost keeps numbers in 32 bits and refuses what is closer to 0, or farther from it, than they can tell.
        kept = value == 0 or (self.kind is int or TINIEST_FLOAT32 <= abs(value) <= LARGEST_FLOAT32)
        return value if kept and not too_low and not too_high else None

    def __str__(self) -> str:
        """The allowed range in words: `a number in (0, 1]`."""
        left = "(" if self.low_open or math.isinf(self.low) else "["
        right = ")" if self.high_open or math.isinf(self.high) else "]"
        word = "a whole number" if self.kind is int else "a number"
        return f"{word} in {left}{_bound(self.low)}, {_bound(self.high)}{right}"


@dataclass(frozen=True)
class Choice:
    """One of some words."""

    words: tuple[str, ...]

    def parse(self, text: str) -> Value | None:
        """The value that `text` stands for, or None if it is not allowed."""
        return text if text in self.words else None

    def __str__(self) -> str:
        """The allowed words."""
        return f"one of {', '.join(self.words)}"


@dataclass(frozen=True)
class Pattern:
    """Text of a certain form; a list of words is one of these, since SageMaker writes it with commas."""

    regex: str
    words: str

    def parse(self, text: str) -> Value | None:
        """The value that `text` stands for, without white space, or None if it is not allowed."""
        text = re.sub(r"\s+", "", text)
        return text if re.fullmatch(self.regex, text) else None

    def __str__(self) -> str:
        """The form in words."""
        return self.words


REGRESSION = (
    *("reg:squarederror", "reg:squaredlogerror", "reg:pseudohubererror", "reg:absoluteerror", "reg:logistic"),
    *("reg:gamma", "reg:tweedie", "count:poisson"),
)
OBJECTIVES = (
    *REGRESSION,
    *("binary:logistic", "binary:logitraw", "binary:hinge", "multi:softmax", "multi:softprob"),
    *("rank:pairwise", "rank:ndcg", "rank:map", "survival:cox", "survival:aft"),
)
METRICS = (
    *("rmse", "rmsle", "mae", "mape", "mphe", "logloss", "error", "merror", "mlogloss", "auc", "aucpr"),
    *("ndcg", "map", "poisson-nloglik", "gamma-nloglik", "gamma-deviance", "tweedie-nloglik", "cox-nloglik"),
    *("aft-nloglik", "interval-regression-accuracy"),
)
_METRIC = rf"(?:{'|'.join(METRICS)}|(?:error|ndcg|map)@[0-9.]+-?|tweedie-nloglik@1\.[0-9]+)"
_FRACTION = Number(float, 0, 1)
_SHARE = Number(float, 0, 1, low_open=True)
_NOT_NEGATIVE = Number(float, 0)
_FLAG = Number(int, 0, 1)

Known = Mapping[str, Number | Choice | Pattern]
"""Hyperparameters by name, and what each may be."""

KNOWN: Known = {
    "num_round": Number(int, 1, MAX_INT),
    "early_stopping_rounds": Number(int, 1, MAX_INT),
    "csv_weights": _FLAG,
    "eta": _FRACTION,
    "max_depth": Number(int, 0, MAX_INT),
    "max_leaves": Number(int, 0, MAX_INT),
    "max_bin": Number(int, 2, MAX_INT),
    "min_child_weight": _NOT_NEGATIVE,
    "max_delta_step": _NOT_NEGATIVE,
    "gamma": _NOT_NEGATIVE,
    "alpha": _NOT_NEGATIVE,
    "lambda": _NOT_NEGATIVE,
    "lambda_bias": _FRACTION,
    "subsample": _SHARE,
    "sampling_method": Choice(("uniform", "gradient_based")),
    "colsample_bytree": _SHARE,
    "colsample_bylevel": _SHARE,
    "colsample_bynode": _SHARE,
    "num_parallel_tree": Number(int, 1, MAX_INT),
    "scale_pos_weight": Number(float, 0, low_open=True),
    "base_score": Number(float),
    "booster": Choice(("gbtree", "gblinear", "dart")),
    "tree_method": Choice(("auto", "exact", "approx", "hist")),
    "grow_policy": Choice(("depthwise", "lossguide")),
    "sample_type": Choice(("uniform", "weighted")),
    "normalize_type": Choice(("tree", "forest")),
    "rate_drop": _FRACTION,
    "skip_drop": _FRACTION,
    "one_drop": _FLAG,
    "monotone_constraints": Pattern(r"\((?:-1|0|1)(?:,(?:-1|0|1))*,?\)", "like (1,0,-1), one figure a feature"),
    "interaction_constraints": Pattern(r"\[\[\d+(?:,\d+)*\](?:,\[\d+(?:,\d+)*\])*\]", "like [[0,1],[2,3]]"),
    "objective": Choice(OBJECTIVES),
    "num_class": Number(int, 2, MAX_INT),
    "eval_metric": Pattern(rf"{_METRIC}(?:,{_METRIC})*", f"one or more, with commas, of {', '.join(METRICS)}"),
    "tweedie_variance_power": Number(float, 1, 2, low_open=True, high_open=True),
    "aft_loss_distribution": Choice(("normal", "logistic", "extreme")),
    "aft_loss_distribution_scale": Number(float, 0, low_open=True),
    "seed": Number(int, 0, MAX_INT),
    "nthread": Number(int, 1, MAX_INT),
    "verbosity": Number(int, 0, 3),
}


def validate_hyperparameters(raw: Mapping[str, str]) -> dict[str, Value]:
    """Check strings, as SageMaker hands them over, and turn them into numbers where they are numbers.

    Raises:
        UserError: unknown name, value out of its range, `num_round` missing, or two values that exclude each other.
    """
    values = parse_hyperparameters(KNOWN, raw, SYNONYMS)
    if "num_round" not in values:
        raise UserError(
            "hyperparameter 'num_round' is missing: set the number of boosting rounds, a whole number from 1."
        )
    for holds, message in _DEPENDENCIES:
        if not holds(values):
            raise UserError(message)
    return values


def parse_hyperparameters(
    known: Known, raw: Mapping[str, str], synonyms: Mapping[str, str] | None = None
) -> dict[str, Value]:
    """Check strings against what a learner knows, and turn them into numbers where they are numbers.

    Args:
        known: The learner's names with what each may be.
        raw: Name -> text.
        synonyms: What other libraries call them, for hints.

    Raises:
        UserError: unknown name, or value out of its range.
    """
    values = {}
    for name, text in raw.items():
        if name not in known:
            raise UserError(_say_unknown(name, known, synonyms or {}))
        values[name] = _parse(name, str(text).strip(), known[name])
    return values


def _parse(name: str, text: str, allowed: Number | Choice | Pattern) -> Value:
    value = allowed.parse(text)
    if value is None:
        raise UserError(f"hyperparameter {name!r} is {text!r}: allowed is {allowed}.")
    return value


def _say_unknown(name: str, known: Known, synonyms: Mapping[str, str]) -> str:
    close = [synonyms[name]] if name in synonyms else get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(sorted(known))}."
    return f"unknown hyperparameter {name!r}: {hint}"


def _is_multi(values: Mapping[str, Value]) -> bool:
    return str(values.get("objective", "")).startswith("multi:")


_DEPENDENCIES: tuple[tuple[Callable[[Mapping[str, Value]], bool], str], ...] = (
    (
        lambda v: _is_multi(v) == ("num_class" in v),
        "hyperparameters 'objective' and 'num_class' do not go together: multi:softmax and multi:softprob need num_class, "
        "every other objective excludes it.",
    ),
    (
        lambda v: v.get("grow_policy") != "lossguide" or v.get("tree_method") != "exact",
        "hyperparameter 'grow_policy' is 'lossguide': it needs 'tree_method' hist or approx, not exact.",
    ),
    (
        lambda v: v.get("max_depth") != 0 or v.get("tree_method") != "exact",
        "hyperparameter 'max_depth' is '0' (no limit): it needs 'tree_method' hist or approx, not exact.",
    ),
    (
        lambda v: (
            not str(v.get("objective", "")).startswith(("binary:logistic", "reg:logistic"))
            or 0 < float(v.get("base_score", 0.5)) < 1
        ),
        "hyperparameter 'base_score' is out of (0, 1), which a logistic objective needs.",
    ),
)


def _bound(value: float) -> str:
    if math.isinf(value):
        return "-∞" if value < 0 else "∞"
    return f"{int(value)}"
