"""How many periods ahead a pipeline forecasts: one number, by the option `horizon` or as a hyperparameter."""

from collections.abc import Mapping

from optiflow.errors import UserError
from optiflow.learners.hyperparameters import Known
from optiflow.options import HORIZON, DatasetOptions


def with_horizon(options: DatasetOptions, default: int, known: Known) -> DatasetOptions:
    """The options with the horizon among their hyperparameters.

    Args:
        options: The user's.
        default: What it is if they say nothing.
        known: The learner's hyperparameters.

    Raises:
        UserError: the option is out of the learner's range, or the hyperparameter says something else.
    """
    wanted = options.horizon
    own: Mapping[str, str] = {HORIZON: str(wanted or default), **options.hyperparameters}
    if wanted is not None and known[HORIZON].parse(str(wanted)) is None:
        raise UserError(f"option horizon is {wanted}: allowed is {known[HORIZON]}.")
    if wanted is not None and own[HORIZON] != str(wanted):
        raise UserError(
            f"option horizon is {wanted}, but hyperparameters.horizon is {own[HORIZON]}: leave one of them out."
        )
    return options.model_copy(update={"hyperparameters": own})
