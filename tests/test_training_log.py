"""Learning curves out of logs as XGBoost writes them."""

import math

from optiflow.learners.training_log import best_round, learning_curve

LOG = """\
[12:00:01] INFO: Train matrix has 300 rows and 3 columns
[0]\ttrain-rmse:1.50000\tvalidation-rmse:1.70000
[1]\ttrain-rmse:1.10000\tvalidation-rmse:1.20000
2024-05-01 12:00:02 [2]\ttrain-rmse:9.1e-01\tvalidation-rmse:1.30000
[3]\ttrain-rmse:nan\tvalidation-rmse:inf
Best round: [1]
[4] done
"""


def test_every_round_gives_one_score_a_channel_and_other_lines_none() -> None:
    curve = learning_curve(LOG)
    assert curve["validation"] == {"rmse": [1.7, 1.2, 1.3, math.inf]}
    assert curve["train"]["rmse"][:3] == [1.5, 1.1, 0.91]
    assert math.isnan(curve["train"]["rmse"][3])


def test_the_best_round_is_that_of_the_last_validation_metric() -> None:
    assert best_round(learning_curve(LOG)) == 1
    both = "[0]\tvalidation-rmse:1.0\tvalidation-mae:5.0\n[1]\tvalidation-rmse:2.0\tvalidation-mae:4.0\n"
    assert best_round(learning_curve(both)) == 1


def test_a_log_without_validation_has_no_best_round() -> None:
    assert best_round(learning_curve("[0]\ttrain-rmse:1.0\n")) is None
    assert learning_curve("") == {}
