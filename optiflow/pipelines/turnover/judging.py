"""Whether a model's chances are better than what a shop knows without it, on items of which all is known.

What belongs here: the paired comparison and its verdict. What does not: baselines, tables and drawings.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from optiflow.learners.turnover.measures import log_losses
from optiflow.report.extras import Judgement
from optiflow.report.model import Outcome
from optiflow.report.wording import count, percent, the

if TYPE_CHECKING:
    import numpy as np

MEASURE = "log-loss"
CONFIDENCE = 0.975


@dataclass(frozen=True)
class Gain:
    """How much log-loss (nats an item) the model saves beside the best baseline, and what that stands on.

    `low` and `high` are about 95 % limits, None with fewer than two items. `days` is on how many days the items were put on
    sale.
    """

    baseline: str
    baseline_loss: float
    model_loss: float
    standard_error: float | None
    low: float | None
    high: float | None
    items: int
    days: int

    @property
    def mean(self) -> float:
        """Above 0: the model is ahead."""
        return self.baseline_loss - self.model_loss

    def share(self, gain: float | None) -> float | None:
        """A gain as a share of the baseline's log-loss; None where the baseline is never wrong."""
        return None if gain is None or self.baseline_loss <= 0 else gain / self.baseline_loss


def measure_gain(
    quick: "np.ndarray", chance: "np.ndarray", naive: "Mapping[str, np.ndarray]", created: pl.Series
) -> Gain:
    """Compare, item by item, with the baseline that has the lowest log-loss on the same items.

    That choice looks at the held-out items and is in the baselines' favour. Items that were put on sale on one day share
    what happened since, so the limits are the wider ones of independent items and of independent days, from two days on.
    What a single day did to all of its items cannot be told from the model's worth: the report warns of it.

    Args:
        quick: Whether each item sold within the horizon; every item was watched that long.
        chance: The model's, of the same n items.
        naive: Baseline -> its chances; at least one.
        created: The day on which each item was put on sale.
    """
    losses = {name: log_losses(quick, values) for name, values in naive.items()}
    best = min(losses, key=lambda name: float(losses[name].mean()))
    model = log_losses(quick, chance)
    gain = losses[best] - model
    error, margin = _error_and_margin(gain, created)
    mean = float(gain.mean())
    return Gain(
        best,
        float(losses[best].mean()),
        float(model.mean()),
        error,
        None if margin is None else mean - margin,
        None if margin is None else mean + margin,
        len(gain),
        created.n_unique(),
    )


def judge_gain(gain: Gain, horizon: int) -> Judgement:
    """Better if even the low limit of the gain is above 0; unclear if only the gain itself is; worse otherwise.

    The sentence calls the log-loss an error; the report's table of chances has it by its name.
    """
    share = gain.share(gain.mean)
    named, window = the(gain.baseline), f"a sale within {horizon} days"
    if gain.mean > 0 and gain.low is not None and gain.low > 0:
        outcome = Outcome.BETTER
        said = f"The model is better than {named}: the error of its chances of {window} is {percent(share)} smaller."
    elif gain.mean > 0:
        outcome = Outcome.UNCLEAR
        said = (
            f"The model may be no better than {named}: the error of its chances of {window} is {percent(share)} "
            f"smaller, which on {count(gain.items, 'item')} of {count(gain.days, 'day')} can be chance."
        )
    else:
        outcome = Outcome.WORSE
        higher = "the same" if gain.mean == 0 or share is None else f"{percent(-share)} larger"
        said = f"The model is no better than {named} (the error of its chances of {window} is {higher}): do not use it."
    return Judgement(outcome, said, gain.baseline, MEASURE, share)


def _error_and_margin(gain: "np.ndarray", created: pl.Series) -> tuple[float | None, float | None]:
    """The standard error of the mean gain, and half the width of its 95 % limits.

    Clusters with the correction G / (G - 1), and Student's t with G - 1 degrees of freedom. That makes the limits of two or
    three days very wide, as they should be, and the wider ones count: what a few days' spread understates by luck, the
    spread of the items makes up for.
    Source: Cameron and Miller, "A practitioner's guide to cluster-robust inference", Journal of Human Resources 50 (2015).
    """
    import numpy as np

    items = len(gain)
    if items < 2:
        return None, None
    rest = gain - gain.mean()
    errors = [(float(gain.std(ddof=1)) / np.sqrt(items), items - 1)]
    # In order, so that a report made again has the same last digits.
    by_day = pl.DataFrame({"day": created, "rest": rest}).group_by("day", maintain_order=True)
    sums = by_day.agg(pl.col("rest").sum())["rest"].to_numpy()
    if len(sums) > 1:
        errors.append((float(np.sqrt(len(sums) / (len(sums) - 1) * np.sum(sums**2))) / items, len(sums) - 1))
    margins = [(error, error * student_t(degrees)) for error, degrees in errors]
    error, margin = max(margins, key=lambda pair: pair[1])
    return float(error), float(margin)


def student_t(degrees: int) -> float:
    """The 97.5 % quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, CONFIDENCE))
