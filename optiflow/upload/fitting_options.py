"""Options that a pipeline would not heed: refused, with what to write instead, rather than passed over in silence.

What does not belong here: names and ranges of options (`optiflow.options`), and columns that a file lacks (`named_columns`).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from optiflow.errors import UserError
from optiflow.options import HORIZON, DatasetOptions
from optiflow.proposals import ProposalError
from optiflow.upload.faults import quote_all

if TYPE_CHECKING:
    from optiflow.pipelines.spec import Pipeline

LEAVE_OUT = "Leave it out."


def check_options(options: DatasetOptions, pipeline: "Pipeline", file_name: str) -> None:
    """Check that every option that was given means something to the pipeline.

    Raises:
        UserError: one does not; says why, and which line says what was meant.
    """
    given = options.model_fields_set
    where = f"{file_name}: option"
    for name, why in _unheeded(pipeline).items():
        if name in given and getattr(options, name) != type(options).model_fields[name].default:
            raise UserError(f"{where} {name} means nothing to {pipeline.name}: {why}")
    if pipeline.roles:
        date = next(role.name for role in pipeline.roles if role.kind == "date")
        for name, role in (("target", pipeline.target), ("date_column", date)):
            column = getattr(options, name)
            if column is not None:
                raise _own(f"{where} {name} is {column!r}, but", pipeline, name, role, column, file_name)
    if pipeline.dataset_parameter is not None and pipeline.dataset_parameter in options.hyperparameters:
        raise UserError(f"{where} hyperparameters.{pipeline.dataset_parameter} is told by the file's name. {LEAVE_OUT}")
    if HORIZON in pipeline.own_options and "split" in given:
        _check_split(options, pipeline, where)


def check_filled_down(options: DatasetOptions, numbers: Sequence[str], file_name: str) -> None:
    """Check that no number is taken from the row above: what stands there was sold, moved or paid once.

    Args:
        options: The user's choices.
        numbers: The file's columns whose role is a number.
        file_name: For messages.

    Raises:
        UserError: `fill_down` names one of them, or the target.
    """
    counted = [name for name in options.fill_down if name in (*numbers, options.target)]
    if counted:
        raise UserError(
            f"{file_name}: option fill_down names {quote_all(counted)}, whose numbers count row by row: what is empty would be "
            "made up. Name columns of labels or dates; for numbers write 0 where there is none, or leave the rows out."
        )


def _unheeded(pipeline: "Pipeline") -> dict[str, str]:
    """The options that no rule of the pipeline looks at, and why."""
    unheeded = {
        HORIZON: f"it does not forecast periods. {LEAVE_OUT}",
        "duplicates": f"it adds no rows up. {LEAVE_OUT}",
        "unfinished": f"it knows no weeks or days. {LEAVE_OUT}",
        "movement_types": f"its rows are no movements. {LEAVE_OUT}",
        "week_date": f"it knows no weeks. {LEAVE_OUT}",
    }
    unheeded = {name: why for name, why in unheeded.items() if name not in pipeline.own_options}
    if pipeline.roles:
        return {**unheeded, "keep_columns": f"its features are chosen already. {LEAVE_OUT}"}
    return {**unheeded, "columns": "its columns have no names of their own. Use target and date_column."}


def _own(said: str, pipeline: "Pipeline", option: str, role: str | None, column: str, file_name: str) -> UserError:
    if role not in {known.name for known in pipeline.roles}:
        reckoned = f"reckons its own, {role}" if role else "predicts no column"
        return UserError(f"{said} {pipeline.name} {reckoned}. {LEAVE_OUT}")
    what = "the column to predict" if option == "target" else "the date"
    return ProposalError(
        f"{said} in {pipeline.name} {what} is called {role}. Leave {option} out and say instead which column it is.",
        file_name,
        {"columns": {role: column}},
    )


def _check_split(options: DatasetOptions, pipeline: "Pipeline", where: str) -> None:
    if options.split.strategy == "random":
        raise UserError(
            f"{where} split.strategy is 'random', but {pipeline.name} forecasts: rows drawn from the past would be told by "
            f"those around them. {LEAVE_OUT} The newest are held out."
        )
    if "test_fraction" in options.split.model_fields_set:
        raise UserError(
            f"{where} split.test_fraction means nothing to {pipeline.name}: it holds out as many periods as it forecasts. "
            f"{LEAVE_OUT} Set {HORIZON} instead."
        )
