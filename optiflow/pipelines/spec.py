"""What one pipeline differs in from another."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from optiflow.errors import UserError
from optiflow.learners.hyperparameters import validate_hyperparameters
from optiflow.options import DatasetOptions


@dataclass(frozen=True)
class Pipeline:
    """A pipeline: its name (asset group, folder, job name part) and everything that the shared chain asks it for."""

    name: str
    description: str
    algorithm: str
    report: str
    """Name of the report asset."""
    default_options: Mapping[str, Any] = field(default_factory=dict)
    default_hyperparameters: Mapping[str, str] = field(default_factory=dict)
    schema_for: Callable[[DatasetOptions], Any] | None = None
    """Makes the pandera schema of an upload; None for the columns every table of orders must have."""

    def hyperparameters(self, options: DatasetOptions) -> dict[str, str]:
        """The pipeline's hyperparameters with the user's laid over them, as strings, for a job.

        Raises:
            UserError: the algorithm does not know one, or it is out of its range.
        """
        merged = {**self.default_hyperparameters, **options.hyperparameters}
        try:
            validate_hyperparameters(merged)
        except UserError as error:
            raise UserError(f"option hyperparameters: {error}") from error
        return merged
