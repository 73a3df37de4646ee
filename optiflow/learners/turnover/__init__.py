"""The learner of `turnover`: days until an item sells, and the chance that it sells within 30 days.

What belongs here: one retailer's model, from named columns to trees and back. What does not: uploads, splits and reports
(`optiflow.pipelines.turnover.pipeline`). It runs in AWS's XGBoost image as it is, and needs no scikit-learn.
"""

from optiflow.learners.turnover.model import score
from optiflow.learners.turnover.parameters import DEFAULTS, PARAMETERS, REQUIREMENTS
from optiflow.learners.turnover.training import train

__all__ = ["DEFAULTS", "PARAMETERS", "REQUIREMENTS", "score", "train"]
