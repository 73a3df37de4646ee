"""Learners, one module each: train, predict, save, load.

What belongs here: what a model is and how it is fitted, on plain matrices and Arrow tables. What does not: where the data lies
(`optiflow.container`, `resources`) and what the columns mean (`optiflow.pipelines`). The modules also run inside AWS's
XGBoost image, so they import nothing but the standard library, what that image has, and what their REQUIREMENTS say, inside functions.

`xgboost` is SageMaker's built-in algorithm. Each other one is a module of this form:

- `PARAMETERS`, `DEFAULTS`: the hyperparameters it knows, and its choice for each, as strings;
- `REQUIREMENTS`: pip lines of what AWS's image lacks; `NEEDS_SKLEARN = True` where it imports scikit-learn;
- `train(channels, parameters, folder, say) -> summary`: learns from Arrow tables and leaves its files in `folder`;
- `score(folder, rows) -> table`: what it says of rows.
"""

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from optiflow.errors import UserError

LEARNER_PARAMETER = "optiflow_learner"
"""Hyperparameter that names the learner to the program in the container."""


def learner_named(name: str) -> ModuleType:
    """The module of a learner of ours.

    Raises:
        UserError: there is none of this name.
    """
    if not name.isidentifier() or find_spec(f"{__name__}.{name}") is None:
        raise UserError(f"algorithm {name!r} is not known here: it is no module of optiflow.learners.")
    return import_module(f"{__name__}.{name}")
